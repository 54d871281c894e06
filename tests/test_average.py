"""Averaged weights: at evaluation, saved, loaded, and never mixed up with the weights."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim


def trained(average, model, optimizer, steps, dtype="float32"):
    for k in range(steps):
        optimizer.zero_grad()
        (model(tg.ones(3, 2, dtype=dtype) * (k % 3 - 0.5)) ** 2).sum().backward()
        optimizer.step()
        average.update()


def parts(decay=0.6, dtype="float32"):
    tg.manual_seed(1)
    model = nn.Linear(2, 4).astype(dtype)
    return (
        model,
        optim.SGD(model.parameters(), 0.02),
        optim.AveragedWeights(model.parameters(), decay),
    )


@pytest.mark.parametrize("decay", [0.6, 0.0, None])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_formula_written_out(decay, order):
    """Also for arrays that lie column by column; the weights before are not in it."""
    rng = np.random.default_rng(0)
    w = tg.Tensor(np.array(rng.standard_normal((3, 2)), order=order), requires_grad=True)
    average, seen = optim.AveragedWeights([w], decay), []
    for _ in range(5):
        seen.append(rng.standard_normal((3, 2)))
        w.assign_(seen[-1])
        average.update()
    if decay is None:
        wanted = np.mean(seen, axis=0)
    else:
        wanted = seen[0]
        for value in seen[1:]:
            wanted = decay * wanted + (1 - decay) * value
    with average.applied():
        np.testing.assert_allclose(w.numpy(), wanted, rtol=1e-13)
    assert np.array_equal(w.numpy(), seen[-1])


def test_evaluation_sees_averages_under_jit_too_and_nothing_after():
    model, optimizer, average = parts()
    fast, x = tg.jit(model.forward), tg.randn(5, 2)
    fast(x)
    trained(average, model, optimizer, 4)
    last = fast(x).numpy()
    twin = nn.Linear(2, 4)
    with average.applied():
        twin.load_state_dict(model.state_dict())
        np.testing.assert_array_equal(fast(x).numpy(), twin(x).numpy())
        assert not np.array_equal(fast(x).numpy(), last)
    assert np.array_equal(fast(x).numpy(), last)
    with pytest.raises(KeyError), average.applied():
        raise KeyError
    assert np.array_equal(fast(x).numpy(), last)


@pytest.mark.parametrize("way", ["state dict", "deepcopy", "pickle"])
def test_goes_on_bit_for_bit(way):
    model, optimizer, average = parts()
    trained(average, model, optimizer, 3)
    if way == "state dict":
        other = parts(decay=None)
        other[0].load_state_dict(model.state_dict())
        other[2].load_state_dict(average.state_dict())
    elif way == "deepcopy":
        other = copy.deepcopy((model, optimizer, average))
    else:
        other = pickle.loads(pickle.dumps((model, optimizer, average)))
    for m, o, a in ((model, optimizer, average), other):
        trained(a, m, o, 4)
    for one, two in zip(average.averages, other[2].averages, strict=True):
        assert np.array_equal(one, two)


def test_what_would_be_lost_is_refused():
    model, optimizer, average = parts()
    trained(average, model, optimizer, 2)
    before = model.weight.numpy().copy()
    with pytest.raises(tg.GraphError, match="written to inside"), average.applied():
        optimizer.step()
    assert np.array_equal(model.weight.numpy(), before)
    with average.applied():
        with pytest.raises(tg.GraphError, match="inside applied"):
            average.update()
        with pytest.raises(tg.GraphError, match="in force already"), average.applied():
            pass
    assert np.array_equal(model.weight.numpy(), before)
    with pytest.raises(tg.CaptureError, match=r"AveragedWeights.update\(\) inside"):
        tg.jit(lambda x: average.update() or x)(tg.ones(2))
    state = average.state_dict()
    state["averages"]["0"] = np.zeros((4, 3), np.float32)
    with pytest.raises(tg.ShapeError, match=r"\(4, 3\) for \(4, 2\)"):
        average.load_state_dict(state)
    whole = average.state_dict()
    for bad in ({"decay": 5}, {"decay": "0.9"}, {"count": -1}, {"count": 2.5}, {"count": True}):
        with pytest.raises(ValueError, match=f"AveragedWeights: {min(bad)} must be a"):
            average.load_state_dict({**whole, **bad})
    assert (average.decay, average.count) == (0.6, 2)
    model.astype("float64")
    with pytest.raises(tg.DTypeError, match="make it after converting"):
        average.update()
    for bad in (1.0, -0.1, float("nan"), "0.9"):
        with pytest.raises(
            ValueError, match=r"AveragedWeights: decay must be a number in \[0, 1\)"
        ):
            optim.AveragedWeights([tg.ones(2)], bad)
