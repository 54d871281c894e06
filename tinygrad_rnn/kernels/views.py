"""Parts of arrays, as generated kernels take them: a step, a shard's rows, one row.

Numba's own slices clamp every bound and count references, 60 to 200 lines of LLVM's
language each: an LSTM's backward was 16,600 lines so, and compiled twice as long. These
trust their bounds, and are a pointer and sizes; no reference is held, since a kernel's
arguments live as long as its call. Under NUMBA_BOUNDSCHECK they check every bound, negative
ones too, and rows stay arrays, whose every number Numba then checks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.datamodel import default_manager
from numba.core.typing import Signature
from numba.extending import intrinsic

from .flags import CHECKED, DISABLED

Array = np.ndarray[Any, Any]
_WORD = ir.IntType(64)
# places in Numba's record of an array, by the names of its fields
_FIELDS = ("meminfo", "parent", "nitems", "itemsize", "data", "shape", "strides")
_PLACES = [default_manager[types.float32[::1]].get_field_position(name) for name in _FIELDS]
_DATA, _SHAPE, _STRIDES = _PLACES[-3:]


def _check(
    context: BaseContext,
    builder: ir.IRBuilder,
    array: ir.Value,
    index: Sequence[ir.Value],
    ends: int = 0,
) -> None:
    """IndexError in the kernel for an index outside its axis, `ends` of which may be its end."""
    for axis, i in enumerate(index if CHECKED else ()):
        size = builder.extract_value(array, [_SHAPE, axis])
        if axis >= len(index) - ends:
            size = builder.add(size, _WORD(1))
        cgutils.do_boundscheck(context, builder, i, size, axis)


def _moved(builder: ir.IRBuilder, array: ir.Value, index: Sequence[ir.Value]) -> ir.Value:
    """Pointer to the numbers at the start of the axes, by their strides."""
    data = builder.extract_value(array, _DATA)
    place = builder.bitcast(data, ir.IntType(8).as_pointer())
    for axis, i in enumerate(index):
        stride = builder.extract_value(array, [_STRIDES, axis])
        place = builder.gep(place, [builder.mul(i, stride)])
    return builder.bitcast(place, data.type)


def _array(
    context: BaseContext,
    builder: ir.IRBuilder,
    kind: Any,
    data: ir.Value,
    shape: Sequence[ir.Value],
    strides: Sequence[ir.Value],
) -> ir.Value:
    """Record of an array that owns nothing."""
    record = ir.Constant(context.get_value_type(kind), ir.Undefined)
    nothing = ir.Constant(ir.IntType(8).as_pointer(), None)
    items = _WORD(1)
    for n in shape:
        items = builder.mul(items, n)
    size = _itemsize(context, kind)
    for place, part in zip(_PLACES, (nothing, nothing, items, size, data), strict=False):
        record = builder.insert_value(record, part, place)
    for axis, (n, stride) in enumerate(zip(shape, strides, strict=True)):
        record = builder.insert_value(record, n, [_SHAPE, axis])
        record = builder.insert_value(record, stride, [_STRIDES, axis])
    return record


def _itemsize(context: BaseContext, kind: Any) -> Any:
    return _WORD(context.get_abi_sizeof(context.get_data_type(kind.dtype)))


def _row_by_row(
    context: BaseContext, builder: ir.IRBuilder, kind: ir.Type, columns: ir.Value
) -> list[ir.Value]:
    """Strides of contiguous rows: the array's own say nothing where an axis has size 1.

    (4, 1, 3) cut out of (1, 4, 3) is contiguous with strides (24, 96, 8).
    """
    size = _itemsize(context, kind)
    return [builder.mul(columns, size), size]


def _axes(builder: ir.IRBuilder, array: ir.Value, rank: int) -> tuple[list[Any], list[Any]]:
    """Shape and strides."""
    shape = [builder.extract_value(array, [_SHAPE, k]) for k in range(rank)]
    return shape, [builder.extract_value(array, [_STRIDES, k]) for k in range(rank)]


def as_matrix(context: BaseContext, builder: ir.IRBuilder, given: Any, array: ir.Value) -> ir.Value:
    """Record of an array of any rank as a matrix, all axes but the last in one."""
    shape, strides = _axes(builder, array, given.ndim)
    if given.ndim == 1:
        shape, strides = [_WORD(1), *shape], [builder.mul(*shape, *strides), *strides]
    if given.ndim > 2:
        strides = _row_by_row(context, builder, given, shape[-1])
    while len(shape) > 2:
        shape = [builder.mul(*shape[:2]), *shape[2:]]
    data = builder.extract_value(array, _DATA)
    return _array(context, builder, given.copy(ndim=2), data, shape, strides)


def _at(typingctx: Any, A: Any, t: Any) -> Any:
    target = A.copy(ndim=A.ndim - 1)

    def codegen(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]
    ) -> ir.Value:
        shape, strides = _axes(builder, args[0], A.ndim)
        _check(context, builder, args[0], args[1:])
        data = _moved(builder, args[0], args[1:])
        return _array(context, builder, target, data, shape[1:], strides[1:])

    return target(A, types.int64), codegen


def _part(typingctx: Any, A: Any, t: Any, b0: Any, b1: Any) -> Any:
    target = A.copy(ndim=A.ndim - 1)

    def codegen(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]
    ) -> ir.Value:
        array, t, b0, b1 = args
        shape, strides = _axes(builder, array, A.ndim)
        _check(context, builder, array, [t, b0], ends=1)
        _check(context, builder, array, [t, b1], ends=1)
        data = _moved(builder, array, [t, b0])
        shape = [builder.sub(b1, b0), *shape[2:]]
        return _array(context, builder, target, data, shape, strides[1:])

    return target(A, types.int64, types.int64, types.int64), codegen


def _span(typingctx: Any, A: Any, first: Any, stop: Any) -> Any:
    if A.layout != "C":
        return None
    target = A.copy(ndim=2)

    def codegen(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]
    ) -> ir.Value:
        array, first, stop = args
        shape, _ = _axes(builder, array, A.ndim)
        _check(context, builder, array, [first], ends=1)
        _check(context, builder, array, [stop], ends=1)
        rows = builder.sub(stop, first)
        for n in shape[1:-1]:
            rows = builder.mul(rows, n)
        data = _moved(builder, array, [first])
        strides = _row_by_row(context, builder, A, shape[-1])
        return _array(context, builder, target, data, [rows, shape[-1]], strides)

    return target(A, types.int64, types.int64), codegen


def _pointer(trust: bool) -> Any:
    """How a row is taken: by a pointer if it is contiguous, which `trust` takes for granted."""

    def row(typingctx: Any, x: Any, index: Any) -> Any:
        places = types.UniTuple(types.int64, x.ndim - 1) if x.ndim > 1 else index
        plain = (trust or x.layout == "C") and x.dtype != types.boolean  # a pointer has no bits
        plain = plain and not CHECKED
        target = types.CPointer(x.dtype) if plain else x.copy(ndim=1)

        def codegen(
            context: BaseContext,
            builder: ir.IRBuilder,
            signature: Signature,
            args: Sequence[ir.Value],
        ) -> ir.Value:
            array, index = args
            at = [builder.extract_value(index, k) for k in range(x.ndim - 1)]
            _check(context, builder, array, at)
            data = _moved(builder, array, at)
            if plain:
                return data
            shape, strides = _axes(builder, array, x.ndim)
            return _array(context, builder, target, data, shape[-1:], strides[-1:])

        return target(x, places), codegen

    return row


def _cut(typingctx: Any, x: Any, start: Any) -> Any:
    def codegen(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]
    ) -> ir.Value:
        if isinstance(x, types.CPointer):
            return builder.gep(args[0], [args[1]])
        shape, strides = _axes(builder, args[0], 1)
        _check(context, builder, args[0], args[1:], ends=1)
        shape = [builder.sub(shape[0], args[1])]
        return _array(context, builder, x, _moved(builder, args[0], [args[1]]), shape, strides)

    return x(x, types.int64), codegen


def compiled_by(typing: Any) -> Any:
    """Decorate a Python function with what a compiled call of it becomes."""
    return lambda plain: plain if DISABLED else intrinsic(typing)


@compiled_by(_at)
def at(A: Array, t: int) -> Any:
    """A[t], A of rank 2 or more."""
    return A[t]


@compiled_by(_part)
def part(A: Array, t: int, b0: int, b1: int) -> Any:
    """A[t, b0:b1]."""
    return A[t, b0:b1]


@compiled_by(_span)
def span(A: Array, first: int, stop: int) -> Any:
    """A[first:stop] as a matrix, all axes but the last in one."""
    return A[first:stop].reshape(-1, A.shape[-1])


@compiled_by(_pointer(trust=False))
def row(x: Array, index: tuple[int, ...]) -> Any:
    """The row x[index]: a pointer if x is contiguous, else an array."""
    return x[index]


@compiled_by(_pointer(trust=True))
def line(x: Array, index: tuple[int, ...]) -> Any:
    """Pointer to the row x[index], which is known to be contiguous."""
    return x[index]


@compiled_by(_cut)
def cut(x: Any, start: int) -> Any:
    """What is left of a row from `start` on."""
    return x[start:]
