"""The matrix micro-kernel: a tile of accumulators held in vector registers.

`tile_8` adds A B to 8 rows by two vectors of columns of C, with B packed in a
panel of that width: sixteen registers of sums, two loads and eight fused
multiply-adds a vector and step of k. LLVM vectors are built by hand, since no
loop that Numba compiles keeps the sums in registers. The vector is as wide as
the host's registers.
"""

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _lanes() -> int:
    features = llvmlite.binding.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8


LANES = _lanes()  # floats in one register
_INT = ir.IntType(64)
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_VECTORS = 2  # a panel's width in registers


def _splat(builder: Any, value: Any) -> Any:
    """A vector of copies of one float."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, zeros)


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = 4
    return value


def _emit(builder: Any, rows: int, args: Any) -> None:
    """Code for C[rows, 2 vectors] += A[rows, k] B[k, 2 vectors], k >= 1."""
    a, lda, b, c, ldc, k = args
    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )
    A, B, C = (builder.inttoptr(p, _FLOAT.as_pointer()) for p in (a, b, c))
    lines = [builder.gep(A, [builder.mul(lda, _INT(r))]) for r in range(rows)]
    tile = [
        builder.gep(C, [builder.add(builder.mul(ldc, _INT(r)), _INT(v * LANES))])
        for r in range(rows)
        for v in range(_VECTORS)
    ]
    start = [_load(builder, pointer, _VECTOR) for pointer in tile]
    entry, loop = builder.block, builder.append_basic_block("k")
    done = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    j = builder.phi(_INT)
    j.add_incoming(_INT(0), entry)
    sums = [builder.phi(_VECTOR) for _ in range(rows * _VECTORS)]
    strip = builder.gep(B, [builder.mul(j, _INT(_VECTORS * LANES))])
    columns = [
        _load(builder, builder.gep(strip, [_INT(v * LANES)]), _VECTOR) for v in range(_VECTORS)
    ]
    after = []
    for r in range(rows):
        x = _splat(builder, _load(builder, builder.gep(lines[r], [j]), _FLOAT))
        for v in range(_VECTORS):
            after.append(builder.call(fma, [x, columns[v], sums[r * _VECTORS + v]]))
    following = builder.add(j, _INT(1))
    j.add_incoming(following, loop)
    for total, old, new in zip(sums, start, after, strict=True):
        total.add_incoming(old, entry)
        total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, k), loop, done)
    builder.position_at_end(done)
    for pointer, total in zip(tile, after, strict=True):
        builder.store(total, builder.bitcast(pointer, _VECTOR.as_pointer())).align = 4


def _tile(rows: int) -> Any:
    @intrinsic
    def tile(typingctx: Any, a: Any, lda: Any, b: Any, c: Any, ldc: Any, k: Any) -> Any:
        integers = [types.uintp, types.int64, types.uintp, types.uintp, types.int64, types.int64]

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit(builder, rows, args)
            return context.get_dummy_value()

        return types.void(*integers), codegen

    return tile


tile_8, tile_4, tile_1 = _tile(8), _tile(4), _tile(1)
