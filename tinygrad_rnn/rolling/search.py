"""The search for loops: equal signatures at a fixed distance whose operands follow a pattern."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from .operands import (
    Along,
    Back,
    Call,
    Found,
    Here,
    Listed,
    Moving,
    Outside,
    Ref,
    Row,
    Same,
    Sliding,
    kind_of,
)

LOOP = 4  # repeats of anything that make a loop; fewer must look like steps of time
MAP = 8  # items of a list from which on a loop without states is one
CANDIDATES = 256  # periods looked at from one place
TRIED = 8  # of them, those with repeats enough whose operands are looked at
FIRST = 8  # steps looked at before all


def find(calls: Sequence[Call], shortest: int = LOOP) -> list[Found]:
    """All loops of at least `shortest` steps, in order; none is no error.

    >>> from tinygrad_rnn.rolling import Call, Outside, Ref, find
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
        best = _best_from(calls, codes, i, found, shortest)
        if best is None:
            i += 1
        else:
            found.append(best)
            i = best.end
    return found


def _best_from(calls: Any, codes: Any, i: int, before: list[Found], shortest: int) -> Found | None:
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
        if i + period * shortest > n:
            break
        differ = np.flatnonzero(codes[i : n - period] != codes[i + period :])
        run = int(differ[0]) if len(differ) else n - period - i
        count = run // period + 1
        if count < shortest or (best and best.saved >= (count - 1) * period):
            continue
        tried += 1
        if tried > TRIED:
            break
        loop = _consistent(calls, i, period, count, before, shortest)
        if loop and (best is None or _better(loop, best)):
            best = loop
    return best


def _better(loop: Found, best: Found) -> bool:
    """Whether a loop of longer steps leaves fewer calls in all.

    The layers of a deep network are no steps when each of them is a loop over time; an
    inner loop of four gates is none when all of it is a step. Several steps as one, so that
    an operand which stays for a while looks like items of a list, are no gain either.
    """
    rest = loop.period - best.covered
    if rest >= 0:
        return loop.period < loop.count * (best.period + rest)
    if loop.period % best.period == 0 and _has(loop, Listed):
        return False
    return loop.saved > best.saved


def _has(loop: Found, *kinds: type) -> bool:
    """Whether any operand is of one of the kinds."""
    return any(isinstance(kind, kinds) for row in loop.operands for kind in row)


def _is_loop(loop: Found, of: float) -> bool:
    """Whether repeats are steps: few must carry a state and move, or, where they are half of all
    `of` calls, read what stays; a list, or pieces of something cut, are no loop by themselves.

    The last for drawings alone, which ask for two steps: compiled, so few stay as they are.
    """
    if loop.count < LOOP:
        given = [kind.operand for row in loop.operands for kind in row if isinstance(kind, Same)]
        most = loop.period > 1 and 2 * loop.covered >= of  # `w * w * w` is no loop
        reads = _has(loop, Along, Moving, Sliding, Listed) or any(
            isinstance(operand, Outside if most else Row) for operand in given
        )
        return reads and _recurrent(loop)
    if not _has(loop, Listed, Sliding) or loop.count >= MAP or _has(loop, Along, Moving):
        return True
    return _recurrent(loop)


def _recurrent(loop: Found) -> bool:
    """Whether a place depends on itself, some steps before."""
    left = set(range(loop.period))
    sources = [[k.place for k in row if isinstance(k, Here | Back)] for row in loop.operands]
    before = loop.period + 1
    while before > len(left) > 0:
        before = len(left)
        for place in sorted(left):
            if not left.intersection(sources[place]):
                left.discard(place)
    return bool(left)


def _consistent(
    calls: Any, i: int, period: int, count: int, before: list[Found], shortest: int
) -> Found | None:
    """The longest run of steps whose operands can be told, from i or a few steps later."""
    for _ in range(3):
        good = _at_most(calls, i, period, count, before)
        if good >= shortest:
            tried = good
            operands, good = _classify(calls, i, period, tried, before)
            if good >= shortest:
                if good < tried:
                    operands, _ = _classify(calls, i, period, good, before)
                loop = Found(i, period, good, operands)
                return loop if _is_loop(loop, len(calls) if shortest < 3 else math.inf) else None
        i, count = i + period * max(good, 1), count - max(good, 1)
        if count < shortest:
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
            _, valid = kind_of(column, i, period, before)
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
            kind, valid = kind_of(column, i, period, before)
            good = min(good, valid)
            if good < 2:
                return [], good
            row.append(kind)
        moving = [a for a in row if isinstance(a, Moving | Sliding)]
        two = len(moving) > 1 and any(isinstance(a, Sliding) for a in moving)
        if moving and (two or not isinstance(row[0], Same)):
            return [], 1  # x[t, t:t+2], or an index into something that the step itself makes
        operands.append(row)
    return operands, good
