"""What becomes an array: values of tensors, operands that are no tensors, index keys."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .errors import DTypeError, ShapeError, kind
from .inputs import dtype_named
from .op import Array, Traced

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


def supported(array: Array) -> Array:
    """The array in this machine's byte order; DTypeError for what a Tensor cannot hold."""
    dtype = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")
    if dtype.kind not in "iub" and dtype not in (_F32, _F64):
        raise DTypeError(
            f"tensor: dtype {dtype} is not supported; use float32, float64, integers or bool"
        )
    if hasattr(array, "mask"):  # np.ma.MaskedArray, without importing it
        raise DTypeError(
            "tensor: a masked array would lose its mask; pass array.filled(0) and the mask "
            "~np.ma.getmaskarray(array) by itself, as losses take it"
        )
    return np.asarray(array) if dtype is array.dtype else array.astype(dtype)


def to_array(value: object, dtype: DTypeLike | None = None) -> Array:
    """Copy of anything array-like; Python floats give float32, arrays keep their dtype."""
    if isinstance(value, Traced):
        value = value._array
    elif getattr(value, "requires_grad", False):
        raise DTypeError(
            f"tensor: {kind(value)} requires a gradient, whose graph would be lost; "
            "pass x.detach(), and requires_grad=True for a graph of its own here"
        )
    if isinstance(value, list | tuple) and any(isinstance(v, Traced) for v in value):
        value = [np.asarray(v) for v in value]  # raises for what requires a gradient
    typed = _typed(value) or (isinstance(value, list | tuple) and any(map(_typed, value)))
    try:
        foreign = hasattr(value, "__array__") and not isinstance(value, np.ndarray)
        # in two steps: asked for a copy, PyTorch's tensors warn that they cannot promise one
        array = np.array(np.asarray(value) if foreign else value, order="C", subok=True)
    except ValueError as error:
        raise ShapeError(f"tensor: rows of different lengths ({error})") from None
    except TypeError as error:  # PyTorch's bfloat16, for one
        raise DTypeError(f"tensor: no array can be made of {kind(value)}: {error}") from None
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if dtype is None and array.dtype == _F64 and not typed:
        dtype = _F32
    if array.dtype.kind == "O":
        raise DTypeError(f"tensor: dtype object is not supported: {_objects(value, array)}")
    if dtype is not None:
        dtype = dtype_named(dtype)
        if array.dtype.kind not in "fiub":
            raise DTypeError(f"tensor: cannot make {dtype} of {array.dtype} values")
        array = array.astype(dtype)
    return supported(array)


def _typed(value: object) -> bool:
    """Whether a value has a dtype of its own, or one a column as a DataFrame has."""
    return hasattr(value, "dtype") or hasattr(value, "dtypes")


def _objects(value: object, array: Array) -> str:
    """Words for an error: which value is no number, and what to do."""
    columns: Any = getattr(value, "dtypes", None)
    if hasattr(columns, "items"):  # of a DataFrame
        odd = [
            f"{name!r} ({dtype})"
            for name, dtype in columns.items()
            if not isinstance(dtype, np.dtype) or dtype.kind not in "iuf"
        ]
        return (
            f"of its columns, {', '.join(odd[:3])}{', ...' if odd[3:] else ''} must be left out or "
            "made numbers, by .astype('float64'), or .cat.codes of a category"
        )
    numbers = (bool, int, float, np.bool_, np.number)
    other = next((v for v in array.flat if not isinstance(v, numbers)), None)
    if other is None and not any(v is None for v in array.flat):
        return "its numbers are Python objects; convert them by .astype('float64')"
    text = repr(other)
    return (
        f"{text if len(text) <= 40 else text[:37] + '...'} is no number; missing values are NaN "
        "(float('nan')) here, and anything else needs a number"
    )


def index_key(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists as arrays; what is no whole number, slice or array of integers or booleans raises."""
    key: list[Any] = []
    for part in parts:
        if isinstance(part, list | tuple):
            part = np.asarray(part)
        if hasattr(part, "dtype") and part.size == 0 and part.dtype.kind == "f":  # of []
            part = part.astype(np.int64)
        if isinstance(part, float | str) or (
            hasattr(part, "dtype") and part.dtype.kind not in "iub"
        ):
            kind = part.dtype if hasattr(part, "dtype") else type(part).__name__
            raise DTypeError(f"index: must be integers, slices or booleans, got {kind}")
        key.append(part)
    return tuple(key)
