"""Loop-invariant code motion: compute before a loop what is the same, or known, at every step.

loop of 8 steps:                         %3 = exp(%1)
    %3 = exp(%1)                         %7 = take(%2, %0, axis=0)
    %4 = %0[t]                           loop of 8 steps:
    %5 = take(%2, %4, axis=0)        =>      %5 = %7[t]
    %6 = mul(%5, %3)                         %6 = mul(%5, %3)

loop of 8 steps:                         %6 = drawn(%2, op='normal', place=0, shape=(2, 3))
    %3 = %2[t]                           loop of 8 steps:
    %4 = index(%3, key=(0,))         =>      %5 = %6[t]
    %5 = normal(%4, shape=(2, 3))
"""

from ...op import OPS
from ..inference import make
from ..ir import Instr, Loop, Program, Slice, Value
from ..lowering.table import lowering


def licm(program: Program) -> None:
    """Move out what no step changes; look up in a table for all steps at once."""
    for loop in program.loops:
        _hoist(program, loop)


def _hoist(program: Program, loop: Loop) -> None:
    inside, kept = loop.inside(), loop.kept()
    slices = {id(p.out): p for p in loop.slices}
    before: list[Instr] = []
    body: list[Instr] = []
    for instr in loop.body:
        own = [a for a in instr.arrays() if id(a) in inside]
        if not own and id(instr.out) not in kept:
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
            body.append(_sliced(loop, instr, rows.out, start, stride))
        else:
            body.append(instr)
    program.insert(before, loop)
    loop.body = body


def _rows_read(p: Slice, count: int, before: list[Instr]) -> tuple[Value, int, int]:
    """The rows of p's source that the steps read, with start and stride of the steps in them.

    What lies in other rows may be no index at all.
    """
    ends = p.start, p.start + p.stride * (count - 1)
    if sorted(ends) == [0, p.source.shape[0] - 1] and abs(p.stride) == 1:
        return p.source, p.start, p.stride
    rows = slice(min(ends), max(ends) + 1, abs(p.stride) or 1)
    before.append(make("index", (p.source,), {"key": (rows,)}))
    sign = (p.stride > 0) - (p.stride < 0)
    return before[-1].out, count - 1 if sign < 0 else 0, sign


def _sliced(loop: Loop, instr: Instr, source: Value, start: int, stride: int) -> Instr:
    """In place of an instruction: its value as a row of `source`."""
    p = Slice(Value(instr.out.shape, instr.out.dtype), source, start, stride)
    loop.params.append(p)
    return Instr(OPS["index"], (p.out,), {"key": ()}, instr.out, instr.line)


def hoist_transposed(program: Program) -> None:
    """Move out series of matrices that every step transposes alike; after differentiation.

    Attention's backward reads memory.mT, which each of its steps would copy. Single matrices
    stay: a product packs them transposed.
    """
    for loop in program.loops:
        inside, kept = loop.inside(), loop.kept()
        found = [
            i
            for i in loop.body
            if lowering(i.op).transposes
            and i.out.ndim > 2
            and id(i.inputs[0]) not in inside
            and id(i.out) not in kept
        ]
        loop.body = [i for i in loop.body if i not in found]
        program.insert(found, loop)


def draw_before(program: Program) -> None:
    """Draw the random numbers of all steps (`tg.rand`, `tg.randn`) by their eager kernels.

    A number depends on its draw and its place alone, so it may be computed at any time; and only
    the kernels themselves give eager code's numbers to the bit: the cosine in `normal` is NumPy's.
    """
    numbered = [i for i in program.items if isinstance(i, Instr) and lowering(i.op).numbers_draws]
    tables = {id(i.out) for i in numbered}
    for loop in program.loops:
        rows = {id(p.out): p for p in loop.slices if id(p.source) in tables}
        keys: dict[int, tuple[Slice, int]] = {}  # by id of a key: the rows it lies in, its place
        before: list[Instr] = []
        for k, instr in enumerate(loop.body):
            source = id(instr.inputs[0]) if instr.inputs else 0
            if source in rows:
                keys[id(instr.out)] = rows[source], instr.attrs["key"][0]
            elif lowering(instr.op).draws and source in keys:
                p, place = keys[source]
                attrs = {"op": instr.op.name, "place": place, **instr.attrs}
                before.append(make("drawn", (p.source,), attrs, instr.line))
                loop.body[k] = _sliced(loop, instr, before[-1].out, p.start, p.stride)
        program.insert(before, loop)
