"""Draw a loop's random numbers (`tg.rand`, `tg.randn`) before it, by the eager kernels.

    loop of 8 steps:                         %6 = drawn(%2, op='normal', place=0, shape=(2, 3))
        %3 = %2[t]                           loop of 8 steps:
        %4 = index(%3, key=(0,))         =>      %5 = %6[t]
        %5 = normal(%4, shape=(2, 3))

A number depends on its draw and its place alone, so they may be computed at any time; and only
the kernels themselves give eager code's numbers to the bit: the cosine in `normal` is NumPy's.
"""

from ...op import OPS
from ..instructions import make
from ..ir import Instr, Loop, Program, Slice, Value
from ..lowering.table import lowering


def draw_before(program: Program) -> None:
    """Let the steps slice their random numbers out of those of all steps."""
    for loop in program.loops:
        _draw_before(program, loop)


def _draw_before(program: Program, loop: Loop) -> None:
    numbered = [i for i in program.items if isinstance(i, Instr) and lowering(i.op).numbers_draws]
    tables = {id(i.out) for i in numbered}
    rows = {id(p.out): p for p in loop.params if isinstance(p, Slice) and id(p.source) in tables}
    keys: dict[int, tuple[Slice, int]] = {}  # by id of a key: the rows it lies in, its place
    before: list[Instr] = []
    for k, instr in enumerate(loop.body):
        source = instr.inputs[0] if instr.inputs else None
        if id(source) in rows:
            keys[id(instr.out)] = rows[id(source)], instr.attrs["key"][0]
        elif lowering(instr.op).draws and id(source) in keys:
            p, place = keys[id(source)]
            attrs = {"op": instr.op.name, "place": place, **instr.attrs}
            before.append(make("drawn", (p.source,), attrs, instr.line))
            q = Slice(Value(instr.out.shape, instr.out.dtype), before[-1].out, p.start, p.stride)
            loop.params.append(q)
            loop.body[k] = Instr(OPS["index"], (q.out,), {"key": ()}, instr.out, instr.line)
    program.insert(before, loop)
