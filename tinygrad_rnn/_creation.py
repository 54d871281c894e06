"""Making tensors: from values, constant, and random."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._tensor import Tensor, to_array
from .errors import DTypeError, ShapeError
from .ops.random import Generator, default_generator, draw, normal, uniform

Shape = int | Sequence[int]


def tensor(
    data: Any, dtype: Any = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Copy `data` into a Tensor; arrays keep their dtype, Python floats give float32.

    Raises ShapeError for ragged rows, DTypeError for values that are no numbers.

    >>> tensor([1.5, 2.5]).dtype
    dtype('float32')
    """
    return Tensor(to_array(data, dtype), requires_grad, name)


def _supported(dtype: Any) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype.kind not in "iub" and dtype not in (np.float32, np.float64):
        raise DTypeError(f"dtype {dtype} is not supported; use float32, float64, integers or bool")
    return dtype


def _float(dtype: Any) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise DTypeError(f"random tensors are float32 or float64, got {dtype}")
    return dtype


def _shape(shape: tuple[Any, ...]) -> tuple[int, ...]:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0 for n in sizes):
        raise ShapeError(f"a shape is made of whole numbers from 0, got {tuple(sizes)}")
    return tuple(int(n) for n in sizes)


def full(shape: Shape, value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a Tensor filled with one value."""
    sizes = _shape((shape,))
    if dtype is None:
        dtype = np.float32 if isinstance(value, float) else None
    return Tensor(np.full(sizes, value, dtype), requires_grad)


def zeros(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Make a Tensor of zeros: zeros(2, 3) or zeros((2, 3))."""
    return Tensor(np.zeros(_shape(shape), _supported(dtype)), requires_grad)


def ones(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Make a Tensor of ones."""
    return Tensor(np.ones(_shape(shape), _supported(dtype)), requires_grad)


def empty(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Make a Tensor whose values are not set."""
    return Tensor(np.empty(_shape(shape), _supported(dtype)), requires_grad)


def zeros_like(x: Any) -> Tensor:
    """Zeros with the shape and dtype of `x`."""
    return full_like(x, 0)


def ones_like(x: Any) -> Tensor:
    """Ones with the shape and dtype of `x`."""
    return full_like(x, 1)


def full_like(x: Any, value: float) -> Tensor:
    """One value with the shape and dtype of `x`."""
    like = x if isinstance(x, Tensor | np.ndarray) else to_array(x)
    return Tensor(np.full(like.shape, value, like.dtype))


def eye(n: int, m: int | None = None, dtype: Any = np.float32) -> Tensor:
    """Make the identity matrix of n rows and m (or n) columns."""
    return Tensor(np.eye(n, m, dtype=_supported(dtype)))


def arange(start: float, stop: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """Make the numbers from start (0 if one is given) up to stop, without it."""
    if stop is None:
        start, stop = 0, start
    return Tensor(to_array(np.arange(start, stop, step).tolist(), dtype))


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, dtype: Any = np.float32
) -> Tensor:
    """Make `num` numbers at equal distances from start to stop, with it or, by choice, without."""
    (n,) = _shape((num,))
    return Tensor(np.linspace(start, stop, n, endpoint=endpoint, dtype=_supported(dtype)))


def logspace(
    start: float, stop: float, num: int, base: float = 10.0, dtype: Any = np.float32
) -> Tensor:
    """Make `num` numbers in equal ratios from base^start to base^stop."""
    (n,) = _shape((num,))
    return Tensor(np.logspace(start, stop, n, base=base).astype(_supported(dtype)))


def _drawn(op: Any, source: Generator, shape: Any, dtype: Any) -> Tensor:
    """Numbers through ops, so that a recorded function draws afresh at every call."""
    y = op(draw(generator=source), shape=_shape(shape), dtype=_float(dtype))
    return y if isinstance(y, Tensor) else Tensor(y)


def rand(*shape: Any, dtype: Any = np.float32, generator: Generator | None = None) -> Tensor:
    """Draw uniform numbers in [0, 1)."""
    source = generator or default_generator
    return _drawn(uniform, source, shape, dtype)


def randn(*shape: Any, dtype: Any = np.float32, generator: Generator | None = None) -> Tensor:
    """Draw standard normal numbers."""
    source = generator or default_generator
    return _drawn(normal, source, shape, dtype)
