"""What the operands of a repeated step are, and what each does from step to step."""

from collections.abc import Hashable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

_CALL = itemgetter(0)  # of a Ref
RUN = 4  # operands in a row that stay or move alike are no items of a list


class Ref(NamedTuple):
    """Operand: the result of call number `call`."""

    call: int


class Outside(NamedTuple):
    """Operand: something that no call made, known by its key."""

    key: Hashable


class Row(Outside):
    """Operand: a row of something outside, known by the whole's key: it may move with the steps."""

    __slots__ = ()


class Number(NamedTuple):
    """Operand: a Python number."""

    value: Any
    sign: float = 1.0  # 0.0 equals -0.0 and is another number


class Place(NamedTuple):
    """Operand: a whole number that may move from step to step, the t of `x[t]`."""

    value: int


class Span(NamedTuple):
    """Operand: where a slice of a fixed length begins, the t of `x[t:t+k]`."""

    start: int


Operand = Ref | Outside | Number | Place | Span
_MOVES = (Place, Span)


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


class Sliding(NamedTuple):
    start: int
    stride: int


class Numbers(NamedTuple):
    values: tuple[Any, ...]


class Listed(NamedTuple):
    operands: tuple[Operand, ...]  # one a step, all from before the loop


@dataclass
class Found:
    """A loop: calls start ... start + count * period, and what each operand does."""

    start: int
    period: int
    count: int
    operands: list[
        list[Any]
    ]  # by place in the step: Same, Here, Back, Along, Moving, Sliding, Numbers, Listed

    @property
    def covered(self) -> int:
        """How many calls it stands for."""
        return self.period * self.count

    @property
    def saved(self) -> int:
        """By how many calls the recording is shorter with it."""
        return self.period * (self.count - 1)

    @property
    def end(self) -> int:
        """The first call after it."""
        return self.start + self.covered


def kind_of(column: list[Any], i: int, period: int, before: list[Found]) -> tuple[Any, int]:
    """What one operand does over the steps, and for how many of them."""
    first = column[0]
    if column.count(first) == len(column) and not _made_in_loop(first, i):
        return Same(first), len(column)
    if isinstance(first, _MOVES):
        (start,), stride = first, column[1][0] - first[0]
        valid = _prefix(a[0] == start + k * stride for k, a in enumerate(column))
        return (Moving if isinstance(first, Place) else Sliding)(start, stride), valid
    if all(isinstance(a, Number) for a in column):
        return Numbers(tuple([a.value for a in column])), len(column)
    options = [_inside(column, i, period), _along(column, before)]
    same = 0 if _made_in_loop(first, i) else _prefix(a == first for a in column)
    best = max([*options, (Same(first), same)], key=lambda option: option[1])
    if best[1] < RUN:
        listed = _listed(column, i, before)
        best = max([best, (Listed(tuple(column[:listed])), listed)], key=lambda option: option[1])
    return best


def _made_in_loop(a: Operand, i: int) -> bool:
    return isinstance(a, Ref) and a.call >= i


def _listed(column: list[Any], i: int, before: list[Found]) -> int:
    """For how many steps there are items of a list: until the loop makes one, or a run begins."""
    for k, a in enumerate(column):
        window = column[k : k + RUN]
        run = len(window) == RUN and (
            all(b == a for b in window) or _along(window, before)[1] == RUN
        )
        if run or not isinstance(a, Ref | Outside) or _made_in_loop(a, i):
            return k
    return len(column)


def _inside(column: list[Any], i: int, period: int) -> tuple[Any, int]:
    """The same place of this step, or of one a fixed number of steps before."""
    offset = next(
        (a.call - i - k * period for k, a in enumerate(column) if _made_in_loop(a, i)),
        None,
    )
    if offset is None or offset >= period:
        return None, 0
    delay = -(offset // period)
    if delay < 0:
        return None, 0
    place = offset + delay * period
    valid = _prefix(not (isinstance(a, _MOVES) or _made_in_loop(a, i)) for a in column[:delay])
    if valid == delay:
        valid += _rising(column[delay:], i + delay * period + offset, period)
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


def _rising(column: list[Any], start: int, stride: int) -> int:
    """For how many steps the operands are the results of calls start, start + stride, ..."""
    calls = range(start, start + stride * len(column), stride)
    if set(map(type, column)) == {Ref} and [*map(_CALL, column)] == [*calls]:
        return len(column)  # nearly always, and without a call of Python for each step
    return _prefix(isinstance(a, Ref) and a.call == k for a, k in zip(column, calls, strict=True))


def _prefix(tests: Any) -> int:
    """How many tests hold before the first that does not."""
    n = 0
    for ok in tests:
        if not ok:
            return n
        n += 1
    return n
