"""What watches a sweep and holds some of it back; contributions as arrays."""

from collections.abc import Collection
from typing import Any

import numpy as np

from ...op import Array
from ...ops.shape import sum_to
from ...rules import Deferred
from ..graph.graph import Shape
from ..graph.series import by_whole


class Gate:
    """Lets through all but some edges; watches nothing."""

    slices: frozenset[int] = frozenset()

    def __init__(self, blocked: Collection[Any]):
        self.blocked = set(blocked)
        self.rows = by_whole(blocked)  # of series, by edge

    def total(self, node: Any, g: Any) -> None:
        """A node's cotangent: not looked at."""

    def passes(self, node: Any, k: int, c: Any) -> Any:
        """What goes on to operand k: nothing where it is blocked."""
        edge = node.seq << 32 | k
        if edge in self.blocked:
            return None
        if edge in self.rows:
            c = np.array(whole_of(c, node.inputs[k].shape))
            for row in self.rows[edge]:
                np.moveaxis(c, row.axis, 0)[row.row] = 0
        return c

    def joined(self, key: int, op: Any, parts: list[Any]) -> Any:
        """The sum of deferred terms."""
        return op(*parts)


def value_of(c: Any, p: Any) -> tuple[Any, Array | None]:
    """What is to be delivered, and the array that it adds to p's gradient.

    A product deferred to be taken with other steps' is taken at once, and only once.
    """
    if c.__class__ is Deferred:
        if c.op.name == "put_slices":  # zeros around it change no figure but their own share
            return c, np.asarray(c.piece[0])
        c = whole_of(c, p.shape)
    if not isinstance(c, np.ndarray | np.generic):
        return c, None
    value = np.asarray(c)
    if value.shape != p.shape:
        value = c = sum_to.kernel(value, shape=p.shape)
    return c, value


def whole_of(c: Any, shape: Shape) -> Any:
    """A contribution, put together at once even if it was deferred."""
    if not isinstance(c, Deferred):
        return c
    if c.key is None:
        return c.op(*c.piece)
    return c.op(*c.piece, keys=(c.key,), shape=shape)
