"""Statements of a step."""

import math
import re
from dataclasses import replace
from typing import Any

from . import ops
from .draw import Draw
from .program import Let, Loop, Size, State

TABLES: list[tuple[float, Any]] = [
    (6, {"f": ops.POINTWISE}),
    (2.5, {"f": ops.ROWS}),
    (2.5, {"f": ops.SHAPES}),
    (6, {"ff": ops.TWO}),
    (1.5, {"fff": ops.THREE}),
    (2.5, ops.MASKED),
    (0.7, ops.BOOLS),
    (0.7, ops.INTS),
]
QUIET = ["t<2", "t>=T-2", "t%2", "True", "t==0"]
# ways to another shape, and to one more operand that gives the shape
SHAPED = [
    "{0}",
    "{0}.T",
    "tg.mean({0},axis=0,keepdims=True)",
    "tg.sum({0},axis=1)",
    "tg.mean({0})",
    "tg.mean({0},axis=0)",
    "tg.sum({0},axis=-1,keepdims=True)",
    "{0}[:1]",
    "{0}[0]",
    "{0}[...,:1]",
]
SPREAD = ["{1}*(#)", "{1}+(#)", "(#)+{1}"]


def tuple_of(sizes: tuple[Size, ...]) -> str:
    """The text of a shape."""
    return f"({''.join(f'{n},' for n in sizes)})"


def statements(d: Draw, n: int) -> None:
    """Up to n statements."""
    for _ in range(4 * n):
        if n and statement(d):
            n -= 1


def statement(d: Draw) -> str | None:
    """One more statement of any sort, unless what was drawn does not fit."""
    way = d.random.random()
    if way < 0.2:
        return product(d)
    lets = [i for i in d.body if isinstance(i, Let) and d.fits(d.env.get(i.name))]
    if way < 0.25 and lets:  # the same expression twice
        old = d.one(lets)
        return d.let(old.text, old.args, old.quiet)
    weights, tables = zip(*TABLES, strict=True)
    table = d.random.choices(tables, weights)[0]
    kinds = d.one(table)
    args = tuple(d.kind({"i": "iu"}.get(k, k)) or "" for k in kinds)
    if "" in args:
        return None
    text = re.sub(r"<(\w+)>", lambda hole: d.number(hole[1]), d.one(table[kinds].split()))
    y = d.value(text, args)
    if not d.fits(y):
        return None
    if d.in_loop and d.chance(0.1):
        text, args = differing(d, text, args, y)
    return d.let(text, args, d.one(QUIET) if d.in_loop and d.chance(0.025) else "")


def differing(d: Draw, text: str, args: tuple[str, ...], y: Any) -> tuple[str, tuple[str, ...]]:
    """Some steps differ: `a if t == 0 else b`, where b has a's shape."""
    same = [n for n in d.known(y.dtype.kind, y.shape) if d.env[n].dtype == y.dtype]
    if not same:
        return text, args
    hole = f"{{{len(args)}}}"
    ways = ["#", "tg.tanh(#)", "#*0.5", "#.detach()", "#+#"] if y.dtype.kind == "f" else ["#"]
    a, b = d.random.sample([text, d.one(ways).replace("#", hole)], 2)
    return f"({a}) if {d.one(ops.CONDITIONS)} else ({b})", (*args, d.one(same))


def product(d: Draw) -> str | None:
    """With a weight that fits: on either side, linear, of pieces joined, one a step; scaled."""
    u, w = d.kind("f"), d.kind("f")
    if u is None or w is None or not d.env[u].ndim:
        return None
    shape = d.env[u].shape
    k, n = d.size(shape[-1]), d.one(["H", "H", "H", d.size(shape[-1]), 1, 2])
    rows = d.size(shape[-2]) if len(shape) > 1 else 1
    any_size = d.one([(k,), (k,), (1,), (), tuple(d.size(m) for m in shape)])
    joined = d.value("tg.concat([{0},{1}],axis=-1)", (u, w))
    wide = d.size(joined.shape[-1]) if joined is not None else 0
    i = d.kind("iu")
    scale = round(1.2 / math.sqrt(shape[-1]), 2)
    ways: list[tuple[str, tuple[Any, ...], tuple[Size, ...]]] = [
        *[("{0}@{1}", (u,), (k, n))] * 5,
        ("{1}@{0}", (u,), (d.one([rows, n]), rows)),
        ("{0}@{1}", (u,), (d.one([1, 2]), k, n)),
        ("tg.linear({0},{1},0)*{0}", (u,), (k, k)),
        ("tg.linear({0},{1},0)", (u,), (n, k)),
        ("tg.linear({0},{1})", (u,), (n, k)),
        (d.one(["{0}*{1}", "{1}*{0}"]), (u,), any_size),
        (d.one(["{0}+{1}", "{0}-{1}"]), (u,), any_size),
        ("tg.concat([{0},{1}],axis=-1)@{2}", (u, w), (wide, n)),
        ("{0}+{1}@{2}", (u, w), (d.size(d.env[w].shape[-1]) if d.env[w].ndim else 1, k)),
        (d.one(["{1}@{0}", "{0}@{1}"]), (u,), (k,)),
        ("tg.take({1},{0},axis=0)", (i,), (4, n)),
        ("tg.embedding({0},{1})", (i,), (4, n)),
        ("tg.linear({0},{1},{2})", (u, d.leaf(n, k, scale=scale)), (n,)),
        (f"{{0}}@{{1}}[{d.one(['t', 't', 't', 't+1', 'T-1-t'])}]", (u,), (k, n)),
    ]
    text, args, size = d.one(ways)
    steps: dict[str, Any] = {"many": "T+3"} if "][t" in text or "}[" in text else {}
    if None in args or (steps and not d.in_loop):
        return None
    args = (*args, d.leaf(*size, scale=scale, **steps))
    return d.let(text, args) if d.fits(d.value(text, args)) else None


def shaped(d: Draw, shape: tuple[int, ...], kind: str = "f") -> str:
    """A value of one shape and kind: one that is there, or made of one."""
    sizes = tuple(d.size(m) for m in shape)
    known = [n for n in d.known(kind) if d.fits(d.env[n])]
    ready = [n for n in known if d.env[n].shape == shape and n in d.fresh]
    if ready and d.chance(0.8):
        return d.one(ready)
    for _ in range(30 if known else 0):
        u = d.one([n for n in d.fresh if n in known] or known if d.chance(0.7) else known)
        text, args = d.one(SHAPED), (u,)
        y = d.value(text, args)
        if y is not None and y.shape != shape and kind == "f":
            text, args = d.one(SPREAD).replace("#", text), (u, d.leaf(*sizes))
        elif y is not None and y.shape != shape and kind == "b":
            text = f"({text})&tg.ones({tuple_of(sizes)},dtype=bool)"
        y = d.value(text, args)
        if d.fits(y) and y.shape == shape and y.dtype.kind == kind:
            return u if text == "{0}" else d.let(text, args)
    if kind != "f":
        return d.let(f"tg.ones({tuple_of(sizes)},dtype={'bool' if kind == 'b' else 'int'})")
    return d.let("tg.mean({0})*{1}", (d.one(known), d.leaf(*sizes)))


def inner(d: Draw) -> None:
    """A loop in the step."""
    u = d.kind("f")
    if u is None:
        return
    outer, d.body = d.body, []
    state = State(d.name("z") + "_", (Let("", "{0}", (u,)),), "")
    mine = state.reads()[0]
    d.env[mine] = d.env[u]
    d.fresh.append(mine)
    statements(d, d.one([1, 2]))
    value = d.let("tg.tanh({0})", (shaped(d, d.env[u].shape),))
    body, d.body = tuple(d.body), outer
    d.body.append(Loop("k", d.one(["range(2)", "range(3)"]), (replace(state, value=value),), body))


def history(d: Draw) -> tuple[str, str] | None:
    """Attention over a list that grows by one value a step: (list, value)."""
    values = [n for n in d.known("f") if d.env[n].ndim == 2]
    if not values:
        return None
    value, name = d.one(values), d.name("Y")
    d.env[name] = []
    ways = ["tg.stack([*{0},{1}]).mean(axis=0)", "tg.max(tg.stack([*{0},{1}]),axis=0)", "sum([*{0},{1}])",
            "(tg.softmax((tg.stack([*{0},{1}])*{1}).sum(axis=-1,keepdims=True),axis=0)*tg.stack([*{0},{1}])).sum(axis=0)"]  # fmt: skip
    d.let(d.one(ways), (name, value))
    return name, value
