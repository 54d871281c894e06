"""Ops on the shape: reshape, transpose, broadcast and its inverse, join."""

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..op import Spec, primitive

__all__ = [
    "broadcast_to", "expand_dims", "permute_dims", "reshape", "squeeze", "stack", "sum_to",
    "swapaxes",
]  # fmt: skip


Axis = int | tuple[int, ...] | None  # one, several, or all


def one_axis(name: str, axis: Any, ndim: int) -> int:
    """Axis as a number from 0, or a ShapeError in the name of op `name`."""
    if not isinstance(axis, int | np.integer):
        raise ShapeError(f"{name}: axis must be an int, got {axis!r}")
    if not -ndim <= axis < ndim:
        raise out_of_range(name, axis, ndim)
    return int(axis) % ndim


def out_of_range(name: str, axis: Any, ndim: int) -> ShapeError:
    """The error for an axis that an array does not have."""
    if not ndim:
        return ShapeError(f"{name}: axis {axis} of a single value, which has no axes")
    return ShapeError(
        f"{name}: axis {axis} is out of range for an array of {ndim} axes; "
        f"use {-ndim} to {ndim - 1}"
    )


def _reshaped(x: Spec, *, shape: tuple[int, ...]) -> tuple[int, ...]:
    size = int(np.prod(x.shape, dtype=np.int64))
    known = int(np.prod([n for n in shape if n != -1], dtype=np.int64))
    wild = shape.count(-1)
    if wild > 1 or (wild and (known == 0 or size % known)) or (not wild and known != size):
        raise ShapeError(
            f"reshape: {x.shape} holds {size} values, which do not fill {shape}"
            + ("; only one size may be -1" if wild > 1 else "")
        )
    return tuple(size // known if n == -1 else n for n in shape)


@primitive(shape=_reshaped)
def reshape(x, *, shape):
    """Give the same values another shape, C order; one size may be -1.

    >>> tg.reshape(tg.arange(6), (2, -1)).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    return x.reshape(shape)


@reshape.vjp
def reshape_vjp(g, x_shape):
    return reshape(g, shape=x_shape)


def _permuted(x: Spec, *, axes: tuple[int, ...]) -> tuple[int, ...]:
    if sorted(a % x.ndim if x.ndim else a for a in axes) != list(range(x.ndim)):
        raise ShapeError(f"permute_dims: axes {axes} do not name each of {x.ndim} axes once")
    return tuple(x.shape[a] for a in axes)


@primitive(shape=_permuted)
def permute_dims(x, *, axes):
    """Reorder the axes: y.shape[k] = x.shape[axes[k]].

    >>> tg.permute_dims(tg.ones(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return x.transpose(axes)


@permute_dims.vjp
def permute_dims_vjp(g, *, axes):
    return permute_dims(g, axes=tuple(int(k) for k in np.argsort([a % g.ndim for a in axes])))


def _broadcast_to(x: Spec, *, shape: tuple[int, ...]) -> tuple[int, ...]:
    pairs = zip(x.shape[::-1], shape[::-1], strict=False)
    if x.ndim > len(shape) or any(m not in (1, n) for m, n in pairs):
        raise ShapeError(
            f"broadcast_to: {x.shape} does not broadcast to {shape}; counted from the "
            "right, each size must be equal or 1"
        )
    return shape


@primitive(shape=_broadcast_to)
def broadcast_to(x, *, shape):
    """Repeat along new axes and axes of size 1 until the shape fits.

    >>> tg.broadcast_to(tg.tensor([1, 2]), (3, 2)).tolist()
    [[1, 2], [1, 2], [1, 2]]
    """
    return np.broadcast_to(x, shape)


@broadcast_to.vjp
def broadcast_to_vjp(g, x_shape):
    return sum_to(g, shape=x_shape)


def _summed(x: Spec, *, shape: tuple[int, ...]) -> tuple[int, ...]:
    lead = x.ndim - len(shape)
    sizes = zip(shape, x.shape[max(lead, 0) :], strict=False)
    if lead < 0 or any(n != 1 and n != m for n, m in sizes):
        raise ShapeError(f"sum_to: nothing of shape {shape} broadcasts to {x.shape}")
    return shape


@primitive(shape=_summed)
def sum_to(x, *, shape):
    """Undo broadcasting: sum until `x` has `shape`.

    >>> tg.sum_to(tg.ones(5, 2, 3), (2, 1))
    tensor([[15.],
            [15.]], float32)
    """
    lead = x.ndim - len(shape)
    if x.shape[lead:] == shape:  # a bias, the commonest
        return np.add.reduce(x, axis=0 if lead == 1 else tuple(range(lead)))
    axes = tuple(k for k, n in enumerate(shape, lead) if n == 1 and x.shape[k] != 1)
    y = np.add.reduce(x, axis=tuple(range(lead)) + axes, keepdims=True)
    if y.shape[max(lead, 0) :] != shape:  # (3, 2) would be reshaped to (2, 3)
        raise ShapeError(f"sum_to: nothing of shape {shape} broadcasts to {x.shape}")
    return y.reshape(shape)


@sum_to.vjp
def sum_to_vjp(g, x_shape):
    return broadcast_to(g, shape=x_shape)


def _flipped(x: Spec, *, axis: int) -> tuple[int, ...]:
    one_axis("flip", axis, x.ndim)
    return x.shape


@primitive(shape=_flipped)
def flip(x, *, axis):
    """Reverse the order along one axis.

    >>> tg.flip(tg.tensor([[1, 2], [3, 4]]), axis=1).tolist()
    [[2, 1], [4, 3]]
    """
    return np.flip(x, one_axis("flip", axis, x.ndim))


@flip.vjp
def flip_vjp(g, *, axis):
    return flip(g, axis=axis)


def _concatenated(*xs: Spec, axis: int) -> tuple[int, ...]:
    if not xs:
        raise ShapeError("concat: no arrays to join")
    k = one_axis("concat", axis, xs[0].ndim)
    rests = {s.shape[:k] + s.shape[k + 1 :] for s in xs}
    if len({s.ndim for s in xs}) > 1 or len(rests) > 1:
        came = ", ".join(str(s.shape) for s in xs[:4])
        raise ShapeError(f"concat: all shapes must agree but for axis {axis}, got {came}")
    first = xs[0].shape
    return (*first[:k], int(np.sum([s.shape[k] for s in xs])), *first[k + 1 :])


@primitive(shape=_concatenated)
def concat(*xs, axis=0):
    """Join along an existing axis; all other sizes must agree.

    >>> tg.concat([tg.ones(2, 3), tg.zeros(1, 3)]).shape
    (3, 3)
    """
    return np.concatenate(xs, axis)


@concat.vjp
def concat_vjp(g, xs_shape, *, axis):
    k = one_axis("concat", axis, g.ndim)
    ends = np.cumsum([s[k] for s in xs_shape]).tolist()
    before = (slice(None),) * k
    return [g[(*before, slice(e - s[k], e))] for e, s in zip(ends, xs_shape, strict=True)]


def _stacked(*xs: Spec, axis: int) -> tuple[int, ...]:
    if not xs:
        raise ShapeError("stack: no arrays to join")
    if len({s.shape for s in xs}) > 1:
        came = ", ".join(sorted({str(s.shape) for s in xs})[:4])
        raise ShapeError(f"stack: all shapes must be equal, got {came}")
    k = one_axis("stack", axis, xs[0].ndim + 1)
    return (*xs[0].shape[:k], len(xs), *xs[0].shape[k:])


@primitive(shape=_stacked)
def stack(*xs, axis=0):
    """Join along a new axis; all shapes must be equal.

    >>> tg.stack([tg.ones(2), tg.zeros(2)]).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    if axis == 0 and xs:
        return np.array(xs)  # a hundred small ones in 15 us, 35 by np.stack
    return np.stack(xs, axis)


@stack.vjp
def stack_vjp(g, *, axis):
    k = one_axis("stack", axis, g.ndim)
    before = (slice(None),) * k
    return [g[(*before, t)] for t in range(g.shape[k])]


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes.

    >>> tg.swapaxes(tg.ones(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    axes = list(range(x.ndim))
    a, b = (one_axis("swapaxes", k, x.ndim) for k in (axis1, axis2))
    axes[a], axes[b] = b, a
    return permute_dims(x, axes=tuple(axes))


def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """Remove axes of size 1: those named, or all.

    >>> tg.squeeze(tg.ones(2, 1, 3), axis=1).shape
    (2, 3)
    """
    if axis is None:
        gone = {k for k, n in enumerate(x.shape) if n == 1}
    else:
        named = axis if isinstance(axis, tuple) else (axis,)
        gone = {one_axis("squeeze", a, x.ndim) for a in named}
        wide = [k for k in gone if x.shape[k] != 1]
        if wide:
            raise ShapeError(
                f"squeeze: axis {wide[0]} of {x.shape} has size {x.shape[wide[0]]}, not 1"
            )
    return reshape(x, shape=tuple(n for k, n in enumerate(x.shape) if k not in gone))


def expand_dims(x: Any, axis: int = 0) -> Any:
    """Insert an axis of size 1.

    >>> tg.expand_dims(tg.ones(2, 3), axis=1).shape
    (2, 1, 3)
    """
    k = one_axis("expand_dims", axis, x.ndim + 1)
    return reshape(x, shape=(*x.shape[:k], 1, *x.shape[k:]))
