"""Matrix products: before the steps, in them, and summed over blocks of them."""

from typing import Any

from ...kernels.products import column_shape, panel_shape, strip_shape
from ..ir import Result, Slice, Value
from ..lowering.sharding import SPLIT, WHOLE
from ..lowering.table import lowering
from ..lowering.text import SHORT, each, element, here, indent, nest
from .kernel import Argument, Home
from .schedule import ProductTask
from .views import Views, step_of


class Products(Views):
    """Lines for products and for sums over steps."""

    def weight(self, v: Value) -> tuple[Value, bool]:
        """A weight and whether it is read turned: through transposes."""
        turned = False
        while True:
            instr = self.made.get(id(v))
            if instr is None or not lowering(instr.op).transposes or v.ndim != 2:
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

    def _fill(self, target: str, biases: list[Any], dtype: Any) -> list[str]:
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

    def product_before(self, t: ProductTask) -> list[str]:
        """x[t] @ W for all steps of a block."""
        x, W = t.instr.inputs[:2]
        assert isinstance(x, Value)
        assert isinstance(W, Value)
        packed, _ = self.panels(W, t.form.right_transposed)
        p = self.params[id(x)]
        assert isinstance(p, Slice)
        source, start = f"A{self.outside(p.source)}", self.offset(p.start)
        home = self.final_home(t.out)
        assert home.kind != "ring", "an input product of which only the last steps have memory"
        a = f"A{home.argument}"
        first = "0" if home.kind == "block" else f"t0 + {self.row_of_first(home)}"
        stop = "m" if home.kind == "block" else f"t1 + {self.row_of_first(home)}"
        out = f"span({a}, {first}, {stop})"
        flat = [f"add_product(span({source}, {start} + t0, {start} + t1), {packed}, {out})"]
        if x.ndim == 1:
            return [*self._fill(out, t.biases, t.out.dtype), *flat]
        one = step_of(a, f"{first} + t - t0", t.out, home.split)
        x_t = step_of(source, f"{start} + t", x, self.is_split(x))
        single = ["for t in range(t0, t1):", f"    add_product({x_t}, {packed}, {one})"]
        lines = ["for t in range(t0, t1):", *indent(self._fill(one, t.biases, t.out.dtype))]
        if not self.is_split(x):
            return lines + flat
        return [*lines, "if whole:", *indent(flat), "else:", *indent(single)]

    def final_home(self, v: Value) -> Home:
        while id(v) not in self.homes:
            v = self.aliases[id(v)][0]
        return self.homes[id(v)]

    def row_of_first(self, home: Home) -> int:
        return 0 if self.loop.reverse else home.extra

    def product(self, t: ProductTask) -> list[str]:
        """A product of one step."""
        a, b = t.instr.inputs[:2]
        assert isinstance(a, Value)
        assert isinstance(b, Value)
        out = self.view(t.out)
        lines = []
        if t.base is None:
            lines += self._fill(out, t.biases, t.out.dtype)
        else:
            for bias in t.biases:
                lines.append(f"set_rows({out}, {self.view(bias)}, True)")  # type: ignore[arg-type]
        if t.form.left_transposed:
            return [*lines, self.transposed(self.view(a), self.view(b), a, out, a.shape[0])]
        if a.ndim == 3:
            return lines + self._batched(a, b, t.out)
        if a.ndim == 2 and b.ndim == 1:  # W @ h: h @ W.T, a row
            packed, pack = self.panels(a, True)
            return [*lines, *pack, f"add_product({self.view(b)}, {packed}, {out})"]
        packed, pack = self.panels(b, t.form.right_transposed)
        return [*lines, *pack, f"add_product({self.view(a)}, {packed}, {out})"]

    def _batched(self, a: Value, b: Value, out: Value) -> list[str]:
        """Products of two stacks of matrices, one after the other; a stack of one serves all."""
        shape = panel_shape(b.shape[1], b.shape[2], b.dtype)
        packed = f"A{self.argument(Argument('scratch', shape, b.dtype))}"
        left, right = ("i" if v.shape[0] == out.shape[0] else "0" for v in (a, b))
        pack = f"pack(at({self.view(b)}, {right}), False, {packed})"
        add = f"add_product(at({self.view(a)}, {left}), {packed}, at({self.view(out)}, i))"
        each = f"for i in range({self.size(out, 0)}):"
        if right == "0":
            return [pack, each, f"    {add}"]
        return [each, f"    {pack}", f"    {add}"]

    def summed(self, r: Result) -> list[str]:
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
        target = f"A{a}[b0:b1]" if whole_batch else f"A{a}" if r.out.ndim else f"A{a}[0]"
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
            self.after.append(f"{target} = {name}")
            return [f"{name} += {self.scalar(v)}"]
        target_name = f"total_{a}"
        self.setup.append(f"{target_name} = {target}")
        return nest(self, v, [f"{element(target_name, here(v))} += {each(self, v)}"])

    def transposed(self, left: str, right: str, a: Value, out: str, rows: int) -> str:
        """A call for out += a^T b, with work space."""
        columns = self.argument(Argument("scratch", column_shape(rows, a.shape[1]), a.dtype))
        if self.strip is None:
            self.strip = self.argument(Argument("scratch", strip_shape(a.dtype), a.dtype))
        return f"add_transposed({left}, {right}, A{columns}, A{self.strip}, {out})"

    def _is_flipped(self, r: Result) -> bool:
        """Whether (b^T a)^T is computed: the rows of tiles are of the wider side."""
        a, b = r.values
        return a.shape[-1] > b.shape[-1]

    def _flushed(self, r: Result, target: str) -> list[str]:
        """Sum of a^T b over a block."""
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
        self.flush.append(self.transposed(left, right, a, target, rows))
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
                target = f"A{a}[b0:b1]" if state == SPLIT else f"A{a}"
                self.setup.append(f"total_{a} = {target}")
            found.append(f"total_{self.sums[id(r.out)]}")
        return found

    def _block_of(self, v: Value) -> tuple[str, list[str], list[str]]:
        """A value's rows of a whole block: text, lines to make it, lines of the step."""
        p = self.params.get(id(v))
        home = self.homes.get(id(v))
        direct = None
        if isinstance(p, Slice) and p.stride == 1:
            start = self.offset(p.start)
            direct = f"span(A{self.outside(p.source)}, {start} + t0, {start} + t1)"
        elif home is not None and home.kind == "stack":
            first = self.row_of_first(home)
            direct = f"span(A{home.argument}, t0 + {first}, t1 + {first})"
        if home is not None and home.kind == "block":
            return f"span(A{home.argument}, 0, m)", [], []
        split = self.is_split(v)
        if direct is not None and not split:
            return direct, [], []
        a = self.scratch(v, (self.block,))
        copy = f"copy_rows({self.view(v)}, at(A{a}, t - t0))"
        text = f"span(A{a}, 0, m)"
        if direct is None:
            return text, [], [copy]
        name = f"block_{a}"
        return name, [f"{name} = {direct} if whole else {text}"], ["if not whole:", f"    {copy}"]
