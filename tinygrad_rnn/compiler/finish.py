"""Passes after differentiation: dead code, sums by rows, pointwise ops of one line."""

import ast
import functools
import inspect
import textwrap
from typing import Any

from ..op import OPS, Op
from .build import make
from .ir import Instr, Loop, Prev, Value, same
from .lower import late, written
from .tidy import Item, dead_code, share


def finish(items: list[Item], outputs: list[Any]) -> None:
    """What the code generator expects: no dead code, sums by rows, pointwise ops of one line."""
    for item in tuple(items):
        if isinstance(item, Loop):
            at = items.index(item)
            items[at:at] = _turned_before(item)
            item.body = [e for i in item.body for p in _single_pairs(i) for e in late(p)]
            item.body = [e for i in item.body for e in _expanded(i)]
            _row_sums(item)
            _plain_products(item)
            share(item)
            _own_beginnings(item)
    dead_code(items, outputs)


def _turned_before(loop: Loop) -> list[Instr]:
    """Take out of a loop its series of matrices that are turned the same way at every step.

    Attention's way back reads memory.mT, which each of its steps would copy. Single matrices
    stay: a product packs them turned.
    """
    outside = {id(v) for v in loop.inputs()}
    inside = {id(p.of) for p in loop.params if isinstance(p, Prev)}
    inside |= {id(v) for r in loop.results for v in r.values}
    found = [
        i
        for i in loop.body
        if i.op.name == "permute_dims"
        and i.out.ndim > 2
        and id(i.inputs[0]) in outside
        and id(i.out) not in inside
    ]
    loop.body = [i for i in loop.body if not any(i is f for f in found)]
    return found


def _row_sums(loop: Loop) -> None:
    """The total of sums over rows, a bias's gradient, as one sum of all rows of all steps."""
    makers = {id(i.out): i for i in loop.body}
    for r in loop.results:
        instr = makers.get(id(r.values[0])) if r.kind == "total" else None
        if instr is not None and instr.op.name == "sum_to" and instr.out.ndim == 1:
            x = instr.inputs[0]
            if isinstance(x, Value) and x.ndim == 2 and x.shape[1:] == instr.out.shape:
                r.kind, r.values = "rows", (x,)


def _single_pairs(instr: Instr) -> list[Instr]:
    """A sum of several products, as a state on both sides of one (h @ h) has it, one by one."""
    if instr.op.name != "sum_of_products" or len(instr.inputs) == 2:
        return [instr]
    pairs = zip(instr.inputs[0::2], instr.inputs[1::2], strict=True)
    parts = [make("sum_of_products", pair, {}, instr.line) for pair in pairs]
    total, sums = parts[0].out, []
    for part in parts[1:]:
        sums.append(make("add", (total, part.out), {}, instr.line))
        total = sums[-1].out
    sums[-1].out = instr.out
    return [*parts, *sums]


def _plain_products(loop: Loop) -> None:
    """(a^T)^T b, as the rule for a state on the left of a weight has it, as a b."""
    makers = {id(i.out): i for i in loop.body}
    for instr in loop.body:
        if instr.op.name != "sum_of_products" or len(instr.inputs) != 2:
            continue
        turned = makers.get(id(instr.inputs[0]))
        if turned is not None and turned.op.name == "permute_dims":
            instr.op, instr.inputs = OPS["matmul"], (turned.inputs[0], instr.inputs[1])


def _own_beginnings(loop: Loop) -> None:
    """A value of its own for each beginning of a state, since what precedes a value's first
    step lies in its memory: `y, h = start, h0` with y = h = f(y, h) in each step."""
    firsts: dict[int, list[tuple[Value, dict[int, Any]]]] = {}  # value or copies; by row, what
    made = {id(i.out) for i in loop.body}  # what comes from outside has no memory of a step either

    def home(v: Value, first: tuple[Any, ...]) -> Value:
        rows = {k - len(first): a for k, a in enumerate(first)}
        known = firsts.setdefault(id(v), [(v, {})] if id(v) in made else [])
        for own, taken in known:
            if all(same(taken.get(row, a), a) for row, a in rows.items()):
                taken.update(rows)
                return own
        copy = make("astype", (v,), {"dtype": v.dtype})
        loop.body.append(copy)
        known.append((copy.out, rows))
        return copy.out

    for p in loop.params:
        if isinstance(p, Prev):
            p.of = home(p.of, p.first)
    for r in loop.results:
        if r.lag and r.kind == "stack":
            r.values = (home(r.values[0], r.first),)


@functools.cache
def composite(op: Op) -> bool:
    """Whether a pointwise rule is written in other ops."""
    if not op.pointwise or op.name in ("detach", "astype"):
        return False
    names = {
        n.func.id
        for n in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(op.fn))))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    return any(isinstance(op.fn.__globals__.get(n), Op) for n in names)


def _expanded(instr: Instr) -> list[Instr]:
    """A pointwise op written in other ops, as those."""
    if not composite(instr.op):
        return [instr]
    return [e for i in written(instr, instr.op.fn) for e in _expanded(i)]
