"""Simplify: cheaper ops for the same values, and one name for each value.

%4 = pow(%3, 2)              %4 = square(%3)
%5 = index(%4, key=())   =>  %7 = tanh(%4)
%6 = detach(%5)
%7 = tanh(%6)
"""

from typing import Any

from ...op import OPS
from ..ir import Instr, Operand, Program, Slice, Value
from ..lowering.table import lowering


def simplify(program: Program) -> None:
    """Write x ** 2 as a square, and read a value itself where an op only renames it."""
    names: dict[int, Operand] = {}
    instrs = [i for i in program.items if isinstance(i, Instr)]
    for instr in instrs + [i for loop in program.loops for i in loop.body]:
        row = lowering(instr.op)
        simpler = row.simpler and row.simpler(instr)
        if simpler:
            instr.op, instr.inputs = OPS[simpler[0]], simpler[1]
        other = row.same_as and row.same_as(instr)
        if other is not None:
            names[id(instr.out)] = other
    substitute(program, names)


def substitute(program: Program, names: dict[int, Operand]) -> None:
    """Read another value in place of each of `names`."""

    def now(a: Any) -> Any:
        while isinstance(a, Value) and id(a) in names:
            a = names[id(a)]
        return a

    for item in program.items:
        if isinstance(item, Instr):
            item.inputs = tuple([now(a) for a in item.inputs])
            continue
        for instr in item.body:
            instr.inputs = tuple([now(a) for a in instr.inputs])
        for p in item.params:
            if isinstance(p, Slice):
                p.source = now(p.source)
            else:
                p.first = tuple([now(a) for a in p.first])
        for r in item.results:
            r.first = tuple([now(a) for a in r.first])
        # what is carried or given out stays a value of the body
        made = {id(i.out) for i in item.body}
        for r in item.results:
            r.values = tuple([now(v) if id(now(v)) in made else v for v in r.values])
        for p in item.carries:
            if id(now(p.of)) in made:
                p.of = now(p.of)
    program.outputs = [now(v) for v in program.outputs]
