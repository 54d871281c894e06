"""Text that reaches a value in memory at the current step."""

from typing import Any

from ..ir import Prev, Slice, Value
from .kernel import Home
from .memory import Memory


class Views(Memory):
    """Names of arrays of the current step, defined at its head."""

    def view(self, v: Value) -> str:
        """Name of this step's array (or number) of a value that lies in memory."""
        name = self.name(v) + ("_t" if v.ndim else "")  # without _t: one number of it
        if name in self.defined:
            return name
        self.defined.add(name)
        p = self.params.get(id(v))
        if isinstance(p, Slice):
            a = self.outside(p.source)
            t = "t" if (p.start, p.stride) == (0, 1) else self._moved(p)
            rows = ", b0:b1" if self.is_split(v) else ""
            self.step_views.append(f"{name} = A{a}[{t}{rows}]")
        elif isinstance(p, Prev):
            home = self.homes[id(p.of)]
            self.step_views.append(f"{name} = {self.at(home, p.delay)}")
        elif id(v) in self.homes:
            self.step_views.append(f"{name} = {self.at(self.homes[id(v)], 0)}")
        elif id(v) in self.aliases:
            base, key = self.aliases[id(v)]
            self.step_views.append(f"{name} = {self.viewed(base, key, v)}")
        else:
            self._outer_view(v, name)
        return name

    def _outer_view(self, v: Value, name: str) -> None:
        assert id(v) not in self.made, f"{name} has no memory"
        a = self.outside(v)
        text = f"A{a}[0]" if not v.ndim else f"A{a}[b0:b1]" if self.is_split(v) else f"A{a}"
        self.setup.append(f"{name} = {text}")

    def _moved(self, p: Slice) -> str:
        return f"{self.offset(p.start)} + {self.offset(p.stride)} * t"

    def at(self, home: Home, delay: int) -> str:
        """The part of a home that belongs to the step `delay` executed steps ago."""
        a = f"A{home.argument}"
        if self.arguments[home.argument].kind == "sum":
            a += "[shard]"
        back = delay if not self.loop.reverse else -delay
        if home.kind == "temp":
            return a
        if home.kind == "block":
            return f"{a}[t - t0]"
        rows = ", b0:b1" if home.split else ""
        if home.kind == "ring":
            m = home.extra + 1
            return f"{a}[(t - {back}) % {m}{rows}]" if m > 1 else f"{a}[0{rows}]"
        offset = -back if self.loop.reverse else home.extra - back
        return f"{a}[t + {offset}{rows}]"

    def viewed(self, base: Value, key: Any, v: Value) -> str:
        source = self.view(base)
        if key is None:
            return source
        if key == "reshape" and not v.ndim:
            return f"{source}[{', '.join('0' * base.ndim)}]"
        if key == "reshape":
            sizes = ", ".join(self.size(v, k) for k in range(v.ndim))
            return f"{source}.reshape(({sizes},))"
        parts = key if isinstance(key, tuple) else (key,)
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
