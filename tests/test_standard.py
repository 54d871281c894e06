"""The array API's names: options under tg.jit, what a recording refuses, dtypes and creation."""

import numpy as np
import pytest
from compiled import compiles_to_the_same
from conformance.page import CHAPTERS, NOTES, PAGE, RECIPES, page

import tinygrad_rnn as tg
from tinygrad_rnn.testing import check_jit


def test_long_names_are_the_same_objects():
    for long, short in {
        "subtract": "sub", "multiply": "mul", "divide": "div", "negative": "neg", "equal": "eq",
        "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge",
    }.items():  # fmt: skip
        assert getattr(tg, long) is getattr(tg, short)


def test_in_a_loop_that_is_compiled():
    dtype = "float32"
    keep = np.array([[True, False, True], [False, True, True]])

    def loop(x, W):
        h = x[0] * 0.1
        for t in range(1, 5):
            z = tg.tanh(x[t] + h @ W)
            a, b = tg.meshgrid(z[0], z[:, 1], indexing="xy")
            h = z + 0.1 * tg.max(z, axis=1, keepdims=True, where=keep) - 0.1 * a * b
            h = h + tg.clip(z, max=0.3) * tg.copysign(z, x[t]) + tg.flip(z)
            h = h + 0.2 * tg.cumulative_sum(z, axis=1, include_initial=True)[:, :3]
            h = h + 0.1 * tg.diff(z, axis=1, prepend=x[t][:, :1]) + tg.reciprocal(2 + z)
            h = h + 0.1 * tg.count_nonzero(z > 0, axis=1, keepdims=True).astype(dtype)
            h = tg.where(tg.signbit(z), h, 0.5 * h) / 4
        return tg.sum(h**2) + tg.vecdot(h, h).sum()

    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal((5, 2, 3)).astype(dtype), requires_grad=True)
    W = tg.tensor(rng.standard_normal((3, 3)).astype(dtype), requires_grad=True)
    compiles_to_the_same(loop, x, W, rtol=1e-4)


EDGES = np.array([-0.5, 0.0, 0.5])
WITHOUT_CODE = {
    "argsort": tg.argsort,
    "bitwise_left_shift": lambda h: tg.bitwise_left_shift((8 * h).astype("int64"), 1),
    "bitwise_right_shift": lambda h: (8 * h).astype("int64") >> 1,
    "nextafter": lambda h: tg.nextafter(h, 2 * h),
    "searchsorted": lambda h: tg.searchsorted(EDGES, h),
    "sort": tg.sort,
}


@pytest.mark.parametrize("name", WITHOUT_CODE)
def test_ops_without_code_run_op_by_op_as_the_page_says(name):
    def loop(x):
        h = x[0]
        for t in range(1, 6):
            h = tg.tanh(x[t] + 0.5 * h + 0.1 * WITHOUT_CODE[name](h).astype(h.dtype))
        return h

    x = tg.tensor(np.random.default_rng(0).standard_normal((6, 3, 4)), requires_grad=True)
    fast = tg.jit(loop)
    assert check_jit(fast, x)
    fast(x)
    assert "op by op" in fast.explain()
    assert "op by op" in NOTES[name]


def test_the_page_says_op_by_op_of_those_alone():
    said = {name for name, note in NOTES.items() if "op by op" in note}
    assert said == set(WITHOUT_CODE)


@pytest.mark.parametrize(
    "call",
    [
        tg.nonzero,
        tg.unique_values,
        tg.unique_all,
        tg.unique_counts,
        tg.unique_inverse,
        lambda x: x[tg.nonzero(x)],
    ],
)
def test_results_whose_size_depends_on_values_are_refused_in_a_recording(call):
    with pytest.raises(tg.CaptureError, match="depends on the values"):
        tg.jit(call)(tg.tensor([1.0, 0.0, 2.0]))


def test_unique_values_send_their_gradient_to_the_first_place():
    x = tg.tensor([2.0, 1.0, 2.0, float("nan"), float("nan")], requires_grad=True)
    values, places, number, counts = tg.unique_all(x)
    assert values.tolist()[:2] == [1.0, 2.0]
    assert counts.tolist() == [1, 2, 1, 1]  # a NaN is equal to none
    assert places.tolist() == [1, 0, 3, 4]
    np.testing.assert_array_equal(values[number].numpy(), x.detach().numpy())
    (values[:2] * tg.tensor([3.0, 5.0])).sum().backward()
    assert x.grad.tolist() == [5.0, 3.0, 0.0, 0.0, 0.0]


def test_a_masked_maximum_of_nothing_is_the_smallest_value_and_has_no_gradient():
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = tg.max(x, axis=1, where=np.array([[False, False], [True, False]]))
    assert y.tolist() == [-np.inf, 3.0]
    y[1].backward()
    assert x.grad.tolist() == [[0.0, 0.0], [1.0, 0.0]]
    assert tg.min(tg.tensor([3, 4]), where=np.array([False, True])).item() == 4
    assert tg.max(tg.tensor([3, 4]), where=np.array([False, False])).item() == -(2**63)


def test_asarray_keeps_a_tensor_and_copies_what_is_not_ours():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    assert tg.asarray(x) is x
    assert tg.asarray(x, copy=True) is not x
    assert tg.asarray(x, dtype=tg.float64).dtype == tg.float64
    own = np.ones(3)
    y = tg.asarray(own)
    own[0] = 7
    assert y.tolist() == [1.0, 1.0, 1.0]
    assert y.dtype == tg.float64
    with pytest.raises(ValueError, match=r"asarray: .*copied"):
        tg.asarray(own, copy=False)
    with pytest.raises(ValueError, match="asarray: device must be 'cpu'"):
        tg.asarray(own, device="cuda")


def test_dlpack_shares_memory_and_cannot_be_written_to():
    theirs = np.arange(3.0)
    x = tg.from_dlpack(theirs)
    theirs[0] = 5
    assert x.tolist() == [5.0, 1.0, 2.0]
    with pytest.raises(tg.GraphError, match="assign_"):
        x.assign_(np.zeros(3))
    assert tg.from_dlpack(theirs, copy=True).tolist() == [5.0, 1.0, 2.0]
    back = np.from_dlpack(x)
    assert np.shares_memory(back, theirs)
    assert not back.flags.writeable


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: x.astype("complex64"), tg.DTypeError, "astype: dtype complex64 is not"),
        (lambda x: tg.astype(x, np.float16), tg.DTypeError, "astype: dtype float16 is not"),
        (lambda x: tg.flip(x, (0, 0)), tg.ShapeError, "flip: axis .* twice"),
        (lambda x: tg.flip(x, 2), tg.ShapeError, "flip: axis 2 is out of range"),
        (lambda x: np.from_dlpack(x), tg.GraphError, "DLPack, which would drop the graph"),
        (lambda x: tg.from_dlpack(3), tg.DTypeError, "from_dlpack: int has no __dlpack__"),
        (lambda x: tg.eye(-1), tg.ShapeError, "whole numbers from 0"),
        (lambda x: tg.searchsorted(x, x), tg.ShapeError, "searchsorted: needs one axis"),
        (lambda x: tg.searchsorted(x[0], x, "middle"), tg.ShapeError, "side must be"),
        (lambda x: tg.meshgrid(x, x), tg.ShapeError, "meshgrid: needs vectors"),
        (lambda x: tg.meshgrid(x[0], indexing="yx"), tg.ShapeError, "indexing must be"),
        (lambda x: tg.diff(x, n=-1), tg.ShapeError, "diff: n must be"),
        (lambda x: tg.vecdot(x, x[:, :1]), tg.ShapeError, "vecdot: axis -1 has 2 values in a"),
        (lambda x: tg.nonzero(x[0, 0]), tg.ShapeError, "nonzero: a single value"),
        (lambda x: tg.diag(x[None]), tg.ShapeError, "diag: needs a vector or a matrix"),
        (lambda x: tg.concat([x], 0, 1), tg.ShapeError, "concat: after a list comes its axis"),
        (lambda x: tg.cumulative_sum(x), tg.ShapeError, "cumulative_sum: say along which"),
        (lambda x: tg.cumulative_prod(x, 2), tg.ShapeError, "cumulative_prod: axis 2 is out of"),
        (
            lambda x: tg.tensor([1, 2]) << tg.tensor([1, 2, 3]),
            tg.ShapeError,
            "^bitwise_left_shift: shapes",
        ),
        (lambda x: tg.nextafter(x, tg.ones(3)), tg.ShapeError, "nextafter: shapes"),
    ],
)
def test_what_is_refused_and_how(call, kind, message):
    with pytest.raises(kind, match=message):
        call(tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True))


def test_dtypes_and_limits():
    assert tg.finfo(tg.float32).eps == 2**-23
    assert tg.iinfo(tg.tensor([1])).bits == 64
    assert tg.isdtype(tg.int8, ("signed integer", "bool"))
    assert not tg.isdtype(tg.float32, "complex floating")
    assert tg.result_type(tg.float32, tg.float64, 1.0) == tg.float64
    assert tg.result_type(tg.tensor([1.0]), 2, 3.5) == tg.float32
    assert tg.can_cast(tg.int8, tg.int16)
    assert not tg.can_cast(tg.tensor([1.0]), tg.int8)
    for call, name in ((tg.finfo, "finfo"), (tg.iinfo, "iinfo")):
        with pytest.raises(tg.DTypeError, match=f"{name}: needs"):
            call(tg.bool)


def test_what_the_namespace_says_of_itself():
    x = tg.tensor([1.0])
    assert x.__array_namespace__() is tg
    info = tg.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] == tg.zeros(1).dtype == tg.arange(1.0).dtype
    assert info.default_dtypes()["integral"] == tg.arange(0).dtype == tg.asarray(1).dtype
    assert info.default_dtypes()["indexing"] == tg.argmax(x).dtype
    assert set(info.dtypes(kind="real floating")) == {"float32", "float64"}
    assert all(getattr(tg, name) == dtype for name, dtype in info.dtypes().items())
    assert info.devices() == [info.default_device()] == [x.device]
    assert x.to_device("cpu") is x
    with pytest.raises(ValueError, match="to_device: device"):
        x.to_device("cuda:0")


def test_shifts_as_operators():
    x = tg.tensor([1, -3])
    assert (x << 2).tolist() == [4, -12]
    assert (x >> 1).tolist() == [0, -2]
    assert (1 << tg.tensor([0, 3])).tolist() == [1, 8]
    with pytest.raises(tg.DTypeError, match="bitwise_left_shift"):
        _ = tg.tensor([1.0]) << 1


def test_pytorchs_dim_is_told_from_axis_by_functions_made_of_ops_too():
    for call in (tg.mean, tg.sum, tg.max, tg.std, tg.prod, tg.topk, tg.unstack, tg.concat):
        with pytest.raises(TypeError, match=f"{call.__name__}.*: unknown dim; write axis"):
            call(tg.ones(2, 2), dim=0)


def test_sums_and_products_of_small_integers_in_the_dtype_asked_for():
    x = tg.tensor(np.array([200, 100], np.uint8))
    for name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        assert getattr(tg, name)(x).dtype == np.uint64
        y = getattr(tg, name)(x, dtype=tg.uint8)
        np.testing.assert_array_equal(y.numpy(), getattr(np, name)(x.numpy(), dtype=np.uint8))
        assert y.dtype == np.uint8


def test_the_product_of_nothing_is_one_and_stays_in_the_graph():
    x = tg.tensor(np.zeros((2, 0)), requires_grad=True)
    y = tg.prod(x, axis=1)
    assert isinstance(y, tg.Tensor)
    assert y.tolist() == [1.0, 1.0]
    y.sum().backward()
    assert x.grad.shape == (2, 0)
    assert tg.prod(tg.tensor(np.zeros((0,), np.int32))).dtype == np.int64


def test_an_empty_mask_picks_nothing_along_all_its_axes():
    x = np.zeros((0, 0, 2))
    for shape in ((0,), (0, 0)):
        mask = np.zeros(shape, bool)
        assert tg.tensor(x)[mask].shape == tg.tensor(x)[tg.tensor(mask)].shape == x[mask].shape
    assert tg.tensor([1.0, 2.0])[[]].shape == (0,)


def test_one_number_of_repeats_in_an_array_serves_all_places():
    x = np.arange(6.0).reshape(2, 3)
    for repeats in (np.array([2]), [0], np.array(1)):
        y = tg.repeat(tg.tensor(x), repeats, axis=1)
        np.testing.assert_array_equal(y.numpy(), np.repeat(x, repeats, axis=1))
    assert tg.repeat(tg.zeros(0), [1]).shape == (0,)


def test_a_wrong_axis_is_an_index_error_too():
    for kind in (IndexError, ValueError):
        with pytest.raises(kind, match="expand_dims: axis -2"):
            tg.expand_dims(tg.tensor(1.0), -2)


def test_the_page_of_the_standard_is_up_to_date():
    assert PAGE.read_text() == page(), "write it anew: python -m tests.conformance.page"
    assert sum(len(text.split()) for text in CHAPTERS.values()) == 134


@pytest.mark.parametrize("row", RECIPES.split("\n"))
def test_what_the_page_says_of_numpys_other_names(row):
    numpys, own = row.split(" | ")
    rng = np.random.default_rng(0)
    arrays = {"x": rng.standard_normal(3), "y": rng.uniform(0.1, 1, 3)}
    arrays |= {"A": rng.standard_normal((3, 3)), "B": rng.standard_normal((3, 3))}
    leaves = {name: tg.tensor(a, requires_grad=True) for name, a in arrays.items()}
    y = eval(own, {"tg": tg, **leaves})
    np.testing.assert_allclose(y.detach().numpy(), eval(numpys, {"np": np, **arrays}), rtol=1e-12)
    y.sum().backward()
    assert any(leaf.grad is not None for leaf in leaves.values())
