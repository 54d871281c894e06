"""Lists of tensors as arguments: every kind is told from every other, and none copied wrongly."""

import warnings
from typing import Any

import numpy as np
import pytest
from programs import leaf

import tinygrad_rnn as tg
from tinygrad_rnn.testing import check_jit

B, I, H = 3, 2, 4
Wx = leaf(I, H, seed=100)
pytestmark = pytest.mark.filterwarnings("ignore::tinygrad_rnn.CaptureWarning")


def items(T: int, *shape: int, grad: bool = True, seed: int = 7) -> list[Any]:
    return [leaf(*shape, seed=seed + t, grad=grad) for t in range(T)]


same = leaf(B, I, seed=3)


def calls() -> list[Any]:
    """Most of two items, which are no loop: there is nothing to compile."""
    return [
        items(6, B, I), items(6, B, I, grad=False), tuple(items(6, B, I)), items(2, B, I),
        [items(2, B, I), items(2, B, I, seed=40)], [tuple(items(2, B, I)), items(2, B, I), same],
        [same, leaf(1, I)], [leaf(1, I), same], items(2, 1, I), items(2, B, I, grad=False),
        [*items(5, B, I, grad=False), same], [same, leaf(B, I, grad=False)], [same, same],
        [same, None, *items(2, B, I)], [None, same], [same], [same, 0.5, same, 0.25],
        [leaf(B, I, grad=False), tg.tensor([[1], [0], [2]])], [leaf(I), leaf(I, seed=1)],
        [leaf(I, B, seed=t, grad=False).T for t in range(2)],
        [leaf(seed=t, grad=False) for t in range(6)], [tg.tensor([t], dtype="int32") for t in range(2)],
        items(2, 0, I, grad=False), {"a": items(2, B, I), "b": [same, None, (same, 1.5)]},
    ]  # fmt: skip


def weighted(xs: Any, a: Any) -> Any:
    """All in a list, in lists and dicts of it; what lies there is a number, None or a tensor."""
    flat, left = [], [xs]
    while left:
        x = left.pop()
        if isinstance(x, list | tuple | dict):
            left += reversed([*x.values()] if isinstance(x, dict) else x)
        else:
            flat.append(x)
    S = total = tg.zeros(B, I, dtype="float64")
    if any(x is not None and 0 in getattr(x, "shape", ()) for x in flat):
        S = total = tg.zeros(0, I, dtype="float64")
    for x in flat:
        if x is not None:
            x = x.astype("float64") if isinstance(x, tg.Tensor) else x
            S = tg.tanh(x * a + S @ Wx @ Wx.T)
            total = total + S
    return total, S


@pytest.mark.parametrize("turn", [1, -1])
def test_one_function_tells_all_kinds_of_lists_apart(turn: int) -> None:
    """Each agrees with eager code, in either order, once more, and with a float that varies."""
    fast = tg.jit(weighted)
    for a in (0.5, 0.5, 1.25, 2.5):
        for xs in calls()[::turn]:
            assert check_jit(fast, xs, a, parameters=[Wx])


def test_lists_of_leaves_and_of_what_was_computed() -> None:
    """Both need a gradient, and one program serves both."""
    W, fast = leaf(B, I), tg.jit(weighted)
    for made in ([W, W * 2.0], [W * 2.0, W], [W, W], [W * 2.0, W * 3.0]):
        grads = []
        for f in (weighted, fast):
            total, _ = f([x * 1.0 if x.node else x for x in made], 0.5)
            grads.append(tg.grad(total.sum(), W, retain_graph=True).numpy())
        np.testing.assert_allclose(grads[1], grads[0], rtol=1e-12)
    assert len(fast._entries) == 1


def test_a_list_that_shrinks_and_one_whose_items_change() -> None:
    fast, xs = tg.jit(weighted), items(8, B, I)
    for k in range(7):
        assert check_jit(fast, xs, 0.5, parameters=[Wx])
        xs.pop(k % 3)
    xs = items(5, B, I)
    for anew in (leaf(1, I), leaf(B, I, grad=False), leaf(B, I, seed=9)):
        xs[2] = anew
        assert check_jit(fast, xs, 0.5, parameters=[Wx])
    for x in xs[:2]:
        x.requires_grad = not x.requires_grad
        assert check_jit(fast, xs, 0.5, parameters=[Wx])


def test_a_list_with_gaps_is_gathered_as_well() -> None:
    """Items that are views, read-only, or columns of something."""
    fast, rng = tg.jit(weighted), np.random.default_rng(0)
    whole = rng.standard_normal((6, I, B)), rng.standard_normal((B, 6, I))
    views = [[tg.Tensor(v.T) for v in whole[0]], [tg.Tensor(whole[1][:, t]) for t in range(6)]]
    for v in whole:
        v.flags.writeable = False
    views.append([tg.Tensor(v) for v in whole[0].swapaxes(1, 2)])
    for xs in views:
        assert check_jit(fast, xs, 0.5, parameters=[Wx])


def test_the_item_that_differs_is_named() -> None:
    """In a list of one kind, in one whose last item is of another, and for a float behind it."""
    fast, said = tg.jit(lambda xs, n: sum(xs) * n), list[str]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(16):
            fast([tg.ones(2)] * 3 + [tg.ones(k + 1, 2)], 1)
        said += [str(w.message) for w in caught]
    assert len(said) == 1
    assert "7 times since the argument xs[3] had another shape (float32[2, 2], " in said[0]
