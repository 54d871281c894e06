"""Find the repeated step in a recorded sequence of calls: from an unrolled graph to loops.

A step is a block of calls whose signatures recur at a fixed distance, and whose
operands do one of these from step to step:

- stay the same (`Same`);
- name the same place in this step (`Here`) or d steps before (`Back`);
- move along the results of an earlier loop (`Along`), or along numbers (`Numbers`);
- are whole numbers that rise or fall by a constant stride (`Moving`), the t of `x[t]`.

Steps that differ, at the start or the end, stay outside. Several loops in a row
(layers, directions) are all found; a block may span several steps of the user's
loop. The diagrams and the compiler both read the result.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

SHORTEST = 4  # repeats; below that the steps stay as they are
CANDIDATES = 256  # periods looked at from one place
TRIED = 8  # of them, those with repeats enough whose operands are looked at
FIRST = 8  # steps looked at before all


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


def find(calls: Sequence[Call]) -> list[Found]:
    """All loops, in order; none is no error.

    >>> step = lambda t: Call("add", (Ref(t - 1) if t else Outside("h"), Outside("w")))
    >>> [loop] = find([step(t) for t in range(10)])
    >>> loop.count, loop.operands
    (10, [[Back(place=0, delay=1, first=(Outside(key='h'),)), Same(operand=Outside(key='w'))]])
    """
    names: dict[Hashable, int] = {}
    codes = np.array([names.setdefault(c.signature, len(names)) for c in calls], np.int64)
    found: list[Found] = []
    i = 0
    while i < len(calls):
        best = _best_from(calls, codes, i, found)
        if best is None:
            i += 1
        else:
            found.append(best)
            i = best.end
    return found


def _best_from(calls: Any, codes: Any, i: int, before: list[Found]) -> Found | None:
    """The loop from call i on that covers most; one that must start a step or two later counts."""
    n = len(codes)
    ahead = min(n - i, 8)
    starts = np.flatnonzero(codes[i + 1 : n] == codes[i]) + i + 1
    for k in range(1, ahead):
        starts = starts[starts + k < n]
        starts = starts[codes[starts + k] == codes[i + k]]
        if len(starts) <= 4:
            break
    best: Found | None = None
    tried = 0
    for q in starts[:CANDIDATES].tolist():
        period = q - i
        if i + period * SHORTEST > n:
            break
        differ = np.flatnonzero(codes[i : n - period] != codes[i + period :])
        run = int(differ[0]) if len(differ) else n - period - i
        count = run // period + 1
        if count < SHORTEST or (best and best.count * best.period >= count * period):
            continue
        tried += 1
        if tried > TRIED:
            break
        loop = _consistent(calls, i, period, count, before)
        if loop and (best is None or loop.count * period > best.count * best.period):
            best = loop
    return best


def _consistent(calls: Any, i: int, period: int, count: int, before: list[Found]) -> Found | None:
    """The longest run of steps whose operands can be told, from i or a few steps later."""
    for _ in range(3):
        good = _at_most(calls, i, period, count, before)
        if good >= SHORTEST:
            tried = good
            operands, good = _classify(calls, i, period, tried, before)
            if good >= SHORTEST:
                if good < tried:
                    operands, _ = _classify(calls, i, period, good, before)
                return Found(i, period, good, operands)
        i, count = i + period * max(good, 1), count - max(good, 1)
        if count < SHORTEST:
            return None
    return None


def _at_most(calls: Any, i: int, period: int, count: int, before: list[Found]) -> int:
    """How many steps there can be at most, by looking at the first 8, 64, 512 ...

    Where the same ops repeat with operands that do not, every start would otherwise be
    followed to the end: 2,000 sums of anything took 240 s.
    """
    m = FIRST
    while m < count:
        good = _first_steps(calls, i, period, m, count, before)
        if good < m:
            return good
        m *= 8
    return count


def _first_steps(calls: Any, i: int, period: int, m: int, count: int, before: list[Found]) -> int:
    """How many of the first m steps follow a pattern, or may do so in view of later ones."""
    good = m
    for j in range(period):
        for q in range(len(calls[i + j].operands)):
            column = [calls[i + j + k * period].operands[q] for k in range(m)]
            _, valid = _column(column, i, period, before)
            if valid < good and not _later(calls, i, j, q, period, count):
                good = valid
            if good < 2:
                return good
    return good


def _later(calls: Any, i: int, j: int, q: int, period: int, count: int) -> bool:
    """Whether an operand comes out of the loop later on: a state from many steps back."""
    k = FIRST
    while k < count:
        a = calls[i + j + k * period].operands[q]
        if isinstance(a, Ref) and a.call >= i:
            return True
        k *= 2
    return False


def _classify(
    calls: Any, i: int, period: int, count: int, before: list[Found]
) -> tuple[list[list[Any]], int]:
    """What each operand does, and for how many steps all do it."""
    operands: list[list[Any]] = []
    good = count
    for j in range(period):
        row: list[Any] = []
        for q in range(len(calls[i + j].operands)):
            column = [calls[i + j + k * period].operands[q] for k in range(count)]
            kind, valid = _column(column, i, period, before)
            good = min(good, valid)
            if good < 2:
                return [], good
            row.append(kind)
        moving = [a for a in row if isinstance(a, Moving) and a.stride]
        if moving and (len(moving) > 1 or not isinstance(row[0], Same)):
            return [], 1  # x[t, t], or a moving index into something that the step itself makes
        operands.append(row)
    return operands, good


def _column(column: list[Any], i: int, period: int, before: list[Found]) -> tuple[Any, int]:
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
