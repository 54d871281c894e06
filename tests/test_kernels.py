"""Kernels against NumPy, extended precision and published vectors."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special
from hypothesis import given, strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.kernels import (
    flags,
    gemm,
    philox,
    pointwise,
    rows,
    scalar,
    scatter,
    update,
)
from tinygrad_rnn.kernels.flags import DISABLED, jit
from tinygrad_rnn.ops.random import Generator


@jit
def exp_loop(x, out):
    for i in range(x.size):
        out[i] = scalar.exp(x[i])


@jit
def tanh_loop(x, out):
    for i in range(x.size):
        out[i] = scalar.tanh(x[i])


@jit
def sigmoid_loop(x, out):
    for i in range(x.size):
        out[i] = scalar.sigmoid(x[i])


def run(loop, x):
    out = np.empty_like(x)
    with np.errstate(all="ignore"):
        loop(x, out)
    return out


BOUNDS = {"exp": (exp_loop, np.exp, 2), "tanh": (tanh_loop, np.tanh, 4),
          "sigmoid": (sigmoid_loop, lambda x: 1 / (1 + np.exp(-x)), 3)}  # fmt: skip


@pytest.mark.skipif(DISABLED, reason="the compiled loops are what is measured")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", BOUNDS)
def test_error_in_units_of_the_last_place(name, dtype):
    loop, exact, bound = BOUNDS[name]
    wide = 103 if dtype == np.float32 else 744
    tiny = 10.0 ** np.linspace(-30, 0, 50_001)
    x = np.concatenate(
        [np.linspace(-wide, wide, 500_001), np.linspace(-2, 2, 500_001), tiny, -tiny]
    )
    x = x.astype(dtype)
    with np.errstate(all="ignore"):
        wanted = exact(x.astype(np.longdouble))
        rounded = wanted.astype(dtype)
        found = run(loop, x)
        normal = (np.abs(rounded) >= np.finfo(dtype).tiny) & np.isfinite(rounded)
        ulps = np.abs(found - wanted)[normal] / np.spacing(np.abs(rounded[normal]))
        assert found.dtype == dtype
        assert ulps.max() <= bound
        small = ~normal & np.isfinite(rounded)
        below = np.abs(found[small] - wanted[small])
        assert below.max(initial=0) <= np.finfo(dtype).tiny
        np.testing.assert_array_equal(found[np.isinf(rounded)], rounded[np.isinf(rounded)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0], dtype)
    np.testing.assert_array_equal(run(exp_loop, x), np.array([np.nan, np.inf, 0, 1], dtype))
    np.testing.assert_array_equal(run(tanh_loop, x), np.array([np.nan, 1, -1, 0], dtype))
    np.testing.assert_array_equal(run(sigmoid_loop, x), np.array([np.nan, 1, 0, 0.5], dtype))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 3), (40, 50), (3, 20, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_whole_array_kernels(shape, dtype, order):
    rng = np.random.default_rng(0)
    x, g = (np.array(rng.standard_normal(shape), dtype=dtype, order="F" if order == "F" else "C")
            for _ in range(2))  # fmt: skip
    if order == "strided" and x.ndim:
        x, g = np.repeat(x, 2, 0)[::2], np.repeat(g, 2, 0)[::2]
    y = pointwise.sigmoid(x)
    for found, wanted in (
        (y, scipy.special.expit(x)),
        (pointwise.sigmoid_vjp(g, y), g * y * (1 - y)),
        (pointwise.tanh_vjp(g, y), g * (1 - y * y)),
    ):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-5 if dtype == np.float32 else 1e-13)


KAT = [  # published with the generator: counter, key, output, all in 32-bit words
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "wanted"), KAT)
def test_philox_known_answers(counter, key, wanted):
    words = [np.array([w], np.uint64) for w in (*counter, *key)]
    assert tuple(int(w[0]) for w in philox.philox(*words)) == wanted


def test_words_are_a_function_of_seed_draw_and_place():
    key = np.array([2**63 + 5, 9], np.uint64)
    many = philox.words(key, 1000)
    np.testing.assert_array_equal(philox.words(key, 10), many[:10])
    block = [np.array([w], np.uint64) for w in (7, 0, 9, 0, 5, 2**31)]
    np.testing.assert_array_equal(many[7], [int(w[0]) for w in philox.philox(*block)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_and_normal_are_distributed_as_they_say(dtype):
    g = Generator(1)
    u, z = g.uniform((200_000,), dtype), g.normal((200_000,), dtype)
    assert u.dtype == z.dtype == dtype
    assert u.min() >= 0
    assert u.max() < 1
    for k in (1, 2, 3, 4):  # moments, within six standard errors
        assert abs(np.mean(u.astype(float) ** k) - 1 / (k + 1)) < 6 * 0.5 / np.sqrt(200_000)
    assert abs(z.mean()) < 6 / np.sqrt(200_000)
    assert abs(z.std() - 1) < 6 / np.sqrt(400_000)
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 6 / np.sqrt(200_000)
    assert abs(np.mean(z.astype(float) ** 4) - 3) < 6 * np.sqrt(96 / 200_000)


def test_generator_state_and_permutation():
    g = Generator(3)
    g.uniform((5,))
    state = g.state
    a, order = g.normal((4,)), g.permutation(10)
    g.state = state
    np.testing.assert_array_equal(a, g.normal((4,)))
    np.testing.assert_array_equal(order, g.permutation(10))
    assert sorted(order) == list(range(10))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "k", "n"), [
    (1, 1, 1), (4, 64, 256), (13, 65, 256), (16, 64, 130), (32, 128, 512), (8, 200, 96), (0, 3, 4),
    (130, 70, 257), (100, 600, 64), (64, 64, 600), (70, 200, 200), (300, 64, 105),
])  # fmt: skip
def test_matrix_products(m, k, n, dtype):
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((n, k)).astype(dtype)
    b = rng.standard_normal(n).astype(dtype)
    exact = x.astype(np.float64) @ W.T.astype(np.float64)
    tolerance = {"rtol": 0, "atol": (1e-5 if dtype == np.float32 else 1e-13) * max(k, 1)}
    g = rng.standard_normal((m, n)).astype(dtype)
    for _ in range(3):  # the third time from packed panels, where those are used
        y, back = gemm.linear(x, W, b), gemm.linear_vjp_x(g, W)
        assert y.dtype == back.dtype == dtype
        np.testing.assert_allclose(y, exact + b, **tolerance)
        wanted = g.astype(np.float64) @ W
        np.testing.assert_allclose(
            back, wanted, rtol=0, atol=tolerance["atol"] * max(n / max(k, 1), 1)
        )
    np.testing.assert_allclose(gemm.dot(x, np.ascontiguousarray(W.T)), exact, **tolerance)
    np.testing.assert_allclose(
        gemm.sum_of_products((x, x), (x, x)), 2 * (x.T.astype(np.float64) @ x), **tolerance
    )
    tolerance["atol"] *= max(m / max(k, 1), 1)
    for a, c in [(x, g), (g, x)]:
        wanted = a.T.astype(np.float64) @ c
        found = gemm.sum_of_products((a,), (c,))
        np.testing.assert_allclose(found, wanted, **tolerance)
        assert found.flags.c_contiguous


@pytest.mark.parametrize("cut", [False, True])
def test_a_tall_product_cut_into_blocks_or_not(cut, monkeypatch):
    monkeypatch.setattr(gemm, "_small_path", lambda: cut)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((42, 512)), rng.standard_normal((512, 128))
    y = gemm.dot(a.astype(np.float32), b.astype(np.float32))
    np.testing.assert_allclose(y, a @ b, rtol=0, atol=1e-3)


def test_nothing_is_kept_of_arrays_that_others_may_write_to():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 128)).astype(np.float32)
    W = rng.standard_normal((192, 128)).astype(np.float32)
    weight = tg.tensor(W, requires_grad=True)
    part = weight.detach()[:128]  # a view: who writes to the weight does not know of it
    t = tg.tensor(x, requires_grad=True)
    for _ in range(4):
        np.testing.assert_allclose(tg.linear(x, W, 0), x @ W.T, rtol=0, atol=1e-3)
        y = tg.linear(t, part, 0)
        np.testing.assert_allclose(y.detach().numpy(), x @ W[:128].T, rtol=0, atol=1e-3)
        t.grad = None
        y.sum().backward()
        np.testing.assert_allclose(t.grad.numpy()[0], W[:128].sum(0), rtol=0, atol=1e-3)
        W += 1
        weight.assign_(W)


def test_packed_panels_follow_the_weight():
    W, x = np.ones((256, 64), np.float32), np.ones((8, 64), np.float32)
    g = np.ones((8, 256), np.float32)
    for factor in (1, 2):
        for _ in range(3):
            assert (gemm.linear(x, W, 0) == 64 * factor).all()
            assert (gemm.linear_vjp_x(g, W) == 256 * factor).all()
        W *= 2
        gemm.forget(W)
    gemm.linear(x, W, 0)
    before = len(gemm._seen)
    del W
    assert len(gemm._seen) == before - 1 or DISABLED


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_of_a_row_in_order_of_bits(dtype):
    inf, nan = np.inf, np.nan
    x = np.array([
        [-1, -2, -3], [-0.0, 0, -1], [1, 3, 2], [-inf, -inf, -inf], [inf, 1, nan], [1, -nan, 2],
        [np.finfo(dtype).tiny / 4, -1, -inf],
    ], dtype)  # fmt: skip
    y = np.empty(len(x), dtype)
    rows.logsumexp(x, y)
    exact = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(y, np.log(np.exp(exact).sum(1)).astype(dtype), rtol=1e-6)
    large = 1000 * np.random.default_rng(0).standard_normal((50, 77)).astype(dtype)
    y = np.empty(len(large), dtype)
    rows.logsumexp(large, y)  # infinite without the largest
    np.testing.assert_allclose(y, large.max(1), rtol=1e-3)


@given(st.integers(1, 5), st.integers(1, 40), st.sampled_from([np.float32, np.float64]))
def test_row_kernels(n, k, dtype):
    rng = np.random.default_rng(n * 100 + k)
    x = (10 * rng.standard_normal((n, k))).astype(dtype)
    g, index = rng.standard_normal(n).astype(dtype), rng.integers(0, k, n)
    close = {"rtol": 2e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-13}
    out, one = np.empty_like(x), np.empty(n, dtype)
    exact = x.astype(np.float64)
    rows.softmax(x, out)
    np.testing.assert_allclose(out, scipy.special.softmax(exact, 1), **close)
    rows.logsumexp(x, one)
    np.testing.assert_allclose(one, scipy.special.logsumexp(exact, axis=1), **close)
    rows.cross_entropy_vjp(g, x, index, out)
    wanted = g[:, None] * (scipy.special.softmax(exact, 1) - np.eye(k)[index])
    np.testing.assert_allclose(out, wanted, **close)
    eps = dtype(1e-3)
    rows.normalize(x, eps, out)
    wide = exact - exact.mean(1, keepdims=True)
    wanted = wide / np.sqrt((wide**2).mean(1, keepdims=True) + eps)
    # float32 loses digits in x - mean
    loose = {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else close
    np.testing.assert_allclose(out, wanted, **loose)


def test_scatter_adds_in_order():
    rng = np.random.default_rng(0)
    index, x = rng.integers(0, 5, 40), rng.standard_normal((40, 3))
    out, wanted = np.zeros((5, 3)), np.zeros((5, 3))
    scatter.add_rows(out, index, x)
    for i, added in zip(index, x, strict=True):
        wanted[i] += added
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norm_and_limit(dtype):
    rng = np.random.default_rng(0)
    grads = [rng.standard_normal(s).astype(dtype) for s in ((3, 4), (0,), (50,))]
    flat = np.concatenate([g.reshape(-1).astype(np.float64) for g in grads])
    np.testing.assert_allclose(update.norm(grads), np.sqrt((flat**2).sum()), rtol=1e-12)
    copies = [g.copy() for g in grads]
    update.limit(copies, factor=0.5, bound=0.25)
    for a, b in zip(copies, grads, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, np.clip(b * dtype(0.5), -0.25, 0.25), rtol=1e-6)
    bad = [np.array([np.nan, 2.0], dtype)]
    update.limit(bad, bound=1.0)
    np.testing.assert_array_equal(bad[0], [np.nan, 1.0])


def test_compiling_is_announced_once_and_on_terminals_only(monkeypatch, capsys):
    def begin(notice, module):
        kernel = SimpleNamespace(py_func=SimpleNamespace(__module__=module))
        notice.on_start(SimpleNamespace(data={"dispatcher": kernel}))

    quiet, told = flags._Notice(), flags._Notice()
    begin(quiet, "tinygrad_rnn.kernels.rows")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    begin(told, "somebody.elses")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    begin(told, "tinygrad_rnn.kernels.rows")
    begin(told, "tinygrad_rnn.kernels.gemm")
    assert capsys.readouterr().err.count("compiling kernels") == 1


def test_import_compiles_nothing_and_is_quick():
    code = (
        "import sys, time, numba; t = time.perf_counter(); import tinygrad_rnn as tg;"
        "t = time.perf_counter() - t;"
        "from numba.core.dispatcher import Dispatcher; import gc;"
        "ours = [o for o in gc.get_objects() if isinstance(o, Dispatcher)"
        " and o.py_func.__module__.startswith('tinygrad_rnn')];"
        "heavy = {'matplotlib', 'torch', 'scipy.special', 'graphviz'} & set(sys.modules);"
        "print(len(ours), sum(len(o.signatures) for o in ours), heavy or '', t)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kernels, compiled, *_ = out.stdout.split()
    assert int(compiled) == 0
    assert int(kernels) > 10 or DISABLED
    assert "{" not in out.stdout
