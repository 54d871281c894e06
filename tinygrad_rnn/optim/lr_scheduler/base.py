"""What all schedules are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import GraphError, ShapeError
from ..optimizer import Optimizer
from ..options import Group, at_least_0, checked


class LRScheduler(ABC):
    """Base: the groups' rates as a function of `last_epoch`, how often `step` was called.

    A class says in `get_lr` what the rates are now; `base_lrs` are those that the groups
    had before any schedule. The rates live in the optimiser: save and load its state too.

    >>> class Halving(tg.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [rate / 2**self.last_epoch for rate in self.base_lrs]
    >>> optimizer = tg.optim.SGD([tg.nn.Parameter(tg.zeros(2))], lr=0.4)
    >>> schedule = Halving(optimizer)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.2]
    """

    def __init__(self, optimizer: Optimizer):
        self._belong(optimizer)
        self.last_epoch = 0
        for group in self.groups:
            group.data.setdefault("initial_lr", group["lr"])
        self.base_lrs: list[float] = [group["initial_lr"] for group in self.groups]
        self._set(self.get_lr())

    def _belong(self, optimizer: Optimizer) -> None:
        """Take the optimiser; a class that looks at its groups first calls this before."""
        if not isinstance(optimizer, Optimizer):
            raise GraphError(
                f"{type(self).__name__}: needs an optimizer, got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer

    @property
    def groups(self) -> list[Group]:
        """The optimiser's parameter groups."""
        return self.optimizer.param_groups

    @abstractmethod
    def get_lr(self) -> list[float]:
        """The rates of the groups at `last_epoch`."""

    def get_last_lr(self) -> list[float]:
        """The rates that were set last, by group."""
        return list(self._last_lr)

    def step(self) -> None:
        """Go one step on; call it after `optimizer.step()`, once an epoch or a batch."""
        self.last_epoch += 1
        self._set(self.get_lr())

    def restart(self) -> None:
        """Begin again from the rates that the groups had before any schedule."""
        for group, rate in zip(self.groups, self.base_lrs, strict=True):
            group["lr"] = rate
        self.begin()

    def begin(self) -> None:
        """Go to the first step, from the rates as they are."""
        self.last_epoch = 0
        self._set(self.get_lr())

    def _each(self, name: str, value: object) -> list[Any]:
        """A value for each group, from one for all or a list of them."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            return [value] * len(self.groups)
        if len(value) != len(self.groups):
            raise ShapeError(
                f"{type(self).__name__}: {name} must be one value or {len(self.groups)}, one for "
                f"each parameter group, got {len(value)}"
            )
        return list(value)

    def _set(self, rates: list[float]) -> None:
        if not len(rates) == len(self.groups) == len(self.base_lrs):
            raise GraphError(
                f"{type(self).__name__}: the optimiser has {len(self.groups)} parameter groups, "
                f"the schedule was made for {len(self.base_lrs)}; make it after the last group"
            )
        rates = [checked(type(self).__name__, {"lr": at_least_0}, lr=r)[0] for r in rates]
        for group, rate in zip(self.groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = rates

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on; functions given by the caller are left out."""
        kept = {k: v for k, v in vars(self).items() if k != "optimizer" and not _function(v)}
        return {k: list(v) if isinstance(v, list) else v for k, v in kept.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; the rates themselves come with the optimiser's."""
        own, name = self.state_dict(), type(self).__name__
        if not isinstance(state, Mapping):
            raise ValueError(f"{name}.load_state_dict: needs a dict, got {type(state).__name__}")
        unknown = {*set(state) ^ set(own), *(k for k in own if not _alike(own[k], state.get(k)))}
        if unknown:
            raise ValueError(f"{name}.load_state_dict: {sorted(unknown)} do not fit")
        if len(state["base_lrs"]) != len(own["base_lrs"]):
            raise ShapeError(
                f"{name}.load_state_dict: {len(own['base_lrs'])} parameter groups "
                f"here, {len(state['base_lrs'])} there"
            )
        vars(self).update({k: list(v) if isinstance(v, list) else v for k, v in state.items()})


def _alike(a: Any, b: Any) -> bool:
    """Both numbers, or of one type."""
    numbers = isinstance(a, int | float) and isinstance(b, int | float | np.number)
    return numbers or type(a) is type(b)


def _function(value: object) -> bool:
    return callable(value) or (isinstance(value, list) and any(map(callable, value)))
