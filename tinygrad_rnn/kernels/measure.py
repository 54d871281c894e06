"""Four figures of many arrays in one call: what is noted of each gradient on its way.

A backward pass of an LSTM over 100 steps has 2,400 arrays of some 4 KB: one by one they
take 5 us each, twice as long as the pass itself, together 0.9 us. Largest, zeros and bad
values are told by the bits, as integers in the order of the absolute values: comparisons
of floats do not become vector instructions, since NaN is in no order.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from .flags import DISABLED, jit
from .tables import data, table

Array = np.ndarray[Any, Any]
_BITS: dict[Any, Any] = {np.dtype(np.float32): np.uint32, np.dtype(np.float64): np.uint64}
_CACHED = 1 << 16  # numbers that are still in the cache when they are measured
_LEAST, _MOST = 1e-140, 1e140  # what can be squared, and a million of them added up


class Measured(NamedTuple):
    """Euclidean norm, largest absolute value, share of zeros, how many are not finite."""

    norm: float
    largest: float
    zeros: float
    bad: float


@jit(reassoc=True)
def _look(x: Array, b: Array, bits: Array, found: Array, top: Array) -> None:
    """Add x's sum of squares, zeros and bad values to `found`; raise `top` to the largest's bits.

    Zeros and bad values are counted when the least or the largest tells that there are
    any: 0.28 ns a number instead of 0.39.
    """
    mask, infinite = bits[0], bits[1]
    total, largest, least = 0.0, bits[2], mask
    for i in range(x.size):
        wide = np.float64(x[i])
        total += wide * wide
        magnitude = b[i] & mask
        largest = max(largest, magnitude)
        least = min(least, magnitude)
    found[0] += total
    top[0] = max(top[0], largest)
    if least == bits[2]:
        zeros = 0
        for i in range(b.size):
            zeros += (b[i] & mask) == bits[2]
        found[2] += zeros
    if largest >= infinite:
        bad = 0
        for i in range(b.size):
            bad += (b[i] & mask) >= infinite
        found[3] += bad


@jit
def _finish(found: Array, top: Array, like: Array, n: int) -> None:
    """From sums to figures: norm, largest, share of zeros, bad values."""
    found[0] = np.sqrt(found[0])
    found[1] = np.nan if found[3] > 0 else np.float64(top.view(like.dtype)[0])
    found[2] /= max(n, 1)


@jit(reassoc=True)
def _look_at_all(table: Array, like: Array, bits: Array, found: Array, tops: Array) -> None:
    """Look at all arrays of a table."""
    for k in range(table.shape[1]):
        if k > 0 and table[0, k] == table[0, k - 1] and table[1, k] == table[1, k - 1]:
            found[k] = found[k - 1]  # a sum hands one array to both its operands
            continue
        n = int(table[1, k])
        x = carray(data(table[0, k], like), n)
        _look(x, carray(data(table[0, k], bits), n), bits, found[k], tops[k : k + 1])
        _finish(found[k], tops[k : k + 1], like, n)


@jit(reassoc=True)
def _look_and_add(
    terms: Array, views: Array, bits: Array, found: Array, tops: Array, total: Array
) -> None:
    """Look at each row of `terms` and add all rows to `total`."""
    for k in range(terms.shape[0]):
        _look(terms[k], views[k], bits, found[k], tops[k : k + 1])
        for i in range(total.size):
            total[i] += terms[k, i]


@jit
def _finish_all(found: Array, tops: Array, like: Array, n: int) -> None:
    for k in range(tops.size):
        _finish(found[k], tops[k : k + 1], like, n)


@functools.cache
def _bits(dtype: Any) -> Array:
    """The bits of all but the sign, of infinity, of zero."""
    kind = _BITS[dtype]
    infinite = np.array(np.inf, dtype).view(kind)
    return np.array([np.iinfo(kind).max >> 1, infinite, 0], kind)


def measure_all(arrays: Sequence[Array]) -> Array:
    """The figures of float arrays, a row each, summed in float64.

    A norm is NaN or infinite where a value is, the largest value then NaN.

    >>> Measured(*measure_all([np.array([3.0, 0.0, -4.0, 0.0])])[0].tolist())
    Measured(norm=5.0, largest=4.0, zeros=0.5, bad=0.0)
    """
    if DISABLED:
        return np.array([_plain(a) for a in arrays]).reshape(-1, 4)
    if not arrays:
        return np.empty((0, 4))
    places = table(arrays)
    if places is None:
        return _measure_odd(arrays)
    like = np.empty(1, arrays[0].dtype)
    bits = _bits(like.dtype)
    found, tops = np.zeros((len(arrays), 4)), np.zeros(len(arrays), bits.dtype)
    _look_at_all(places, like, bits, found, tops)
    _mend_norms(found, lambda k: arrays[k])
    return found


def _mend_norms(found: Array, array: Callable[[int], Array]) -> None:
    """Norms in float64 whose squares left its range, from the numbers over the largest.

    Without this a gradient of 1e-170 would have norm 0, as if there were none.
    """
    norm, largest, bad = found[:, 0], found[:, 1], found[:, 3]
    lost = (bad == 0) & (largest > 0) & ((largest < _LEAST) | (largest > _MOST))
    for k in np.flatnonzero(lost).tolist():
        norm[k] = largest[k] * np.linalg.norm(array(k) / largest[k])


def _measure_odd(arrays: Sequence[Array]) -> Array:
    """The figures of arrays of which some are in another order, read-only, of another dtype."""
    # the transpose has the same figures, and a product often is one
    plain = [
        a if a.flags.carray else a.T if a.T.flags.carray else np.array(a, order="C") for a in arrays
    ]
    rows = np.empty((len(plain), 4))
    for dtype in {a.dtype for a in plain}:
        chosen = [k for k, a in enumerate(plain) if a.dtype == dtype]
        rows[chosen] = measure_all([plain[k] for k in chosen])
    return rows


def measure_products(a: Sequence[Array], b: Sequence[Array]) -> tuple[Array, Array]:
    """sum_t a_t^T b_t and the figures of each term, a row each.

    In tiles of some rows, which are measured and added up in the cache: 30 products of
    (2048, 64) with (64, 512) in 80 ms, of which 62 go to the products; each made, measured
    and added in turn takes 135, and the sum alone, as one product, 51.
    """
    if DISABLED or any(x.shape != a[0].shape for x in a):
        return _one_by_one([np.dot(x.T, y) for x, y in zip(a, b, strict=True)])
    n, (depth, rows), columns = len(a), a[0].shape, b[0].shape[1]
    left = np.concatenate(a).reshape(n, depth, rows).transpose(0, 2, 1)
    right = np.concatenate(b).reshape(n, depth, columns)
    tile = min(rows, max(64, _CACHED // (n * columns)))
    many = min(n, max(1, _CACHED // (tile * columns)))
    space = np.empty(many * tile * columns, left.dtype)
    total = np.zeros((rows, columns), left.dtype)
    bits = _bits(left.dtype)
    found, tops = np.zeros((n, 4)), np.zeros(n, bits.dtype)
    for i in range(0, rows, tile):
        part = total[i : i + tile].reshape(-1)
        for k in range(0, n, many):
            of = slice(k, min(n, k + many))
            terms = space[: (of.stop - k) * part.size].reshape(of.stop - k, part.size)
            np.matmul(left[of, i : i + tile], right[of], out=terms.reshape(len(terms), -1, columns))
            _look_and_add(terms, terms.view(bits.dtype), bits, found[of], tops[of], part)
    _finish_all(found, tops, left, total.size)
    _mend_norms(found, lambda k: np.dot(a[k].T, b[k]))
    return total, found


def measure_sums(pieces: Sequence[Array]) -> tuple[Array, Array]:
    """The sum of all rows, and the figures of each piece's sum, a row each."""
    if pieces[0].size < 4096 and all(x.shape == pieces[0].shape for x in pieces):
        joined = np.concatenate(pieces).reshape(len(pieces), *pieces[0].shape)
        return _one_by_one(list(np.add.reduce(joined, axis=1)))
    return _one_by_one([np.add.reduce(x, axis=0) for x in pieces])


def _one_by_one(terms: Sequence[Array]) -> tuple[Array, Array]:
    return np.add.reduce(terms, axis=0), measure_all(terms)


def _plain(a: Array) -> Measured:
    wide = np.abs(a.astype(np.float64)).reshape(-1)
    bad = int((~np.isfinite(wide)).sum())
    largest = float("nan") if bad else float(wide.max(initial=0.0))
    unit = 1.0 if bad or largest == 0 else largest
    with np.errstate(over="ignore"):
        norm = float(unit * np.sqrt(np.sum((wide / unit) ** 2)))
    return Measured(norm, largest, float((wide == 0).sum()) / max(a.size, 1), bad)
