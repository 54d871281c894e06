"""The plan of a kernel: the order of its work, and where the values of a step live.

A value lives in a register of its fused nest, in memory of this step, of a block of steps, or of
all steps.
"""

from dataclasses import dataclass
from typing import Any

from ..ir import Instr, Loop, Value
from ..lowering.sharding import PARTIAL, SPLIT, WHOLE
from ..lowering.table import lowering
from ..lowering.text import key_parts
from ..passes.shard import shard
from . import schedule
from .schedule import Group, ProductTask


@dataclass(eq=False)
class Argument:
    """One array of a kernel.

    outer    a value from outside the loop
    storage  memory of a value of the body, for the whole batch: `steps` says of which
    scratch  memory of one shard; `batch` is the axis along which it has the shard's rows
    sum      zeros that one shard adds to; the results of all are added up
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    value: Value | None = None
    batch: int | None = None
    steps: str = ""  # "stack": of all, "ring": of the last few, "total": their sum


@dataclass(eq=False)
class Home:
    """Where a value lies: an argument, and how to reach the current step's part of it."""

    argument: int
    kind: str  # stack, ring, block, temp
    extra: int = 0
    split: bool = False


class Plan:
    """What is decided of a loop before its source is written."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.states, self.reason = shard(loop)
        self.split = not self.reason
        self.made = loop.makers()
        self.params = {id(p.out): p for p in loop.params}
        self.uses = schedule.uses_of(loop)
        self.kept = loop.kept()
        self.views = schedule.views_of(loop)
        self.tasks = schedule.tasks(loop, self.is_split)
        self.batch = self._batch()
        # rows of a block: enough for products at full speed, few enough to stay in the cache and
        # to take little memory beside what is kept (a twelfth of all rows)
        rows = max(64, min(512, loop.count * self.batch // 12))
        self.block = max(1, min(loop.count, rows // max(1, self.batch)))
        self.arguments: list[Argument] = []
        self.homes: dict[int, Home] = {}
        self.aliases: dict[int, tuple[Value, Any]] = {}  # a view: of what, its key
        self._outer: dict[int, int] = {}
        self._place()

    def _batch(self) -> int:
        for v in [p.out for p in self.loop.params] + [i.out for i in self.loop.body]:
            if self.state(v) == SPLIT:
                return v.shape[0]
        return max([i.out.shape[0] for i in self.loop.body if i.out.ndim > 1], default=1)

    def state(self, v: Value) -> str:
        return self.states.get(id(v), WHOLE)

    def is_split(self, v: Value) -> bool:
        return self.state(v) == SPLIT

    def argument(self, argument: Argument) -> int:
        self.arguments.append(argument)
        return len(self.arguments) - 1

    def outside(self, v: Value) -> int:
        """Argument of a value from outside."""
        if id(v) not in self._outer:
            self._outer[id(v)] = self.argument(Argument("outer", v.shape, v.dtype, v))
        return self._outer[id(v)]

    def scratch(self, v: Value, lead: tuple[int, ...] = ()) -> int:
        """Memory of one shard for a value, with `lead` axes before."""
        batch = len(lead) if self.is_split(v) else None
        return self.argument(Argument("scratch", (*lead, *v.shape), v.dtype, batch=batch))

    # where values lie -----------------------------------------------------------------

    def _place(self) -> None:
        """Give every value that needs memory a home."""
        for t in self.tasks:
            if isinstance(t, ProductTask) and t.base is not None:
                self.aliases[id(t.base)] = (t.out, None)
        stacked, delays = self._kept_steps()
        for instr in self.loop.body:
            v, key = instr.out, id(instr.out)
            if key in stacked:
                self._store(v, "stack", self.loop.count, max(stacked[key], delays.get(key, 0)))
            elif key in delays:
                self._store(v, "ring", delays[key] + 1, delays[key])
        self._alias()
        sums = [r for r in self.loop.results if r.kind in ("product", "row_sum")]
        summed = {id(v) for r in sums for v in r.values}
        for t in self.tasks:
            outs = [t.out] if not isinstance(t, Group) else [i.out for i in t.instrs]
            for v in outs:
                if id(v) in self.homes or id(v) in self.aliases or not v.ndim:
                    continue
                before = isinstance(t, ProductTask) and (t.before or self._base_before(t))
                if id(v) in summed or before:
                    self.homes[id(v)] = Home(self.scratch(v, (self.block,)), "block")
                elif not isinstance(t, Group) or self.leaves(v, t):
                    if id(v) not in self.views:
                        self.homes[id(v)] = Home(self.scratch(v), "temp")

    def _kept_steps(self) -> tuple[dict[int, int], dict[int, int]]:
        """Steps kept of a value, by its id: before the first of a stack; last ones of others."""
        stacked: dict[int, int] = {}
        delays: dict[int, int] = {}
        for p in self.loop.carries:
            delays[id(p.of)] = max(delays.get(id(p.of), 0), p.delay)
        for r in self.loop.results:
            kept = {"stack": stacked, "final": delays}.get(r.kind)
            if kept is not None:
                kept[id(r.values[0])] = max(kept.get(id(r.values[0]), 0), r.lag)
        return stacked, delays

    def _base_before(self, t: ProductTask) -> bool:
        """Whether it adds to a product made before the steps."""
        while t.base is not None:
            base = t.base
            t = next(u for u in self.tasks if isinstance(u, ProductTask) and u.out is base)
        return t.before

    def _store(self, v: Value, kind: str, rows: int, extra: int) -> None:
        """Memory for the whole batch: a row for each step, or the last few.

        The last few steps of what is whole are each shard's own: one that is ahead of another
        would overwrite what that one still reads.
        """
        shape = (rows + extra if kind == "stack" else rows, *v.shape)
        state = self.state(v)
        if state == PARTIAL or (state == WHOLE and self.split and kind == "ring"):
            argument = Argument("sum", shape, v.dtype, value=v, steps=kind)
        else:
            argument = Argument("storage", shape, v.dtype, value=v, steps=kind)
        self.homes[id(v)] = Home(self.argument(argument), kind, extra, state == SPLIT)

    def _alias(self) -> None:
        """Slices of other values; pieces of a joined gradient are written where they belong."""
        for instr in self.loop.body:
            out = instr.out
            if id(out) in self.homes or not out.ndim:  # a number is read when its array is there
                continue
            if id(out) in self.views:
                self.aliases[id(out)] = (instr.inputs[0], self.views[id(out)].key)  # type: ignore
        for instr in self.loop.body:
            if lowering(instr.op).pads and self._tiles(instr):
                for x, key in zip(instr.inputs, instr.attrs["keys"], strict=True):
                    self.aliases[id(x)] = (instr.out, key)

    def _tiles(self, instr: Instr) -> bool:
        """Whether the pieces are computed in this step, used only here, and cover the result."""
        ends = []
        for x, key in zip(instr.inputs, instr.attrs["keys"], strict=True):
            parts = key_parts(key)
            maker = self.made.get(id(x))
            if (
                maker is None
                or not schedule.fused(maker)
                or id(x) in self.homes
                or id(x) in self.aliases
                or len(parts) != instr.out.ndim
                or any(p != slice(None) for p in parts[:-1])
                or not isinstance(parts[-1], slice)
                or parts[-1].step not in (None, 1)
                or sum(x is y for y in instr.inputs) != 1
            ):
                return False
            start, stop, _ = parts[-1].indices(instr.out.shape[-1])
            ends.append((start, stop))
        ends.sort()
        whole = [0, *(stop for _, stop in ends)]
        return [start for start, _ in ends] == whole[:-1] and whole[-1] == instr.out.shape[-1]

    def leaves(self, v: Value, group: Group) -> bool:
        """Whether a value made in a group is read outside of it."""
        if id(v) in self.kept and not self.only_totals(v):
            return True
        users = self.uses.get(id(v), [])
        return any(not any(u is i for i in group.instrs) for u in users)

    def only_totals(self, v: Value) -> bool:
        return all(r.kind == "total" for r in self.loop.results if any(v is w for w in r.values))

    def final_home(self, v: Value) -> Home:
        while id(v) not in self.homes:
            v = self.aliases[id(v)][0]
        return self.homes[id(v)]

    def row_of_first(self, home: Home) -> int:
        return 0 if self.loop.reverse else home.extra
