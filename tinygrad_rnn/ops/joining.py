"""NumPy's short names for joining and cutting along the first axes; made of other ops."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from .indexing import index, split, unstack
from .names import concat
from .shape import expand_dims, one_axis, reshape

__all__ = [
    "append", "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "column_stack", "dsplit",
    "dstack", "hsplit", "hstack", "vsplit", "vstack",
]  # fmt: skip

Parts = int | Sequence[int]


def atleast_1d(x: Any) -> Any:
    """A single value as a vector of one; anything else as it is.

    >>> tg.atleast_1d(tg.tensor(5.0)).shape
    (1,)
    """
    return x if x.ndim else reshape(x, shape=(1,))


def atleast_2d(x: Any) -> Any:
    """A vector of n as a row, (1, n); two axes or more as they are.

    >>> tg.atleast_2d(tg.ones(3)).shape
    (1, 3)
    """
    return x if x.ndim > 1 else reshape(x, shape=(1, x.size))


def atleast_3d(x: Any) -> Any:
    """A vector of n as (1, n, 1), a matrix (n, m) as (n, m, 1); three axes or more as they are.

    >>> tg.atleast_3d(tg.ones(2, 3)).shape
    (2, 3, 1)
    """
    if x.ndim > 2:
        return x
    return expand_dims(x, 2) if x.ndim == 2 else reshape(x, shape=(1, x.size, 1))


def _rows(name: str, arrays: Any) -> list[Any]:
    """The arrays of a list, or those along the first axis of one array."""
    if not isinstance(arrays, list | tuple):
        arrays = unstack(arrays)
    if not arrays:
        raise ShapeError(f"{name}: no arrays to join")
    return list(arrays)


def hstack(arrays: Any) -> Any:
    """Join a list of arrays along axis 1, or vectors one after the other.

    >>> tg.hstack([tg.ones(2, 3), tg.zeros(2, 1)]).shape
    (2, 4)
    """
    rows = [atleast_1d(x) for x in _rows("hstack", arrays)]
    return concat(rows, axis=0 if rows[0].ndim == 1 else 1)


def vstack(arrays: Any) -> Any:
    """Join a list of arrays along axis 0, each vector as one row.

    >>> tg.vstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]], int64)
    """
    return concat([atleast_2d(x) for x in _rows("vstack", arrays)], axis=0)


def dstack(arrays: Any) -> Any:
    """Join a list of arrays along axis 2, a matrix (n, m) as (n, m, 1).

    >>> tg.dstack([tg.ones(2, 3), tg.zeros(2, 3)]).shape
    (2, 3, 2)
    """
    return concat([atleast_3d(x) for x in _rows("dstack", arrays)], axis=2)


def column_stack(arrays: Any) -> Any:
    """Join a list of vectors as the columns of a matrix, and matrices by their columns.

    >>> tg.column_stack([tg.tensor([1, 2]), tg.tensor([3, 4])]).tolist()
    [[1, 3], [2, 4]]
    """
    rows = _rows("column_stack", arrays)
    wide = [x if x.ndim > 1 else reshape(x, shape=(x.size, 1)) for x in rows]
    return concat(wide, axis=1)


def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """Join `values` to the end of `x` along an axis; without one both flattened.

    >>> tg.append(tg.tensor([1, 2]), tg.tensor([3])).tolist()
    [1, 2, 3]
    """
    return concat([x, values], axis=axis)


def array_split(x: Any, parts: Parts, axis: int = 0) -> list[Any]:
    """Split along one axis into that many parts, the first ones longer by one, or at those indices.

    [2, 5] gives x[:2], x[2:5], x[5:].
    See `split` for pieces of given sizes. Raises ShapeError for fewer than one part.

    >>> [part.tolist() for part in tg.array_split(tg.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    k = one_axis("array_split", axis, x.ndim)
    n = x.shape[k]
    if isinstance(parts, int | np.integer):
        if parts < 1:
            raise ShapeError(f"array_split: needs at least one part, got {parts}")
        sizes = [n // parts + (i < n % parts) for i in range(int(parts))]
        return split(x, sizes, axis=k)
    before = (slice(None),) * k
    ends = zip([None, *parts], [*parts, None], strict=True)
    return [index(x, key=(*before, slice(start, stop))) for start, stop in ends]


def _equal(name: str, x: Any, parts: Parts, axis: int) -> list[Any]:
    if x.ndim <= axis:
        raise ShapeError(f"{name}: needs at least {axis + 1} axes, got shape {x.shape}")
    if isinstance(parts, int | np.integer) and parts > 0 and x.shape[axis] % parts:
        raise ShapeError(
            f"{name}: axis {axis} has {x.shape[axis]} places, not {parts} equal parts; "
            "array_split makes unequal ones"
        )
    return array_split(x, parts, axis)


def hsplit(x: Any, parts: Parts) -> list[Any]:
    """Cut along axis 1, or a vector, into equal parts or at places; see `array_split`.

    >>> [part.shape for part in tg.hsplit(tg.ones(2, 6), 3)]
    [(2, 2), (2, 2), (2, 2)]
    """
    return _equal("hsplit", x, parts, 0 if x.ndim == 1 else 1)


def vsplit(x: Any, parts: Parts) -> list[Any]:
    """Cut along axis 0 into equal parts or at places; needs two axes; see `array_split`.

    >>> [part.shape for part in tg.vsplit(tg.ones(4, 3), 2)]
    [(2, 3), (2, 3)]
    """
    if x.ndim < 2:
        raise ShapeError(f"vsplit: needs at least 2 axes, got shape {x.shape}")
    return _equal("vsplit", x, parts, 0)


def dsplit(x: Any, parts: Parts) -> list[Any]:
    """Cut along axis 2 into equal parts or at places; see `array_split`.

    >>> [part.shape for part in tg.dsplit(tg.ones(2, 3, 4), [1])]
    [(2, 3, 1), (2, 3, 3)]
    """
    return _equal("dsplit", x, parts, 2)
