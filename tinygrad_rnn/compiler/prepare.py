"""Passes before differentiation: products joined, work moved out of and into loops.

Values that no step changes leave the loop, products that share their left operand
become one, `concat([x, h]) @ W` becomes two products of which one can leave the loop,
and pointwise work on a loop's stacked results moves into it.
"""

from typing import Any

from ..op import OPS
from .build import make
from .ir import Instr, Loop, Operand, Prev, Program, Result, Slice, Value, reads, writes
from .lower import early
from .needs import spread

Item = Instr | Loop
DRAWS = ("draw", "draws")


def prepare(program: Program) -> list[str]:
    """Rewrite in place; returns what was done, in words for `explain()`."""
    notes: list[str] = []
    for loop in [i for i in program.items if isinstance(i, Loop)]:
        loop.body = [e for instr in loop.body for e in early(instr)]
    spread(program)
    _substitute(program, _simplified(program))
    for loop in [i for i in program.items if isinstance(i, Loop)]:
        _split_concats(loop)
        _hoist(program, loop)
        share(loop)
        notes += _merge(program, loop)
        _hoist(program, loop)
    dead_code(program.items, program.outputs)
    _last_rows(program)
    notes += _sink(program)
    dead_code(program.items, program.outputs)
    spread(program)
    return notes


def _blocks(program: Program) -> list[list[Instr]]:
    loops = [i for i in program.items if isinstance(i, Loop)]
    return [loop.body for loop in loops]


def _simplified(program: Program) -> dict[int, Operand]:
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


def _substitute(program: Program, names: dict[int, Operand]) -> None:
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
        if source is None or instr.op.name not in ("matmul", "linear") or _makes(loop, W):
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
        made.append(make("index", (W,), {"key": (slice(None), piece) if linear else (piece,)}))
        rows: tuple[Any, ...] = (part, made[-1].out)
        if linear:
            rows += (instr.inputs[2] if k == 0 else 0,)
        made.append(make(instr.op.name, rows, {}))
        y = made[-1].out
        if total is not None:
            made.append(make("add", (total, y), {}))
        total = made[-1].out
    assert total is not None
    made[-1].out = instr.out
    return made


def _makes(loop: Loop, v: Any) -> bool:
    """Whether v is made in the loop."""
    return isinstance(v, Value) and (
        any(p.out is v for p in loop.params) or any(i.out is v for i in loop.body)
    )


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
            before.append(make("take", (instr.inputs[0], index), dict(instr.attrs)))
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


def _merge(program: Program, loop: Loop) -> list[str]:
    """Products of one left operand with several weights as one product, cut up after it."""
    groups: dict[tuple[str, int], list[Instr]] = {}
    for instr in loop.body:
        if instr.op.name in ("matmul", "linear") and not _makes(loop, instr.inputs[1]):
            x, W = instr.inputs[:2]
            biased = instr.op.name == "linear" and _makes(loop, instr.inputs[2])
            if isinstance(x, Value) and _makes(loop, x) and x.ndim == 2 and not biased:
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
    product = make(name, inputs, {})
    product.line = group[0].line
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


def _last_rows(program: Program) -> None:
    """states[-1] as the loop's last value: then the states need not be stacked."""
    stacks = _stacks(program)
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
    _substitute(program, _simplified(program))


def _stacks(program: Program) -> dict[int, tuple[Loop, Result]]:
    return {
        id(r.out): (loop, r)
        for loop in program.items
        if isinstance(loop, Loop)
        for r in loop.results
        if r.kind == "stack" and r.lag == 0
    }


def _sink(program: Program) -> list[str]:
    """Move pointwise ops and sums over a loop's stacked results into its steps."""
    moved: dict[str, int] = {}
    made_at: dict[int, int] = {id(v): -1 for v in program.inputs}
    for k, item in enumerate(program.items):
        for v in writes(item):
            made_at[id(v)] = k
    items: list[Item] = []
    for item in program.items:
        stacks = _stacks(Program(program.inputs, items, []))
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
    if any(isinstance(v, Value) and id(v) in own and not _makes(loop, v) for v in inputs):
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
        step = make("sum", (v,), inner_attrs)
    else:
        if len(instr.attrs["shape"]) >= x.ndim:
            return False
        step = make("sum_to", (v,), {"shape": instr.attrs["shape"]})
    step.line = instr.line
    loop.body.append(step)
    loop.results.append(Result("total", (step.out,), instr.out))
    return True


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
