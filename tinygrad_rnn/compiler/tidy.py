"""What several passes use: other names for values, each value computed once, dead code."""

from typing import Any

from ..op import OPS
from .ir import Instr, Loop, Operand, Prev, Program, Slice, Value, reads

Item = Instr | Loop
DRAWS = ("draw", "draws")


def _blocks(program: Program) -> list[list[Instr]]:
    loops = [i for i in program.items if isinstance(i, Loop)]
    return [loop.body for loop in loops]


def simplified(program: Program) -> dict[int, Operand]:
    """x ** 2 as a square; and the values that are just another's name."""
    names: dict[int, Operand] = {}
    instrs = [i for i in program.items if isinstance(i, Instr)]
    for instr in instrs + [i for body in _blocks(program) for i in body]:
        if (
            instr.op.name == "pow"
            and instr.inputs[1] == 2
            and not isinstance(instr.inputs[1], Value)
        ):
            instr.op, instr.inputs = OPS["square"], instr.inputs[:1]
        whole = instr.op.name == "index" and instr.attrs["key"] == ()
        if whole or (instr.op.name == "detach" and not instr.inputs[0].needs):  # type: ignore[union-attr]
            names[id(instr.out)] = instr.inputs[0]
    return names


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
        # what is carried or handed out stays a value of the body
        inner = {id(p.out) for p in item.params}
        for r in item.results:
            if not any(id(now(v)) in inner for v in r.values):
                r.values = tuple([now(v) for v in r.values])
        for p in item.params:
            if isinstance(p, Prev) and id(now(p.of)) not in inner:
                p.of = now(p.of)
    program.outputs = [now(v) for v in program.outputs]


def makes(loop: Loop, v: Any) -> bool:
    """Whether v is made in the loop."""
    return isinstance(v, Value) and (
        any(p.out is v for p in loop.params) or any(i.out is v for i in loop.body)
    )


def share(loop: Loop) -> None:
    """Compute each value of a step once."""
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
        if key in seen and instr.op.name != "draw":
            names[id(instr.out)] = seen[key]
        else:
            seen[key] = instr.out
            body.append(instr)
    loop.body = body
    for p in loop.params:
        if isinstance(p, Prev):
            p.of = names.get(id(p.of), p.of)
    for r in loop.results:
        r.values = tuple([names.get(id(v), v) for v in r.values])


def dead_code(items: list[Item], outputs: list[Any]) -> None:
    """Drop every instruction, parameter and result that no output depends on.

    A draw takes its number also if nobody uses it, as in eager code.
    """
    live = {id(v) for v in outputs if v is not None}
    kept: list[Item] = []
    for item in reversed(items):
        if isinstance(item, Loop):
            item.results = [r for r in item.results if id(r.out) in live]
            if not item.results:
                continue
            _trim(item)
        elif id(item.out) not in live and item.op.name not in DRAWS:
            continue
        kept.append(item)
        live |= {id(v) for v in reads(item)}
    items[:] = kept[::-1]


def _trim(loop: Loop) -> None:
    """Dead code within a loop: what leads, over any number of steps, to no result."""
    makers = {id(i.out): i for i in loop.body}
    params = {id(p.out): p for p in loop.params}
    live: set[int] = set()
    stack = [v for r in loop.results for v in r.values]
    while stack:
        v = stack.pop()
        if id(v) in live:
            continue
        live.add(id(v))
        if id(v) in makers:
            stack += [a for a in makers[id(v)].inputs if isinstance(a, Value)]
        p = params.get(id(v))
        if isinstance(p, Prev):
            stack.append(p.of)
    loop.body = [i for i in loop.body if id(i.out) in live]
    loop.params = [p for p in loop.params if id(p.out) in live]
