"""Loops that read windows, diagonals and past states of one array or list, and those that are none."""

from typing import Any

import pytest
from programs import leaf, loops, op_by_op

import tinygrad_rnn as tg
from tinygrad_rnn.testing import check_jit

B, I, H = 3, 2, 4
Wx, Ws, S0 = leaf(I, H, seed=100), leaf(H, H, seed=101), leaf(B, H, seed=102)


def windows(x: Any, W: Any) -> Any:
    """Three steps of the input at a time, that overlap by two."""
    h = S0
    for t in range(x.shape[0] - 2):
        h = tg.tanh(x[t : t + 3].sum(axis=0) @ W + h @ Ws)
    return h


def windows_backwards(x: Any, W: Any) -> Any:
    h, states = S0, [S0]
    for t in range(x.shape[0] - 3, -1, -1):
        h = tg.tanh(x[t : t + 3].mean(axis=0) @ W + h @ Ws)
        states.append(h)
    return tg.stack(states)


def windows_of_columns(x: Any, W: Any) -> Any:
    """Batch first, and a window along the second axis."""
    y, h = x.permute_dims(1, 0, 2), S0
    for t in range(y.shape[1] - 1):
        h = tg.tanh(y[:, t : t + 2, :].reshape(B, 2 * I) @ tg.concat([W, W], axis=0) + h @ Ws)
    return h


def pieces(x: Any, W: Any) -> Any:
    """Windows side by side, and one that stays."""
    h, total = S0, 0.0
    for t in range(0, x.shape[0] - 1, 2):
        h = tg.tanh(x[t : t + 2].sum(axis=0) @ W + h @ Ws + x[0:2].sum(axis=0) @ W)
        total = total + h[:, 1:3].sum()
    return total


def convolved(x: Any, W: Any) -> Any:
    """A window at a time, no state."""
    return tg.stack([tg.tanh(x[t : t + 2].sum(axis=0) @ W) for t in range(x.shape[0] - 1)])


def diagonal(x: Any, W: Any) -> Any:
    """Two indices that move, apart from each other and side by side, one of them down."""
    n = min(x.shape[0], B)
    square = tg.concat([x[:n, :n].permute_dims(2, 0, 1)] * 4, axis=1)  # (I, 4 n, n)
    wide = tg.concat([square] * 4, axis=2)
    h, last = S0, 4 * n - 1
    for t in range(4 * n):
        h = tg.tanh(wide[:, t, last - t].sum() + wide[0, t, t] * wide[t % 1, t].sum() + h @ Ws)
    return h


def windows_of_states(x: Any, W: Any) -> Any:
    """The last three states at each step, from a list that grows."""
    states = [S0, S0 * 0.5, S0 * 0.1]
    for x_t in x:
        context = tg.stack(states[-3:]).mean(axis=0)
        states.append(tg.tanh(x_t @ W + context @ Ws))
    return tg.stack(states[3:])


MOVING: list[Any] = [
    windows, windows_backwards, windows_of_columns, pieces, convolved, diagonal, windows_of_states,
]  # fmt: skip


@pytest.mark.parametrize("T", [3, 5, 12])
@pytest.mark.parametrize("fn", MOVING, ids=lambda fn: fn.__name__)
def test_windows_and_diagonals(fn: Any, T: int) -> None:
    x, fast = leaf(T, B, I), tg.jit(fn)
    assert check_jit(fast, x, Wx, parameters=[S0, Ws])
    if T == 12:
        fast(x, Wx)
        assert max(loops(fast)) >= 5
        assert not op_by_op(fast)


def growing(x: Any, W: Any) -> Any:
    """Attention over all past states: their number grows."""
    states = [S0]
    for x_t in x:
        past = tg.stack(states, axis=1)  # (B, t, H)
        scores = tg.softmax((past * states[-1][:, None]).sum(axis=2), axis=1)
        states.append(tg.tanh((scores[:, :, None] * past).sum(axis=1) @ Ws + x_t @ W))
    return tg.stack(states)


def irregular(x: Any, W: Any) -> Any:
    """A state of any earlier step."""
    states = [S0]
    for x_t, k in zip(x, (0, 0, 2, 1, 3, 0, 6, 2, 5), strict=True):
        states.append(tg.tanh(x_t @ W + states[k] @ Ws))
    return states[-1]


@pytest.mark.parametrize(
    ("fn", "words"), [(growing, "stack gives another shape"), (irregular, "follows no pattern")]
)
def test_what_is_no_loop_runs_op_by_op_and_says_why(fn: Any, words: str) -> None:
    x, fast = leaf(9, B, I), tg.jit(fn)
    assert check_jit(fast, x, Wx, parameters=[S0, Ws])
    lines = [line for line in fast.explain().splitlines() if words in line]
    assert lines
    assert all("test_windows.py:" in line for line in lines)
