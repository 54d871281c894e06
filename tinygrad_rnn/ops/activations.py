"""Activation functions and their like, elementwise; relu's subgradient at 0 is 0."""

import math
from typing import Any

import numpy as np

from ..kernels import pointwise as kernels, scalar
from ..op import pointwise
from .logic import where
from .pointwise import abs, maximum
from .powers import exp, log1p

__all__ = ["erf", "gelu", "logaddexp", "relu", "sigmoid", "silu", "softplus"]


@pointwise(kernel=kernels.sigmoid, floats=True)
def sigmoid(x):
    """Logistic function elementwise: y = 1 / (1 + e^-x); nothing overflows.

    >>> tg.sigmoid(tg.tensor([-1000.0, 0.0, 1.0]))
    tensor([0.    , 0.5   , 0.7311], float32)
    """
    return scalar.sigmoid(x)


@sigmoid.vjp(kernel=kernels.sigmoid_vjp)
def sigmoid_vjp(g, y):
    return g * (y * (1 - y))


@pointwise
def relu(x):
    """Rectifier elementwise: y = max(x, 0); NaN stays NaN, the subgradient at 0 is 0.

    >>> tg.relu(tg.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return maximum(x, 0)


@relu.vjp
def relu_vjp(g, y):
    return where(y <= 0, 0, g)


@pointwise(floats=True)
def softplus(x):
    """log(1 + e^x) elementwise, without overflow.

    >>> tg.softplus(tg.tensor([-1000.0, 0.0, 100.0]))
    tensor([  0.    ,   0.6931, 100.    ], float32)
    """
    return maximum(x, 0) + log1p(exp(-abs(x)))


@softplus.vjp
def softplus_vjp(g, x):
    return g * sigmoid(x)


@pointwise(kernel=np.logaddexp, floats=True)
def logaddexp(a, b):
    """log(e^a + e^b) elementwise, without overflow.

    >>> tg.logaddexp(tg.tensor(1000.0), 1000.0)
    tensor(1000.6932, float32)
    """
    return maximum(a, b) + log1p(exp(-abs(a - b)))


@logaddexp.vjp
def logaddexp_vjp_a(g, a, b):
    return g * sigmoid(a - b)


@logaddexp.vjp
def logaddexp_vjp_b(g, a, b):
    return g * sigmoid(b - a)


@pointwise(floats=True)
def silu(x):
    """Sigmoid-weighted unit elementwise: y = x sigmoid(x).

    >>> tg.silu(tg.tensor([0.0, 1.0]))
    tensor([0.    , 0.7311], float32)
    """
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
    """Error function elementwise.

    >>> tg.erf(tg.tensor([-10.0, 0.0, 1.0]))
    tensor([-1.    ,  0.    ,  0.8427], float32)
    """
    return math.erf(x)


@erf.vjp
def erf_vjp(g, x):
    return g * (1.1283791670955126 * exp(-x * x))  # 2 / sqrt(pi)


@pointwise(floats=True)
def gelu(x):
    """Gaussian error unit elementwise: y = x (1 + erf(x / sqrt 2)) / 2.

    >>> tg.gelu(tg.tensor([0.0, 1.0]))
    tensor([0.    , 0.8413], float32)
    """
    return 0.5 * x * (1 + erf(0.7071067811865476 * x))


@gelu.vjp
def gelu_vjp(g, x):
    density = 0.3989422804014327 * exp(-0.5 * x * x)  # 1 / sqrt(2 pi)
    return g * (0.5 * (1 + erf(0.7071067811865476 * x)) + x * density)
