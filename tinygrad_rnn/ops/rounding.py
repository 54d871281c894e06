"""Rounding, signs and remainders, elementwise; a step has gradient 0, whatever comes."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..op import elementwise, pointwise, primitive
from .logic import where

__all__ = [
    "ceil", "copysign", "floor", "floor_divide", "nextafter", "remainder", "round", "sign",
    "signbit", "trunc",
]  # fmt: skip


def _of_floats(kernel: Any) -> Callable[[Any], Any]:
    """A kernel that leaves whole numbers as they are."""

    def rounded(x: Any) -> Any:
        return kernel(x) if np.asarray(x).dtype.kind == "f" else x

    return rounded


@pointwise(kernel=_of_floats(np.floor))
def floor(x):
    """Largest whole number that is not larger, elementwise.

    >>> tg.floor(tg.tensor([1.7, -1.7]))
    tensor([ 1., -2.], float32)
    """
    return np.floor(x)


@floor.vjp
def floor_vjp(g):
    return where(True, 0, g)


@pointwise(kernel=_of_floats(np.ceil))
def ceil(x):
    """Smallest whole number that is not smaller, elementwise.

    >>> tg.ceil(tg.tensor([1.2, -1.2]))
    tensor([ 2., -1.], float32)
    """
    return np.ceil(x)


@ceil.vjp
def ceil_vjp(g):
    return where(True, 0, g)


@pointwise(kernel=_of_floats(np.trunc))
def trunc(x):
    """Whole part elementwise: the nearest whole number towards 0.

    >>> tg.trunc(tg.tensor([1.7, -1.7]))
    tensor([ 1., -1.], float32)
    """
    return np.trunc(x)


@trunc.vjp
def trunc_vjp(g):
    return where(True, 0, g)


@pointwise(kernel=_of_floats(np.rint))
def round(x):
    """Nearest whole number elementwise; halves go to the even one.

    >>> tg.round(tg.tensor([0.5, 1.5, 2.5])).tolist()
    [0.0, 2.0, 2.0]
    """
    return np.rint(x)


@round.vjp
def round_vjp(g):
    return where(True, 0, g)


@pointwise(kernel=np.sign)
def sign(x):
    """Sign elementwise: -1, 0 or 1; NaN stays NaN.

    >>> tg.sign(tg.tensor([-3.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.], float32)
    """
    return where(x > 0, 1, where(x < 0, -1, x))


@sign.vjp
def sign_vjp(g):
    return where(True, 0, g)


@pointwise(kernel=np.floor_divide)
def floor_divide(a, b):
    """Quotient rounded down, elementwise: `a // b`.

    >>> tg.floor_divide(tg.tensor([7, -7]), 2)
    tensor([ 3, -4], int64)
    """
    return a // b


@floor_divide.vjp
def floor_divide_vjp_a(g):
    return where(True, 0, g)


@floor_divide.vjp
def floor_divide_vjp_b(g):
    return where(True, 0, g)


@pointwise(kernel=np.remainder)
def remainder(a, b):
    """What is left of a / b rounded down, elementwise: `a % b`, with the sign of b.

    >>> tg.remainder(tg.tensor([-3, 3]), 2).tolist()
    [1, 1]
    """
    return a % b


@remainder.vjp
def remainder_vjp_a(g):
    return g


@remainder.vjp
def remainder_vjp_b(g, a, b):
    return -g * floor_divide(a, b)


@pointwise(kernel=np.signbit, free=["x"])
def signbit(x):
    """Whether its sign is minus, elementwise: true for -0.0 and for -NaN, too.

    >>> tg.signbit(tg.tensor([0.0, -0.0]))
    tensor([False,  True], bool)
    """
    return math.copysign(1.0, x) < 0


@pointwise(kernel=np.copysign, floats=True)
def copysign(a, b):
    """The size of a with the sign of b, elementwise; the subgradient at a = 0 is 0.

    >>> tg.copysign(tg.tensor([1.0, 2.0]), tg.tensor([-1.0, 0.0]))
    tensor([-1.,  2.], float32)
    """
    return math.copysign(a, b)


@copysign.vjp
def copysign_vjp_a(g, a, b):
    return where(a == 0, 0, where(signbit(a) == signbit(b), g, -g))


@copysign.vjp
def copysign_vjp_b(g):
    return where(True, 0, g)


@primitive(shape=elementwise("nextafter"), floats=True)
def nextafter(a, b):
    """The next number after a towards b, elementwise; its gradient is that of a itself.

    >>> (tg.nextafter(tg.tensor([1.0]), tg.tensor([2.0])) - 1).item() == tg.finfo(tg.float32).eps
    True
    """
    return np.nextafter(a, b)


@nextafter.vjp
def nextafter_vjp_a(g, a, b):
    return where(a == b, 0, g)


@nextafter.vjp
def nextafter_vjp_b(g):
    return where(True, 0, g)
