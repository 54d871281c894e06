"""The loops of a random program: what they read, carry, keep and give back."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import tinygrad_rnn as tg

from . import ops
from .program import Item, Let, Loop, Program, Size, State, tidy

if TYPE_CHECKING:
    from .draw import Draw

SHAPES: list[tuple[Size, ...]] = [("B", "H")] * 7 + [
    ("B", 1), (1, "H"), ("H", "B"), ("H", 1), ("H",), ("H",), ("B",), (), (2, "B", "H"), (1, 1),
]  # fmt: skip
BATCHES = "{0}[:,t] {0}[:,t] {0}[:,t+1] {0}[:,-1-t] {0}[:,t,None] {0}[:,t,:1]".split()
OVER_SERIES = (
    "tg.tanh({0}) {0}*0.5 {0}@{1} {0}@{1} tg.flip({0},axis=0) {0}[::-1] {0}.detach() {0}+{0} {0}[1:] "
    "tg.concat([{0},{0}],axis=0) tg.unstack({0}) [y*0.5#for#y#in#{0}] list(reversed({0})) tg.cumsum({0},axis=0)"
).split()
RESULTS = [
    "{0}[t]", "{0}[t]", "{0}[-1-t]", "{0}[T-1-t]", "{0}[t-1]", "{0}[t]+{0}[-1-t]", "tg.stack({0})[t]",
    "tg.stack({0}[:t+1]).mean(axis=0)", "{0}[-1]", "{0}[0]",
]  # fmt: skip
OUTPUTS = [
    "tg.stack({0})", "tg.stack({0})", "tg.stack({0})", "tg.stack({0},axis=1)", "tg.concat({0},axis=0)",
    "tg.stack({0}[::2])", "tg.stack({0}[::-1])", "tg.stack({0}[1:])", "tg.stack({0}[:-1])", "{0}[-1]",
    "{0}[0]", "{0}[len({0})//2]", "sum({0})", "tg.stack({0}).mean(axis=0)", "tg.mean(tg.stack({0}))",
    "tg.stack({0}).sum(axis=0)", "tg.sum(tg.square(tg.stack({0})))", "{0}", "{0}[-2:]", "{0}[0]*{0}[-1]",
    "tg.cumsum(tg.stack({0}),axis=0)", "tg.stack({0})[-1]", "tg.stack({0})[::2]", "tg.stack({0}).T",
    "tg.max(tg.stack({0}),axis=0)", "tg.stack({0})[::-1]", "sum({0})/len({0})", "tg.stack({0}[1::2])",
    "tg.stack([{0}[-1],{0}[0]])", "tg.stack({0}*2)", "tg.flip(tg.stack({0}),axis=0)", "tg.stack({0})[:-1]",
]  # fmt: skip
OWN = [
    "{0}",
    "{0}",
    "{0}*2",
    "tg.sum({0})",
    "tg.tanh({0})",
    "tg.mean({0})",
    "tg.square({0}).sum()",
    "{0}.detach()",
]
SQUASH = ["tg.tanh({0})"] * 8 + [
    "0.6*tg.tanh({0})", "tg.sigmoid({0})", "0.5*{0}", "tg.clip({0},-1,1)", "tg.sin({0})", "{0}/(1+tg.abs({0}))",
    "tg.softmax({0})", "tg.normalize({0})*0.5", "tg.tanh({0}.detach())", "tg.dropout(tg.tanh({0}),0.4)",
    "tg.tanh({0}).detach()", "{0}*0.5", "tg.relu({0})*0.5",
]  # fmt: skip
ORDERS = (
    ["range(T)"] * 14
    + ["reversed(range(T))"] * 3
    + ["range(T-1,-1,-1)", "range(1,T)", "range(0,T,2)"]
)
TIMES = ["0.9", "t", "0.1*t", "tg.exp(-0.1*{1})"]


def sources(d: "Draw") -> list[tuple[str, list[str]]]:
    """What steps may read, each with the ways to read it."""
    found: list[tuple[str, list[str]]] = []
    for _ in range(d.one([1, 1, 1, 2, 2, 3])):
        steps = d.one(["T", "T", "2*T+3", "2*T+3", "T+1"])
        argument = d.chance(0.75)
        way = d.random.choices(
            ["series", "list", "batch", "vectors", "bools", "ints"], [6, 3, 1, 1, 2, 1.5]
        )[0]
        if way == "list":
            shape = d.one([("B", "H"), ("B", "H"), ("B", "H"), ("H",), ("B", 1)])
            name = d.leaf(*shape, many=steps, argument=argument, grad=d.chance(0.7), letter="x")
            found.append((name, ops.LIST_READS))
        elif way in ("series", "vectors", "batch"):
            shape = {
                "series": (steps, "B", "H"),
                "batch": ("B", steps, "H"),
                "vectors": (steps, "H"),
            }[way]
            name = d.leaf(*shape, argument=argument, grad=d.chance(0.6), letter="x")
            found.append((name, BATCHES if way == "batch" else ops.READS))
        elif way == "bools":
            shape = d.one(
                [
                    (steps, "B", 1),
                    (steps, "B", "H"),
                    (steps, "B"),
                    (steps, 1, "H"),
                    ("B", 1),
                    ("B", "H"),
                    ("H",),
                ]
            )
            name = d.leaf(*shape, kind="bools", grad=False, argument=argument, letter="m")
            found.append((name, ops.LIST_READS if steps in shape else ["{0}"]))
        else:
            shape = d.one([(steps, "B"), (steps, "B"), (steps,), (steps, "B", 1)])
            name = d.leaf(*shape, kind="ints", grad=False, argument=argument, letter="i")
            found.append((name, ops.LIST_READS))
    if d.chance(0.2):
        name = found[0][0]
        text = d.one(OVER_SERIES).replace("#", " ")
        args = (name, d.leaf("H", "H", scale=0.6)) if "{1}" in text else (name,)
        y = d.value(text, args)
        if isinstance(y, list) or (isinstance(y, tg.Tensor) and y.ndim):
            d.env[new := d.name("Y")] = y
            d.body.append(Let(new, text, args))
            found.append((new, ops.LIST_READS))
    return found


def read(d: "Draw", source: tuple[str, list[str]]) -> None:
    """A statement that reads the same shape at every step."""
    before = d.space["t"]
    for _ in range(10):
        text, shapes = d.one(source[1]), set()
        for t in range(d.T):
            d.space["t"] = t
            y = d.value(text, (source[0],))
            shapes.add(y.shape if isinstance(y, tg.Tensor) and d.fits(y) else None)
        d.space["t"] = before
        if len(shapes) == 1 and None not in shapes:
            d.let(text, (source[0],))
            return


def start(d: "Draw", shape: tuple[Size, ...], known: list[State], way: str) -> Let:
    """What a state is before the first step."""
    sizes = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    if way == "none":
        return Let("", "None")
    if way == "number":
        return Let("", "0.0")
    if way == "zero":
        return Let("", f'tg.zeros(({sizes}), dtype="float64")')
    if way == "read":
        known_values = [
            n for n, v in d.env.items() if d.fits(v) and v.shape == d.value(f"({sizes})", ())
        ]
        floats = [n for n in known_values if d.env[n].dtype.kind == "f"]
        if floats:
            return Let("", d.one(["{0}", "tg.tanh({0})"]), (d.one(floats),))
    return Let("", "{0}", (d.leaf(*shape, grad=way != "constant", letter="s", reuse=0.4),))


def states(d: "Draw") -> list[tuple[State, tuple[Size, ...], str]]:
    """1 to 3 states with their shape and the way they start; their values come later."""
    found: list[tuple[State, tuple[Size, ...], str]] = []
    for letter in "abc"[: d.one([1, 1, 2, 2, 3])]:
        shape = d.one(SHAPES) if not found or d.chance(0.5) else found[0][1]
        delay = d.random.choices([1, 2, 3], [8, 2, 1])[0]
        way = d.random.choices(
            ["leaf", "zero", "constant", "none", "number", "read", "shared", "whole"],
            [6, 4, 1, 1.5, 1, 1, 2, 0.8],
        )[0]
        if way == "shared" and found and found[0][1] == shape and found[0][2] == "leaf":
            starts = found[0][0].starts[:1] * delay
        elif way == "whole":
            kind, made = d.one([("bool", "ones"), ("int", "zeros")])
            sizes = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
            starts = (Let("", f"tg.{made}(({sizes}), dtype={kind})"),) * delay
        else:
            one = start(d, shape, [], way)
            starts = tuple(one if d.chance(0.7) else start(d, shape, [], way) for _ in range(delay))
        state = State(d.name(letter), starts, "")
        state = replace(state, name=state.name + "_")
        found.append((state, shape, way))
        for name, first in zip(state.reads(), starts, strict=True):
            if way in ("none", "number"):
                d.space[name] = d.value(
                    f"tg.rand(*({''.join(f'{n},' for n in shape)}), dtype='float64')", ()
                )
            else:
                d.env[name] = d.value(first.text, first.args)
    return found


GUARDED = ["{0} if {1} is None else {0}+{1}", "{0} if {1} is None else tg.tanh({0}*{1})",
           "tg.tanh({0}) if {1} is None else {1}*0.5+{0}", "{0} if {1} is None else {0}*0.5+{1}@{2}",
           "{0} if {1} is None else tg.concat([{0},{1}],axis=-1)@{3}"]  # fmt: skip


def absent(d: "Draw", state: State, shape: tuple[Size, ...], way: str) -> None:
    """Read a state that is None, or a Python number, in the first step."""
    here = d.value(f"({''.join(f'{n},' for n in shape)})", ())
    for name in state.reads():
        u = d.shaped(here)
        if way == "number":
            d.let(d.one(["{0}+{1}", "{1}+{0}", "{0}+0.5*{1}", "{0}*({1}+1)"]), (u, name))
            continue
        text = d.one(GUARDED[:3] if len(shape) < 2 else GUARDED)
        weights = (
            tuple(d.leaf(n, shape[-1], scale=0.6) for n in (shape[-1], 2 * here[-1]))
            if len(shape) > 1
            else ()
        )
        used = weights[:1] if "{2}" in text else weights[1:] if "{3}" in text else ()
        d.let(text.replace("{3}", "{2}"), (u, name, *used))


def loop(d: "Draw", given: list[tuple[str, list[str]]]) -> Loop:
    """One loop over time."""
    outer, d.body, d.fresh = d.body, [], []
    found = states(d)
    d.in_loop = True
    for _ in range(d.one([1, 1, 2, 2, 3])):
        read(d, d.one(given))
    if not any(d.kind(k) for k in "f"):
        d.let("{0}[t]", (d.leaf("T", "B", "H", letter="x", argument=True),))
    d.fresh += [n for s, _, _ in found for n in s.reads() if n in d.env]
    for s, shape, way in found:
        if way in ("none", "number"):
            absent(d, s, shape, way)
    d.statements(d.one([1, 2, 3, 4, 5, 6, 8]))
    if d.chance(0.07):
        inner(d)
    done: list[State] = []
    for s, shape, way in found:
        done.append(replace(s, value=moved_on(d, s, shape, way, done)))
    keeps = []
    for _ in range(d.one([0, 1, 1, 1, 2])):
        value = done[0].value if d.chance(0.4) else d.kind("n", 0.5)
        if value and not d.is_series(value):
            keeps.append((d.name("Y"), value))
    quiet = d.one(["t<2", "t<2", "t>=T-2", "t%2==0", "t<T-1"]) if d.chance(0.04) else ""
    body, d.body, d.in_loop = tuple(d.body), outer, False
    made = Loop(
        "t", d.one(ORDERS if d.T > 1 else ["range(T)"]), tuple(done), body, tuple(keeps), quiet
    )
    for part in body:
        if isinstance(part, Let) and d.chance(0.9):
            d.env.pop(part.name, None)
    for s in done:
        for n in s.reads():
            d.env.setdefault(n, d.space.get(n))
    for name, value in keeps:
        y = d.env.get(value)
        if y is not None:
            d.env[name] = [y] * max(1, len(d.value(f"list({made.order})", ())))
    d.fresh = []
    return made


def moved_on(d: "Draw", s: State, shape: tuple[Size, ...], way: str, done: list[State]) -> str:
    """The value that a state takes on at the end of a step."""
    here = d.value(f"({''.join(f'{n},' for n in shape)})", ())
    mine = s.reads()[0]
    if way == "whole":
        return d.shaped(here, d.env[mine].dtype.kind)
    same = [p for p in done if d.env.get(p.value) is not None and d.env[p.value].shape == here]
    if same and d.chance(0.2):
        p = d.one(same)  # two states fed by one value, or one a step behind the other
        other = p.reads()[0]
        return (
            other if d.chance(0.3) and other in d.env and way not in ("none", "number") else p.value
        )
    u = d.shaped(here)
    if d.chance(0.15) and mine in d.env:  # a running total
        return d.let(d.one(["{1}+{0}", "{0}+{1}", "{1}*0.9+{0}", "0.5*({0}+{1})"]), (u, mine))
    text = d.one(SQUASH)
    if not d.fits(d.value(text, (u,))) or d.value(text, (u,)).shape != here:
        text = "tg.tanh({0})"
    value = d.let(text, (u,))
    if mine in d.env and d.chance(0.1):
        condition = d.one(ops.CONDITIONS)
        if d.chance(0.5):
            return d.let(f"{{0}} if {condition} else {{1}}", (value, mine))
        return d.let(f"{{0}}.detach() if {condition} else {{0}}", (value,))
    masks = [n for n, v in d.env.items() if isinstance(v, tg.Tensor) and v.dtype == bool]
    if mine in d.env and masks and d.chance(0.5):
        args = (d.one(masks), value, mine)
        y = d.value("tg.where({0},{1},{2})", args)
        if d.fits(y) and y.shape == here:
            return d.let("tg.where({0},{1},{2})", args)
    return value


def inner(d: "Draw") -> None:
    """A loop in the step."""
    u = d.kind("f")
    if u is None or d.is_series(u):
        return
    outer, d.body = d.body, []
    state = State(d.name("z") + "_", (Let("", "{0}", (u,)),), "")
    mine = state.reads()[0]
    d.env[mine] = d.env[u]
    d.fresh.append(mine)
    d.statements(d.one([1, 2]))
    value = d.let("tg.tanh({0})", (d.shaped(d.env[u].shape),))
    body, d.body = tuple(d.body), outer
    d.body.append(Loop("k", d.one(["range(2)", "range(3)"]), (replace(state, value=value),), body))


def program(d: "Draw") -> Program:
    """One or two loops, what lies between them, and what is returned."""
    given = sources(d)
    d.body.append(loop(d, given))
    if d.chance(0.3):
        lists = [(n, RESULTS) for n, v in d.env.items() if n[0] == "Y" and isinstance(v, list)]
        finals = [n for n in d.env if n[-2:] == "_1"]
        if lists and d.chance(0.25):
            name = d.one(lists)[0]
            new = d.let(
                d.one(["tg.stack({0})", "tg.flip(tg.stack({0}),axis=0)", "tg.tanh(tg.stack({0}))"]),
                (name,),
                letter="Y",
            )
            if d.env[new] is not None:
                lists.append((new, ops.LIST_READS))
        d.body.append(loop(d, (lists or given) * 2 + given[:1] if lists or finals else given))
    return tidy(finished(d, d.body))


def finished(d: "Draw", items: list[Item]) -> Program:
    """The program with what it returns."""
    lists = [n for n, v in d.env.items() if n[0] == "Y" and isinstance(v, list)]
    finals = [n for n in d.env if n[-2:-1] == "_"]
    returns: list[Let] = []
    wanted = d.one([1, 1, 1, 2, 2, 3])
    while len(returns) < wanted:
        if lists and d.chance(0.6):
            new = Let("", d.one(OUTPUTS), (d.one(lists),))
        elif finals:
            new = Let("", d.one(OWN), (d.one(finals),))
        else:
            break
        returns.append(new)
    if d.chance(0.05):
        returns.append(returns[0])
    series = [x.name for x in d.leaves if "T" in str(x.shape)]
    if series and d.chance(0.05):
        returns.append(Let("", d.one(["{0}[1:]", "{0}[0]", "{0}", "{0}.T"]), (d.one(series),)))
    return Program(d.T, d.B, d.H, tuple(d.leaves), tuple(items), tuple(returns))
