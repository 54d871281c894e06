"""Activations as modules, for those who build networks of modules.

    >>> net = tg.nn.Sequential(tg.nn.Linear(3, 4), Tanh(), tg.nn.Linear(4, 2), Softmax())
    >>> round(net(tg.ones(1, 3)).sum().item(), 4)
    1.0

A function does as well there: `Sequential(Linear(3, 4), tg.tanh)`. Formulas, and gradients at
corners, at infinity and of NaN, are PyTorch's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..ops.words import takes_axis
from ..tensors import Tensor
from .layers import sizes
from .module import Module, Parameter


class Identity(Module):
    """y = x.

    >>> tg.nn.Identity()(tg.tensor([-1.0, 2.0]))
    tensor([-1.,  2.], float32)
    """

    def forward(self, x: Any) -> Any:
        return x


class _Plain(Module):
    """A function of one tensor, without options."""

    function: Callable[[Any], Any]

    def forward(self, x: Any) -> Tensor:
        y: Tensor = type(self).function(x)
        return y


class Tanh(_Plain):
    """y = tanh(x).

    >>> tg.nn.Tanh()(tg.tensor([0.0, 1.0]))
    tensor([0.    , 0.7616], float32)
    """

    function = staticmethod(ops.tanh)


class Sigmoid(_Plain):
    """y = 1 / (1 + e^-x).

    >>> tg.nn.Sigmoid()(tg.tensor([0.0, 1.0]))
    tensor([0.5   , 0.7311], float32)
    """

    function = staticmethod(ops.sigmoid)


class ReLU(_Plain):
    """y = max(x, 0).

    >>> tg.nn.ReLU()(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.], float32)
    """

    function = staticmethod(ops.relu)


class GELU(_Plain):
    """y = x P(X <= x) for a standard normal X: Hendrycks and Gimpel 2016.

    >>> tg.nn.GELU()(tg.tensor([0.0, 1.0]))
    tensor([0.    , 0.8413], float32)
    """

    function = staticmethod(ops.gelu)


class SiLU(_Plain):
    """y = x sigmoid(x), also called swish: Ramachandran et al. 2017.

    >>> tg.nn.SiLU()(tg.tensor([0.0, 1.0]))
    tensor([0.    , 0.7311], float32)
    """

    function = staticmethod(ops.silu)


class LogSigmoid(_Plain):
    """y = log(1 / (1 + e^-x)) without overflow.

    >>> tg.nn.LogSigmoid()(tg.tensor([-100.0, 0.0]))
    tensor([-100.    ,   -0.6931], float32)
    """

    function = staticmethod(lambda x: -ops.softplus(-x))


class Softsign(_Plain):
    """y = x / (1 + |x|).

    >>> tg.nn.Softsign()(tg.tensor([-1.0, 3.0]))
    tensor([-0.5 ,  0.75], float32)
    """

    function = staticmethod(lambda x: x / (1 + ops.abs(x)))


class Mish(_Plain):
    """y = x tanh(log(1 + e^x)): Misra 2019.

    >>> tg.nn.Mish()(tg.tensor([0.0, 1.0]))
    tensor([0.    , 0.8651], float32)
    """

    function = staticmethod(lambda x: x * ops.tanh(ops.softplus(x)))


class Softplus(Module):
    """y = log(1 + e^(beta x)) / beta, a smooth relu, without overflow.

    >>> Softplus(2.0)(tg.tensor([800.0, -800.0])).tolist()
    [800.0, 0.0]
    """

    def __init__(self, beta: float = 1.0):
        self.beta = beta

    def forward(self, x: Any) -> Tensor:
        return ops.softplus(self.beta * x) / self.beta


def _exponential(x: Any, alpha: float) -> Any:
    # what is not taken is set to 0 first: e^x overflows above, and 0 times infinity is NaN
    return ops.where(x > 0, x, alpha * ops.expm1(ops.where(x > 0, 0, x)))


class ELU(Module):
    """y = x where it is positive, else alpha (e^x - 1): Clevert et al., ICLR 2016.

    >>> tg.nn.ELU()(tg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.    ], float32)
    """

    def __init__(self, alpha: float = 1.0):
        self.alpha = alpha

    def forward(self, x: Any) -> Tensor:
        y: Tensor = _exponential(x, self.alpha)
        return y


class SELU(_Plain):
    """y = 1.0507 ELU(x) with alpha 1.6733, which keeps mean and variance: Klambauer et al. 2017.

    >>> tg.nn.SELU()(tg.tensor([0.0, 1.0]))
    tensor([0.    , 1.0507], float32)
    """

    function = staticmethod(lambda x: 1.0507009873554805 * _exponential(x, 1.6732632423543772))


class LeakyReLU(Module):
    """y = x where x is positive, else slope x.

    >>> LeakyReLU(0.5)(tg.tensor([-4.0, 2.0])).tolist()
    [-2.0, 2.0]
    """

    def __init__(self, slope: float = 0.01):
        self.slope = slope

    def forward(self, x: Any) -> Tensor:
        y: Tensor = ops.where(x > 0, x, self.slope * x)
        return y


class PReLU(Module):
    """y = x where x is positive, else weight x, with a slope that is learned: He et al. 2015.

    One slope for all, or, as in PyTorch, one for each of `num_parameters` places on the
    second axis of x.

    >>> PReLU()(tg.tensor([-4.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25):
        sizes("PReLU", num_parameters=num_parameters)
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def forward(self, x: Any) -> Tensor:
        n = self.weight.size
        weight: Tensor = self.weight
        if n > 1:
            if x.ndim < 2 or x.shape[1] != n:
                raise ShapeError(f"PReLU: the second axis must be {n}, got shape {x.shape}")
            weight = weight.reshape(n, *[1] * (x.ndim - 2))
        y: Tensor = ops.where(x > 0, x, weight * ops.where(x > 0, 0, x))
        return y


class Softmax(Module):
    """y = e^x / sum(e^x) along one axis.

    >>> tg.nn.Softmax()(tg.tensor([1.0, 1.0, 1.0]))
    tensor([0.3333, 0.3333, 0.3333], float32)
    """

    @takes_axis
    def __init__(self, axis: int = -1):
        self.axis = axis

    def forward(self, x: Any) -> Tensor:
        return ops.softmax(x, axis=self.axis)


class LogSoftmax(Module):
    """y = x - log(sum(e^x)) along one axis.

    >>> tg.nn.LogSoftmax()(tg.tensor([1.0, 1.0]))
    tensor([-0.6931, -0.6931], float32)
    """

    @takes_axis
    def __init__(self, axis: int = -1):
        self.axis = axis

    def forward(self, x: Any) -> Tensor:
        return ops.log_softmax(x, axis=self.axis)
