"""Ops that no user calls: what passes put before a loop for all of its steps at once."""

from typing import Any

import numpy as np

from ..op import OPS, primitive
from ..ops.random import Generator


@primitive(shape=lambda *, generators, count, **_: (count, len(generators), 2), dtype=np.uint64)  # type: ignore[untyped-decorator]
def draws(*, generators: tuple[Generator, ...], count: int, reverse: bool) -> Any:
    """Number the draws of a whole loop, in the order in which its steps make them."""
    keys = np.array([[g.key() for g in generators] for _ in range(count)], np.uint64)
    keys = keys.reshape(count, len(generators), 2)
    return keys[::-1].copy() if reverse else keys


@primitive(shape=lambda *, values, dtype: (len(values),))  # type: ignore[untyped-decorator]
def literal(*, values: tuple[Any, ...], dtype: Any) -> Any:
    """An array of given numbers."""
    return np.array(values, dtype)


@primitive(shape=lambda keys, *, shape, **_: (keys.shape[0], *shape), free=["keys"])  # type: ignore[untyped-decorator]
def drawn(keys: Any, *, op: str, place: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """The numbers of one draw a step: y[t] = op(keys[t, place])."""
    y = np.empty((len(keys), *shape), dtype)
    for t, row in enumerate(keys):
        y[t] = OPS[op].kernel(row[place], shape=shape, dtype=dtype)
    return y


@primitive(
    shape=lambda x, *, axis, length, count, **_: (
        (count, *x.shape[:axis], length, *x.shape[axis + 1 :])
    )
)  # type: ignore[untyped-decorator]
def windows(x: Any, *, axis: int, start: int, stride: int, length: int, count: int) -> Any:
    """Slices of `length` along an axis, one a step: y[k] = x[start + stride k : ... + length]."""
    before = (slice(None),) * axis
    starts = [start + stride * k for k in range(count)]
    return np.array([x[(*before, slice(t, t + length))] for t in starts])


@windows.vjp  # type: ignore[untyped-decorator]
def windows_vjp(
    g: Any, x_shape: Any, *, axis: int, start: int, stride: int, length: int, count: int
) -> Any:
    return put_windows(
        g, axis=axis, start=start, stride=stride, length=length, count=count, shape=x_shape
    )


@primitive(shape=lambda x, *, shape, **_: shape)  # type: ignore[untyped-decorator]
def put_windows(
    x: Any, *, axis: int, start: int, stride: int, length: int, count: int, shape: Any
) -> Any:
    """Zeros of `shape` with x[k] added where `windows` found it: windows that overlap add up.

    By place within the window: at one place no two windows meet.
    """
    y = np.zeros(shape, x.dtype)
    before = (slice(None),) * axis
    for j in range(length):
        at = start + j + stride * np.arange(count)
        to: tuple[Any, ...] = (*before, at)
        y[to] += np.moveaxis(x[(slice(None), *before, j)], 0, axis)
    return y
