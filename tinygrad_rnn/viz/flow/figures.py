"""Collect the figures of many arrays, measured a batch at a time while they are in the cache."""

from itertools import count
from typing import Any

import numpy as np

from ...kernels.measure import Measured, measure_all, measure_products, measure_sums
from ...op import Array, Op
from ...ops.linalg import sum_of_products, sum_of_rows

ROOM = 1 << 18  # numbers measured in one call: still in the cache then, and calls are few
# what gives the sum of deferred terms, and the figures of each
TERMS: dict[Op, Any] = {sum_of_products: measure_products, sum_of_rows: measure_sums}


class Figures:
    """Figures of arrays by key.

    What is kept to the end is numbers in a dict: some thousand tuples more would have the
    garbage collector go through the whole graph several times.
    """

    def __init__(self) -> None:
        self._keys: list[Any] = []
        self._waiting: list[Array] = []
        self._room = ROOM
        self._rows: list[Array] = []
        self._count = 0
        self._row: dict[Any, int] = {}  # by key
        self._known: list[Measured] = []

    def note(self, key: Any, a: Any) -> None:
        """Have `a` measured before long; nobody may write to it from now on."""
        a = np.asarray(a)  # NumPy gives numbers, not arrays, where no dimension is left
        self._keys.append(key)
        self._waiting.append(a)
        self._room -= a.size
        if self._room < 0:
            self.measure()

    def measure(self) -> None:
        """Measure what waits."""
        self._keep(self._keys, measure_all(self._waiting))
        self._keys.clear()
        self._waiting.clear()
        self._room = ROOM

    def terms(self, keys: list[Any], op: Op, parts: list[Any]) -> Any:
        """Add up deferred terms, as `op(*parts)` does, noting the figures of each term."""
        each = len(parts) // len(keys)
        total, rows = TERMS[op](*[parts[i::each] for i in range(each)])
        self.measure()
        self._keep(keys, rows)
        return total

    def _keep(self, keys: list[Any], rows: Array) -> None:
        self._row.update(zip(keys, count(self._count), strict=False))
        self._rows.append(rows)
        self._count += len(rows)

    def get(self, key: Any) -> Measured | None:
        """The figures of what was noted under a key, None if nothing was."""
        row = self._row.get(key)
        if self._rows:
            self._known += [Measured(*figures) for rows in self._rows for figures in rows.tolist()]
            self._rows.clear()
        return None if row is None else self._known[row]
