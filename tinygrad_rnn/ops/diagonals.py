"""Triangles and diagonals of matrices; made of other ops."""

from typing import Any

import numpy as np

from ..errors import ShapeError
from .arrange import moveaxis, pad
from .indexing import take
from .logic import where
from .reduce import sum
from .shape import broadcast_to, expand_dims, one_axis, reshape

__all__ = ["diag", "diagonal", "trace", "tril", "triu"]


def _triangle(name: str, x: Any, k: int, lower: bool) -> Any:
    if x.ndim < 2:
        raise ShapeError(f"{name}: needs two axes, got shape {x.shape}")
    rows, columns = x.shape[-2:]
    below = np.tri(rows, columns, k if lower else k - 1, dtype=bool)
    return where(below if lower else ~below, x, 0)


def tril(x: Any, k: int = 0) -> Any:
    """The lower triangle of matrices, 0 above diagonal k.

    >>> tg.tril(tg.ones(2, 2)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return _triangle("tril", x, k, lower=True)


def triu(x: Any, k: int = 0) -> Any:
    """The upper triangle of matrices, 0 below diagonal k.

    >>> tg.triu(tg.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]], float32)
    """
    return _triangle("triu", x, k, lower=False)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of the matrices that two axes form, as a new last axis.

    >>> tg.diagonal(tg.tensor([[1, 2], [3, 4]])).tolist()
    [1, 4]
    """
    a, b = (one_axis("diagonal", k, x.ndim) for k in (axis1, axis2))
    if a == b:
        raise ShapeError(f"diagonal: needs two axes, got {axis1} and {axis2}")
    x = moveaxis(x, (a, b), (-2, -1))
    n, m = x.shape[-2:]
    places = np.arange(max(0, min(n + min(offset, 0), m - max(offset, 0))))
    places = (places - min(offset, 0)) * m + places + max(offset, 0)
    return take(reshape(x, shape=(*x.shape[:-2], n * m)), places, axis=-1)


def diag(x: Any, k: int = 0) -> Any:
    """Diagonal k of a matrix, or the matrix that has a vector there and 0 elsewhere.

    Raises ShapeError for other than one or two axes; see `diagonal` for series of matrices.

    >>> tg.diag(tg.tensor([1, 2])).tolist()
    [[1, 0], [0, 2]]
    """
    if x.ndim == 2:
        return diagonal(x, offset=k)
    if x.ndim != 1:
        raise ShapeError(f"diag: needs a vector or a matrix, got shape {x.shape}")
    n = x.shape[0] + abs(k)
    line = expand_dims(pad(x, (0, abs(k))), 1 if k >= 0 else 0)
    return where(np.eye(n, k=k, dtype=bool), broadcast_to(line, shape=(n, n)), 0)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sum of the diagonal of the matrices that two axes form.

    >>> tg.trace(tg.tensor([[1, 2], [3, 4]])).item()
    5
    """
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)
