"""`tg.jit` against eager execution: layers, cells of one's own, random ones, and shared batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from processes import HERE, python
from programs import kernels, series
from random_cells import check, random_cell

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.kernels.flags import DISABLED
from tinygrad_rnn.testing import GradcheckError, check_jit

T, B, I, H = 7, 3, 2, 4


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
    assert kernels(fast) >= found


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
    assert kernels(fast) == 1


def test_tokens_and_a_loss_at_every_step() -> None:
    rng = np.random.default_rng(3)
    emb, W = (tg.tensor(rng.standard_normal(s) / 2, requires_grad=True) for s in ((6, H), (H, H)))
    fast = tg.jit(lambda tokens: language_model(emb, W, tokens))
    assert check_jit(fast, tg.tensor(rng.integers(0, 6, (T, B))), parameters=[emb, W])
    assert kernels(fast) == 1


@pytest.mark.skipif(DISABLED, reason="the next test runs the same cells in this mode")
def test_random_cells_without_the_compiler() -> None:
    """All 200, their generated source run by Python."""
    said = python(str(HERE / "random_cells.py"), "0", "200", NUMBA_DISABLE_JIT="1")
    assert "200 random cells agree" in said


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
def test_threads_share_the_batch(batch: int, shared_out: None) -> None:
    net = nn.LSTM(I, H).astype("float64")
    x = series(T, batch, I)
    grads = []
    for threads in (2, 2, 3):
        tg.set_num_threads(threads)
        fast = tg.jit(lambda x: (net(x)[0] ** 2).mean())
        assert check_jit(fast, x, parameters=net.parameters())
        net.zero_grad()
        fast(x).backward()
        grads.append([p.grad.numpy().copy() for p in net.parameters()])
    for a, b in zip(grads[0], grads[1], strict=True):
        assert np.array_equal(a, b)  # the same bits for the same number of threads


@pytest.mark.parametrize("bad", [0, -1, 1.5, True])
def test_threads_must_be_a_whole_number(bad: Any) -> None:
    with pytest.raises(ValueError, match="whole number from 1"):
        tg.set_num_threads(bad)
