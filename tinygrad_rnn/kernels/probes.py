"""Probes of what the kernels lean on (`ground.py`): each compiles a little, and compares."""

from typing import Any

import numpy as np

from . import fills, linked, products
from .flags import jit
from .tiles import free_hand
from .views import at, cut, line, part, row, span

Array = np.ndarray[Any, Any]


def _numbers(*shape: int, dtype: Any = np.float32) -> Array:
    return (np.arange(np.prod(shape)) % 7 - 3).reshape(shape).astype(dtype)


@jit
def _parts(A: Array, b: Array, out: Array) -> None:
    for j in range(out.shape[1]):
        out[0, j] = at(A, 1)[2, j] + part(A, 1, 1, 3)[0, j]
        out[1, j] = span(A, 1, 3)[4, j] + row(A, (2, 0))[j]
        out[2, j] = line(at(A, 1), (1,))[j] + cut(row(b, ()), 1)[j]


def records() -> bool:
    """Parts of arrays, contiguous and not."""
    right = []
    for dtype in (np.float32, np.float64):
        for step in (1, 2):
            A, b = _numbers(3, 3, 5, dtype=dtype), _numbers(6 * step, dtype=dtype)[::step]
            out = np.zeros((3, 5), dtype)
            _parts(A, b, out)
            wanted = [A[1, 2] + A[1, 1], A[2, 1] + A[2, 0], A[1, 1] + b[1:]]
            right.append(np.array_equal(out, wanted))
    return all(right)


@jit
def _calls(A: Array, b: Array, out: Array, sums: Array) -> None:
    fills.set_rows(at(out, 0), b, False)
    fills.copy_rows(part(A, 1, 0, 2), part(out, 1, 1, 3))
    fills.set_value(at(out, 2), b[1])
    sums[0] = fills.row_sum(b)


def calls() -> bool:
    """Functions called by address: arrays of two ranks, a number, a result."""
    right = []
    for dtype in (np.float32, np.float64):
        linked.define([np.dtype(dtype)])
        A, b = _numbers(3, 3, 5, dtype=dtype), _numbers(5, dtype=dtype)
        out, sums = np.zeros((3, 3, 5), dtype), np.zeros(1, dtype)
        _calls(A, b, out, sums)
        wanted = np.zeros((3, 3, 5))
        wanted[0], wanted[2] = b, b[1]
        wanted[1, 1:] = A[1, :2]
        right += [np.array_equal(out, wanted), sums[0] == b.sum()]
    return all(right)


@jit
def _product(a: Array, W: Array, panels: Array, y: Array, more: Any, W_bar: Array) -> None:
    products.pack(W, False, panels)
    products.add_product(a, panels, y)
    products.add_transposed(a, y, more[0], more[1], W_bar)


def tiles() -> bool:
    """Products of float32 by our tiles and of float64 by BLAS: whole tiles, and odd edges."""
    right = []
    for dtype in (np.float32, np.float64):
        linked.define([np.dtype(dtype)])
        for m, k, n in ((13, 9, 75), (16, 300, 64), (1, 1, 1)):
            a, W = _numbers(m, k, dtype=dtype), _numbers(k, n, dtype=dtype)
            wide = np.ones((m, n + 2), dtype)
            panels = np.zeros(products.panel_shape(k, n, dtype), dtype)
            shapes = products.column_shape(m, k), products.strip_shape(dtype)
            W_bar = np.zeros((k, n), dtype)
            _product(a, W, panels, wide[:, 1:-1], tuple(np.zeros(s, dtype) for s in shapes), W_bar)
            y = 1 + a @ W
            right.append(np.array_equal(wide[:, 1:-1], y) and np.array_equal(W_bar, a.T @ y))
            right.append(bool((wide[:, [0, -1]] == 1).all()))
    return all(right)


@jit(cache=False)
def _promising(n: int, A0: Array, A1: Array) -> None:
    free_hand()
    for i in range(n):
        A1[i] = A0[i] + 1


def promises() -> bool:
    """The numbers are right, and of two arrays the pointers to the numbers are promised."""
    x, y = _numbers(100), np.zeros(100, np.float32)
    _promising(100, x, y)
    heads = [
        text
        for text in _promising.inspect_llvm(_promising.signatures[0]).splitlines()
        if text.startswith("define") and "arg.A0" in text
    ]
    return np.array_equal(y, x + 1) and any(text.count("noalias") >= 2 for text in heads)
