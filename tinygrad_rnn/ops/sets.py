"""Which values there are, where, and how many: results whose size depends on the values.

A recording has one shape, so in a function given to `tg.jit` those raise.
"""

from typing import Any, NamedTuple

import numpy as np

from ..errors import CaptureError, ShapeError
from ..op import Spec, primitive
from .indexing import take
from .logic import astype, ne
from .reduce import sum
from .rounding import floor_divide, remainder
from .shape import Axis, reshape

__all__ = [
    "count_nonzero", "isin", "nonzero", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
]  # fmt: skip


def _unknown(name: str, instead: str) -> Any:
    def shape(x: Spec, **attrs: Any) -> Any:
        raise CaptureError(
            f"tg.jit: how much {name} finds depends on the values, and a recording has one shape; "
            f"{instead}, or run under tg.disable_jit()"
        )

    return shape


@primitive(shape=_unknown("nonzero", "keep the shape with tg.where(x != 0, ...)"), dtype=np.int64)
def places_of_nonzero(x):
    """Where in the flattened array it is not 0."""
    return np.flatnonzero(x)


def nonzero(x: Any) -> tuple[Any, ...]:
    """Find the values that are not 0: for each axis their indices along it, in C order.

    Raises ShapeError for a single value, which has no axes.

    >>> [x.tolist() for x in tg.nonzero(tg.tensor([[0, 1], [1, 0]]))]
    [[0, 1], [1, 0]]
    """
    if not x.ndim:
        raise ShapeError("nonzero: a single value has no axes; use x != 0")
    flat, found = places_of_nonzero(x), []
    for n in x.shape[::-1]:
        found.append(remainder(flat, n) if n else flat)
        flat = floor_divide(flat, n) if n else flat
    return tuple(found[::-1])


def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """How many values over `axis` are not 0.

    >>> tg.count_nonzero(tg.tensor([[0, 1], [2, 3]]), axis=1).tolist()
    [1, 2]
    """
    return sum(astype(ne(x, 0), dtype=np.dtype(np.int64)), axis=axis, keepdims=keepdims)


def _like_first(x: Spec, values: Spec, *, invert: bool) -> tuple[int, ...]:
    return x.shape


@primitive(shape=_like_first, free=["x", "values"], dtype=bool)
def isin(x, values, *, invert=False):
    """Whether each is one of `values`, elementwise; with `invert`, whether it is none of them.

    >>> tg.isin(tg.tensor([1, 2, 3]), [2, 3]).tolist()
    [False, True, True]
    """
    return np.isin(x, values, invert=invert)


_FIRST = 1  # of what np.unique gives: the values, their first places, the inverse, the counts


@primitive(shape=_unknown("unique", "sort with tg.sort and compare neighbours"), dtype=np.int64)
def unique_part(x, *, part):
    """Where each different value stands first (part 1), how often it occurs (part 3)."""
    return _unique(x)[part]


@primitive(shape=lambda x: x.shape, dtype=np.int64)
def unique_number(x):
    """For each value its number among the different ones in order."""
    return _unique(x)[2].reshape(x.shape)


def _unique(x: Any) -> tuple[Any, ...]:
    return np.unique(x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)


def unique_values(x: Any) -> Any:
    """The distinct values in order, each NaN by itself; a gradient goes to a value's first place.

    >>> tg.unique_values(tg.tensor([3, 1, 3]))
    tensor([1, 3], int64)
    """
    return take(reshape(x, shape=(-1,)), unique_part(x, part=_FIRST), axis=0)


class Counts(NamedTuple):
    """The different values, and how often each occurs."""

    values: Any
    counts: Any


class Inverse(NamedTuple):
    """The different values, and which of them stands at each place."""

    values: Any
    inverse_indices: Any


class All(NamedTuple):
    """All that can be said of the different values."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


def unique_counts(x: Any) -> Counts:
    """The distinct values in order, and how often each occurs.

    >>> [x.tolist() for x in tg.unique_counts(tg.tensor([3, 1, 3]))]
    [[1, 3], [1, 2]]
    """
    return Counts(unique_values(x), unique_part(x, part=3))


def unique_inverse(x: Any) -> Inverse:
    """The distinct values in order, and for each place the index of its value among them.

    >>> [x.tolist() for x in tg.unique_inverse(tg.tensor([3, 1, 3]))]
    [[1, 3], [1, 0, 1]]
    """
    return Inverse(unique_values(x), unique_number(x))


def unique_all(x: Any) -> All:
    """The distinct values in order, where each stands first, each place's index among them, counts.

    >>> [x.tolist() for x in tg.unique_all(tg.tensor([3, 1, 3]))]
    [[1, 3], [1, 0], [1, 0, 1], [1, 2]]
    """
    first, counts = unique_part(x, part=_FIRST), unique_part(x, part=3)
    return All(take(reshape(x, shape=(-1,)), first, axis=0), first, unique_number(x), counts)
