"""Weight normalisation against PyTorch's parametrization, and what only we have: loops, the jit."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrizations, parametrize

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.testing import check_jit

LAYERS: dict[str, tuple[tuple[Any, ...], dict[str, Any], list[str]]] = {
    "Linear": ((3, 4), {}, ["weight"]),
    "RNN": ((3, 4), {"num_layers": 2}, ["weight_hh_l0", "weight_ih_l1"]),
    "GRU": ((3, 4), {"bidirectional": True}, ["weight_hh_l0_reverse"]),
    "LSTM": ((3, 4), {"bias": False}, ["weight_hh_l0", "weight_ih_l0"]),
    "LSTM projected": ((3, 4), {"proj_size": 2}, ["weight_hr_l0", "weight_hh_l0"]),
    "LSTMCell": ((3, 4), {}, ["weight_hh"]),
}


def both(kind: str, axis: int | None) -> tuple[Any, Any]:
    sizes, options, names = LAYERS[kind]
    kind = kind.split()[0]
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(*sizes, **options).double()
    ours = getattr(nn, kind)(*sizes, **options).astype("float64")
    for name in names:
        parametrizations.weight_norm(theirs, name, dim=axis)
        assert nn.weight_norm(ours, name, axis) is ours
    state = {n: v * (1 + 0.1 * torch.rand_like(v)) for n, v in theirs.state_dict().items()}
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    return ours, theirs


def output(model: Any, x: Any) -> Any:
    y = model(x)
    while isinstance(y, tuple):
        y = y[0]
    return y


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("kind", LAYERS)
def test_values_gradients_and_names(kind: str, axis: int | None) -> None:
    ours, theirs = both(kind, axis)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    data = np.random.default_rng(0).standard_normal((5, 3) if "Cell" in kind else (6, 5, 3))
    y, z = output(ours, tg.tensor(data)), output(theirs, torch.tensor(data))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10)
    (y * y).sum().backward()
    (z * z).sum().backward()
    wanted = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), wanted[name].grad.numpy(), rtol=1e-8, atol=1e-12)
    assert check_jit(
        tg.jit(lambda x: output(ours, x)), tg.tensor(data), parameters=ours.parameters()
    )
    for name in LAYERS[kind][2]:
        nn.remove_weight_norm(ours, name)
        parametrize.remove_parametrizations(theirs, name)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    np.testing.assert_allclose(output(ours, tg.tensor(data)).numpy(), y.numpy(), rtol=1e-12)
    assert "parametrizations" not in vars(ours)


class Inside(nn.Module):
    def __init__(self) -> None:
        self.W = nn.weight_norm(nn.Linear(3, 3))

    def forward(self, x: Any, h: Any) -> Any:
        return tg.tanh(self.W(h) + x.float())


def roots(y: Any) -> int:
    """How many square roots led to y."""
    seen, stack = {}, [y.node]
    while stack:
        node = stack.pop()
        if node.seq not in seen:
            seen[node.seq] = node.op.name
            stack += [p for p in node.inputs if hasattr(p, "seq")]
    return list(seen.values()).count("sqrt")


def test_it_is_computed_once_a_sequence_and_seen_by_the_jit() -> None:
    layer = nn.GRU(3, 4).astype("float64")
    x = tg.randn(6, 2, 3, dtype="float64")
    fast = tg.jit(lambda x: layer(x)[0])
    fast(x)
    nn.weight_norm(layer, "weight_hh_l0")
    y = layer(x)[0]
    assert roots(y) == 1
    inside = Inside()
    assert roots(nn.unroll(inside, x, tg.zeros(2, 3))[0]) == 1
    with pytest.raises(tg.ShapeError):
        nn.unroll(inside, x, tg.zeros(2, 7))  # after which nothing is held
    inside.W.parametrizations["weight"].original0.assign_(np.zeros((3, 1)))
    assert not inside.W.weight.numpy().any()
    np.testing.assert_allclose(fast(x).numpy(), y.numpy(), rtol=1e-10)
    assert "loop of 6 steps" in fast.explain()
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (fast(x) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(fast(x).numpy(), layer(x)[0].numpy(), rtol=1e-10)
    assert not np.allclose(fast(x).numpy(), y.numpy())
    nn.remove_weight_norm(layer, "weight_hh_l0")
    np.testing.assert_allclose(fast(x).numpy(), layer(x)[0].numpy(), rtol=1e-10)


def test_in_a_loop_of_ones_own_it_leaves_the_loop() -> None:
    W = nn.weight_norm(nn.Linear(4, 4)).astype("float64")

    def run(x: Any) -> Any:
        h = tg.zeros(2, 4, dtype="float64")
        for x_t in x:
            h = tg.tanh(W(h) + x_t)
        return h

    fast = tg.jit(run)
    x = tg.randn(6, 2, 4, dtype="float64")
    assert check_jit(fast, x, parameters=W.parameters())
    assert "loop of 6 steps" in fast.explain()
    assert "\n  sqrt [4, 1]" in fast.explain()  # of the norm, before the loop


def test_copies_and_modes_and_what_is_refused() -> None:
    layer = nn.weight_norm(nn.LSTM(3, 4, zoneout=0.1), "weight_hh_l0")
    x = tg.randn(5, 2, 3)
    layer.eval()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(twin(x)[0].numpy(), layer(x)[0].numpy())
        twin.parametrizations["weight_hh_l0"].original0.assign_(np.zeros((16, 1)))
        assert not np.array_equal(twin(x)[0].numpy(), layer(x)[0].numpy())
    assert layer.weight_hh_l0.shape == (16, 4)
    with pytest.raises(tg.GraphError, match="weight_hh_l0 of LSTM is computed"):
        layer.weight_hh_l0 = nn.Parameter(np.ones((16, 4), "f"))
    for call, match in (
        (lambda: nn.weight_norm(layer, "weight_hh_l0"), "LSTM has no parameter 'weight_hh_l0'"),
        (lambda: nn.weight_norm(nn.Linear(2, 2, bias=False), "bias"), "no parameter 'bias'"),
        (lambda: nn.remove_weight_norm(layer, "weight_ih_l0"), "'weight_ih_l0' of LSTM has none"),
    ):
        with pytest.raises(tg.GraphError, match=match):
            call()
    with pytest.raises(tg.ShapeError, match="weight_norm: axis 2"):
        nn.weight_norm(nn.Linear(2, 2), axis=2)
    frozen = nn.Linear(2, 2).requires_grad_(False)
    assert not any(p.requires_grad for p in nn.weight_norm(frozen).parameters())
