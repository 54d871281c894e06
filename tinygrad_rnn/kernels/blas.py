"""BLAS' matrix product as compiled code calls it, adding to what is there."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _blas(turned: bool) -> Any:
    """C += A B, or A^T B if turned, through the BLAS that Numba's np.dot calls.

    np.dot can only overwrite: adding its result costs another pass over C.
    """

    @intrinsic
    def gemm(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        return types.void(a, b, c), lambda *args: _call_gemm(turned, *args)

    return gemm


def _call_gemm(turned: bool, context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind, pointer, integer = ir.IntType(8), ir.IntType(8).as_pointer(), ir.IntType(64)
    numbers, matrix = [integer] * 3, [pointer, integer]
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(
            ir.IntType(32), [kind] * 3 + numbers + [pointer] + matrix * 2 + [pointer] + matrix
        ),
        "numba_xxgemm",
    )
    a, b, c = (
        context.make_array(t)(context, builder, value=v)
        for t, v in zip(signature.args, args, strict=True)
    )
    dtype = signature.args[0].dtype
    one = cgutils.alloca_once_value(builder, context.get_constant(dtype, 1.0))
    a_p, b_p, c_p, one = (builder.bitcast(p, pointer) for p in (a.data, b.data, c.data, one))
    rows, k = cgutils.unpack_tuple(builder, a.shape)
    size = integer(dtype.bitwidth // 8)
    lda, ldb, ldc = (
        builder.sdiv(cgutils.unpack_tuple(builder, m.strides)[0], size) for m in (a, b, c)
    )
    n = cgutils.unpack_tuple(builder, b.shape)[1]
    m, inner = (k, rows) if turned else (rows, k)
    letters = [
        ord("s" if dtype == types.float32 else "d"), ord("n"), ord("t" if turned else "n"),
    ]  # fmt: skip
    # BLAS counts columns first: C^T = B^T A^T
    sizes = [n, m, inner]
    operands = [one, b_p, ldb, a_p, lda, one, c_p, ldc]
    builder.call(function, [*map(kind, letters), *sizes, *operands])
    return context.get_dummy_value()


# add_gemm(a, b, c): c += a b; add_gemm_turned: c += a^T b; rows of all three in one piece
add_gemm, add_gemm_turned = _blas(False), _blas(True)
