"""Hyper-parameters: what values they may have, and where they are kept."""

import math
from collections import UserDict
from collections.abc import Callable, Mapping
from functools import cache
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..errors import GraphError
from ..tensors import Tensor

Check = Callable[[Any], Any]  # gives the value to keep, or raises ValueError: "must be ..."


def _number(value: object, fits: Callable[[float], bool], words: str) -> float:
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except OverflowError:  # a whole number beyond float64
        number = math.inf
    if isinstance(value, bool | np.bool_) or not fits(number):
        raise ValueError(f"must be {words}")
    return number


def finite(value: object) -> float:
    """Any number that is finite."""
    return _number(value, math.isfinite, "a finite number")


def at_least_0(value: object) -> float:
    """A finite number, not negative."""
    return _number(value, lambda x: math.isfinite(x) and x >= 0, "a finite number from 0")


def above_0(value: object) -> float:
    """A finite number greater than 0."""
    return _number(value, lambda x: math.isfinite(x) and x > 0, "a finite number above 0")


def fraction(value: object) -> float:
    """A number in [0, 1]."""
    return _number(value, lambda x: 0 <= x <= 1, "a number in [0, 1]")


def below_1(value: object) -> float:
    """A number in [0, 1)."""
    return _number(value, lambda x: 0 <= x < 1, "a number in [0, 1)")


def share(value: object) -> float:
    """A number in (0, 1]."""
    return _number(value, lambda x: 0 < x <= 1, "a number in (0, 1]")


def two_betas(value: object) -> tuple[float, float]:
    """Two numbers in [0, 1)."""
    words = "two numbers in [0, 1)"
    if not isinstance(value, tuple | list | np.ndarray) or len(value) != 2:
        raise ValueError(f"must be {words}")
    a, b = (_number(v, lambda x: 0 <= x < 1, words) for v in value)
    return a, b


def flag(value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError("must be True or False")
    return bool(value)


def _whole(value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"must be a whole number from {least}")
    return int(value)


def count(value: object) -> int:
    """A whole number from 1."""
    return _whole(value, 1)


def count_or_0(value: object) -> int:
    """A whole number from 0."""
    return _whole(value, 0)


def checked(owner: str, checks: Mapping[str, Check], **values: Any) -> list[Any]:
    """The values to keep; ValueError naming owner, argument and what came."""
    found = []
    for name, value in values.items():
        try:
            found.append(checks[name](value))
        except ValueError as error:
            raise ValueError(f"{owner}: {name} {error}, got {value!r:.80}") from None
    return found


class Option:
    """A hyper-parameter of a class of optimisers.

    Each parameter group has its own value, `optimizer.param_groups[k]["lr"]`; on the
    optimiser, `optimizer.lr` sets all groups, and reads the value they agree on.
    """

    def __init__(self, check: Check):
        self.check, self.name = check, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: type) -> Any:
        if optimizer is None:
            return self
        values = [group[self.name] for group in optimizer.param_groups]
        if any(v != values[0] for v in values):
            raise GraphError(
                f"{owner.__name__}.{self.name}: the parameter groups have {values}; read "
                f"param_groups[k][{self.name!r}]"
            )
        return values[0]

    def __set__(self, optimizer: Any, value: object) -> None:
        for group in optimizer.param_groups:
            group[self.name] = value


@cache  # 5 us else, and a schedule asks at every step
def options(owner: type) -> dict[str, Option]:
    """Those of a class by name, the most general first."""
    return {
        name: value
        for cls in reversed(owner.__mro__)
        for name, value in vars(cls).items()
        if isinstance(value, Option)
    }


EXTRA = ("name", "initial_lr")  # a group may have these too: the latter is the schedulers'


class Group(UserDict[str, Any]):
    """Parameters with options of their own: a mapping, whose values are checked when set.

    What an optimiser keeps for them lies beside: `counts` of the updates that each has
    had, `moments` by name, and `kernel`, the rule compiled.
    """

    def __init__(self, owner: type, params: tuple[Tensor, ...], values: Mapping[str, Any]):
        super().__init__()
        self.owner = owner
        self.counts: list[Any] = []
        self.moments: dict[str, Any] = {}
        self.kernel: Any = None
        self.data["params"] = params
        for key, value in values.items():
            self[key] = value

    def __setitem__(self, key: str, value: object) -> None:
        known = options(self.owner)
        if key in known:
            (value,) = checked(self.owner.__name__, {key: known[key].check}, **{key: value})
        elif key == "params":
            raise GraphError(
                f"{self.owner.__name__}: the parameters of a group stay; use add_param_group"
            )
        elif key not in EXTRA:
            raise ValueError(
                f"{self.owner.__name__}: a parameter group has no option {key!r}; it has "
                f"{', '.join(known)}"
            )
        self.data[key] = value

    def __delitem__(self, key: str) -> None:
        raise GraphError(f"{self.owner.__name__}: a parameter group keeps its option {key!r}")
