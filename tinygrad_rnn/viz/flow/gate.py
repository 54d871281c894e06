"""What watches a sweep and holds some of it back."""

from collections.abc import Collection
from typing import Any

import numpy as np

from ..graph.arrivals import whole_of
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
