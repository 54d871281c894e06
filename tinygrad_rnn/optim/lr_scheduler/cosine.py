"""Schedules along a cosine: Loshchilov and Hutter, ICLR 2017."""

import math

from ...errors import ShapeError
from ..optimizer import Optimizer
from ..options import at_least_0, checked, count
from .base import LRScheduler


class CosineAnnealingLR(LRScheduler):
    """From the base rate to eta_min along half a cosine in T_max steps, then up again.

    lr = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2, without restarts; computed
    from the rate of the step before, so that it goes along with other schedules.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        (self.T_max,) = checked("CosineAnnealingLR", {"T_max": count}, T_max=T_max)
        (self.eta_min,) = checked("CosineAnnealingLR", {"eta_min": at_least_0}, eta_min=eta_min)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        t, T, least = self.last_epoch, self.T_max, self.eta_min
        rates = [group["lr"] for group in self.groups]
        if t == 0:
            return rates
        if (t - 1 - T) % (2 * T) == 0:  # it was at the bottom, where the ratio has no value
            rise = (1 - math.cos(math.pi / T)) / 2
            pairs = zip(rates, self.base_lrs, strict=True)
            return [rate + (base - least) * rise for rate, base in pairs]
        ratio = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        return [ratio * (rate - least) + least for rate in rates]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the base rate to eta_min in T_0 steps, again and again.

    Each time it takes T_mult times as many steps. `step(epoch)` sets the position, which may be
    a fraction: epoch + batch / batches.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
    >>> rates = []
    >>> for _ in range(7):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0):
        self.T_0, self.T_mult = checked(
            "CosineAnnealingWarmRestarts", {"T_0": count, "T_mult": count}, T_0=T_0, T_mult=T_mult
        )
        (self.eta_min,) = checked(
            "CosineAnnealingWarmRestarts", {"eta_min": at_least_0}, eta_min=eta_min
        )
        self.T_cur, self.T_i = 0.0, self.T_0
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go one step on, or to an epoch."""
        if epoch is None:
            epoch, self.T_cur = self.last_epoch + 1, self.T_cur + 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
        elif not 0 <= epoch < math.inf:
            raise ShapeError(f"CosineAnnealingWarmRestarts: epoch must be from 0, got {epoch}")
        else:
            self.T_cur, self.T_i = float(epoch), self.T_0
            if self.T_mult == 1:
                self.T_cur %= self.T_i
            while self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur - self.T_i, self.T_i * self.T_mult
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())

    def begin(self) -> None:
        self.step(0)
