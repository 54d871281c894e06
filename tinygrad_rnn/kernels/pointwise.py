"""sigmoid and the gradients of sigmoid and tanh as single passes over whole arrays.

Forward exp and tanh are left to NumPy, whose SIMD loops won where these were
measured (ns an element, float32, 64 x 512: exp 0.70 against 0.77, tanh 0.45
against 0.76; one call on 16 numbers 0.7 us against 1.5). A sigmoid takes NumPy
four passes: 68 us for the former and 2.3 us for the latter, against 51 and 1.2
(`tools/bench kernels`).
"""

from typing import Any

import numpy as np

from . import scalar
from .flags import DISABLED, jit

Array = np.ndarray[Any, Any]


@jit
def _sigmoid(x: Array, out: Array) -> None:
    """Row by row, so that the columns of one gate need not be copied together first."""
    for i in range(x.shape[0]):
        y = out[i]
        for j in range(y.size):
            y[j] = x[i, j]
        for j in range(y.size):
            y[j] = scalar.sigmoid(y[j])


@jit
def _tanh_vjp(g: Array, y: Array, out: Array) -> None:
    g, y, out = g.reshape(g.size), y.reshape(y.size), out.reshape(out.size)
    one = y.dtype.type(1)
    for i in range(y.size):
        out[i] = g[i] * (one - y[i] * y[i])


@jit
def _sigmoid_vjp(g: Array, y: Array, out: Array) -> None:
    g, y, out = g.reshape(g.size), y.reshape(y.size), out.reshape(out.size)
    one = y.dtype.type(1)
    for i in range(y.size):
        out[i] = g[i] * (y[i] * (one - y[i]))


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x), elementwise; within 3 ULP, nothing overflows."""
    if DISABLED or type(x) is not np.ndarray or x.dtype.kind != "f":
        return scalar.sigmoid(x)
    out = np.empty(x.shape, x.dtype)
    if x.ndim == 2 and x.flags.writeable:  # the shape of a state
        _sigmoid(x, out)
    else:
        _sigmoid(np.array(x, order="C").reshape(1, -1), out.reshape(1, -1))
    return out


def _vjp(loop: Any, otherwise: Any, g: Any, y: Any) -> Any:
    """Run `loop` on two C-contiguous matrices of equal shape and dtype, else the NumPy expression.

    Three NumPy calls on 512 numbers take less than one compiled call and its checks.
    """
    if (
        y.size < 1024
        or DISABLED
        or g.ndim != 2
        or y.ndim != 2
        or g.dtype is not y.dtype
        or g.shape != y.shape
        or not (g.flags.carray and y.flags.carray)
    ):
        return otherwise(g, y)
    out = np.empty_like(y)
    loop(g, y, out)
    return out


def tanh_vjp(g: Any, y: Any) -> Any:
    """g (1 - y^2), elementwise."""
    return _vjp(_tanh_vjp, lambda g, y: g * (1 - y * y), g, y)


def sigmoid_vjp(g: Any, y: Any) -> Any:
    """g y (1 - y), elementwise."""
    return _vjp(_sigmoid_vjp, lambda g, y: g * (y * (1 - y)), g, y)
