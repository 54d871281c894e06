"""Passes over what loops hand out: the last step alone, and pointwise work moved into the steps."""

from typing import Any

from .build import make
from .ir import Instr, Loop, Operand, Program, Result, Slice, Value, writes
from .tidy import Item, makes, simplified, substitute


def last_rows(program: Program) -> None:
    """states[-1] as the loop's last value: then the states need not be stacked."""
    stacks = stacks_of(program)
    for k, item in enumerate(program.items):
        if not isinstance(item, Instr) or item.op.name != "index":
            continue
        found = stacks.get(id(item.inputs[0]))
        key = item.attrs["key"]
        parts = key if isinstance(key, tuple) else (key,)
        if found is None or not parts or not isinstance(parts[0], int):
            continue
        loop, r = found
        t = parts[0] % loop.count
        if t == (0 if loop.reverse else loop.count - 1):
            last = loop.result("final", r.values)
            item.inputs = (last,)
            item.attrs = {"key": tuple(parts[1:])}
            program.items[k] = item
    substitute(program, simplified(program))


def stacks_of(program: Program) -> dict[int, tuple[Loop, Result]]:
    return {
        id(r.out): (loop, r)
        for loop in program.items
        if isinstance(loop, Loop)
        for r in loop.results
        if r.kind == "stack" and r.lag == 0
    }


def sink(program: Program) -> list[str]:
    """Move pointwise ops and sums over a loop's stacked results into its steps."""
    moved: dict[str, int] = {}
    made_at: dict[int, int] = {id(v): -1 for v in program.inputs}
    for k, item in enumerate(program.items):
        for v in writes(item):
            made_at[id(v)] = k
    items: list[Item] = []
    for item in program.items:
        stacks = stacks_of(Program(program.inputs, items, []))
        if isinstance(item, Instr) and _sink_one(item, stacks, items, made_at):
            moved[item.op.name] = moved.get(item.op.name, 0) + 1
        else:
            items.append(item)
    program.items = items
    return [f"{', '.join(moved)} of stacked results moved into the loop"] if moved else []


def _sink_one(instr: Instr, stacks: Any, items: list[Item], made_at: dict[int, int]) -> bool:
    found = [stacks[id(a)] for a in instr.inputs if isinstance(a, Value) and id(a) in stacks]
    if not found:
        return False
    loop = found[0][0]
    place = made_at[id(found[0][1].out)]
    if instr.op.name in ("sum", "sum_to"):
        return _sink_sum(instr, loop, found[0][1])
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
    if any(isinstance(v, Value) and id(v) in own and not makes(loop, v) for v in inputs):
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


def _sink_sum(instr: Instr, loop: Loop, r: Result) -> bool:
    """A sum over all steps and more: each step's own sum, and their total."""
    x, v = instr.inputs[0], r.values[0]
    assert isinstance(x, Value)
    if instr.op.name == "sum":
        axis, keep = instr.attrs["axis"], instr.attrs["keepdims"]
        named = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(sorted(a % x.ndim for a in named))
        if 0 not in axes or keep:
            return False
        inner_attrs: dict[str, Any] = {"axis": tuple(a - 1 for a in axes[1:]), "keepdims": False}
        if len(axes) == 1:
            loop.results.append(Result("total", (v,), instr.out))
            return True
        step = make("sum", (v,), inner_attrs, instr.line)
    else:
        if len(instr.attrs["shape"]) >= x.ndim:
            return False
        step = make("sum_to", (v,), {"shape": instr.attrs["shape"]}, instr.line)
    loop.body.append(step)
    loop.results.append(Result("total", (step.out,), instr.out))
    return True
