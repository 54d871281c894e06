"""Elementwise arithmetic and functions; every gradient rule is a scalar rule too.

Shapes broadcast. Where a function has a kink or two inputs tie, the subgradient is
PyTorch's: abs 0 at 0, maximum and minimum half to each at a tie, clip 1 at its bounds.
NaN goes on to the gradient: swallowed, it would be found by nothing.
"""

import math
import operator

import numpy as np

from ..kernels import pointwise as kernels, scalar
from ..op import pointwise
from .logic import where

__all__ = [
    "abs", "add", "div", "exp", "expm1", "log", "log1p", "log2", "log10", "maximum", "minimum",
    "mul", "neg", "pow", "sqrt", "square", "sub", "tanh",
]  # fmt: skip


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


@pointwise(kernel=np.power)
def pow(a, b):
    """Raise to a power elementwise: y = a^b; x^0 is 1 with gradient 0.

    >>> tg.pow(tg.tensor([2.0, 9.0]), tg.tensor([3.0, 0.5]))
    tensor([8., 3.], float32)
    """
    return a**b


@pow.vjp
def pow_vjp_a(g, a, b):
    return where(b == 0, 0, g * (b * pow(where(b == 0, 1, a), b - 1)))


@pow.vjp
def pow_vjp_b(g, y, a, b):
    base = where((b >= 0) & (a == 0), 1 + b, a)  # of b's dtype, also where a is a Python number
    zero = (b >= 0) & ((a == 0) | (base == 0))  # 5e-324 is 0 in float32
    return g * where(zero, 0, y * log(where(zero, 1 + b, base)))


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


@pointwise(kernel=np.exp, floats=True)
def exp(x):
    """Exponential elementwise: y = e^x.

    >>> tg.exp(tg.tensor([0.0, 1.0]))
    tensor([1.    , 2.7183], float32)
    """
    return scalar.exp(x)


@exp.vjp
def exp_vjp(g, y):
    return g * y


@pointwise(kernel=np.log, floats=True)
def log(x):
    """Natural logarithm elementwise; -inf at 0, NaN below.

    >>> tg.log(tg.tensor([1.0, tg.e]))
    tensor([0., 1.], float32)
    """
    return math.log(x)


@log.vjp
def log_vjp(g, x):
    return div(g, x)


@pointwise(kernel=np.log1p, floats=True)
def log1p(x):
    """log(1 + x) elementwise, accurate near 0.

    >>> tg.log1p(tg.tensor([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10], float32)
    """
    return math.log1p(x)


@log1p.vjp
def log1p_vjp(g, x):
    return div(g, 1 + x)


@pointwise(kernel=np.log2, floats=True)
def log2(x):
    """Logarithm to base 2 elementwise; -inf at 0, NaN below.

    >>> tg.log2(tg.tensor([1.0, 8.0]))
    tensor([0., 3.], float32)
    """
    return log(x) * 1.4426950408889634  # 1 / log 2


@log2.vjp
def log2_vjp(g, x):
    return div(g, x * 0.6931471805599453)


@pointwise(kernel=np.log10, floats=True)
def log10(x):
    """Logarithm to base 10 elementwise; -inf at 0, NaN below.

    >>> tg.log10(tg.tensor(2.0))
    tensor(0.30103, float32)
    """
    return log(x) * 0.4342944819032518  # 1 / log 10


@log10.vjp
def log10_vjp(g, x):
    return div(g, x * 2.302585092994046)


@pointwise(kernel=np.expm1, floats=True)
def expm1(x):
    """e^x - 1 elementwise, accurate near 0.

    >>> tg.expm1(tg.tensor([0.0, 1e-10]))
    tensor([0.e+00, 1.e-10], float32)
    """
    return math.expm1(x)


@expm1.vjp
def expm1_vjp(g, y):
    return g * (y + 1)


@pointwise(kernel=np.sqrt, floats=True)
def sqrt(x):
    """Square root elementwise; the gradient at 0 is infinite.

    >>> tg.sqrt(tg.tensor([4.0, 2.0]))
    tensor([2.    , 1.4142], float32)
    """
    return math.sqrt(x)


@sqrt.vjp
def sqrt_vjp(g, y):
    return div(g, 2 * y)


@pointwise(kernel=np.square)
def square(x):
    """Square elementwise: y = x^2.

    >>> tg.square(tg.tensor([-3, 2]))
    tensor([9, 4], int64)
    """
    return x * x


@square.vjp
def square_vjp(g, x):
    return g * (2 * x)


@pointwise(kernel=np.tanh, floats=True)
def tanh(x):
    """Hyperbolic tangent, elementwise.

    >>> tg.tanh(tg.tensor([0.0, 1.0, 100.0]))
    tensor([0.    , 0.7616, 1.    ], float32)
    """
    return scalar.tanh(x)


@tanh.vjp(kernel=kernels.tanh_vjp)
def tanh_vjp(g, y):
    return g * (1 - y * y)


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
