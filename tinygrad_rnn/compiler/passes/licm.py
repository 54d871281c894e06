"""Loop-invariant code motion: compute before a loop what is the same at every step.

loop of 8 steps:                     %3 = exp(%1)
    %3 = exp(%1)                     %7 = take(%2, %0, axis=0)
    %4 = %0[t]                       loop of 8 steps:
    %5 = take(%2, %4, axis=0)    =>      %5 = %7[t]
    %6 = mul(%5, %3)                     %6 = mul(%5, %3)
"""

from ...op import OPS
from ..instructions import make
from ..ir import Carry, Instr, Loop, Program, Slice, Value
from ..lowering.table import lowering


def licm(program: Program) -> None:
    """Move out what no step changes; look up in a table for all steps at once."""
    for loop in program.loops:
        _hoist(program, loop)


def hoist_transposed(program: Program) -> None:
    """Move out series of matrices that every step transposes alike; after differentiation.

    Attention's backward reads memory.mT, which each of its steps would copy. Single matrices
    stay: a product packs them transposed.
    """
    for loop in program.loops:
        outside = {id(v) for v in loop.inputs()}
        kept = {id(p.of) for p in loop.params if isinstance(p, Carry)}
        kept |= {id(v) for r in loop.results for v in r.values}
        found = [
            i
            for i in loop.body
            if lowering(i.op).transposes
            and i.out.ndim > 2
            and id(i.inputs[0]) in outside
            and id(i.out) not in kept
        ]
        loop.body = [i for i in loop.body if not any(i is f for f in found)]
        program.insert(found, loop)


def _hoist(program: Program, loop: Loop) -> None:
    inside = {id(p.out) for p in loop.params} | {id(i.out) for i in loop.body}
    needed = {id(p.of) for p in loop.params if isinstance(p, Carry)}
    needed |= {id(v) for r in loop.results for v in r.values}
    slices = {id(p.out): p for p in loop.params if isinstance(p, Slice)}
    before: list[Instr] = []
    body: list[Instr] = []
    for instr in loop.body:
        own = [a for a in instr.inputs if isinstance(a, Value) and id(a) in inside]
        if not own and id(instr.out) not in needed:
            before.append(instr)
            inside.discard(id(instr.out))
        elif (
            lowering(instr.op).looks_up_rows(instr)
            and own == [instr.inputs[1]]
            and id(own[0]) in slices
        ):
            index, start, stride = _rows_read(slices[id(own[0])], loop.count, before)
            rows = make(instr.op.name, (instr.inputs[0], index), dict(instr.attrs), instr.line)
            before.append(rows)
            like = Value(instr.out.shape, instr.out.dtype)
            q = Slice(like, rows.out, start, stride)
            loop.params.append(q)
            body.append(Instr(OPS["index"], (q.out,), {"key": ()}, instr.out, instr.line))
        else:
            body.append(instr)
    program.insert(before, loop)
    loop.body = body


def _rows_read(p: Slice, count: int, before: list[Instr]) -> tuple[Value, int, int]:
    """The rows of p's source that the steps read, cut out of it; where the steps find them.

    What lies in other rows may be no index at all.
    """
    ends = p.start, p.start + p.stride * (count - 1)
    if sorted(ends) == [0, p.source.shape[0] - 1] and abs(p.stride) == 1:
        return p.source, p.start, p.stride
    rows = slice(min(ends), max(ends) + 1, abs(p.stride) or 1)
    before.append(make("index", (p.source,), {"key": (rows,)}))
    sign = (p.stride > 0) - (p.stride < 0)
    return before[-1].out, count - 1 if sign < 0 else 0, sign
