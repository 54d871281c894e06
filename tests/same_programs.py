"""Loops as people write them, each a program that the compiler once computed wrongly.

python tests/same_programs.py            # check all, in the mode Numba is in
"""

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.testing import check_jit

T, B, H = 8, 2, 3
PROGRAMS: dict[str, Callable[[Any], Any]] = {}


def program(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Enter a program: it reads the tensors of `given` and returns its results."""
    PROGRAMS[fn.__name__] = fn
    return fn


def given() -> Any:
    """What the programs work on; all that is float64 requires a gradient."""
    rng = np.random.default_rng(0)

    def learnable(*shape: int) -> Any:
        return tg.tensor(0.5 * rng.standard_normal(shape), requires_grad=True)

    return SimpleNamespace(
        x=learnable(T, B, H), W=learnable(H, H), U=learnable(H, H), b=learnable(H),
        h0=learnable(B, H), s0=learnable(B, H), mask=tg.tensor(rng.random((T, B, H)) > 0.5),
        bits=tg.tensor(rng.random((T, B, H)) > 0.5),
    )  # fmt: skip


def check(name: str) -> None:
    """Results, gradients of all learnable tensors, and which of them are None."""
    g = given()
    parameters = [v for v in vars(g).values() if v.requires_grad]
    try:
        check_jit(lambda: PROGRAMS[name](g), parameters=parameters)
    except Exception as error:
        raise AssertionError(f"{name}: {error}") from error


@program
def two_states_of_one_value(g: Any) -> Any:
    y, h = g.s0, g.h0
    for _ in range(T):
        h = tg.tanh(y @ g.W + h @ g.U + g.b)
        y = h
    return h


@program
def decoder_fed_its_own_state(g: Any) -> Any:
    y, h, out = tg.zeros(B, H, dtype="float64"), g.h0, []
    for t in range(T):
        h = tg.tanh(y @ g.W + h @ g.U + g.x[t])
        y = h
        out.append(h)
    return tg.stack(out)


@program
def zeros_of_both_signs(g: Any) -> Any:
    h, out = g.h0, []
    for z in [0.0, -0.0, 0.0, 0.0, -0.0, -0.0, 0.0, -0.0]:
        up, down = tg.copysign(h, 0.0), tg.copysign(h, -0.0)
        h = tg.tanh(h @ g.W + tg.copysign(g.s0, z) + tg.square(up - down))
        out.append(h)
    return tg.stack(out)


@program
def no_grad_in_the_first_steps(g: Any) -> Any:
    h, out = g.h0, []
    for t in range(T):
        with nullcontext() if t >= 4 else tg.no_grad():
            h = tg.tanh(g.x[t] @ g.W + h @ g.U)
        out.append(h)
    return out[-1], tg.stack(out[4:])


@program
def no_grad_in_the_last_steps(g: Any) -> Any:
    h, total = g.h0, 0.0
    for t in range(T):
        with nullcontext() if t < 4 else tg.no_grad():
            h = tg.tanh(g.x[t] @ g.W + h @ g.U)
        total = total + (h * g.b).sum()
    return total


@program
def no_grad_around_a_part_of_each_step(g: Any) -> Any:
    h = g.h0
    for t in range(T):
        with tg.no_grad():
            gate = tg.sigmoid(g.x[t] @ g.W)
        h = gate * h + (1 - gate) * tg.tanh(h @ g.U)
    return h


@program
def one_expression_twice(g: Any) -> Any:
    h = g.h0
    for t in range(T):
        a = tg.tanh(g.x[t] + h @ g.W)
        b = tg.tanh(g.x[t] + h @ g.W)
        h = a
    return (a * a).sum() + b.sum()


@program
def learnable_start_of_a_detached_state(g: Any) -> Any:
    h, total = g.h0, 0.0
    for t in range(T):
        h = tg.tanh(g.x[t] @ g.W + h @ g.U)
        total = total + (h * h).sum()
        h = h.detach()
    return total


@program
def a_number_by_step_beside_a_mask(g: Any) -> Any:
    h = g.h0
    for t in range(T):
        h = tg.where(g.mask[t], 0.1 * t, tg.tanh(h @ g.W))
    return h


@program
def numbers_by_step_in_many_places(g: Any) -> Any:
    h = g.h0
    for t in range(T):
        decay = tg.exp(-0.1 * t)  # of a number a number
        h = tg.where(g.x[t] > 0.1 * t, h, -0.1 * t) * decay
        h = tg.where(t % 3 != 0, h, h * 0.5)
    return h


@program
def a_number_to_the_power_of_a_tensor(g: Any) -> Any:
    h = g.h0
    for t in range(T):
        h = 2.0 ** tg.tanh(h @ g.W) + g.x[t]
    return h


@program
def dropout_that_nobody_reads(g: Any) -> Any:
    tg.dropout(g.b)
    h = g.h0
    for t in range(T):
        tg.dropout(h, 0.4)
        h = tg.tanh(g.x[t] + h @ g.U)
    return tg.dropout(h)


@program
def no_rows_in_the_batch(g: Any) -> Any:
    h = g.h0[:0]
    for t in range(T):
        h = tg.tanh(g.x[t, :0] @ g.W + h @ g.U)
    return h, h.sum()


@program
def mean_of_states_and_a_weighted_sum(g: Any) -> Any:
    h, total, out = g.h0, 0.0, []
    for t in range(T):
        h = tg.tanh(g.x[t] @ g.W + h @ g.U)
        out.append(h)
        total = total + g.x[t, 0, 0] * h
    return tg.stack(out).mean(axis=0), total


@program
def how_many_are_positive(g: Any) -> Any:
    h, n, m = g.h0, 0, 0
    for t in range(T):
        h = tg.tanh(g.x[t] @ g.W + h @ g.U)
        n = n + tg.sum(h > 0, axis=1)
        m = m + tg.sum(g.x[t] > 0)
    return h, n, m


@program
def sums_of_truth_values(g: Any) -> Any:
    n, out = g.bits[0], []
    for t in range(T):
        n = (n + g.bits[t]) * g.mask[t] + (n * 2 > g.bits[t])
        out.append(n)
    return n, tg.stack(out).sum(axis=0), n + 2


def whole_numbers(dtype: str) -> Callable[[Any], Any]:
    """A sum that wraps around, each step's numbers, their sum, and as weights of a state."""

    def fn(g: Any) -> Any:
        a = n = tg.tensor(np.array([[1, 2, 3], [100, 120, 7]]).astype(dtype))
        h, out = g.h0, []
        for _ in range(T):
            n = n * 3 + a
            h = tg.tanh(h * 0.3 * a + (n > 40))
            out.append(n)
        return n, h, tg.stack(out), tg.stack(out).sum(axis=0)

    fn.__name__ = f"whole_numbers_{dtype}"
    return fn


for each in ("i1", "u1", "<i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u2"):
    program(whole_numbers(each))


@program
def bytes_in_the_other_order(g: Any) -> Any:
    scale = np.linspace(0.1, 1, B * H).reshape(B, H).astype(">f8")
    start = tg.tensor(scale)
    h = start + g.h0
    for t in range(T):
        h = tg.tanh(h * scale + g.x[t])
    return h


if __name__ == "__main__":
    for name in PROGRAMS:
        check(name)
    print(f"{len(PROGRAMS)} programs agree with eager execution")
