"""Matrix products that a compiled loop calls at each step: `out += a @ W`, `out += a^T b`.

A weight is packed once into panels (`pack`), which every step re-uses; the tiles
of `tiles.py` run on them. Float64, and everything where Numba is switched off,
goes through BLAS on the same panels, then one plain matrix.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from ._jit import DISABLED, jit
from .tiles import LANES, tile_1, tile_4, tile_8

Array = np.ndarray[Any, Any]
WIDTH = 2 * LANES  # columns of a panel
STRIP = 256  # rows of a panel that are used at a time: 32 KiB, what the L1 cache holds


def panel_shape(rows: int, columns: int, dtype: Any) -> tuple[int, int, int]:
    """Shape of the panels of a (rows, columns) matrix, padded to whole panels."""
    if DISABLED or np.dtype(dtype) != np.float32:
        return (1, rows, columns)
    return (-(-columns // WIDTH), rows, WIDTH)


@jit
def pack(W: Array, turned: bool, panels: Array) -> None:
    """Cut W, or W.T if turned, into panels; missing columns of the last one are 0."""
    strips, rows, width = panels.shape
    columns = W.shape[0] if turned else W.shape[1]
    for p in range(strips):
        for c in range(width):
            column = p * width + c
            if column >= columns:
                for j in range(rows):
                    panels[p, j, c] = 0
            elif turned:
                line = W[column]
                for j in range(rows):
                    panels[p, j, c] = line[j]
        if not turned:
            whole = min(width, columns - p * width)
            for j in range(rows):
                line, panel = W[j, p * width :], panels[p, j]
                for c in range(whole):
                    panel[c] = line[c]


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


_add_gemm, _add_gemm_turned = _blas(False), _blas(True)


@jit
def _tiles(a: Array, panels: Array, out: Array) -> None:
    """out += a @ panels for rows of any stride."""
    m, k = a.shape
    n, width = out.shape[1], panels.shape[2]
    lda, ldc = a.strides[0] // a.itemsize, out.strides[0] // out.itemsize
    whole = n // width
    for p in range(whole):
        column = p * width
        for j in range(0, k, STRIP):
            strip = min(STRIP, k - j)
            b = panels[p, j:].ctypes.data
            i = 0
            while i + 8 <= m:
                tile_8(a[i:, j:].ctypes.data, lda, b, out[i:, column:].ctypes.data, ldc, strip)
                i += 8
            if i + 4 <= m:
                tile_4(a[i:, j:].ctypes.data, lda, b, out[i:, column:].ctypes.data, ldc, strip)
                i += 4
            while i < m:
                tile_1(a[i:, j:].ctypes.data, lda, b, out[i:, column:].ctypes.data, ldc, strip)
                i += 1
    if whole < panels.shape[0]:
        _last_panel(a, panels[whole], out[:, whole * width :])


@jit
def _last_panel(a: Array, panel: Array, out: Array) -> None:
    """A panel wider than what is left of `out`: through a tile of its own."""
    m, k = a.shape
    width, lda = panel.shape[1], a.strides[0] // a.itemsize
    tile = np.empty((8, width), out.dtype)
    b = panel.ctypes.data
    for i in range(0, m, 8):
        rows = min(8, m - i)
        tile[:rows] = 0
        if rows == 8:
            tile_8(a[i:].ctypes.data, lda, b, tile.ctypes.data, width, k)
        else:
            for r in range(rows):
                tile_1(a[i + r :].ctypes.data, lda, b, tile[r:].ctypes.data, width, k)
        for r in range(rows):
            line, total = tile[r], out[i + r]
            for c in range(out.shape[1]):
                total[c] += line[c]


def add_product(a: Array, panels: Array, out: Array) -> None:
    """out += a @ W for the panels of W; a (m, k), out (m, n), rows contiguous."""
    out += a @ panels[0]


@overload(add_product)
def _add_product(a, panels, out):
    if a.dtype == types.float32:
        return lambda a, panels, out: _tiles(a, panels, out)
    return lambda a, panels, out: _add_gemm(a, panels[0], out)


def add_transposed(a: Array, b: Array, out: Array) -> None:
    """out += a^T b: the gradient of a weight; a (m, k), b (m, n), C-contiguous."""
    out += a.T @ b


@overload(add_transposed)
def _add_transposed(a, b, out):
    return lambda a, b, out: _add_gemm_turned(a, b, out)


@jit(reassoc=True)
def row_sum(x: Array) -> Any:
    """Sum of one row, vectorised (reassociated)."""
    total = x.dtype.type(0)
    for j in range(x.size):
        total += x[j]
    return total


@jit
def add_rows(x: Array, out: Array) -> None:
    """out += the sum of all rows of x (m, n)."""
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(out.size):
            out[j] += row[j]


@jit
def _set_rows(out: Array, b: Array, add: bool) -> None:
    for i in range(out.shape[0]):
        row = out[i]
        if add:
            for j in range(b.size):
                row[j] += b[j]
        else:
            for j in range(b.size):
                row[j] = b[j]


def set_rows(out: Array, b: Array, add: bool) -> None:
    """Every row of `out` (any rank) becomes b, or grows by it."""
    out[...] = out + b if add else b


@overload(set_rows)
def _overload_set_rows(out, b, add):
    if out.ndim == 2:
        return lambda out, b, add: _set_rows(out, b, add)
    if out.ndim == 1:
        return lambda out, b, add: _set_rows(out.reshape((1, out.size)), b, add)
    return None


def set_value(out: Array, value: Any) -> None:
    """Every number of `out` becomes `value`."""
    out[...] = value


@overload(set_value)
def _overload_set_value(out, value):
    def fill(out, value):
        for i in range(out.shape[0]):
            set_value(out[i], value)

    def fill_row(out, value):
        for j in range(out.size):
            out[j] = value

    return fill_row if out.ndim == 1 else fill


@jit
def copy_rows(x: Array, out: Array) -> None:
    """out = x, for two matrices."""
    for i in range(x.shape[0]):
        row, to = x[i], out[i]
        for j in range(row.size):
            to[j] = row[j]
