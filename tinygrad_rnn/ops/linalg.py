"""Matrix products: matmul, linear, outer, and the sum of products that BPTT needs."""

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..kernels import gemm
from ..op import Spec, broadcast, primitive
from ..rules import Deferred
from .shape import broadcast_to, reshape

__all__ = ["linear", "matmul", "outer"]


def _matmul_shape(a: Spec, b: Spec) -> tuple[int, ...]:
    if not a.ndim or not b.ndim:
        raise ShapeError(f"matmul: needs at least one axis each, got {a.shape} and {b.shape}")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(
            f"matmul: the last axis of a is {a.shape[-1]} but b has {inner} rows, "
            f"in {a.shape} @ {b.shape}"
        )
    batch = broadcast("matmul", a.shape[:-2], b.shape[:-2])
    return batch + a.shape[-2:-1] + (b.shape[-1:] if b.ndim > 1 else ())


@primitive(shape=_matmul_shape)
def matmul(a, b):
    """Matrix product y = a b over the last two axes; the others broadcast, 1-D is a vector.

    >>> tg.matmul(tg.ones(7, 2, 3), tg.ones(3, 4)).shape
    (7, 2, 4)
    """
    return gemm.matmul(a, b)


def as_rows(x: Any) -> Any:
    """A stack of matrices as one matrix of all their rows, a vector as its one row."""
    if x.ndim == 2:
        return x
    return reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))


def _as_matrix(g: Any, a_vector: bool, b_vector: bool) -> Any:
    """Cotangent of the same product with vectors written as one-row or one-column matrices."""
    if a_vector:
        g = reshape(g, shape=(*g.shape[:-1], 1, *g.shape[-1:]))
    return reshape(g, shape=(*g.shape, 1)) if b_vector else g


@matmul.vjp
def matmul_vjp_a(g, b, a_shape):
    vector = len(a_shape) == 1
    g = _as_matrix(g, vector, b.ndim == 1)
    b = reshape(b, shape=(-1, 1)) if b.ndim == 1 else b
    if len(a_shape) == g.ndim == 2:  # a matrix on the left, W @ h: shared by the steps
        return Deferred(sum_of_products, (g.mT, b.mT))
    y = g @ b.mT
    return reshape(y, shape=(*y.shape[:-2], y.shape[-1])) if vector else y


@matmul.vjp
def matmul_vjp_b(g, a, b_shape):
    vector = len(b_shape) == 1
    g = _as_matrix(g, a.ndim == 1, vector)
    a = reshape(a, shape=(1, -1)) if a.ndim == 1 else a
    if len(b_shape) == 2:  # a matrix on the right, h @ W: shared by the steps
        return Deferred(sum_of_products, (as_rows(a), as_rows(g)))
    y = a.mT @ g
    return reshape(y, shape=y.shape[:-1]) if vector else y


def _linear_shape(x: Spec, W: Spec, b: Spec) -> tuple[int, ...]:
    if W.ndim != 2 or not x.ndim or x.shape[-1] != W.shape[1]:
        raise ShapeError(
            f"linear: x is {x.shape} and W is {W.shape}; the last axis of x must be "
            f"W's second, {W.shape[-1] if W.ndim else '?'}"
        )
    if b.shape != W.shape[:1] and b != Spec((), np.dtype(int)):
        raise ShapeError(f"linear: b must be ({W.shape[0]},) for W {W.shape}, got {b.shape}")
    return (*x.shape[:-1], W.shape[0])


@primitive(shape=_linear_shape, plain=gemm.affine)
def linear(x, W, b):
    """Affine map y = x W^T + b over the last axis: x (..., k), W (n, k), b (n,) or 0.

    >>> tg.linear(tg.ones(5, 3), tg.ones(2, 3), tg.zeros(2)).shape
    (5, 2)
    """
    return gemm.linear(x, W, b)


@linear.vjp(kernel=gemm.linear_vjp_x)
def linear_vjp_x(g, W):
    return g @ W


@linear.vjp
def linear_vjp_W(g, x):
    pair = (g, x) if g.ndim == 2 else (as_rows(g), as_rows(x))
    return Deferred(sum_of_products, pair)


@linear.vjp
def linear_vjp_b(g):
    return Deferred(sum_of_rows, (g if g.ndim == 2 else as_rows(g),))


def _sum_of_products_shape(*pairs: Spec) -> tuple[int, ...]:
    return (pairs[0].shape[1], pairs[1].shape[1])


@primitive(shape=_sum_of_products_shape)
def sum_of_products(*pairs):
    """y = sum_t a_t^T b_t for pairs a_0, b_0, a_1, b_1, ...: a shared weight's gradient.

    One product over all steps in place of T products and T additions.
    """
    return gemm.sum_of_products(pairs[0::2], pairs[1::2])


@sum_of_products.vjp
def sum_of_products_vjp(g, pairs):
    grads: list[Any] = []
    for a, b in zip(pairs[0::2], pairs[1::2], strict=True):
        grads += [b @ g.mT, a @ g]
    return grads


@primitive(shape=lambda *xs: (xs[0].shape[1],))
def sum_of_rows(*xs):
    """Sum the rows of all matrices: a shared bias's gradient, in one pass for all steps."""
    return gemm.sum_of_rows(xs)


@sum_of_rows.vjp
def sum_of_rows_vjp(g, xs_shape):
    return [broadcast_to(g, shape=s) for s in xs_shape]


def outer(a: Any, b: Any) -> Any:
    """Outer product of two vectors: y[i, j] = a[i] b[j].

    >>> tg.outer(tg.tensor([1, 2]), tg.tensor([3, 4])).tolist()
    [[3, 4], [6, 8]]
    """
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"outer: needs two vectors, got {a.shape} and {b.shape}")
    return reshape(a, shape=(-1, 1)) * b
