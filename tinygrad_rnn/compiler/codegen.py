"""Source of the kernel for one loop: no sizes in it, so other lengths and batches re-use it.

    def kernel(n, block, b0, b1, whole, shard, ints, numbers, A0, A1, ...)

runs all `n` steps for the rows b0 to b1 of the batch, `block` steps at a time: products
of what is known before the steps first, the steps, then the products that sum over
steps. Sizes and offsets come in `ints`, Python numbers in `numbers`; every array is
C-contiguous. What each array is, is said by `Kernel.arguments`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..kernels.products import column_shape, panel_shape
from . import schedule, shard
from .ir import Instr, Loop, Prev, Result, Slice, Value
from .scalars import SHORT, expression
from .schedule import Group, Product
from .shard import PARTIAL, SPLIT, WHOLE

HEADER = '''"""Written by tinygrad_rnn for one loop; changes are lost."""
import numpy as np
from tinygrad_rnn.kernels import rows, scalar
from tinygrad_rnn.kernels._jit import jit
from tinygrad_rnn.kernels.philox import keeps
from tinygrad_rnn.kernels.products import (
    add_packed, add_product, add_rows, add_transposed, copy_rows, pack, row_sum, set_rows,
    set_value)
from tinygrad_rnn.kernels.tiles import wide_vectors
from tinygrad_rnn.kernels.scalar import maths as math

F32, F64, I64, I32, U64, BOOL = np.float32, np.float64, np.int64, np.int32, np.uint64, np.bool_

'''


@dataclass(eq=False)
class Argument:
    """One array of a kernel.

    outer    a value from outside the loop
    storage  memory of a value of the body, for the whole batch: `rows` steps of it
    scratch  memory of one shard; `batch` is the axis along which it has the shard's rows
    sum      zeros to add to, one for each shard (`shards` first axis)
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    value: Value | None = None
    batch: int | None = None
    rows: str = ""  # of a storage: "stack", "ring"


@dataclass(eq=False)
class Kernel:
    """Source and everything needed to call it."""

    loop: Loop
    source: str
    arguments: list[Argument]
    ints: list[int]
    numbers: list[float]
    split: bool
    reason: str  # why it is not split
    batch: int
    block: int
    homes: dict[int, tuple[int, str, int]]  # by id of a value: argument, kind, extra rows
    sums: dict[int, int]  # by id of a result: argument
    flipped: set[int]  # ids of results that lie there transposed
    states: dict[int, str]
    notes: list[str]


def generate(loop: Loop) -> Kernel:
    """The kernel of a loop; ValueError names an op without code."""
    missing = schedule.unsupported(loop)
    if missing:
        raise ValueError(missing)
    return _Code(loop).kernel()


@dataclass(eq=False)
class _Home:
    """Where a value lies: an argument, and how to reach the current step's part of it."""

    argument: int
    kind: str  # stack, ring, block, temp
    extra: int = 0
    split: bool = False


class _Code:
    """Writes one kernel."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.states, self.reason = shard.analyse(loop)
        self.split = not self.reason
        self.arguments: list[Argument] = []
        self.ints: list[int] = []
        self.numbers: list[float] = []
        self.names: dict[int, str] = {}
        self.homes: dict[int, _Home] = {}
        self.aliases: dict[int, tuple[Value, Any]] = {}  # a view: of what, its key
        self.setup: list[str] = []
        self.step_views: list[str] = []
        self.flush: list[str] = []
        self.after: list[str] = []
        self.defined: set[str] = set()
        self.sums: dict[int, int] = {}
        self.flipped: set[int] = set()
        self.blocks: dict[int, str] = {}  # text for a value's rows of a whole block
        self.panels_of: dict[int, str] = {}  # where those rows are packed
        self.packed = ""
        self.outer: dict[int, int] = {}
        self.casts: dict[tuple[Any, str], str] = {}
        self.made = {id(i.out): i for i in loop.body}
        self.params = {id(p.out): p for p in loop.params}
        self.uses = schedule.uses_of(loop)
        self.kept = schedule.handed_out(loop)
        self.tasks = schedule.tasks(loop)
        self.batch = self._batch()
        self.block = max(1, min(loop.count, -(-512 // max(1, self.batch))))

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

    def int(self, n: int) -> str:
        """Name of a size or offset: the source must hold for others, too."""
        self.ints.append(int(n))
        return f"ints[{len(self.ints) - 1}]"

    def size(self, v: Value, axis: int) -> str:
        """Size of an axis of a value, in this shard."""
        if axis == 0 and self.is_split(v):
            return "nb"
        name = f"d{len(self.ints)}"
        self.setup.append(f"{name} = {self.int(v.shape[axis])}")
        return name

    def number(self, a: Any, dtype: Any) -> str:
        """Name of a Python number in a dtype."""
        cast = SHORT[np.dtype(dtype)]
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
            stem = instr.op.name if instr else "prev" if isinstance(p, Prev) else "x" if p else "w"
            self.names[id(v)] = f"{stem}_{len(self.names)}"
        return self.names[id(v)]

    # where values lie -----------------------------------------------------------------

    def place(self) -> None:
        """Give every value that needs memory a home."""
        loop = self.loop
        delays: dict[int, int] = {}
        for p in loop.params:
            if isinstance(p, Prev):
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
            if isinstance(t, Product) and t.base is not None:
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
                    self.homes[id(v)] = _Home(self.scratch(v, (self.block,)), "block")
                elif not isinstance(t, Group) or self._leaves(v, t):
                    if isinstance(t, Product) and (t.before or self._base_before(t)):
                        self.homes[id(v)] = _Home(self.scratch(v, (self.block,)), "block")
                    elif not isinstance(t, Instr) or t.op.name not in schedule.VIEWS:
                        self.homes[id(v)] = _Home(self.scratch(v), "temp")

    def _base_before(self, t: Product) -> bool:
        """Whether it adds to a product made before the steps."""
        while t.base is not None:
            base = t.base
            t = next(u for u in self.tasks if isinstance(u, Product) and u.out is base)
        return t.before

    def _store(self, v: Value, kind: str, rows: int, extra: int) -> None:
        """Memory for the whole batch: a row for each step, or the last few."""
        shape = (rows + extra if kind == "stack" else rows, *v.shape)
        state = self.state(v)
        if state == PARTIAL:
            argument = Argument("sum", shape, v.dtype, value=v, rows=kind)
        else:
            argument = Argument("storage", shape, v.dtype, value=v, rows=kind)
        self.homes[id(v)] = _Home(self.argument(argument), kind, extra, state == SPLIT)

    def _views(self) -> None:
        """Slices of other values; pieces of a joined gradient are written where they belong."""
        for instr in self.loop.body:
            out = instr.out
            if id(out) in self.homes:
                continue
            if instr.op.name == "index":
                self.aliases[id(out)] = (instr.inputs[0], instr.attrs["key"])  # type: ignore
            elif instr.op.name == "reshape" and not schedule.pointwise(instr):
                self.aliases[id(out)] = (instr.inputs[0], "reshape")  # type: ignore
        for instr in self.loop.body:
            if instr.op.name == "put_slices" and self._tiles(instr):
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
                or not schedule.pointwise(maker)
                or id(x) in self.homes
                or id(x) in self.aliases
                or len(parts) != instr.out.ndim
                or any(p != slice(None) for p in parts[:-1])
                or sum(x is y for y in instr.inputs) != 1
            ):
                return False
            start, stop, _ = parts[-1].indices(instr.out.shape[-1])
            ends.append((start, stop))
        ends.sort()
        whole = [0, *(stop for _, stop in ends)]
        return [start for start, _ in ends] == whole[:-1] and whole[-1] == instr.out.shape[-1]

    def _leaves(self, v: Value, group: Group) -> bool:
        """Whether a value made in a group is read outside of it."""
        if id(v) in self.kept and not self._only_totals(v):
            return True
        users = self.uses.get(id(v), [])
        return any(not any(u is i for i in group.instrs) for u in users)

    def _only_totals(self, v: Value) -> bool:
        return all(r.kind == "total" for r in self.loop.results if any(v is w for w in r.values))

    # text for values ------------------------------------------------------------------

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
            self.step_views.append(f"{name} = {self._at(home, p.delay)}")
        elif id(v) in self.homes:
            self.step_views.append(f"{name} = {self._at(self.homes[id(v)], 0)}")
        elif id(v) in self.aliases:
            base, key = self.aliases[id(v)]
            self.step_views.append(f"{name} = {self._viewed(base, key, v)}")
        else:
            self._outer_view(v, name)
        return name

    def _outer_view(self, v: Value, name: str) -> None:
        assert id(v) not in self.made, f"{name} has no memory"
        a = self.outside(v)
        text = f"A{a}[0]" if not v.ndim else f"A{a}[b0:b1]" if self.is_split(v) else f"A{a}"
        self.setup.append(f"{name} = {text}")

    def _moved(self, p: Slice) -> str:
        return f"{self.int(p.start)} + {self.int(p.stride)} * t"

    def _at(self, home: _Home, delay: int) -> str:
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

    def _viewed(self, base: Value, key: Any, v: Value) -> str:
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
        return f"{source}[{', '.join(self._part(p) for p in parts)}]"

    def _part(self, p: Any) -> str:
        if isinstance(p, slice):
            if p == slice(None):
                return ":"
            start = "" if p.start in (None, 0) else self.int(p.start)
            return f"{start}:" if p.stop is None else f"{start}:{self.int(p.stop)}"
        return self.int(p)

    # the kernel -----------------------------------------------------------------------

    def kernel(self) -> Kernel:
        """Write everything."""
        self.place()
        before: list[str] = []
        steps: list[str] = []
        for t in self.tasks:
            if isinstance(t, Product) and t.before:
                before += self._product_before(t)
            elif isinstance(t, Product):
                steps += self._product(t)
            elif isinstance(t, Group):
                steps += _GroupCode(self, t).lines()
            else:
                steps += self._single(t)
        for r in self.loop.results:
            steps += self._summed(r)
        source = self._assembled(before, steps)
        homes = {
            key: (h.argument, h.kind, h.extra)
            for key, h in self.homes.items()
            if h.kind in ("stack", "ring")
        }
        return Kernel(
            self.loop, source, self.arguments, self.ints, self.numbers, self.split, self.reason,
            self.batch, self.block, homes, self.sums, self.flipped, self.states, self.notes(),
        )  # fmt: skip

    def notes(self) -> list[str]:
        """What was done, for `explain()`."""
        found = []
        early = sum(isinstance(t, Product) and t.before for t in self.tasks)
        late = sum(r.kind == "product" for r in self.loop.results)
        groups = [t for t in self.tasks if isinstance(t, Group)]
        if early:
            found.append(f"{early} input product{'s' * (early > 1)} done before the steps")
        if late:
            found.append(f"{late} weight gradient{'s' * (late > 1)} as products over blocks")
        ops = sum(len(g.instrs) for g in groups)
        found.append(f"{ops} pointwise ops fused into {len(groups)} loops")
        return found

    def _assembled(self, before: list[str], steps: list[str]) -> str:
        names = ", ".join(f"A{k}" for k in range(len(self.arguments)))
        head = f"@jit\ndef kernel(n, block, b0, b1, whole, shard, ints, numbers, {names}):"
        body = ["wide_vectors()", "nb = b1 - b0", *self.setup]
        if self.loop.reverse:
            blocks = ["t1 = n", "while t1 > 0:", "    t0 = max(0, t1 - block)"]
            order, end = "for t in range(t1 - 1, t0 - 1, -1):", ["    t1 = t0"]
        else:
            blocks = ["for t0 in range(0, n, block):", "    t1 = min(n, t0 + block)"]
            order, end = "for t in range(t0, t1):", []
        text = blocks + ["    m = t1 - t0"] + _indent(before)
        text += [f"    {order}"] + _indent(_indent(self.step_views + steps or ["pass"]))
        text += _indent(self.flush) + end
        return HEADER + head + "\n" + "\n".join(_indent(body + text + self.after)) + "\n"

    def weight(self, v: Value) -> tuple[Value, bool]:
        """A weight and whether it is read turned: through transposes."""
        turned = False
        while True:
            instr = self.made.get(id(v))
            if instr is None or instr.op.name != "permute_dims" or v.ndim != 2:
                return v, turned
            if tuple(a % 2 for a in instr.attrs["axes"]) == (1, 0):
                turned = not turned
            v = instr.inputs[0]  # type: ignore[assignment]

    def panels(self, v: Value, turned: bool) -> tuple[str, list[str]]:
        """Name of the packed form of a matrix; lines that pack it at every step, if it changes."""
        v, more = self.weight(v)
        turned ^= more
        inside = id(v) in self.made or id(v) in self.params
        key = f"{self.name(v)}{'_turned' if turned else ''}_packed"
        if key in self.defined:
            return key, []
        rows, columns = v.shape[::-1] if turned else v.shape
        shape = panel_shape(rows, columns, v.dtype)
        a = self.argument(Argument("scratch", shape, v.dtype))
        self.defined.add(key)
        source = self.view(v)
        self.setup.append(f"{key} = A{a}")
        pack = f"pack({source}, {turned}, {key})"
        if inside:
            self.defined.discard(key)
            return key, [pack]
        self.setup.append(pack)
        return key, []

    def _fill(self, target: str, biases: list[Any], dtype: Any, rank: int) -> list[str]:
        """Start a product's memory from its biases."""
        if not biases:
            return [f"set_value({target}, {SHORT[dtype]}(0))"]
        lines = []
        for k, b in enumerate(biases):
            what = self.view(b) if isinstance(b, Value) else None
            if what is None:
                lines.append(f"set_value({target}, {self.number(b, dtype)})")
            elif k == 0:
                lines.append(f"set_rows({target}, {what}, False)")
            else:
                lines.append(f"set_rows({target}, {what}, True)")
        return lines

    def _product_before(self, t: Product) -> list[str]:
        """x[t] @ W for all steps of a block."""
        x, W = t.instr.inputs[:2]
        assert isinstance(x, Value) and isinstance(W, Value)
        packed, _ = self.panels(W, t.instr.op.name == "linear")
        p = self.params[id(x)]
        assert isinstance(p, Slice)
        source, start = f"A{self.outside(p.source)}", self.int(p.start)
        home = self._final_home(t.out)
        if home.kind == "ring":
            raise ValueError("an input product that is a state")
        a = f"A{home.argument}"
        first = "0" if home.kind == "block" else f"t0 + {self._row_of_first(home)}"
        stop = "m" if home.kind == "block" else f"t1 + {self._row_of_first(home)}"
        if x.ndim == 1:
            out = f"{a}[{first}:{stop}]"
            return [*self._fill(out, t.biases, t.out.dtype, 2),
                    f"add_product({source}[{start} + t0:{start} + t1], {packed}, {out})"]  # fmt: skip
        rows = ", b0:b1" if self.is_split(x) else ""
        home_rows = ", b0:b1" if home.split else ""
        k, n = self.size(x, 1), self.size(t.out, 1)
        height = self.size(x, 0)
        one = f"{a}[{first} + t - t0{home_rows}]"
        fill = _indent(self._fill(one, t.biases, t.out.dtype, 2))
        flat = [
            f"add_product({source}[{start} + t0:{start} + t1].reshape((m * {height}, {k})), "
            f"{packed}, {a}[{first}:{stop}].reshape((m * {height}, {n})))"
        ]
        single = [
            "for t in range(t0, t1):",
            f"    add_product({source}[{start} + t{rows}], {packed}, {one})",
        ]
        lines = ["for t in range(t0, t1):", *fill]
        if not self.is_split(x):
            return lines + flat
        return [*lines, "if whole:", *_indent(flat), "else:", *_indent(single)]

    def _final_home(self, v: Value) -> _Home:
        while id(v) not in self.homes:
            v = self.aliases[id(v)][0]
        return self.homes[id(v)]

    def _row_of_first(self, home: _Home) -> int:
        return 0 if self.loop.reverse else home.extra

    def _product(self, t: Product) -> list[str]:
        """A product of one step."""
        a, b = t.instr.inputs[:2]
        assert isinstance(a, Value) and isinstance(b, Value)
        name, out = t.instr.op.name, self.view(t.out)
        lines = []
        if t.base is None:
            lines += self._fill(out, t.biases, t.out.dtype, t.out.ndim)
        else:
            for bias in t.biases:
                lines.append(f"set_rows({out}, {self.view(bias)}, True)")  # type: ignore[arg-type]
        if name == "sum_of_products":
            return [*lines, self.transposed(self.view(a), self.view(b), a, b, out, a.shape[0])]
        if a.ndim == 3:
            return lines + self._batched(a, b, t.out)
        if a.ndim == 2 and b.ndim == 1:  # W @ h: h @ W.T, a row
            packed, pack = self.panels(a, True)
            row, target = self._as_row(b), self._as_row(t.out)
            return [*lines, *pack, f"add_product({row}, {packed}, {target})"]
        packed, pack = self.panels(b, name == "linear")
        if a.ndim == 1:
            return [
                *lines,
                *pack,
                f"add_product({self._as_row(a)}, {packed}, {self._as_row(t.out)})",
            ]
        return [*lines, *pack, f"add_product({self.view(a)}, {packed}, {out})"]

    def _as_row(self, v: Value) -> str:
        return f"{self.view(v)}.reshape((1, {self.size(v, 0)}))"

    def _batched(self, a: Value, b: Value, out: Value) -> list[str]:
        """Products of two stacks of matrices, one after the other."""
        shape = panel_shape(*b.shape[1:], b.dtype)
        packed = f"A{self.argument(Argument('scratch', shape, b.dtype))}"
        return [
            f"for i in range({self.size(out, 0)}):",
            f"    pack({self.view(b)}[i], False, {packed})",
            f"    add_product({self.view(a)}[i], {packed}, {self.view(out)}[i])",
        ]

    def _single(self, instr: Instr) -> list[str]:
        """An op that is neither a product nor pointwise."""
        name = instr.op.name
        if id(instr.out) in self.aliases and name in (*schedule.VIEWS, "put_slices"):
            return []
        if name == "permute_dims" and self._only_weight(instr):
            return []
        return _SINGLE[name](self, instr)

    def _only_weight(self, instr: Instr) -> bool:
        """A transpose that only products read: they read the matrix itself, turned."""
        users = self.uses.get(id(instr.out), [])
        return (
            instr.out.ndim == 2
            and id(instr.out) not in self.kept
            and all(u.op.name == "matmul" and u.inputs[1] is instr.out for u in users)
        )

    def _summed(self, r: Result) -> list[str]:
        """Sums over steps: lines of the step; products of a block go to `flush`."""
        if r.kind not in ("total", "product", "rows") or id(r.out) in self.sums:
            return []  # a total of what a group makes: it adds as it goes
        v = r.values[0]
        state = self.states.get(id(r.out), WHOLE)
        whole_batch = r.kind == "total" and state == SPLIT
        kind = "storage" if whole_batch else "sum"
        shape = r.out.shape
        if r.kind == "product" and self._is_flipped(r):
            shape = shape[::-1]
        a = self.argument(Argument(kind, shape, r.out.dtype, value=r.out, rows="total"))
        self.sums[id(r.out)] = a
        target = f"A{a}[b0:b1]" if whole_batch else f"A{a}[shard]"
        if r.kind == "product":
            return self._flushed(r, target)
        if r.kind == "rows":
            step: list[str] = []
            if id(v) not in self.blocks:
                self.blocks[id(v)], flush, step = self._block_of(v)
                self.flush += flush
            self.flush.append(f"add_rows({self.blocks[id(v)]}, {target})")
            return step
        if not v.ndim:
            name = f"total_{a}"
            self.setup.append(f"{name} = F64(0)")
            self.after.append(f"A{a}[shard] = {name}")
            return [f"{name} += {self.name(v) if id(v) in self.made else self.view(v)}"]
        target_name = f"sum_{a}"
        self.setup.append(f"{target_name} = {target}")
        return _add_elementwise(self, v, target_name)

    def transposed(
        self, left: str, right: str, a: Value, b: Value, out: str, rows: int, packed: str = ""
    ) -> str:
        """A call for out += a^T b, with work space; `packed` names panels of b made before."""
        columns = Argument("scratch", column_shape(rows, a.shape[1]), a.dtype)
        one = f"A{self.argument(columns)}"
        if packed:
            return f"add_packed({left}, {one}, {packed}, {out}, {right})"
        panels = Argument("scratch", panel_shape(rows, b.shape[1], b.dtype), b.dtype)
        self.packed = f"A{self.argument(panels)}"
        return f"add_transposed({left}, {right}, {one}, {self.packed}, {out})"

    def _is_flipped(self, r: Result) -> bool:
        """Whether (b^T a)^T is computed: other sums share a, or b is a narrow input."""
        a, b = r.values
        others = [q.values for q in self.loop.results if q.kind == "product" and q is not r]
        shared = [any(v is w for pair in others for w in pair) for v in (a, b)]
        if shared[0] != shared[1]:
            return shared[0]
        return a.shape[-1] > b.shape[-1]

    def _flushed(self, r: Result, target: str) -> list[str]:
        """Sum of a^T b over a block. The side that several such sums share is packed, once."""
        a, b = r.values
        if self._is_flipped(r):
            self.flipped.add(id(r.out))
            a, b = b, a
        rows = self.block * (self.batch if a.ndim == 2 else 1)
        steps = []
        for v in (a, b):
            if id(v) not in self.blocks:
                text, flush, step = self._block_of(v)
                self.blocks[id(v)] = text
                self.flush += flush
                steps += step
        left, right = self.blocks[id(a)], self.blocks[id(b)]
        call = self.transposed(left, right, a, b, target, rows, self.panels_of.get(id(b), ""))
        self.panels_of.setdefault(id(b), self.packed)
        self.flush.append(call)
        return steps

    def total_target(self, v: Value) -> list[str]:
        """Arrays to which a group adds a value that has a total."""
        found = []
        for r in self.loop.results:
            if r.kind != "total" or r.values[0] is not v or not v.ndim:
                continue
            if id(r.out) not in self.sums:
                state = self.states.get(id(r.out), WHOLE)
                kind = "storage" if state == SPLIT else "sum"
                argument = Argument(kind, r.out.shape, r.out.dtype, value=r.out, rows="total")
                a = self.sums[id(r.out)] = self.argument(argument)
                target = f"A{a}[b0:b1]" if state == SPLIT else f"A{a}[shard]"
                self.setup.append(f"sum_{a} = {target}")
            found.append(f"sum_{self.sums[id(r.out)]}")
        return found

    def _block_of(self, v: Value) -> tuple[str, list[str], list[str]]:
        """A value's rows of a whole block: text, lines to make it, lines of the step."""
        rank = v.ndim
        p = self.params.get(id(v))
        columns = self.size(v, rank - 1)
        height = f"m * {self.size(v, 0)}" if rank == 2 else "m"
        home = self.homes.get(id(v))
        direct = None
        if isinstance(p, Slice) and p.stride == 1:
            start = self.int(p.start)
            direct = f"A{self.outside(p.source)}[{start} + t0:{start} + t1]"
        elif home is not None and home.kind == "stack":
            first = self._row_of_first(home)
            direct = f"A{home.argument}[t0 + {first}:t1 + {first}]"
        if home is not None and home.kind == "block":
            return f"A{home.argument}[:m].reshape(({height}, {columns}))", [], []
        split = self.is_split(v)
        if direct is not None and not split:
            return f"{direct}.reshape(({height}, {columns}))", [], []
        a = self.scratch(v, (self.block,))
        copy = f"copy_rows({self.view(v)}, A{a}[t - t0])"
        text = f"A{a}[:m].reshape(({height}, {columns}))"
        if rank == 1:
            copy = f"A{a}[t - t0] = {self.view(v)}"
        if direct is None:
            return text, [], [copy]
        name = f"block_{a}"
        lines = [
            f"{name} = {direct}.reshape(({height}, {columns})) if whole else {text}",
        ]
        return name, lines, ["if not whole:", f"    {copy}"]


def _indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


@dataclass(eq=False)
class _GroupCode:
    """Writes one group of pointwise ops as a loop nest."""

    code: _Code
    group: Group
    heads: dict[int, list[str]] = field(default_factory=dict)  # lines by depth of the nest
    local: dict[int, str] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The nest."""
        shape = self.group.shape
        self.depth = max(0, len(shape) - 1)
        self.heads = {k: [] for k in range(self.depth + 1)}
        self.extents = [self.extent(k) for k in range(len(shape))]
        inner: list[str] = []
        for instr in self.group.instrs:
            inner += self.instr(instr)
        text: list[str] = list(self.heads[self.depth])
        if shape:
            text += [f"for j in range({self.extents[-1]}):", *_indent(inner)]
        else:
            text += inner
        for k in range(self.depth - 1, -1, -1):
            text = [*self.heads[k], f"for i{k} in range({self.extents[k]}):", *_indent(text)]
        return text

    def extent(self, axis: int) -> str:
        """Size of an axis of the nest."""
        return self.code.size(self.group.instrs[0].out, axis)

    def instr(self, instr: Instr) -> list[str]:
        """One op: an assignment, and a store where the value leaves the group."""
        code, out = self.code, instr.out
        dtype = next((a.dtype for a in instr.inputs if isinstance(a, Value)), out.dtype)
        own = [a for a in instr.inputs if isinstance(a, Value) and a.dtype.kind == "f"]
        dtype = own[0].dtype if own else dtype
        if instr.op.name == "where":
            dtype = out.dtype
        args = [
            self.read(a, out) if isinstance(a, Value) else code.number(a, dtype)
            for a in instr.inputs
        ]
        if instr.op.name in ("broadcast_to", "reshape"):
            text = args[0]
        elif instr.op.name == "drop":
            text = self.dropped(instr, args[0])
        else:
            text = expression(instr.op, args, dtype, instr.attrs)
        name = code.name(out)
        self.local[id(out)] = name
        lines = [f"{name} = {text}"]
        for target in code.total_target(out):
            lines.append(f"{self.row(target, out, target)}[j] += {name}")
        if id(out) in code.homes or id(out) in code.aliases:
            if not out.ndim:
                at = code._at(code.homes[id(out)], 0)
                lines.append(f"{at} = {name}")
            else:
                lines.append(f"{self.target(out)}[j] = {name}")
        return lines

    def dropped(self, instr: Instr, x: str) -> str:
        """x / (1 - p) where the draw keeps the element: its number counts in the whole array."""
        code, out, key = self.code, instr.out, instr.inputs[1]
        assert isinstance(key, Value)
        keys = code.view(key)
        index = "b0 + i0" if code.is_split(out) and self.depth else "i0" if self.depth else "j"
        for k in range(1, self.depth):
            index = f"({index}) * {self.extents[k]} + i{k}"
        if self.depth:
            index = f"({index}) * {self.extents[-1]} + j"
        p = instr.attrs["p"]
        threshold, scale = code.number(p, np.float64), code.number(1 / (1 - p), out.dtype)
        zero = f"{SHORT[out.dtype]}(0)"
        return f"{x} * {scale} if keeps({keys}[0], {keys}[1], {index}, {threshold}) else {zero}"

    def read(self, v: Value, out: Value) -> str:
        """Text of one element of an operand."""
        code = self.code
        if id(v) in self.local:
            return self.local[id(v)]
        if not v.ndim:
            made = id(v) in code.made and id(v) not in code.aliases
            return code.name(v) if made else code.view(v)
        row = self.row(code.view(v), v, self.base_row(v))
        if v.shape[-1] == 1 and out.shape[-1] != 1:
            key = f"{row}_0"
            if key not in self.rows:
                self.rows[key] = key
                self.heads[self.depth].append(f"{key} = {row}[0]")
            return key
        return f"{row}[j]"

    def target(self, v: Value) -> str:
        """Row to which a value is written."""
        return self.row(self.code.view(v), v, self.base_row(v))

    def base_row(self, v: Value) -> str:
        """Text of an operand's row: columns are cut from the row of the whole, which stays
        contiguous for the compiler; a cut array's rows would not."""
        code = self.code
        if id(v) in code.aliases and id(v) not in code.homes:
            base, key = code.aliases[id(v)]
            parts = key if isinstance(key, tuple) else (key,)
            columns = isinstance(key, tuple) and len(parts) == v.ndim == base.ndim > 1
            if columns and all(p == slice(None) for p in parts[:-1]):
                row = self.row(code.view(base), base, self.base_row(base))
                return f"{row}[{code._part(parts[-1])}]"
            if key is None:
                return self.base_row(base)
        index = self.index(v)
        return f"{code.view(v)}[{index}]" if index else code.view(v)

    def index(self, v: Value) -> str:
        """Index of a row: the nest's variables, 0 where the value is broadcast."""
        shape, lead = self.group.shape, len(self.group.shape) - v.ndim
        parts = []
        for k in range(v.ndim - 1):
            wide = shape[lead + k] != 1
            parts.append("0" if v.shape[k] == 1 and wide else f"i{lead + k}")
        return ", ".join(parts)

    def row(self, name: str, v: Value, text: str) -> str:
        """Name of an operand's row, defined at the head of the inner loop."""
        if text == name and v.ndim <= 1:
            return name
        if text == name:
            text = f"{name}[{self.index(v)}]"
        key = f"{name}_row"
        if key not in self.rows:
            self.rows[key] = key
            self.heads[self.depth].append(f"{key} = {text}")
        return key


# ops that stand alone ---------------------------------------------------------------------


def _nest(code: _Code, v: Value, inner: list[str]) -> list[str]:
    """Loops i0, i1, ... over all elements of a value."""
    text = inner
    for k in range(v.ndim - 1, -1, -1):
        text = [f"for i{k} in range({code.size(v, k)}):", *_indent(text)]
    return text


def _add_elementwise(code: _Code, v: Value, target: str) -> list[str]:
    at = ", ".join(f"i{k}" for k in range(v.ndim))
    return _nest(code, v, [f"{target}[{at}] += {code.view(v)}[{at}]"])


def _sum(code: _Code, instr: Instr) -> list[str]:
    """sum and sum_to: rows are summed vectorised, the rest adds up."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    if instr.op.name == "sum":
        axis = instr.attrs["axis"]
        named = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = {a % x.ndim for a in named}
        keep = instr.attrs["keepdims"]
    else:
        lead = x.ndim - out.ndim
        axes = set(range(lead)) | {
            k for k in range(lead, x.ndim) if out.shape[k - lead] == 1 and x.shape[k] != 1
        }
        keep = False
    name = code.name(out)
    last = x.ndim - 1 in axes
    lead_at = [f"i{k}" for k in range(x.ndim)]
    source = code.view(x)
    if not x.ndim:
        return [f"{name} = {source}"]
    if last:
        row = f"{source}[{', '.join(lead_at[:-1])}]" if x.ndim > 1 else source
        inner, depth = f"row_sum({row})", x.ndim - 1
    else:
        inner, depth = f"{source}[{', '.join(lead_at)}]", x.ndim
    if not out.ndim:
        text = [f"{name} += F64({inner})"]
        for k in range(depth - 1, -1, -1):
            text = [f"for i{k} in range({code.size(x, k)}):", *_indent(text)]
        cast = SHORT[out.dtype]
        lines = [f"{name}_sum = F64(0)", *[s.replace(f"{name} +=", f"{name}_sum +=") for s in text]]
        lines.append(f"{name} = {cast}({name}_sum)")
        if id(out) in code.homes:
            lines.append(f"{code._at(code.homes[id(out)], 0)} = {name}")
        return lines
    if instr.op.name == "sum_to":
        kept = ["0" if k in axes else f"i{k}" for k in range(x.ndim - out.ndim, x.ndim)]
    else:
        kept = ["0" if k in axes else f"i{k}" for k in range(x.ndim) if k not in axes or keep]
    target = code.view(out)
    text = [f"{target}[{', '.join(kept)}] += {inner}"]
    for k in range(depth - 1, -1, -1):
        text = [f"for i{k} in range({code.size(x, k)}):", *_indent(text)]
    return [f"set_value({target}, {SHORT[out.dtype]}(0))", *text]


def _concat(code: _Code, instr: Instr) -> list[str]:
    axis = instr.attrs["axis"] % instr.out.ndim
    lines, target = [], code.view(instr.out)
    start = "0"
    for x in instr.inputs:
        assert isinstance(x, Value)
        at = [f"i{k}" for k in range(x.ndim)]
        to = [f"{start} + {a}" if k == axis else a for k, a in enumerate(at)]
        source = f"{code.view(x)}[{', '.join(at)}]"
        lines += _nest(code, x, [f"{target}[{', '.join(to)}] = {source}"])
        start = f"{start} + {code.size(x, axis)}"
    return lines


def _permute(code: _Code, instr: Instr) -> list[str]:
    x, axes = instr.inputs[0], instr.attrs["axes"]
    assert isinstance(x, Value)
    at = [f"i{k}" for k in range(x.ndim)]
    source = f"{code.view(x)}[{', '.join(at)}]"
    to = ", ".join(at[a % x.ndim] for a in axes)
    return _nest(code, x, [f"{code.view(instr.out)}[{to}] = {source}"])


def _take(code: _Code, instr: Instr) -> list[str]:
    W, index = instr.inputs
    assert isinstance(W, Value) and isinstance(index, Value)
    at = ", ".join(f"i{k}" for k in range(index.ndim))
    rest = [f"i{index.ndim + k}" for k in range(W.ndim - 1)]
    row = f"{code.view(index)}[{at}]" if at else code.view(index)
    source = f"{code.view(W)}[{', '.join([row, *rest])}]"
    to = ", ".join([f"i{k}" for k in range(instr.out.ndim)])
    return _nest(code, instr.out, [f"{code.view(instr.out)}[{to}] = {source}"])


def _one_hot(code: _Code, instr: Instr) -> list[str]:
    index, target = instr.inputs[0], code.view(instr.out)
    assert isinstance(index, Value)
    cast = SHORT[instr.out.dtype]
    at = ", ".join(f"i{k}" for k in range(index.ndim))
    hot = f"{code.view(index)}[{at}]" if at else code.view(index)
    to = f"{at}, {hot}" if at else hot
    return [
        f"set_value({target}, {cast}(0))",
        *_nest(code, index, [f"{target}[{to}] = {cast}(1)"]),
    ]


def _put(code: _Code, instr: Instr) -> list[str]:
    target = code.view(instr.out)
    lines = [f"set_value({target}, {SHORT[instr.out.dtype]}(0))"]
    for x, key in zip(instr.inputs, instr.attrs["keys"], strict=True):
        assert isinstance(x, Value)
        if id(x) in code.aliases and code.aliases[id(x)][0] is instr.out:
            return []  # written in place
        parts = key if isinstance(key, tuple) else (key,)
        at = [f"i{k}" for k in range(x.ndim)]
        to = []
        for k, a in enumerate(at):
            p = parts[k] if k < len(parts) else slice(None)
            start = p.indices(instr.out.shape[k])[0]
            to.append(f"{code.int(start)} + {a}" if start else a)
        source = f"{code.view(x)}[{', '.join(at)}]"
        lines += _nest(code, x, [f"{target}[{', '.join(to)}] += {source}"])
    return lines


def _row_op(code: _Code, instr: Instr) -> list[str]:
    x, out = code.view(instr.inputs[0]), code.view(instr.out)  # type: ignore[arg-type]
    name = instr.op.name
    if name == "normalize":
        return [f"rows.normalize({x}, {code.number(instr.attrs['eps'], instr.out.dtype)}, {out})"]
    return [f"rows.{name}({x}, {out})"]


def _copy_view(code: _Code, instr: Instr) -> list[str]:
    """A view that must have memory of its own (it is carried or handed out)."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    key = "reshape" if instr.op.name == "reshape" else instr.attrs["key"]
    source = code._viewed(x, key, out)
    if not out.ndim:
        home = code.homes.get(id(out))
        name = code.name(out)
        if instr.op.name == "reshape":
            source = f"{code.view(x)}[{', '.join('0' * x.ndim)}]"
        lines = [f"{name} = {source}"]
        return lines + ([f"{code._at(home, 0)} = {name}"] if home else [])
    at = ", ".join(f"i{k}" for k in range(out.ndim))
    name = f"{code.name(out)}_from"
    return [f"{name} = {source}", *_nest(code, out, [f"{code.view(out)}[{at}] = {name}[{at}]"])]


_SINGLE = {
    "sum": _sum,
    "sum_to": _sum,
    "concat": _concat,
    "permute_dims": _permute,
    "take": _take,
    "one_hot": _one_hot,
    "put_slices": _put,
    "softmax": _row_op,
    "log_softmax": _row_op,
    "normalize": _row_op,
    "index": _copy_view,
    "reshape": _copy_view,
}
