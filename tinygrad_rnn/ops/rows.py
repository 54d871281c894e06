"""Ops along one axis with a kernel of their own: softmax, cross entropy, layer norm."""

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..kernels import rows as kernels
from ..op import Spec, primitive
from .indexing import check_indices, one_hot
from .powers import exp, sqrt
from .reduce import mean, sum, to_rows, var
from .shape import expand_dims, one_axis

__all__ = ["log_softmax", "normalize", "softmax", "softmax_cross_entropy"]


def _along(name: str) -> Any:
    def shape(x: Spec, *, axis: int) -> tuple[int, ...]:
        one_axis(name, axis, x.ndim)
        return x.shape

    return shape


def _by_rows(name: str, x: Any, axis: int, kernel: Any) -> Any:
    """Run a row kernel along `axis` and put the result back in place."""
    k = one_axis(name, axis, x.ndim)
    table, outer = to_rows(x, (k,))
    out = np.empty_like(table)
    if table.size:
        kernel(table, out)
    return np.moveaxis(out.reshape((*outer, x.shape[k])), -1, k)


@primitive(shape=_along("softmax"), floats=True)
def softmax(x, *, axis=-1):
    """y = e^x / sum e^x along one axis, shifted by the maximum.

    >>> tg.softmax(tg.tensor([[0.0, 0.0], [1000.0, 0.0]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    return _by_rows("softmax", x, axis, kernels.softmax)


@softmax.vjp
def softmax_vjp(g, y, *, axis):
    return y * (g - sum(g * y, axis=axis, keepdims=True))


@primitive(shape=_along("log_softmax"), floats=True)
def log_softmax(x, *, axis=-1):
    """y = x - log sum e^x along one axis, shifted by the maximum.

    >>> tg.log_softmax(tg.zeros(2)).exp().tolist()
    [0.5, 0.5]
    """
    return _by_rows("log_softmax", x, axis, kernels.log_softmax)


@log_softmax.vjp
def log_softmax_vjp(g, y, *, axis):
    return g - exp(y) * sum(g, axis=axis, keepdims=True)


def _cross_entropy_shape(x: Spec, target: Spec) -> tuple[int, ...]:
    if x.ndim < 1 or x.shape[:-1] != target.shape:
        raise ShapeError(
            f"softmax_cross_entropy: targets must be {x.shape[:-1]}, one class number for "
            f"each row of logits {x.shape}, got {target.shape}"
        )
    return target.shape


@primitive(shape=_cross_entropy_shape, free=["target"], floats=True)
def softmax_cross_entropy(x, target):
    """y = log sum e^x - x[target] over the last axis: logits (..., k), class numbers (...).

    >>> tg.softmax_cross_entropy(tg.zeros(2, 4), tg.tensor([1, 3])).tolist()
    [1.3862943649291992, 1.3862943649291992]
    """
    _cross_entropy_shape(Spec(x.shape, x.dtype), Spec(target.shape, target.dtype))
    check_indices("softmax_cross_entropy", target, x.shape[-1], "classes", least=0)
    table, outer = to_rows(x, (x.ndim - 1,))
    y = np.empty(len(table), x.dtype)
    if len(table):
        kernels.cross_entropy(table, np.array(target, np.int64).reshape(-1), y)
    return y.reshape(outer)


def _cross_entropy_kernel(g: Any, x: Any, target: Any) -> Any:
    table, _ = to_rows(x, (x.ndim - 1,))
    out = np.empty_like(table)
    where = np.asarray(target, np.int64).reshape(-1) % np.int64(max(1, x.shape[-1]))
    kernels.cross_entropy_vjp(np.array(g.reshape(-1), x.dtype), table, where, out)
    return out.reshape(x.shape)


@softmax_cross_entropy.vjp(kernel=_cross_entropy_kernel)
def softmax_cross_entropy_vjp_x(g, x, target):
    hot = one_hot(target, num_classes=x.shape[-1], dtype=x.dtype)
    return expand_dims(g, -1) * (softmax(x) - hot)


def _normalize_shape(x: Spec, *, eps: float) -> tuple[int, ...]:
    if not x.ndim or not x.shape[-1]:
        raise ShapeError(f"normalize: needs a last axis to average over, got {x.shape}")
    return x.shape


@primitive(shape=_normalize_shape, floats=True)
def normalize(x, *, eps=1e-5):
    """y = (x - mean) / sqrt(var + eps) over the last axis (Ba, Kiros and Hinton 2016).

    >>> tg.normalize(tg.tensor([[1.0, 3.0]]), eps=0.0).tolist()
    [[-1.0, 1.0]]
    """
    _normalize_shape(Spec(x.shape, x.dtype), eps=eps)
    table, _ = to_rows(x, (x.ndim - 1,))
    out = np.empty_like(table)
    kernels.normalize(table, x.dtype.type(eps), out)
    return out.reshape(x.shape)


def _normalize_kernel(g: Any, y: Any, x: Any, *, eps: float) -> Any:
    tables = [to_rows(a, (x.ndim - 1,))[0] for a in (g, y, x)]
    out = np.empty_like(tables[2])
    kernels.normalize_vjp(*tables, x.dtype.type(eps), out)
    return out.reshape(x.shape)


@normalize.vjp(kernel=_normalize_kernel)
def normalize_vjp(g, y, x, *, eps):
    centred = g - mean(g, axis=-1, keepdims=True) - y * mean(g * y, axis=-1, keepdims=True)
    return centred / sqrt(var(x, axis=-1, keepdims=True) + eps)
