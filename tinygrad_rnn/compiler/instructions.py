"""Make instructions: one op call, or what a rule written in ops does with symbols."""

from collections.abc import Callable, Iterable
from typing import Any

from ..op import OPS
from .capture import Symbol, Tape, trace
from .inference import infer
from .ir import Instr, Value

_PLAIN = (Value, int, float, bool)


def make(op: str, args: Iterable[Any], attrs: dict[str, Any], line: str = "") -> Instr:
    """An instruction with the shape and dtype that its op's rules give."""
    inputs, rule = tuple(args), OPS[op]
    if all(a.__class__ in _PLAIN for a in inputs):
        found = infer(rule, inputs, attrs)
        if not found.casts:
            return Instr(rule, inputs, attrs, Value(found.shape, found.dtype), line)
    tape = Tape(needs_grad=False)
    tape.line = line
    wrapped = [Symbol(a, tape) if isinstance(a, Value) else a for a in inputs]
    tape(rule, wrapped, attrs)
    return tape.instrs[-1]


def traced(instr: Instr, rule: Callable[..., Any]) -> list[Instr]:
    """The instructions that `rule` makes of the instruction's operands; the last has its value."""
    tape = Tape(needs_grad=False)
    tape.line = instr.line
    args = [Symbol(a, tape) if isinstance(a, Value) else a for a in instr.inputs]
    trace(tape, rule, *args, **instr.attrs)
    tape.instrs[-1].out = instr.out
    return tape.instrs
