"""x[key] with index arrays, by ops that have them as operands: what a recording can hold.

NumPy's rules: index arrays broadcast with each other; their axes stand where they stood if
all stood together (whole numbers count as arrays), else in front.
"""

from math import prod
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..op import elementwise, primitive
from .indexing import check_indices, full_key, index, take
from .shape import permute_dims, reshape


@primitive(shape=elementwise("index"), dtype=np.int64)
def position(*xs, sizes):
    """The place, counted row by row, of elements [i, j, ...] of axes of `sizes`."""
    place = np.zeros((), np.int64)
    for x, n in zip(xs, sizes, strict=True):
        check_indices("index", x, n, "an axis")
        place = place * n + np.where(x < 0, x + n, x)
    return place


def pick(x: Any, key: tuple[Any, ...]) -> Any:
    """x[key]; parts of the key may be arrays or Tensors of integers."""
    parts = full_key(key, x.ndim)
    arrays = [k for k, p in enumerate(parts) if hasattr(p, "shape")]
    numbers = [k for k, p in enumerate(parts) if isinstance(p, int) or k in arrays]
    if sum(p is not None for p in parts) > x.ndim:
        raise ShapeError(f"index: {len(parts)} indices for an array of shape {x.shape}")
    basic = tuple([slice(None) if k in arrays else p for k, p in enumerate(parts)])
    y = x if all(p == slice(None) for p in basic) else index(x, key=basic)
    axes = [k - sum(isinstance(p, int) for p in parts[:k]) for k in arrays]
    together = numbers == list(range(numbers[0], numbers[-1] + 1))
    start = numbers[0] if together else 0
    rest = [k for k in range(y.ndim) if k not in axes]
    order = [*rest[:start], *axes, *rest[start:]]
    if order != sorted(order):
        y = permute_dims(y, axes=tuple(order))
    if len(arrays) == 1:
        return take(y, parts[arrays[0]], axis=start)
    end = start + len(axes)
    sizes = y.shape[start:end]
    y = reshape(y, shape=(*y.shape[:start], prod(sizes), *y.shape[end:]))
    return take(y, position(*[parts[k] for k in arrays], sizes=sizes), axis=start)
