"""BLAS' matrix product as compiled code calls it, adding to what is there: SciPy's own function."""

import functools
from collections.abc import Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing import Signature
from numba.extending import get_cython_function_address, intrinsic

_INT, _BYTE = ir.IntType(32), ir.IntType(8)
_POINTER = _BYTE.as_pointer()


def _symbol(letter: str) -> str:
    return f"tinygrad_rnn.{letter}gemm"


@functools.cache
def define() -> None:
    """Make the function known to compiled code: before that is compiled or read from disk."""
    for letter in "sd":
        address = get_cython_function_address("scipy.linalg.cython_blas", f"{letter}gemm")
        llvmlite.binding.add_symbol(_symbol(letter), address)


def _blas(turned: bool) -> Any:
    """C += A B, or A^T B if turned.

    np.dot can only overwrite: adding its result costs another pass over C.
    """

    @intrinsic
    def gemm(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        return types.void(a, b, c), lambda *args: _call_gemm(turned, *args)

    return gemm


def _call_gemm(
    turned: bool,
    context: BaseContext,
    builder: ir.IRBuilder,
    signature: Signature,
    args: Sequence[ir.Value],
) -> ir.Value:
    a, b, c = (
        context.make_array(t)(context, builder, value=v)
        for t, v in zip(signature.args, args, strict=True)
    )
    dtype = signature.args[0].dtype
    size = ir.IntType(64)(dtype.bitwidth // 8)

    def by_address(value: Any) -> Any:
        return builder.bitcast(cgutils.alloca_once_value(builder, value), _POINTER)

    def shape(m: Any) -> Any:
        return [builder.trunc(n, _INT) for n in cgutils.unpack_tuple(builder, m.shape)]

    def matrix(m: Any) -> list[Any]:
        """Its numbers, and how far apart its rows are: BLAS wants at least their length."""
        apart = builder.sdiv(cgutils.unpack_tuple(builder, m.strides)[0], size)
        apart, least = builder.trunc(apart, _INT), shape(m)[1]
        for n in (least, _INT(1)):
            apart = builder.select(builder.icmp_signed("<", apart, n), n, apart)
        return [builder.bitcast(m.data, _POINTER), by_address(apart)]

    (rows, k), n = shape(a), shape(b)[1]
    m, inner = (k, rows) if turned else (rows, k)
    letters = [by_address(_BYTE(ord(letter))) for letter in ("n", "t" if turned else "n")]
    one = by_address(context.get_constant(dtype, 1.0))
    # BLAS counts columns first: C^T = B^T A^T
    operands = [
        *letters, *map(by_address, (n, m, inner)), one, *matrix(b), *matrix(a), one, *matrix(c),
    ]  # fmt: skip
    kind = ir.FunctionType(ir.VoidType(), [_POINTER] * len(operands))
    letter = "s" if dtype == types.float32 else "d"
    builder.call(cgutils.get_or_insert_function(builder.module, kind, _symbol(letter)), operands)
    return context.get_dummy_value()


# add_gemm(a, b, c): c += a b; add_gemm_turned: c += a^T b; rows of all three contiguous
add_gemm, add_gemm_turned = _blas(False), _blas(True)
