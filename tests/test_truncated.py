"""Truncated backpropagation through time against sums written out, and PyTorch."""

import re
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.errors import GraphError

T, B, I, H = 23, 3, 2, 4
WINDOWS = [(1, 1), (1, 5), (3, 7), (5, 5), (4, 20), (1, T), (T, T), (5, 8)]


def influence(theta: Any, n: int = 23, plus: int = 10) -> tuple[Any, Any]:
    """Influence balancing: x <- A x + theta s, with A half of (1 + upper shift)."""
    A = 0.5 * (np.eye(n) + np.eye(n, k=1))
    s = np.where(np.arange(n) < plus, 1.0, -1.0)
    A_, s_ = tg.tensor(A), tg.tensor(s)

    def run(part: Any, x: Any) -> Any:
        for _ in range(part.shape[0]):
            x = A_ @ x + theta * s_
        return x[0], x

    return run, (A, s)


@pytest.mark.parametrize("K", [1, 10, 20, 40, 41, 45, 60, 80])
def test_influence_balancing_is_truncated_exactly(K: int) -> None:
    """The derivative of x_0 after K steps back: the sum of the first K terms of (A^j s)_0."""
    theta = tg.tensor(np.array(0.5), requires_grad=True)
    run, (A, s) = influence(theta)
    windows = train.tbptt(run, np.zeros((100, 1)), tg.tensor(np.zeros(23)), k1=1, k2=K)
    *_, last = windows
    last.loss.backward()
    expected = sum((np.linalg.matrix_power(A, j) @ s)[0] for j in range(K))
    assert theta.grad is not None
    assert theta.grad.item() == pytest.approx(expected, abs=1e-9)
    if K in (40, 80):  # published: the sign is wrong up to 40 steps, -6 is the true value
        assert theta.grad.item() == pytest.approx({40: 0.57, 80: -6.0}[K], abs=0.01)


class Two(nn.Module):
    """Two layers, whose state is a list of theirs."""

    def __init__(self) -> None:
        self.below, self.top = nn.LSTMCell(I, H), nn.GRUCell(H, H)

    def forward(self, x: Any, state: Any) -> Any:
        below = self.below(x, state[1])
        return [self.top(below[0], state[0]), below]


def cell_of(kind: str) -> tuple[nn.Module, Any]:
    if kind == "two":
        h = tg.zeros(B, H, dtype="float64")
        return Two().astype("float64"), [h, (h, h)]
    cell = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell}[kind](I, H).astype("float64")
    zeros = tg.zeros(B, H, dtype="float64")
    return cell, (zeros, zeros) if kind == "lstm" else zeros


def runner(cell: Any, mask: bool) -> Any:
    """The sum of squared states over the steps of a part; `mask` leaves steps out, row by row."""

    def run(part: Any, state: Any) -> Any:
        loss: Any = 0.0
        for t in range(part["x"].shape[0]):
            state = cell(part["x"][t], state)
            h = state[0] if isinstance(state, tuple | list) else state
            square = tg.where(part["mask"][t], h * h, 0.0) if mask else h * h
            loss = loss + square.sum()
        return loss, state

    return run


def written_out(run: Any, params: list[Any], data: Any, start: Any, k1: int, k2: int) -> Any:
    """Each window's gradient from states that are stepped to one by one, from the very start."""
    found = []
    for fresh in range(0, T, k1):
        end = min(fresh + k1, T)
        state = start
        first = max(0, fresh + k1 - k2)
        for t in range(first):
            with tg.no_grad():
                _, state = run({k: v[t : t + 1] for k, v in data.items()}, state)
        total: Any = 0.0
        for t in range(first, end):
            loss, state = run({k: v[t : t + 1] for k, v in data.items()}, state)
            if t >= fresh:
                total = total + loss
        found.append([g.numpy() for g in tg.grad(total, params)])
    return found


def test_growing_windows_are_not_recorded_one_by_one() -> None:
    """Until k2 steps are there, each window is longer than the one before."""
    cell = nn.GRUCell(1, 2)

    def run(x: Any, h: Any) -> Any:
        loss = 0.0
        for x_t in x:
            h = cell(x_t, h)
            loss = loss + (h * h).sum()
        return loss, h

    fast = tg.jit(run)
    for window in train.tbptt(fast, tg.ones(24, 1, 1), tg.zeros(1, 2), k1=1, k2=16):
        window.loss.backward()
    assert fast._recordings.count == 4  # one of a step twice: its state from outside, from a step


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "two"])
@pytest.mark.parametrize(("k1", "k2"), WINDOWS)
def test_windows_equal_sums_written_out(k1: int, k2: int, kind: str, jit: bool) -> None:
    cell, start = cell_of(kind)
    rng = np.random.default_rng(0)
    lengths = np.array([T, 9, 15])
    data = {
        "x": tg.tensor(rng.standard_normal((T, B, I))),
        "mask": tg.tensor(np.arange(T)[:, None, None] < lengths[:, None]),
    }
    run = runner(cell, mask=True)
    params = list(cell.parameters())
    expected = written_out(run, params, data, start, k1, k2)
    windows = train.tbptt(tg.jit(run) if jit else run, data, start, k1, k2)
    for n, (window, grads) in enumerate(zip(windows, expected, strict=True)):
        cell.zero_grad()
        window.loss.backward()
        for p, g in zip(params, grads, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), g, rtol=1e-10, atol=1e-12)
        assert (window.fresh, window.first) == (n * k1, max(0, n * k1 + k1 - k2))
    assert window.end == T


def test_layers_with_states_of_two_layers() -> None:
    net = nn.LSTM(I, H, num_layers=2).astype("float64")
    x = tg.tensor(np.random.default_rng(1).standard_normal((12, B, I)))

    def run(part: Any, state: Any) -> Any:
        y, state = net(part, state)
        return (y * y).sum(), state

    windows = list(train.tbptt(run, x, None, 4))
    state = None
    for k, window in enumerate(windows):
        net.zero_grad()
        y, state = net(x[4 * k : 4 * k + 4], state)
        (y * y).sum().backward()
        expected = [p.grad.numpy().copy() for p in net.parameters()]
        net.zero_grad()
        window.loss.backward()
        for p, g in zip(net.parameters(), expected, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), g, rtol=1e-12)
        state = train.detach(state)
        for ours, theirs in zip(window.state, state, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy())


def test_parameters_may_change_between_windows() -> None:
    cell, start = cell_of("rnn")
    optimizer = optim.SGD(cell.parameters(), lr=1e-2)
    run = runner(cell, mask=False)
    x = tg.tensor(np.random.default_rng(1).standard_normal((40, B, I)))
    losses = []
    for window in train.tbptt(run, {"x": x}, start, 2, 6):
        optimizer.zero_grad()
        window.loss.backward()
        optimizer.step()
        losses.append(window.loss.item())
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_a_graph_is_no_longer_than_its_window() -> None:
    cell, start = cell_of("rnn")
    run = runner(cell, mask=False)

    def nodes(loss: Any) -> int:
        seen, stack = set(), [loss.node]
        while stack:
            node = stack.pop()
            if node.seq not in seen:
                seen.add(node.seq)
                stack += [p for p in node.inputs if type(p) is type(node)]
        return len(seen)

    x = tg.tensor(np.zeros((60, B, I)))
    sizes = [nodes(w.loss) for w in train.tbptt(run, {"x": x}, start, 5, 10)]
    assert len(set(sizes[2:])) == 1


class Stateful(nn.Module):
    """Keeps its state to itself, and forgets to cut it off."""

    def __init__(self) -> None:
        self.cell = nn.RNNCell(I, H)
        self.kept = tg.zeros(B, H)

    def forward(self, part: Any, state: Any) -> Any:
        for x_t in part:
            self.kept = self.cell(x_t, self.kept)
        self.kept.name = "kept"
        return self.kept.sum(), state


def test_a_state_that_links_too_far_back_is_named() -> None:
    windows = train.tbptt(Stateful(), tg.ones(12, B, I), None, 4)
    next(windows)
    with pytest.raises(
        GraphError, match=r"steps 4 to 7 still links to 'kept' of steps 0 to 3 \(made"
    ):
        next(windows)


@pytest.mark.parametrize(
    ("whole", "kept", "words"),
    [
        (6, 3, "of steps 50 to 59 still links to 'h' of steps 30 to 39 (made by tanh, step 9"),
        (530, 3, "links to 'h' of a step before 170 (made"),
    ],
)
def test_how_far_back_a_kept_state_links(whole: int, kept: int, words: str) -> None:
    """Of 512 windows the steps are known; what is older is said to be older."""
    cell, states = nn.RNNCell(1, 1), []

    def run(part: Any, h: Any) -> Any:
        for x_t in part:
            h = cell(x_t, h)
        states.append(h)
        return (h + states[kept] if len(states) == whole else h).sum(), h

    with pytest.raises(GraphError, match=re.escape(words)):
        for _ in train.tbptt(run, np.ones((5400, 1, 1), np.float32), tg.zeros(1, 1), 10):
            pass


def test_a_state_that_reaches_further_back_than_it_is_itself_says_so() -> None:
    cell, kept = nn.RNNCell(1, 1), [tg.zeros(1, 1)]

    def run(part: Any, h: Any) -> Any:
        for x_t in part:
            h = cell(x_t, h)
            kept[0] = kept[0] + h
        return (kept[0] if len(part) == 1 else h).sum(), h

    words = (
        r"steps 6 to 6 still links to a state of steps 3 to 5 \(made by add.*back to steps 0 to 2"
    )
    with pytest.raises(GraphError, match=words):
        list(train.tbptt(run, np.ones((7, 1, 1), np.float32), tg.zeros(1, 1), 3))


class Pair(NamedTuple):
    """The state of an LSTM by name."""

    h: Any
    c: Any


CONTAINERS = {
    "named": (Pair, lambda s: (s.h, s.c)),
    "ordered": (lambda h, c: OrderedDict(h=h, c=c), lambda s: (s["h"], s["c"])),
    "default": (lambda h, c: defaultdict(list, h=h, c=c), lambda s: (s["h"], s["c"])),
    "list": (lambda h, c: [h, {"c": (c,)}], lambda s: (s[0], s[1]["c"][0])),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_carried_state_keeps_its_types(name: str) -> None:
    into, out_of = CONTAINERS[name]
    cell, seen = nn.LSTMCell(I, H), []
    x, start = tg.ones(T, B, I), (tg.zeros(B, H), tg.zeros(B, H))

    def run(part: Any, state: Any) -> Any:
        seen.append(state)
        h, c = out_of(state)
        for x_t in part:
            h, c = cell(x_t, (h, c))
        return into((h * h).sum(), c.sum()), into(h, c)

    def loss_of(part: Any, state: Any) -> Any:
        loss, state = run(part, state)
        return out_of(loss)[0], state

    *_, last = train.tbptt(loss_of, x, into(*start), 4, 8)
    outputs, state = train.recompute(run, x, into(*start))
    kinds = {type(s) for s in (last.state, outputs, state, train.detach(state), *seen)}
    assert kinds == {type(into(*start))}
    for ours, theirs in zip(out_of(last.state), out_of(state), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    data = train.StreamBatches(into(np.arange(8), np.arange(8)), 2, 2).take()
    assert type(data) is type(state)
    if name == "default":
        assert last.state["other"] == []


BAD = [
    ("k1-above-k2", {"k1": 5, "k2": 3}, ValueError, "k1=5 is more than k2=3"),
    ("k1-zero", {"k1": 0}, ValueError, "k1 must be a whole number"),
    ("k2-float", {"k1": 1, "k2": 2.0}, ValueError, "k2 must be a whole number"),
    ("state-list", {"k1": 1, "state": [3]}, TypeError, "a state must be a tensor"),
    ("uneven", {"k1": 1, "data": (np.ones(3), np.ones(4))}, ValueError, "3, 4 steps"),
    ("no-arrays", {"k1": 1, "data": 7}, TypeError, "steps first"),
    ("no-pair", {"k1": 1, "run": lambda x, s: x}, TypeError, r"must return \(loss, state\)"),
]


@pytest.mark.parametrize(("change", "kind", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_bad_calls_say_what_to_do(change: Any, kind: Any, words: str) -> None:
    given = {"run": lambda x, s: (x.sum(), s), "data": np.ones((3, 1)), "state": None, **change}
    with pytest.raises(kind, match=words):
        next(train.tbptt(**given))


def test_windows_inside_a_jitted_function_are_refused() -> None:
    cell = nn.GRUCell(1, 2)

    def run(part: Any, h: Any) -> Any:
        y, h = nn.unroll(cell, part, h)
        return (y * y).sum(), h

    @tg.jit
    def inside(x: Any) -> Any:
        return [w.loss for w in train.tbptt(run, x, tg.zeros(1, 2), 2)][-1]

    with pytest.raises(tg.CaptureError, match=r"test_truncated.py:\d+.*tbptt\(tg.jit\(run\)"):
        inside(tg.ones(4, 1, 1))
