"""Gradient descent, with momentum if asked."""

from collections.abc import Mapping
from typing import Any

from ..kernels.update import Row, Updated
from .by_rule import Count, RuleOptimizer
from .optimizer import Params
from .options import Group, Option, at_least_0, finite, flag


def _plain(p: float, g: float, h: Row) -> Updated:
    return (p - h[0] * g,)


class SGD(RuleOptimizer):
    """p = p - lr m with m = mu m + (1 - dampening) g, m = g at first; Nesterov: g + mu m for m.

    PyTorch's definition (Sutskever et al., ICML 2013, differ in where lr stands).

    >>> w = tg.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> SGD([w], lr=0.25).step()
    >>> w.tolist()
    [0.5]
    """

    moments = ("momentum_buffer",)
    momentum, dampening, nesterov = Option(at_least_0), Option(finite), Option(flag)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    def _begin(self, group: Group) -> None:
        if group["nesterov"] and not (group["momentum"] > 0 and group["dampening"] == 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")
        super()._begin(group)

    @staticmethod
    def rule(p: float, g: float, m: float, h: Row) -> Updated:
        """With momentum."""
        lr, mu, rest, nesterov = h[:4]
        m = mu * m + rest * g
        d = g + mu * m if nesterov else m
        return p - lr * d, m

    def plan(self, group: Group) -> Any:
        return (self.rule, self.moments) if group["momentum"] else (_plain, ())

    def numbers(self, group: Group, count: Count) -> list[float]:
        rest = 1.0 if count[0] == 1 else 1 - group["dampening"]
        return [group["lr"], group["momentum"], rest, group["nesterov"]]

    def _read(self, group: Group, states: list[Mapping[str, Any]]) -> Any:
        # PyTorch's SGD counts nothing: that there is a buffer tells of an update
        had = [s.get("momentum_buffer") is not None for s in states]
        counted = [{"step": 1} | dict(s) if m else s for s, m in zip(states, had, strict=True)]
        return super()._read(group, counted)
