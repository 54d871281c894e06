"""Propagate `needs`: which values a gradient flows through, and which inputs it can reach.

What a recorded call needed depends on its step: a first state of zeros needs nothing, the
second does. In a program with loops a value needs a gradient if one may flow through it in
any step; `detach` alone stops it, also in place of `no_grad` (`Tape` writes one behind every
call made under it).
"""

from collections.abc import Sequence

from ..op import Op
from .ir import Instr, Loop, Operand, Program, Value


def passes_on(op: Op, inputs: Sequence[Operand], out: Value) -> bool:
    """Whether a gradient may flow back through a call, as `record` decides it."""
    if op.rules and out.dtype.kind == "f":
        for a in inputs:
            if a.__class__ is Value and a.needs:
                return True
    return False


def propagate_needs(program: Program) -> None:
    """Say of every value whether it needs a gradient, from those of the inputs that do."""
    for item in program.items:
        if isinstance(item, Instr):
            item.out.needs = passes_on(item.op, item.inputs, item.out)
        else:
            _propagate(item)


def _propagate(loop: Loop) -> None:
    """A carry needs a gradient if its initial value does or, after a step, what it carries."""
    for q in loop.slices:
        q.out.needs = q.source.needs
    for p in loop.carries:
        p.out.needs = any(isinstance(v, Value) and v.needs for v in p.first)
    while True:
        for instr in loop.body:
            instr.out.needs = passes_on(instr.op, instr.inputs, instr.out)
        late = [p for p in loop.carries if p.of.needs and not p.out.needs]
        if not late:
            break
        for p in late:
            p.out.needs = True
    for r in loop.results:
        firsts = [v.needs for v in r.first if isinstance(v, Value)]
        r.out.needs = any([v.needs for v in r.values] + firsts)


def reached(
    inputs: Sequence[Value], instrs: Sequence[Instr], outputs: Sequence[Value]
) -> list[int]:
    """For each output of a recording the inputs that its gradient reaches, as bits by place.

    Read off the recording itself, step by step, so that a gradient is None exactly where
    eager execution gives None.
    """
    bits = {id(v): 1 << k for k, v in enumerate(inputs) if v.needs}
    for instr in instrs:
        if not instr.out.needs:
            continue
        op, found = instr.op, 0
        for k, a in enumerate(instr.inputs):
            if isinstance(a, Value) and (op.variadic or op.inputs[k] in op.rules):
                found |= bits.get(id(a), 0)
        bits[id(instr.out)] = found
    return [bits.get(id(v), 0) if v.needs else 0 for v in outputs]
