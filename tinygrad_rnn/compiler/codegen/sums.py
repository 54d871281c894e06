"""Sums over the steps of a loop: totals, sums of rows, and products over blocks of steps."""

from ..ir import Result, Slice, Value
from ..lowering.sharding import SPLIT, WHOLE
from ..lowering.text import each, element, here, nest
from .code import Code
from .plan import Argument
from .products import Products


class Sums:
    """Writes the results of a loop that are sums over its steps."""

    def __init__(self, code: Code, products: Products):
        self.code, self.plan, self.products = code, code.plan, products
        self.arguments: dict[int, int] = {}  # by id of a result
        self.transposed: set[int] = set()  # ids of results that are computed transposed
        self.blocks: dict[int, str] = {}  # text for a value's rows of a whole block

    def step(self, r: Result) -> list[str]:
        """Sums over steps: lines of the step; products of a block go to `flush`."""
        if r.kind not in ("total", "product", "row_sum") or id(r.out) in self.arguments:
            return []  # a total of what a group makes: it adds as it goes
        v = r.values[0]
        a, target = self._memory(r)
        if r.kind == "product":
            return self._flushed(r, target)
        if r.kind == "row_sum":
            step: list[str] = []
            if id(v) not in self.blocks:
                self.blocks[id(v)], flush, step = self._block_of(v)
                self.code.flush += flush
            self.code.flush.append(f"add_rows({self.blocks[id(v)]}, {target})")
            return step
        if not v.ndim:
            name = f"total_{a}"
            self.code.setup.append(f"{name} = F64(0)")
            self.code.after.append(f"{target} = {name}")
            return [f"{name} += {self.code.scalar(v)}"]
        target_name = f"total_{a}"
        self.code.setup.append(f"{target_name} = {target}")
        return nest(self.code, v, [f"{element(target_name, here(v))} += {each(self.code, v)}"])

    def _memory(self, r: Result) -> tuple[int, str]:
        """The argument that a sum goes to, and text for what this shard adds to."""
        split = r.kind == "total" and self.plan.states.get(id(r.out), WHOLE) == SPLIT
        shape = r.out.shape
        if r.kind == "product" and self._is_transposed(r):
            shape = shape[::-1]
        kind = "storage" if split else "sum"
        a = self.plan.argument(Argument(kind, shape, r.out.dtype, value=r.out, steps="total"))
        self.arguments[id(r.out)] = a
        return a, f"A{a}[b0:b1]" if split else f"A{a}" if r.out.ndim else f"A{a}[0]"

    def _is_transposed(self, r: Result) -> bool:
        """Whether (b^T a)^T is computed instead: vectors run along the wider operand's columns."""
        a, b = r.values
        return a.shape[-1] > b.shape[-1]

    def _flushed(self, r: Result, target: str) -> list[str]:
        """Sum of a^T b over a block."""
        a, b = r.values
        if self._is_transposed(r):
            self.transposed.add(id(r.out))
            a, b = b, a
        rows = self.plan.block * (self.plan.batch if a.ndim == 2 else 1)
        steps = []
        for v in (a, b):
            if id(v) not in self.blocks:
                text, flush, step = self._block_of(v)
                self.blocks[id(v)] = text
                self.code.flush += flush
                steps += step
        left, right = self.blocks[id(a)], self.blocks[id(b)]
        self.code.flush.append(self.products.transposed(left, right, a, target, rows))
        return steps

    def total_target(self, v: Value) -> list[str]:
        """Arrays to which a group adds a value that has a total."""
        found = []
        for r in self.plan.loop.results:
            if r.kind != "total" or r.values[0] is not v or not v.ndim:
                continue
            if id(r.out) not in self.arguments:
                a, target = self._memory(r)
                self.code.setup.append(f"total_{a} = {target}")
            found.append(f"total_{self.arguments[id(r.out)]}")
        return found

    def _block_of(self, v: Value) -> tuple[str, list[str], list[str]]:
        """A value's rows of a whole block: text, lines to make it, lines of the step."""
        p = self.plan.params.get(id(v))
        home = self.code.homes.get(id(v))
        direct = None
        if isinstance(p, Slice) and p.stride == 1:
            start = self.code.offset(p.start)
            direct = f"span(A{self.plan.outside(p.source)}, {start} + t0, {start} + t1)"
        elif home is not None and home.kind == "stack":
            first = self.plan.row_of_first(home)
            direct = f"span(A{home.argument}, t0 + {first}, t1 + {first})"
        if home is not None and home.kind == "block":
            return f"span(A{home.argument}, 0, m)", [], []
        split = self.plan.is_split(v)
        if direct is not None and not split:
            return direct, [], []
        a = self.plan.scratch(v, (self.plan.block,))
        copy = f"copy_rows({self.code.view(v)}, at(A{a}, t - t0))"
        text = f"span(A{a}, 0, m)"
        if direct is None:
            return text, [], [copy]
        name = f"block_{a}"
        return name, [f"{name} = {direct} if whole else {text}"], ["if not whole:", f"    {copy}"]
