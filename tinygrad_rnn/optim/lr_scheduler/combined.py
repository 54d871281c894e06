"""Schedules made of schedules: one after the other, or all along one another."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import GraphError
from ..optimizer import Optimizer
from .base import LRScheduler
from .plateau import ReduceLROnPlateau


class _Combined(LRScheduler):
    """Base: several schedules of one optimiser."""

    def _parts(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> Optimizer:
        name, self.schedulers = type(self).__name__, list(schedulers)
        if not self.schedulers:
            raise GraphError(f"{name}: needs at least one schedule")
        for schedule in self.schedulers:
            if not isinstance(schedule, LRScheduler):
                raise GraphError(f"{name}: needs schedules, got {type(schedule).__name__}")
        optimizer = optimizer or self.schedulers[0].optimizer
        for schedule in self.schedulers:
            if isinstance(schedule, ReduceLROnPlateau):
                raise GraphError(f"{name}: ReduceLROnPlateau needs a metric; step it by itself")
            if schedule.optimizer is not optimizer:
                raise GraphError(f"{name}: the schedules are of several optimisers")
        return optimizer

    def get_lr(self) -> list[float]:
        return [group["lr"] for group in self.groups]

    def state_dict(self) -> dict[str, Any]:
        """The states of all schedules with its own."""
        parts = [schedule.state_dict() for schedule in self.schedulers]
        return {**super().state_dict(), "schedulers": parts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; the rates themselves come with the optimiser's."""
        parts, before = self.schedulers, self.state_dict()
        given = state.get("schedulers")
        if not isinstance(given, Sequence) or len(given) != len(parts):
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: needs the states of {len(parts)} schedules"
            )
        try:
            super().load_state_dict(state)
            for part, entry in zip(parts, given, strict=True):
                part.load_state_dict(entry)
        except Exception:
            for part, entry in zip(parts, before.pop("schedulers"), strict=True):
                part.load_state_dict(entry)
            vars(self).update(before)
            raise
        finally:
            self.schedulers = parts


class SequentialLR(_Combined):
    """One schedule after the other: the next begins, from the base rate, at each milestone.

    >>> from tinygrad_rnn.optim.lr_scheduler import ExponentialLR, LinearWarmup
    >>> opt = tg.optim.SGD([tg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm, decay = LinearWarmup(opt, 2, 0.5), ExponentialLR(opt, 0.5)
    >>> schedule = SequentialLR(opt, [warm, decay], milestones=[2])
    >>> rates = [opt.lr]
    >>> for _ in range(4):
    ...     schedule.step()
    ...     rates.append(opt.lr)
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]
    ):
        optimizer = self._parts(optimizer, schedulers)
        self.milestones = list(milestones)
        if len(self.milestones) != len(self.schedulers) - 1 or any(
            b <= a for a, b in zip([0, *self.milestones], self.milestones, strict=False)
        ):
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedules need {len(self.schedulers) - 1} "
                f"milestones, from 1 and rising, got {self.milestones}"
            )
        for group in optimizer.param_groups:  # where OneCycleLR begins, if there is one
            group["lr"] = group["initial_lr"]
        self.schedulers[0].begin()
        super().__init__(optimizer)

    def step(self) -> None:
        """Go one step on, with the schedule whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self.milestones, self.last_epoch)
        schedule = self.schedulers[turn]
        if turn and self.milestones[turn - 1] == self.last_epoch:
            schedule.restart()
        else:
            schedule.step()
        self._last_lr = schedule.get_last_lr()


class ChainedScheduler(_Combined):
    """Step several schedules together; the factors of those that multiply combine.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> from tinygrad_rnn.optim.lr_scheduler import LinearWarmup, StepLR
    >>> parts = LinearWarmup(optimizer, steps=2, start_factor=0.5), StepLR(optimizer, 3, 0.1)
    >>> schedule = tg.optim.lr_scheduler.ChainedScheduler(parts)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.1, 0.1]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        super().__init__(self._parts(optimizer, schedulers))

    def step(self) -> None:
        """Go one step on with each."""
        self.last_epoch += 1
        for schedule in self.schedulers:
            schedule.step()
        self._last_lr = self.schedulers[-1].get_last_lr()

    def begin(self) -> None:
        for schedule in self.schedulers:
            schedule.begin()
        self.last_epoch, self._last_lr = 0, self.schedulers[-1].get_last_lr()
