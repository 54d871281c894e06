"""The Python array API's names and options, where those of the ops are shorter."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..errors import DTypeError, ShapeError
from ..inputs import DType, dtype_named
from . import logic, pointwise, reduce, shape
from .logic import eq, ge, gt, le, lt, ne, where as choose
from .pointwise import div, mul, neg, sub
from .reduce import axes_of
from .shape import Axis, reshape, swapaxes

__all__ = [
    "astype", "clip", "concat", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "divide",
    "equal", "flip", "greater", "greater_equal", "less", "less_equal", "matrix_transpose", "max",
    "min", "multiply", "negative", "not_equal", "positive", "prod", "reciprocal", "subtract", "sum",
]  # fmt: skip

subtract, multiply, divide, negative = sub, mul, div, neg
equal, not_equal = eq, ne
less, less_equal, greater, greater_equal = lt, le, gt, ge


def on_cpu(name: str, device: str | None) -> None:
    """Raise unless the device is None or "cpu", the only one there is."""
    if device not in (None, "cpu"):
        raise ValueError(f"{name}: device must be 'cpu' or None, got {device!r}")


def astype(x: Any, dtype: DTypeLike, *, copy: bool = True, device: str | None = None) -> Any:
    """Convert to a dtype; the gradient is converted back. None passes to integers.

    With copy=False `x` itself if it has that dtype.

    >>> tg.astype(tg.tensor([1.7, -1.7]), tg.int32)
    tensor([ 1, -1], int32)
    """
    on_cpu("astype", device)
    dtype = dtype_named(dtype)
    if dtype.kind not in "fiub" or (dtype.kind == "f" and dtype.itemsize not in (4, 8)):
        raise DTypeError(
            f"astype: dtype {dtype} is not supported; use float32, float64, integers or bool"
        )
    return x if not copy and x.dtype == dtype else logic.astype(x, dtype=dtype)


def _taken_as(x: Any, dtype: DTypeLike | None) -> Any:
    return x if dtype is None else astype(x, dtype, copy=False)


def sum(x: Any, axis: Axis = None, keepdims: bool = False, dtype: DTypeLike | None = None) -> Any:
    """Sum over `axis`, of the values as `dtype`; NumPy's pairwise summation.

    >>> tg.sum(tg.tensor([[1, 2], [3, 4]]), axis=1, keepdims=True)
    tensor([[3],
            [7]], int64)
    """
    y = reduce.sum(_taken_as(x, dtype), axis=axis, keepdims=keepdims)
    return _taken_as(y, dtype)


def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: DTypeLike | None = None) -> Any:
    """Product over `axis`, of the values as `dtype`; gradients are right where factors are 0, too.

    Multiplied in pairs of pairs.

    >>> tg.prod(tg.tensor([[1, 2], [3, 4]]), axis=1)
    tensor([ 2, 12], int64)
    """
    return _taken_as(reduce.prod(_taken_as(x, dtype), axis=axis, keepdims=keepdims), dtype)


def _limits(dtype: DType) -> tuple[Any, Any]:
    """The smallest and the largest value of a dtype."""
    if dtype.kind == "f":
        return -float("inf"), float("inf")
    if dtype.kind == "b":
        return False, True
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def max(x: Any, axis: Axis = None, keepdims: bool = False, where: Any = None) -> Any:
    """Largest value over `axis`; NaN if one is there, ties share the gradient.

    With a boolean `where`, of the values where it holds; if nowhere, -inf or the smallest integer.

    >>> tg.max(tg.tensor([[1, 4], [3, 2]]), axis=1)
    tensor([4, 3], int64)
    """
    if where is not None:
        x = choose(where, x, _limits(x.dtype)[0])
    return reduce.max(x, axis=axis, keepdims=keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False, where: Any = None) -> Any:
    """Smallest value over `axis`; NaN if one is there, ties share the gradient.

    With a boolean `where`, of the values where it holds; if nowhere, inf or the largest integer.

    >>> tg.min(tg.tensor([[1, 4], [3, 2]]), axis=1)
    tensor([1, 2], int64)
    """
    if where is not None:
        x = choose(where, x, _limits(x.dtype)[1])
    return reduce.min(x, axis=axis, keepdims=keepdims)


def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """Limit to [min, max] elementwise: y = minimum(maximum(x, min), max); None is no limit.

    The gradient goes to x between the bounds and on them, else to the bound that was taken.

    >>> tg.clip(tg.tensor([-2.0, 0.5, 2.0]), -1.0, 1.0).tolist()
    [-1.0, 0.5, 1.0]
    """
    if min is None or max is None:
        low, high = _limits(x.dtype)
        min, max = low if min is None else min, high if max is None else max
    return pointwise.clip(x, min, max)


def concat(arrays: Any, *more: Any, axis: int | None = 0) -> Any:
    """Join along an existing axis, all other sizes equal; with axis=None all flattened.

    The arrays one after the other, or in a list.

    >>> tg.concat([tg.ones(2, 3), tg.zeros(1, 3)]).shape
    (3, 3)
    """
    if isinstance(arrays, list | tuple):
        if len(more) > 1:
            raise ShapeError(f"concat: after a list comes its axis, got {len(more)} more values")
        arrays, axis = tuple(arrays), more[0] if more else axis
    else:
        arrays = (arrays, *more)
    if axis is None:
        arrays, axis = [reshape(x, shape=(-1,)) for x in arrays], 0
    return shape.concat(*arrays, axis=axis)


def flip(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """Reverse the order along an axis, several, or all.

    >>> tg.flip(tg.tensor([[1, 2], [3, 4]]), axis=1)
    tensor([[2, 1],
            [4, 3]], int64)
    """
    for a in axes_of("flip", axis, x.ndim):
        x = shape.flip(x, axis=a)
    return x


def cumsum(x: Any, axis: int | None = None) -> Any:
    """Running sum along one axis, or without one of all values in C order.

    >>> tg.cumsum(tg.tensor([[1, 2], [3, 4]]), axis=0)
    tensor([[1, 2],
            [4, 6]], int64)
    """
    x, axis = (reshape(x, shape=(-1,)), 0) if axis is None else (x, axis)
    return reduce.cumsum(x, axis=axis)


def cumprod(x: Any, axis: int | None = None) -> Any:
    """Running product along one axis, or without one of all values in C order.

    Gradients are right where factors are 0, too.

    >>> tg.cumprod(tg.tensor([1, 2, 3]))
    tensor([1, 2, 6], int64)
    """
    x, axis = (reshape(x, shape=(-1,)), 0) if axis is None else (x, axis)
    return reduce.cumprod(x, axis)


def _running(
    name: str,
    over: Any,
    before: int,
    x: Any,
    axis: int | None,
    dtype: DTypeLike | None,
    include_initial: bool,
) -> Any:
    if axis is None and x.ndim != 1:
        raise ShapeError(f"{name}: say along which of {x.ndim} axes, as in axis=0")
    k = shape.one_axis(name, 0 if axis is None else axis, x.ndim)
    y = _taken_as(over(_taken_as(x, dtype), axis=k), dtype)
    if not include_initial:
        return y
    first = np.full((*x.shape[:k], 1, *x.shape[k + 1 :]), before, y.dtype)
    return shape.concat(first, y, axis=k)


def cumulative_sum(
    x: Any, axis: int | None = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Any:
    """Running sum along an axis, which may be left out if there is only one; see `cumsum`.

    With `include_initial` a 0 stands before it.

    >>> tg.cumulative_sum(tg.tensor([1, 2, 3]), include_initial=True).tolist()
    [0, 1, 3, 6]
    """
    return _running("cumulative_sum", cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Any, axis: int | None = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Any:
    """Running product along an axis, which may be left out if there is only one; see `cumprod`.

    With `include_initial` a 1 stands before it.

    >>> tg.cumulative_prod(tg.tensor([1, 2, 3]), include_initial=True)
    tensor([1, 1, 2, 6], int64)
    """
    return _running("cumulative_prod", cumprod, 1, x, axis, dtype, include_initial)


def matrix_transpose(x: Any) -> Any:
    """Exchange the last two axes: `x.mT`.

    >>> tg.matrix_transpose(tg.ones(5, 2, 3)).shape
    (5, 3, 2)
    """
    return swapaxes(x, -1, -2)


def positive(x: Any) -> Any:
    """The values as they are: `+x`.

    >>> tg.positive(tg.tensor([1, -2]))
    tensor([ 1, -2], int64)
    """
    return x


def reciprocal(x: Any) -> Any:
    """One divided by it, elementwise: 1 / x; integers give float32.

    >>> tg.reciprocal(tg.tensor([2, 4]))
    tensor([0.5 , 0.25], float32)
    """
    return div(1, x)
