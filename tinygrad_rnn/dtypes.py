"""Dtypes by the Python array API: their names, limits and kinds, and what is asked of a namespace.

A dtype is NumPy's; there are no complex ones, and two floats of different width do not mix.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from .errors import DTypeError
from .inputs import DType, dtype_named
from .op import Traced

__all__ = [
    "__array_api_version__", "__array_namespace_info__", "bool", "can_cast", "e", "finfo",
    "float32", "float64", "iinfo", "inf", "int8", "int16", "int32", "int64", "isdtype", "nan",
    "newaxis", "pi", "result_type", "uint8", "uint16", "uint32", "uint64",
]  # fmt: skip
__array_api_version__ = "2024.12"
bool = np.dtype(np.bool_)
int8, int16, int32, int64 = (np.dtype(f"i{n}") for n in (1, 2, 4, 8))
uint8, uint16, uint32, uint64 = (np.dtype(f"u{n}") for n in (1, 2, 4, 8))
float32, float64 = np.dtype("f4"), np.dtype("f8")
e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None
_NAMED = {str(d): d for d in (bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
                              float32, float64)}  # fmt: skip


class Finfo(NamedTuple):
    """Limits of a float dtype: its bits, the gap after 1, largest, smallest, smallest normal."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: np.dtype[Any]


class Iinfo(NamedTuple):
    """Limits of an integer dtype: its bits, largest and smallest value."""

    bits: int
    max: int
    min: int
    dtype: np.dtype[Any]


def _dtype_of(x: Any) -> DType:
    if isinstance(x, Traced | np.ndarray):
        x = x.dtype  # type: ignore[union-attr]
    return dtype_named(x)


def finfo(type: Any) -> Finfo:
    """The limits of a float dtype, or of a tensor's.

    >>> finfo(float32).bits
    32
    """
    dtype = _dtype_of(type)
    if dtype.kind != "f":
        raise DTypeError(f"finfo: needs a float dtype, got {dtype}; iinfo has integers")
    f = np.finfo(dtype)
    eps, high, low, normal = (float(v) for v in (f.eps, f.max, f.min, f.smallest_normal))
    return Finfo(f.bits, eps, high, low, normal, dtype)


def iinfo(type: Any) -> Iinfo:
    """The limits of an integer dtype, or of a tensor's.

    >>> iinfo(int8).max
    127
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "iu":
        raise DTypeError(f"iinfo: needs an integer dtype, got {dtype}; finfo has floats")
    i = np.iinfo(dtype)
    return Iinfo(i.bits, int(i.max), int(i.min), dtype)


def isdtype(dtype: Any, kind: Any) -> Any:
    """Whether a dtype is of a kind, or of one of several.

    A kind is a dtype or one of "bool", "signed integer", "unsigned integer", "integral",
    "real floating", "complex floating", "numeric".

    >>> tg.isdtype(tg.int32, "integral"), tg.isdtype(tg.bool, ("numeric", tg.bool))
    (True, True)
    """
    return np.isdtype(dtype, kind)


def can_cast(from_: Any, to: Any) -> Any:
    """Whether values of one dtype, or a tensor, turn into another without loss of kind or range.

    >>> tg.can_cast(tg.int32, tg.float64), tg.can_cast(tg.float64, tg.int32)
    (True, False)
    """
    return np.can_cast(_dtype_of(from_), dtype_named(to))


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype to which tensors, dtypes and Python numbers promote; numbers are weak.

    Ops do not mix float32 and float64 by themselves: use .astype(result_type(a, b)).

    >>> tg.result_type(tg.float32, tg.int64, 1.5)
    dtype('float64')
    """
    return np.result_type(
        *(a if isinstance(a, int | float) else _dtype_of(a) for a in arrays_and_dtypes)
    )


class Info:
    """What the array API asks of a namespace: capabilities, devices, dtypes."""

    def capabilities(self) -> dict[str, Any]:
        """Masks may index, results may be as large as values say; NumPy's limit of axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Say "cpu", the processor."""
        return "cpu"

    def devices(self) -> list[str]:
        """The processor is the only one."""
        return ["cpu"]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype[Any]]:
        """What Python numbers turn into."""
        return {"real floating": float32, "integral": int64, "indexing": int64}

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes of a kind (see `isdtype`), or all."""
        return {n: d for n, d in _NAMED.items() if kind is None or np.isdtype(d, kind)}


def __array_namespace_info__() -> Info:
    """What this namespace offers, by the Python array API.

    >>> tg.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float32')
    """
    return Info()
