"""Reductions over axes: sum, max, min, logsumexp, cumsum, norm, and their inverse.

`axis` is None (all), a number or a tuple, negative counted from the end. Ties of
max and min share the gradient equally, as in `torch.amax`.
"""

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..inputs import DType
from ..kernels import rows
from ..op import Spec, Traced, primitive
from .indexing import index
from .logic import astype, eq, where
from .powers import exp, sqrt, square
from .shape import (
    Axis,
    broadcast_to,
    concat,
    flip,
    one_axis,
    out_of_range,
    permute_dims,
    reshape,
    stack,
)

__all__ = ["logsumexp", "mean", "norm", "std", "var"]


def axes_of(name: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """Sorted axes without repeats, all in range; ShapeError in the name of op `name`."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    for a in axes:
        if not isinstance(a, int | np.integer):
            raise ShapeError(f"{name}: axis must be an int, a tuple of ints or None, got {axis!r}")
        if not -ndim <= a < ndim:
            raise out_of_range(name, a, ndim)
    positive = sorted({int(a) % ndim for a in axes})
    if len(positive) != len(axes):
        raise ShapeError(f"{name}: axis {axis!r} names an axis twice")
    return tuple(positive)


def _kept(name: str, shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    axes = axes_of(name, axis, len(shape))
    return tuple(1 if k in axes else n for k, n in enumerate(shape))


def reduced(name: str, empty: bool = True) -> Any:
    """The shape rule of a reduction; `empty` says whether nothing may be reduced."""

    def shape(x: Spec, *, axis: Axis, keepdims: bool) -> tuple[int, ...]:
        axes = axes_of(name, axis, x.ndim)
        if not empty and 0 in (x.shape[k] for k in axes):
            raise ShapeError(f"{name}: no value to choose from along axis {axis} of {x.shape}")
        if keepdims:
            return _kept(name, x.shape, axis)
        return tuple(n for k, n in enumerate(x.shape) if k not in axes)

    return shape


def over(name: str, x: Any, axis: Axis) -> Any:
    """The axis, looked at where NumPy does not: it takes axis 0 of a single value."""
    return axis if np.ndim(x) else axes_of(name, axis, 0)


def spread(g: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """Bring a reduced array back to `shape` by repeating it along `axis`."""
    return broadcast_to(reshape(g, shape=_kept("spread", shape, axis)), shape=shape)


def accumulated(dtype: DType) -> DType:
    """The dtype in which NumPy adds up: whole numbers and booleans in 64 bits."""
    return np.add.reduce(np.ones(1, dtype)).dtype


@primitive(shape=reduced("sum"), dtype=accumulated)
def sum(x, *, axis=None, keepdims=False):
    """Sum over `axis`; NumPy's pairwise summation.

    >>> tg.sum(tg.tensor([[1, 2], [3, 4]]), axis=1, keepdims=True).tolist()
    [[3], [7]]
    """
    return np.add.reduce(x, axis=over("sum", x, axis), keepdims=keepdims)


@sum.vjp
def sum_vjp(g, x_shape, *, axis):
    return spread(g, x_shape, axis)


@primitive(shape=reduced("max", empty=False))
def max(x, *, axis=None, keepdims=False):
    """Largest value over `axis`; NaN if one is there, ties share the gradient.

    >>> tg.max(tg.tensor([[1, 4], [3, 2]]), axis=1).tolist()
    [4, 3]
    """
    return np.max(x, axis=over("max", x, axis), keepdims=keepdims)


def _chosen(g: Any, y: Any, x: Any, axis: Axis) -> Any:
    """The gradient of a value chosen from many; 0 / 0, so NaN, where NaN was one of them."""
    hit = astype(eq(x, spread(y, x.shape, axis)), dtype=g.dtype)
    return spread(g, x.shape, axis) * (hit / sum(hit, axis=axis, keepdims=True))


@max.vjp
def max_vjp(g, y, x, *, axis):
    return _chosen(g, y, x, axis)


@primitive(shape=reduced("min", empty=False))
def min(x, *, axis=None, keepdims=False):
    """Smallest value over `axis`; NaN if one is there, ties share the gradient."""
    return np.min(x, axis=over("min", x, axis), keepdims=keepdims)


@min.vjp
def min_vjp(g, y, x, *, axis):
    return _chosen(g, y, x, axis)


def to_rows(x: Any, axis: tuple[int, ...]) -> tuple[Any, Any]:
    """C-ordered (n, k) rows of the values along `axis`, and x's shape without it."""
    x = np.asarray(x)
    rest = tuple(k for k in range(x.ndim) if k not in axis)
    k = int(np.prod([x.shape[a] for a in axis], dtype=np.int64))
    outer = tuple(x.shape[a] for a in rest)
    n = int(np.prod(outer, dtype=np.int64))
    return np.require(x.transpose(rest + axis).reshape(n, k), requirements=["C", "W"]), outer


@primitive(shape=reduced("logsumexp"), floats=True)
def logsumexp(x, *, axis=None, keepdims=False):
    """log sum e^x over `axis`, shifted by the maximum so that nothing overflows.

    >>> tg.logsumexp(tg.tensor([1000.0, 1000.0]))
    tensor(1000.693, float32)
    """
    axes = axes_of("logsumexp", axis, x.ndim)
    table, outer = to_rows(x, axes)
    y = np.full(len(table), -np.inf, x.dtype)
    if table.shape[1]:
        rows.logsumexp(table, y)
    return y.reshape(_kept("logsumexp", x.shape, axis) if keepdims else outer)


@logsumexp.vjp
def logsumexp_vjp(g, y, x, *, axis):
    return spread(g, x.shape, axis) * exp(x - spread(y, x.shape, axis))


def _cumsum_shape(x: Spec, *, axis: Axis) -> tuple[int, ...]:
    one_axis("cumsum", axis, x.ndim)
    return x.shape


@primitive(shape=_cumsum_shape, dtype=accumulated)
def cumsum(x, *, axis):
    """Running sum along one axis.

    >>> tg.cumsum(tg.tensor([[1, 2], [3, 4]]), axis=0).tolist()
    [[1, 2], [4, 6]]
    """
    return np.cumsum(x, axis=one_axis("cumsum", axis, x.ndim))


@cumsum.vjp
def cumsum_vjp(g, *, axis):
    return flip(cumsum(flip(g, axis=axis), axis=axis), axis=axis)


@primitive(shape=reduced("norm"), floats=True)
def norm(x, *, axis=None, keepdims=False):
    """Euclidean norm over `axis`; the subgradient at 0 is 0.

    >>> tg.norm(tg.tensor([[3.0, 4.0], [0.0, 2.0]]), axis=1).tolist()
    [5.0, 2.0]
    """
    axis = over("norm", x, axis)
    return np.sqrt(np.add.reduce(np.square(x), axis=axis, keepdims=keepdims))


@norm.vjp
def norm_vjp(g, y, x, *, axis):
    return spread(g / where(y == 0, 1, y), x.shape, axis) * x  # 0 where all of x is


def count(name: str, shape: tuple[int, ...], axis: Axis) -> int:
    """How many values a reduction over `axis` takes together."""
    return int(np.prod([shape[k] for k in axes_of(name, axis, len(shape))], dtype=np.int64))


def _array(x: Any) -> Any:
    """Lists as arrays, as `sum` takes them; of tensors they are stacked."""
    if not isinstance(x, list | tuple):
        return x
    return stack(*x, axis=0) if any(isinstance(v, Traced) for v in x) else np.asarray(x)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Arithmetic mean over `axis`; NaN where there is nothing to average.

    >>> tg.mean(tg.tensor([[1.0, 3.0], [5.0, 7.0]]), axis=0).tolist()
    [3.0, 5.0]
    """
    x = _array(x)
    n = count("mean", x.shape, axis)
    return sum(x, axis=axis, keepdims=keepdims) / (float(n) if n else float("nan"))


def var(x: Any, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Variance over `axis`: sum (x - mean)^2 / (n - correction).

    The array API's default, correction 0; PyTorch's is 1.

    >>> tg.var(tg.tensor([1.0, 3.0])).item(), tg.var(tg.tensor([1.0, 3.0]), correction=1).item()
    (1.0, 2.0)
    """
    x = _array(x)
    n = count("var", x.shape, axis) - correction
    centred = x - mean(x, axis=axis, keepdims=True)
    total = sum(square(centred), axis=axis, keepdims=keepdims)
    return total / (float(n) if n > 0 else float("nan"))


def std(x: Any, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Standard deviation over `axis`: the root of `var`; the subgradient at 0 is 0.

    >>> tg.std(tg.tensor([1.0, 3.0])).item()
    1.0
    """
    v = var(x, axis=axis, correction=correction, keepdims=keepdims)
    zero = eq(v, 0)
    return where(zero, 0, sqrt(where(zero, 1, v)))


def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Product over `axis`, in pairs of pairs; gradients are right where factors are 0, too.

    >>> tg.prod(tg.tensor([[1, 2], [3, 4]]), axis=1).tolist()
    [2, 12]
    """
    axes = axes_of("prod", axis, x.ndim)
    rest = tuple(k for k in range(x.ndim) if k not in axes)
    n, outer = count("prod", x.shape, axis), tuple(x.shape[k] for k in rest)
    y = reshape(permute_dims(_widened(x), axes=axes + rest), shape=(n, *outer))
    while n > 1:
        half, odd = n // 2, n % 2
        pairs = _cut(y, 0, half) * _cut(y, half, 2 * half)
        y, n = (concat(pairs, _cut(y, n - 1, n)) if odd else pairs), half + odd
    shape = _kept("prod", x.shape, axis) if keepdims else outer
    return reshape(y if n else sum(y, axis=0) + 1, shape=shape)  # of nothing it is 1


def cumprod(x: Any, axis: int) -> Any:
    """Running product along one axis, in log2(n) rounds; gradients are right at 0, too.

    >>> tg.cumprod(tg.tensor([1, 2, 3]), axis=0).tolist()
    [1, 2, 6]
    """
    k = one_axis("cumprod", axis, x.ndim)
    order = (k, *[a for a in range(x.ndim) if a != k])
    y, n, reach = permute_dims(_widened(x), axes=order), x.shape[k], 1
    while reach < n:
        y = concat(_cut(y, 0, reach), _cut(y, reach, n) * _cut(y, 0, n - reach))
        reach *= 2
    return permute_dims(y, axes=tuple(np.argsort(order).tolist()))


def _cut(x: Any, start: int, stop: int) -> Any:
    return index(x, key=(slice(start, stop),))


def _widened(x: Any) -> Any:
    """Whole numbers as wide as sums of them are, as NumPy has it."""
    wide = np.add.reduce(np.ones(1, x.dtype)).dtype
    return x if x.dtype == wide else astype(x, dtype=wide)
