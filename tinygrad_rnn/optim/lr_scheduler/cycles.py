"""Schedules that go up and down, momentum the other way."""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from ..optimizer import Optimizer
from ..options import above_0, at_least_0, checked, count, flag, fraction
from .base import LRScheduler


class _Cycling(LRScheduler):
    """Base of schedules that move the momentum too: `momentum`, or the first of `betas`."""

    cycle_momentum: bool
    base_momentum: list[float]
    max_momentum: list[float]

    def _cycled(self, cycle: bool, base: Any, most: Any) -> None:
        """Check the options that concern the momentum."""
        name = type(self).__name__
        (self.cycle_momentum,) = checked(name, {"cycle_momentum": flag}, cycle_momentum=cycle)
        known = self.optimizer.defaults
        if self.cycle_momentum and not {"momentum", "betas"} & set(known):
            raise ValueError(
                f"{name}: {type(self.optimizer).__name__} has neither momentum nor betas; say "
                "cycle_momentum=False"
            )
        self.base_momentum, self.max_momentum = (
            [checked(name, {key: fraction}, **{key: v})[0] for v in self._each(key, value)]
            for key, value in (("base_momentum", base), ("max_momentum", most))
        )

    @abstractmethod
    def momenta(self) -> list[float]:
        """The momentum of each group at `last_epoch`."""

    def _set(self, rates: list[float]) -> None:
        super()._set(rates)
        if self.cycle_momentum:
            for group, value in zip(self.groups, self.momenta(), strict=True):
                if "betas" in group:
                    group["betas"] = (value, *group["betas"][1:])
                else:
                    group["momentum"] = value


class OneCycleLR(_Cycling):
    """Up to max_lr in the first pct_start of total_steps, then down: Smith and Topin (2019).

    It starts at max_lr / div_factor and ends at that / final_div_factor; momentum goes
    from max_momentum to base_momentum and back. In `three_phase` the way down mirrors
    the way up, and what is left of the steps leads to the end. By cosines, or lines
    ("linear"). A step past the last raises ValueError.

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=5)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [0.04, 0.95, 0.611, 0.188, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ):
        checks = {
            "epochs": count, "steps_per_epoch": count, "total_steps": count, "pct_start": fraction,
            "three_phase": flag, "div_factor": above_0, "final_div_factor": above_0,
        }  # fmt: skip
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: say total_steps, or epochs and steps_per_epoch")
            epochs, steps_per_epoch = checked(
                "OneCycleLR", checks, epochs=epochs, steps_per_epoch=steps_per_epoch
            )
            total_steps = epochs * steps_per_epoch
        self.total_steps, start, self.three_phase, div, final = checked(
            "OneCycleLR", checks, total_steps=total_steps, pct_start=pct_start,
            three_phase=three_phase, div_factor=div_factor, final_div_factor=final_div_factor,
        )  # fmt: skip
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got "
                             f"{anneal_strategy!r}")  # fmt: skip
        self._belong(optimizer)
        self.anneal_strategy = anneal_strategy
        self._cycled(cycle_momentum, base_momentum, max_momentum)
        self.max_lrs = [
            checked("OneCycleLR", {"max_lr": at_least_0}, max_lr=rate)[0]
            for rate in self._each("max_lr", max_lr)
        ]
        first, last = start * self.total_steps - 1, float(self.total_steps - 1)
        self.ends = [first, 2 * first, last] if self.three_phase else [first, last]
        self.least = [rate / div / final for rate in self.max_lrs]
        for group, rate in zip(optimizer.param_groups, self.max_lrs, strict=True):
            group["initial_lr"] = rate / div
        super().__init__(optimizer)

    def _between(self, turns: list[list[float]]) -> list[float]:
        """Each group's value now, on its way from one turning point to the next."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: {self.total_steps} steps were to be made, this is one more"
            )
        t, ends = self.last_epoch, self.ends
        phase = next((k for k, end in enumerate(ends) if t <= end), len(ends) - 1)
        start, end = ends[phase - 1] if phase else 0.0, ends[phase]
        # after the last update there may be a step still, which goes no further
        done = min((t - start) / (end - start), 1.0) if end != start else 1.0
        if self.anneal_strategy == "cos":
            done = (1 - math.cos(math.pi * done)) / 2
        return [turn[phase] + (turn[phase + 1] - turn[phase]) * done for turn in turns]

    def get_lr(self) -> list[float]:
        up = zip(self.base_lrs, self.max_lrs, self.least, strict=True)
        if self.three_phase:
            return self._between([[base, most, base, least] for base, most, least in up])
        return self._between([[base, most, least] for base, most, least in up])

    def momenta(self) -> list[float]:
        pairs = zip(self.base_momentum, self.max_momentum, strict=True)
        return self._between([[most, base, most, most] for base, most in pairs])


class CyclicLR(_Cycling):
    """From base_lr to max_lr in step_size_up steps, back in step_size_down, and again.

    Smith, WACV 2017. The height of a cycle is halved each time with mode "triangular2",
    times gamma at every step with "exp_range"; or what `scale_fn` gives for the number of the
    cycle, or of the step if scale_mode is "iterations".

    >>> optimizer = tg.optim.SGD([tg.tensor([0.0], requires_grad=True)], lr=1.0)
    >>> from tinygrad_rnn.optim.lr_scheduler import CyclicLR
    >>> schedule = CyclicLR(optimizer, base_lr=0.1, max_lr=1.0, step_size_up=2)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates.append(round(optimizer.lr, 3))
    ...     schedule.step()
    >>> rates
    [0.1, 0.55, 1.0, 0.55, 0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
    ):
        checks = {"step_size_up": count, "step_size_down": count, "gamma": above_0}
        self.up, self.down, self.gamma = checked(
            "CyclicLR", checks, step_size_up=step_size_up,
            step_size_down=step_size_up if step_size_down is None else step_size_down, gamma=gamma,
        )  # fmt: skip
        if mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(
                f"CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', got {mode!r}"
            )
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(
                f"CyclicLR: scale_mode must be 'cycle' or 'iterations', got {scale_mode!r}"
            )
        self._belong(optimizer)
        self.mode, self.scale_mode, self.scale_fn = mode, scale_mode, scale_fn
        self._cycled(cycle_momentum, base_momentum, max_momentum)
        self.min_lrs, self.max_lrs = (
            [checked("CyclicLR", {key: at_least_0}, **{key: v})[0] for v in self._each(key, value)]
            for key, value in (("base_lr", base_lr), ("max_lr", max_lr))
        )
        for group, rate in zip(optimizer.param_groups, self.min_lrs, strict=True):
            group["lr"] = rate
        super().__init__(optimizer)

    def _height(self) -> float:
        """Position in the cycle: 0 at the base, 1 at the top."""
        total = self.up + self.down
        cycle = math.floor(1 + self.last_epoch / total)
        x, turn = 1.0 + self.last_epoch / total - cycle, self.up / total
        height = x / turn if x <= turn else (x - 1) / (turn - 1)
        if self.scale_fn is not None:
            by_cycle = self.scale_mode == "cycle"
            return height * self.scale_fn(cycle if by_cycle else self.last_epoch)
        if self.mode == "triangular2":
            return height / 2.0 ** (cycle - 1)
        return height * self.gamma**self.last_epoch if self.mode == "exp_range" else height

    def get_lr(self) -> list[float]:
        height = self._height()
        pairs = zip(self.min_lrs, self.max_lrs, strict=True)
        return [base + (most - base) * height for base, most in pairs]

    def momenta(self) -> list[float]:
        height = self._height()
        pairs = zip(self.base_momentum, self.max_momentum, strict=True)
        return [most - (most - base) * height for base, most in pairs]
