"""Lists of tensors that a loop goes through, one item a step: gathered in one array each.

Columns that go through the same tensors share an array: x_t and x_{t-1}, or a list that
is read from its end.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .. import rolling


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
    """(start, stride) of items in a list which has at least two of them, and no other there."""
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
