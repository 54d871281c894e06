"""The order of work in one step of a loop: products, and pointwise ops gathered into groups.

A group is a run of pointwise ops over one shape that becomes one loop nest. The
schedule also joins `a + x @ W` into a product that adds to `a`'s buffer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..ir import Instr, Loop, Operand, Value
from ..lowering.table import Product, View, lowering, weighing


@dataclass(eq=False)
class Group:
    """Pointwise ops over one shape: one loop nest."""

    shape: tuple[int, ...]
    instrs: list[Instr]


@dataclass(eq=False)
class ProductTask:
    """out = base + bias + a @ W (or the other products); `before`: for many steps at once."""

    instr: Instr
    form: Product
    out: Value
    base: Value | None = None
    biases: list[Operand] = field(default_factory=list)
    before: bool = False


Task = Group | ProductTask | Instr


def views_of(loop: Loop) -> dict[int, View]:
    """Views by id of the value: slices, and other shapes of contiguous memory."""
    views: dict[int, View] = {}
    for instr in loop.body:
        row = lowering(instr.op)
        if row.view is None or row.fuses(instr):
            continue
        source = views.get(id(instr.inputs[0]))
        view = row.view(instr, source is not None and source.gaps)
        if view is not None:
            views[id(instr.out)] = view
    return views


def fused(item: Any) -> bool:
    """Whether an item is an instruction that is computed element by element."""
    return isinstance(item, Instr) and lowering(item.op).fuses(item)


def uses_of(loop: Loop) -> dict[int, list[Instr]]:
    """For each value the instructions of the body that read it."""
    uses: dict[int, list[Instr]] = {}
    for instr in loop.body:
        for a in instr.arrays():
            uses.setdefault(id(a), []).append(instr)
    return uses


def tasks(loop: Loop, is_split: Callable[[Value], bool]) -> list[Task]:
    """All work of a step, in order; products done before the steps come first.

    A group has one size in a shard, so all its values are split by the batch or none is.
    """
    left = _products(loop)
    done = {id(p.out) for p in loop.params}
    inside = loop.inside()
    waits = {id(i): {id(v) for v in _reads(i)} & inside for i in left}
    order: list[Task] = []

    def take(item: Any) -> Any:
        left.remove(item)
        done.add(id(item.out))
        return item

    while left:
        free = [i for i in left if waits[id(i)] <= done]
        plain = next((i for i in free if not fused(i)), None)
        if plain is not None:
            order.append(take(plain))
            continue
        shape, split = free[0].out.shape, is_split(free[0].out)
        order.append(group := Group(shape, []))
        while True:  # until nothing is left that reads only what is done, or made by the group
            alike = (i for i in left if fused(i) and i.out.shape == shape)
            ready = (i for i in alike if is_split(i.out) == split and waits[id(i)] <= done)
            following = next(ready, None)
            if following is None:
                break
            group.instrs.append(take(following))
    before = [t for t in order if isinstance(t, ProductTask) and t.before]
    return [*before, *(t for t in order if not any(t is b for b in before))]


def _reads(item: Any) -> list[Value]:
    if isinstance(item, Instr):
        return item.arrays()
    reads = [*item.instr.inputs[:2], *item.biases, item.base]
    return [a for a in reads if isinstance(a, Value)]


def _products(loop: Loop) -> list[Any]:
    """The body with products as tasks, which take in the additions to them."""
    uses, kept = uses_of(loop), loop.kept()
    early = _before(loop)
    made: dict[int, ProductTask] = {}
    items: list[Any] = []
    for instr in loop.body:
        form = lowering(instr.op).product
        if form is not None:
            added = instr.inputs[2:] if form.biased else ()
            biases = [b for b in added if isinstance(b, Value) or b != 0]
            task = ProductTask(instr, form, instr.out, None, biases, id(instr.out) in early)
            made[id(instr.out)] = task
            items.append(task)
            continue
        joined = _joined(instr, made, uses, kept)
        if joined is None:
            items.append(instr)
            continue
        base, late = joined
        late.base, late.out = base.out, instr.out
        if base.before or not late.biases:
            base.biases += late.biases
            late.biases = []
        items.remove(late)
        items.append(late)
        made[id(instr.out)] = late
    return items


def _before(loop: Loop) -> set[int]:
    """Products, by id of the result, of slices and loop-invariant weights: many steps at once."""
    slices = {id(p.out) for p in loop.slices if p.stride == 1}
    last = {id(p.of) for p in loop.carries}
    last |= {id(r.values[0]) for r in loop.results if r.kind == "final"}
    last -= {id(r.values[0]) for r in loop.results if r.kind == "stack"}
    for instr in reversed(loop.body):  # only the last few steps of these have memory
        if lowering(instr.op).adds and id(instr.out) in last:
            last |= {id(a) for a in instr.inputs}
    inside = loop.inside()
    found = set()
    for instr in loop.body:
        if weighing(instr.op) and id(instr.out) not in last and id(instr.inputs[0]) in slices:
            invariant = not any(id(a) in inside for a in instr.inputs[1:])
            if invariant and instr.array(0).ndim <= 2 and instr.array(1).ndim == 2:
                found.add(id(instr.out))
    return found


def _joined(
    instr: Instr, made: dict[int, ProductTask], uses: Any, kept: set[int]
) -> tuple[ProductTask, ProductTask] | None:
    """(base, product) if the instruction adds two products that nobody else reads."""
    if not lowering(instr.op).adds:
        return None
    pair = [made.get(id(a)) for a in instr.inputs]
    if pair[0] is None or pair[1] is None or pair[0] is pair[1]:
        return None
    if any(len(uses[id(p.out)]) != 1 or id(p.out) in kept for p in pair if p):
        return None
    a, b = (pair[1], pair[0]) if pair[1].before else (pair[0], pair[1])
    if b.before or b.base is not None or a.out.shape != b.out.shape or a.out.ndim > 2:
        return None
    if b.form.left_transposed or a.out.shape != instr.out.shape:
        return None
    return a, b
