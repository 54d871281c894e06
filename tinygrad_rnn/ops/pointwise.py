"""Elementwise ops; shapes broadcast, and every gradient rule is a scalar rule too.

Where a function has a kink or two inputs tie, the subgradient is PyTorch's:
abs 0 at 0, relu 0 at 0, maximum and minimum half to each at a tie, clip 1 at
its bounds.
"""

import math
import operator
from typing import Any

import numpy as np

from ..kernels import pointwise as kernels, scalar
from ..op import pointwise


@pointwise(kernel=operator.add)
def add(a, b):
    """Add elementwise: y = a + b."""
    return a + b


@add.vjp
def add_vjp_a(g):
    return g


@add.vjp
def add_vjp_b(g):
    return g


@pointwise(kernel=operator.sub)
def sub(a, b):
    """Subtract elementwise: y = a - b."""
    return a - b


@sub.vjp
def sub_vjp_a(g):
    return g


@sub.vjp
def sub_vjp_b(g):
    return -g


@pointwise(kernel=operator.mul)
def mul(a, b):
    """Multiply elementwise: y = a b."""
    return a * b


@mul.vjp
def mul_vjp_a(g, b):
    return g * b


@mul.vjp
def mul_vjp_b(g, a):
    return g * a


@pointwise(kernel=np.divide, floats=True)
def div(a, b):
    """Divide elementwise: y = a / b; 1/0 is inf, 0/0 NaN."""
    return a / b


@div.vjp
def div_vjp_a(g, b):
    return div(g, b)


@div.vjp
def div_vjp_b(g, y, b):
    return -g * div(y, b)


@pointwise(kernel=operator.neg)
def neg(x):
    """Change the sign elementwise: y = -x."""
    return -x


@neg.vjp
def neg_vjp(g):
    return -g


@pointwise(kernel=np.power)
def pow(a, b):
    """Raise to a power elementwise: y = a^b; x^0 is 1 with gradient 0."""
    return a**b


@pow.vjp
def pow_vjp_a(g, a, b):
    return where(b == 0, 0, g * (b * pow(where(b == 0, 1, a), b - 1)))


@pow.vjp
def pow_vjp_b(g, y, a, b):
    zero = (b >= 0) & (a == 0)
    base = where(zero, 1 + b, a)  # of b's dtype, also where a is a Python number
    return g * where(zero, 0, y * log(base))


@pointwise(kernel=np.abs)
def abs(x):
    """Absolute value elementwise; the subgradient at 0 is 0."""
    return x if x >= 0 else -x


@abs.vjp
def abs_vjp(g, x):
    return where(x > 0, g, where(x < 0, -g, 0 * g))


@pointwise(kernel=np.exp, floats=True)
def exp(x):
    """Exponential elementwise: y = e^x."""
    return scalar.exp(x)


@exp.vjp
def exp_vjp(g, y):
    return g * y


@pointwise(kernel=np.log, floats=True)
def log(x):
    """Natural logarithm elementwise; -inf at 0, NaN below."""
    return math.log(x)


@log.vjp
def log_vjp(g, x):
    return div(g, x)


@pointwise(kernel=np.log1p, floats=True)
def log1p(x):
    """log(1 + x) elementwise, accurate near 0."""
    return math.log1p(x)


@log1p.vjp
def log1p_vjp(g, x):
    return div(g, 1 + x)


@pointwise(kernel=np.expm1, floats=True)
def expm1(x):
    """e^x - 1 elementwise, accurate near 0."""
    return math.expm1(x)


@expm1.vjp
def expm1_vjp(g, y):
    return g * (y + 1)


@pointwise(kernel=np.sqrt, floats=True)
def sqrt(x):
    """Square root elementwise; the gradient at 0 is infinite."""
    return math.sqrt(x)


@sqrt.vjp
def sqrt_vjp(g, y):
    return div(g, 2 * y)


@pointwise(kernel=np.square)
def square(x):
    """Square elementwise: y = x^2."""
    return x * x


@square.vjp
def square_vjp(g, x):
    return g * (2 * x)


@pointwise(kernel=np.sin, floats=True)
def sin(x):
    """Sine elementwise, x in radians."""
    return math.sin(x)


@sin.vjp
def sin_vjp(g, x):
    return g * cos(x)


@pointwise(kernel=np.cos, floats=True)
def cos(x):
    """Cosine elementwise, x in radians."""
    return math.cos(x)


@cos.vjp
def cos_vjp(g, x):
    return -g * sin(x)


@pointwise(kernel=np.tanh, floats=True)
def tanh(x):
    """Hyperbolic tangent, elementwise."""
    return scalar.tanh(x)


@tanh.vjp(kernel=kernels.tanh_vjp)
def tanh_vjp(g, y):
    return g * (1 - y * y)


@pointwise(kernel=kernels.sigmoid, floats=True)
def sigmoid(x):
    """Logistic function elementwise: y = 1 / (1 + e^-x); nothing overflows."""
    return scalar.sigmoid(x)


@sigmoid.vjp(kernel=kernels.sigmoid_vjp)
def sigmoid_vjp(g, y):
    return g * (y * (1 - y))


@pointwise
def relu(x):
    """Rectifier elementwise: y = max(x, 0); NaN stays NaN, the subgradient at 0 is 0."""
    return maximum(x, 0)


@relu.vjp
def relu_vjp(g, y):
    return where(y <= 0, 0, g)


@pointwise(floats=True)
def softplus(x):
    """log(1 + e^x) elementwise, without overflow."""
    return maximum(x, 0) + log1p(exp(-abs(x)))


@softplus.vjp
def softplus_vjp(g, x):
    return g * sigmoid(x)


@pointwise(floats=True)
def silu(x):
    """Sigmoid-weighted unit elementwise: y = x sigmoid(x)."""
    return x * sigmoid(x)


@silu.vjp
def silu_vjp(g, x):
    s = sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


def _erf(x: Any) -> Any:
    from scipy.special import erf as array_erf  # 0.1 s to import: only who needs it pays

    return array_erf(x)


@pointwise(kernel=_erf, floats=True)
def erf(x):
    """Error function elementwise."""
    return math.erf(x)


@erf.vjp
def erf_vjp(g, x):
    return g * (1.1283791670955126 * exp(-x * x))  # 2 / sqrt(pi)


@pointwise(floats=True)
def gelu(x):
    """Gaussian error unit elementwise: y = x (1 + erf(x / sqrt 2)) / 2."""
    return 0.5 * x * (1 + erf(0.7071067811865476 * x))


@gelu.vjp
def gelu_vjp(g, x):
    density = 0.3989422804014327 * exp(-0.5 * x * x)  # 1 / sqrt(2 pi)
    return g * (0.5 * (1 + erf(0.7071067811865476 * x)) + x * density)


@pointwise(kernel=np.maximum)
def maximum(a, b):
    """Larger of two, elementwise; NaN wins and passes the gradient to both, a tie half to each."""
    return a if (a > b or a != a) else b


@maximum.vjp
def maximum_vjp_a(g, a, b):
    return where(a < b, 0, where(a == b, 0.5 * g, g))


@maximum.vjp
def maximum_vjp_b(g, a, b):
    return where(b < a, 0, where(a == b, 0.5 * g, g))


@pointwise(kernel=np.minimum)
def minimum(a, b):
    """Smaller of two, elementwise; NaN wins and passes the gradient to both, a tie half to each."""
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


@pointwise(kernel=np.where, free=["condition"])
def where(condition, a, b):
    """Choose a where the condition holds, else b, elementwise."""
    return a if condition else b


@where.vjp
def where_vjp_a(g, condition):
    return where(condition, g, 0)


@where.vjp
def where_vjp_b(g, condition):
    return where(condition, 0, g)


@pointwise(kernel=operator.eq)
def eq(a, b):
    """Equal, elementwise; boolean, without gradient."""
    return a == b


@pointwise(kernel=operator.ne)
def ne(a, b):
    """Not equal, elementwise; boolean, without gradient."""
    return a != b


@pointwise(kernel=operator.lt)
def lt(a, b):
    """Less than, elementwise; boolean, without gradient."""
    return a < b


@pointwise(kernel=operator.le)
def le(a, b):
    """Less than or equal, elementwise; boolean, without gradient."""
    return a <= b


@pointwise(kernel=operator.gt)
def gt(a, b):
    """Greater than, elementwise; boolean, without gradient."""
    return a > b


@pointwise(kernel=operator.ge)
def ge(a, b):
    """Greater than or equal, elementwise; boolean, without gradient."""
    return a >= b


@pointwise(kernel=operator.and_)
def logical_and(a, b):
    """Both, elementwise, of boolean inputs."""
    return a & b


@pointwise(kernel=operator.or_)
def logical_or(a, b):
    """Either, elementwise, of boolean inputs."""
    return a | b


@pointwise(kernel=np.logical_not)
def logical_not(x):
    """Negation, elementwise, of a boolean input."""
    return not x


@pointwise(free=["x"])
def detach(x):
    """The same values, without gradient: where truncated BPTT truncates."""
    return x


@pointwise(kernel=lambda x, *, dtype: np.asarray(x).astype(dtype), free=["x"])
def astype(x, *, dtype):
    """Convert to a dtype; the gradient is converted back. None passes to integers."""
    return x


@astype.vjp
def astype_vjp(g, x_dtype):
    return astype(g, dtype=x_dtype)
