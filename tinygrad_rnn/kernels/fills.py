"""Rows that a compiled loop sums, fills and copies, by loops that are vectorised."""

from typing import Any

import numpy as np
from numba import types

from .linked import NUMBER, linked
from .views import line

Array = np.ndarray[Any, Any]
_ALL = (types.float32, types.float64, types.int64, types.int32, types.uint64, types.boolean)


@linked(1, returns=NUMBER, reassoc=True)
def row_sum(x: Array) -> Any:
    """Sum of one row, vectorised (reassociated)."""
    total = x.dtype.type(0)
    if x.strides[0] == x.itemsize:
        row = line(x, ())
        for j in range(x.size):
            total += row[j]
        return total
    for j in range(x.size):
        total += x[j]
    return total


@linked(2, 1)
def add_rows(x: Array, out: Array) -> None:
    """out += the sum of all rows of x (m, n)."""
    total = line(out, ())
    for i in range(x.shape[0]):
        row = line(x, (i,))
        for j in range(out.size):
            total[j] += row[j]


def _plain_rows(out: Array, b: Array, add: bool) -> None:
    out[...] = out + b if add else b


@linked(2, 1, types.boolean, twin=_plain_rows)
def set_rows(out: Array, b: Array, add: bool) -> None:
    """Every row of `out` becomes b, or grows by it."""
    side_by_side = b.strides[0] == b.itemsize
    for i in range(out.shape[0]):
        to = line(out, (i,))
        if not side_by_side:
            for j in range(b.size):
                to[j] = to[j] + b[j] if add else b[j]
        elif add:
            row = line(b, ())
            for j in range(b.size):
                to[j] += row[j]
        else:
            row = line(b, ())
            for j in range(b.size):
                to[j] = row[j]


def _plain_value(out: Array, value: Any) -> None:
    out[...] = value


@linked(2, NUMBER, dtypes=_ALL, twin=_plain_value)
def set_value(out: Array, value: Any) -> None:
    """Every number of `out` becomes `value`."""
    for i in range(out.shape[0]):
        row = line(out, (i,))
        for j in range(out.shape[1]):
            row[j] = value


def _plain_copy(x: Array, out: Array) -> None:
    out[...] = x


@linked(2, 2, dtypes=_ALL, twin=_plain_copy)
def copy_rows(x: Array, out: Array) -> None:
    """out = x."""
    for i in range(x.shape[0]):
        row, to = line(x, (i,)), line(out, (i,))
        for j in range(x.shape[1]):
            to[j] = row[j]
