"""Recomputed segments against the same loop in one piece, to the last bit."""

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, train, viz
from tinygrad_rnn.errors import CaptureError, GraphError, ShapeError
from tinygrad_rnn.graph import Node
from tinygrad_rnn.ops.random import Generator

T, B, I, H = 23, 3, 2, 4
BUDGETS = [{}, {"length": 1}, {"length": 5}, {"length": 99}, {"segments": 1}, {"segments": 7}]
KINDS = ["rnn", "lstm", "gru", "dict", "two"]


class Net(nn.Module):
    """A loop whose state is a tensor, a tuple, a dict or a list, with dropout and two outputs."""

    def __init__(self, kind: str, dtype: str = "float64"):
        self.kind = kind
        make = {"rnn": nn.RNNCell, "gru": nn.GRUCell}.get(kind, nn.LSTMCell)
        self.cell, self.top = make(I, H), nn.GRUCell(H, H)
        self.generator = Generator(7)
        self.astype(dtype)

    def start(self) -> Any:
        h, c, top = (tg.randn(B, H).astype(self.cell.weight_hh.dtype) for _ in range(3))
        h.requires_grad = True
        return {"lstm": (h, c), "dict": {"h": h, "c": c}, "two": [(h, c), top]}.get(self.kind, h)

    def step(self, x: Any, s: Any) -> tuple[Any, Any]:
        if self.kind == "dict":
            h, c = self.cell(x, (s["h"], s["c"]))
            return h, {"h": h, "c": c}
        if self.kind == "two":
            s = [self.cell(x, s[0]), s[1]]
            s[1] = self.top(tg.dropout(s[0][0], 0.2, generator=self.generator), s[1])
            return s[1], s
        s = self.cell(x, s)
        return (s[0] if self.kind == "lstm" else s), s

    def forward(self, part: Any, s: Any) -> tuple[Any, Any]:
        total, found = 0.0, []
        for x_t, w_t in zip(part["x"], part["w"], strict=True):
            h, s = self.step(x_t, s)
            h = tg.dropout(h, 0.3)
            total = total + (w_t * h * h).sum()
            found.append(h)
        return {"loss": total, "states": tg.stack(found)}, s


def case(kind: str, dtype: str = "float64") -> tuple[Net, Any, Any]:
    tg.manual_seed(3)
    net = Net(kind, dtype)
    rng = np.random.default_rng(0)
    data = {"x": tg.tensor(rng.standard_normal((T, B, I)).astype(dtype), requires_grad=True)}
    data["w"] = tg.tensor(rng.random((T, B, 1)).astype(dtype))
    return net, data, net.start()


def through(call: Any, kind: str, dtype: str = "float64") -> dict[str, Any]:
    """Everything that comes out of one forward and backward pass."""
    net, data, start = case(kind, dtype)
    out, state = call(net, data, start)
    last = train.nested.leaves(state)
    loss = out["loss"] + (out["states"] ** 3).sum() + sum((s * s).sum() for s in last)
    loss.backward()
    tensors = [data["x"], train.nested.leaves(start)[0], *net.parameters()]
    return {
        "grads": [p.grad.numpy() for p in tensors if p.grad is not None],
        "values": [out["states"].numpy(), *[s.numpy() for s in last]],
        "random": (tg.ops.random.default_generator.state, net.generator.state),
        "loss": loss.item(),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_whole_loop(kind: str, budget: Any, dtype: str) -> None:
    plain = through(lambda net, x, s: net(x, s), kind, dtype)
    ours = through(lambda net, x, s: train.recompute(net, x, s, **budget), kind, dtype)
    assert len(ours["grads"]) == len(plain["grads"]) > 4
    for what in ("grads", "values"):
        for a, b in zip(ours[what], plain[what], strict=True):
            np.testing.assert_array_equal(a, b)
    assert ours["random"] == plain["random"]
    assert ours["loss"] == pytest.approx(
        plain["loss"], rel={"float32": 1e-6, "float64": 1e-13}[dtype]
    )  # a sum of sums


@pytest.mark.parametrize("budget", BUDGETS[:4], ids=str)
@pytest.mark.parametrize("kind", ["lstm", "two"])
def test_a_jitted_segment_has_the_gradients_of_the_eager_loop(kind: str, budget: Any) -> None:
    plain = through(lambda net, x, s: net(x, s), kind)
    ours = through(lambda net, x, s: train.recompute(tg.jit(net), x, s, **budget), kind)
    for a, b in zip(ours["grads"], plain["grads"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())
    assert ours["random"] == plain["random"]


def test_a_layer_is_a_run() -> None:
    tg.manual_seed(0)
    net = nn.LSTM(I, H, num_layers=2).astype("float64")
    x = tg.randn(T, B, I).astype("float64")
    grads = []
    for call in (net, lambda x: train.recompute(net, x)):
        net.zero_grad()
        y, (h, _) = call(x)
        assert (y.shape, h.shape) == ((T, B, H), (2, B, H))
        ((y * y).sum() + (h**3).sum()).backward()
        grads.append([p.grad.numpy() for p in net.parameters()])
    for a, b in zip(*grads, strict=True):  # its products are of all steps of a part together
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_segments_within_segments() -> None:
    inner = lambda net: lambda x, s: train.recompute(net, x, s, 2)  # noqa: E731
    plain = through(lambda net, x, s: net(x, s), "two")
    ours = through(lambda net, x, s: train.recompute(inner(net), x, s, 7), "two")
    for a, b in zip(ours["grads"], plain["grads"], strict=True):
        np.testing.assert_array_equal(a, b)
    assert ours["random"] == plain["random"]


def test_states_between_are_not_kept() -> None:
    """Of T steps there are nodes for the borders only, during the sweep for one segment more."""
    gc.collect()
    before = sum(type(o) is Node for o in gc.get_objects())  # no property of a stranger runs

    def alive() -> int:
        return sum(type(o) is Node for o in gc.get_objects()) - before

    cell, x = nn.RNNCell(I, H), tg.ones(400, B, I)
    most = []

    def run(part: Any, h: Any) -> Any:
        for x_t in part:
            h = cell(x_t, h)
        most.append(alive())
        return (h * h).sum(), h

    loss, _ = train.recompute(run, x, tg.zeros(B, H))
    assert alive() < 20 * 5
    loss.backward()
    assert max(most) < 20 * 5 + 20 * 12
    with tg.no_grad():
        free, _ = train.recompute(run, x, tg.zeros(B, H))
    assert not free.requires_grad
    assert free.item() == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("swept", [True, False])
def test_reference_counting_frees_segments(swept: bool) -> None:
    _, run, x = small()
    gc.collect()
    gc.disable()
    try:
        y, h = train.recompute(run, x, tg.zeros(B, H, dtype="float64"), 2)
        if swept:
            (y.sum() + h.sum()).backward()
        del y, h
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_forward_passes_in_several_threads_and_one_backward() -> None:
    """Nodes of both threads may come between the results of one segment."""
    cell, run, x = small()
    start = tg.zeros(B, H, dtype="float64")

    def squares(y: Any, h: Any) -> Any:
        return (y * y).sum() + (h**3).sum()

    expected = tg.grad(squares(*run(x, start)), cell.weight_hh).numpy() * 8
    with ThreadPoolExecutor(4) as pool:
        done = pool.map(lambda _: train.recompute(run, x, start, 1), range(8))
        loss = sum(squares(*result) for result in done)
    loss.backward()
    np.testing.assert_allclose(cell.weight_hh.grad.numpy(), expected, rtol=1e-12)


def small() -> tuple[Any, Any, Any]:
    """A cell, its run and data."""
    tg.manual_seed(0)
    cell = nn.RNNCell(I, H).astype("float64")
    x = tg.randn(12, B, I).astype("float64")

    def run(part: Any, h: Any) -> Any:
        found = []
        for x_t in part:
            h = cell(x_t, h)
            found.append(h)
        return tg.stack(found), h

    return cell, run, x


def test_retained_graphs_hooks_and_grad() -> None:
    cell, run, x = small()
    h0 = tg.zeros(B, H, dtype="float64")
    h0.requires_grad = True
    results = []
    for call in (run, lambda x, h: train.recompute(run, x, h, 5)):
        seen: list[Any] = []
        y, h = call(x, h0)
        y.register_hook(lambda g, s=seen: s.append(g.numpy()))
        h.register_hook(lambda g: g * 2)
        h.retain_grad()
        loss = (y * y).sum() + (h**3).sum()
        wanted = [*tg.grad(loss, [h0, cell.weight_hh, h], retain_graph=True)]
        cell.zero_grad()
        loss.backward(retain_graph=True)
        loss.backward()
        results.append(
            [*wanted, cell.weight_hh.grad, cell.bias_ih.grad, h.grad, *map(tg.tensor, seen)]
        )
        with pytest.raises(GraphError, match="retain_graph=True"):
            loss.backward()
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_segment_is_freed_by_the_sweep() -> None:
    w = tg.tensor([2.0], requires_grad=True)
    y, _ = train.recompute(lambda x, s: ((w * x).sum(), s), tg.ones(3), segments=1)
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(GraphError, match="freed by an earlier backward"):
        y.backward()
    assert w.grad.tolist() == [6.0]


def test_the_gradient_of_a_state_used_within_its_segment_and_outside() -> None:
    """What comes from outside and what comes from within are one gradient, hooks included."""
    w = tg.tensor(np.array(0.7), requires_grad=True)
    results = []
    for again in (False, True):

        def run(part: Any, h: Any) -> Any:
            first = tg.tanh(w * h + part[0])
            return {"first": first.sum(), "last": tg.tanh(w * first).sum()}, first * w

        h = tg.tensor(np.array([0.3, -0.2]), requires_grad=True)
        call = (lambda *a: train.recompute(run, *a)) if again else run
        out, state = call(tg.ones(1, 2, dtype="float64"), h)
        loss = out["last"] + out["first"] ** 2 + (state * out["first"]).sum()
        out["first"].register_hook(lambda g: g * 3)
        results.append(tg.grad(loss, [w, h, out["first"], state]))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_states_that_pass_through_and_constants_stay_what_they_are() -> None:
    h0 = tg.tensor([1.0, 2.0], requires_grad=True)

    def run(part: Any, s: Any) -> Any:
        return {"none": None, "known": part * 2}, (s[0], s[1] + 1)

    out, (h, k) = train.recompute(run, tg.ones(4, 2), (h0, tg.tensor([0])), 2)
    assert h is h0
    assert (k.tolist(), out["none"]) == ([2], None)
    assert (out["known"].requires_grad, out["known"].shape) == (False, (4, 2))


def test_what_was_changed_in_between_is_named() -> None:
    cell, run, x = small()
    y, _ = train.recompute(run, x, tg.zeros(B, H, dtype="float64"), 5)
    cell.weight_hh.name = "W"
    cell.weight_hh.assign_(cell.weight_hh * 2)
    with pytest.raises(GraphError, match="changed in place after the forward pass"):
        y.sum().backward()
    assert cell.weight_hh.grad is None
    y, _ = train.recompute(run, x, tg.zeros(B, H, dtype="float64"), 5)
    x.assign_(x * 2)
    with pytest.raises(GraphError, match="changed in place"):
        y.sum().backward()


def test_a_run_that_is_not_the_same_twice_is_refused() -> None:
    cell, run, x = small()
    calls: list[int] = []

    def counts(part: Any, h: Any) -> Any:
        calls.append(1)
        y, h = run(part, h)
        return y, h * len(calls)

    y, _ = train.recompute(counts, x, tg.zeros(B, H, dtype="float64"))
    with pytest.raises(GraphError, match="came out differently"):
        y.sum().backward()
    assert cell.weight_hh.grad is None


def test_an_error_in_the_second_run_leaves_everything_as_it_was() -> None:
    cell, run, x = small()
    fail = False

    def fails(part: Any, h: Any) -> Any:
        y, h = run(part, tg.dropout(h, 0.5))
        if fail:
            raise RuntimeError("no")
        return y, h

    y, _ = train.recompute(fails, x, tg.zeros(B, H, dtype="float64"), 5)
    state, fail = tg.ops.random.default_generator.state, True
    with pytest.raises(RuntimeError, match="no"):
        y.sum().backward(retain_graph=True)
    assert cell.weight_hh.grad is None
    assert tg.ops.random.default_generator.state == state
    fail = False
    y.sum().backward()
    assert cell.weight_hh.grad is not None


def test_higher_derivatives_pictures_and_captures() -> None:
    cell, run, x = small()
    h0 = tg.zeros(B, H, dtype="float64")
    y, _ = train.recompute(run, x, h0)
    loss = y.sum()
    with pytest.raises(GraphError, match="first derivatives"):
        tg.grad(loss, cell.weight_hh, create_graph=True)
    with pytest.raises(GraphError, match=r"viz: train\.recompute"):
        viz.gradient_flow(loss)
    assert "recomputed" in viz.unrolled(loss).source
    with pytest.raises(CaptureError, match=r"recompute\(tg\.jit\(run\), data, state\)"):
        tg.jit(lambda x: train.recompute(run, x, h0)[0])(x)


def test_anomalies_name_the_step() -> None:
    w = tg.tensor([0.0], requires_grad=True)

    def run(part: Any, h: Any) -> Any:
        for x_t in part:
            h = tg.sqrt(w * x_t) + h
        return None, h

    _, h = train.recompute(run, tg.ones(4, 1), tg.zeros(1), 2)
    with pytest.raises(tg.AnomalyError, match="step 1"), tg.detect_anomaly():
        with np.errstate(all="ignore"):
            h.sum().backward()


BAD = [
    ("length", {"length": 0}, ValueError, "length must be a whole number"),
    ("segments", {"segments": 2.0}, ValueError, "segments must be a whole number"),
    ("both", {"length": 2, "segments": 2}, ValueError, "not both"),
    ("empty", {"data": np.ones((0, 2))}, ValueError, "no steps"),
    ("uneven", {"data": (np.ones(3), np.ones(4))}, ValueError, "3, 4 steps"),
    ("no-arrays", {"data": 7}, TypeError, "recompute: data must be"),
    ("no-pair", {"run": lambda x, s: x}, TypeError, r"must return \(outputs, state\)"),
    ("number", {"run": lambda x, s: (1.0, s)}, TypeError, "must be tensors"),
    ("rows", {"run": lambda x, s: (x.sum(axis=0), s)}, ShapeError, r"reduce it with \.sum\(\)"),
    ("both-ways", {"run": nn.LSTM(2, 3, bidirectional=True)}, ValueError, "bidirectional"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind", "words"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_bad_calls_say_what_to_do(change: Any, kind: Any, words: str) -> None:
    given = {"run": lambda x, s: (x.sum(), s), "data": np.ones((3, 2)), **change}
    with pytest.raises(kind, match=words):
        train.recompute(**given)
