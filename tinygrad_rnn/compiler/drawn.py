"""Random numbers of a loop (`tg.rand`, `tg.randn`): of all steps before it, by the eager kernels.

A number depends on its draw and its place alone, so they may be computed at any time; and only
the kernels themselves give eager code's numbers to the bit: the cosine in `normal` is NumPy's.
"""

from typing import Any

import numpy as np

from ..op import OPS, Spec, primitive
from .build import make
from .ir import Instr, Loop, Program, Slice, Value

_NUMBERS = ("uniform", "normal")


def _drawn_shape(keys: Spec, *, op: str, place: int, shape: Any, dtype: Any) -> tuple[int, ...]:
    return (keys.shape[0], *shape)


@primitive(shape=_drawn_shape, free=["keys"])  # type: ignore[untyped-decorator]
def drawn(keys: Any, *, op: str, place: int, shape: tuple[int, ...], dtype: Any) -> Any:
    """The numbers of one draw a step: y[t] = op(keys[t, place])."""
    y = np.empty((len(keys), *shape), dtype)
    for t, row in enumerate(keys):
        y[t] = OPS[op].kernel(row[place], shape=shape, dtype=dtype)
    return y


def draw_before(program: Program, loop: Loop) -> None:
    """Let the steps slice their random numbers out of those of all steps."""
    tables = {id(i.out) for i in program.items if isinstance(i, Instr) and i.op.name == "draws"}
    rows = {id(p.out): p for p in loop.params if isinstance(p, Slice) and id(p.source) in tables}
    keys: dict[int, tuple[Slice, int]] = {}  # by id of a key: the rows it lies in, its place
    before: list[Instr] = []
    for k, instr in enumerate(loop.body):
        source = instr.inputs[0] if instr.inputs else None
        if id(source) in rows:
            keys[id(instr.out)] = rows[id(source)], instr.attrs["key"][0]
        elif instr.op.name in _NUMBERS and id(source) in keys:
            p, place = keys[id(source)]
            attrs = {"op": instr.op.name, "place": place, **instr.attrs}
            before.append(make("drawn", (p.source,), attrs, instr.line))
            q = Slice(Value(instr.out.shape, instr.out.dtype), before[-1].out, p.start, p.stride)
            loop.params.append(q)
            loop.body[k] = Instr(OPS["index"], (q.out,), {"key": ()}, instr.out, instr.line)
    at = program.items.index(loop)
    program.items[at:at] = before
