"""Differentiate: the backward programs of small loops, against finite differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.ir_programs import arrays, computed, lines, value
from tinygrad_rnn.compiler.inference import make
from tinygrad_rnn.compiler.ir import Carry, Loop, Program, Result, Slice, Value
from tinygrad_rnn.compiler.needs import propagate_needs
from tinygrad_rnn.compiler.passes.differentiate import differentiate

T, B, H = 5, 2, 3
STEP = 1e-5


class Net:
    """A program while it is written: inputs that need a gradient, at most one loop."""

    def __init__(self) -> None:
        self.program = Program([], [], [])

    def input(self, *shape: int) -> Value:
        self.program.inputs.append(value(*shape))
        self.program.inputs[-1].needs = True
        return self.program.inputs[-1]

    def loop(self, reverse: bool = False) -> Loop:
        self.program.items.append(Loop(T, reverse))
        return self.program.loops[-1]

    def __call__(self, op: str, *inputs: Any, **attrs: Any) -> Value:
        """Append an op: to the loop, if there is one without results."""
        instr = make(op, inputs, attrs)
        last = self.program.items[-1] if self.program.items else None
        inside = isinstance(last, Loop) and not last.results
        (last.body if inside else self.program.items).append(instr)  # type: ignore[union-attr]
        return instr.out


def taken(loop: Loop, source: Value, start: int = 0, stride: int = 1) -> Value:
    loop.params.append(Slice(value(*source.shape[1:]), source, start, stride))
    return loop.params[-1].out


def carried(loop: Loop, *first: Any, shape: tuple[int, ...] = (B, H)) -> Carry:
    loop.params.append(Carry(value(*shape), value(*shape), len(first), first))
    return loop.params[-1]  # type: ignore[return-value]


def differentiated(write: Callable[[Net], list[Value]]) -> Program:
    """The backward program, behind the forward it belongs to: outputs are the gradients."""
    net = Net()
    net.program.outputs = write(net)
    propagate_needs(net.program)
    inputs, outputs = net.program.inputs, net.program.outputs
    seeds = [value(*y.shape) for y in outputs]
    items, grads = differentiate(net.program, list(zip(outputs, seeds, strict=True)), inputs)
    assert None not in grads
    return Program(inputs + seeds, net.program.items + items, [g for g in grads if g])


def check(write: Callable[[Net], list[Value]]) -> None:
    """Compare the gradients with finite differences of the outputs, weighted by the seeds."""
    net = Net()
    net.program.outputs = write(net)
    program = differentiated(write)
    given = arrays(program.inputs)
    n = len(net.program.inputs)

    def weighted(inputs: list[Any]) -> float:
        pairs = zip(computed(net.program, inputs), given[n:], strict=True)
        return float(sum([(y * g).sum() for y, g in pairs]))

    for k, grad in enumerate(computed(program, given)):
        assert grad.shape == given[k].shape
        for at in np.ndindex(given[k].shape):
            ends = []
            for sign in (1, -1):
                moved = [a.copy() for a in given[:n]]
                moved[k][at] += sign * STEP
                ends.append(weighted(moved))
            assert abs((ends[0] - ends[1]) / (2 * STEP) - grad[at]) < 1e-7, (k, at)


def shared_weight(net: Net) -> list[Value]:
    x, W, h0 = net.input(T, B, H), net.input(H, H), net.input(B, H)
    loop = net.loop()
    x_t, state = taken(loop, x), carried(loop, h0)
    y = state.of = net("tanh", net("add", x_t, net("matmul", state.out, W)))
    return [loop.result("stack", (y,))]


def last_step_first(net: Net) -> list[Value]:
    x, h0 = net.input(T, B, H), net.input(B, H)
    loop = net.loop(reverse=True)
    x_t, state = taken(loop, x), carried(loop, h0)
    y = state.of = net("tanh", net("add", x_t, state.out))
    return [loop.result("stack", (y,)), loop.result("final", (y,))]


def two_steps_ago(net: Net) -> list[Value]:
    a, b = net.input(B, H), net.input(B, H)
    loop = net.loop()
    before, now = carried(loop, a, b), carried(loop, b)
    y = before.of = now.of = net("tanh", net("mul", now.out, before.out))
    return [loop.result("final", (y,)), loop.result("final", (y,), 1)]


def every_other_row_backwards(net: Net) -> list[Value]:
    x = net.input(2 * T, B, H)
    loop = net.loop()
    y = net("square", taken(loop, x, 2 * T - 1, -2))
    return [loop.result("stack", (y,))]


def one_row_at_every_step(net: Net) -> list[Value]:
    x, h0 = net.input(3, B, H), net.input(B, H)
    loop = net.loop()
    row, state = taken(loop, x, 1, 0), carried(loop, h0)
    y = state.of = net("mul", row, state.out)
    return [loop.result("final", (y,))]


def the_last_state_twice(net: Net) -> list[Value]:
    """As `cse` leaves it, of two equal values."""
    x = net.input(T, B, H)
    loop = net.loop()
    y = net("square", taken(loop, x))
    loop.results += [Result("final", (y,), value(B, H)) for _ in range(2)]
    return [r.out for r in loop.results]


def a_bias(net: Net) -> list[Value]:
    x, b = net.input(T, B, H), net.input(H)
    loop = net.loop()
    y = net("exp", net("add", taken(loop, x), b))
    return [loop.result("total", (y,))]


def the_state_before_the_last(net: Net) -> list[Value]:
    x = net.input(T, B, H)
    loop = net.loop()
    y = net("square", taken(loop, x))
    return [loop.result("final", (y,), 1)]


def pieces_of_a_value(net: Net) -> list[Value]:
    x, W = net.input(T, B, 2 * H), net.input(2 * H, 2)
    loop = net.loop()
    x_t = taken(loop, x)
    halves = [net("index", x_t, key=(slice(None), slice(k, k + H))) for k in (0, H)]
    rows = [net("index", W, key=(slice(k, k + H),)) for k in (0, H)]
    products = [net("matmul", a, b) for a, b in zip(halves, rows, strict=True)]
    return [loop.result("total", (net("mul", *products),))]


def before_and_after(net: Net) -> list[Value]:
    x, h0 = net.input(T, B, H), net.input(B, H)
    source, first = net("square", x), net("exp", h0)
    loop = net.loop()
    x_t, state = taken(loop, source), carried(loop, first)
    y = state.of = net("tanh", net("add", x_t, state.out))
    states = loop.result("stack", (y,))
    return [net("sum", states, axis=(0, 2), keepdims=False)]


NETS = [
    shared_weight, last_step_first, two_steps_ago, every_other_row_backwards,
    one_row_at_every_step, the_last_state_twice, a_bias, the_state_before_the_last, pieces_of_a_value,
    before_and_after,
]  # fmt: skip


@pytest.mark.parametrize("write", NETS, ids=lambda write: write.__name__)
def test_gradients_are_those_of_finite_differences(write: Any) -> None:
    check(write)


def test_a_shared_weight_gets_one_product_over_all_steps() -> None:
    assert lines(differentiated(shared_weight))[8:] == [
        "loop of 5 steps, last step first:",
        "    %12 = carry %11, from zeros",
        "    %13 = %3[t]",
        "    %14 = %9[t]",
        "    %15 = %10[t]",
        "    %16 = add(%12, %13)",
        "    %17 = mul(%14, %14)",
        "    %18 = sub(1, %17)",
        "    %19 = mul(%16, %18)",
        "    %20 = permute_dims(%19, axes=(1, 0))",
        "    %21 = permute_dims(%1, axes=(1, 0))",
        "    %11 = sum_of_products(%20, %21)",
        "    -> %22 = stack of %19",
        "    -> %23 = product of %15, %19",
        "    -> %24 = final of %11",
        "outputs: %22, %23, %24",
    ]


def test_what_is_carried_two_steps_gets_its_gradient_two_steps_later() -> None:
    text = lines(differentiated(two_steps_ago))
    back = text.index("loop of 5 steps, last step first:")
    assert [line.partition("= ")[2] for line in text[back + 1 : back + 3]] == [
        "carry %13, 2 steps ago, from %2, %3",
        "carry %15, from zeros",
    ]


def test_a_detached_state_passes_a_gradient_to_the_first_alone() -> None:
    def write(net: Net) -> list[Value]:
        x, h0 = net.input(T, B, H), net.input(B, H)
        loop = net.loop()
        x_t, state = taken(loop, x), carried(loop, h0)
        y = net("mul", x_t, state.out)
        state.of = net("detach", y)
        return [loop.result("stack", (y,))]

    program = differentiated(write)
    x, h0, g = arrays(program.inputs)
    of_x, of_h0 = computed(program, [x, h0, g])
    states = h0 * np.cumprod(x, 0)
    assert np.allclose(of_x, g * np.concatenate([h0[None], states[:-1]]), rtol=1e-14)
    assert np.array_equal(of_h0, g[0] * x[0])


def test_what_no_output_depends_on_gets_none() -> None:
    net = Net()
    x, b, c = net.input(T, B, H), net.input(H), net.input(H)
    net.input(T, B, H).needs = False
    loop = net.loop()
    y = net("mul", taken(loop, x), b)
    z = net("mul", y, c)
    net.program.outputs = [loop.result("stack", (y,)), loop.result("stack", (z,))]
    propagate_needs(net.program)
    seed = (net.program.outputs[0], value(T, B, H))
    _, grads = differentiate(net.program, [seed], [x, None, c])
    assert [g is not None for g in grads] == [True, False, False]
    assert differentiate(net.program, [], [x]) == ([], [None])
