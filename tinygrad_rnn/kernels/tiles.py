"""The matrix micro-kernel: a tile of accumulators held in vector registers.

`tile_8` adds A B to 8 rows by two vectors of columns of C, with B packed in a
panel of that width: sixteen registers of sums, two loads and eight fused
multiply-adds a vector and step of k. LLVM vectors are built by hand, since no
loop that Numba compiles keeps the sums in registers. The vector is as wide as
the host's registers.
"""

import re
from collections.abc import Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import Signature
from numba.extending import intrinsic

from . import ground
from .views import compiled_by


def _lanes() -> int:
    features = llvmlite.binding.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8


LANES = _lanes()  # floats in one register
_INT = ir.IntType(64)
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ALIGN = ir.IntType(32)(4)
_VECTORS = 2  # a panel's width in registers
_INTEGERS = [
    types.uintp, types.int64, types.int64, types.uintp, types.uintp, types.int64, types.int64,
]  # fmt: skip


def _splat(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A vector of copies of one float."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, zeros)


def _load(builder: ir.IRBuilder, pointer: ir.Value, kind: ir.Type) -> ir.Value:
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = 4
    return value


def _masked(builder: ir.IRBuilder, name: str, kind: ir.Type, arguments: list[ir.Value]) -> ir.Value:
    """Call `llvm.masked.load` or `.store`, which leave the lanes beyond the mask alone."""
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(kind, [a.type for a in arguments]),
        f"llvm.masked.{name}.v{LANES}f32.p0",
    )
    return builder.call(function, arguments)


def _masks(builder: ir.IRBuilder, columns: ir.Value) -> list[ir.Value]:
    """For each vector of a row which lanes lie in the first `columns`."""
    wide = ir.VectorType(ir.IntType(32), LANES)
    undefined = ir.Constant(wide, ir.Undefined)
    count = builder.insert_element(
        undefined, builder.trunc(columns, ir.IntType(32)), ir.IntType(32)(0)
    )
    limit = builder.shuffle_vector(count, undefined, ir.Constant(wide, [0] * LANES))
    places = [ir.Constant(wide, [v * LANES + i for i in range(LANES)]) for v in range(_VECTORS)]
    return [builder.icmp_signed("<", p, limit) for p in places]


def _read(
    builder: ir.IRBuilder, tile: list[ir.Value], masks: list[ir.Value] | None
) -> list[ir.Value]:
    """The vectors at the places of a tile, 0 beyond the last column."""
    if masks is None:
        return [_load(builder, pointer, _VECTOR) for pointer in tile]
    rest = ir.Constant(_VECTOR, None)
    return [
        _masked(builder, "load", _VECTOR, [pointer, _ALIGN, masks[i % _VECTORS], rest])
        for i, pointer in enumerate(tile)
    ]


def _write(
    builder: ir.IRBuilder,
    tile: list[ir.Value],
    values: list[ir.Value],
    masks: list[ir.Value] | None,
) -> None:
    """Put vectors to the places of a tile, nothing beyond the last column."""
    for i, (pointer, value) in enumerate(zip(tile, values, strict=True)):
        if masks is None:
            builder.store(value, builder.bitcast(pointer, _VECTOR.as_pointer())).align = 4
        else:
            to = [value, pointer, _ALIGN, masks[i % _VECTORS]]
            _masked(builder, "store", ir.VoidType(), to)


def _emit(builder: ir.IRBuilder, rows: int, args: Sequence[ir.Value], limit: ir.Value) -> None:
    """Code for C[rows, 2 vectors] += A[rows, k] B[k, 2 vectors], k >= 1; `limit` columns of C."""
    a, across, along, b, c, ldc, k = args
    masks = None if limit is None else _masks(builder, limit)
    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )
    A, B, C = (builder.inttoptr(p, _FLOAT.as_pointer()) for p in (a, b, c))
    lines = [builder.gep(A, [builder.mul(across, _INT(r))]) for r in range(rows)]
    tile = [
        builder.gep(C, [builder.add(builder.mul(ldc, _INT(r)), _INT(v * LANES))])
        for r in range(rows)
        for v in range(_VECTORS)
    ]
    start = _read(builder, tile, masks)
    entry, loop = builder.block, builder.append_basic_block("k")
    done = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    j = builder.phi(_INT)
    j.add_incoming(_INT(0), entry)
    sums = [builder.phi(_VECTOR) for _ in range(rows * _VECTORS)]
    place = builder.mul(j, along)
    strip = builder.gep(B, [builder.mul(j, _INT(_VECTORS * LANES))])
    columns = [
        _load(builder, builder.gep(strip, [_INT(v * LANES)]), _VECTOR) for v in range(_VECTORS)
    ]
    after = []
    for r in range(rows):
        x = _splat(builder, _load(builder, builder.gep(lines[r], [place]), _FLOAT))
        for v in range(_VECTORS):
            after.append(builder.call(fma, [x, columns[v], sums[r * _VECTORS + v]]))
    following = builder.add(j, _INT(1))
    j.add_incoming(following, loop)
    for total, old, new in zip(sums, start, after, strict=True):
        total.add_incoming(old, entry)
        total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, k), loop, done)
    builder.position_at_end(done)
    _write(builder, tile, after, masks)


def _tile(rows: int) -> Any:
    @intrinsic
    def tile(
        typingctx: Any, a: Any, across: Any, along: Any, b: Any, c: Any, ldc: Any, k: Any
    ) -> Any:
        def codegen(
            context: BaseContext,
            builder: ir.IRBuilder,
            signature: Signature,
            args: Sequence[ir.Value],
        ) -> ir.Value:
            _emit(builder, rows, args, None)
            return context.get_dummy_value()

        return types.void(*_INTEGERS), codegen

    return tile


def _part(rows: int) -> Any:
    @intrinsic
    def part(
        typingctx: Any,
        a: Any,
        across: Any,
        along: Any,
        b: Any,
        c: Any,
        ldc: Any,
        k: Any,
        columns: Any,
    ) -> Any:
        def codegen(
            context: BaseContext,
            builder: ir.IRBuilder,
            signature: Signature,
            args: Sequence[ir.Value],
        ) -> ir.Value:
            _emit(builder, rows, args[:7], args[7])
            return context.get_dummy_value()

        return types.void(*_INTEGERS, types.int64), codegen

    return part


# tile_8(a, across, along, b, c, ldc, k): address of A, strides from row to row and along k,
# address of the panel, address of C, its stride from row to row, and the inner size
tile_8, tile_4, tile_1 = _tile(8), _tile(4), _tile(1)
# the same for a panel wider than what is left of C: only its first `columns` are touched
part_8, part_4, part_1 = _part(8), _part(4), _part(1)


@intrinsic
def copy_line(typingctx: Any, source: Any, target: Any) -> Any:
    """Copy one line of a panel, two vectors, from one address to another."""

    def codegen(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]
    ) -> ir.Value:
        a, b = (builder.inttoptr(p, _FLOAT.as_pointer()) for p in args)
        line = [_load(builder, builder.gep(a, [_INT(v * LANES)]), _VECTOR) for v in range(_VECTORS)]
        for v, value in enumerate(line):
            pointer = builder.bitcast(builder.gep(b, [_INT(v * LANES)]), _VECTOR.as_pointer())
            builder.store(value, pointer).align = 4
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), codegen


@intrinsic
def fetch(typingctx: Any, address: Any) -> Any:
    """Ask for the cache line at an address, which is going to be read, to come to the L2 cache."""

    def codegen(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]
    ) -> ir.Value:
        word, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, word, word, word]),
            "llvm.prefetch.p0",
        )
        builder.call(function, [builder.inttoptr(args[0], pointer), word(0), word(2), word(1)])
        return context.get_dummy_value()

    return types.void(types.uintp), codegen


# of an array A0's arguments, arg.A0.0 to .6, the pointer; arg.A0.5.4 is the size of a fifth axis
DATA = re.compile(r"arg\.A\d+\.4")


def _promises(typingctx: Any) -> Any:
    def codegen(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]
    ) -> ir.Value:
        if ground.holds("promises"):
            # not among the attributes that llvmlite knows by name
            set.add(builder.function.attributes, f'"prefer-vector-width"="{32 * LANES}"')
            for argument in builder.function.args:
                if DATA.fullmatch(argument.name):
                    argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), codegen


@compiled_by(_promises)
def free_hand() -> None:
    """Tell LLVM about the calling kernel: its arrays share no memory, registers are wide.

    Without the first every row starts with up to a hundred comparisons of addresses; left
    alone LLVM takes half of an AVX-512 register. Both kernels of an LSTM, B = 16 and
    H = 64: 22.2 us a step, 27.5 without.
    """
