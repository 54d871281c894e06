"""Order and truth along an axis: argmax, sort, topk, any, all."""

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..op import Spec, primitive
from .indexing import index, take, take_along_axis
from .reduce import over, reduced
from .shape import one_axis

__all__ = ["all", "any", "argmax", "argmin", "argsort", "searchsorted", "sort", "topk"]


def _placed(name: str) -> Any:
    """The shape rule of a reduction over one axis or all, which needs a value there."""
    reduction = reduced(name, empty=False)

    def shape(x: Spec, *, axis: int | None, keepdims: bool) -> Any:
        if axis is not None:
            one_axis(name, axis, x.ndim)
        return reduction(x, axis=axis, keepdims=keepdims)

    return shape


@primitive(shape=_placed("argmax"), dtype=np.int64)
def argmax(x, *, axis=None, keepdims=False):
    """Index of the largest value along one axis, the first of equals; NaN counts as largest.

    Without an axis the index in the flattened array.

    >>> tg.argmax(tg.tensor([[1, 3], [5, 2]]), axis=1).tolist()
    [1, 0]
    """
    _placed("argmax")(x, axis=axis, keepdims=keepdims)
    return np.argmax(x, axis=axis, keepdims=keepdims)


@primitive(shape=_placed("argmin"), dtype=np.int64)
def argmin(x, *, axis=None, keepdims=False):
    """Index of the smallest value along one axis, the first of equals; NaN counts as smallest.

    >>> tg.argmin(tg.tensor([[1, 3], [5, 2]]), axis=1)
    tensor([0, 1], int64)
    """
    _placed("argmin")(x, axis=axis, keepdims=keepdims)
    return np.argmin(x, axis=axis, keepdims=keepdims)


@primitive(shape=reduced("any"), dtype=bool)
def any(x, *, axis=None, keepdims=False):
    """Whether any value over `axis` is true: not 0.

    >>> tg.any(tg.tensor([[0, 2], [0, 0]]), axis=1)
    tensor([ True, False], bool)
    """
    return np.any(x, axis=over("any", x, axis), keepdims=keepdims)


@primitive(shape=reduced("all"), dtype=bool)
def all(x, *, axis=None, keepdims=False):
    """Whether all values over `axis` are true: not 0.

    >>> tg.all(tg.tensor([[1, 2], [3, 0]]), axis=1)
    tensor([ True, False], bool)
    """
    return np.all(x, axis=over("all", x, axis), keepdims=keepdims)


def _sorted(x: Spec, *, axis: int, descending: bool, stable: bool = True) -> tuple[int, ...]:
    one_axis("argsort", axis, x.ndim)
    return x.shape


@primitive(shape=_sorted, dtype=np.int64)
def argsort(x, *, axis=-1, descending=False, stable=True):
    """Indices that sort the values along one axis; equals keep their order, NaN counts as largest.

    Always stable, whatever `stable` says: nothing would be faster.

    >>> tg.argsort(tg.tensor([3, 1, 2])).tolist()
    [1, 2, 0]
    """
    k = one_axis("argsort", axis, x.ndim)
    if not descending:
        return np.argsort(x, axis=k, kind="stable")
    turned = np.argsort(np.flip(x, k), axis=k, kind="stable")  # from the back: equals keep places
    return np.flip(x.shape[k] - 1 - turned, k)


def sort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Put the values in order along one axis, always stably; each takes its gradient with it.

    >>> tg.sort(tg.tensor([3, 1, 2])).tolist()
    [1, 2, 3]
    """
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> tuple[Any, Any]:
    """The k largest (or smallest) values along one axis in order, and their indices.

    >>> [x.tolist() for x in tg.topk(tg.tensor([3.0, 1.0, 2.0]), 2)]
    [[3.0, 2.0], [0, 2]]
    """
    a = one_axis("topk", axis, x.ndim)
    if not 0 <= k <= x.shape[a]:
        raise ShapeError(
            f"topk: k must be from 0 to {x.shape[a]}, the size of axis {axis}, got {k}"
        )
    order = argsort(x, axis=a, descending=largest)
    places = index(order, key=(*(slice(None),) * a, slice(0, k)))
    return take_along_axis(x, places, axis=a), places


def _searched(x: Spec, values: Spec, *, side: str) -> tuple[int, ...]:
    if x.ndim != 1:
        raise ShapeError(f"searchsorted: needs one axis of numbers in order, got {x.shape}")
    if side not in ("left", "right"):
        raise ShapeError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    return values.shape


@primitive(shape=_searched, dtype=np.int64)
def places_in_order(x, values, *, side):
    """Where values belong among the numbers x, which are in order."""
    _searched(Spec(np.shape(x), x.dtype), Spec(np.shape(values), x.dtype), side=side)
    return np.searchsorted(x, values, side)


def searchsorted(x: Any, values: Any, side: str = "left", sorter: Any = None) -> Any:
    """Where values belong among the numbers x (n,), in order, or in the order of `sorter`.

    x[i - 1] < v <= x[i] for side "left", x[i - 1] <= v < x[i] for "right". Without gradient.
    Raises ShapeError for an x of other than one axis.

    >>> tg.searchsorted(tg.tensor([1, 3, 5]), tg.tensor([3, 4])).tolist()
    [1, 2]
    """
    x = x if sorter is None else take(x, sorter, axis=0)
    return places_in_order(x, values, side=side)
