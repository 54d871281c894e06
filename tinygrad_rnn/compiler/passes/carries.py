"""Give carries of one value from different initial values a value each.

    %4 = carry %6, from %1           %4 = carry %6, from %1
    %5 = carry %6, from %2       =>  %5 = carry %7, from %2
    %6 = tanh(%3)                    %6 = tanh(%3)
                                     %7 = astype(%6, dtype=float64)

An initial value lies in the memory of what is carried, just before its first step.
"""

from typing import Any

from ..instructions import make
from ..ir import Carry, Loop, Program, Value, identity


def separate_carries(program: Program) -> None:
    """Copy what is carried from several initial values: `y, h = y0, h0`, then `y = h = f(y, h)`."""
    for loop in program.loops:
        _separate(loop)


def _separate(loop: Loop) -> None:
    firsts: dict[int, list[tuple[Value, dict[int, Any]]]] = {}  # value or copies; by row, what
    made = {id(i.out) for i in loop.body}  # what comes from outside has no memory of a step either

    def home(v: Value, first: tuple[Any, ...]) -> Value:
        rows = {k - len(first): a for k, a in enumerate(first)}
        known = firsts.setdefault(id(v), [(v, {})] if id(v) in made else [])
        for own, taken in known:
            if all(identity(taken.get(row, a)) == identity(a) for row, a in rows.items()):
                taken.update(rows)
                return own
        copy = make("astype", (v,), {"dtype": v.dtype})
        loop.body.append(copy)
        known.append((copy.out, rows))
        return copy.out

    for p in loop.params:
        if isinstance(p, Carry):
            p.of = home(p.of, p.first)
    for r in loop.results:
        if r.lag and r.kind == "stack":
            r.values = (home(r.values[0], r.first),)
