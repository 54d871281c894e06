"""Matrix products that a compiled loop calls at each step: `out += a @ W`, `out += a^T b`.

A weight is packed once into panels (`pack`), which every step re-uses; the tiles
of `tiles.py` run on them. Float64, and everything where Numba is switched off,
goes through BLAS on the same panels, then one plain matrix.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import register_jitable

from .blas import add_gemm, add_gemm_turned
from .flags import CHECKED, DISABLED
from .linked import linked
from .tiles import LANES, copy_line, fetch, part_1, part_4, part_8, tile_1, tile_4, tile_8
from .views import at, line

Array = np.ndarray[Any, Any]
WIDTH = 2 * LANES  # columns of a panel
_ADDRESSES = (
    types.uintp, types.int64, types.int64, types.int64, types.int64, types.int64,
    types.uintp, types.int64, types.int64, types.uintp, types.int64, types.int64,
)  # fmt: skip
STRIP = 256  # rows of a panel that are used at a time: 32 KiB, what the L1 cache holds


def panel_shape(rows: int, columns: int, dtype: Any) -> tuple[int, int, int]:
    """Shape of the panels of a (rows, columns) matrix, padded to whole panels."""
    if DISABLED or np.dtype(dtype) != np.float32:
        return (1, rows, columns)
    return (-(-columns // WIDTH), rows, WIDTH)


@register_jitable
def _fit(sizes: bool) -> None:
    """Under NUMBA_BOUNDSCHECK: what works by addresses is given sizes that fit each other."""
    if CHECKED and not sizes:
        raise IndexError("arrays of a product do not fit each other")


def _plain_pack(W: Array, turned: bool, panels: Array) -> None:
    panels[0] = W.T if turned else W


@linked(2, types.boolean, 3, twin=_plain_pack)
def pack(W: Array, turned: bool, panels: Array) -> None:
    """Cut W, or W.T if turned, into panels; missing columns of the last one are 0.

    Panels with room for more lines than W has keep them as they are.
    """
    strips, _, width = panels.shape
    rows, columns = W.shape[::-1] if turned else W.shape
    whole = columns // width
    _fit(whole <= strips and rows <= panels.shape[1])
    for p in range(whole, strips):
        for j in range(rows):
            for c in range(width):
                panels[p, j, c] = 0
    if turned:
        for column in range(columns):
            source, p, c = line(W, (column,)), column // width, column % width
            for j in range(rows):
                panels[p, j, c] = source[j]
        return
    fast = width == WIDTH and W.itemsize == 4
    start, target = W.ctypes.data, panels.ctypes.data
    for j in range(rows):
        source = line(W, (j,))
        if fast:
            for p in range(whole):
                copy_line(
                    start + j * W.strides[0] + p * width * 4,
                    target + p * panels.strides[0] + j * width * 4,
                )
        else:
            for p in range(whole):
                for c in range(width):
                    panels[p, j, c] = source[p * width + c]
        for c in range(whole * width, columns):
            panels[whole, j, c - whole * width] = source[c]


@linked(*_ADDRESSES, dtypes=(types.float32,))
def _tiles(
    a: Any, step: Any, across: Any, along: Any, m: Any, k: Any,
    panels: Any, strips: Any, height: Any, out: Any, ldc: Any, n: Any,
) -> None:  # fmt: skip
    """C += A @ panels, in float32, by addresses and sizes.

    A (m, k) has strides `across` from row to row, `along` from column to column, and 8
    `step` from one block of 8 rows to the next; panels are `height` lines apart.
    """
    # panels that the L2 cache does not hold: each tile asks for its share of the next strip,
    # two cache lines a row of it; 64 x 512 x 2048 at 106 GFLOP/s, 96 without
    far = m >= 16 and strips * height * WIDTH * 4 > 1 << 20
    lines = 16 * STRIP // m if far else 0
    for p in range(strips):
        left = n - p * WIDTH
        for j in range(0, k, STRIP):
            strip = min(STRIP, k - j)
            b = panels + (p * height + j) * WIDTH * 4
            x, y = a + j * along * 4, out + p * WIDTH * 4
            i = 0
            while i < m:
                rest = m - i
                for q in range(lines):
                    fetch(b + ((STRIP + i * lines // 16) * WIDTH + q * 16) * 4)
                at = x + ((i & -8) * step + (i & 7) * across) * 4
                c = y + i * ldc * 4
                if left >= WIDTH:
                    if rest >= 8:
                        tile_8(at, across, along, b, c, ldc, strip)
                    elif rest >= 4:
                        tile_4(at, across, along, b, c, ldc, strip)
                    else:
                        tile_1(at, across, along, b, c, ldc, strip)
                elif rest >= 8:
                    part_8(at, across, along, b, c, ldc, strip, left)
                elif rest >= 4:
                    part_4(at, across, along, b, c, ldc, strip, left)
                else:
                    part_1(at, across, along, b, c, ldc, strip, left)
                i += 8 if rest >= 8 else 4 if rest >= 4 else 1


def _plain_product(a: Array, panels: Array, out: Array) -> None:
    out += a @ panels[0]


def _product64(a: Array, panels: Array, out: Array) -> None:
    _fit(a.shape[1] == panels.shape[1] and out.shape == (a.shape[0], panels.shape[2]))
    add_gemm(a, at(panels, 0), out)


@linked(2, 3, 2, float64=_product64, twin=_plain_product)
def add_product(a: Array, panels: Array, out: Array) -> None:
    """out += a @ W for the panels of W; a (m, k), out (m, n), rows contiguous."""
    m, k = a.shape
    across, ldc = a.strides[0] // 4, out.strides[0] // 4
    strips, height = panels.shape[:2]
    _fit(out.shape[0] == m and k <= height and panels.shape[2] == WIDTH)
    _fit(out.shape[1] <= strips * WIDTH)
    _tiles(
        a.ctypes.data, across, across, 1, m, k,
        panels.ctypes.data, strips, height, out.ctypes.data, ldc, out.shape[1],
    )  # fmt: skip


@register_jitable
def _dot(x: Any, column: Array) -> Any:
    total = column.dtype.type(0)
    if column.strides[0] == column.itemsize:
        numbers = line(column, ())
        for j in range(column.size):
            total += x[j] * numbers[j]
        return total
    for j in range(column.size):
        total += x[j] * column[j]
    return total


def _plain_thin(a: Array, b: Array, out: Array) -> None:
    out += a @ b


@linked(2, 2, 2, twin=_plain_thin, reassoc=True)
def add_thin(a: Array, b: Array, out: Array) -> None:
    """out += a @ b where one side has a single row or column; rows contiguous.

    To pack costs more than to multiply: a step of attention over 14 states of 64, batch 32, takes
    31 us, by panels 55.
    """
    m, k = a.shape
    n = out.shape[1]
    _fit(out.shape[0] == m and b.shape == (k, n))
    for i in range(m):
        x, y = line(a, (i,)), line(out, (i,))
        if n == 1:
            y[0] += _dot(x, b[:, 0])
            continue
        for j in range(k):
            row, factor = line(b, (j,)), x[j]
            for c in range(n):
                y[c] += factor * row[c]


def column_shape(rows: int, columns: int) -> tuple[int, int, int]:
    """Shape of the packed form of the left side of `add_transposed`."""
    return (-(-columns // 8), rows, 8)


def strip_shape(dtype: Any) -> tuple[int, int]:
    """Shape of the work space for its right side."""
    return (STRIP, WIDTH) if np.dtype(dtype) == np.float32 else (1, 1)


def _plain_transposed(a: Array, b: Array, columns: Array, strip: Array, out: Array) -> None:
    out += a.T @ b


def _transposed64(a: Array, b: Array, columns: Array, strip: Array, out: Array) -> None:
    _fit(a.shape[0] == b.shape[0] and out.shape == (a.shape[1], b.shape[1]))
    add_gemm_turned(a, b, out)


@linked(2, 2, 3, 2, 2, float64=_transposed64, twin=_plain_transposed)
def add_transposed(a: Array, b: Array, columns: Array, strip: Array, out: Array) -> None:
    """out += a^T b: a weight's gradient; a (m, k), b (m, n).

    `columns` has room for a in packed form: as it lies, one of its columns is a cache line
    a number. b is packed a strip at a time, used while it is in the L1 cache: GFLOP/s at
    512 x 768 x 2048 and 267 x 192 x 512, 103 and 84 so, 93 and 67 with all of b packed
    before, 99 and 68 BLAS.
    """
    m, k = a.shape
    n, ldc = out.shape[1], out.strides[0] // 4
    start, step, along = a.ctypes.data, 1, a.strides[0] // 4
    _fit(b.shape == (m, n) and out.shape[0] == k and strip.size >= STRIP * WIDTH)
    if k >= 8:
        pack(a, False, columns)
        start, step, along = columns.ctypes.data, columns.shape[1], 8
    packed, source = strip.ctypes.data, b.ctypes.data
    for p in range(0, n, WIDTH):
        for j in range(0, m, STRIP):
            rows = min(STRIP, m - j)
            if n - p >= WIDTH:
                for r in range(rows):
                    copy_line(source + (j + r) * b.strides[0] + p * 4, packed + r * WIDTH * 4)
            else:
                for r in range(rows):
                    row, to = line(b, (j + r,)), line(strip, (r,))
                    for c in range(n - p):
                        to[c] = row[p + c]
                    for c in range(n - p, WIDTH):  # subnormals left there would be slow
                        to[c] = 0
            _tiles(
                start + j * along * 4, step, 1, along, k, rows,
                packed, 1, STRIP, out.ctypes.data + p * 4, ldc, n - p,
            )  # fmt: skip
