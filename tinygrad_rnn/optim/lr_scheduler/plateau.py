"""A schedule that waits for a metric to stop improving."""

import math
from typing import Any

from ..optimizer import Optimizer
from ..options import at_least_0, checked
from .base import LRScheduler


class ReduceLROnPlateau(LRScheduler):
    """Multiply by `factor` when `step(metric)` saw no better metric `patience + 1` times.

    Better is, for mode "min" and "max", a metric below best (1 - threshold) and above
    best (1 + threshold); with threshold_mode "abs" below best - threshold and above best
    + threshold. After that `cooldown` steps do not count. The rate does not fall below
    min_lr, and a change of no more than eps is not made.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> optimizer.lr
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ):
        name = "ReduceLROnPlateau"
        if mode not in ("min", "max"):
            raise ValueError(f"{name}: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"{name}: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}"
            )
        if not 0 < factor < 1:
            raise ValueError(f"{name}: factor must be in (0, 1), got {factor}")
        self.patience, self.threshold, self.cooldown, self.eps = checked(
            name,
            dict.fromkeys(("patience", "threshold", "cooldown", "eps"), at_least_0),
            patience=patience, threshold=threshold, cooldown=cooldown, eps=eps,
        )  # fmt: skip
        self.mode, self.factor, self.threshold_mode = mode, factor, threshold_mode
        self.best, self.num_bad_epochs = math.inf if mode == "min" else -math.inf, 0
        self.cooldown_counter = 0.0
        self._belong(optimizer)
        self.min_lrs = [
            checked(name, {"min_lr": at_least_0}, min_lr=v)[0] for v in self._each("min_lr", min_lr)
        ]
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        return [group["lr"] for group in self.groups]

    def _better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1)
        bound = self.best + sign * margin if math.isfinite(self.best) else self.best
        return sign * metric > sign * bound

    def step(self, metric: Any = None) -> None:
        """Step with the epoch's metric."""
        if metric is None:
            raise ValueError("ReduceLROnPlateau.step: needs the metric, as in step(val_loss)")
        self.last_epoch += 1
        metric = float(metric)
        if self._better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        rates = self.get_lr()
        if self.num_bad_epochs > self.patience:
            lower = [max(r * self.factor, m) for r, m in zip(rates, self.min_lrs, strict=True)]
            rates = [new if r - new > self.eps else r for r, new in zip(rates, lower, strict=True)]
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._set(rates)
