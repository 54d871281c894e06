"""The figures on a gradient diagram against PyTorch's retain_grad and per-step parameters."""

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz

T, N, I, H = 7, 3, 4, 5
LOSSES = {
    "last": lambda ys, m: m(ys[-1] ** 2),
    "every": lambda ys, m: sum(m(y**2) for y in ys[1:]) + m(ys[0] ** 2),
}


def ours(kind, loss):
    """The table of a cell's plain loop in float64, and the cell."""
    cell = getattr(nn, f"{kind}Cell")(I, H, generator=tg.Generator(3)).astype("float64")
    x = tg.tensor(np.random.default_rng(0).standard_normal((T, N, I)))
    state, ys = None, []
    for x_t in x:
        state = cell(x_t, state)
        ys.append(state[0] if kind == "LSTM" else state)
    return viz.gradient_flow(LOSSES[loss](ys, lambda a: a.mean())).table(), cell


def theirs(kind, loss, cell):
    """Norms of the gradients of h_t, c_t, and of each step's own copy of the weights."""
    x = torch.tensor(np.random.default_rng(0).standard_normal((T, N, I)))
    net = getattr(torch.nn, f"{kind}Cell")(I, H).double()
    state, ys, kept, copies = None, [], [], []
    for x_t in x:
        copy = {n: torch.tensor(p.numpy(), requires_grad=True) for n, p in cell.named_parameters()}
        copies.append(copy)
        state = torch.func.functional_call(net, copy, (x_t,) if state is None else (x_t, state))
        parts = state if kind == "LSTM" else (state,)
        for part in parts:
            part.retain_grad()
        kept.append(parts)
        ys.append(parts[0])
    LOSSES[loss](ys, lambda a: a.mean()).backward()
    states = [[float(p.grad.norm()) for p in parts] for parts in kept]
    weights = {n: [float(c[n].grad.norm()) for c in copies] for n in copies[0]}
    return np.array(states).T, weights


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_states_and_shared_weights_by_step(kind, loss):
    table, cell = ours(kind, loss)
    states, weights = theirs(kind, loss, cell)
    for letter, wanted in zip("hc", states, strict=False):
        found = table.states[f"{kind}Cell.{letter}"]
        np.testing.assert_array_equal(found["step"], np.arange(T))
        np.testing.assert_allclose(found["norm"], wanted, rtol=1e-9, err_msg=letter)
    for name, wanted in weights.items():
        found = table.parameters[f"{kind}Cell.{name}"]
        np.testing.assert_allclose(found["norm"], wanted, rtol=1e-9, atol=1e-15, err_msg=name)
        assert len(found["step"]) == T


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_what_the_last_loss_alone_sends(kind):
    """Under losses at every step; PyTorch's loss is the last one's share."""
    table, cell = ours(kind, "every")
    states, _ = theirs(kind, "last", cell)
    for letter, wanted in zip("hc", states, strict=False):
        found = table.states[f"{kind}Cell.{letter}"]["alone"]
        np.testing.assert_allclose(found, wanted, rtol=1e-9, err_msg=letter)
