"""What generated kernels call by address, and the parts of arrays that they take."""

from types import SimpleNamespace

import numpy as np
import pytest
from numba import types
from numba.core.errors import TypingError
from processes import python

from tinygrad_rnn.kernels import fills, linked, products
from tinygrad_rnn.kernels.flags import DISABLED, jit
from tinygrad_rnn.kernels.views import at, cut, line, part, row, span


@jit(cache=False)
def both_products(a, W, panels, y, b, columns, strip, W_bar):
    products.pack(W, False, panels)
    products.add_product(a, panels, y)
    products.add_transposed(a, b, columns, strip, W_bar)


@jit(cache=False)
def thin_product(a, b, y):
    products.add_thin(a, b, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "k", "n"), [
    (1, 1, 1), (14, 64, 1), (1, 64, 14), (14, 1, 64), (3, 0, 1), (0, 5, 1), (1, 5, 0),
])  # fmt: skip
def test_products_with_a_single_row_or_column(m, k, n, dtype):
    """y += a b, also of columns that do not lie side by side."""
    linked.define([np.dtype(dtype)])
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, k + 2)).astype(dtype)[:, 1 : k + 1]
    for gap in (0, 3):
        b = rng.standard_normal((k, n + gap)).astype(dtype)[:, :n]
        y = np.ones((m, n + gap), dtype)
        thin_product(a, b, y[:, :n])
        near = {"rtol": 0, "atol": (1e-6 if dtype == np.float32 else 1e-14) * max(k, 8)}
        np.testing.assert_allclose(y[:, :n], 1 + a.astype(float) @ b.astype(float), **near)
        assert (y[:, n:] == 1).all()


@jit(cache=False)
def turned_product(a, W, panels, y):
    products.pack(W, True, panels)
    products.add_product(a, panels, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "k", "n"), [
    (1, 1, 1), (3, 5, 31), (4, 64, 32), (13, 65, 33), (16, 8, 130), (300, 7, 40), (64, 256, 1100),
])  # fmt: skip
def test_products_of_compiled_loops(m, k, n, dtype):
    """y += a W and W_bar += a^T b: odd sizes, sums to add to, rows with a gap between them."""
    linked.define([np.dtype(dtype)])
    rng = np.random.default_rng(0)
    a, W, b = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (k, n), (m, n)))
    wide_a, wide_y = np.ones((m, k + 3), dtype), np.ones((m, n + 5), dtype)
    a_t, y = wide_a[:, 1 : k + 1], wide_y[:, 2 : n + 2]
    a_t[...] = a
    panels = np.zeros(products.panel_shape(k, n, dtype), dtype)
    columns = np.zeros(products.column_shape(m, k), dtype)
    strip = np.full(products.strip_shape(dtype), 1e-42, dtype)
    W_bar = np.ones((k, n), dtype)
    both_products(a_t, W, panels, y, b, columns, strip, W_bar)
    exact = np.float64
    near = {"rtol": 0, "atol": (1e-6 if dtype == np.float32 else 1e-14) * max(m, k, 8)}
    np.testing.assert_allclose(y, 1 + a.astype(exact) @ W.astype(exact), **near)
    np.testing.assert_allclose(W_bar, 1 + a.T.astype(exact) @ b.astype(exact), **near)
    assert (wide_y[:, :2] == 1).all()
    assert (wide_y[:, n + 2 :] == 1).all()
    if (
        n < strip.shape[1] and not DISABLED
    ):  # subnormals left beside narrow columns made a kernel three times slower
        assert not strip[: min(m, len(strip)), n:].any()
    y_turned = np.zeros((m, n), dtype)
    turned_product(a, np.ascontiguousarray(W.T), panels, y_turned)
    np.testing.assert_allclose(y_turned, a.astype(exact) @ W.astype(exact), **near)


@jit(cache=False)
def rows_and_sums(A, t, b, out, total, sums):
    fills.set_rows(at(out, 0), b, False)
    fills.set_rows(part(out, 1, 1, 3), b, True)
    fills.copy_rows(part(A, t, 0, 2), part(out, 2, 1, 3))
    fills.set_value(at(at(out, 3), 1), b[0])
    fills.set_value(at(out, 4), b[1])
    fills.add_rows(span(A, 1, 3), total)
    for i in range(A.shape[1]):
        sums[i] = fills.row_sum(at(at(A, t), i))
        sums[i] += row(A, (t, i))[1] + cut(row(A, (t, i)), 2)[1] + line(at(A, 0), (i,))[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("strided", [False, True])
def test_parts_of_arrays_and_what_works_on_rows(dtype, strided):
    linked.define([np.dtype(dtype)])
    rng = np.random.default_rng(0)
    A = rng.standard_normal((4, 3, 5)).astype(dtype)
    b = rng.standard_normal((5, 2 if strided else 1)).astype(dtype)[:, 0]
    out, total, sums = np.ones((5, 3, 5), dtype), np.ones(5, dtype), np.zeros(3, dtype)
    rows_and_sums(A, 2, b, out, total, sums)
    wanted = np.ones((5, 3, 5))
    wanted[0], wanted[3, 1], wanted[4] = b, b[0], b[1]
    wanted[1, 1:3] += b
    wanted[2, 1:3] = A[2, :2]
    near = {"rtol": 1e-5 if dtype == np.float32 else 1e-13}
    np.testing.assert_allclose(out, wanted, **near)
    np.testing.assert_allclose(total, 1 + A[1:3].sum((0, 1), np.float64), **near)
    exact = A.astype(np.float64)
    np.testing.assert_allclose(
        sums, exact[2].sum(1) + exact[2][:, [1, 3]].sum(1) + exact[0, :, 0], **near
    )


@jit(cache=False)
def rows_of_all(A, total, moved, y):
    fills.add_rows(span(A, 0, A.shape[0]), total)
    fills.add_rows(A, total)
    fills.set_rows(moved, total, False)
    for t in range(A.shape[0]):
        y[t] = row(at(A, t), (0,))[0]


@pytest.mark.skipif(DISABLED, reason="NumPy works out strides itself")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 4, 3), (1, 4, 1), (1, 1, 5)])
def test_strides_of_axes_of_size_one_say_nothing(shape, dtype):
    """(4, 1, 3) cut out of (1, 4, 3) counts as contiguous, with strides (24, 96, 8)."""
    linked.define([np.dtype(dtype)])
    A = np.arange(1, 1 + np.prod(shape)).reshape(shape).astype(dtype).transpose(1, 0, 2)
    assert A.flags.c_contiguous
    total, y = np.zeros(shape[2], dtype), np.zeros(shape[1], dtype)
    moved = np.ones((shape[1], 1, shape[2]), dtype).transpose(1, 0, 2)
    rows_of_all(A, total, moved, y)
    np.testing.assert_array_equal(total, 2 * A.sum((0, 1)))
    np.testing.assert_array_equal(moved, np.broadcast_to(total, moved.shape))
    np.testing.assert_array_equal(y, A[:, 0, 0])


@pytest.mark.skipif(DISABLED, reason="nothing is called by address without Numba")
def test_what_does_not_fit_is_refused_when_compiling():
    @jit(cache=False)
    def wrong(x, out):
        fills.copy_rows(x, out)

    with pytest.raises(TypingError):
        wrong(np.ones((2, 3), np.float32), np.ones((2, 3)))  # two dtypes
    with pytest.raises(TypingError):
        wrong(np.ones((2, 4, 6), np.float32)[:, :, ::2], np.ones((8, 3), np.float32))


@pytest.mark.skipif(DISABLED, reason="nothing is compiled without Numba")
def test_a_damaged_file_is_compiled_anew(caplog):
    def first(x):
        x[0, 0] = 1

    def fails(arguments):
        raise OSError("damaged")

    kernel = SimpleNamespace(targetoptions={"nopython": True}, py_func=first, compile=fails)
    function = linked._Function("damaged", {types.float32: kernel}, (2,), types.none)
    function.define(types.float32)
    assert "damaged is compiled anew" in caplog.text
    x = np.zeros((2, 2), np.float32)
    function.kernels[types.float32](x[:, ::-1])
    assert x[0, 1] == 1


CHECKED = """
import numpy as np
from tinygrad_rnn.kernels import fills, linked, products
from tinygrad_rnn.kernels.flags import jit
from tinygrad_rnn.kernels.views import at, cut, part, row, span

linked.define([np.dtype("float32")])

@jit(cache=False)
def step(A, W, t): at(A, t)
@jit(cache=False)
def shard(A, W, t): part(A, 1, 1, t + 2)
@jit(cache=False)
def block(A, W, t): span(A, 0, t + 1)
@jit(cache=False)
def one_row(A, W, t): row(A, (0, t + 1))[0]
@jit(cache=False)
def number_of_row(A, W, t): row(A, (0, 0))[t + 2]
@jit(cache=False)
def rest_of_row(A, W, t): cut(row(A, (0, 0)), 2)[t]
@jit(cache=False)
def product(A, W, t):  # by address
    products.add_product(at(A, 0)[:, : t + 1], W, at(A, 1))

A, W = np.zeros((2, 3, 4), "f"), np.zeros(products.panel_shape(2, 4, "f"), "f")
for kernel in (step, shard, block, one_row, number_of_row, rest_of_row, product):
    kernel(A, W, 1)
    for t in (2, 3, 2**40, *[-1] * (kernel is step)):
        try:
            kernel(A, W, t)
        except IndexError:
            continue
        raise SystemExit(f"{kernel.__name__} leaves its array at {t}")
print("checked")
"""


@pytest.mark.skipif(DISABLED, reason="NumPy checks its bounds itself")
def test_bounds_are_checked_where_numba_is_told_to(tmp_path):
    """What kernels take by bare pointers and call by address, under NUMBA_BOUNDSCHECK."""
    env = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert python("-c", CHECKED, **env) == "checked\n"
