"""The source of a kernel while it is written: names for sizes and numbers, and text for values."""

from typing import Any

import numpy as np

from ..ir import Carry, Slice, Value
from ..lowering.table import Unsupported
from ..lowering.text import SHORT, key_parts
from .plan import Plan


def moved(t: str, offset: int) -> str:
    """A step before or after t."""
    return f"({t} {'-' if offset < 0 else '+'} {abs(offset)})" if offset else t


def step_of(a: str, t: str, v: Value, split: bool = False) -> str:
    """Row t of an array that has a value of the step in each, for a shard its rows."""
    if not v.ndim:
        return f"{a}[{t}]"
    return f"part({a}, {t}, b0, b1)" if split else f"at({a}, {t})"


class Code:
    """What emitters write with: the text of any value at the current step, sizes, numbers.

    Lines go to one of four places: `setup` before all steps, `step_views` at the head of a step,
    `flush` after a block of steps, `after` all of them.
    """

    def __init__(self, plan: Plan):
        self.plan, self.loop = plan, plan.loop
        self.homes, self.aliases, self.views = plan.homes, plan.aliases, plan.views
        self.ints: list[int] = []
        self.numbers: list[float] = []
        self.setup: list[str] = []
        self.step_views: list[str] = []
        self.flush: list[str] = []
        self.after: list[str] = []
        self.defined: set[str] = set()
        self._names: dict[int, str] = {}

    # names --------------------------------------------------------------------------------

    def offset(self, n: int) -> str:
        """Name of a size or offset: the source must hold for others, too."""
        self.ints.append(int(n))
        return f"ints[{len(self.ints) - 1}]"

    def size(self, v: Value, axis: int) -> str:
        """Size of an axis of a value, in this shard."""
        if axis == 0 and self.plan.is_split(v):
            return "nb"
        name = f"d{len(self.ints)}"
        self.setup.append(f"{name} = {self.offset(v.shape[axis])}")
        return name

    def number(self, a: Any, dtype: Any) -> str:
        """Name of a Python number in a dtype."""
        cast = SHORT[np.dtype(dtype)]
        if float(a) != a and a == a:
            raise Unsupported(f"the whole number {a}, which float64 does not hold")
        self.numbers.append(float(a))
        name = f"n{len(self.numbers) - 1}"
        self.setup.append(f"{name} = {cast}(numbers[{len(self.numbers) - 1}])")
        return name

    def name(self, v: Value) -> str:
        """A readable name for a value."""
        if id(v) not in self._names:
            instr, p = self.plan.made.get(id(v)), self.plan.params.get(id(v))
            stem = (
                instr.op.name if instr else "carry" if isinstance(p, Carry) else "x" if p else "w"
            )
            self._names[id(v)] = f"{stem}_{len(self._names)}"
        return self._names[id(v)]

    # values at the current step -------------------------------------------------------------

    def view(self, v: Value) -> str:
        """Name of this step's array (or number) of a value that lies in memory."""
        name = self.name(v) + ("_t" if v.ndim else "")  # without _t: one number of it
        if name in self.defined:
            return name
        self.defined.add(name)
        p = self.plan.params.get(id(v))
        if isinstance(p, Slice):
            a = self.plan.outside(p.source)
            t = "t" if (p.start, p.stride) == (0, 1) else self._moved(p)
            self.step_views.append(f"{name} = {step_of(f'A{a}', t, v, self.plan.is_split(v))}")
        elif isinstance(p, Carry):
            self.step_views.append(f"{name} = {self.at(p.of, p.delay)}")
        elif id(v) in self.homes:
            self.step_views.append(f"{name} = {self.at(v)}")
        elif id(v) in self.aliases:
            base, key = self.aliases[id(v)]
            self.step_views.append(f"{name} = {self.viewed(base, key, v)}")
        else:
            self._outer_view(v, name)
        return name

    def scalar(self, v: Value) -> str:
        """Text of a value without axes: those of a step have a name and no memory."""
        made = id(v) in self.plan.made and id(v) not in self.aliases
        return self.name(v) if made else self.view(v)

    def _outer_view(self, v: Value, name: str) -> None:
        assert id(v) not in self.plan.made, f"{name} has no memory"
        a = self.plan.outside(v)
        text = f"A{a}[0]" if not v.ndim else f"A{a}[b0:b1]" if self.plan.is_split(v) else f"A{a}"
        self.setup.append(f"{name} = {text}")

    def _moved(self, p: Slice) -> str:
        return f"{self.offset(p.start)} + {self.offset(p.stride)} * t"

    def at(self, v: Value, delay: int = 0) -> str:
        """The part of a value's home that belongs to the step `delay` executed steps ago."""
        home = self.homes[id(v)]
        a = f"A{home.argument}"
        back = delay if not self.loop.reverse else -delay
        if home.kind == "temp":
            return a
        if home.kind == "block":
            return step_of(a, "t - t0", v)
        if home.kind == "ring":
            m = home.extra + 1
            return step_of(a, f"{moved('t', -back)} % {m}" if m > 1 else "0", v, home.split)
        offset = -back if self.loop.reverse else home.extra - back
        return step_of(a, moved("t", offset), v, home.split)

    def viewed(self, base: Value, key: Any, v: Value) -> str:
        source = self.view(base)
        if key is None:
            return source
        if key == "reshape" and not v.ndim:
            return f"{source}[{', '.join('0' * base.ndim)}]"
        if key == "reshape":
            sizes = ", ".join(self.size(v, k) for k in range(v.ndim))
            return f"{source}.reshape(({sizes},))"
        parts = key_parts(key)
        if not parts:
            return source
        return f"{source}[{', '.join(self.part(p) for p in parts)}]"

    def part(self, p: Any) -> str:
        if isinstance(p, slice):
            if p == slice(None):
                return ":"
            start = "" if p.start in (None, 0) else self.offset(p.start)
            return f"{start}:" if p.stop is None else f"{start}:{self.offset(p.stop)}"
        return self.offset(p)
