"""Elementwise arithmetic and bounds; every gradient rule is a scalar rule too.

Shapes broadcast. Where a function has a kink or two inputs tie, the subgradient is
PyTorch's: abs 0 at 0, maximum and minimum half to each at a tie, clip 1 at its bounds.
NaN goes on to the gradient: swallowed, it would be found by nothing.
"""

import operator

import numpy as np

from ..op import pointwise
from .logic import where

__all__ = ["abs", "add", "div", "maximum", "minimum", "mul", "neg", "sub"]


@pointwise(kernel=operator.add)
def add(a, b):
    """Add elementwise: y = a + b.

    >>> tg.add(tg.ones(3, 1), tg.ones(2)).shape
    (3, 2)
    """
    return a + b


@add.vjp
def add_vjp_a(g):
    return g


@add.vjp
def add_vjp_b(g):
    return g


@pointwise(kernel=operator.sub)
def sub(a, b):
    """Subtract elementwise: y = a - b.

    >>> tg.sub(tg.tensor([5, 7]), 2)
    tensor([3, 5], int64)
    """
    return a - b


@sub.vjp
def sub_vjp_a(g):
    return g


@sub.vjp
def sub_vjp_b(g):
    return -g


@pointwise(kernel=operator.mul)
def mul(a, b):
    """Multiply elementwise: y = a b.

    >>> tg.mul(tg.tensor([1, 2]), tg.tensor([[3], [4]]))
    tensor([[3, 6],
            [4, 8]], int64)
    """
    return a * b


@mul.vjp
def mul_vjp_a(g, b):
    return g * b


@mul.vjp
def mul_vjp_b(g, a):
    return g * a


@pointwise(kernel=np.divide, floats=True)
def div(a, b):
    """Divide elementwise: y = a / b; 1/0 is inf, 0/0 NaN.

    >>> tg.div(tg.tensor([1, 3]), 2)
    tensor([0.5, 1.5], float32)
    """
    return a / b


@div.vjp
def div_vjp_a(g, b):
    return div(g, b)


@div.vjp
def div_vjp_b(g, y, b):
    return -g * div(y, b)


@pointwise(kernel=operator.neg)
def neg(x):
    """Change the sign elementwise: y = -x.

    >>> tg.neg(tg.tensor([1.0, -2.0]))
    tensor([-1.,  2.], float32)
    """
    return -x


@neg.vjp
def neg_vjp(g):
    return -g


@pointwise(kernel=np.abs)
def abs(x):
    """Absolute value elementwise; the subgradient at 0 is 0.

    >>> tg.abs(tg.tensor([-2.0, 3.0]))
    tensor([2., 3.], float32)
    """
    return x if x >= 0 else -x


@abs.vjp
def abs_vjp(g, x):
    return where(x > 0, g, where(x < 0, -g, 0 * g))


@pointwise(kernel=np.maximum)
def maximum(a, b):
    """Larger of two, elementwise; NaN wins and passes the gradient to both, a tie half to each.

    >>> tg.maximum(tg.tensor([1.0, 5.0]), 3.0)
    tensor([3., 5.], float32)
    """
    return a if (a > b or a != a) else b


@maximum.vjp
def maximum_vjp_a(g, a, b):
    return where(a < b, 0, where(a == b, 0.5 * g, g))


@maximum.vjp
def maximum_vjp_b(g, a, b):
    return where(b < a, 0, where(a == b, 0.5 * g, g))


@pointwise(kernel=np.minimum)
def minimum(a, b):
    """Smaller of two, elementwise; NaN wins and passes the gradient to both, a tie half to each.

    >>> tg.minimum(tg.tensor([1.0, 5.0]), 3.0)
    tensor([1., 3.], float32)
    """
    return a if (a < b or a != a) else b


@minimum.vjp
def minimum_vjp_a(g, a, b):
    return where(a > b, 0, where(a == b, 0.5 * g, g))


@minimum.vjp
def minimum_vjp_b(g, a, b):
    return where(b > a, 0, where(a == b, 0.5 * g, g))


@pointwise
def clip(x, min, max):
    """Limit to [min, max] elementwise: y = minimum(maximum(x, min), max).

    The gradient goes to x between the bounds and on them, else to the bound that was taken.
    """
    return minimum(maximum(x, min), max)


@clip.vjp
def clip_vjp_x(g, x, min, max):
    return where((x >= min) & (x <= max), g, 0)


@clip.vjp
def clip_vjp_min(g, x, min, max):
    return where((x < min) & (min < max), g, 0)


@clip.vjp
def clip_vjp_max(g, x, min, max):
    return where((x > max) | (max < min), g, 0)
