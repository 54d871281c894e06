"""Elementwise comparisons, logic, choice and conversion."""

import operator
from typing import Any

import numpy as np

from ..errors import DTypeError
from ..op import pointwise

__all__ = [
    "clone", "eq", "ge", "gt", "isfinite", "isinf", "isnan", "le", "logical_and", "logical_not",
    "logical_or", "logical_xor", "lt", "masked_fill", "nan_to_num", "ne", "where",
]  # fmt: skip


def _where(condition: Any, a: Any, b: Any) -> Any:
    """np.where, in which two Python numbers are float32 if one is a float, as everywhere here."""
    kind = np.asarray(condition).dtype
    if kind.kind != "b":
        raise DTypeError(f"where: the condition must be boolean, got {kind}; write x != 0")
    kinds = {type(a), type(b)}  # a np.float64, as NumPy gives for an array of one, is a float too
    if float in kinds and kinds <= {bool, int, float}:
        a = np.float32(a)
    return np.where(condition, a, b)


@pointwise(kernel=_where, free=["condition"])
def where(condition, a, b):
    """Choose a where the boolean condition holds, else b, elementwise.

    >>> tg.where(tg.tensor([True, False]), 1.0, tg.tensor([5.0, 6.0])).tolist()
    [1.0, 6.0]
    """
    return a if condition else b


@where.vjp
def where_vjp_a(g, condition):
    return where(condition, g, 0)


@where.vjp
def where_vjp_b(g, condition):
    return where(condition, 0, g)


def masked_fill(x: Any, mask: Any, value: object) -> Any:
    """Put `value` where the boolean mask holds: `where(mask, value, x)` in the dtype of x.

    Raises DTypeError for a mask that is not boolean, or a fraction for whole numbers.

    >>> tg.ones(2).masked_fill(tg.tensor([True, False]), 7.0).tolist()
    [7.0, 1.0]
    """
    kind = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
    if x.dtype.kind != "f" and kind.kind == "f":
        raise DTypeError(f"masked_fill: x is {x.dtype}, the value a float; convert x with .astype")
    return where(mask, value, x)


@pointwise(kernel=operator.eq)
def eq(a, b):
    """Equal, elementwise; boolean, without gradient.

    >>> tg.eq(tg.tensor([1.0, 2.0]), 2.0)
    tensor([False,  True], bool)
    """
    return a == b


@pointwise(kernel=operator.ne)
def ne(a, b):
    """Not equal, elementwise; boolean, without gradient.

    >>> tg.ne(tg.tensor([1.0, 2.0]), 2.0)
    tensor([ True, False], bool)
    """
    return a != b


@pointwise(kernel=operator.lt)
def lt(a, b):
    """Less than, elementwise; boolean, without gradient.

    >>> tg.lt(tg.tensor([1, 2, 3]), 2)
    tensor([ True, False, False], bool)
    """
    return a < b


@pointwise(kernel=operator.le)
def le(a, b):
    """Less than or equal, elementwise; boolean, without gradient.

    >>> tg.le(tg.tensor([1, 2, 3]), 2)
    tensor([ True,  True, False], bool)
    """
    return a <= b


@pointwise(kernel=operator.gt)
def gt(a, b):
    """Greater than, elementwise; boolean, without gradient.

    >>> tg.gt(tg.tensor([1, 2, 3]), 2)
    tensor([False, False,  True], bool)
    """
    return a > b


@pointwise(kernel=operator.ge)
def ge(a, b):
    """Greater than or equal, elementwise; boolean, without gradient.

    >>> tg.ge(tg.tensor([1, 2, 3]), 2)
    tensor([False,  True,  True], bool)
    """
    return a >= b


@pointwise(kernel=np.isnan, free=["x"])
def isnan(x):
    """Whether it is NaN, elementwise.

    >>> tg.isnan(tg.tensor([1.0, tg.inf, tg.nan]))
    tensor([False, False,  True], bool)
    """
    return x != x


@pointwise(kernel=np.isfinite, free=["x"])
def isfinite(x):
    """Whether it is neither NaN nor infinite, elementwise.

    >>> tg.isfinite(tg.tensor([1.0, tg.inf, tg.nan]))
    tensor([ True, False, False], bool)
    """
    return x - x == 0


@pointwise(kernel=np.isinf, free=["x"])
def isinf(x):
    """Whether it is infinite, elementwise.

    >>> tg.isinf(tg.tensor([1.0, -tg.inf, tg.nan]))
    tensor([False,  True, False], bool)
    """
    return (x == x) & (x - x != 0)


@pointwise(kernel=np.logical_and)
def logical_and(a, b):
    """Whether both are true, elementwise; a number is true unless it is 0.

    >>> tg.logical_and(tg.tensor([True, True]), tg.tensor([1.5, 0.0]))
    tensor([ True, False], bool)
    """
    return (a != 0) & (b != 0)


@pointwise(kernel=np.logical_or)
def logical_or(a, b):
    """Whether either is true, elementwise; a number is true unless it is 0.

    >>> tg.logical_or(tg.tensor([False, False]), tg.tensor([1.5, 0.0]))
    tensor([ True, False], bool)
    """
    return (a != 0) | (b != 0)


@pointwise(kernel=np.logical_xor)
def logical_xor(a, b):
    """Whether one of two is true and the other not, elementwise.

    >>> tg.logical_xor(tg.tensor([True, True]), tg.tensor([True, False]))
    tensor([False,  True], bool)
    """
    return (a != 0) != (b != 0)


@pointwise(kernel=np.logical_not)
def logical_not(x):
    """Whether it is false, elementwise; a number is false if it is 0.

    >>> tg.logical_not(tg.tensor([2.0, 0.0]))
    tensor([False,  True], bool)
    """
    return x == 0


@pointwise(kernel=np.array)
def clone(x):
    """The same values in memory of their own, with their gradient.

    >>> x = tg.ones(2, requires_grad=True)
    >>> y = x.clone()
    >>> y.requires_grad, np.shares_memory(x.numpy(), y.numpy())
    (True, False)
    """
    return x


@clone.vjp
def clone_vjp(g):
    return g


@pointwise(free=["x"])
def detach(x):
    """The same values, without gradient: where truncated BPTT truncates."""
    return x


@pointwise(kernel=lambda x, *, dtype: np.asarray(x).astype(dtype), free=["x"])
def astype(x, *, dtype):
    """Convert to a dtype; the gradient is converted back. None passes to integers.

    >>> tg.astype(tg.tensor([1.7, -1.7]), tg.int32).tolist()
    [1, -1]
    """
    return x


@astype.vjp
def astype_vjp(g, x_dtype):
    return astype(g, dtype=x_dtype)


def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """Replace NaN by a number and infinities by the largest and smallest, or by those given.

    >>> tg.nan_to_num(tg.tensor([float('nan'), 1.0])).tolist()
    [0.0, 1.0]
    """
    if x.dtype.kind != "f":
        return x
    most = float(np.finfo(x.dtype).max)
    high, low = most if posinf is None else posinf, -most if neginf is None else neginf
    wide = isinf(x)
    known = where(isfinite(x), x, 0)
    return where(isnan(x), nan, where(wide & (x > 0), high, where(wide, low, known)))
