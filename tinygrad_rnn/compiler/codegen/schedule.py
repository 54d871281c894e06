"""The order of work in one step of a loop: products, and pointwise ops gathered into groups.

A group is a run of pointwise ops over one shape that becomes one loop nest. The
schedule also joins `a + x @ W` into a product that adds to `a`'s buffer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..ir import Instr, Loop, Operand, Slice, Value

PRODUCTS = ("matmul", "linear", "sum_of_products")
VIEWS = ("index", "reshape")
WHOLE_OPS = (
    "sum", "sum_to", "concat", "permute_dims", "take", "one_hot", "put_slices",
    "softmax_cross_entropy", "max", "min", "cumsum", "put_taken", "take_along_axis",
    "put_along_axis",
)  # fmt: skip
SAME_NUMBER = ("reshape", "sum", "sum_to", "permute_dims")  # of a value without axes: itself
ROW_OPS = ("softmax", "log_softmax", "normalize")
INDEXED = {  # which input is the index
    "take": 1, "put_taken": 1, "take_along_axis": 1, "put_along_axis": 1, "one_hot": 0,
    "softmax_cross_entropy": 1,
}  # fmt: skip


@dataclass(eq=False)
class Group:
    """Pointwise ops over one shape: one loop nest."""

    shape: tuple[int, ...]
    instrs: list[Instr]


@dataclass(eq=False)
class Product:
    """out = base + bias + a @ W (or the other products); `before`: for many steps at once."""

    instr: Instr
    out: Value
    base: Value | None = None
    biases: list[Operand] = field(default_factory=list)
    before: bool = False


Task = Group | Product | Instr


def unsupported(loop: Loop) -> str:
    """The first op for which there is no code, and the user's line; or ""."""
    missing = next((instr for instr in loop.body if not has_code(instr)), None)
    if missing is None:
        return ""
    return f"{missing.op.name} (at {missing.line})" if missing.line else missing.op.name


def has_code(instr: Instr) -> bool:
    """Whether there is code for an instruction of a loop's body."""
    name, x = instr.op.name, instr.inputs[0] if instr.inputs else None
    if name == "pow" and instr.out.dtype.kind != "f":
        return False  # NumPy refuses negative powers of whole numbers
    if pointwise(instr):
        return True
    if name not in PRODUCTS + VIEWS + WHOLE_OPS + ROW_OPS or not isinstance(x, Value):
        return False
    if name in ROW_OPS:
        return x.ndim == 2 and instr.attrs.get("axis", -1) in (-1, 1)
    if name == "index":
        return all(isinstance(p, int | slice) for p in _parts(instr.attrs["key"]))
    if name == "put_slices":
        return all(isinstance(p, int | slice) for k in instr.attrs["keys"] for p in _parts(k))
    if name in ("max", "min"):
        return x.dtype.kind == "f"
    if name == "softmax_cross_entropy" and x.ndim != 2:
        return False
    if name in INDEXED:
        index = instr.inputs[INDEXED[name]]
        return isinstance(index, Value) and index.dtype.kind in "iu"
    if name in ("matmul", "linear"):
        ranks = tuple(a.ndim for a in instr.inputs[:2] if isinstance(a, Value))
        return ranks in ((1, 2), (2, 1), (2, 2), (3, 3))
    return True


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def views_of(loop: Loop) -> set[int]:
    """Values, by id, that lie in another's memory: slices, and other shapes of one piece."""
    views: set[int] = set()
    cut: set[int] = set()  # what lies in rows with gaps between them
    for instr in loop.body:
        if instr.op.name == "index":
            parts = _parts(instr.attrs["key"])
            if any(isinstance(p, slice) and p.step not in (None, 1) for p in parts):
                continue
            views.add(id(instr.out))
            if id(instr.inputs[0]) in cut or any(p != slice(None) for p in parts[1:]):
                cut.add(id(instr.out))
        elif instr.op.name == "reshape" and not pointwise(instr):
            x = instr.inputs[0]
            assert isinstance(x, Value)
            same = _squeezed(x.shape) == _squeezed(instr.out.shape)
            if same and id(x) not in cut:
                views.add(id(instr.out))
    return views


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def pointwise(instr: Instr) -> bool:
    """Whether it is computed element by element."""
    if instr.op.name in SAME_NUMBER:
        x = instr.inputs[0]
        return isinstance(x, Value) and not x.ndim
    return instr.op.pointwise or instr.op.name in ("broadcast_to", "drop")


def uses_of(loop: Loop) -> dict[int, list[Instr]]:
    """For each value the instructions of the body that read it."""
    uses: dict[int, list[Instr]] = {}
    for instr in loop.body:
        for a in instr.inputs:
            if isinstance(a, Value):
                uses.setdefault(id(a), []).append(instr)
    return uses


def handed_out(loop: Loop) -> set[int]:
    """Values that are carried or are results."""
    kept = {id(p.of) for p in loop.params if not isinstance(p, Slice)}
    return kept | {id(v) for r in loop.results for v in r.values}


def tasks(loop: Loop, is_split: Callable[[Value], bool]) -> list[Task]:
    """All work of a step, in order; products done before the steps come first.

    A group has one size in a shard, so all its values are split by the batch or none is.
    """
    items = _products(loop)
    order: list[Task] = []
    done = {id(p.out) for p in loop.params}
    inside = done | {id(i.out) for i in loop.body}
    group: Group | None = None
    local: set[int] = set()  # made by the open group: only it can read them
    left = list(items)
    waits = {id(i): {id(v) for v in _reads(i)} & inside for i in items}
    while left:
        if group is not None:
            known = done | local
            nxt = next(
                (
                    i
                    for i in left
                    if isinstance(i, Instr)
                    and pointwise(i)
                    and i.out.shape == group.shape
                    and is_split(i.out) == is_split(group.instrs[0].out)
                    and waits[id(i)] <= known
                ),
                None,
            )
            if nxt is None:
                done |= local
                group, local = None, set()
                continue
            group.instrs.append(nxt)
            local.add(id(nxt.out))
            left.remove(nxt)
            continue
        free = [i for i in left if waits[id(i)] <= done]
        plain = [i for i in free if not (isinstance(i, Instr) and pointwise(i))]
        if plain:
            order.append(plain[0])
            done.add(id(plain[0].out))
            left.remove(plain[0])
        else:
            group = Group(free[0].out.shape, [free[0]])
            order.append(group)
            local.add(id(free[0].out))
            left.remove(free[0])
    before = [t for t in order if isinstance(t, Product) and t.before]
    return [*before, *(t for t in order if not any(t is b for b in before))]


def _reads(item: Any) -> list[Value]:
    values = [a for a in item.inputs if isinstance(a, Value)] if isinstance(item, Instr) else []
    if isinstance(item, Product):
        values = [a for a in item.instr.inputs[:2] if isinstance(a, Value)]
        values += [b for b in item.biases if isinstance(b, Value)]
        values += [item.base] if item.base is not None else []
    return values


def _products(loop: Loop) -> list[Any]:
    """The body with products as such, additions to them taken in."""
    uses, kept = uses_of(loop), handed_out(loop)
    slices = {id(p.out) for p in loop.params if isinstance(p, Slice) and p.stride == 1}
    last = {id(p.of) for p in loop.params if not isinstance(p, Slice)}
    last |= {id(r.values[0]) for r in loop.results if r.kind == "final"}
    last -= {id(r.values[0]) for r in loop.results if r.kind == "stack"}
    for instr in reversed(loop.body):  # only the last few steps of these have memory
        if instr.op.name == "add" and id(instr.out) in last:
            last |= {id(a) for a in instr.inputs}
    inside = {id(p.out) for p in loop.params} | {id(i.out) for i in loop.body}
    made: dict[int, Product] = {}
    items: list[Any] = []
    for instr in loop.body:
        if instr.op.name in PRODUCTS:
            biases = [b for b in instr.inputs[2:] if isinstance(b, Value) or b != 0]
            a, b = instr.inputs[:2]
            before = (
                instr.op.name != "sum_of_products"
                and id(instr.out) not in last
                and id(a) in slices
                and id(b) not in inside
                and isinstance(a, Value)
                and isinstance(b, Value)
                and a.ndim <= 2
                and b.ndim == 2
                and not any(id(c) in inside for c in biases)
            )
            if instr.op.name == "sum_of_products":
                biases = []
            made[id(instr.out)] = product = Product(instr, instr.out, None, biases, before)
            items.append(product)
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


def _joined(
    instr: Instr, made: dict[int, Product], uses: Any, kept: set[int]
) -> tuple[Product, Product] | None:
    """(base, product) if the instruction adds two products that nobody else reads."""
    if instr.op.name != "add" or len(instr.inputs) != 2:
        return None
    pair = [made.get(id(a)) for a in instr.inputs]
    if pair[0] is None or pair[1] is None or pair[0] is pair[1]:
        return None
    if any(len(uses[id(p.out)]) != 1 or id(p.out) in kept for p in pair if p):
        return None
    a, b = (pair[1], pair[0]) if pair[1].before else (pair[0], pair[1])
    if b.before or b.base is not None or a.out.shape != b.out.shape or a.out.ndim > 2:
        return None
    if b.instr.op.name == "sum_of_products" or a.out.shape != instr.out.shape:
        return None
    return a, b
