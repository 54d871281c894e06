"""Powers, exponentials and logarithms, elementwise; gradient rules are scalar rules too."""

import math

import numpy as np

from ..kernels import pointwise as kernels, scalar
from ..op import pointwise
from .logic import where
from .pointwise import div

__all__ = [
    "exp", "expm1", "log", "log1p", "log2", "log10", "pow", "sqrt", "square", "tanh",
]  # fmt: skip


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
