"""Steps scaled by the size that each parameter's gradients had."""

from typing import Any

import numpy as np

from ..kernels.update import Row, Updated
from .by_rule import Count, RuleOptimizer
from .optimizer import Params
from .options import Group, Option, at_least_0, flag, fraction


class Adagrad(RuleOptimizer):
    """v = v + g^2; p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt v + eps).

    Duchi, Hazan and Singer, JMLR 12 (2011); v begins at initial_accumulator_value.

    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Adagrad([p], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> round(p.item(), 4)
    0.8331
    """

    moments = ("sum",)
    lr_decay, eps = Option(at_least_0), Option(at_least_0)
    initial_accumulator_value = Option(at_least_0)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
        )

    @staticmethod
    def rule(p: float, g: float, v: float, h: Row) -> Updated:
        lr, eps = h[:2]
        v = v + g * g
        return p - lr * (g / (np.sqrt(v) + eps)), v

    def initial(self, group: Group) -> float:
        value: float = group["initial_accumulator_value"]
        return value

    def numbers(self, group: Group, count: Count) -> list[float]:
        return [group["lr"] / (1 + (count[0] - 1) * group["lr_decay"]), group["eps"]]


class Adadelta(RuleOptimizer):
    """v = rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) g; u = the same mean of d^2.

    p = p - lr d: Zeiler, arXiv 1212.5701 (2012).

    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Adadelta([p])
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> round(p.item(), 4)
    0.9936
    """

    moments = ("square_avg", "acc_delta")
    rho, eps = Option(fraction), Option(at_least_0)

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize
        )

    @staticmethod
    def rule(p: float, g: float, v: float, u: float, h: Row) -> Updated:
        lr, rho, rest, eps = h[:4]
        v = rho * v + rest * (g * g)
        d = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        return p - lr * d, v, rho * u + rest * (d * d)

    def numbers(self, group: Group, count: Count) -> list[float]:
        return [group["lr"], group["rho"], 1 - group["rho"], group["eps"]]


def _with_momentum(p: float, g: float, v: float, m: float, h: Row) -> Updated:
    lr, alpha, rest, eps, mu = h[:5]
    v = alpha * v + rest * (g * g)
    m = mu * m + g / (np.sqrt(v) + eps)
    return p - lr * m, v, m


def _centered(p: float, g: float, v: float, a: float, h: Row) -> Updated:
    lr, alpha, rest, eps = h[:4]
    v, a = alpha * v + rest * (g * g), alpha * a + rest * g
    # where g stays the same the difference is rounding alone, and may fall below 0
    return p - lr * (g / (np.sqrt(np.maximum(v - a * a, v - v)) + eps)), v, a


def _centered_with_momentum(p: float, g: float, v: float, a: float, m: float, h: Row) -> Updated:
    lr, alpha, rest, eps, mu = h[:5]
    v, a = alpha * v + rest * (g * g), alpha * a + rest * g
    m = mu * m + g / (np.sqrt(np.maximum(v - a * a, v - v)) + eps)
    return p - lr * m, v, a, m


class RMSprop(RuleOptimizer):
    """v = alpha v + (1 - alpha) g^2; p = p - lr g / (sqrt v + eps): Hinton's lecture 6e (2012).

    `centered` subtracts the square of g's running mean from v (Graves, arXiv 1308.0850,
    2013); with `momentum`, p = p - lr m, m = momentum m + g / (sqrt v + eps).

    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.RMSprop([p], lr=0.01)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> round(p.item(), 4)
    0.8329
    """

    moments = ("square_avg", "grad_avg", "momentum_buffer")
    alpha, eps, momentum = Option(fraction), Option(at_least_0), Option(at_least_0)
    centered = Option(flag)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
        )

    @staticmethod
    def rule(p: float, g: float, v: float, h: Row) -> Updated:
        lr, alpha, rest, eps = h[:4]
        v = alpha * v + rest * (g * g)
        return p - lr * (g / (np.sqrt(v) + eps)), v

    def plan(self, group: Group) -> Any:
        v, a, m = self.moments
        if group["centered"]:
            if group["momentum"]:
                return _centered_with_momentum, (v, a, m)
            return _centered, (v, a)
        return (_with_momentum, (v, m)) if group["momentum"] else (self.rule, (v,))

    def numbers(self, group: Group, count: Count) -> list[float]:
        alpha = group["alpha"]
        return [group["lr"], alpha, 1 - alpha, group["eps"], group["momentum"]]
