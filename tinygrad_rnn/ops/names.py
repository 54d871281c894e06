"""The Python array API's long names beside the short ones."""

from typing import Any

from ..errors import ShapeError
from .logic import eq, ge, gt, le, lt, ne
from .pointwise import div, mul, neg, sub
from .reduce import cumprod, cumsum
from .shape import swapaxes

__all__ = [
    "cumulative_prod", "cumulative_sum", "divide", "equal", "greater", "greater_equal", "less",
    "less_equal", "matrix_transpose", "multiply", "negative", "not_equal", "subtract",
]  # fmt: skip

subtract, multiply, divide, negative = sub, mul, div, neg
equal, not_equal = eq, ne
less, less_equal, greater, greater_equal = lt, le, gt, ge


def _only_axis(name: str, x: Any, axis: int | None) -> int:
    if axis is None and x.ndim != 1:
        raise ShapeError(f"{name}: say along which of {x.ndim} axes, as in axis=0")
    return 0 if axis is None else axis


def cumulative_sum(x: Any, axis: int | None = None) -> Any:
    """Running sum along an axis, which may be left out if there is only one; see `cumsum`."""
    return cumsum(x, axis=_only_axis("cumulative_sum", x, axis))


def cumulative_prod(x: Any, axis: int | None = None) -> Any:
    """Running product along an axis, which may be left out if there is only one; see `cumprod`."""
    return cumprod(x, axis=_only_axis("cumulative_prod", x, axis))


def matrix_transpose(x: Any) -> Any:
    """Exchange the last two axes: `x.mT`."""
    return swapaxes(x, -1, -2)
