"""Every op against NumPy, finite differences and its own shape rule, from one table."""

import numpy as np
import pytest
from cases import CASES as OPS_CASES
from cases_numpy import NUMPY
from cases_standard import STANDARD

import tinygrad_rnn as tg
from tinygrad_rnn.op import OPS, Spec
from tinygrad_rnn.testing import gradcheck, gradgradcheck

CASES = [*OPS_CASES, *STANDARD, *NUMPY]
ALL = pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
DIFFERENTIABLE = pytest.mark.parametrize(
    "case", [c for c in CASES if c.differentiable], ids=lambda c: c.id
)


def tensors(case, dtype=None):
    """The case's inputs as leaves that share the arrays' layout."""
    found = []
    for x in case.inputs:
        x = x if dtype is None or x.dtype.kind != "f" else x.astype(dtype)
        found.append(tg.Tensor(x, requires_grad=case.differentiable and x.dtype.kind == "f"))
    return found


def test_every_op_has_a_case():
    # nodes of tg.jit and train.recompute are no ops of the tensor API, nor are rules made ops of:
    # tests/test_jit.py and tests/test_recompute.py have them; and pages declare ops of their own
    public = {n for n, op in OPS.items() if (op.__module__ or "").startswith("tinygrad_rnn.ops")}
    public = {n for n in public if "_vjp" not in n}
    missing = sorted(public - {c.op for c in CASES})
    assert not missing, f"add a row to tests/cases.py for {', '.join(missing)}"


def test_ids_are_unique_and_the_table_is_as_large_as_promised():
    assert len({c.id for c in CASES}) == len(CASES)
    assert sum(c.differentiable for c in CASES) >= 350


@ALL
def test_value(case):
    wanted = case.reference(*case.inputs)
    plain = case.call(*case.inputs)
    assert isinstance(plain, np.ndarray | np.generic)
    np.testing.assert_allclose(plain, wanted, rtol=1e-12, atol=1e-13)
    if case.inputs:
        recorded = case.call(*tensors(case))
        assert recorded.shape == np.shape(wanted)
        assert recorded.requires_grad == case.differentiable
        np.testing.assert_array_equal(recorded.numpy(), plain)


@pytest.mark.parametrize("case", [c for c in CASES if c.attrs is not None], ids=lambda c: c.id)
def test_shape_rule(case):
    specs = [Spec(x.shape, x.dtype) for x in case.inputs]
    wanted = np.shape(case.reference(*case.inputs))
    assert tuple(OPS[case.op].shape(*specs, **case.attrs)) == wanted


@DIFFERENTIABLE
def test_gradient(case):
    assert gradcheck(case.call, tensors(case))


@DIFFERENTIABLE
def test_second_gradient(case):
    assert gradgradcheck(case.call, tensors(case), fast=True, atol=1e-4)


@pytest.mark.parametrize(
    "case",  # all but those whose purpose it is to convert
    [c for c in CASES if c.differentiable and c.op != "astype" and "float64" not in c.id],
    ids=lambda c: c.id,
)
def test_float32_stays_float32(case):
    inputs = tensors(case, np.float32)
    y = case.call(*inputs)
    assert y.dtype == np.float32
    y.backward(np.ones(y.shape, np.float32))
    for x in inputs:
        if x.requires_grad:
            assert x.grad.dtype == np.float32
            assert x.grad.shape == x.shape
    with np.errstate(all="ignore"):
        wanted = case.reference(*case.inputs)
    np.testing.assert_allclose(y.numpy(), wanted, rtol=2e-5, atol=2e-5)


TIES = [
    ("abs", lambda x: tg.abs(x), [[0.0]], [[0.0]]),
    ("relu", lambda x: tg.relu(x), [[0.0]], [[0.0]]),
    ("maximum", tg.maximum, [[1.0], [1.0]], [[0.5], [0.5]]),
    ("minimum", tg.minimum, [[1.0], [1.0]], [[0.5], [0.5]]),
    ("clip", lambda x: tg.clip(x, -1.0, 1.0), [[-1.0, 1.0, 2.0]], [[1.0, 1.0, 0.0]]),
    ("max", lambda x: tg.max(x), [[2.0, 2.0, 1.0]], [[0.5, 0.5, 0.0]]),
    ("min", lambda x: tg.min(x), [[2.0, 1.0, 1.0]], [[0.0, 0.5, 0.5]]),
    ("norm", lambda x: tg.norm(x), [[0.0, 0.0]], [[0.0, 0.0]]),
    ("pow, exponent 0", lambda x: x**0, [[0.0, 2.0]], [[0.0, 0.0]]),
    ("pow, base 0", lambda x: 0.0**x, [[2.0, 0.0]], [[0.0, 0.0]]),
    ("pow, base 0 in float32", lambda x: 5e-324**x, [[2.0, 0.5]], [[0.0, 0.0]]),
]


@pytest.mark.parametrize(("name", "call", "inputs", "wanted"), TIES, ids=[t[0] for t in TIES])
def test_subgradients(name, call, inputs, wanted):
    leaves = [tg.tensor(x, requires_grad=True) for x in inputs]
    call(*leaves).sum().backward()
    assert [x.grad.tolist() for x in leaves] == wanted


def test_a_number_to_the_power_of_a_tensor():
    x = tg.tensor(np.array([0.5, -2.0, 3.0]), requires_grad=True)
    assert gradcheck(lambda x: 2.0**x, x)
    assert gradgradcheck(lambda x: 2.0**x, x)
    y = tg.grad((2 ** x.astype("float32")).sum(), x, create_graph=True)
    assert np.allclose(y.numpy(), np.log(2) * 2.0 ** x.numpy(), rtol=1e-6)


NAN, INF = float("nan"), float("inf")
EDGES = [
    (tg.relu, [NAN, INF, -INF], [NAN, INF, 0.0]),
    (tg.sigmoid, [NAN, INF, -INF, 1e4, -1e4], [NAN, 1.0, 0.0, 1.0, 0.0]),
    (tg.tanh, [NAN, INF, -INF], [NAN, 1.0, -1.0]),
    (tg.softplus, [NAN, INF, -INF, 1e4], [NAN, INF, 0.0, 1e4]),
    (lambda x: tg.max(x, axis=0), [1.0, NAN], NAN),
    (lambda x: tg.min(x, axis=0), [1.0, NAN], NAN),
    (lambda x: tg.maximum(x, 0.0), [NAN, -1.0], [NAN, 0.0]),
    (lambda x: tg.logsumexp(x), [-INF, -INF], -INF),
    (lambda x: tg.logsumexp(x), [1e4, 1e4], 1e4 + np.log(2)),
    (lambda x: tg.logsumexp(x), [INF, 0.0], INF),
    (lambda x: tg.softmax(x), [1e4, 0.0], [1.0, 0.0]),
    (lambda x: tg.softmax(x), [-INF, 0.0], [0.0, 1.0]),
    (lambda x: tg.softmax(x), [NAN, 0.0], [NAN, NAN]),
    (lambda x: tg.log_softmax(x), [1e4, 0.0], [0.0, -1e4]),
    (lambda x: tg.clip(x, -1.0, 1.0), [NAN, INF], [NAN, 1.0]),
]


@pytest.mark.parametrize(("call", "x", "wanted"), EDGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_not_finite(call, x, wanted, dtype):
    y = call(tg.tensor(np.array(x, dtype)))
    assert y.dtype == dtype
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-6)


def test_weak_numbers_and_integers():
    x = tg.tensor([1.0, 2.0])
    for y in (
        x * 2,
        2.5 * x,
        x * np.float64(2),
        x + True,
        x ** np.float64(2),
        1 / x,
        x + np.int64(1),
    ):
        assert y.dtype == np.float32
    whole = tg.tensor([1, 2])
    assert (whole * 2).dtype == np.int64
    assert (whole * 0.5).dtype == np.float32
    assert (whole / 2).tolist() == [0.5, 1.0]
    assert tg.exp(whole).dtype == np.float32
    assert (whole * x).dtype == np.float32
    assert (x > 1).dtype == bool


def test_numpy_on_the_left_keeps_the_graph():
    w = tg.tensor(np.ones((2, 2)), requires_grad=True)
    a = np.arange(4.0).reshape(2, 2)
    for y in (a * w, a + w, a - w, a / w, a @ w):
        assert isinstance(y, tg.Tensor)
        assert y.requires_grad
    (a @ w).sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), a.sum(0)[:, None] * np.ones((2, 2)))


def test_dropout_scales_and_repeats_its_mask_in_the_backward_pass():
    x = tg.ones(400, 50, requires_grad=True)
    y = tg.dropout(x, 0.25)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert set(np.unique(y.numpy())) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(float(y.mean()) - 1) < 0.02
    assert not np.array_equal(tg.dropout(x, 0.25).numpy(), y.numpy())
    assert tg.dropout(x, 0.25, training=False) is x
