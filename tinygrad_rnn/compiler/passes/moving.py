"""Indices that move with the steps: x[t], x[t:t+k], x[t, t].

All that a loop's steps take of an array is brought into one with the steps first, of which
each step then takes its own part: a view for x[t], a copy for windows and diagonals.
"""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from ... import rolling
from ...ops.indexing import full_key
from ...ops.pick import pick
from ..capture import Symbol, Tape, trace
from ..ir import Value


def split_key(key: Any, shape: tuple[int, ...]) -> tuple[Hashable, tuple[rolling.Operand, ...]]:
    """What must be equal in a key from step to step, and the places in it that may move."""
    fixed: list[Hashable] = []
    places: list[rolling.Operand] = []
    axis = 0
    for part in full_key(key, len(shape)):
        if isinstance(part, int):
            fixed.append("int")
            places.append(rolling.Place(part % shape[axis]))
        elif _slides(part):
            start, stop, step = part.indices(shape[axis])
            fixed.append(("slice", max(0, stop - start), step))
            places.append(rolling.Span(start))
        else:
            fixed.append(None if part is None else ("slice", part.start, part.stop, part.step))
        axis += part is not None
    return tuple(fixed), tuple(places)


def _slides(part: Any) -> bool:
    """Whether it is a slice that may move: one with both its ends, by steps of one."""
    return isinstance(part, slice) and part != slice(None) and part.step in (None, 1)


class Moved(NamedTuple):
    """An array of which step k takes row start + stride * k, and the key for the rest of it."""

    source: Value
    start: int
    stride: int
    rest: tuple[Any, ...]


def moved(
    source: Value, key: Any, kinds: list[Any], count: int, emit: Callable[..., Value], items: Any
) -> Moved:
    """How steps take their parts of `source`; what must be made before them goes to `items`."""
    parts = list(full_key(key, source.ndim))
    places = [k for k, p in enumerate(parts) if isinstance(p, int) or _slides(p)]
    pairs = [(k, kind) for k, kind in zip(places, kinds, strict=True) if moves(kind)]
    axes = [k - parts[:k].count(None) for k, _ in pairs]
    (at, kind), axis = pairs[0], axes[0]
    if isinstance(kind, rolling.Sliding):
        first, stop, _ = parts[at].indices(source.shape[axis])
        parts[at] = slice(None)
        whole = emit("windows", source, axis=axis, start=kind.start, stride=kind.stride,
                     length=stop - first, count=count)  # fmt: skip
        return Moved(whole, 0, 1, _rest(parts))
    rest = _rest([p for k, p in enumerate(parts) if k not in dict(pairs)])
    if len(pairs) > 1:
        return Moved(_diagonal(source, axes, [k for _, k in pairs], count, emit, items), 0, 1, rest)
    if axis:
        order = (axis, *(k for k in range(source.ndim) if k != axis))
        source = emit("permute_dims", source, axes=order)
    return Moved(source, kind.start, kind.stride, rest)


def moves(kind: Any) -> bool:
    """Whether it is a place that moves."""
    return isinstance(kind, rolling.Moving | rolling.Sliding) and bool(kind.stride)


def _rest(parts: list[Any]) -> tuple[Any, ...]:
    """A key; () if it takes all: the call keeps its place, as an alias that goes later."""
    return () if all(p == slice(None) for p in parts) else tuple(parts)


def _diagonal(
    source: Value, axes: list[int], kinds: list[Any], count: int, emit: Any, items: Any
) -> Value:
    """x[t, t] for all steps: picked by index arrays, the steps' axis brought to the front."""
    tape = Tape(needs_grad=False)
    tape.instrs = items
    key: list[Any] = [slice(None)] * source.ndim
    for axis, kind in zip(axes, kinds, strict=True):
        numbers = tuple([kind.start + kind.stride * k for k in range(count)])
        table = emit("constant", values=numbers, dtype=np.dtype(np.int64))
        key[axis] = Symbol(table, tape)
    y: Value = trace(tape, pick, Symbol(source, tape), tuple(key)).value
    together = axes == list(range(axes[0], axes[-1] + 1))
    if together and axes[0]:
        order = (axes[0], *(k for k in range(y.ndim) if k != axes[0]))
        y = emit("permute_dims", y, axes=order)
    return y
