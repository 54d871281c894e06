"""Matrix products, by the fastest of three routes at each shape.

GFLOP/s, float32, one core of an AVX-512 server, m x k x n of (m, k) @ (k, n):

    product              np.dot, W.T   np.dot   rows in blocks of 8   packed
    32 x 128 x 512                58       86                    66      139
    32 x 512 x 128                57       86                   161       95
    16 x  64 x 256                37       65                    65      125
    64 x 256 x 2048               82      100                    21      114
    64 x 512 x 2048               75       94                    21      123
    on one core of an AMD EPYC, for which OpenBLAS takes its kernels for Haswell:
    32 x 128 x 512                        106                    38      222
    32 x 512 x 128                        105                    38      240

- `x @ W.T` with a weight met before goes through its panels (`products.py`), packed once
  and kept until someone writes to the weight (`forget`): whoever asks for that must
  own the weight and say so when he writes to it, as Tensors do. `affine` keeps nothing.
- A product of more than 10^6 multiplications with a tall b, whose blocks of 8
  rows have fewer, is cut into those: OpenBLAS has a quicker path for small ones.
- A large product goes through the tiles, its right side packed for this once, where OpenBLAS
  runs kernels for vectors of half the width: 400 x 64 x 2000 at 222, np.dot 125 on that EPYC.
- All else is `np.dot`.
"""

import functools
import math
import weakref
from typing import Any

import numpy as np
from threadpoolctl import (  # type: ignore[import-untyped]
    ThreadpoolController,
    threadpool_info,
)

from . import ground, linked
from .flags import DISABLED, jit
from .products import (
    WIDTH,
    add_product,
    add_transposed,
    column_shape,
    pack,
    panel_shape,
    strip_shape,
)
from .tiles import LANES

Array = np.ndarray[Any, Any]
_F32 = np.dtype(np.float32)
_SMALL = 1_000_000  # OpenBLAS' own bound for its small-matrix path
_LARGE = 2_000_000  # multiplications from which a packed right side has paid for itself
_LEAST = 8192  # numbers of W: below, packing and looking up cost more than they gain
# by id and whether of W.T: weak reference to W, its panels from the second meeting on
_seen: dict[tuple[int, bool], tuple[Any, Array | None]] = {}


@jit
def _in_blocks(a: Array, b: Array, out: Array) -> None:
    for i in range(0, a.shape[0], 8):
        np.dot(a[i : i + 8], b, out[i : i + 8])


@jit
def _pack(W: Array, turned: bool, panels: Array) -> None:
    pack(W, turned, panels)


@jit
def _add_product(a: Array, panels: Array, out: Array) -> None:
    add_product(a, panels, out)


@jit
def _add_transposed(a: Array, b: Array, columns: Array, strip: Array, out: Array) -> None:
    add_transposed(a, b, columns, strip, out)


@functools.cache
def _small_path() -> bool:
    """Whether OpenBLAS runs kernels that have a path of their own for small products."""
    return any(
        library.get("architecture") in ("SkylakeX", "Cooperlake", "SapphireRapids")
        for library in threadpool_info()
    )


@functools.cache
def _narrow_blas() -> list[Any]:
    """The BLAS libraries, if their kernels' vectors are half as wide as the tiles'; else none."""
    if DISABLED or LANES < 16 or not ground.holds("tiles"):
        return []
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    if any(one.info().get("architecture") not in ("Haswell", "Zen") for one in found):
        return []
    linked.define([_F32], {"pack", "add_product", "add_transposed", "_tiles"})
    return found


def _by_tiles(a: Array, b: Array, m: int, k: int, n: int) -> bool:
    """Whether a large product (m, k) @ (k, n) is quicker by our tiles than by BLAS' threads."""
    return (
        min(m, k) >= 64
        and n >= WIDTH
        and a.dtype is _F32
        and b.dtype is _F32
        and a.flags.carray
        and b.flags.carray
        and 1 <= max([one.get_num_threads() for one in _narrow_blas()], default=0) <= 2
    )


def _times_packed(a: Array, W: Array, turned: bool, out: Array) -> Array:
    """out += a @ W, or a @ W.T if turned, W packed for this once."""
    rows, columns = W.shape[::-1] if turned else W.shape
    panels = _aligned(panel_shape(rows, columns, _F32))
    _pack(W, turned, panels)
    _add_product(a, panels, out)
    return out


def dot(a: Array, b: Array) -> Any:
    """a @ b for two matrices."""
    m, k = a.shape
    n = b.shape[1]
    if m * k * n >= _LARGE and k == b.shape[0] and _by_tiles(a, b, m, k, n):
        return _times_packed(a, b, False, np.zeros((m, n), _F32))
    if (
        n > k  # for a wide b the path is no quicker
        or m * k * n <= _SMALL
        or 8 * k * n > _SMALL
        or DISABLED
        or k != b.shape[0]
        or a.dtype is not b.dtype
        or a.dtype.kind != "f"
        or not (a.flags.carray and b.flags.carray)
        or not _small_path()
    ):
        return np.dot(a, b)
    out = np.empty((m, n), a.dtype)
    _in_blocks(a, b, out)
    return out


def matmul(a: Array, b: Array) -> Any:
    """a @ b over the last two axes, 1-D arrays as vectors."""
    if b.ndim != 2 or a.ndim < 2:
        return np.matmul(a, b)
    return dot(a, b) if a.ndim == 2 else _by_rows(dot, a, b)


def _by_rows(product: Any, x: Array, *rest: Any) -> Any:
    """A product with a series of matrices as one with all their rows.

    (14, 32, 64) @ (64, 2000): 1.3 ms; np.dot, which has BLAS for two axes only, takes 31.
    """
    y = product(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), *rest)
    return y.reshape(*x.shape[:-1], y.shape[-1])


def forget(W: Array) -> None:
    """Say that the values of W were written: panels packed from it are stale."""
    if W.size >= _LEAST:
        _seen.pop((id(W), True), None)
        _seen.pop((id(W), False), None)


def _aligned(shape: tuple[int, ...]) -> Array:
    """Floats that start on a cache line: a vector load across two of them takes twice as long."""
    size = 4 * int(np.prod(shape))
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(_F32).reshape(shape)


def _panels(x: Array, W: Array, turned: bool) -> Array | None:
    """Panels of W.T or W for x @ them, from the second meeting with W on.

    None where np.dot serves better: a weight used once is not worth packing.
    """
    rows, columns = W.shape[::-1] if turned else W.shape
    if (
        x.ndim != 2
        or len(x) < 4
        or columns % WIDTH
        or rows != x.shape[1]
        or x.dtype is not _F32
        or W.dtype is not _F32
        or DISABLED
        or not (x.flags.carray and W.flags.carray)
        or W.base is not None  # of a view nobody hears that its values were written
    ):
        return None
    key = id(W), turned
    entry = _seen.get(key)
    if entry is None or entry[0]() is not W:
        _seen[key] = weakref.ref(W, lambda _: _seen.pop(key, None)), None
        return None
    if entry[1] is not None or not ground.holds("tiles"):
        return entry[1]
    linked.define([_F32], {"pack", "add_product", "_tiles"})
    panels = _aligned(panel_shape(rows, columns, _F32))
    _pack(W, turned, panels)
    _seen[key] = entry[0], panels
    return panels


def affine(x: Array, W: Array, b: Any) -> Any:
    """x @ W.T + b over the last axis of x."""
    if not x.ndim or W.ndim != 2 or (b.__class__ is not int and b.shape != W.shape[:1]):
        raise ValueError("x must have an axis, W two and b one")  # a number times W is none
    if x.ndim > 2:
        return _by_rows(affine, x, W, b)
    large = x.size * len(W) >= _LARGE  # asked here: a call costs 0.15 us, and most are small
    if large and x.ndim == 2 and x.shape[1] == W.shape[1] and _by_tiles(x, W, *x.shape, len(W)):
        y = np.empty((len(x), len(W)), _F32)
        y[...] = b
        return _times_packed(x, W, True, y)
    y = np.dot(x, W.T)
    y += b
    return y


def linear(x: Array, W: Array, b: Any) -> Any:
    """x @ W.T + b over the last axis of x, W a weight that is used again and again."""
    if x.ndim > 2:
        return _by_rows(linear, x, W, b)
    panels = _panels(x, W, True) if W.ndim == 2 and W.size >= _LEAST else None
    if panels is None or (b.__class__ is not int and b.shape != W.shape[:1]):
        return affine(x, W, b)
    y = np.empty((x.shape[0], W.shape[0]), _F32)
    y[...] = b
    _add_product(x, panels, y)
    return y


def linear_vjp_x(g: Array, W: Array) -> Any:
    """g @ W over the last axis of g: the way back through `linear`."""
    if g.ndim > 2:
        return _by_rows(linear_vjp_x, g, W)
    panels = _panels(g, W, False) if W.size >= _LEAST else None
    if panels is None:
        return matmul(g, W)
    y = np.zeros((g.shape[0], W.shape[1]), _F32)
    _add_product(g, panels, y)
    return y


def sum_of_products(a: tuple[Array, ...], b: tuple[Array, ...]) -> Any:
    """sum_t a_t^T b_t as one product of all rows.

    Float32, one core: 16 products of (512, 32) with (32, 128) at 56 GFLOP/s, 48 one by
    one; of (2048, 64) with (64, 512) at 86 and 47.
    """
    x, y = (a[0], b[0]) if len(a) == 1 else (np.concatenate(a), np.concatenate(b))
    sizes = sorted([x.shape[1], y.shape[1]])
    large = x.size * y.shape[1] >= _LARGE and len(x) == len(y)
    if not large or not _by_tiles(x, y, len(x), *sizes):
        return np.dot(x.T, y)
    if x.shape[1] > y.shape[1]:  # the rows of tiles are of the wider side: 204 GFLOP/s, 167 not so
        return np.array(_times_transposed(y, x).T, order="C")
    return _times_transposed(x, y)


def _times_transposed(x: Array, y: Array) -> Array:
    """x^T y by the tiles."""
    out = np.zeros((x.shape[1], y.shape[1]), _F32)
    columns, strip = _aligned(column_shape(*x.shape)), _aligned(strip_shape(_F32))
    _add_transposed(x, y, columns, strip, out)
    return out


def sum_of_rows(pieces: tuple[Array, ...]) -> Any:
    """Sum of all rows; small pieces are joined first, large ones would be copied for nothing."""
    if pieces[0].size < 4096:
        return np.add.reduce(np.concatenate(pieces), axis=0)
    total = np.add.reduce(pieces[0], axis=0)
    for piece in pieces[1:]:
        total += np.add.reduce(piece, axis=0)
    return total
