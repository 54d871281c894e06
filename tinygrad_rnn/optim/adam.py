"""Adam and its kin: running means of the gradient and of its size."""

import math
from typing import Any

import numpy as np

from ..kernels.update import Row, Updated
from .by_rule import Count, RuleOptimizer
from .optimizer import Params
from .options import Group, Option, at_least_0, flag, two_betas


def _amsgrad(p: float, g: float, m: float, v: float, top: float, h: Row) -> Updated:
    step, a, rest_a, b, rest_b, root, eps = h[:7]
    m = a * m + rest_a * g
    v = b * v + rest_b * (g * g)
    top = np.maximum(top, v)
    return p - step * (m / (np.sqrt(top) * root + eps)), m, v, top


class Adam(RuleOptimizer):
    """m, v = bias-corrected running means of g, g^2; p = p - lr m / (sqrt v + eps).

    Kingma and Ba, ICLR 2015; weight_decay is added to the gradient. `amsgrad` takes the
    greatest v so far (Reddi, Kale and Kumar, ICLR 2018). The bias is that of each
    parameter's own number of updates, as in PyTorch.

    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Adam([p], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> round(p.item(), 4)
    0.8004
    """

    moments = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    betas, eps, amsgrad = Option(two_betas), Option(at_least_0), Option(flag)
    decoupled_weight_decay = Option(flag)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            decoupled_weight_decay=decoupled_weight_decay,
        )

    @staticmethod
    def rule(p: float, g: float, m: float, v: float, h: Row) -> Updated:
        """`step` and `root` correct the moments' bias."""
        step, a, rest_a, b, rest_b, root, eps = h[:7]
        m = a * m + rest_a * g
        v = b * v + rest_b * (g * g)
        return p - step * (m / (np.sqrt(v) * root + eps)), m, v

    def plan(self, group: Group) -> Any:
        return (_amsgrad, self.moments) if group.data["amsgrad"] else (self.rule, self.moments[:2])

    def numbers(self, group: Group, count: Count) -> list[float]:
        options = group.data
        a, b = options["betas"]
        step = options["lr"] / (1 - a ** count[0])
        root = 1 / math.sqrt(1 - b ** count[0])
        return [step, a, 1 - a, b, 1 - b, root, options["eps"]]


class AdamW(Adam):
    """Adam with decoupled weight decay: Loshchilov and Hutter, ICLR 2019.

    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.AdamW([p], lr=0.1, weight_decay=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> round(p.item(), 4)
    0.7816
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
        )


class NAdam(RuleOptimizer):
    """Adam that looks ahead: p = p - lr (mu' m^ + (1 - mu) g^) / (sqrt v^ + eps), ^ corrected.

    mu = beta_1 (1 - 0.96^(t momentum_decay) / 2), mu' that of the next update, and the
    bias is the product of all mu: Dozat, ICLR workshop 2016.

    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.NAdam([p], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> round(p.item(), 4)
    0.82
    """

    moments = ("exp_avg", "exp_avg_sq")
    counters = ("step", "mu_product")
    betas, eps, momentum_decay = Option(two_betas), Option(at_least_0), Option(at_least_0)
    decoupled_weight_decay = Option(flag)

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    @staticmethod
    def rule(p: float, g: float, m: float, v: float, h: Row) -> Updated:
        of_m, of_g, a, rest_a, b, rest_b, root, eps = h
        m = a * m + rest_a * g
        v = b * v + rest_b * (g * g)
        return p - (of_m * m + of_g * g) / (np.sqrt(v) * root + eps), m, v

    def first(self, group: Group) -> Count:
        return (0, 1.0)

    def advance(self, group: Group, count: Count) -> Count:
        return (count[0] + 1, count[1] * self._mu(group, count[0] + 1))

    def _mu(self, group: Group, t: float) -> float:
        mu: float = group["betas"][0] * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"]))
        return mu

    def numbers(self, group: Group, count: Count) -> list[float]:
        t, product = count
        (a, b), lr = group["betas"], group["lr"]
        mu, ahead = self._mu(group, t), self._mu(group, t + 1)
        of_m, of_g = lr * ahead / (1 - product * ahead), lr * (1 - mu) / (1 - product)
        return [of_m, of_g, a, 1 - a, b, 1 - b, 1 / math.sqrt(1 - b**t), group["eps"]]


class RAdam(RuleOptimizer):
    """Adam with its step scaled by r, which corrects for the variance of v in early updates.

    r = sqrt((k - 4) (k - 2) K / ((K - 4) (K - 2) k)), K = 2 / (1 - beta_2) - 1 and k =
    K - 2 t beta_2^t / (1 - beta_2^t); up to k = 5 a step without v, p = p - lr m^:
    Liu et al., ICLR 2020.

    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.RAdam([p], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> round(p.item(), 4)
    0.6211
    """

    moments = ("exp_avg", "exp_avg_sq")
    betas, eps = Option(two_betas), Option(at_least_0)
    decoupled_weight_decay = Option(flag)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    @staticmethod
    def rule(p: float, g: float, m: float, v: float, h: Row) -> Updated:
        step, a, rest_a, b, rest_b, scale, eps = h[:7]
        m = a * m + rest_a * g
        v = b * v + rest_b * (g * g)
        d = m * (scale / (np.sqrt(v) + eps)) if scale else m
        return p - step * d, m, v

    def numbers(self, group: Group, count: Count) -> list[float]:
        (a, b), (t,) = group["betas"], count
        left = 1 - b**t
        K = 2 / (1 - b) - 1
        k = K - 2 * t * b**t / left
        scale = 0.0
        if k > 5:
            r = math.sqrt((k - 4) * (k - 2) * K / ((K - 4) * (K - 2) * k))
            scale = r * math.sqrt(left)
        return [group["lr"] / (1 - a**t), a, 1 - a, b, 1 - b, scale, group["eps"]]


class Adamax(RuleOptimizer):
    """m as Adam's; u = max(beta_2 u, |g| + eps); p = p - lr m^ / u: Kingma and Ba, ICLR 2015.

    >>> p = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Adamax([p], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    >>> round(p.item(), 4)
    0.8052
    """

    moments = ("exp_avg", "exp_inf")
    betas, eps = Option(two_betas), Option(at_least_0)

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize
        )

    @staticmethod
    def rule(p: float, g: float, m: float, u: float, h: Row) -> Updated:
        step, a, rest_a, b, eps = h[:5]
        m = a * m + rest_a * g
        u = np.maximum(b * u, np.abs(g) + eps)
        return p - step * (m / u), m, u

    def numbers(self, group: Group, count: Count) -> list[float]:
        a, b = group["betas"]
        return [group["lr"] / (1 - a ** count[0]), a, 1 - a, b, group["eps"]]
