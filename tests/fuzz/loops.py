"""A random program: one or two loops, what lies between them, and what is returned."""

from . import ops
from .carry import LATE, Source, absent, moved_on, read, sources, states
from .draw import Draw
from .program import Item, Let, Loop, Program, State, tidy
from .step import history, inner, statements

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
    "tg.stack({0})@tg.stack({0}).mT", "dict(last={0}[-1],all=tg.stack({0}))",
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
BETWEEN = [
    "tg.stack({0})",
    "tg.flip(tg.stack({0}),axis=0)",
    "tg.tanh(tg.stack({0}))",
    "[2*y for y in {0}]",
]
ORDERS = (
    ["range(T)"] * 14
    + ["reversed(range(T))"] * 3
    + ["range(T-1,-1,-1)", "range(1,T)", "range(0,T,2)"]
)
QUIET = ["t<2", "t<2", "t>=T-2", "t%2==0", "t<T-1"]


def trial(seed: int, attempt: int = 0) -> Program:
    """A program that may turn out to fail as eager code, or to have no gradient."""
    d = Draw(1000 * seed + attempt)
    given = sources(d)
    d.body.append(loop(d, given))
    if d.chance(0.3):
        lists: list[Source] = [(n, RESULTS) for n in kept(d)]
        if lists and d.chance(0.25):
            text, name = d.one(BETWEEN), d.one(lists)[0]
            if (y := d.value(text, (name,))) is not None:
                d.env[new := d.name("Y")] = y
                d.body.append(Let(new, text, (name,)))
                lists.append((new, ops.LIST_READS))
        d.body.append(loop(d, lists * 2 + given[:1]))
    return tidy(finished(d, d.body))


def kept(d: Draw) -> list[str]:
    """Lists that a loop filled."""
    return [n for n, v in d.env.items() if n[0] == "Y" and isinstance(v, list) and v]


def loop(d: Draw, given: list[Source]) -> Loop:
    """One loop over time."""
    outer, d.body, d.fresh = d.body, [], []
    found = states(d)
    d.in_loop = True
    for _ in range(d.one([1, 1, 2, 2, 3])):
        read(d, d.one(given))
    if not d.known("f"):
        d.let("{0}[t]", (d.leaf("T", "B", "H", letter="x", argument=True),))
    d.fresh += [n for s, _, _ in found for n in s.reads() if n in d.env]
    for carried in found:
        if carried[2] in LATE:
            absent(d, carried)
    keeps = [k for k in [history(d)] if k] if d.chance(0.05) else []
    statements(d, d.one([1, 2, 3, 4, 5, 6, 8]))
    if d.chance(0.07):
        inner(d)
    done: list[State] = []
    for carried in found:
        done.append(moved_on(d, carried, done))
    for _ in range(d.one([0, 1, 1, 1, 2])):
        value = done[0].value if d.chance(0.4) else d.kind("fbiu", 0.5)
        if value:
            keeps.append((d.name("Y"), value))
    quiet = d.one(QUIET) if d.chance(0.04) else ""
    body, d.body, d.in_loop = tuple(d.body), outer, False
    order = d.one(ORDERS) if d.T > 1 else "range(T)"
    made = Loop("t", order, tuple(done), body, tuple(keeps), quiet)
    leave(d, made)
    return made


def leave(d: Draw, made: Loop) -> None:
    """What is known after a loop: its states, its lists, now and then a value of its last step."""
    values = {value: d.env.get(value) for _, value in made.keeps}
    for part in made.body:
        if isinstance(part, Let) and d.chance(0.9):
            d.env.pop(part.name, None)
    for s in made.states:
        for n in s.reads():
            d.env.setdefault(n, d.space.get(n))
    steps = len(d.value(f"list({made.order})", ()))
    for name, value in made.keeps:
        if values[value] is not None:
            d.env[name] = [values[value]] * steps
    d.fresh = []


def finished(d: Draw, items: list[Item]) -> Program:
    """The program with what it returns."""
    lists, finals = kept(d), [n for n in d.env if n[-2:-1] == "_"]
    returns: list[Let] = []
    for _ in range(d.one([1, 1, 1, 2, 2, 3])):
        if lists and d.chance(0.6):
            returns.append(Let("", d.one(OUTPUTS), (d.one(lists),)))
        else:
            returns.append(Let("", d.one(OWN), (d.one(finals),)))
    if d.chance(0.05):
        returns.append(returns[0])
    series = [x.name for x in d.leaves if "T" in str(x.shape) and not x.many]
    if series and d.chance(0.05):
        returns.append(Let("", d.one(["{0}[1:]", "{0}[0]", "{0}", "{0}.T"]), (d.one(series),)))
    return Program(d.T, d.B, d.H, tuple(d.leaves), tuple(items), tuple(returns))
