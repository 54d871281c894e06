"""Matrix products: before the steps, and in them."""

from typing import Any

from ...kernels.products import column_shape, panel_shape, strip_shape
from ..ir import Slice, Value
from ..lowering.table import lowering
from ..lowering.text import SHORT, indent
from .code import Code, step_of
from .plan import Argument
from .schedule import ProductTask


class Products:
    """Writes products; weights are packed once, before the steps."""

    def __init__(self, code: Code):
        self.code, self.plan = code, code.plan
        self.strip: int | None = None  # argument of the work space that transposed ones share

    def weight(self, v: Value) -> tuple[Value, bool]:
        """The matrix behind transposes, and whether it is read transposed."""
        transposed = False
        while True:
            instr = self.plan.made.get(id(v))
            if instr is None or not lowering(instr.op).transposes or v.ndim != 2:
                return v, transposed
            if tuple(a % 2 for a in instr.attrs["axes"]) == (1, 0):
                transposed = not transposed
            v = instr.inputs[0]  # type: ignore[assignment]

    def panels(self, v: Value, transposed: bool) -> tuple[str, list[str]]:
        """Name of a matrix packed into panels; lines that pack it at every step, if it changes."""
        v, more = self.weight(v)
        transposed ^= more
        inside = id(v) in self.plan.made or id(v) in self.plan.params
        key = f"{self.code.name(v)}{'_transposed' if transposed else ''}_packed"
        if key in self.code.defined:
            return key, []
        rows, columns = v.shape[::-1] if transposed else v.shape
        shape = panel_shape(rows, columns, v.dtype)
        a = self.plan.argument(Argument("scratch", shape, v.dtype))
        self.code.defined.add(key)
        source = self.code.view(v)
        self.code.setup.append(f"{key} = A{a}")
        pack = f"pack({source}, {transposed}, {key})"
        if inside:
            self.code.defined.discard(key)
            return key, [pack]
        self.code.setup.append(pack)
        return key, []

    def _fill(self, target: str, biases: list[Any], dtype: Any) -> list[str]:
        """Start a product's memory from its biases."""
        if not biases:
            return [f"set_value({target}, {SHORT[dtype]}(0))"]
        lines = []
        for k, b in enumerate(biases):
            what = self.code.view(b) if isinstance(b, Value) else None
            if what is None:
                lines.append(f"set_value({target}, {self.code.number(b, dtype)})")
            elif k == 0:
                lines.append(f"set_rows({target}, {what}, False)")
            else:
                lines.append(f"set_rows({target}, {what}, True)")
        return lines

    def before(self, t: ProductTask) -> list[str]:
        """x[t] @ W for all steps of a block."""
        x, W = t.instr.array(0), t.instr.array(1)
        packed, _ = self.panels(W, t.form.right_transposed)
        p = self.plan.params[id(x)]
        assert isinstance(p, Slice)
        source, start = f"A{self.plan.outside(p.source)}", self.code.offset(p.start)
        home = self.plan.final_home(t.out)
        assert home.kind != "ring", "an input product of which only the last steps have memory"
        a = f"A{home.argument}"
        first = "0" if home.kind == "block" else f"t0 + {self.plan.row_of_first(home)}"
        stop = "m" if home.kind == "block" else f"t1 + {self.plan.row_of_first(home)}"
        out = f"span({a}, {first}, {stop})"
        flat = [f"add_product(span({source}, {start} + t0, {start} + t1), {packed}, {out})"]
        if x.ndim == 1:
            return [*self._fill(out, t.biases, t.out.dtype), *flat]
        one = step_of(a, f"{first} + t - t0", t.out, home.split)
        x_t = step_of(source, f"{start} + t", x, self.plan.is_split(x))
        single = ["for t in range(t0, t1):", f"    add_product({x_t}, {packed}, {one})"]
        lines = ["for t in range(t0, t1):", *indent(self._fill(one, t.biases, t.out.dtype))]
        if not self.plan.is_split(x):
            return lines + flat
        return [*lines, "if whole:", *indent(flat), "else:", *indent(single)]

    def step(self, t: ProductTask) -> list[str]:
        """A product of one step."""
        a, b = t.instr.array(0), t.instr.array(1)
        out = self.code.view(t.out)
        lines = []
        if t.base is None:
            lines += self._fill(out, t.biases, t.out.dtype)
        else:
            for bias in t.biases:
                lines.append(f"set_rows({out}, {self.code.view(bias)}, True)")  # type: ignore[arg-type]
        if t.form.left_transposed:
            return [
                *lines,
                self.transposed(self.code.view(a), self.code.view(b), a, out, a.shape[0]),
            ]
        if a.ndim == 3:
            return lines + self._batched(a, b, t.out)
        if a.ndim == 2 and b.ndim == 1:  # W @ h: h @ W.T, a row
            packed, pack = self.panels(a, True)
            return [*lines, *pack, f"add_product({self.code.view(b)}, {packed}, {out})"]
        packed, pack = self.panels(b, t.form.right_transposed)
        return [*lines, *pack, f"add_product({self.code.view(a)}, {packed}, {out})"]

    def _batched(self, a: Value, b: Value, out: Value) -> list[str]:
        """Products of two stacks of matrices, one after the other."""
        factor, weight, target = (f"at({self.code.view(v)}, i)" for v in (a, b, out))
        each = f"for i in range({self.code.size(out, 0)}):"
        if 1 in (*out.shape[1:], b.shape[1]):
            return [each, f"    add_thin({factor}, {weight}, {target})"]
        shape = panel_shape(b.shape[1], b.shape[2], b.dtype)
        packed = f"A{self.plan.argument(Argument('scratch', shape, b.dtype))}"
        pack = f"    pack({weight}, False, {packed})"
        return [each, pack, f"    add_product({factor}, {packed}, {target})"]

    def transposed(self, left: str, right: str, a: Value, out: str, rows: int) -> str:
        """A call for out += a^T b, with work space."""
        columns = self.plan.argument(Argument("scratch", column_shape(rows, a.shape[1]), a.dtype))
        if self.strip is None:
            self.strip = self.plan.argument(Argument("scratch", strip_shape(a.dtype), a.dtype))
        return f"add_transposed({left}, {right}, A{columns}, A{self.strip}, {out})"
