"""NumPy's elementwise names that are made of other ops: powers of 2, angles, choices."""

import math
from collections.abc import Sequence
from typing import Any

from ..errors import ShapeError
from .activations import logaddexp
from .logic import isnan, where
from .pointwise import abs, div, maximum, minimum, mul
from .powers import pow
from .trigonometry import sin

__all__ = [
    "deg2rad", "degrees", "exp2", "fmax", "fmin", "logaddexp2", "rad2deg", "radians", "select",
    "sinc",
]  # fmt: skip


def exp2(x: Any) -> Any:
    """Two to the power of x, elementwise: y = 2^x; exact at whole numbers.

    >>> tg.exp2(tg.tensor([3, -1]))
    tensor([8. , 0.5], float32)
    """
    return pow(2.0, mul(x, 1.0))  # times 1.0: integers as floats, of which 2^-1 is one


def logaddexp2(a: Any, b: Any) -> Any:
    """Logarithm of a sum to base 2, elementwise: log2(2^a + 2^b), without overflow.

    >>> tg.logaddexp2(tg.tensor(500.0), 500.0)
    tensor(501., float32)
    """
    ln2 = math.log(2)
    return div(logaddexp(mul(a, ln2), mul(b, ln2)), ln2)


def deg2rad(x: Any) -> Any:
    """Degrees as radians, elementwise: x pi / 180.

    >>> tg.deg2rad(tg.tensor([0.0, 180.0]))
    tensor([0.    , 3.1416], float32)
    """
    return mul(x, math.pi / 180)


def rad2deg(x: Any) -> Any:
    """Radians as degrees, elementwise: 180 x / pi.

    >>> tg.rad2deg(tg.tensor([0.0, tg.pi]))
    tensor([  0., 180.], float32)
    """
    return mul(x, 180 / math.pi)


def sinc(x: Any) -> Any:
    """Sine over its angle, elementwise: y = sin(pi x) / (pi x), and 1 at 0.

    Below 0.3 by its series, whose derivatives of every order hold at 0 as well; the quotient's
    lose all digits there.

    >>> tg.sinc(tg.tensor([0.0, 0.5]))
    tensor([1.    , 0.6366], float32)
    """
    near = abs(x) < 0.3
    a = mul(x, math.pi)
    close, far = where(near, a, 0.0), where(near, 1.0, a)
    series, z = 0.0, mul(close, close)
    for k in range(9, -1, -1):  # the next term is below 1e-20
        series = z * series + (-1) ** k / math.factorial(2 * k + 1)
    return where(near, series, div(sin(far), far))


radians, degrees = deg2rad, rad2deg


def fmax(a: Any, b: Any) -> Any:
    """The larger of two, elementwise; where one is NaN the other. Ties share the gradient.

    >>> tg.fmax(tg.tensor([1.0, tg.nan]), 2.0)
    tensor([2., 2.], float32)
    """
    return where(isnan(a), b, where(isnan(b), a, maximum(a, b)))


def fmin(a: Any, b: Any) -> Any:
    """The smaller of two, elementwise; where one is NaN the other. Ties share the gradient.

    >>> tg.fmin(tg.tensor([1.0, tg.nan]), 2.0)
    tensor([1., 2.], float32)
    """
    return where(isnan(a), b, where(isnan(b), a, minimum(a, b)))


def select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0.0) -> Any:
    """Take from the first choice whose condition holds, else `default`, elementwise.

    Raises ShapeError unless there are as many conditions as choices, and at least one.

    >>> x = tg.tensor([1, 2, 3])
    >>> tg.select([x < 2, x > 2], [x, 10 * x], 0).tolist()
    [1, 0, 30]
    """
    if len(conditions) != len(choices) or not len(choices):
        raise ShapeError(
            f"select: needs one choice a condition, got {len(conditions)} conditions "
            f"and {len(choices)} choices"
        )
    y = default
    for condition, x in zip(reversed(conditions), reversed(choices), strict=True):
        y = where(condition, x, y)
    return y
