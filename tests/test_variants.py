"""Cells beyond PyTorch's: peepholes, layer norm, zoneout, dropout with one mask a sequence.

Against loops over rows after the formulas of ONNX and of the papers; masks are drawn anew
from the seed.
"""

from typing import Any

import numpy as np
import pytest
from oracles import sigmoid

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.kernels.flags import DISABLED
from tinygrad_rnn.testing import check_jit

T, N, I, H = 5, 3, 2, 4
F64 = np.float64
LONG = pytest.mark.long


def made(kind: str, **options: Any) -> Any:
    """A layer in float64, nothing in which is at a value that hides a mistake."""
    layer = getattr(nn, kind)(I, H, generator=tg.Generator(1), **options).astype("float64")
    rng = np.random.default_rng(0)
    for name, p in layer.named_parameters():
        if name.startswith(("gain", "bias", "peephole")):
            p.assign_(p.numpy() + rng.uniform(-0.5, 0.5, p.shape))
    return layer


def values(layer: Any) -> dict[str, np.ndarray]:
    return {n.removesuffix("_l0"): p.numpy() for n, p in layer.named_parameters()}


def series() -> Any:
    return tg.randn(T, N, I, dtype=F64)


def onnx_lstm(x: np.ndarray, h: np.ndarray, c: np.ndarray, w: Any) -> Any:
    """One step of one row, in the letters of ONNX's operator LSTM; its gate order is i, o, f, c."""

    def rows(a: np.ndarray) -> list[np.ndarray]:
        i, f, g, o = np.split(a, 4)
        return [i, o, f, g]

    Wi, Wo, Wf, Wc = rows(w["weight_ih"])
    Ri, Ro, Rf, Rc = rows(w["weight_hh"])
    Wbi, Wbo, Wbf, Wbc = rows(w["bias_ih"])
    Rbi, Rbo, Rbf, Rbc = rows(w["bias_hh"])
    Pi, Po, Pf = np.split(w["peephole"], 3)
    it = sigmoid(x @ Wi.T + h @ Ri.T + Pi * c + Wbi + Rbi)
    ft = sigmoid(x @ Wf.T + h @ Rf.T + Pf * c + Wbf + Rbf)
    ct = np.tanh(x @ Wc.T + h @ Rc.T + Wbc + Rbc)
    Ct = ft * c + it * ct
    ot = sigmoid(x @ Wo.T + h @ Ro.T + Po * Ct + Wbo + Rbo)
    return ot * np.tanh(Ct), Ct


def LN(z: np.ndarray, gain: Any = 1.0, shift: Any = 0.0) -> np.ndarray:
    """Ba, Kiros and Hinton 2016, (4)."""
    return (z - z.mean()) / np.sqrt(((z - z.mean()) ** 2).mean() + 1e-5) * gain + shift


def ba_lstm(x: np.ndarray, h: np.ndarray, c: np.ndarray, w: Any) -> Any:
    """(20) to (22); the shifts of the norms of W_h h and W_x x and the bias are one sum."""
    a = LN(w["weight_hh"] @ h, w["gain_hh"], w["bias_hh"])
    b = LN(w["weight_ih"] @ x, w["gain_ih"], w["bias_ih"])
    i, f, g, o = np.split(a + b, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(LN(c, w["gain_c"], w["bias_c"])), c


def ba_gru(x: np.ndarray, h: np.ndarray, w: Any, before: bool = False) -> np.ndarray:
    """(29) to (31), with this library's z; gates first, in one norm."""
    k = 2 * H
    gates = LN(w["weight_hh"][:k] @ h, w["gain_hh"][:k], w["bias_hh"][:k])
    gates = gates + LN(w["weight_ih"][:k] @ x, w["gain_ih"][:k], w["bias_ih"][:k])
    r, z = np.split(sigmoid(gates), 2)
    inner = LN(w["weight_hh"][k:] @ (r * h if before else h), w["gain_hh"][k:], w["bias_hh"][k:])
    new = LN(w["weight_ih"][k:] @ x, w["gain_ih"][k:], w["bias_ih"][k:])
    n = np.tanh(new + (inner if before else r * inner))
    return (1 - z) * n + z * h


def ba_rnn(x: np.ndarray, h: np.ndarray, w: Any) -> np.ndarray:
    a = LN(w["weight_hh"] @ h, w["gain_hh"], w["bias_hh"])
    return np.tanh(a + LN(w["weight_ih"] @ x, w["gain_ih"], w["bias_ih"]))


VARIANTS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "peepholes": ("LSTM", {"peepholes": True}, onnx_lstm),
    "norm-lstm": ("LSTM", {"layer_norm": True}, ba_lstm),
    "norm-gru": ("GRU", {"layer_norm": True}, ba_gru),
    "norm-gru-before": (
        "GRU",
        {"layer_norm": True, "reset_after": False},
        lambda x, h, w: ba_gru(x, h, w, before=True),
    ),
    "norm-rnn": ("RNN", {"layer_norm": True}, ba_rnn),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_against_loops_after_the_formulas(name: str) -> None:
    kind, options, step = VARIANTS[name]
    layer, x, lengths = made(kind, **options), series(), [T, 1, 3]
    y, last = layer(x, lengths=lengths)
    w = values(layer)
    for n, length in enumerate(lengths):
        state: Any = [np.zeros(H)] * (2 if kind == "LSTM" else 1)
        for t in range(length):
            new = step(x.numpy()[t, n], *state, w)
            state = new if isinstance(new, tuple) else [new]
            np.testing.assert_allclose(y.numpy()[t, n], state[0], rtol=1e-11)
        assert not y.numpy()[length:, n].any()
        for found, wanted in zip(last if kind == "LSTM" else [last], state, strict=True):
            np.testing.assert_allclose(found.numpy()[0, n], wanted, rtol=1e-11)


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (kind, options) for name, (kind, options, _) in VARIANTS.items()},
    "projection": ("LSTM", {"proj_size": 3}),
    "zoneout-lstm": ("LSTM", {"zoneout": (0.3, 0.5)}),
    "zoneout-gru": ("GRU", {"zoneout": 0.3}),
    "zoneout-rnn": ("RNN", {"zoneout": 0.3}),
    "one-mask-lstm": ("LSTM", {"recurrent_dropout": 0.3, "dropout": 0.4, "variational": True}),
    "one-mask-gru-before": ("GRU", {"recurrent_dropout": 0.3, "reset_after": False}),
    "everything": (
        "LSTM",
        {"proj_size": 3, "peepholes": True, "layer_norm": True, "zoneout": 0.2,
         "recurrent_dropout": 0.2, "dropout": 0.2, "variational": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_options_by_finite_differences_in_both_directions(name: str) -> None:
    """The gradients of all shared weights; every call draws the same masks."""
    kind, options = OPTIONS[name]
    layer = made(kind, num_layers=2, bidirectional=True, **options)
    x = tg.tensor(series().numpy(), requires_grad=True)

    def loss(*_: Any) -> Any:
        tg.manual_seed(3)
        layer.generator.manual_seed(3)
        y, last = layer(x, lengths=[T, 2, 3])
        return (y * y).sum() + sum(s.sum() for s in (last if kind == "LSTM" else [last]))

    grads = tg.grad(loss(), [x, *layer.parameters()])
    rng = np.random.default_rng(0)
    for g, p in zip(grads, [x, *layer.parameters()], strict=True):
        v, base, eps = rng.standard_normal(p.shape), p.numpy().copy(), 1e-6
        ends = []
        for sign in (1, -1):
            p.assign_(base + sign * eps * v)
            ends.append(loss().item())
        p.assign_(base)
        wanted = (ends[0] - ends[1]) / (2 * eps)
        assert abs(float((g.numpy() * v).sum()) - wanted) < 2e-6 * max(1, abs(wanted)), p.name


SHORT = ("peepholes", "norm-gru", "projection", "zoneout-lstm", "everything")
COMPILED = ("peepholes", "everything")  # which takes seconds each


@pytest.mark.parametrize(
    "name",
    [n if n in (SHORT if DISABLED else COMPILED) else pytest.param(n, marks=LONG) for n in OPTIONS],
)
def test_options_compile_as_loops(name: str) -> None:
    kind, options = OPTIONS[name]
    layer = made(kind, bidirectional=name == "zoneout-lstm", **options)
    layer.generator = None  # the default one, which the check sets back
    for cell in layer._cells.values():
        cell.generator = None
    fast = tg.jit(lambda x, n: layer(x, lengths=n)[0])
    x = tg.tensor(series().numpy()[:3, :2], requires_grad=True)
    assert check_jit(fast, x, tg.tensor([3, 2]), parameters=layer.parameters())
    said = fast.explain()
    assert "loop of 3 steps" in said
    assert ("last step first" in said) == layer.bidirectional
    assert "normalize" not in said  # as an op by itself


def kept(generator: tg.Generator, shape: tuple[int, ...], p: float) -> Any:
    """Where the next draw of dropout lets values through."""
    return generator.uniform(shape, np.float32) >= np.float32(p)


@pytest.mark.parametrize("training", [True, False])
def test_zoneout_keeps_units_as_they_were(training: bool) -> None:
    """Krueger et al. 2016: d h' = d h + (1 - d) (o tanh(c)), c before its own zoneout."""
    layer = made("LSTM", zoneout=(0.3, 0.6)).train(training)
    x, w = series(), values(layer)
    layer.generator.manual_seed(7)
    y, _ = layer(x)
    source = tg.Generator(7)
    h, c = np.zeros((N, H)), np.zeros((N, H))
    for t in range(T):
        a = x.numpy()[t] @ w["weight_ih"].T + w["bias_ih"] + h @ w["weight_hh"].T + w["bias_hh"]
        i, f, g, o = np.split(a, 4, axis=1)
        new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        shown = sigmoid(o) * np.tanh(new)
        if training:
            h = np.where(kept(source, (N, H), 0.3), shown, h)
            c = np.where(kept(source, (N, H), 0.6), new, c)
        else:
            h, c = 0.3 * h + 0.7 * shown, 0.6 * c + 0.4 * new
        np.testing.assert_allclose(y.numpy()[t], h, rtol=1e-11, atol=1e-13)


def test_one_mask_a_sequence() -> None:
    """Gal and Ghahramani 2016: the same parts of h at every step, and of what goes up."""
    layer = made("RNN", num_layers=2, dropout=0.5, recurrent_dropout=0.4, variational=True)
    x = series()
    layer.generator.manual_seed(7)
    y, last = layer(x)
    source, inputs = tg.Generator(7), x.numpy()
    for k in range(2):
        if k:
            inputs = inputs * kept(source, (1, N, H), 0.5) / 0.5
        mask, h, rows = kept(source, (N, H), 0.4) / 0.6, np.zeros((N, H)), []
        W, U, b, d = (dict(layer.named_parameters())[f"{n}_l{k}"].numpy()
                      for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # fmt: skip
        for x_t in inputs:
            h = np.tanh(x_t @ W.T + b + (h * mask) @ U.T + d)
            rows.append(h)
        inputs = np.array(rows)
        np.testing.assert_allclose(last.numpy()[k], h, rtol=1e-11)
    np.testing.assert_allclose(y.numpy(), inputs, rtol=1e-11)
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].numpy(), layer(x)[0].numpy())


def test_a_cell_takes_the_mask_and_options_by_itself() -> None:
    cell = nn.RNNCell(I, H, layer_norm=True).astype(F64)
    x, mask = series(), tg.dropout(tg.ones(N, H, dtype=F64), 0.5)

    def run(x: Any) -> Any:
        return nn.unroll(cell, x, tg.zeros(N, H, dtype=F64), recurrent_mask=mask)[0].sum()

    assert check_jit(tg.jit(run), x, parameters=cell.parameters())
    assert run(x).item() != nn.unroll(cell, x, tg.zeros(N, H, dtype=F64))[0].sum().item()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=() if DISABLED else LONG)])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_single_sequence_is_a_batch_of_one(kind: str, jit: bool, batch_first: bool) -> None:
    layer = made(kind, num_layers=2, bidirectional=True, batch_first=batch_first)
    x = tg.tensor(series().numpy()[:, 0], requires_grad=True)
    z = tg.tensor(x.numpy(), requires_grad=True)
    start: Any = [tg.randn(4, H, dtype=F64) for _ in range(2 if kind == "LSTM" else 1)]
    wide = [s[:, None] for s in start]
    start, wide = (tuple(start), tuple(wide)) if kind == "LSTM" else (start[0], wide[0])
    y, last = (tg.jit(layer.forward) if jit else layer)(x, start)
    w, end = layer(z[None] if batch_first else z[:, None], wide)
    np.testing.assert_allclose(y.numpy(), w.numpy()[0] if batch_first else w.numpy()[:, 0], 1e-12)
    last, end = (s if kind == "LSTM" else (s,) for s in (last, end))
    for a, b in zip(last, end, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy()[:, 0], 1e-12)
    (y * y).sum().backward()
    (w * w).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), 1e-10)


def test_what_does_not_fit_is_refused() -> None:
    x, row = tg.randn(T, N, I), tg.randn(T, I)
    for call, match in (
        (lambda: nn.LSTM(I, H)(row, lengths=[T]), "lengths need a batch"),
        (lambda: nn.GRU(I, H)(row, tg.zeros(1, 1, H)), r"h0 must be \(layers x directions, size\)"),
        (lambda: nn.LSTM(I, H)(row, tg.zeros(1, H)), "the initial state is h0 and c0, got 1"),
        (lambda: nn.LSTM(I, H)(tg.randn(T, 7)), r"x must be \(T, N, 2\)"),
        (lambda: nn.LSTM(I, H, proj_size=H), "proj_size must be a whole number"),
        (lambda: nn.LSTM(I, H, proj_size=-1), "proj_size must be a whole number"),
        (lambda: nn.LSTM(I, H, proj_size=1.5), "proj_size must be a whole number"),
        (
            lambda: nn.LSTM(I, H, proj_size=2)(x, (tg.zeros(1, N, H),) * 2),
            r"h0 must be \(1, 3, 2\)",
        ),
        (lambda: nn.LSTM(I, H, zoneout=1.0), "zoneout must be in"),
        (lambda: nn.LSTM(I, H, zoneout=(0.1, 0.1, 0.1)), "for h and c"),
        (lambda: nn.LSTM(I, H, zoneout=[0.1, 1.1]), "for h and c"),
        (lambda: nn.GRU(I, H, recurrent_dropout=1.0), "recurrent_dropout must be in"),
        (lambda: nn.LSTMCell(I, H)(tg.randn(7)), r"x must be \(N, 2\)"),
        (lambda: nn.LSTM(I, H, proj_size=2, recurrent_init="orthogonal"), "square blocks"),
    ):
        with pytest.raises(tg.ShapeError, match=match):
            call()
    with pytest.raises(TypeError, match="peepholes"):
        nn.GRU(I, H, peepholes=True)
