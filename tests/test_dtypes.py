"""Whole numbers, booleans and Python numbers through every op: NumPy's answers and dtypes.

Ours alone: a function of floats takes whole numbers as float32, and so does a Python
float beside whole numbers; a float tensor brings whole numbers to its own dtype.
"""

import copy

import numpy as np
import pytest
from cases import BINARY, COMPARISONS, UNARY

import tinygrad_rnn as tg
from tinygrad_rnn.op import OPS

KINDS = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint64"]
RAW = np.array([0, 1, 1, 2, 3, 0])
OTHER = np.array([1, 1, 2, 2, 0, 0])
REFUSED = {  # by NumPy too
    "bool": {"sub", "neg", "sign"},
}


def numpy_answer(op, reference, inputs):
    """NumPy's answer, on float32 where the op is one of floats."""
    if op.floats:
        inputs = [x.astype(np.float32) if isinstance(x, np.ndarray) else x for x in inputs]
    with np.errstate(all="ignore"):
        return np.asarray(reference(*inputs))


def check(op, reference, *inputs):
    """Called on Tensors: the answer, and its dtype."""
    wanted = numpy_answer(op, reference, inputs)
    with np.errstate(all="ignore"):
        found = op(*[tg.tensor(x) if isinstance(x, np.ndarray) else x for x in inputs])
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", UNARY)
def test_ops_of_one_input(name, kind):
    op, x = OPS[name], RAW.astype(kind)
    own = {"relu": lambda x: np.maximum(x, 0)}
    own |= dict.fromkeys(
        ("floor", "ceil", "trunc", "round"), lambda x: x
    )  # as the array API has it
    reference = own.get(name, UNARY[name][0])
    if name in REFUSED.get(kind, ()):
        with pytest.raises(tg.DTypeError, match=name):
            op(tg.tensor(x))
    else:
        check(op, reference, x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*BINARY, *COMPARISONS])
def test_ops_of_two_inputs(name, kind):
    """Two tensors of one dtype, and a tensor beside a Python number on either side."""
    op, (reference, _) = OPS[name], {**BINARY, **COMPARISONS}[name]
    x, y = RAW.astype(kind), OTHER.astype(kind)
    if name in REFUSED.get(kind, ()):
        with pytest.raises(tg.DTypeError, match=name):
            op(tg.tensor(x), tg.tensor(y))
        return
    check(op, reference, x, y)
    check(op, reference, x, 2)
    check(op, reference, 2, x)
    check(op, reference, x, True)


@pytest.mark.parametrize("name", ["add", "mul", "maximum", "eq", "lt", "bitwise_xor"])
def test_whole_numbers_of_two_dtypes_meet_where_numpy_has_them_meet(name):
    reference = {**BINARY, **COMPARISONS}[name][0]
    for a in KINDS[:-1]:
        for b in KINDS[:-1]:
            check(OPS[name], reference, RAW.astype(a), OTHER.astype(b))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum"])
def test_floats_beside_whole_numbers(name, kind):
    reference, x = BINARY[name][0], RAW.astype(kind)
    check(OPS[name], lambda x, y: reference(x.astype("f"), y), x, 0.5)
    for dtype in (np.float32, np.float64):
        y = tg.tensor(OTHER.astype(dtype))
        with np.errstate(all="ignore"):
            found = OPS[name](tg.tensor(x), y)
            wanted = reference(x.astype(dtype), OTHER.astype(dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["sum", "max", "min", "cumsum"])
def test_reductions(name, kind):
    x = RAW.astype(kind).reshape(2, 3)
    wanted = getattr(np, name)(x, axis=1)
    found = getattr(tg, name)(tg.tensor(x), axis=1)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mean", "var", "std", "norm", "logsumexp", "softmax"])
def test_reductions_to_floats(name, kind):
    x = RAW.astype(kind).reshape(2, 3)
    found = getattr(tg, name)(tg.tensor(x), axis=1)
    wanted = getattr(tg, name)(x.astype(np.float64), axis=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)


SCALARS = [np.bool_(True), np.int8(2), np.uint64(2), np.float16(2), np.float32(2), np.float64(2)]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: type(s).__name__)
def test_numpy_scalars_are_weak_on_either_side(scalar):
    number = scalar.item()
    for x in (tg.tensor([1.0, 2.0]), tg.tensor(np.array([1.0, 2.0])), tg.tensor([1, 2])):
        for op in (tg.add, tg.mul, tg.div, tg.maximum, tg.pow, tg.gt):
            for found, wanted in ((op(x, scalar), op(x, number)), (op(scalar, x), op(number, x))):
                assert found.dtype == wanted.dtype
                np.testing.assert_array_equal(found.numpy(), wanted.numpy())


def test_a_choice_between_python_numbers():
    mask = tg.tensor([True, False])
    for a, b, dtype in (
        (1.0, -1.0, "float32"),
        (1, 0.5, "float32"),
        (0.5, True, "float32"),
        (1, 0, "int64"),
        (True, False, "bool"),
    ):
        for m in (mask, mask.numpy()):
            y = tg.where(m, a, b)
            assert y.dtype == dtype
            np.testing.assert_array_equal(np.asarray(y), [a, b])
    assert tg.where(mask, tg.tensor([1.0, 2.0]), 0).dtype == np.float32
    assert tg.where(mask, tg.tensor(np.ones(2)), 0.0).dtype == np.float64


def test_bits_and_truth_are_told_apart():
    a, b = tg.tensor([2, 3, 0]), tg.tensor([1, 1, 0])
    assert tg.logical_and(a, b).tolist() == [True, True, False]
    assert (a & b).tolist() == [0, 1, 0]
    assert (a | 4).tolist() == [6, 7, 4]
    assert (1 ^ a).tolist() == [3, 2, 1]
    assert (~a).tolist() == [-3, -4, -1]
    mask = a > 2
    assert (~mask).tolist() == [True, False, True]
    assert (mask | (b == 0)).tolist() == [False, True, True]


def test_created_tensors():
    assert tg.full((2,), 1.5).dtype == np.float32
    assert tg.full((2,), True).dtype == bool
    assert tg.full((2,), 3).dtype == np.int64
    assert tg.arange(3).dtype == np.int64
    assert tg.arange(0, 1, 0.5).dtype == np.float32
    assert tg.ones_like([1, 2]).dtype == np.int64
    assert tg.zeros_like(np.ones(2, np.uint8)).dtype == np.uint8
    for kind in (">f4", ">f8", ">i2"):
        data = np.array([1, 2], kind)
        for x in (tg.tensor(data), tg.Tensor(data)):
            assert x.dtype == np.dtype(kind).newbyteorder("=")
            assert x.dtype.isnative
            assert x.tolist() == [1, 2]


def test_a_copy_has_values_of_its_own():
    w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
    for twin in (copy.copy(w), copy.deepcopy(w)):
        assert twin.requires_grad
        assert twin.name == "w"
        loss = (twin * twin).sum()
        w.assign_([5.0, 5.0])  # not what the graph has saved
        loss.backward()
        assert twin.grad.tolist() == [2.0, 4.0]
        w.assign_([1.0, 2.0])


def test_a_jitted_choice_has_the_same_dtype():
    mask = tg.tensor([True, False])
    for a, b in ((1.0, -1.0), (1, 0.5), (1, 0)):
        y = tg.jit(lambda m, a=a, b=b: tg.where(m, a, b))(mask)
        assert y.dtype == tg.where(mask, a, b).dtype
        assert y.tolist() == [a, b]
