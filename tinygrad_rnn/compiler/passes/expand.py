"""Expand ops without code of their own into ops that have it.

    %5 = softmax(%4, axis=0)     =>  %6 = max(%4, axis=0, keepdims=True)
                                     %7 = sub(%4, %6)
                                     %8 = exp(%7)
                                     %9 = sum(%8, axis=0, keepdims=True)
                                     %5 = div(%8, %9)

Some before differentiation, so that no gradient rule meets them; the rest after it: the rule of
softmax is better than what its parts would give.
"""

from collections.abc import Callable
from typing import Any

from ...errors import DTypeError
from ..capture import Symbol, Tape, trace
from ..ir import Instr, Program, Value
from ..lowering.pointwise import composite, scalar_rule
from ..lowering.table import lowering


def expand_early(program: Program) -> None:
    """Expand ops that must be gone before differentiation."""
    for loop in program.loops:
        loop.body = [e for i in loop.body for e in _expanded(i, early=True)]


def expand(program: Program) -> None:
    """Expand all other ops without code, and pointwise ops that are written in others."""
    for loop in program.loops:
        loop.body = [e for i in loop.body for e in _expanded(i)]


def _expanded(instr: Instr, early: bool = False) -> list[Instr]:
    rule = _rule(instr, early)
    if rule is None:
        return [instr]
    try:
        made = _traced(instr, rule)
    except Exception:
        if rule is not instr.op.fn:
            raise
        return [instr]  # a scalar rule that is for numbers alone: the row says what it lacks
    return [e for i in made for e in _expanded(i, early)]


def _traced(instr: Instr, rule: Callable[..., Any]) -> list[Instr]:
    """The instructions that `rule` makes of the instruction's operands, up to its value."""
    tape = Tape(needs_grad=False)
    tape.line = instr.line
    args = [Symbol(a, tape) if isinstance(a, Value) else a for a in instr.inputs]
    y, out = trace(tape, rule, *args, **instr.attrs), instr.out
    last = [i.out for i in tape.instrs].index(y.value)  # what it does besides is of no use
    if (y.shape, y.dtype) != (out.shape, out.dtype):
        raise DTypeError(f"{instr.op.name}: on symbols its rule gives {y.value}, else {out}")
    tape.instrs[last].out = out
    return tape.instrs[: last + 1]


def _rule(instr: Instr, early: bool) -> Callable[..., Any] | None:
    """How an instruction is written in other ops, if it has to be."""
    row = lowering(instr.op)
    if early and not row.early:
        return None
    if row.expand is not None:
        return row.expand if row.expands(instr) else None
    return instr.op.fn if row.element is scalar_rule and composite(instr.op) else None
