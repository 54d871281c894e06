"""Where the values of a step live: registers, this step's memory, a block's, or all steps'."""

from typing import Any

import numpy as np

from ..ir import Carry, Instr, Loop, Value
from ..lowering.sharding import PARTIAL, SPLIT, WHOLE
from ..lowering.table import Unsupported, lowering
from ..lowering.text import SHORT
from ..passes.shard import shard
from . import schedule
from .kernel import Argument, Home
from .schedule import Group, ProductTask


class Memory:
    """Sizes, numbers and arguments of a kernel, and a home for every value that needs one."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.states, self.reason = shard(loop)
        self.split = not self.reason
        self.arguments: list[Argument] = []
        self.ints: list[int] = []
        self.numbers: list[float] = []
        self.names: dict[int, str] = {}
        self.homes: dict[int, Home] = {}
        self.aliases: dict[int, tuple[Value, Any]] = {}  # a view: of what, its key
        self.setup: list[str] = []
        self.step_views: list[str] = []
        self.flush: list[str] = []
        self.after: list[str] = []
        self.defined: set[str] = set()
        self.sums: dict[int, int] = {}
        self.flipped: set[int] = set()
        self.blocks: dict[int, str] = {}  # text for a value's rows of a whole block
        self.strip: int | None = None  # argument of the work space that such products share
        self.outer: dict[int, int] = {}
        self.casts: dict[tuple[Any, str], str] = {}
        self.made = {id(i.out): i for i in loop.body}
        self.params = {id(p.out): p for p in loop.params}
        self.uses = schedule.uses_of(loop)
        self.kept = schedule.handed_out(loop)
        self.views = schedule.views_of(loop)
        self.tasks = schedule.tasks(loop, self.is_split)
        self.batch = self._batch()
        # rows of a block: enough for products at full speed, few enough to stay in the cache and
        # to take little memory beside what is kept (a twelfth of all rows)
        rows = max(64, min(512, loop.count * self.batch // 12))
        self.block = max(1, min(loop.count, rows // max(1, self.batch)))

    # sizes, numbers, arguments ------------------------------------------------------

    def _batch(self) -> int:
        for v in [p.out for p in self.loop.params] + [i.out for i in self.loop.body]:
            if self.state(v) == SPLIT:
                return v.shape[0]
        return max([i.out.shape[0] for i in self.loop.body if i.out.ndim > 1], default=1)

    def state(self, v: Value) -> str:
        return self.states.get(id(v), WHOLE)

    def is_split(self, v: Value) -> bool:
        return self.state(v) == SPLIT

    def offset(self, n: int) -> str:
        """Name of a size or offset: the source must hold for others, too."""
        self.ints.append(int(n))
        return f"ints[{len(self.ints) - 1}]"

    def size(self, v: Value, axis: int) -> str:
        """Size of an axis of a value, in this shard."""
        if axis == 0 and self.is_split(v):
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

    def argument(self, argument: Argument) -> int:
        self.arguments.append(argument)
        return len(self.arguments) - 1

    def outside(self, v: Value) -> int:
        """Argument of a value from outside."""
        if id(v) not in self.outer:
            self.outer[id(v)] = self.argument(Argument("outer", v.shape, v.dtype, v))
        return self.outer[id(v)]

    def scratch(self, v: Value, lead: tuple[int, ...] = ()) -> int:
        """Memory of one shard for a value, with `lead` axes before."""
        batch = len(lead) if self.is_split(v) else None
        return self.argument(Argument("scratch", (*lead, *v.shape), v.dtype, batch=batch))

    def name(self, v: Value) -> str:
        """A readable name for a value."""
        if id(v) not in self.names:
            instr, p = self.made.get(id(v)), self.params.get(id(v))
            stem = instr.op.name if instr else "prev" if isinstance(p, Carry) else "x" if p else "w"
            self.names[id(v)] = f"{stem}_{len(self.names)}"
        return self.names[id(v)]

    # where values lie -----------------------------------------------------------------

    def place(self) -> None:
        """Give every value that needs memory a home."""
        loop = self.loop
        delays: dict[int, int] = {}
        for p in loop.params:
            if isinstance(p, Carry):
                delays[id(p.of)] = max(delays.get(id(p.of), 0), p.delay)
        stacked: dict[int, int] = {}
        for r in loop.results:
            v = r.values[0]
            if r.kind == "stack":
                stacked[id(v)] = max(stacked.get(id(v), 0), r.lag)
            elif r.kind == "final":
                delays[id(v)] = max(delays.get(id(v), 0), r.lag)
                delays.setdefault(id(v), 0)
        summed = {id(v) for r in loop.results if r.kind in ("product", "rows") for v in r.values}
        values = {id(i.out): i.out for i in loop.body}
        for t in self.tasks:
            if isinstance(t, ProductTask) and t.base is not None:
                self.aliases[id(t.base)] = (t.out, None)
        for key, v in values.items():
            if key in stacked:
                extra = max(stacked[key], delays.get(key, 0))
                self._store(v, "stack", loop.count, extra)
            elif key in delays:
                self._store(v, "ring", delays[key] + 1, delays[key])
        self._views()
        for t in self.tasks:
            outs = [t.out] if not isinstance(t, Group) else [i.out for i in t.instrs]
            for v in outs:
                if id(v) in self.homes or id(v) in self.aliases or not v.ndim:
                    continue
                if id(v) in summed:
                    self.homes[id(v)] = Home(self.scratch(v, (self.block,)), "block")
                elif not isinstance(t, Group) or self.leaves(v, t):
                    if isinstance(t, ProductTask) and (t.before or self._base_before(t)):
                        self.homes[id(v)] = Home(self.scratch(v, (self.block,)), "block")
                    elif id(v) not in self.views:
                        self.homes[id(v)] = Home(self.scratch(v), "temp")

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
            argument = Argument("sum", shape, v.dtype, value=v, rows=kind)
        else:
            argument = Argument("storage", shape, v.dtype, value=v, rows=kind)
        self.homes[id(v)] = Home(self.argument(argument), kind, extra, state == SPLIT)

    def _views(self) -> None:
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
        """Whether the pieces are made here, each for this only place, and fill it exactly."""
        ends = []
        for x, key in zip(instr.inputs, instr.attrs["keys"], strict=True):
            parts = key if isinstance(key, tuple) else (key,)
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
