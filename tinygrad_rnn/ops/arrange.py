"""Rearranging: repeat, tile, roll, turn, grids, padding, differences.

All made of other ops.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..op import broadcast
from .indexing import index, take
from .shape import (
    broadcast_to,
    concat,
    expand_dims,
    flip,
    one_axis,
    permute_dims,
    reshape,
    swapaxes,
)

__all__ = [
    "broadcast_arrays", "diff", "fliplr", "flipud", "meshgrid", "moveaxis", "pad", "ravel",
    "repeat", "roll", "rot90", "tile",
]  # fmt: skip

Axes = int | Sequence[int]


def each_axis(axes: Axes) -> tuple[int, ...]:
    """One axis, or several, as a tuple."""
    return (axes,) if isinstance(axes, int | np.integer) else tuple(axes)


def moveaxis(x: Any, source: Axes, destination: Axes) -> Any:
    """Move axes to other places; the rest keep their order.

    >>> tg.moveaxis(tg.ones(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    old = [one_axis("moveaxis", a, x.ndim) for a in each_axis(source)]
    new = [one_axis("moveaxis", a, x.ndim) for a in each_axis(destination)]
    if len(old) != len(new) or len(set(old)) != len(old) or len(set(new)) != len(new):
        raise ShapeError(f"moveaxis: {source} and {destination} must name as many axes, each once")
    order = [a for a in range(x.ndim) if a not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, axes=tuple(order))


def repeat(x: Any, repeats: object, axis: int | None = None) -> Any:
    """Repeat each value `repeats` times along an axis, or of the flattened array.

    `repeats` is an integer, or a list of one for each position.

    >>> tg.repeat(tg.tensor([1, 2]), 2).tolist()
    [1, 1, 2, 2]
    """
    if axis is None:
        x, axis = reshape(x, shape=(math.prod(x.shape),)), 0
    k = one_axis("repeat", axis, x.ndim)
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iu" or counts.min(initial=0) < 0:
        raise ShapeError(f"repeat: repeats must be whole numbers from 0, got {repeats!r}")
    counts = counts.reshape(()) if counts.size == 1 else counts
    if counts.ndim and counts.shape != (x.shape[k],):
        raise ShapeError(f"repeat: axis {axis} has {x.shape[k]} places, got {counts.size} repeats")
    if counts.ndim:
        return take(x, np.repeat(np.arange(x.shape[k]), counts), axis=k)
    n = int(counts)
    wide = (*x.shape[: k + 1], n, *x.shape[k + 1 :])
    thick = broadcast_to(expand_dims(x, k + 1), shape=wide)
    return reshape(thick, shape=(*x.shape[:k], x.shape[k] * n, *x.shape[k + 1 :]))


def tile(x: Any, repetitions: Axes) -> Any:
    """Repeat the whole array along each axis, as often as `repetitions` says.

    >>> tg.tile(tg.tensor([1, 2]), (2, 2)).tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    times = each_axis(repetitions)
    if any(n < 0 for n in times):
        raise ShapeError(f"tile: repetitions must be whole numbers from 0, got {repetitions!r}")
    times = (1,) * (x.ndim - len(times)) + times
    sizes = (1,) * (len(times) - x.ndim) + tuple(x.shape)
    pairs = list(zip(times, sizes, strict=True))
    x = reshape(x, shape=tuple(n for _, size in pairs for n in (1, size)))
    x = broadcast_to(x, shape=tuple(n for pair in pairs for n in pair))
    return reshape(x, shape=tuple(n * size for n, size in pairs))


def roll(x: Any, shift: Axes, axis: Axes | None = None) -> Any:
    """Shift along axes, values that leave one end entering at the other; without axis, flattened.

    >>> tg.roll(tg.tensor([1, 2, 3]), 1).tolist()
    [3, 1, 2]
    """
    if axis is None:
        flat = reshape(x, shape=(math.prod(x.shape),))
        return reshape(roll(flat, shift, 0), shape=x.shape)
    shifts, axes = each_axis(shift), each_axis(axis)
    if len(shifts) != len(axes):
        raise ShapeError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    for n, a in zip(shifts, axes, strict=True):
        k = one_axis("roll", a, x.ndim)
        cut = -n % max(1, x.shape[k])
        if cut:
            before = (slice(None),) * k
            head = index(x, key=(*before, slice(0, cut)))
            x = concat(index(x, key=(*before, slice(cut, None))), head, axis=k)
    return x


def ravel(x: Any) -> Any:
    """All values as one vector, C order: `x.flatten()`.

    >>> tg.ravel(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4], int64)
    """
    return reshape(x, shape=(math.prod(x.shape),))


def flipud(x: Any) -> Any:
    """Reverse the order of the rows: `flip(x, axis=0)`.

    >>> tg.flipud(tg.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]], int64)
    """
    one_axis("flipud", 0, x.ndim)
    return flip(x, axis=0)


def fliplr(x: Any) -> Any:
    """Reverse the order of the columns: `flip(x, axis=1)`.

    >>> tg.fliplr(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]], int64)
    """
    one_axis("fliplr", 1, x.ndim)
    return flip(x, axis=1)


def rot90(x: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turn by k right angles in the plane of two axes, from the first towards the second.

    >>> tg.rot90(tg.tensor([[1, 2], [3, 4]])).tolist()
    [[2, 4], [1, 3]]
    """
    a, b = (one_axis("rot90", axis, x.ndim) for axis in axes)
    if a == b:
        raise ShapeError(f"rot90: needs two axes, got {tuple(axes)}")
    turns = k % 4
    if turns == 2:
        return flip(flip(x, axis=a), axis=b)
    if turns == 3:
        return flip(swapaxes(x, a, b), axis=b)
    return swapaxes(flip(x, axis=b), a, b) if turns else x


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """All arrays in the shape that they broadcast to.

    >>> [x.shape for x in tg.broadcast_arrays(tg.ones(3, 1), tg.ones(2))]
    [(3, 2), (3, 2)]
    """
    shape = broadcast("broadcast_arrays", *(x.shape for x in arrays))
    return [broadcast_to(x, shape=shape) for x in arrays]


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """Coordinates of all points of a grid, given those along each axis.

    With indexing "ij" the k-th vector runs along axis k; with "xy" the first two are exchanged.

    >>> [x.tolist() for x in tg.meshgrid(tg.tensor([1, 2]), tg.tensor([3, 4]))]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    if indexing not in ("xy", "ij"):
        raise ShapeError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    wrong = [x.shape for x in arrays if x.ndim > 1]
    if wrong:
        raise ShapeError(f"meshgrid: needs vectors, got {wrong[0]}")
    n = len(arrays)
    places = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    lines = [
        reshape(x, shape=(*(1,) * k, -1 if x.size else 0, *(1,) * (n - 1 - k)))
        for k, x in zip(places, arrays, strict=True)
    ]
    return broadcast_arrays(*lines)


def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along one axis, n times, after joining `prepend` and `append`.

    >>> tg.diff(tg.tensor([1, 4, 9])).tolist()
    [3, 5]
    """
    k = one_axis("diff", axis, x.ndim)
    if n < 0:
        raise ShapeError(f"diff: n must be a whole number from 0, got {n}")
    parts = [a for a in (prepend, x, append) if a is not None]
    y = concat(*parts, axis=k) if n and len(parts) > 1 else x
    before = (slice(None),) * k
    for _ in range(n):
        y = index(y, key=(*before, slice(1, None))) - index(y, key=(*before, slice(None, -1)))
    return y


def pad(x: Any, pad_width: object, constant_values: float = 0.0) -> Any:
    """Pad each axis with constant values before and after.

    `pad_width` is a number, a pair (before, after), or a pair for each axis.

    >>> tg.pad(tg.tensor([1, 2]), (1, 2)).tolist()
    [0, 1, 2, 0, 0]
    """
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu" or widths.min(initial=0) < 0:
        raise ShapeError(f"pad: pad_width must be whole numbers from 0, got {pad_width!r}")
    try:
        widths = np.broadcast_to(widths, (x.ndim, 2))
    except ValueError:
        raise ShapeError(
            f"pad: pad_width must be a pair for each of {x.ndim} axes, got {pad_width!r}"
        ) from None
    for k, (before, after) in enumerate(widths.tolist()):
        if before or after:
            sizes = [(*x.shape[:k], n, *x.shape[k + 1 :]) for n in (before, after)]
            first, last = (np.full(s, constant_values, x.dtype) for s in sizes)
            x = concat(first, x, last, axis=k)
    return x
