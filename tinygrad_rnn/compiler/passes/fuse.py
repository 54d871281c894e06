"""Fuse into a loop what follows it: pointwise ops and sums of its stacked results.

loop of 8 steps:                     loop of 8 steps:
    -> %5 = stack of %4                  %6 = square(%4)
%7 = square(%5)                  =>      %8 = sum(%6)
%9 = sum(%7)                             -> %9 = total of %8
%10 = index(%5, key=(-1,))               -> %10 = final of %4
"""

from typing import Any

from ..ir import Instr, Item, Loop, Operand, Program, Result, Slice, Value, writes
from ..lowering.table import lowering
from ..lowering.text import key_parts


def last_rows(program: Program) -> None:
    """Read the last row of a stack as the loop's final value: the rest need not be kept."""
    stacks = _stacks_of(program)
    for k, item in enumerate(program.items):
        if not isinstance(item, Instr) or not lowering(item.op).slices:
            continue
        found = stacks.get(id(item.inputs[0]))
        parts = key_parts(item.attrs["key"])
        if found is None or not parts or not isinstance(parts[0], int):
            continue
        loop, r = found
        t = parts[0] % loop.count
        if t == (0 if loop.reverse else loop.count - 1):
            last = loop.result("final", r.values)
            item.inputs = (last,)
            item.attrs = {"key": tuple(parts[1:])}
            program.items[k] = item


def _stacks_of(program: Program) -> dict[int, tuple[Loop, Result]]:
    return {
        id(r.out): (loop, r)
        for loop in program.items
        if isinstance(loop, Loop)
        for r in loop.results
        if r.kind == "stack" and r.lag == 0
    }


def fuse(program: Program) -> list[str]:
    """Move pointwise ops and sums of a loop's stacked results into its steps."""
    moved: dict[str, int] = {}
    made_at: dict[int, int] = {id(v): -1 for v in program.inputs}
    for k, item in enumerate(program.items):
        for v in writes(item):
            made_at[id(v)] = k
    items: list[Item] = []
    for item in program.items:
        stacks = _stacks_of(Program(program.inputs, items, []))
        if isinstance(item, Instr) and _fuse_one(item, stacks, made_at):
            moved[item.op.name] = moved.get(item.op.name, 0) + 1
        else:
            items.append(item)
    program.items = items
    return [f"{', '.join(moved)} of stacked results moved into the loop"] if moved else []


def _fuse_one(instr: Instr, stacks: Any, made_at: dict[int, int]) -> bool:
    found = [stacks[id(a)] for a in instr.arrays() if id(a) in stacks]
    if not found:
        return False
    loop = found[0][0]
    place = made_at[id(found[0][1].out)]
    step_sum = lowering(instr.op).step_sum
    if step_sum is not None:
        return _fuse_sum(loop, instr, step_sum(instr, found[0][1].values[0]))
    if not instr.op.pointwise or instr.out.shape[:1] != (loop.count,):
        return False
    inputs: list[Operand] = []
    slices: list[Value] = []
    for a in instr.inputs:
        if not isinstance(a, Value):
            inputs.append(a)
        elif id(a) in stacks and stacks[id(a)][0] is loop:
            if a.ndim != instr.out.ndim:
                return False
            inputs.append(stacks[id(a)][1].values[0])
        elif made_at.get(id(a), place) >= place:
            return False
        elif a.ndim < instr.out.ndim:
            inputs.append(a)
        elif a.shape[0] == loop.count:
            inputs.append(a)
            slices.append(a)
        else:
            return False
    own = {id(r.values[0]) for _, r in found}
    if not {id(v) for v in inputs} & own <= loop.inside():
        return False
    final = [_sliced(loop, a) if any(a is s for s in slices) else a for a in inputs]
    inner = Value(instr.out.shape[1:], instr.out.dtype)
    loop.body.append(Instr(instr.op, tuple(final), instr.attrs, inner, instr.line))
    loop.results.append(Result("stack", (inner,), instr.out))
    return True


def _sliced(loop: Loop, source: Any) -> Value:
    for p in loop.params:
        if isinstance(p, Slice) and p.source is source and (p.start, p.stride) == (0, 1):
            return p.out
    p = Slice(Value(source.shape[1:], source.dtype), source)
    loop.params.append(p)
    return p.out


def _fuse_sum(loop: Loop, instr: Instr, step: Instr | Value | None) -> bool:
    """Replace a sum over the steps, and perhaps more axes, by the total of the steps' sums."""
    if step is None:
        return False
    if isinstance(step, Instr):
        loop.body.append(step)
        step = step.out
    loop.results.append(Result("total", (step,), instr.out))
    return True
