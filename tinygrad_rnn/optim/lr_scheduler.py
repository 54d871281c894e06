"""Learning-rate schedules: each sets a factor on its optimiser's base rate; they multiply."""

import math
from typing import Any

from .optimizer import Optimizer


class Scheduler:
    """Base: a factor as a function of how often `step` was called."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer, self.count = optimizer, 0
        self.key = f"{type(self).__name__}.{len(optimizer.factors)}"
        optimizer.factors[self.key] = self.factor()

    def factor(self) -> float:
        """What the base rate is multiplied by now."""
        raise NotImplementedError

    def step(self) -> None:
        """Go one step on; call it after `optimizer.step()`, once an epoch or a batch."""
        self.count += 1
        self.optimizer.factors[self.key] = self.factor()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {k: v for k, v in vars(self).items() if k not in ("optimizer", "key")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        unknown = set(state) ^ set(self.state_dict())
        if unknown:
            raise ValueError(f"{type(self).__name__}.load_state_dict: {sorted(unknown)} do not fit")
        vars(self).update(state)
        self.optimizer.factors[self.key] = self.factor()


class StepLR(Scheduler):
    """Multiply by gamma every step_size steps.

    >>> import tinygrad_rnn as tg
    >>> opt = tg.optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(opt, step_size=2, gamma=0.5)
    >>> for _ in range(5): schedule.step()
    >>> opt.lr
    0.25
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        if step_size < 1:
            raise ValueError(f"StepLR: step_size must be at least 1, got {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def factor(self) -> float:
        return float(self.gamma ** (self.count // self.step_size))


class CosineAnnealingLR(Scheduler):
    """From 1 to eta_min / base_lr along half a cosine in T_max steps, then level.

    Loshchilov and Hutter, ICLR 2017, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max must be at least 1, got {T_max}")
        self.T_max, self.floor = T_max, eta_min / optimizer.base_lr if optimizer.base_lr else 0.0
        super().__init__(optimizer)

    def factor(self) -> float:
        done = min(self.count, self.T_max) / self.T_max
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2


class LinearWarmup(Scheduler):
    """From start_factor to 1 along a line in `steps` steps."""

    def __init__(self, optimizer: Optimizer, steps: int, start_factor: float = 0.1):
        if steps < 1 or not 0 <= start_factor <= 1:
            raise ValueError(
                "LinearWarmup: needs steps from 1 and a start_factor in [0, 1], got "
                f"{steps} and {start_factor}"
            )
        self.steps, self.start_factor = steps, start_factor
        super().__init__(optimizer)

    def factor(self) -> float:
        done = min(self.count, self.steps) / self.steps
        return self.start_factor + (1 - self.start_factor) * done


class ReduceLROnPlateau(Scheduler):
    """Multiply by `reduction` when `step(metric)` saw no new minimum `patience + 1` times.

    New is a metric below best (1 - threshold); the rate does not fall below min_lr.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        reduction: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        min_lr: float = 0.0,
    ):
        if not 0 < reduction < 1:
            raise ValueError(f"ReduceLROnPlateau: reduction must be in (0, 1), got {reduction}")
        self.reduction, self.patience, self.threshold = reduction, patience, threshold
        self.min_lr, self.best, self.bad, self.scale = min_lr, math.inf, 0, 1.0
        super().__init__(optimizer)

    def factor(self) -> float:
        return self.scale

    def step(self, metric: float | None = None) -> None:
        """Tell it the metric of the epoch that ended."""
        if metric is None:
            raise ValueError("ReduceLROnPlateau.step: needs the metric, as in step(val_loss)")
        if metric < self.best * (1 - self.threshold):
            self.best, self.bad = float(metric), 0
        else:
            self.bad += 1
        if self.bad > self.patience:
            floor = self.min_lr / self.optimizer.base_lr if self.optimizer.base_lr else 0.0
            self.scale, self.bad = max(self.scale * self.reduction, floor), 0
        super().step()
