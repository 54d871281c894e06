"""What the operands of a repeated step are, and what each does from step to step."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Ref(NamedTuple):
    """Operand: the result of call number `call`."""

    call: int


class Outside(NamedTuple):
    """Operand: something that no call made, known by its key."""

    key: Hashable


class Number(NamedTuple):
    """Operand: a Python number."""

    value: Any


class Place(NamedTuple):
    """Operand: a whole number that may move from step to step, the t of `x[t]`."""

    value: int


Operand = Ref | Outside | Number | Place


class Call(NamedTuple):
    """One recorded call: what must be equal from step to step, and what may move."""

    signature: Hashable
    operands: tuple[Operand, ...]


class Same(NamedTuple):
    operand: Operand


class Here(NamedTuple):
    place: int  # in the step


class Back(NamedTuple):
    place: int
    delay: int
    first: tuple[Operand, ...]  # what stands there in the first `delay` steps


class Along(NamedTuple):
    loop: int
    place: int
    start: int
    stride: int


class Moving(NamedTuple):
    start: int
    stride: int


class Numbers(NamedTuple):
    values: tuple[Any, ...]


@dataclass
class Found:
    """A loop: calls start ... start + count * period, and what each operand does."""

    start: int
    period: int
    count: int
    operands: list[list[Any]]  # by place in the step: Same, Here, Back, Along, Moving, Numbers

    @property
    def end(self) -> int:
        """The first call after it."""
        return self.start + self.period * self.count


def kind_of(column: list[Any], i: int, period: int, before: list[Found]) -> tuple[Any, int]:
    """What one operand does over the steps, and for how many of them."""
    first = column[0]
    if all(a == first for a in column) and not (isinstance(first, Ref) and first.call >= i):
        return Same(first), len(column)
    if isinstance(first, Place):
        stride = column[1].value - first.value
        valid = _prefix(a.value == first.value + k * stride for k, a in enumerate(column))
        return Moving(first.value, stride), valid
    if all(isinstance(a, Number) for a in column):
        return Numbers(tuple([a.value for a in column])), len(column)
    options = [_inside(column, i, period), _along(column, before)]
    same = _prefix(a == first for a in column)
    if isinstance(first, Ref) and first.call >= i:
        same = 0
    return max([*options, (Same(first), same)], key=lambda option: option[1])


def _inside(column: list[Any], i: int, period: int) -> tuple[Any, int]:
    """The same place of this step, or of one a fixed number of steps before."""
    offset = next(
        (
            a.call - i - k * period
            for k, a in enumerate(column)
            if isinstance(a, Ref) and a.call >= i
        ),
        None,
    )
    if offset is None or offset >= period:
        return None, 0
    delay = -(offset // period)
    if delay < 0:
        return None, 0
    place = offset + delay * period
    valid = _prefix(
        (isinstance(a, Ref) and a.call == i + k * period + offset)
        if k >= delay
        else not (isinstance(a, Place) or (isinstance(a, Ref) and a.call >= i))
        for k, a in enumerate(column)
    )
    kind = Back(place, delay, tuple(column[:delay])) if delay else Here(place)
    return kind, valid


def _along(column: list[Any], before: list[Found]) -> tuple[Any, int]:
    """The results of one place of an earlier loop, one step after the other."""
    if not isinstance(column[0], Ref) or not isinstance(column[1], Ref):
        return None, 0
    for number, loop in enumerate(before):
        if not loop.start <= column[0].call < loop.end:
            continue
        start, place = divmod(column[0].call - loop.start, loop.period)
        stride, rest = divmod(column[1].call - column[0].call, loop.period)
        if rest or not stride:
            return None, 0
        valid = _prefix(
            isinstance(a, Ref)
            and loop.start <= a.call < loop.end
            and a.call == column[0].call + k * stride * loop.period
            for k, a in enumerate(column)
        )
        return Along(number, place, start, stride), valid
    return None, 0


def _prefix(tests: Any) -> int:
    """How many tests hold before the first that does not."""
    n = 0
    for ok in tests:
        if not ok:
            return n
        n += 1
    return n
