"""What a Tensor offers besides its ops: formatting, copies, other libraries, other libraries' words."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg


def test_one_value_is_formatted_like_a_number():
    loss = tg.tensor([1.0, 0.25], requires_grad=True).sum()
    assert f"{loss:.3f} {loss:>8.1f}" == "1.250      1.2"
    assert f"{tg.tensor(3):03d}" == "003"
    assert f"{loss}" == repr(loss)
    with pytest.raises(tg.ShapeError, match="exactly one value"):
        f"{tg.ones(2):.2f}"


def test_a_clone_has_memory_of_its_own_and_passes_the_gradient():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    twin = w.clone()
    assert not np.shares_memory(twin.numpy(), w.numpy())
    (twin * twin).sum().backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_shapes_dtypes_and_choices():
    x = tg.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
    assert x.flatten().shape == (4,)
    assert tg.tensor(1.0).flatten().shape == (1,)
    assert x.double().dtype == np.float64
    assert x.double().float().dtype == np.float32
    assert x.where(x > 0, 0.0).tolist() == [[1.0, 0.0], [3.0, 4.0]]
    assert (+x) is x
    assert (x % 3).tolist() == [[1.0, 1.0], [0.0, 1.0]]
    assert (7 // x).tolist() == [[7.0, -4.0], [2.0, 1.0]]


def test_other_libraries_find_the_values_without_a_copy():
    x = tg.tensor([1.0, 2.0])
    y = np.from_dlpack(x)
    assert np.shares_memory(y, x.numpy())
    assert not y.flags.writeable
    assert x.__array_namespace__() is tg


def test_values_of_other_libraries_are_taken():
    """A Series of pandas is an object that makes an array of itself, as this one."""

    class Series:
        def __init__(self, values):
            self.values = values

        def __array__(self, dtype=None, copy=None):
            return np.array(self.values, dtype)

        def mask(self):
            raise AssertionError("not the mask of a masked array")

    assert tg.tensor(Series([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert (tg.ones(2) + Series(np.array([1.0, 2.0], "f"))).tolist() == [2.0, 3.0]
    typed = Series([1.0, 2.0])
    typed.dtype = np.dtype(np.float64)  # as a Series and a PyTorch tensor have
    assert tg.tensor(typed).dtype == np.float64
    assert tg.tensor(memoryview(b"ab")).tolist() == [97, 98]
    assert tg.tensor([typed, typed]).dtype == np.float64
    with pytest.raises(tg.DTypeError, match="is not supported"):
        tg.tensor(Series(["a", "b"]))


class Frame:
    """A DataFrame of pandas makes an array of itself and has a dtype for each column, none itself."""

    def __init__(self, dtype, **columns):
        self.columns = {n: np.array(v) for n, v in columns.items()}
        self.dtypes, self.dtype_of_all = {n: v.dtype for n, v in self.columns.items()}, dtype

    def __array__(self, dtype=None, copy=None):
        return np.array([*zip(*self.columns.values(), strict=True)], dtype or self.dtype_of_all)


def test_a_data_frame_keeps_its_dtype():
    t = tg.tensor(Frame(np.float64, a=[1.0, 2.0], b=[0.1, 4.0]))
    assert (t.dtype, t.tolist()) == (np.float64, [[1.0, 0.1], [2.0, 4.0]])
    assert tg.tensor(Frame(np.int64, a=[1, 2])).dtype == np.int64
    assert tg.tensor(Frame(np.float64, a=[1.0]), dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Frame(object, a=["x"], b=[1.0], c=[True]), "'a' (<U1), 'c' (bool) must be left out"),
        ([1.0, None], "None is no number"),
        ([1.0, {"a": 1}], "{'a': 1} is no number"),
        (np.array([1, 2.5], object), "its numbers are Python objects"),
    ],
)
@pytest.mark.parametrize("dtype", [None, np.float32])
def test_objects_are_refused_by_what_is_no_number(value, said, dtype):
    with pytest.raises(tg.DTypeError, match=re.escape(said)):
        tg.tensor(value, dtype)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: tg.cat, "concat"),
        (lambda: tg.ones(2).view, "reshape"),
        (lambda: tg.ones(2).unsqueeze, "expand_dims"),
        (lambda: tg.from_numpy, "tensor"),
        (lambda: tg.nn.CrossEntropyLoss, "cross_entropy"),
        (lambda: tg.nn.Linear(2, 2).to, "astype"),
    ],
)
def test_names_of_other_libraries_are_answered_with_ours(call, word):
    with pytest.raises(AttributeError, match=f"it is called {word} here"):
        call()


def test_names_that_nobody_has():
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = tg.ones(2).nonsense
    assert not hasattr(tg, "nonsense")
    with pytest.raises(TypeError, match="unknown dim; write axis"):
        tg.sum(tg.ones(2), dim=0)
    for call in (tg.nn.Softmax, tg.nn.LogSoftmax):
        with pytest.raises(TypeError, match=r"axis=-1\): unknown dim; write axis"):
            call(dim=-1)
    with pytest.raises(TypeError, match=r"^cosine_similarity.* unknown dim; write axis"):
        tg.nn.cosine_similarity(tg.ones(2), tg.ones(2), dim=0)


def test_every_hint_names_what_is_there():
    from tinygrad_rnn.words import IN_NN, OF_MODULES, OF_TENSORS, OURS

    for theirs, ours in OURS.items():
        name = ours.split("(")[0]
        assert hasattr(tg, name) or hasattr(tg.Tensor, name), ours
        assert not hasattr(tg, theirs), theirs
    for theirs in OF_TENSORS.keys() - OURS.keys():
        assert hasattr(tg.Tensor, OF_TENSORS[theirs]), theirs
        assert not hasattr(tg.Tensor, theirs), theirs
    for theirs, ours in IN_NN.items():
        assert hasattr(tg.nn, ours), ours
        assert not hasattr(tg.nn, theirs), theirs
    for theirs, ours in OF_MODULES.items():
        assert hasattr(tg.nn.Module(), ours.split("(")[0]), ours
        assert not hasattr(tg.nn.Module(), theirs), theirs
