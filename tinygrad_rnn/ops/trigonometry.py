"""Trigonometric and hyperbolic functions and their inverses, elementwise, in radians."""

import math

import numpy as np

from ..op import pointwise
from .logic import where
from .pointwise import div
from .powers import sqrt, square

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "hypot", "sin",
    "sinh", "tan",
]  # fmt: skip


@pointwise(kernel=np.sin, floats=True)
def sin(x):
    """Sine elementwise, x in radians.

    >>> tg.sin(tg.tensor([0.0, tg.pi / 2]))
    tensor([0., 1.], float32)
    """
    return math.sin(x)


@sin.vjp
def sin_vjp(g, x):
    return g * cos(x)


@pointwise(kernel=np.cos, floats=True)
def cos(x):
    """Cosine elementwise, x in radians.

    >>> tg.cos(tg.tensor([0.0, tg.pi]))
    tensor([ 1., -1.], float32)
    """
    return math.cos(x)


@cos.vjp
def cos_vjp(g, x):
    return -g * sin(x)


@pointwise(kernel=np.tan, floats=True)
def tan(x):
    """Tangent elementwise, x in radians.

    >>> tg.tan(tg.tensor([0.0, tg.pi / 4]))
    tensor([0., 1.], float32)
    """
    return math.tan(x)


@tan.vjp
def tan_vjp(g, y):
    return g * (1 + y * y)


@pointwise(kernel=np.arcsin, floats=True)
def asin(x):
    """Inverse sine elementwise; NaN beyond -1 and 1.

    >>> tg.asin(tg.tensor([0.0, 1.0]))
    tensor([0.    , 1.5708], float32)
    """
    return math.asin(x)


@asin.vjp
def asin_vjp(g, x):
    return div(g, sqrt(1 - x * x))


@pointwise(kernel=np.arccos, floats=True)
def acos(x):
    """Inverse cosine elementwise; NaN beyond -1 and 1.

    >>> tg.acos(tg.tensor([1.0, -1.0]))
    tensor([0.    , 3.1416], float32)
    """
    return math.acos(x)


@acos.vjp
def acos_vjp(g, x):
    return -div(g, sqrt(1 - x * x))


@pointwise(kernel=np.arctan, floats=True)
def atan(x):
    """Inverse tangent elementwise, in radians.

    >>> tg.atan(tg.tensor([0.0, 1.0, 1e30]))
    tensor([0.    , 0.7854, 1.5708], float32)
    """
    return math.atan(x)


@atan.vjp
def atan_vjp(g, x):
    return div(g, 1 + x * x)


@pointwise(kernel=np.arctan2, floats=True)
def atan2(a, b):
    """Angle of the point (b, a) elementwise, from -pi to pi; its subgradient at (0, 0) is 0.

    >>> tg.atan2(tg.tensor([1.0, -1.0]), tg.tensor([1.0, -1.0]))
    tensor([ 0.7854, -2.3562], float32)
    """
    return math.atan2(a, b)


@atan2.vjp
def atan2_vjp_a(g, a, b):
    r = a * a + b * b
    return g * where(r == 0, 0, div(b, where(r == 0, 1, r)))


@atan2.vjp
def atan2_vjp_b(g, a, b):
    r = a * a + b * b
    return g * where(r == 0, 0, div(-a, where(r == 0, 1, r)))


@pointwise(kernel=np.hypot, floats=True)
def hypot(a, b):
    """Length of the vector (a, b) elementwise, without overflow.

    >>> tg.hypot(tg.tensor([3.0, 3e30]), tg.tensor([4.0, 4e30]))
    tensor([5.e+00, 5.e+30], float32)
    """
    return math.hypot(a, b)


@hypot.vjp
def hypot_vjp_a(g, y, a):
    return g * div(a, y)


@hypot.vjp
def hypot_vjp_b(g, y, b):
    return g * div(b, y)


@pointwise(kernel=np.sinh, floats=True)
def sinh(x):
    """Hyperbolic sine elementwise: (e^x - e^-x) / 2.

    >>> tg.sinh(tg.tensor([0.0, 1.0]))
    tensor([0.    , 1.1752], float32)
    """
    return math.sinh(x)


@sinh.vjp
def sinh_vjp(g, x):
    return g * cosh(x)


@pointwise(kernel=np.cosh, floats=True)
def cosh(x):
    """Hyperbolic cosine elementwise: (e^x + e^-x) / 2.

    >>> tg.cosh(tg.tensor([0.0, 1.0]))
    tensor([1.    , 1.5431], float32)
    """
    return math.cosh(x)


@cosh.vjp
def cosh_vjp(g, x):
    return g * sinh(x)


@pointwise(kernel=np.arcsinh, floats=True)
def asinh(x):
    """Inverse hyperbolic sine elementwise.

    >>> tg.asinh(tg.tensor([0.0, 1.0]))
    tensor([0.    , 0.8814], float32)
    """
    return math.asinh(x)


@asinh.vjp
def asinh_vjp(g, x):
    return div(g, sqrt(1 + square(x)))


@pointwise(kernel=np.arccosh, floats=True)
def acosh(x):
    """Inverse hyperbolic cosine elementwise; NaN below 1.

    >>> tg.acosh(tg.tensor([1.0, 2.0]))
    tensor([0.   , 1.317], float32)
    """
    return math.acosh(x)


@acosh.vjp
def acosh_vjp(g, x):
    return div(g, sqrt(square(x) - 1))


@pointwise(kernel=np.arctanh, floats=True)
def atanh(x):
    """Inverse hyperbolic tangent elementwise; NaN beyond -1 and 1.

    >>> tg.atanh(tg.tensor([0.0, 0.5]))
    tensor([0.    , 0.5493], float32)
    """
    return math.atanh(x)


@atanh.vjp
def atanh_vjp(g, x):
    return div(g, 1 - x * x)
