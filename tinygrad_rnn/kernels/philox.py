"""Random numbers as a pure function of (seed, draw, index): Philox4x32-10.

Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3
(SC 2011). Element i of a draw takes its bits from counter block i // 4 (one
32-bit word a float32) or i // 2 (two words a float64), so that a mask does not
depend on how the array is cut into shards or spread over threads.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from .flags import DISABLED, jit

Array = np.ndarray[Any, Any]
U = np.uint64
_LOW = U(0xFFFFFFFF)
_M0, _M1 = U(0xD2511F53), U(0xCD9E8D57)
_W0, _W1 = U(0x9E3779B9), U(0xBB67AE85)
_32 = U(32)


@register_jitable
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Ten rounds over four 32-bit words held in uint64; scalars or whole arrays."""
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@register_jitable
def keeps(seed: Any, draw: Any, i: Any, p: Any) -> Any:
    """Whether element i of a draw lives under dropout p: its uniform number is at least p."""
    block = U(i >> 2)
    words = philox(block & _LOW, block >> _32, draw & _LOW, draw >> _32, seed & _LOW, seed >> _32)
    k = i & 3
    word = words[0] if k == 0 else words[1] if k == 1 else words[2] if k == 2 else words[3]
    return np.float32(word >> U(8)) * np.float32(2.0**-24) >= np.float32(p)


@jit
def _words(seed: Any, draw: Any, out: Array) -> None:
    """Fill (blocks, 4) with 32-bit words, one counter block a row."""
    k0, k1 = seed & _LOW, seed >> _32
    d0, d1 = draw & _LOW, draw >> _32
    for i in range(out.shape[0]):
        block = U(i)
        w0, w1, w2, w3 = philox(block & _LOW, block >> _32, d0, d1, k0, k1)
        out[i, 0] = w0
        out[i, 1] = w1
        out[i, 2] = w2
        out[i, 3] = w3


def words(key: Array, blocks: int) -> Array:
    """32-bit words (blocks, 4) of draw `key[1]` under seed `key[0]`."""
    if DISABLED:
        block = np.arange(blocks, dtype=U)
        zero = np.zeros(blocks, U)
        d0, d1 = zero + (key[1] & _LOW), zero + (key[1] >> _32)
        k0, k1 = zero + (key[0] & _LOW), zero + (key[0] >> _32)
        rows = philox(block & _LOW, block >> _32, d0, d1, k0, k1)
        return np.stack(rows, 1).astype(np.uint32)
    out = np.empty((blocks, 4), np.uint32)
    _words(key[0], key[1], out)
    return out


def uniform(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Uniform numbers in [0, 1) on the grid of 2^-24 (float32) or 2^-53 (float64)."""
    n = int(np.prod(shape, dtype=np.int64))
    if np.dtype(dtype) == np.float32:
        bits = words(key, -(-n // 4)).reshape(-1)[:n] >> np.uint32(8)
        return (bits.astype(np.float32) * np.float32(2.0**-24)).reshape(shape)
    pairs = words(key, -(-n // 2)).reshape(-1, 2)[:n].astype(U)
    bits64 = (pairs[:, 0] << U(21)) | (pairs[:, 1] >> U(11))
    return (bits64.astype(np.float64) * 2.0**-53).reshape(shape)


def normal(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Standard normal numbers: Box-Muller on two uniforms an element."""
    u = uniform(key, (*shape, 2), np.float64)
    z = np.sqrt(-2 * np.log1p(-u[..., 0])) * np.cos(2 * np.pi * u[..., 1])
    return np.asarray(z, dtype=dtype)
