"""Subgradients, optimisers, layers without recurrence and tied weights against PyTorch."""

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim

TIES = [
    ("abs", tg.abs, torch.abs, [[0.0, -0.0, 2.0]]),
    ("relu", tg.relu, torch.relu, [[0.0, -1.0, 1.0]]),
    ("maximum", tg.maximum, torch.maximum, [[1.0, 2.0], [1.0, 3.0]]),
    ("minimum", tg.minimum, torch.minimum, [[1.0, 2.0], [1.0, 3.0]]),
    ("clip", lambda x: tg.clip(x, -1.0, 1.0), lambda x: torch.clamp(x, -1, 1), [[-1.0, 1.0, 3.0]]),
    (
        "clip's bounds",
        tg.clip,
        lambda x, low, high: torch.clamp(x, low, high),
        [[-2.0, -1.0, 0.5, 1.0, 3.0, 2.0], [-1.0], [1.0, 1.0, 1.0, 1.0, 1.0, -3.0]],
    ),
    ("amax", lambda x: tg.max(x, axis=0), lambda x: torch.amax(x, 0), [[2.0, 2.0, 1.0]]),
    ("amin", lambda x: tg.min(x, axis=0), lambda x: torch.amin(x, 0), [[2.0, 1.0, 1.0]]),
    ("std of a constant", tg.std, lambda x: torch.std(x, correction=0), [[3.0, 3.0, 3.0]]),
    *[
        (f"{name} with {k} zeros", ours, theirs, [[0.0] * k + [2.0, 0.5, -3.0]])
        for k in range(3)
        for name, ours, theirs in (
            ("prod", tg.prod, torch.prod),
            ("cumprod", lambda x: tg.cumprod(x, axis=0), lambda x: torch.cumprod(x, 0)),
        )
    ],
    ("atan2 at the origin", tg.atan2, torch.atan2, [[0.0, 1.0], [0.0, 0.0]]),
    ("hypot at the origin", tg.hypot, torch.hypot, [[0.0, 1.0], [0.0, 0.0]]),
    (
        "sort with ties",
        lambda x: tg.sort(x, axis=0),
        lambda x: torch.sort(x, stable=True)[0],
        [[2.0, 1.0, 2.0]],
    ),
    ("norm", tg.norm, torch.linalg.vector_norm, [[0.0, 0.0]]),
    ("x**0", lambda x: x**0, lambda x: x**0, [[0.0, 2.0]]),
    ("0**x", lambda x: 0.0**x, lambda x: 0.0**x, [[0.0, 2.0]]),
    ("x**3 at 0", lambda x: x**3, lambda x: x**3, [[0.0, -2.0]]),
    ("x**x", tg.pow, torch.pow, [[0.0, 1.5], [2.0, 0.0]]),
    ("sqrt at 0", tg.sqrt, torch.sqrt, [[0.0, 4.0]]),
    ("softmax of -inf", tg.softmax, lambda x: torch.softmax(x, -1), [[-np.inf, 0.0, 1.0]]),
]


@pytest.mark.parametrize(("name", "ours", "theirs", "inputs"), TIES, ids=[t[0] for t in TIES])
def test_subgradients(name, ours, theirs, inputs):
    a = [tg.tensor(np.array(x), requires_grad=True) for x in inputs]
    b = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    with np.errstate(all="ignore"):
        y, z = ours(*a), theirs(*b)
        (y * y + 2 * y).sum().backward()
        (z * z + 2 * z).sum().backward()
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)


def test_second_derivatives_of_a_product_with_zeros():
    for row in ([0.0, 2.0, 3.0], [0.0, 0.0, 3.0]):
        for ours, theirs in (
            (tg.prod, torch.prod),
            (lambda x: tg.cumprod(x, axis=0).sum(), lambda x: torch.cumprod(x, 0).sum()),
        ):
            a = tg.tensor(np.array(row), requires_grad=True)
            b = torch.tensor(row, dtype=torch.float64, requires_grad=True)
            first = tg.grad(ours(a), a, create_graph=True)
            (one,) = torch.autograd.grad(theirs(b), b, create_graph=True)
            (first * first).sum().backward()
            (one * one).sum().backward()
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12)


OPTIMISERS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.01, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.2}),
]


@pytest.mark.parametrize(("name", "options"), OPTIMISERS)
def test_optimisers(name, options):
    start = np.linspace(-1, 2, 7)
    w, v = tg.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    a, b = getattr(optim, name)([w], **options), getattr(torch.optim, name)([v], **options)
    for _ in range(8):
        a.zero_grad()
        b.zero_grad()
        (w**4 + w).sum().backward()
        (v**4 + v).sum().backward()
        optim.clip_grad_value_([w], 3.0)
        torch.nn.utils.clip_grad_value_([v], 3.0)
        a.step()
        b.step()
    np.testing.assert_allclose(w.numpy(), v.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize(("name", "options"), OPTIMISERS)
def test_optimisers_where_gradients_come_and_go(name, options):
    """Each parameter is counted by itself: frozen at first, now and then, in every step."""
    used = [(1, 1, 1, 1, 1, 1), (0, 0, 0, 1, 1, 1), (1, 0, 1, 0, 1, 1), (0, 0, 0, 0, 0, 1)]
    start = np.random.default_rng(0).standard_normal((len(used), 3))
    ours = [tg.tensor(row, requires_grad=True) for row in start]
    theirs = [torch.tensor(row, requires_grad=True) for row in start]
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for t in range(6):
        for parameters, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            sum(((p**3).sum() for p, u in zip(parameters, used, strict=True) if u[t])).backward()
            optimizer.step()
        again = getattr(optim, name)(ours, **options)  # the counts are part of the state
        again.load_state_dict(a.state_dict())
        a = again
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-10)


def test_layers_without_recurrence():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4))
    for ours, theirs in (
        (nn.Linear(4, 5), torch.nn.Linear(4, 5)),
        (nn.LayerNorm(4), torch.nn.LayerNorm(4)),
    ):
        theirs, ours = theirs.double(), ours.astype("float64")
        ours.load_state_dict(theirs.state_dict())
        X, Z = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        (ours(X) ** 3).sum().backward()
        (theirs(Z) ** 3).sum().backward()
        np.testing.assert_allclose(X.grad.numpy(), Z.grad.numpy(), rtol=1e-9, atol=1e-12)
        for name, p in ours.named_parameters():
            wanted = dict(theirs.named_parameters())[name].grad.numpy()
            np.testing.assert_allclose(p.grad.numpy(), wanted, rtol=1e-9, atol=1e-12)
    table = torch.nn.Embedding(5, 3)
    own = nn.Embedding(5, 3)
    own.load_state_dict(table.state_dict())
    ids = np.array([[0, 4], [4, 4]])
    (own(tg.tensor(ids)) ** 2).sum().backward()
    (table(torch.tensor(ids)) ** 2).sum().backward()
    np.testing.assert_allclose(own.weight.grad.numpy(), table.weight.grad.numpy(), rtol=1e-6)


class Tied(torch.nn.Module):
    """A language model whose table is its read-out, and one layer used under two names."""

    def __init__(self):
        super().__init__()
        self.table, self.out = torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5)
        self.out.weight = self.table.weight
        self.first = self.second = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh())

    def forward(self, i):
        return self.out(self.second(self.first(self.table(i))))


class OwnTied(nn.Module):
    def __init__(self):
        self.table, self.out = nn.Embedding(5, 3), nn.Linear(3, 5)
        self.out.weight = self.table.weight
        self.first = self.second = nn.Sequential(nn.Linear(3, 3), tg.tanh)

    forward = Tied.forward


def test_tied_weights_go_by_all_their_names():
    theirs, ours = Tied().double(), OwnTied().astype("float64")
    state = theirs.state_dict()
    ours.load_state_dict(state)
    assert sorted(ours.state_dict()) == sorted(state)
    assert len(ours.parameters()) == len(list(theirs.parameters()))
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    i = np.array([0, 4, 4])
    a, b = ours(tg.tensor(i)), theirs(torch.tensor(i))
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14)
    (a * a).sum().backward()
    (b * b).sum().backward()
    np.testing.assert_allclose(
        ours.table.weight.grad, theirs.table.weight.grad, rtol=1e-12, atol=1e-14
    )
    one = {k: v for k, v in state.items() if not k.startswith(("second", "out.weight"))}
    ours.load_state_dict(one)  # one of the names is enough
    with pytest.raises(tg.ShapeError, match=r"shared: table\.weight and out\.weight are one here"):
        ours.load_state_dict({**state, "out.weight": torch.zeros(5, 3)})
    with pytest.raises(tg.ShapeError, match=r"missing: table\.weight"):
        ours.load_state_dict({"first.0.weight": state["first.0.weight"]})


def test_pytorchs_tensors_are_taken_by_value_or_refused_by_name():
    theirs = torch.ones(2, 3)
    assert tg.tensor(theirs).shape == (2, 3)
    assert (tg.zeros(3) + theirs).tolist() == [[1.0] * 3] * 2
    free = theirs.clone().requires_grad_()
    for call in (tg.tensor, tg.asarray, lambda x: tg.zeros(3) + x, tg.nn.Linear(3, 1)):
        with pytest.raises(tg.DTypeError, match=r"torch.Tensor requires a gradient, .* x.detach"):
            call(free)
    for layer in (tg.nn.LSTM(3, 1), tg.nn.GRUCell(3, 1)):
        with pytest.raises(tg.DTypeError, match=r"x must be a Tensor, got torch\.Tensor; use tg"):
            layer(theirs)


@pytest.mark.parametrize("op", [tg.tanh, tg.sum, tg.matmul, tg.softmax, tg.concat])
@pytest.mark.parametrize("grad", [False, True])
def test_a_tensor_of_pytorchs_alone_is_refused_with_the_way_in(op, grad):
    x = torch.ones(2, 2, requires_grad=grad)
    args = ([x, x],) if op is tg.concat else (x, x) if op is tg.matmul else (x,)
    with pytest.raises(tg.DTypeError, match=r"got torch\.Tensor; use tg\.tensor"):
        op(*args)
