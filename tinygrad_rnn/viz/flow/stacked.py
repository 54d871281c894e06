"""Many cotangents in one sweep: an array with one row for each seed, which rules take as one.

Gradient rules are written in ops, so a value that takes the ops over carries all seeds
through any rule: elementwise ops broadcast over the first axis, a handful of others shift
their axes by one, and whatever is left runs seed by seed.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import ops
from ...op import Array, Op, Traced
from ...ops.indexing import put_slices
from ...ops.reduce import axes_of
from ..graph.steps import row_of


class Cotangent(Traced):
    """What both kinds share: they take ops over, and NumPy leaves them alone."""

    __slots__ = ()
    __array_ufunc__ = None  # else `ndarray * Stacked` would go row by row

    def __apply_op__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        values = [a.whole() if isinstance(a, Rows) else a for a in args]
        if op is put_slices and all(row_of(key) is not None for key in attrs["keys"]):
            return Rows(values, attrs)
        first = min(a.first for a in values if isinstance(a, Stacked))
        end = max(a.end for a in values if isinstance(a, Stacked))
        lined = [_spread(a, first, end) if isinstance(a, Stacked) else a for a in values]
        if op.pointwise:
            return Stacked(_pointwise(op, lined, attrs), first)
        rule = RULES.get(op.name)
        found = rule(*lined, **attrs) if rule is not None else _one_by_one(op, lined, attrs)
        return Stacked(found, first)

    def __neg__(self) -> Any:
        return ops.neg(self)


def _operator(op: Op, reflected: bool = False) -> Any:
    if reflected:
        return lambda self, other: op(other, self)
    return lambda self, other: op(self, other)


for _name, _op in {
    "add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": ops.div, "matmul": ops.matmul,
}.items():  # fmt: skip
    setattr(Cotangent, f"__{_name}__", _operator(_op))
    setattr(Cotangent, f"__r{_name}__", _operator(_op, reflected=True))


class Stacked(Cotangent):
    """The cotangents of seeds `first`, `first + 1`, ...: all others are zero.

    `shape`, `ndim` and `dtype` are those of one cotangent.
    """

    __slots__ = ("array", "first")

    def __init__(self, array: Array, first: int):
        self.array, self.first = array, first

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape[1:]

    @property
    def ndim(self) -> int:
        return self.array.ndim - 1

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def mT(self) -> "Stacked":
        return Stacked(self.array.swapaxes(-1, -2), self.first)

    @property
    def end(self) -> int:
        """The seed after the last."""
        return self.first + len(self.array)

    def __len__(self) -> int:
        return self.array.shape[1]

    def __getitem__(self, key: Any) -> Any:
        return ops.index(self, key=key)


class Rows(Cotangent):
    """The cotangent of a series read step by step: pieces in rows, never all rows of all seeds.

    What made the series by stacking asks for its rows; anything else gets it whole.
    """

    __slots__ = ("attrs", "pieces")

    def __init__(self, pieces: Sequence[Any], attrs: dict[str, Any]):
        self.pieces, self.attrs = pieces, attrs

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.attrs["shape"]
        return shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> Any:
        return self.pieces[0].dtype

    def whole(self) -> Stacked:
        """With all rows, most of them zeros."""
        first, end = min(a.first for a in self.pieces), max(a.end for a in self.pieces)
        lined = [_spread(a, first, end) for a in self.pieces]
        return Stacked(_put_slices(*lined, **self.attrs), first)

    def __getitem__(self, key: Any) -> Any:
        row, keys = row_of(key), self.attrs["keys"]
        if row is None:
            return self.whole()[key]
        found = [p for p, k in zip(self.pieces, keys, strict=True) if row_of(k) == row]
        return functools.reduce(ops.add, found) if found else None


def _spread(a: Stacked, first: int, end: int) -> Stacked:
    """The same with rows for all of the seeds given, zeros where it has none."""
    if (a.first, a.end) == (first, end):
        return a
    array = np.zeros((end - first, *a.shape), a.dtype)
    array[a.first - first : a.end - first] = a.array
    return Stacked(array, first)


def _aligned(a: Any, ndim: int) -> Any:
    """An array whose first axis is that of the seeds, so that it broadcasts; others as they are."""
    if not isinstance(a, Stacked):
        return a
    n, *shape = a.array.shape
    return a.array.reshape(n, *[1] * (ndim - len(shape)), *shape)


def _pointwise(op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> Array:
    ndim = max(np.ndim(a) if not isinstance(a, Stacked) else a.ndim for a in args)
    return np.asarray(op(*[_aligned(a, ndim) for a in args], **attrs))


def _one_by_one(op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> Array:
    """Any op, a seed at a time: exact, and as slow as a sweep for each."""
    n = next(len(a.array) for a in args if isinstance(a, Stacked))
    rows = [
        op(*[a.array[k] if isinstance(a, Stacked) else a for a in args], **attrs) for k in range(n)
    ]
    return np.stack(rows)


def _matmul(a: Any, b: Any) -> Array:
    if min(a.ndim, b.ndim) < 2:
        return _one_by_one(ops.matmul, (a, b), {})
    if isinstance(a, Stacked) and not isinstance(b, Stacked) and b.ndim == 2:
        rows = np.ascontiguousarray(a.array).reshape(-1, a.shape[-1])  # one product for all
        return (rows @ b).reshape(*a.array.shape[:-1], b.shape[1])
    ndim = max(a.ndim, b.ndim)
    return np.matmul(_aligned(a, ndim), _aligned(b, ndim))


def _sum_of_products(*args: Any) -> Array:
    return np.add.reduce([_matmul(a.mT, b) for a, b in zip(args[0::2], args[1::2], strict=True)])


def _reshape(x: Stacked, shape: tuple[int, ...]) -> Array:
    return x.array.reshape(len(x.array), *shape)


def _permute_dims(x: Stacked, axes: tuple[int, ...]) -> Array:
    return x.array.transpose(0, *[a % x.ndim + 1 for a in axes])


def _broadcast_to(x: Stacked, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(_aligned(x, len(shape)), (len(x.array), *shape))


def _sum_to(x: Stacked, shape: tuple[int, ...]) -> Array:
    lead = x.ndim - len(shape)
    axes = [k for k, n in enumerate(shape, lead) if n == 1 and x.shape[k] != 1]
    over = tuple([k + 1 for k in (*range(lead), *axes)])
    return np.add.reduce(x.array, axis=over).reshape(len(x.array), *shape)


def _sum(x: Stacked, axis: Any, keepdims: bool) -> Array:
    over = tuple([k + 1 for k in axes_of("sum", axis, x.ndim)])
    return np.asarray(x.array.sum(axis=over, keepdims=keepdims))


def _key(key: Any) -> tuple[Any, ...]:
    return (slice(None), *key) if isinstance(key, tuple) else (slice(None), key)


def _index(x: Stacked, key: Any) -> Array:
    return x.array[_key(key)]


def _put_slices(*pieces: Stacked, keys: Sequence[Any], shape: tuple[int, ...]) -> Array:
    y = np.zeros((len(pieces[0].array), *shape), pieces[0].dtype)
    for x, key in zip(pieces, keys, strict=True):
        y[_key(key)] += x.array
    return y


RULES: dict[str, Callable[..., Array]] = {
    "matmul": _matmul, "sum_of_products": _sum_of_products, "reshape": _reshape,
    "permute_dims": _permute_dims, "broadcast_to": _broadcast_to, "sum_to": _sum_to, "sum": _sum,
    "index": _index, "put_slices": _put_slices,
}  # fmt: skip
