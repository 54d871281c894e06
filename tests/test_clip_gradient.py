"""Gradients clipped at every step, against backpropagation through time written out in NumPy."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import DTypeError
from tinygrad_rnn.testing import check_jit, gradgradcheck

T, B, I, H = 30, 3, 2, 4
HOW = [{"value": 0.05}, {"norm": 0.1}, {"value": 1e9}, {"norm": 1e9}]


def clipped(g: Any, value: float | None = None, norm: float | None = None) -> Any:
    if value is not None:
        return np.minimum(np.maximum(g, -value), value)
    rows = np.sqrt((g * g).sum(axis=-1, keepdims=True))
    return np.where(rows > norm, g * (norm / np.where(rows == 0, 1, rows)), g)


def weights() -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(0)
    W = np.linalg.qr(rng.standard_normal((H, H)))[0] * 2.5  # explodes
    return rng.standard_normal((T, B, I)), rng.standard_normal((I, H)), W, rng.random((T, B, H))


def by_hand(how: dict[str, float]) -> tuple[Any, Any, Any]:
    """d/dU, d/dW, d/dx of sum_t w_t h_t with h_t = tanh(x_t U + h_{t-1} W), step by step back."""
    x, U, W, w = weights()
    h = [np.zeros((B, H))]
    for t in range(T):
        h.append(np.tanh(x[t] @ U + h[-1] @ W))
    dU, dW, dx, later = np.zeros_like(U), np.zeros_like(W), np.zeros_like(x), 0.0
    for t in reversed(range(T)):
        g = clipped(later + w[t], **how) * (1 - h[t + 1] ** 2)  # all that reaches the state
        dU, dW, dx[t] = dU + x[t].T @ g, dW + h[t].T @ g, g @ U.T
        later = g @ W.T
    return dU, dW, dx


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("how", HOW, ids=str)
def test_every_step_is_clipped(how: Any, jit: bool) -> None:
    x, U, W, w = (tg.tensor(a, requires_grad=True) for a in weights())

    def total(x: Any, w: Any) -> Any:
        h: Any = tg.zeros(B, H, dtype="float64")
        loss: Any = 0.0
        for x_t, w_t in zip(x, w, strict=True):
            h = tg.clip_gradient(tg.tanh(x_t @ U + h @ W), **how)
            loss = loss + (w_t * h).sum()
        return loss

    call = tg.jit(total) if jit else total
    call(x, w).backward()
    for p, g in zip((U, W, x), by_hand(how), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), g, rtol=1e-11, atol=1e-11 * np.abs(g).max())
    if jit:
        words = call.explain()
        assert "op by op" not in words, words
        assert check_jit(total, x, w)


def test_it_bounds_what_explodes_and_leaves_small_gradients_alone() -> None:
    cell = nn.RNNCell(1, 8, nonlinearity="relu")
    nn.init.identity_(cell.weight_hh, 1.3)
    x = tg.ones(60, 2, 1)
    norms = []
    for bound in (None, 1.0):
        h = start = tg.tensor(np.full((2, 8), 0.1), requires_grad=True).astype("float32")
        start.retain_grad()
        for x_t in x:
            h = cell(x_t, h)
            h = h if bound is None else tg.clip_gradient(h, norm=bound)
        h.sum().backward()
        norms.append(float(np.linalg.norm(start.grad.numpy(), axis=1).max()))
    assert norms[0] > 1e6
    assert norms[1] <= 1.3001
    g = tg.tensor(np.array([[0.1, -0.2]]))
    y = tg.tensor(np.zeros((1, 2)), requires_grad=True)
    tg.clip_gradient(y, norm=0.5).backward(g)
    assert y.grad.tolist() == g.tolist()  # to the last bit


@pytest.mark.parametrize("how", [{"value": 0.7}, {"norm": 0.7}, {"norm": 50.0}], ids=str)
def test_second_derivatives_are_of_the_clipped_gradient(how: Any) -> None:
    rng = np.random.default_rng(1)
    x = tg.tensor(rng.standard_normal((2, 3)), requires_grad=True)

    def gradient(x: Any) -> Any:
        y = tg.clip_gradient(x * 1.0, **how)
        return tg.grad((y**3).sum() + (y[0] * y[1]).sum(), x, create_graph=True)

    g = 3 * x.numpy() ** 2 + x.numpy()[::-1]
    np.testing.assert_allclose(gradient(x).numpy(), clipped(g, **how), rtol=1e-12)
    assert tg.testing.gradcheck(gradient, x)
    assert gradgradcheck(lambda x: tg.clip_gradient(x, norm=1e9) ** 3, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_and_dtypes(dtype: str) -> None:
    for shape in [(), (0,), (3,), (2, 3), (2, 0), (2, 1, 3)]:
        for how in ({"value": 0.5}, {"norm": 0.5}):
            x = tg.ones(shape, dtype=dtype)
            x.requires_grad = True
            y = tg.clip_gradient(x, **how)
            (y * 4).sum().backward()
            expected = clipped(np.full(shape or (1,), 4.0), **how).reshape(shape)
            np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)
            assert (y.dtype, x.grad.dtype) == (x.dtype, x.dtype)
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    tg.clip_gradient(x, value=1.0).backward(np.array([np.nan, 5.0], np.float32))
    assert np.isnan(x.grad.numpy()[0])
    x = tg.tensor([[1.0], [2.0]], requires_grad=True)
    tg.clip_gradient(x, norm=1.0).backward(np.array([[np.nan], [5.0]], np.float32))
    assert np.isnan(x.grad.numpy()[0, 0])
    assert x.grad.numpy()[1, 0] == 1  # a sample's gradient is its own


def test_what_it_gives_is_no_view() -> None:
    x = tg.tensor([1.0], requires_grad=True)
    y = tg.clip_gradient(x, value=1.0)
    x.assign_([5.0])
    assert y.tolist() == [1.0]


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ({}, ValueError, "give value= or norm="),
        ({"value": 1.0, "norm": 1.0}, ValueError, "one of them"),
        ({"value": 0}, ValueError, "value must be a positive number, got 0"),
        ({"norm": float("nan")}, ValueError, "norm must be a positive number"),
        ({"norm": "1"}, ValueError, "norm must be a positive number"),
        ({"value": True}, ValueError, "value must be"),
    ],
    ids=str,
)
def test_bad_bounds_are_named(how: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        tg.clip_gradient(tg.ones(2), **how)
    with pytest.raises(DTypeError, match="only floats"):
        tg.clip_gradient(tg.tensor([1, 2]), value=1.0)
