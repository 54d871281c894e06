"""Passes before differentiation: products joined, work moved out of and into loops (`sink`).

Values that no step changes leave the loop, products that share their left operand
become one, `concat([x, h]) @ W` becomes two products of which one can leave the loop,
and pointwise work on a loop's stacked results moves into it.
"""

from typing import Any

from ..op import OPS
from .build import make
from .drawn import draw_before
from .ir import Instr, Loop, Operand, Prev, Program, Slice, Value
from .lower import early
from .needs import spread
from .sink import last_rows, sink
from .tidy import dead_code, makes, share, simplified, substitute


def prepare(program: Program) -> list[str]:
    """Rewrite in place; returns what was done, in words for `explain()`."""
    notes: list[str] = []
    for loop in [i for i in program.items if isinstance(i, Loop)]:
        draw_before(program, loop)
        loop.body = [e for instr in loop.body for e in early(instr)]
    spread(program)
    substitute(program, simplified(program))
    for loop in [i for i in program.items if isinstance(i, Loop)]:
        _split_concats(loop)
        _hoist(program, loop)
        share(loop)
        notes += _merge(program, loop)
        _hoist(program, loop)
    dead_code(program.items, program.outputs)
    last_rows(program)
    notes += sink(program)
    dead_code(program.items, program.outputs)
    spread(program)
    return notes


def _split_concats(loop: Loop) -> None:
    """concat([x, h], 1) @ W as x @ W[:k] + h @ W[k:]: the first may leave the loop."""
    joined = {
        id(i.out): i
        for i in loop.body
        if i.op.name == "concat"
        and i.out.ndim == 2
        and i.attrs["axis"] in (1, -1)
        and all(x.shape[1] for x in i.inputs if isinstance(x, Value))
    }
    body: list[Instr] = []
    for instr in loop.body:
        source = joined.get(id(instr.inputs[0])) if instr.inputs else None
        W = instr.inputs[1] if len(instr.inputs) > 1 else None
        if source is None or instr.op.name not in ("matmul", "linear") or makes(loop, W):
            body.append(instr)
            continue
        body += _split_product(instr, source, W)
    loop.body = body


def _split_product(instr: Instr, source: Instr, W: Any) -> list[Instr]:
    """The products of the parts of a concat, and their sum."""
    made: list[Instr] = []
    total, at = None, 0
    linear = instr.op.name == "linear"
    for k, part in enumerate(source.inputs):
        assert isinstance(part, Value)
        piece = slice(at, at + part.shape[1])
        at += part.shape[1]
        key = (slice(None), piece) if linear else (piece,)
        made.append(make("index", (W,), {"key": key}, instr.line))
        rows: tuple[Any, ...] = (part, made[-1].out)
        if linear:
            rows += (instr.inputs[2] if k == 0 else 0,)
        made.append(make(instr.op.name, rows, {}, instr.line))
        y = made[-1].out
        if total is not None:
            made.append(make("add", (total, y), {}, instr.line))
        total = made[-1].out
    assert total is not None
    made[-1].out = instr.out
    return made


def _hoist(program: Program, loop: Loop) -> None:
    """Move out what is the same at every step, and lookups in a table, done for all at once."""
    inside = {id(p.out) for p in loop.params} | {id(i.out) for i in loop.body}
    needed = {id(p.of) for p in loop.params if isinstance(p, Prev)}
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
            instr.op.name == "take"
            and instr.attrs["axis"] == 0
            and own == [instr.inputs[1]]
            and id(own[0]) in slices
        ):
            index, start, stride = _rows_read(slices[id(own[0])], loop.count, before)
            before.append(make("take", (instr.inputs[0], index), dict(instr.attrs), instr.line))
            like = Value(instr.out.shape, instr.out.dtype)
            q = Slice(like, before[-1].out, start, stride)
            loop.params.append(q)
            body.append(Instr(OPS["index"], (q.out,), {"key": ()}, instr.out, instr.line))
        else:
            body.append(instr)
    at = program.items.index(loop)
    program.items[at:at] = before
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


def _merge(program: Program, loop: Loop) -> list[str]:
    """Products of one left operand with several weights as one product, cut up after it."""
    groups: dict[tuple[str, int], list[Instr]] = {}
    for instr in loop.body:
        if instr.op.name in ("matmul", "linear") and not makes(loop, instr.inputs[1]):
            x, W = instr.inputs[:2]
            biased = instr.op.name == "linear" and makes(loop, instr.inputs[2])
            if isinstance(x, Value) and makes(loop, x) and x.ndim == 2 and not biased:
                if isinstance(W, Value) and W.ndim == 2:
                    groups.setdefault((instr.op.name, id(x)), []).append(instr)
    notes = []
    for (name, _), group in groups.items():
        if len(group) > 1:
            _merge_group(program, loop, name, group)
            notes.append(f"{len(group)} products of one left operand became one")
    return notes


def _merge_group(program: Program, loop: Loop, name: str, group: list[Instr]) -> None:
    axis = 0 if name == "linear" else 1
    before = [make("concat", [i.inputs[1] for i in group], {"axis": axis})]
    inputs: tuple[Operand, ...] = (group[0].inputs[0], before[0].out)
    if name == "linear":
        biases: list[Any] = []
        for i in group:
            b, W = i.inputs[2], i.inputs[1]
            assert isinstance(W, Value)
            if not isinstance(b, Value):
                before.append(make("constant", (), {"values": (b,) * W.shape[0], "dtype": W.dtype}))
                b = before[-1].out
            biases.append(b)
        before.append(make("concat", biases, {"axis": 0}))
        inputs += (before[-1].out,)
    product = make(name, inputs, {}, group[0].line)
    at = program.items.index(loop)
    program.items[at:at] = before
    body: list[Instr] = []
    first = next(k for k, i in enumerate(loop.body) if any(i is g for g in group))
    for k, instr in enumerate(loop.body):
        if k == first:
            body.append(product)
            start = 0
            for g in group:
                stop = start + g.out.shape[1]
                key = (slice(None), slice(start, stop))
                body.append(Instr(OPS["index"], (product.out,), {"key": key}, g.out, g.line))
                start = stop
        if not any(instr is g for g in group):
            body.append(instr)
    loop.body = body
