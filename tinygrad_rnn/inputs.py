"""What inputs of an op fit together: shapes that broadcast, and one dtype."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import DTypeError, ShapeError

DType = np.dtype[Any]
Attrs = dict[str, Any]  # attributes of an op by name


class Spec(NamedTuple):
    """Shape and dtype of an array that need not exist.

    >>> tg.op.Spec((2, 3), tg.float32).ndim
    2
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)


def broadcast(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Shape that `shapes` broadcast to, or a ShapeError in the name of op `name`.

    >>> tg.op.broadcast("add", (3, 1), (2,))
    (3, 2)
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        came = " and ".join(map(str, shapes))
        raise ShapeError(
            f"{name}: shapes {came} do not broadcast; counted from the right, "
            "each pair of sizes must be equal or one of them 1"
        ) from None


def elementwise(name: str) -> Callable[..., tuple[int, ...]]:
    """The shape rule of an op whose inputs broadcast.

    >>> tg.op.elementwise("add")(tg.op.Spec((3, 1), tg.float32), tg.op.Spec((2,), tg.float32))
    (3, 2)
    """

    def shape(*specs: Spec, **attrs: Any) -> tuple[int, ...]:
        return broadcast(name, *(s.shape for s in specs))

    return shape


def dtype_named(dtype: Any) -> DType:
    """The dtype that the user means; DTypeError for a misspelt one or another library's."""
    try:
        return np.dtype(dtype)
    except TypeError:
        raise DTypeError(
            f"dtype {dtype!r} is not known; use 'float32', 'float64', 'int64', 'bool' or another "
            "of NumPy's"
        ) from None


def of_one_dtype(name: str, values: list[Any], own: Sequence[bool], only_floats: bool) -> list[Any]:
    """The inputs in one dtype, but for those that are not the op's `own`: masks, indices.

    Integers follow floats, or float32 if the op takes `only_floats`; Python numbers are weak; two
    floats must agree: else DTypeError in the name of op `name`.
    """
    pairs = zip(values, own, strict=True)
    dtypes = {v.dtype for v, mine in pairs if mine and isinstance(v, np.ndarray)}
    floats = {d for d in dtypes if d.kind == "f"}
    if len(floats) > 1:
        raise DTypeError(
            f"{name}: inputs are {' and '.join(sorted(map(str, floats)))}; "
            "convert one with .astype(...)"
        )
    weak = any(isinstance(v, float) for v, mine in zip(values, own, strict=True) if mine)
    target = next(iter(floats), None)
    if target is None and (only_floats or weak):
        target = np.dtype(np.float32)
    if target is None:
        return values
    return [
        v.astype(target) if mine and isinstance(v, np.ndarray) and v.dtype != target else v
        for v, mine in zip(values, own, strict=True)
    ]


def foreign(a: Any) -> bool:
    """Whether this is another library's array; what is no array at all, a kernel refuses."""
    return hasattr(a, "__dlpack__") and not isinstance(a, np.ndarray | np.generic)
