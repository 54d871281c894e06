"""Common subexpression elimination: compute each value of a step once.

%5 = matmul(%4, %1)          %5 = matmul(%4, %1)
%6 = tanh(%5)                %6 = tanh(%5)
%7 = matmul(%4, %1)      =>  %9 = mul(%6, %6)
%8 = tanh(%7)
%9 = mul(%6, %8)
"""

from typing import Any

from ..ir import Carry, Loop, Program, Value
from ..lowering.table import lowering


def cse(program: Program) -> None:
    """Drop instructions of a loop that repeat an earlier one of the same step."""
    for loop in program.loops:
        _within(loop)


def _within(loop: Loop) -> None:
    seen: dict[Any, Value] = {}
    names: dict[int, Value] = {}
    body = []
    for instr in loop.body:
        inputs = tuple([names.get(id(a), a) if isinstance(a, Value) else a for a in instr.inputs])
        instr.inputs = inputs
        key = (
            instr.op.name,
            tuple([id(a) if isinstance(a, Value) else (type(a), a) for a in inputs]),
            repr(sorted(instr.attrs.items())),
        )
        if key in seen and not lowering(instr.op).numbers_draws:
            names[id(instr.out)] = seen[key]
        else:
            seen[key] = instr.out
            body.append(instr)
    loop.body = body
    for p in loop.params:
        if isinstance(p, Carry):
            p.of = names.get(id(p.of), p.of)
    for r in loop.results:
        r.values = tuple([names.get(id(v), v) for v in r.values])
