"""Tensors of random numbers."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .creation import shape_of
from .errors import DTypeError
from .inputs import DType, dtype_named
from .ops.random import Generator, default_generator, draw, normal, uniform
from .tensors import Tensor


def _float(dtype: DTypeLike) -> DType:
    dtype = dtype_named(dtype)
    if dtype not in (np.float32, np.float64):
        raise DTypeError(f"random tensors are float32 or float64, got {dtype}")
    return dtype


def _drawn(
    op: Any, source: Generator | None, shape: Any, dtype: DTypeLike, requires_grad: bool
) -> Tensor:
    """Numbers through ops, so that a recorded function draws afresh at every call."""
    bits = draw(generator=source or default_generator)
    y = op(bits, shape=shape_of(shape), dtype=_float(dtype))
    y = y if isinstance(y, Tensor) else Tensor(y)
    if requires_grad:
        y.requires_grad = True
    return y


def rand(
    *shape: Any, dtype: DTypeLike = np.float32, generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Draw uniform numbers in [0, 1).

    >>> tg.rand(2, 3, generator=tg.Generator(0)).shape
    (2, 3)
    """
    return _drawn(uniform, generator, shape, dtype, requires_grad)


def randn(
    *shape: Any, dtype: DTypeLike = np.float32, generator: Generator | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Draw standard normal numbers.

    >>> tg.randn(2, 3, generator=tg.Generator(0)).shape
    (2, 3)
    """
    return _drawn(normal, generator, shape, dtype, requires_grad)
