"""tg.save and tg.load; what training keeps goes through a file bit for bit."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim


def parts():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    optimizer = optim.Adam(
        [{"params": model[0].parameters()}, {"params": model[2].parameters(), "amsgrad": True}],
        0.05,
    )
    schedule = optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3),
            optim.lr_scheduler.CosineAnnealingLR(optimizer, 9),
        ],
        [3],
    )
    return model, optimizer, schedule, optim.AveragedWeights(model.parameters(), 0.9)


def train(model, optimizer, schedule, average, steps):
    x = tg.tensor(np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3))
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()
        schedule.step()
        average.update()


def test_a_training_goes_on_bit_for_bit(tmp_path):
    whole = parts()
    train(*whole, 5)
    state = {"parts": [part.state_dict() for part in whole], "random": tg.get_rng_state()}
    tg.save(tmp_path / "all.safetensors", state)
    train(*whole, 5)
    tg.manual_seed(9)
    again = parts()
    found = tg.load(tmp_path / "all.safetensors")
    for part, entry in zip(again, found["parts"], strict=True):
        part.load_state_dict(entry)
    tg.set_rng_state(found["random"])
    train(*again, 5)
    for a, b in zip(
        (*whole[0].parameters(), *whole[3].averages),
        (*again[0].parameters(), *again[3].averages),
        strict=True,
    ):
        assert np.array_equal(
            np.asarray(a.numpy() if hasattr(a, "numpy") else a),
            np.asarray(b.numpy() if hasattr(b, "numpy") else b),
        )


def test_tensors_are_saved_by_value(tmp_path):
    w = tg.ones(2, 3, requires_grad=True)
    tg.save(tmp_path / "w", {"a": w, "b": [w * 2, 3, None]})
    found = tg.load(tmp_path / "w")
    assert found["a"].tolist() == w.tolist()
    assert found["b"][0].tolist() == (w * 2).tolist()
    assert found["b"][1:] == [3, None]


WRONG = {
    "order": (lambda p: tg.save({"w": np.ones(1)}, p), "the path comes first"),
    "module": (lambda p: tg.save(p, nn.Linear(1, 1)), r"got a Linear; save its state"),
    "object": (lambda p: tg.save(p, {"w": object()}), "tg.save .*: w is a object"),
    "missing": (tg.load, "tg.load .*: cannot be read"),
    "folder": (lambda p: tg.save(p / "no" / "where", {}), "cannot be written"),
    "path": (lambda p: tg.load(np.ones(1)), "needs a path, got a ndarray"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name, tmp_path):
    call, message = WRONG[name]
    with pytest.raises(tg.CheckpointError, match=message):
        call(tmp_path / "a")
    assert not list(tmp_path.iterdir())


# the random state -----------------------------------------------------------------------------


def draws():
    x = tg.ones(4, 5, requires_grad=True)

    @tg.jit
    def noisy(x):
        h = x[0]
        for x_t in x:
            h = tg.dropout(tg.tanh(h + x_t), 0.3) + tg.rand(5)
        return h

    y = noisy(x)
    y.sum().backward()
    return [y.numpy(), x.grad.numpy(), tg.randn(3).numpy(), tg.dropout(tg.ones(9)).numpy()]


@pytest.mark.parametrize("form", [lambda s: s, list, lambda s: s.tolist(), tg.tensor])
def test_the_random_state_goes_round(form):
    for seed in (0, 2**64 - 1):
        tg.manual_seed(seed)
        tg.rand(3)
        state = tg.get_rng_state()
        assert state.dtype == np.uint64
        assert state.tolist() == [seed, 1]
        first = draws()
        tg.manual_seed(5)
        tg.set_rng_state(form(state))
        for a, b in zip(first, draws(), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("bad", [None, 3, [1], [1, 2, 3], [-1, 0], [0.0, 1.0], "12", [2**64, 0]])
def test_no_random_state(bad):
    before = tg.get_rng_state()
    with pytest.raises(tg.ShapeError, match="set_rng_state: needs"):
        tg.set_rng_state(bad)
    assert np.array_equal(tg.get_rng_state(), before)


def test_the_random_state_is_not_recorded():
    state = tg.get_rng_state()
    with pytest.raises(tg.CaptureError, match="set_rng_state inside"):
        tg.jit(lambda x: tg.set_rng_state(state) or x)(tg.ones(2))
    with pytest.raises(tg.CaptureError, match="the state of a generator is read"):
        tg.jit(lambda x: x + float(tg.get_rng_state()[0]))(tg.ones(2))
