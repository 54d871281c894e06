"""NumPy's names beyond the array API: in compiled loops, at zero and NaN, and what is refused."""

import numpy as np
import pytest
from compiled import compiles_to_the_same
from conformance.page import BEYOND

import tinygrad_rnn as tg


@pytest.mark.parametrize("name", BEYOND.split())
def test_the_page_names_what_both_have(name):
    assert callable(getattr(np, name))
    assert callable(getattr(tg, name))


def test_in_a_loop_that_is_compiled():
    def loop(x, W):
        h = x[0] * 0.1
        for t in range(1, 6):
            z = tg.tanh(x[t] + tg.dot(h, W))
            left, right = tg.hsplit(tg.column_stack([z, tg.flipud(z[:, 0])]), 2)
            z = z + 0.1 * tg.hstack([left, right[:, :1]]) * tg.sinc(tg.fliplr(z))
            z = z + 0.1 * tg.fmax(z, x[t]) - 0.1 * tg.exp2(tg.fmin(z, 0.2)) + tg.deg2rad(z)
            z = z + 0.1 * tg.select([z > 0.5, z > 0], [z * z, -z], 0.1)
            z = z + 0.1 * tg.cross(z, x[t]) + 0.1 * tg.rot90(z, 2) + 0.01 * tg.cumsum(z)[-1]
            h = (z + 0.1 * tg.logaddexp2(z, h) + 0.1 * tg.inner(z, W)) / 4
        return (tg.vstack([h, W]) ** 2).sum() + tg.kron(h, W).sum()

    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal((6, 2, 3)), requires_grad=True)
    W = tg.tensor(rng.standard_normal((3, 3)), requires_grad=True)
    compiles_to_the_same(loop, x, W, rtol=1e-10)


def test_sinc_has_its_derivatives_at_zero_and_far_away():
    x = tg.tensor([0.0, 1e-9, 1e200], tg.float64, requires_grad=True)
    g = tg.grad(tg.sinc(x).sum(), x, create_graph=True)
    gg = tg.grad(g.sum(), x)
    third = np.pi**2 / 3
    np.testing.assert_allclose(g.detach().numpy()[:2], [0, -1e-9 * third], rtol=1e-14)
    np.testing.assert_allclose(gg.numpy()[:2], [-third, -third], rtol=1e-14)
    assert np.isfinite(g.detach().numpy()).all()


def test_fmax_gives_a_nan_no_gradient():
    a = tg.tensor([np.nan, 1.0, 2.0, np.nan], requires_grad=True)
    b = tg.tensor([3.0, np.nan, 2.0, np.nan], requires_grad=True)
    tg.fmax(a, b)[:3].sum().backward()
    assert a.grad.tolist() == [0.0, 1.0, 0.5, 0.0]
    assert b.grad.tolist() == [1.0, 0.0, 0.5, 0.0]


def test_asarray_of_lists_with_tensors_stays_in_the_graph():
    x = tg.tensor(2.0, tg.float64, requires_grad=True)
    y = tg.asarray([[x, 1.0], (0, x * x)])
    assert y.dtype == tg.float64
    assert y.tolist() == [[2.0, 1.0], [0.0, 4.0]]
    (y * y).sum().backward()
    assert x.grad.item() == 2 * 2 + 4 * 8
    assert tg.asarray([tg.tensor(1), 0.5]).tolist() == [1.0, 0.5]
    with pytest.raises(tg.DTypeError, match="stack: inputs are float"):
        tg.asarray([x, np.float32(1)])
    with pytest.raises(tg.ShapeError, match="stack: all shapes must be equal"):
        tg.asarray([x, [1.0, 2.0]])
    row = tg.jit(lambda x: tg.asarray([x, 3.0, x * x]).sum())
    assert row(x).item() == 9.0


def test_means_and_variances_of_lists():
    x = tg.tensor(3.0, requires_grad=True)
    for mean, wanted in ((tg.mean, 4.0), (tg.var, 1.0), (tg.std, 1.0)):
        assert mean([x, x + 2]).item() == wanted
        assert mean([3.0, 5.0]) == wanted
    tg.mean([x, x * x]).backward()
    assert x.grad.item() == 3.5


def test_integers_become_floats():
    whole = tg.tensor([1, -1])
    assert tg.exp2(whole).tolist() == [2.0, 0.5]
    for y in (tg.exp2(whole), tg.deg2rad(whole), tg.sinc(whole), tg.logaddexp2(whole, whole)):
        assert y.dtype == tg.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tg.array_split(x, 0), "array_split: needs at least one part, got 0"),
        (lambda x: tg.array_split(x, 2, axis=2), "array_split: axis 2 is out of range"),
        (lambda x: tg.hsplit(x, 2), "hsplit: axis 1 has 3 places, not 2 equal parts"),
        (lambda x: tg.vsplit(x[0], 1), "vsplit: needs at least 2 axes"),
        (lambda x: tg.dsplit(x, 1), "dsplit: needs at least 3 axes"),
        (lambda x: tg.hstack([]), "hstack: no arrays to join"),
        (lambda x: tg.vstack([x, x[:, :2]]), "concat: all shapes must agree"),
        (lambda x: tg.fliplr(x[0]), "fliplr: axis 1 is out of range"),
        (lambda x: tg.rot90(x, 1, axes=(0, -2)), "rot90: needs two axes"),
        (lambda x: tg.cross(x, x[:, :2]), "cross: axis -1 must have 3 places"),
        (lambda x: tg.dot(x, x), "matmul"),
        (lambda x: tg.inner(x, x.T), "tensordot: axes"),
        (lambda x: tg.einsum(x, [0, 52]), "einsum: an axis is a number from 0 to 51, got 52"),
        (lambda x: tg.select([x > 0], []), "select: needs one choice a condition"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(tg.ShapeError, match=message):
        call(tg.ones(2, 3))
