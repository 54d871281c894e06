"""Common subexpression elimination: compute each value of a step once.

%5 = matmul(%4, %1)          %5 = matmul(%4, %1)
%6 = tanh(%5)                %6 = tanh(%5)
%7 = matmul(%4, %1)      =>  %9 = mul(%6, %6)
%8 = tanh(%7)
%9 = mul(%6, %8)
"""

from typing import Any

from ..ir import Operand, Program, Value, frozen, identity
from ..lowering.table import lowering
from .simplify import substitute


def cse(program: Program) -> None:
    """Drop instructions of a loop that repeat an earlier one of the same step."""
    names: dict[int, Operand] = {}
    for loop in program.loops:
        seen: dict[Any, Value] = {}
        body = []
        for instr in loop.body:
            inputs = [names.get(id(a), a) for a in instr.inputs]
            key = instr.op, tuple(map(identity, inputs)), frozen(instr.attrs)
            if key in seen and not lowering(instr.op).numbers_draws:
                names[id(instr.out)] = seen[key]
            else:
                seen[key] = instr.out
                body.append(instr)
        loop.body = body
    substitute(program, names)
