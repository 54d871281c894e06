"""`tg.jit` against eager execution: layers, cells, modes, the graph around it, what cannot be
captured, and the cache."""

import gc
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from random_cells import check, random_cell

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn._tensor import count
from tinygrad_rnn.compiler import api, cache, layout, runtime, threads as sharing
from tinygrad_rnn.compiler.program import Interpreted
from tinygrad_rnn.errors import CaptureError, GraphError
from tinygrad_rnn.kernels._jit import DISABLED
from tinygrad_rnn.testing import GradcheckError, check_jit

pytestmark = pytest.mark.usefixtures("own_cache")
HERE = Path(__file__).parent
T, B, I, H = 7, 3, 2, 4


def series(*shape: int, dtype: str = "float64", grad: bool = True) -> Any:
    return tg.tensor(
        np.random.default_rng(1).standard_normal(shape).astype(dtype), requires_grad=grad
    )


def loops(fast: Any) -> int:
    """How many loops of the last program run as generated kernels; none may be refused."""
    compiled = fast._last.compiled
    assert not any(isinstance(s, Interpreted) for s in compiled.forward.steps)
    return len(compiled.forward.runners)


# equality ---------------------------------------------------------------------------------

LAYERS: list[tuple[str, Callable[[], Any], dict[str, Any], int]] = [
    ("rnn", lambda: nn.RNN(I, H), {}, 1),
    ("rnn-relu", lambda: nn.RNN(I, H, nonlinearity="relu"), {}, 1),
    ("lstm", lambda: nn.LSTM(I, H), {}, 1),
    ("lstm-no-bias", lambda: nn.LSTM(I, H, bias=False), {}, 1),
    ("lstm-two-layers-both-ways", lambda: nn.LSTM(I, H, 2, bidirectional=True), {}, 4),
    ("lstm-ragged", lambda: nn.LSTM(I, H), {"lengths": [7, 5, 2]}, 1),
    ("lstm-ragged-both-ways", lambda: nn.LSTM(I, H, bidirectional=True), {"lengths": [1, 7, 4]}, 2),
    ("lstm-batch-first", lambda: nn.LSTM(I, H, batch_first=True), {}, 1),
    ("gru", lambda: nn.GRU(I, H), {}, 1),
    ("gru-reset-before", lambda: nn.GRU(I, H, reset_after=False), {}, 1),
    ("gru-dropout", lambda: nn.GRU(I, H, 2, dropout=0.4), {}, 2),
]


@pytest.mark.parametrize(
    ("make", "options", "found"), [c[1:] for c in LAYERS], ids=[c[0] for c in LAYERS]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_layers_agree_with_eager(make: Any, options: Any, found: int, dtype: str) -> None:
    net = make().astype(dtype)
    x = series(*((B, T, I) if net.batch_first else (T, B, I)), dtype=dtype)
    fast = tg.jit(lambda x: net(x, **options))
    assert check_jit(fast, x, parameters=net.parameters())
    assert loops(fast) >= found


@pytest.mark.parametrize("length", [1, 2, 3, 50])
@pytest.mark.parametrize("batch", [1, 5])
def test_lengths_and_batches(length: int, batch: int) -> None:
    cell = nn.GRUCell(I, H).astype("float64")

    def run(x: Any) -> Any:
        h = tg.zeros(batch, H, dtype="float64")
        for x_t in x:
            h = cell(x_t, h)
        return h, (h * h).sum()

    assert check_jit(run, series(length, batch, I), parameters=cell.parameters())


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_float32_is_as_close_as_float32_can_be(cell: str) -> None:
    net = getattr(nn, cell)(I, 20)
    target = series(T, 9, 20, dtype="float32", grad=False)
    fast = tg.jit(lambda x: nn.mse_loss(net(x)[0], target))
    assert check_jit(fast, series(T, 9, I, dtype="float32"), parameters=net.parameters())


def textbook(W: Any, U: Any, b: Any, x: Any) -> Any:
    """An LSTM with eight weight matrices, as in a paper."""
    h = c = tg.zeros(x.shape[1], H, dtype="float64")
    out = []
    for x_t in x:
        z = [x_t @ W[k] + h @ U[k] + b[k] for k in range(4)]
        c = tg.sigmoid(z[0]) * c + tg.sigmoid(z[1]) * tg.tanh(z[2])
        h = tg.sigmoid(z[3]) * tg.tanh(c)
        out.append(h)
    return tg.stack(out)


def test_eight_matrices_become_one_product() -> None:
    rng = np.random.default_rng(0)
    W, U, b = (
        [tg.tensor(rng.standard_normal(s) / 2, requires_grad=True) for _ in range(4)]
        for s in ((I, H), (H, H), (H,))
    )
    fast = tg.jit(lambda x: textbook(W, U, b, x).sum())
    assert check_jit(fast, series(T, B, I), parameters=[*W, *U, *b])
    forward = fast.source.split("Written by")[1]
    assert forward.count("add_product(") == 3  # x @ W of a block, whole or in shards; h @ U
    assert "4 products of one left operand became one" in fast.explain()


def language_model(emb: Any, W: Any, tokens: Any) -> Any:
    h, total = tg.zeros(tokens.shape[1], H, dtype="float64"), 0.0
    for t in range(tokens.shape[0] - 1):
        h = tg.tanh(tg.take(emb, tokens[t]) + h @ W)
        total = total + nn.cross_entropy(h @ emb.T, tokens[t + 1])
    return total


def attention(K: Any, W: Any, x: Any) -> Any:
    h, out = tg.zeros(B, H, dtype=x.dtype), []
    for x_t in x:
        weights = tg.softmax((K * tg.expand_dims(h, 1)).sum(axis=2), axis=1)  # (B, S)
        context = (tg.expand_dims(weights, 2) * K).sum(axis=1)
        h = tg.tanh(context + x_t @ W)
        out.append(h)
    return tg.stack(out, axis=1)


def skips(W: Any, x: Any) -> Any:
    hs, total = [tg.zeros(B, H, dtype=x.dtype)] * 3, 0.0
    for t in range(x.shape[0]):
        hs.append(tg.tanh(x[t] @ W + hs[-1] * 0.5 + hs[-3] * 0.3))
        total = total + hs[-1].sum() * (t + 1)  # a number that moves
    return total, hs[-2], hs[4]


def two_steps(W: Any, x: Any) -> Any:
    """A block of two steps: even and odd ones do different things."""
    h = tg.zeros(B, H, dtype=x.dtype)
    for t in range(x.shape[0]):
        h = tg.tanh(x[t] @ W + h) if t % 2 == 0 else tg.sigmoid(h * 0.5)
    return h


def vector(W: Any, x: Any) -> Any:
    """One sequence, W @ h, states as vectors."""
    h = tg.zeros(H, dtype=x.dtype)
    for x_t in x:
        h = tg.tanh(W @ h + x_t.sum())
    return h


CELLS: list[tuple[str, Any, list[tuple[int, ...]], tuple[int, ...]]] = [
    ("attention", attention, [(B, 5, H), (I, H)], (T, B, I)),
    ("skips", skips, [(I, H)], (9, B, I)),
    ("two-steps", two_steps, [(I, H)], (12, B, I)),
    ("vector", vector, [(H, H)], (T, I)),
]


@pytest.mark.parametrize(
    ("fn", "shapes", "size"), [c[1:] for c in CELLS], ids=[c[0] for c in CELLS]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_cells_of_ones_own(fn: Any, shapes: Any, size: Any, dtype: str) -> None:
    rng = np.random.default_rng(2)
    weights = [
        tg.tensor((rng.standard_normal(s) * 0.4).astype(dtype), requires_grad=True) for s in shapes
    ]
    fast = tg.jit(lambda x: fn(*weights, x))
    assert check_jit(fast, series(*size, dtype=dtype), parameters=weights)
    assert loops(fast) == 1


def test_tokens_and_a_loss_at_every_step() -> None:
    rng = np.random.default_rng(3)
    emb, W = (tg.tensor(rng.standard_normal(s) / 2, requires_grad=True) for s in ((6, H), (H, H)))
    fast = tg.jit(lambda tokens: language_model(emb, W, tokens))
    assert check_jit(fast, tg.tensor(rng.integers(0, 6, (T, B))), parameters=[emb, W])
    assert loops(fast) == 1


@pytest.mark.skipif(DISABLED, reason="the next test runs the same cells in this mode")
def test_random_cells_without_the_compiler() -> None:
    """All 200, their generated source run by Python."""
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, str(HERE / "random_cells.py"), "0", "200"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "200 random cells agree" in done.stdout


@pytest.mark.parametrize("part", range(4))
def test_random_cells(request: pytest.FixtureRequest, part: int) -> None:
    """Twenty compiled, in parts so that both cores have some; all 200 with --long."""
    many = request.config.getoption("--long") or DISABLED
    seeds = range(200) if many else range(4, 200, 10)
    for seed in seeds[part::4]:
        check(seed)


def test_the_check_sees_a_planted_error(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = random_cell(5, 6, 2)
    fast = tg.jit(cell.fn)
    fast(*cell.args)
    original = fast._last.compiled.forward.run  # type: ignore[union-attr]

    def wrong(values: Any, held: Any) -> None:
        original(values, held)
        out = fast._last.compiled.program.outputs[0]  # type: ignore[union-attr]
        values[id(out)] = np.asarray(values[id(out)] * (1 + 1e-10))

    monkeypatch.setattr(fast._last.compiled.forward, "run", wrong)  # type: ignore[union-attr]
    with pytest.raises(GradcheckError, match="result 0 differs"):
        check_jit(fast, *cell.args, parameters=cell.parameters)


@pytest.mark.parametrize("batch", [1, 2, 5, 13])
def test_threads_share_the_batch(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LEAST_WORK", 0)
    net = nn.LSTM(I, H).astype("float64")
    x = series(T, batch, I)
    grads = []
    try:
        for threads in (2, 2, 3):
            tg.set_num_threads(threads)
            fast = tg.jit(lambda x: (net(x)[0] ** 2).mean())
            assert check_jit(fast, x, parameters=net.parameters())
            net.zero_grad()
            fast(x).backward()
            grads.append([p.grad.numpy().copy() for p in net.parameters()])
    finally:
        tg.set_num_threads(os.cpu_count() or 1)
    for a, b in zip(grads[0], grads[1], strict=True):
        assert np.array_equal(a, b)  # the same bits for the same number of threads


# what may change between calls --------------------------------------------------------------


def test_a_product_of_parameters_follows_them() -> None:
    w, mask = nn.Parameter(np.array([2.0])), tg.tensor(np.array([3.0]))
    fast = tg.jit(lambda x: x * (w * mask))
    x = tg.tensor(np.array([1.0]))
    assert fast(x).item() == 6
    w.assign_(np.array([5.0]))
    assert fast(x).item() == 15
    mask.assign_(np.array([1.0]))
    assert fast(x).item() == 5


def test_dropout_on_a_constant_draws_afresh_and_as_eager_does() -> None:
    ones = tg.ones(64)

    def noisy(x: Any) -> Any:
        return x * tg.dropout(ones, 0.5) + tg.rand(64)

    fast = tg.jit(noisy)
    tg.manual_seed(3)
    compiled = [fast(ones).numpy() for _ in range(3)]
    tg.manual_seed(3)
    eager = [noisy(ones).numpy() for _ in range(3)]
    assert not np.array_equal(compiled[0], compiled[1])
    for a, b in zip(compiled, eager, strict=True):
        np.testing.assert_array_equal(a, b)


def test_dropout_inside_the_loop_draws_as_eager_does() -> None:
    W = series(H, H)

    def run(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.tanh(tg.dropout(h, 0.3) @ W + tg.dropout(x_t, 0.2))
        return h

    fast = tg.jit(run)
    assert check_jit(fast, series(T, B, H), parameters=[W])
    assert loops(fast) == 1


def test_parameters_flags_and_numbers_are_honoured() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.w, self.flag, self.drop = nn.Parameter(np.array([2.0])), True, nn.Dropout(0.5)

        def forward(self, x: Any) -> Any:
            return self.drop(x * self.w) if self.flag else x + self.w

    net, scale = Net(), 3.0

    def run(x: Any) -> Any:
        return net(x) * scale

    fast, x = tg.jit(run), tg.tensor(np.ones(50))

    def same() -> None:
        state = tg.manual_seed(1).state
        compiled = fast(x).numpy()
        tg.ops.random.default_generator.state = state
        np.testing.assert_array_equal(compiled, run(x).numpy())

    same()
    net.eval()
    same()
    net.train()
    same()
    net.w = nn.Parameter(np.array([7.0]))
    same()
    net.flag = False
    same()
    scale = 4.0
    same()
    net.w.requires_grad = False
    assert not fast(x).requires_grad


def test_one_program_for_many_calls_and_one_source_for_many_sizes() -> None:
    cell = nn.RNNCell(I, H)

    def run(x: Any) -> Any:
        h = tg.zeros(x.shape[1], H)
        for x_t in x:
            h = cell(x_t, h)
        return h.sum()

    fast = tg.jit(run)
    fast(series(T, B, I, dtype="float32"))
    first = fast._last
    source = fast.source
    fast(series(T, B, I, dtype="float32"))
    assert fast._last is first
    fast(series(31, 8, I, dtype="float32"))
    assert fast._last is not first
    assert fast.source == source


def test_one_cell_in_two_dtypes() -> None:
    """Their kernels differ in nothing else: each must be compiled for its own types."""
    for dtype in ("float64", "float32"):
        cell = nn.RNNCell(I, H).astype(dtype)

        def run(x: Any, h: Any, cell: Any = cell) -> Any:
            for x_t in x:
                h = cell(x_t, h)
            return h.sum()

        x, h = series(T, B, I, dtype=dtype), series(B, H, dtype=dtype)
        assert check_jit(run, x, h, parameters=cell.parameters())


def test_static_arguments_and_containers() -> None:
    def run(state: dict[str, Any], steps: int, pair: Any = (1.0, 2.0), *, name: str = "a") -> Any:
        h, c = state["h"], state["c"][0]
        for _ in range(steps):
            h = tg.tanh(h * pair[0] + c)
        return {"h": h, "rest": [c * pair[1], (h.sum(), None)], name: h}

    fast = tg.jit(run)
    state = {"h": series(H), "c": [series(H)]}
    for arguments, named in (((state, 6), {}), ((state, 9, (0.5, 1.0)), {"name": "b"})):
        compiled, eager = fast(*arguments, **named), run(*arguments, **named)
        assert list(compiled) == list(eager)
        assert compiled["rest"][1][1] is None
        assert check_jit(fast, *arguments, **named)


# the graph around it ------------------------------------------------------------------------


def jitted_square() -> tuple[Any, Any, Any]:
    w = series(H, H)
    fast = tg.jit(lambda x: (tg.tanh(x @ w), (x @ w).sum()))
    return fast, w, series(B, H)


def test_backward_through_more_than_the_jitted_part() -> None:
    fast, w, x = jitted_square()
    y, total = fast(tg.sin(x))
    (y.sum() * total).backward()
    found = w.grad.numpy(), x.grad.numpy()
    w.grad = x.grad = None
    with tg.disable_jit():
        y, total = fast(tg.sin(x))
    (y.sum() * total).backward()
    for a, b in zip(found, (w.grad.numpy(), x.grad.numpy()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_second_backward_needs_retain_graph() -> None:
    fast, w, x = jitted_square()
    loss = fast(x)[1]
    loss.backward(retain_graph=True)
    once = w.grad.numpy().copy()
    loss.backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * once)
    with pytest.raises(GraphError, match="retain_graph=True"):
        loss.backward()


def test_two_forwards_before_one_backward() -> None:
    net = nn.GRU(I, H).astype("float64")
    fast = tg.jit(lambda x: net(x)[0].sum())
    a, b = series(T, B, I), tg.tensor(np.ones((T, B, I)), requires_grad=True)
    (fast(a) * 2 + fast(b)).backward()
    found = [p.grad.numpy() for p in net.parameters()]
    net.zero_grad()
    with tg.disable_jit():
        (fast(a) * 2 + fast(b)).backward()
    for x, p in zip(found, net.parameters(), strict=True):
        np.testing.assert_allclose(x, p.grad.numpy(), rtol=1e-11)


def test_results_are_never_overwritten() -> None:
    net = nn.GRU(I, H)
    fast = tg.jit(lambda x: tg.swapaxes(net(x)[0], 0, 1))
    first = fast(series(T, B, I, dtype="float32"))
    copy = first.numpy().copy()
    for _ in range(3):
        fast(series(T, B, I, dtype="float32") * 2).sum().backward()
    np.testing.assert_array_equal(first.numpy(), copy)


def test_grad_of_some_inputs_and_some_results() -> None:
    fast, w, x = jitted_square()
    y, total = fast(x)
    assert tg.grad(total, x).shape == x.shape
    y, total = fast(x)
    with tg.disable_jit():
        expected = tg.grad(fast(x)[0].sum(), w)
    np.testing.assert_allclose(tg.grad(y.sum(), w).numpy(), expected.numpy(), rtol=1e-12)
    assert w.grad is None


def test_hooks_on_inputs_and_results() -> None:
    fast, _, x = jitted_square()
    seen: list[float] = []
    y = tg.sin(x)
    y.register_hook(lambda g: seen.append(float(g.sum())))
    out = fast(y)[1]
    out.register_hook(lambda g: g * 2)
    out.backward()
    doubled = x.grad.numpy().copy()
    x.grad = None
    fast(tg.sin(x))[1].backward()
    np.testing.assert_allclose(doubled, 2 * x.grad.numpy(), rtol=1e-12)
    assert len(seen) == 1


def test_a_changed_parameter_is_noticed() -> None:
    fast, w, x = jitted_square()
    loss = fast(x)[1]
    w.assign_(w.numpy() + 1)
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


def test_higher_derivatives_point_to_disable_jit() -> None:
    fast, _, x = jitted_square()
    with pytest.raises(GraphError, match="disable_jit"):
        tg.grad(fast(x)[1], x, create_graph=True)


def test_no_grad_compiles_the_forward_only() -> None:
    fast, _, x = jitted_square()
    with tg.no_grad():
        y, _ = fast(x)
    assert not y.requires_grad
    assert fast._last.compiled.saved == []
    assert "backward" not in fast.explain().split("memory")[0]


def idle(own: Any) -> int:
    """How many chunks of memory that a layout has used wait for use again."""
    return sum(own in chunk.cuts for home in layout._free.values() for chunk in home)


def test_memory_goes_back_when_the_graph_goes() -> None:
    net = nn.LSTM(I, H)
    fast = tg.jit(lambda x: net(x)[0].sum())
    x = series(T, B, I, dtype="float32")
    gc.disable()
    try:
        for _ in range(3):
            fast(x).backward()
        own = fast._last.compiled.forward.runners[0].layout  # type: ignore[union-attr]
        assert idle(own) == 1
        loss = fast(x)
        assert idle(own) == 0
        del loss
        assert idle(own) == 1
    finally:
        gc.enable()


def test_lengths_share_the_memory_of_what_they_keep() -> None:
    net = nn.LSTM(I, H)
    fast = tg.jit(lambda x: net(x)[0].sum())
    layout._free.clear()
    for length in (30, 17, 29, 30, 23, 18):
        fast(series(length, B, I, dtype="float32")).backward()
    sizes = [chunk.raw.size for home in layout._free.values() for chunk in home if chunk.raw.size]
    one = fast._last.compiled.forward.runners[0].layout.kept_bytes  # type: ignore[union-attr]
    assert len(sizes) <= 2
    assert sum(sizes) <= 4 * one  # 18 steps keep `one`, 30 fall into the next power of two


def test_training_goes_as_it_does_eagerly() -> None:
    losses = []
    for compiled in (False, True):
        net = nn.LSTM(I, H, generator=tg.Generator(0)).astype("float64")
        opt = optim.Adam(net.parameters(), lr=0.05)
        loss_fn: Any = lambda x, net=net: (net(x)[0] ** 2).mean()  # noqa: E731
        fn = tg.jit(loss_fn) if compiled else loss_fn
        for _ in range(8):
            opt.zero_grad()
            loss = fn(series(T, B, I, grad=False))
            loss.backward()
            optim.clip_grad_norm_(net.parameters(), 0.1)
            opt.step()
        losses.append(float(loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_anomaly_mode_and_nested_functions_run_eagerly() -> None:
    inner = tg.jit(lambda x: tg.log(x))
    outer = tg.jit(lambda x: inner(x) * 2)
    assert outer(tg.tensor([1.0])).item() == 0
    with tg.detect_anomaly(), pytest.raises(tg.AnomalyError, match="log"):
        inner(tg.tensor([-1.0], requires_grad=True))


def test_methods_and_modules_can_be_jitted() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(np.array([2.0]))

        @tg.jit
        def forward(self, x: Any) -> Any:
            return x * self.w

    a, b = Net(), Net()
    b.w.assign_(np.array([5.0]))
    x = tg.tensor(np.array([1.0]))
    assert (a(x).item(), b(x).item()) == (2, 5)
    linear = nn.Linear(2, 3)
    fast = tg.jit(linear)
    assert check_jit(fast, series(4, 2, dtype="float32"), parameters=linear.parameters())


# what cannot be captured ----------------------------------------------------------------------

FORBIDDEN: list[tuple[str, Any, str]] = [
    ("branch", lambda x: x if x.sum() > 0 else -x, "value of a traced tensor"),
    ("item", lambda x: x * x.sum().item(), "value of a traced tensor"),
    ("float", lambda x: x * float(x.sum()), "value of a traced tensor"),
    ("int", lambda x: x * int(x.sum()), "value of a traced tensor"),
    ("numpy", lambda x: tg.tensor(np.tanh(x.numpy())), "value of a traced tensor"),
    ("numpy-function", lambda x: tg.tensor(np.asarray(x)), "value of a traced tensor"),
    ("tolist", lambda x: tg.tensor(x.tolist()), "value of a traced tensor"),
    ("range", lambda x: [x for _ in range(tg.astype(x.sum(), dtype="int64"))], "traced tensor"),
    ("mask", lambda x: x[x > 0], "how much a mask picks"),
    ("number-result", lambda x: 3.0, "returns a float"),
    ("array-result", lambda x: (x, np.ones(2)), "returns a ndarray"),
    ("backward", lambda x: x.sum().backward(), "inside a jitted function"),
    ("grad", lambda x: tg.grad(x.sum(), x), "inside a jitted function"),
    ("hook", lambda x: (x * 2).register_hook(print), "hook"),
    ("requires-grad", lambda x: setattr(x, "requires_grad", False), "requires_grad"),
    ("assign", lambda x: (x * 2).assign_(np.ones(2)), "assign_"),
]


@pytest.mark.parametrize(
    ("fn", "message"), [f[1:] for f in FORBIDDEN], ids=[f[0] for f in FORBIDDEN]
)
def test_what_cannot_be_captured(fn: Any, message: str) -> None:
    fast = tg.jit(fn)
    x = series(2)
    with pytest.raises(CaptureError, match=message) as caught:
        fast(x)
    if "returns" not in message:
        assert "test_jit.py:" in str(caught.value)  # the user's file and line
    with tg.disable_jit():
        if message == "value of a traced tensor" and fn is not FORBIDDEN[7][1]:
            fast(series(2, grad=False))  # the way out that the message names


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(CaptureError, match="expected a function"):
        tg.jit(3)  # type: ignore[arg-type]
    with pytest.raises(CaptureError, match="call it once"):
        tg.jit(lambda x: x).explain()


@pytest.mark.parametrize("bad", [0, -1, 1.5, True])
def test_threads_must_be_a_whole_number(bad: Any) -> None:
    with pytest.raises(ValueError, match="whole number from 1"):
        tg.set_num_threads(bad)


# the cache --------------------------------------------------------------------------------------

TRAIN = """
import numpy as np, tinygrad_rnn as tg
w = tg.tensor(np.full((3, 3), 0.1), requires_grad=True)
def run(x):
    h = x[0]
    for x_t in x:
        h = tg.tanh(h @ w + x_t)
    return h.sum()
fast = tg.jit(run)
for _ in range(2):
    fast(tg.tensor(np.ones((6, 2, 3)))).backward()
print("trained", float(w.grad.sum()))
"""


def train(folder: Path | str) -> "subprocess.Popen[str]":
    env = {**os.environ, "TINYGRAD_RNN_CACHE": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN], env=env, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def trained(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-2000:]
    assert out.startswith("trained")
    return out


def test_a_damaged_cache_is_no_obstacle(tmp_path: Path) -> None:
    wanted = trained(train(tmp_path))
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert files
    for damage in (b"", b"nonsense", None):
        for path in files:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2] if damage is None else damage)
        assert trained(train(tmp_path)) == wanted


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert trained(train(blocked / "below"))


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    w = series(2, 2)

    def run(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.sin(h @ w) + tg.cos(x_t)
        return h.sum()

    cache._loaded.clear()
    assert check_jit(run, series(5, 1, 2), parameters=[w])


def test_two_processes_at_once(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Twice, or twenty times with --long."""
    for k in range(20 if request.config.getoption("--long") else 2):
        both = [train(tmp_path / str(k)) for _ in range(2)]
        assert len({trained(p) for p in both}) == 1


def test_clearing_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGRAD_RNN_CACHE", str(tmp_path / "mine"))
    w = series(2)

    def run(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.tanh(h * w) - x_t
        return h.sum()

    cache._loaded.clear()
    fast = tg.jit(run)
    fast(series(5, 2))
    assert list((tmp_path / "mine").glob("k_*.py"))
    tg.clear_jit_cache()
    assert not (tmp_path / "mine").exists()
    fast(series(5, 2)).backward()  # what is in use goes on working


@pytest.fixture
def one_thread() -> Any:
    tg.set_num_threads(1)
    yield
    tg.set_num_threads(os.cpu_count() or 1)


@pytest.mark.skipif(DISABLED, reason="the compiled kernels' memory")
def test_memory_of_a_step_is_what_explain_says(one_thread: None) -> None:
    """Peak within 1.2 of what the backward must keep, inputs, outputs and parameters."""
    length, batch, inputs, hidden = 100, 32, 64, 128
    net = nn.LSTM(inputs, hidden)
    x = series(length, batch, inputs, dtype="float32", grad=False)
    fast = tg.jit(lambda x: (net(x)[0] ** 2).mean())
    fast(x).backward()
    compiled = fast._last.compiled  # type: ignore[union-attr]
    layout._free.clear()  # memory that waits for use again would hide what a step takes
    runtime._arenas.clear()
    net.zero_grad()
    gc.collect()
    tracemalloc.start()
    fast(x).backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # gates i, f, g, o, and c, tanh c, h, which are the LSTM's own states with one row more
    keep = 4 * batch * hidden * (5 * length + 2 * (length + 1))
    around = sum(v.nbytes for v in compiled.program.inputs)
    gradients = sum(p.numpy().nbytes for p in net.parameters())
    assert (peak + around) / (keep + around + gradients) < 1.2
    said = re.search(r"peak ([\d,]+)", fast.explain())
    assert said is not None
    assert int(said[1].replace(",", "")) == pytest.approx(peak, rel=0.05)
    assert f"kept for the backward {keep:,}" in fast.explain()


def test_explain_says_what_was_done() -> None:
    net = nn.LSTM(I, H)
    fast = tg.jit(lambda x: (net(x)[0] ** 2).mean())
    fast(series(T, B, I, dtype="float32")).backward()
    text = fast.explain()
    for words in (
        f"loop of {T} steps", "1 input product done before the steps",
        "2 weight gradients as products over blocks", "kept for the backward",
        "moved into the loop", "one thread",
    ):  # fmt: skip
        assert words in text, text
    assert "def kernel(" in fast.source


def test_programs_are_bounded_and_the_least_recently_used_goes() -> None:
    runs = bytearray(1)  # which guards do not look at

    def run(x: Any, n: int) -> Any:
        runs[0] += 1
        return x * n

    fast, x = tg.jit(run, audit=0), tg.ones(1)
    for n in range(80):
        assert fast(x, n).item() == n
        assert fast(x, 0).item() == 0
    assert sum(map(len, fast._entries.values())) == 64
    assert runs[0] == 80  # the one in use was never dropped


def test_threads_may_keep_and_drop_programs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(fn: Any, leaves: Any, shape: Any) -> Any:
        never = SimpleNamespace(hold=lambda: False)
        return SimpleNamespace(guards=never, moments=[], used=count(), run=lambda tensors: 1)

    monkeypatch.setattr(api, "Entry", entry)
    fast = tg.jit(lambda n: n, audit=0)
    between = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(lambda: {fast(k % 40) for k in range(5000)}) for _ in range(4)]
            assert [f.result() for f in found] == [{1}] * 4
    finally:
        sys.setswitchinterval(between)
    assert sum(map(len, fast._entries.values())) <= api.MOST
