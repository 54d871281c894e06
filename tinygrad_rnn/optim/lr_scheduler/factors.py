"""Schedules that multiply the rate."""

from collections.abc import Callable, Sequence
from typing import Any

from ..optimizer import Optimizer
from ..options import above_0, checked, count, finite, fraction, share
from .base import LRScheduler


class StepLR(LRScheduler):
    """Multiply by gamma every step_size steps.

    >>> opt = tg.optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(opt, step_size=2, gamma=0.5)
    >>> for _ in range(5): schedule.step()
    >>> opt.lr
    0.25
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        (self.step_size,) = checked("StepLR", {"step_size": count}, step_size=step_size)
        (self.gamma,) = checked("StepLR", {"gamma": above_0}, gamma=gamma)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        now = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [group["lr"] * (self.gamma if now else 1.0) for group in self.groups]


class MultiStepLR(LRScheduler):
    """Multiply by gamma at each of the milestones.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.1)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [1.0, 0.1, 0.1, 0.01, 0.01]
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1):
        self.milestones = sorted(milestones)
        (self.gamma,) = checked("MultiStepLR", {"gamma": above_0}, gamma=gamma)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        times = self.milestones.count(self.last_epoch)
        return [group["lr"] * self.gamma**times for group in self.groups]


class ExponentialLR(LRScheduler):
    """Multiply by gamma at every step.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float):
        (self.gamma,) = checked("ExponentialLR", {"gamma": above_0}, gamma=gamma)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        return [group["lr"] * (self.gamma if self.last_epoch else 1.0) for group in self.groups]


class ConstantLR(LRScheduler):
    """Multiply by factor until total_iters steps are done.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [0.5, 0.5, 1.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5):
        (self.factor,) = checked("ConstantLR", {"factor": share}, factor=factor)
        (self.total_iters,) = checked("ConstantLR", {"total_iters": count}, total_iters=total_iters)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        rates = [group["lr"] for group in self.groups]
        if self.last_epoch == 0:
            return [rate * self.factor for rate in rates]
        if self.last_epoch == self.total_iters:
            return [rate / self.factor for rate in rates]
        return rates


class LinearLR(LRScheduler):
    """Change the factor linearly from start_factor to end_factor in total_iters steps.

    >>> opt = tg.optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = LinearLR(opt, start_factor=0.5, total_iters=2)
    >>> rates = [opt.lr]
    >>> for _ in range(3):
    ...     schedule.step()
    ...     rates.append(opt.lr)
    >>> rates
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ):
        name, checks = type(self).__name__, {"start_factor": share, "end_factor": fraction}
        self.start_factor, self.end_factor = checked(
            name, checks, start_factor=start_factor, end_factor=end_factor
        )
        (self.total_iters,) = checked(name, {"total_iters": count}, total_iters=total_iters)
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        rates, t, first = [g["lr"] for g in self.groups], self.last_epoch, self.start_factor
        if t == 0:
            return [rate * first for rate in rates]
        if t > self.total_iters:
            return rates
        rise = self.end_factor - first
        before = self.total_iters * first + (t - 1) * rise
        return [rate * (1 + rise / before) for rate in rates]


class LinearWarmup(LinearLR):
    """Raise the factor linearly from start_factor to 1 in `steps` steps.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.LinearWarmup(optimizer, steps=4, start_factor=0.2)
    >>> rates = []
    >>> for _ in range(6):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, steps: int, start_factor: float = 0.1):
        super().__init__(optimizer, start_factor, 1.0, steps)


class LambdaLR(LRScheduler):
    """Multiply the base rate by what a function, or one for each group, gives for the step.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [1.0, 0.5, 0.333, 0.25]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Any]):
        self._belong(optimizer)
        self.lr_lambdas = self._each("lr_lambda", lr_lambda)
        if not all(map(callable, self.lr_lambdas)):
            raise ValueError(f"LambdaLR: lr_lambda must be functions, got {lr_lambda!r:.80}")
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        given = [factor(self.last_epoch) for factor in self.lr_lambdas]
        factors = [checked("LambdaLR", {"lr_lambda": finite}, lr_lambda=f)[0] for f in given]
        return [base * f for base, f in zip(self.base_lrs, factors, strict=True)]
