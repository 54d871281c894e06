"""Indexing with arrays and tensors of whole numbers under `tg.jit`: operands, never frozen."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CaptureError, DTypeError, ShapeError
from tinygrad_rnn.testing import check_jit

i, j, m = np.array([1, 0, -1]), np.array([2, 2, 0]), np.array([[0, 1], [1, -2]])

KEYS: dict[str, tuple[Any, ...]] = {
    "one": (i,),
    "two": (i, j),
    "three": (i, j, j),
    "last": (slice(None), slice(None), j),
    "middle": (slice(None), m),
    "apart": (i, slice(None), j),
    "after a number": (1, j),
    "apart from a number": (1, slice(None), j),
    "before a number": (slice(None), j, -1),
    "ellipsis": (..., j),
    "new axis": (None, i, None, j),
    "new axis between": (i, None, j),
    "slices": (slice(1, None), i, slice(None, None, 2)),
    "broadcast": (i[:, None], j),
    "a single one": (np.array(1), slice(None), j),
    "a list": ([0, 1], [1, 1]),
    "none": (slice(None), np.array([], int)),
    "an empty list": ([],),
    "unsigned": (np.array([0, 1], np.uint8),),
}


@pytest.mark.parametrize("given", ["arguments", "closed over"])
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_index_arrays_agree_with_eager(key: tuple[Any, ...], given: str) -> None:
    """Values are read afresh; every gradient; and the same result as NumPy's."""
    x = tg.tensor(np.random.default_rng(0).standard_normal((2, 3, 3)), requires_grad=True)
    weight = tg.tensor(np.random.default_rng(1).standard_normal(x.shape), requires_grad=True)

    def fn(x: Any, *arrays: Any) -> Any:
        given = iter(arrays)
        parts = [next(given) if isinstance(p, np.ndarray) and arrays else p for p in key]
        y = (x * weight)[tuple(parts)]
        return tg.tanh(y)

    arrays = [tg.tensor(p) for p in key if isinstance(p, np.ndarray)]
    arguments = arrays if given == "arguments" else []
    assert check_jit(fn, x, *arguments, parameters=[weight])
    y = tg.jit(fn)(x, *arguments)
    assert np.array_equal(y.numpy(), np.tanh(x.numpy() * weight.numpy())[key])


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    x = tg.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
    assert check_jit(lambda x: tg.exp(x[np.int64(1)]) * x[np.int32(-1), np.uint8(2)], x)


def test_other_indices_are_no_other_recording() -> None:
    fast = tg.jit(lambda x, lengths: x[lengths - 1, tg.arange(3)].sum())
    x = tg.tensor(np.arange(12.0).reshape(4, 3))
    for lengths in ([1, 2, 3], [4, 4, 4], [2, 1, 0]):
        found = fast(x, tg.tensor(np.array(lengths))).item()
        assert found == x.numpy()[np.array(lengths) - 1, np.arange(3)].sum()
    assert len(fast._entries) == 1


@pytest.mark.parametrize("bad", [2, -3])
@pytest.mark.parametrize("axes", [1, 2])
def test_out_of_range_is_what_eager_code_raises(bad: int, axes: int) -> None:
    """Also where the place, counted through both axes, would lie within the array."""
    fast = tg.jit(lambda x, i: x[i, i * 0] if axes == 2 else x[i])
    x = tg.tensor(np.ones((2, 3)))
    for numbers in ([0, 1], [bad, 1]):
        key = tg.tensor(np.array(numbers))
        if bad in numbers:
            with pytest.raises(ShapeError, match=r"out of range|out of bounds"):
                fast(x, key)
        else:
            assert fast(x, key).shape == ((2, 3) if axes == 1 else (2,))


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "mask": (lambda x, mask: x[mask], CaptureError, r"tg\.where\(mask, x, 0\)"),
    "mask of an axis": (lambda x, mask: x[:, mask[0]], CaptureError, "depends on its values"),
    "numpy mask": (lambda x, mask: x[np.eye(3, dtype=bool)], CaptureError, "test_jit_index.py:"),
    "floats": (lambda x, mask: x[x], DTypeError, "integers, slices or booleans"),
    "too many": (lambda x, mask: x[[0], 0, 0], ShapeError, "3 indices"),
}


@pytest.mark.parametrize(("fn", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(fn: Any, error: Any, words: str) -> None:
    x = tg.tensor(np.ones((3, 3)))
    with pytest.raises(error, match=words):
        tg.jit(fn)(x, x > 0)


def last_states(x: Any, lengths: Any, Ws: Any) -> Any:
    """The state of each sequence at its own last step."""
    h, states = tg.zeros(x.shape[1], 3, dtype=x.dtype), []
    for x_t in x:
        h = tg.tanh(x_t + h @ Ws)
        states.append(h)
    return tg.stack(states)[lengths - 1, tg.arange(x.shape[1])]


def shuffled(x: Any, order: Any, Ws: Any) -> Any:
    """Columns of the state in another order in each step, one by a list."""
    h = tg.zeros(x.shape[1], 3, dtype=x.dtype)
    for x_t in x:
        h = tg.tanh(x_t + h[:, order] @ Ws - h[:, [0, 0, 1]])
    return h


@pytest.mark.parametrize("fn", [last_states, shuffled], ids=lambda fn: fn.__name__)
def test_in_and_after_loops(fn: Any) -> None:
    x = tg.tensor(np.random.default_rng(0).standard_normal((6, 4, 3)), requires_grad=True)
    Ws = tg.tensor(np.random.default_rng(1).standard_normal((3, 3)), requires_grad=True)
    index = tg.tensor(np.array([6, 1, 3, 3] if fn is last_states else [2, 0, 1]))
    assert check_jit(fn, x, index, Ws)
