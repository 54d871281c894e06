"""Loops over Python lists of tensors: found and compiled as loops over one array are."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from programs import leaf, loops

import tinygrad_rnn as tg
from tinygrad_rnn.testing import check_jit

B, I, H = 3, 2, 4


def items(T: int, *shape: int, grad: bool = True, seed: int = 7) -> list[Any]:
    return [leaf(*shape, seed=seed + t, grad=grad) for t in range(T)]


def weights(*shapes: tuple[int, ...]) -> list[Any]:
    return [leaf(*shape, seed=100 + k) for k, shape in enumerate(shapes)]


# a loop over a list: each is called with the list, two weights and a first state ------------

Wx, Ws, S0, b = weights((I, H), (H, H), (B, H), (H,))


def textbook(xs: Any) -> Any:
    """S = tanh(x Wx + S Ws), and the sum of all squares."""
    S, total = S0, 0.0
    for x in xs:
        S = tg.tanh(x @ Wx + S @ Ws)
        total = total + (S * S).sum()
    return total


def last(xs: Any) -> Any:
    S = S0
    for x in xs:
        S = tg.tanh(x @ Wx + S @ Ws + b)
    return S


def backwards(xs: Any) -> Any:
    S, out = S0, []
    for x in reversed(xs):
        S = tg.tanh(x @ Wx + S @ Ws)
        out.append(S)
    return tg.stack(out[::-1])


def every_other(xs: Any) -> Any:
    S = S0
    for x in xs[::2]:
        S = tg.tanh(x @ Wx + S @ Ws)
    return S


def pairs(xs: Any) -> Any:
    """x_t and x_{t-1} in one step, in two orders."""
    S = S0
    for x, before in zip(xs[1:], xs[:-1], strict=True):
        S = tg.tanh(x @ Wx - before @ Wx * 0.5 + S @ Ws)
    for before, x in itertools.pairwise(xs):
        S = tg.tanh(before @ Wx * x.sum() + S @ Ws)
    return S


def both_ways(xs: Any) -> Any:
    S = R = S0
    for x, y in zip(xs, xs[::-1], strict=True):
        S, R = tg.tanh(x @ Wx + S @ Ws), tg.tanh(y @ Wx + R @ Ws + b)
    return S * R


def targets(xs: Any) -> Any:
    """Two lists of one loop, made of the one."""
    ys = [x * 2.0 for x in xs]
    S, total = S0, 0.0
    for x, y in zip(xs, ys, strict=True):
        S = tg.tanh(x @ Wx + S @ Ws)
        total = total + tg.square(S @ Ws @ Wx.T - y).mean()
    return total


def states_again(xs: Any) -> Any:
    """A second loop over [h0, h1, ...]."""
    states = [S0]
    for x in xs:
        states.append(tg.tanh(x @ Wx + states[-1] @ Ws))
    R = S0
    for S in states:
        R = tg.tanh(S @ Ws + R * b)
    return R + states[-2]


def also_elsewhere(xs: Any) -> Any:
    """An item in the list, outside the loop, and as a factor of every step."""
    S = S0 + xs[0] @ Wx
    for x in xs:
        S = tg.tanh(x * xs[-1] @ Wx + S @ Ws)
    return S * xs[1].sum()


def mapped(xs: Any) -> Any:
    return tg.stack([tg.tanh(x @ Wx) for x in xs])


def grouped(xs: Any) -> Any:
    """Lists in lists: two items a step."""
    S = S0
    for x, y in [xs[k : k + 2] for k in range(0, len(xs) - 1, 2)]:
        S = tg.tanh(x @ Wx * y.sum() + S @ Ws)
    return S


def part_of_an_item(xs: Any) -> Any:
    S = S0
    for x in xs:
        S = tg.tanh(x[:, :1] * b + x[0] @ Wx + S @ Ws)
    return S


LOOPS: list[Callable[[Any], Any]] = [
    textbook, last, backwards, every_other, pairs, both_ways, targets, states_again,
    also_elsewhere, mapped, grouped, part_of_an_item,
]  # fmt: skip


@pytest.mark.parametrize("T", [2, 3, 5, 11])
@pytest.mark.parametrize("fn", LOOPS, ids=lambda fn: fn.__name__)
def test_lists_agree_with_eager(fn: Any, T: int) -> None:
    """As an argument and closed over; every gradient, those of the items among them."""
    xs = items(T, B, I)
    fast = tg.jit(fn)
    assert check_jit(fast, xs, parameters=[*xs, Wx, Ws, S0, b])
    if T == 11:
        assert loops(fast)
        assert max(loops(fast)) >= 5
    assert check_jit(lambda: fn(xs), parameters=[*xs, Wx, Ws, S0, b])


def test_the_source_holds_no_length() -> None:
    """So a list of another length compiles nothing."""
    fast, sources = tg.jit(textbook), set()
    for T in (5, 50):
        fast(items(T, B, I)).backward()
        sources.add(fast.source)
    assert len(sources) == 1


KINDS: dict[str, Callable[[], list[Any]]] = {
    "no gradients": lambda: items(6, B, I, grad=False),
    "some gradients": lambda: [leaf(B, I, seed=t, grad=t % 3 == 1) for t in range(6)],
    "the first only": lambda: [leaf(B, I, seed=t, grad=t == 0) for t in range(6)],
    "the last only": lambda: [leaf(B, I, seed=t, grad=t == 5) for t in range(6)],
    "an item twice": lambda: [items(6, B, I)[k] for k in (0, 1, 2, 1, 4, 5)],
    "one item only": lambda: [leaf(B, I)] * 6,
    "tuple": lambda: tuple(items(6, B, I)),
    "another shape at the end": lambda: [*items(5, B, I), leaf(1, I)],
}


@pytest.mark.parametrize("fn", [textbook, pairs, mapped], ids=lambda fn: fn.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_lists(fn: Any, kind: str) -> None:
    xs = KINDS[kind]()
    if kind == "another shape at the end" and fn is mapped:
        xs = xs[:-1]  # tg.stack wants one shape
    needed = [x for x in xs if x.requires_grad]
    assert check_jit(lambda: fn(xs), parameters=[*needed, Wx, Ws, S0, b])
    assert check_jit(fn, xs, parameters=[*needed, Wx, Ws, S0, b])


# what belongs to a step besides inputs ----------------------------------------------------------


def deep(Ws: Any, bs: Any) -> Any:
    """Weights and a bias of its own for each step."""
    h = S0
    for W, b in zip(Ws, bs, strict=True):
        h = tg.tanh(h @ W + b)
    return h


def layered(Ws: Any, bs: Any) -> Any:
    """A weight for each layer, a loop over time in each: as many loops as layers."""
    below = items(9, B, H, grad=False)
    for W, b in zip(Ws, bs, strict=True):
        h, states = S0, []
        for x in below:
            h = tg.tanh(x + h @ W + b)
            states.append(h)
        below = states
    return tg.stack(below)


def gates(Ws: Any, bs: Any) -> Any:
    """A cell written with comprehensions over its gates, for one step."""
    z = [S0 @ W + b for W, b in zip(Ws, bs, strict=True)]
    return tg.tanh(z[0]) * z[1] + tg.sigmoid(z[2]) - z[-1]


def linear(Ws: Any, bs: Any) -> Any:
    h = S0
    for W, b in zip(Ws, bs, strict=True):
        h = tg.relu(tg.linear(h, W, b)) + h
    return (h * h).mean()


OWN: list[tuple[Any, int, list[int]]] = [
    (deep, 3, [3]), (deep, 6, [6]), (layered, 3, [9, 9, 9]), (gates, 4, []), (linear, 5, [5]),
]  # fmt: skip


@pytest.mark.parametrize(("fn", "n", "found"), OWN, ids=[f"{f.__name__}-{n}" for f, n, _ in OWN])
def test_weights_in_lists(fn: Any, n: int, found: list[int]) -> None:
    Ws, bs = items(n, H, H), items(n, H, seed=50)
    fast = tg.jit(fn)
    assert check_jit(fast, Ws, bs, parameters=[S0])
    assert loops(fast) == found


def test_large_weights_are_not_copied_into_a_list() -> None:
    """Layers of a perceptron: what gathering them would cost, no loop saves."""
    Ws, bs, fast = items(4, 8, 8), items(4, 8, seed=50), tg.jit(linear_layers)
    assert check_jit(fast, leaf(2, 8), Ws, bs)
    assert loops(fast) == []


def linear_layers(x: Any, Ws: Any, bs: Any) -> Any:
    for W, b in zip(Ws, bs, strict=True):
        x = tg.tanh(tg.linear(x, W, b))
    return x


def gathered(fast: Any) -> list[int]:
    """Sizes of the arrays that lists are gathered in."""
    instrs = [i for i in fast._last.compiled.program.items if hasattr(i, "op")]
    return [len(i.inputs) for i in instrs if i.op.name == "stack"]


SHARED = [(pairs, [9]), (backwards, [9]), (both_ways, [9]), (every_other, [5]), (grouped, [4, 4])]


@pytest.mark.parametrize(("fn", "sizes"), SHARED, ids=[fn.__name__ for fn, _ in SHARED])
def test_columns_of_one_list_share_its_array(fn: Any, sizes: list[int]) -> None:
    fast = tg.jit(fn)
    fast(items(9, B, I))
    assert gathered(fast) == sizes


def test_a_loop_is_not_said_to_be_none() -> None:
    fast = tg.jit(textbook)
    fast(items(9, B, I))
    assert "op by op" not in fast.explain()
