"""Recordings and programs of a few lines, run op by op in float64."""

import re
from typing import Any

import numpy as np

from tinygrad_rnn.compiler.inference import make
from tinygrad_rnn.compiler.ir import Instr, Loop, Program, Value
from tinygrad_rnn.compiler.passes.verify import Verifier
from tinygrad_rnn.compiler.runtime.interpret import run_instr, run_loop


def value(*shape: int) -> Value:
    return Value(shape, np.float64)


class Recording:
    """A flat list of op calls, as capture leaves it."""

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.instrs: list[Instr] = []

    def input(self, *shape: int) -> Value:
        self.inputs.append(value(*shape))
        return self.inputs[-1]

    def __call__(self, op: str, *inputs: Any, **attrs: Any) -> Value:
        self.instrs.append(make(op, inputs, attrs, "net.py:3"))
        return self.instrs[-1].out


def arrays(inputs: list[Value], seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, v.shape) for v in inputs]


def computed(program: Program, given: list[Any]) -> list[Any]:
    """The outputs of a program that the verifier accepts."""
    Verifier().check(program)
    values = {id(v): a for v, a in zip(program.inputs, given, strict=True)}
    for item in program.items:
        run_loop(item, values) if isinstance(item, Loop) else run_instr(item, values)
    return [values[id(v)] for v in program.outputs]


def lines(program: Program) -> list[str]:
    """The program as printed, without its inputs, the types, and where objects lie."""
    text = re.sub(r"<[\w.]*\b(\w+) object at \w+>", r"<\1>", str(program))
    return [re.sub(r" +\w+\[[\d, ]*\]$", "", line) for line in text.splitlines()[1:]]
