"""What the steps of a random loop read, and what they carry on."""

from dataclasses import replace

import tinygrad_rnn as tg

from . import ops
from .draw import Draw
from .program import Let, Size, State
from .step import shaped, tuple_of

Source = tuple[str, list[str]]  # a name, and the ways to read it
SHAPES: list[tuple[Size, ...]] = [("B", "H")] * 7 + [
    ("B", 1), (1, "H"), ("H", "B"), ("H", 1), ("H",), ("H",), ("B",), (), (1, 1), (2, "B", "H"), (2, "B", "H"),
    (2, "B", 1), (2, 1, "B", "H"),
]  # fmt: skip
MASKS: list[tuple[Size, ...]] = [
    ("n", "B", 1), ("n", "B", "H"), ("n", "B"), ("n", 1, "H"), ("B", 1), ("B", "H"), ("H",),
]  # fmt: skip
BATCHES = ["{0}[:,t]", "{0}[:,t]", "{0}[:,t+1]", "{0}[:,-1-t]", "{0}[:,t,None]", "{0}[:,t,:1]"]
OVER_SERIES = [
    "tg.tanh({0})",
    "{0}*0.5",
    "{0}@{1}",
    "{0}@{1}",
    "tg.flip({0},axis=0)",
    "{0}[::-1]",
    "{0}.detach()",
    "{0}+{0}",
    "{0}[1:]",
    "tg.concat([{0},{0}],axis=0)",
    "tg.unstack({0})",
    "[y*0.5#for#y#in#{0}]",
    "list(reversed({0}))",
    "tg.cumsum({0},axis=0)",
]
GUARDED = [
    "{0} if {1} is None else {0}+{1}",
    "{0} if {1} is None else tg.tanh({0}*{1})",
    "tg.tanh({0}) if {1} is None else {1}*0.5+{0}",
    "{0} if {1} is None else {0}*0.5+{1}@{2}",
    "{0} if {1} is None else tg.concat([{0},{1}],axis=-1)@{2}",
]
NUMBERS = ["{0}+{1}", "{1}+{0}", "{0}+0.5*{1}", "{0}*({1}+1)"]
STARTS = {"leaf": 6, "zero": 4, "constant": 1, "none": 1.5, "number": 1, "read": 1, "shared": 2, "whole": 0.8}  # fmt: skip
LATE = ("none", "number")  # starts that the first step must treat by themselves
SQUASH = ["tg.tanh({0})"] * 8 + [
    "0.6*tg.tanh({0})", "tg.sigmoid({0})", "0.5*{0}", "tg.clip({0},-1,1)", "tg.sin({0})", "{0}/(1+tg.abs({0}))",
    "tg.softmax({0})", "tg.normalize({0})*0.5", "tg.tanh({0}.detach())", "tg.dropout(tg.tanh({0}),0.4)",
    "tg.tanh({0}).detach()", "{0}*0.5", "tg.relu({0})*0.5",
]  # fmt: skip


def sources(d: Draw) -> list[Source]:
    """Series, lists, masks and class numbers, and something made of one before the loop."""
    found = [source(d) for _ in range(d.one([1, 1, 1, 2, 2, 3]))]
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


def source(d: Draw) -> Source:
    """One of them, with as many steps as there are, or more."""
    n = d.one(["T", "T", "2*T+3", "2*T+3", "T+1"])
    outside = d.chance(0.75)
    ways = ["series", "list", "batch", "vectors", "stacks", "bools", "ints"]
    way = d.random.choices(ways, [6, 3, 1, 1, 1.5, 2, 1.5])[0]
    grad = way not in ("bools", "ints") and d.chance(0.65)
    if way == "list":
        shape = d.one([("B", "H"), ("B", "H"), ("B", "H"), ("H",), ("B", 1)])
        return d.leaf(*shape, many=n, argument=outside, grad=grad, letter="x"), ops.LIST_READS
    if way == "bools":
        shape = tuple(n if m == "n" else m for m in d.one(MASKS))
        name = d.leaf(*shape, kind="bools", grad=False, argument=outside, letter="m")
        return name, ops.LIST_READS if n in shape else ["{0}"]
    if way == "ints":
        shape = d.one([(n, "B"), (n, "B"), (n,), (n, "B", 1)])
        return d.leaf(*shape, kind="ints", grad=False, argument=outside, letter="i"), ops.LIST_READS
    stack: tuple[Size, ...] = d.one([(n, 2, "B", "H"), (n, 2, 1, "B", "H"), (n, 1, 2, "H", "H")])
    shapes: dict[str, tuple[Size, ...]] = {"series": (n, "B", "H"), "batch": ("B", n, "H")}
    shape = (shapes | {"vectors": (n, "H"), "stacks": stack})[way]
    name = d.leaf(*shape, argument=outside, grad=grad, letter="x")
    return name, BATCHES if way == "batch" else ops.READS


def read(d: Draw, source: Source) -> None:
    """A statement that reads the same shape at every step."""
    before = d.space["t"]
    for _ in range(10):
        text, shapes = d.one(source[1]), set()
        for t in range(d.T):
            d.space["t"] = t
            y = d.value(text, (source[0],))
            shapes.add(y.shape if d.fits(y) else None)
        d.space["t"] = before
        if len(shapes) == 1 and None not in shapes:
            d.let(text, (source[0],))
            return


def start(d: Draw, shape: tuple[Size, ...], way: str) -> Let:
    """What a state is before the first step."""
    if way in LATE:
        return Let("", "None" if way == "none" else "0.0")
    if way == "zero":
        return Let("", f'tg.zeros({tuple_of(shape)}, dtype="float64")')
    if way == "whole":
        return Let(
            "", f"tg.{d.one(['ones', 'zeros'])}({tuple_of(shape)}, dtype={d.one(['bool', 'int'])})"
        )
    there = [n for n in d.known("f", d.value(tuple_of(shape), ())) if d.fits(d.env[n])]
    if way == "read" and there:
        return Let("", d.one(["{0}", "tg.tanh({0})"]), (d.one(there),))
    return Let("", "{0}", (d.leaf(*shape, grad=way != "constant", letter="s", reuse=0.4),))


Carried = tuple[State, tuple[Size, ...], str]  # without its value yet; its shape, how it starts


def states(d: Draw) -> list[Carried]:
    """1 to 3 states, read from 1 to 3 steps back."""
    found: list[Carried] = []
    for letter in "abc"[: d.one([1, 1, 2, 2, 3])]:
        shape = d.one(SHAPES) if not found or d.chance(0.5) else found[0][1]
        delay = d.random.choices([1, 2, 3], [8, 2, 1])[0]
        way = d.random.choices(list(STARTS), list(STARTS.values()))[0]
        one = start(d, shape, way)
        starts = tuple(
            one if way == "whole" or d.chance(0.7) else start(d, shape, way) for _ in range(delay)
        )
        if way == "shared" and found and found[0][1] == shape and found[0][2] == "leaf":
            starts = found[0][0].starts[:1] * delay
        state = State(d.name(letter) + "_", starts, "")
        found.append((state, shape, way))
        for name, first in zip(state.reads(), starts, strict=True):
            if way in LATE:
                d.space[name] = d.value(f'tg.rand(*{tuple_of(shape)}, dtype="float64")', ())
            else:
                d.env[name] = d.value(first.text, first.args)
    return found


def absent(d: Draw, carried: Carried) -> None:
    """Read a state that is None, or a Python number, in the first step."""
    state, shape, way = carried
    here = d.value(tuple_of(shape), ())
    for name in state.reads():
        u = shaped(d, here)
        if way == "number":
            d.let(d.one(NUMBERS), (u, name))
            continue
        text = d.one(GUARDED[:3] if len(shape) < 2 else GUARDED)
        rows = 2 * here[-1] if "concat" in text else d.size(here[-1]) if here else 0
        weight = (d.leaf(rows, shape[-1], scale=0.6),) if "{2}" in text else ()
        d.let(text, (u, name, *weight))


def moved_on(d: Draw, carried: Carried, done: list[State]) -> State:
    """The state with the value that it takes on at the end of a step."""
    state, shape, way = carried
    here, mine = d.value(tuple_of(shape), ()), state.reads()[0]
    if way == "whole":
        return replace(state, value=shaped(d, here, d.env[mine].dtype.kind))
    same = [p for p in done if d.fits(d.env.get(p.value)) and d.env[p.value].shape == here]
    if same and d.chance(0.2):  # two states fed by one value, or one a step behind the other
        other = d.one(same)
        behind = other.reads()[0] in d.env and way not in LATE and d.chance(0.3)
        return replace(state, value=other.reads()[0] if behind else other.value)
    u = shaped(d, here)
    if mine in d.env and d.chance(0.15):
        running = ["{1}+{0}", "{0}+{1}", "{1}*0.9+{0}", "0.5*({0}+{1})"]
        return replace(state, value=d.let(d.one(running), (u, mine)))
    text = d.one(SQUASH)
    y = d.value(text, (u,))
    value = d.let(text if d.fits(y) and y.shape == here else "tg.tanh({0})", (u,))
    if mine in d.env:
        value = kept_back(d, value, mine)
    return replace(state, value=value)


def kept_back(d: Draw, value: str, mine: str) -> str:
    """Maybe some steps, or masked rows, keep the old state, or cut its gradient."""
    condition = d.one(ops.CONDITIONS)
    masks = d.known("b")
    way = d.random.random()
    if way < 0.05:
        return d.let(f"{{0}} if {condition} else {{1}}", (value, mine))
    if way < 0.1:
        return d.let(f"{{0}}.detach() if {condition} else {{0}}", (value,))
    if way < 0.5 and masks:
        args = (d.one(masks), value, mine)
        y = d.value("tg.where({0},{1},{2})", args)
        if d.fits(y) and y.shape == d.env[mine].shape:
            return d.let("tg.where({0},{1},{2})", args)
    return value
