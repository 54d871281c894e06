"""What steps take a part of each: arrays by an index that moves, and lists of tensors.

All that a loop's steps take of an array (x[t], x[t:t+k], x[t, t]) is brought into one with the
steps first, of which each step then takes its own part: a view for x[t], a copy for windows and
diagonals. Lists are gathered in one array each. Columns that go through the same tensors share
an array: x_t and x_{t-1}, or a list that is read from its end.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import rolling
from ...ops.indexing import full_key
from ...ops.pick import pick
from ..capture import Symbol, Tape, trace
from ..ir import Value


def split_key(key: Any, shape: tuple[int, ...]) -> tuple[Hashable, tuple[rolling.Operand, ...]]:
    """What must be equal in a key from step to step, and the places in it that may move."""
    fixed: list[Hashable] = []
    places: list[rolling.Operand] = []
    axis = 0
    for part in full_key(key, len(shape)):
        if isinstance(part, int):
            fixed.append("int")
            places.append(rolling.Place(part % shape[axis]))
        elif _slides(part):
            start, stop, step = part.indices(shape[axis])
            fixed.append(("slice", max(0, stop - start), step))
            places.append(rolling.Span(start))
        else:
            fixed.append(None if part is None else ("slice", part.start, part.stop, part.step))
        axis += part is not None
    return tuple(fixed), tuple(places)


def _slides(part: Any) -> bool:
    """Whether it is a slice that may move: one with both its ends, by steps of one."""
    return isinstance(part, slice) and part != slice(None) and part.step in (None, 1)


class Moved(NamedTuple):
    """An array of which step k takes row start + stride * k, and the key for the rest of it."""

    source: Value
    start: int
    stride: int
    rest: tuple[Any, ...]


def moved(
    source: Value, key: Any, kinds: list[Any], count: int, emit: Callable[..., Value], items: Any
) -> Moved:
    """How steps take their parts of `source`; what must be made before them goes to `items`."""
    parts = list(full_key(key, source.ndim))
    places = [k for k, p in enumerate(parts) if isinstance(p, int) or _slides(p)]
    pairs = [(k, kind) for k, kind in zip(places, kinds, strict=True) if moves(kind)]
    axes = [k - parts[:k].count(None) for k, _ in pairs]
    (at, kind), axis = pairs[0], axes[0]
    if isinstance(kind, rolling.Sliding):
        first, stop, _ = parts[at].indices(source.shape[axis])
        parts[at] = slice(None)
        whole = emit("windows", source, axis=axis, start=kind.start, stride=kind.stride,
                     length=stop - first, count=count)  # fmt: skip
        return Moved(whole, 0, 1, _rest(parts))
    rest = _rest([p for k, p in enumerate(parts) if k not in dict(pairs)])
    if len(pairs) > 1:
        return Moved(_diagonal(source, axes, [k for _, k in pairs], count, emit, items), 0, 1, rest)
    if axis:
        order = (axis, *(k for k in range(source.ndim) if k != axis))
        source = emit("permute_dims", source, axes=order)
    return Moved(source, kind.start, kind.stride, rest)


def moves(kind: Any) -> bool:
    """Whether an operand of a loop is an index that moves with the steps."""
    return isinstance(kind, rolling.Moving | rolling.Sliding) and bool(kind.stride)


def _rest(parts: list[Any]) -> tuple[Any, ...]:
    """A key; () if it takes all: the call stays until `simplify` names its operand instead."""
    return () if all(p == slice(None) for p in parts) else tuple(parts)


def _diagonal(
    source: Value, axes: list[int], kinds: list[Any], count: int, emit: Any, items: Any
) -> Value:
    """x[t, t] for all steps: picked by index arrays, the steps' axis brought to the front."""
    tape = Tape(needs_grad=False)
    tape.instrs = items
    key: list[Any] = [slice(None)] * source.ndim
    for axis, kind in zip(axes, kinds, strict=True):
        numbers = tuple([kind.start + kind.stride * k for k in range(count)])
        table = emit("literal", values=numbers, dtype=np.dtype(np.int64))
        key[axis] = Symbol(table, tape)
    y: Value = trace(tape, pick, Symbol(source, tape), tuple(key)).value
    together = axes == list(range(axes[0], axes[-1] + 1))
    if together and axes[0]:
        order = (axes[0], *(k for k in range(y.ndim) if k != axes[0]))
        y = emit("permute_dims", y, axes=order)
    return y


# lists ------------------------------------------------------------------------------------


class Part(NamedTuple):
    """Items start, start + stride, ... of a list."""

    items: tuple[rolling.Operand, ...]
    start: int = 0
    stride: int = 1


class Series:
    """All lists of a program, and which part of one each column goes through."""

    def __init__(self, loops: Iterable[rolling.Found]):
        self.lists: list[list[rolling.Operand]] = []
        for kind in (kind for loop in loops for row in loop.operands for kind in row):
            if isinstance(kind, rolling.Listed) and _outside(kind.operands):
                self._add(kind.operands)

    def part(self, items: tuple[rolling.Operand, ...]) -> Part:
        """Where a column's items lie; what was made on the way makes a list of its own."""
        for known in self.lists:
            found = _fit(known, items)
            if found and not _beyond(known, items, *found):
                return Part(tuple(known), *found)
        return Part(items)

    def _add(self, items: tuple[rolling.Operand, ...]) -> None:
        """Lengthen a list that has some of the items by the others, or begin one."""
        for known in self.lists:
            found = _fit(known, items)
            if found is None:
                continue
            beyond = _beyond(known, items, *found)
            if not beyond or abs(found[1]) == 1:
                known[:0] = [a for p, a in beyond if p < 0]
                known += [a for p, a in beyond if p >= 0]
                return
        self.lists.append(list(items))


def _outside(items: Sequence[rolling.Operand]) -> bool:
    return all(isinstance(a, rolling.Outside) for a in items)


def _fit(known: list[rolling.Operand], items: Sequence[rolling.Operand]) -> tuple[int, int] | None:
    """(start, stride) of items in a list that has at least two of them and no others between."""
    places = {a: p for p, a in enumerate(known)}
    common = [(k, places[a]) for k, a in enumerate(items) if a in places]
    if len(common) < 2:
        return None
    (k, p), (m, q) = common[:2]
    stride, rest = divmod(q - p, m - k)
    start = p - stride * k
    expected = [(n, start + stride * n) for n in range(len(items))]
    inside = [(n, p) for n, p in expected if 0 <= p < len(known)]
    return (start, stride) if stride and not rest and inside == common else None


def _beyond(
    known: list[rolling.Operand], items: Sequence[rolling.Operand], start: int, stride: int
) -> list[tuple[int, rolling.Operand]]:
    """(place, item) of those that lie before or behind a list, in order of their places."""
    placed = [(start + stride * n, a) for n, a in enumerate(items)]
    return sorted((p, a) for p, a in placed if not 0 <= p < len(known))
