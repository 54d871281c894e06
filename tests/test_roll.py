"""Roll: which repeated steps of a recording become loops, and what the program then says."""

import textwrap
from collections.abc import Callable

import numpy as np
import pytest

from tests.ir_programs import Recording, arrays, computed, lines
from tinygrad_rnn.compiler.ir import Program, Value
from tinygrad_rnn.compiler.passes.roll import roll
from tinygrad_rnn.ops.random import Generator

T, B, H = 6, 2, 3
Net = Callable[[Recording], list[Value]]


def rolled(net: Net) -> list[str]:
    """The rolled program as text, once it computes what the recording does."""
    recording = Recording()
    outputs = net(recording)
    flat = Program(recording.inputs, list(recording.instrs), outputs)
    given = arrays(recording.inputs)
    expected = computed(flat, given)
    program = roll(recording.inputs, recording.instrs, outputs)
    for y, wanted in zip(computed(program, given), expected, strict=True):
        assert (y.shape, y.tobytes()) == (wanted.shape, wanted.tobytes())
    return lines(program)


def one_state(op: Recording) -> list[Value]:
    x, h = op.input(T, B), op.input(B)
    for t in range(T):
        h = op("tanh", op("add", op("index", x, key=(t,)), h))
    return [h]


def all_states(op: Recording) -> list[Value]:
    x, h = op.input(T, B), op.input(B)
    states = []
    for t in range(T):
        states.append(h := op("add", op("index", x, key=(t,)), h))
    return [op("stack", *states, axis=1)]


def from_the_end(op: Recording) -> list[Value]:
    x, h = op.input(T, B), op.input(B)
    states = []
    for t in reversed(range(T)):
        states.append(h := op("add", op("index", x, key=(t,)), h))
    return [op("stack", *states, axis=0)]


def every_other_row(op: Recording) -> list[Value]:
    x, h = op.input(2 * T, B), op.input(B)
    for t in range(T):
        h = op("add", op("index", x, key=(2 * t + 1,)), h)
    return [h]


def two_states_of_one_value(op: Recording) -> list[Value]:
    y, h = op.input(B), op.input(B)
    for _ in range(T):
        y = h = op("tanh", op("add", y, op("neg", h)))
    return [h]


def two_loops(op: Recording) -> list[Value]:
    x, h, s = op.input(T, B), op.input(B), op.input(B)
    states = []
    for t in range(T):
        states.append(h := op("add", op("index", x, key=(t,)), h))
    for h in states:
        s = op("mul", h, s)
    return [s]


def the_state_before_the_last(op: Recording) -> list[Value]:
    a, b = op.input(B), op.input(B)
    for _ in range(T):
        a, b = b, op("sub", b, a)
    return [b, a]


def numbers_that_vary(op: Recording) -> list[Value]:
    h = op.input(B)
    for t in range(T):
        h = op("mul", h, 0.5 + t)
    return [h]


def a_list_of_inputs(op: Recording) -> list[Value]:
    xs, h = [op.input(B) for _ in range(T)], op.input(B)
    for x in xs:
        h = op("add", x, h)
    return [h]


def a_state_on_the_way(op: Recording) -> list[Value]:
    h = op.input(B)
    states = [h := op("tanh", h) for _ in range(T)]
    return [h, states[2]]


def a_skipped_row(op: Recording) -> list[Value]:
    x, h = op.input(9, B), op.input(B)
    for t in [0, 1, 2, 3, 5, 6, 7, 8]:
        h = op("add", op("index", x, key=(t,)), h)
    return [h]


def another_op_in_one_step(op: Recording) -> list[Value]:
    h = op.input(B)
    for t in range(9):
        h = op("exp" if t == 4 else "tanh", h)
    return [h]


def windows(op: Recording) -> list[Value]:
    x, h = op.input(T + 2, B), op.input(3, B)
    for t in range(T):
        h = op("add", h, op("index", x, key=(slice(t, t + 3),)))
    return [h]


def random_numbers(op: Recording) -> list[Value]:
    generator, h = Generator(1), op.input(B)
    for _ in range(T):
        h = op("drop", h, op("draw", generator=generator), p=0.5)
    return [h]


def no_states(op: Recording) -> list[Value]:
    x = op.input(T, B)
    return [op("stack", *[op("exp", op("index", x, key=(t,))) for t in range(T)], axis=0)]


LOOPS: dict[Net, str] = {
    one_state: """
        loop of 6 steps:
            %2 = %0[t]
            %4 = carry %3, from %1
            %5 = index(%2, key=())
            %6 = add(%5, %4)
            %3 = tanh(%6)
            -> %7 = final of %3
        outputs: %7""",
    all_states: """
        loop of 6 steps:
            %2 = %0[t]
            %4 = carry %3, from %1
            %5 = index(%2, key=())
            %3 = add(%5, %4)
            -> %6 = stack of %3
        %7 = permute_dims(%6, axes=(1, 0))
        outputs: %7""",
    from_the_end: """
        loop of 6 steps, last step first:
            %2 = %0[t]
            %4 = carry %3, from %1
            %5 = index(%2, key=())
            %3 = add(%5, %4)
            -> %6 = stack of %3
        %7 = flip(%6, axis=0)
        outputs: %7""",
    every_other_row: """
        loop of 6 steps:
            %2 = %0[1 + 2 * t]
            %4 = carry %3, from %1
            %5 = index(%2, key=())
            %3 = add(%5, %4)
            -> %6 = final of %3
        outputs: %6""",
    two_states_of_one_value: """
        loop of 6 steps:
            %3 = carry %2, from %1
            %4 = carry %2, from %0
            %5 = neg(%3)
            %6 = add(%4, %5)
            %2 = tanh(%6)
            -> %7 = final of %2
        outputs: %7""",
    two_loops: """
        loop of 6 steps:
            %3 = %0[t]
            %5 = carry %4, from %1
            %6 = index(%3, key=())
            %4 = add(%6, %5)
            -> %7 = stack of %4
        loop of 6 steps:
            %8 = %7[t]
            %10 = carry %9, from %2
            %9 = mul(%8, %10)
            -> %11 = final of %9
        outputs: %11""",
    the_state_before_the_last: """
        loop of 6 steps:
            %3 = carry %2, from %1
            %4 = carry %2, 2 steps ago, from %0, %1
            %2 = sub(%3, %4)
            -> %5 = final of %2
            -> %6 = final of %2, 1 step ago
        outputs: %5, %6""",
    numbers_that_vary: """
        %1 = literal(values=(0.5, 1.5, 2.5, 3.5, 4.5, 5.5), dtype=dtype('float64'))
        loop of 6 steps:
            %3 = carry %2, from %0
            %4 = %1[t]
            %2 = mul(%3, %4)
            -> %5 = final of %2
        outputs: %5""",
    a_list_of_inputs: """
        %7 = stack(%0, %1, %2, %3, %4, %5, axis=0)
        loop of 6 steps:
            %8 = %7[t]
            %10 = carry %9, from %6
            %9 = add(%8, %10)
            -> %11 = final of %9
        outputs: %11""",
    a_state_on_the_way: """
        loop of 6 steps:
            %2 = carry %1, from %0
            %1 = tanh(%2)
            -> %3 = final of %1
            -> %4 = stack of %1
        %5 = index(%4, key=(2,))
        outputs: %3, %5""",
    a_skipped_row: """
        loop of 4 steps:
            %2 = %0[t]
            %4 = carry %3, from %1
            %5 = index(%2, key=())
            %3 = add(%5, %4)
            -> %6 = final of %3
        loop of 4 steps:
            %7 = %0[5 + t]
            %9 = carry %8, from %6
            %10 = index(%7, key=())
            %8 = add(%10, %9)
            -> %11 = final of %8
        outputs: %11""",
    another_op_in_one_step: """
        loop of 4 steps:
            %2 = carry %1, from %0
            %1 = tanh(%2)
            -> %3 = final of %1
        %4 = exp(%3)
        loop of 4 steps:
            %6 = carry %5, from %4
            %5 = tanh(%6)
            -> %7 = final of %5
        outputs: %7""",
    windows: """
        %2 = windows(%0, axis=0, start=0, stride=1, length=3, count=6)
        loop of 6 steps:
            %3 = %2[t]
            %5 = carry %4, from %1
            %6 = index(%3, key=())
            %4 = add(%5, %6)
            -> %7 = final of %4
        outputs: %7""",
    random_numbers: """
        %1 = draws(generators=(<Generator>,), count=6, reverse=False)
        loop of 6 steps:
            %3 = carry %2, from %0
            %4 = %1[t]
            %5 = index(%4, key=(0,))
            %2 = drop(%3, %5, p=0.5)
            -> %6 = final of %2
        outputs: %6""",
    no_states: """
        loop of 6 steps:
            %1 = %0[t]
            %2 = index(%1, key=())
            %3 = exp(%2)
            -> %4 = stack of %3
        outputs: %4""",
}


@pytest.mark.parametrize("net", LOOPS, ids=lambda net: net.__name__)
def test_loops_are_found(net: Net) -> None:
    assert rolled(net) == textwrap.dedent(LOOPS[net]).splitlines()[1:]


def two_steps(op: Recording) -> list[Value]:
    return [op("tanh", op("tanh", op.input(B)))]


def rows_in_no_order(op: Recording) -> list[Value]:
    x, h = op.input(9, B), op.input(B)
    for t in [0, 1, 5, 4, 2, 8, 7]:
        h = op("add", op("index", x, key=(t,)), h)
    return [h]


def a_state_that_grows(op: Recording) -> list[Value]:
    x, h = op.input(T, B), op.input(1, B)
    for t in range(T):
        h = op("concat", h, op("index", x, key=(slice(t, t + 1),)), axis=0)
    return [h]


def attributes_in_no_order(op: Recording) -> list[Value]:
    x = op.input(B, B)
    for axis in (0, 1, 1, 0, 0, 0, 1):
        x = op("flip", x, axis=axis)
    return [x]


def zeros_of_two_signs(op: Recording) -> list[Value]:
    xs = [op("literal", values=(zero,), dtype=np.dtype(float)) for zero in (0.0, -0.0, -0.0, 0.0)]
    return [op("concat", *xs, axis=0)]


def layers_with_large_weights(op: Recording) -> list[Value]:
    """To copy them into one array costs more than a loop saves."""
    h = op.input(B, 5)
    for _ in range(T):
        h = op("matmul", h, op.input(5, 5))
    return [h]


@pytest.mark.parametrize(
    "net",
    [
        two_steps,
        rows_in_no_order,
        a_state_that_grows,
        attributes_in_no_order,
        zeros_of_two_signs,
        layers_with_large_weights,
    ],
    ids=lambda net: net.__name__,
)
def test_no_loop_is_found(net: Net) -> None:
    assert not [line for line in rolled(net) if line.startswith("loop")]


def test_numbers_that_vary_by_their_sign() -> None:
    def net(op: Recording) -> list[Value]:
        h = op.input(B)
        return [op("stack", *[op("mul", h, z) for z in (0.0, 0.0, -0.0, 0.0)], axis=0)]

    assert "loop of 4 steps:" in rolled(net)


def test_layers_with_small_weights_are_steps() -> None:
    def net(op: Recording) -> list[Value]:
        h = op.input(8, 5)
        for _ in range(T):
            h = op("matmul", h, op.input(5, 5))
        return [h]

    assert "loop of 6 steps:" in rolled(net)
