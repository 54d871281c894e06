"""A group of fused ops as one loop nest, laid out so that LLVM vectorises it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir import Instr, Value
from ..lowering.table import lowering
from ..lowering.text import SHORT, indent, key_parts
from .code import Code
from .schedule import Group
from .sums import Sums


@dataclass(eq=False)
class Nest:
    """Writes one group of pointwise ops as a loop nest."""

    code: Code
    sums: Sums
    group: Group
    heads: dict[int, list[str]] = field(default_factory=dict)  # lines by depth of the nest
    local: dict[int, str] = field(default_factory=dict)
    rows: set[str] = field(default_factory=set)

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
            text += [f"for j in range({self.extents[-1]}):", *indent(inner)]
        else:
            text += inner
        for k in range(self.depth - 1, -1, -1):
            text = [*self.heads[k], f"for i{k} in range({self.extents[k]}):", *indent(text)]
        return text

    def extent(self, axis: int) -> str:
        """Size of an axis of the nest."""
        return self.code.size(self.group.instrs[0].out, axis)

    def instr(self, instr: Instr) -> list[str]:
        """One op: an assignment, and a store where the value leaves the group."""
        code, out = self.code, instr.out
        dtype = working_dtype(instr)
        args = [self.operand(instr, k, dtype) for k in range(len(instr.inputs))]
        element = lowering(instr.op).element
        assert element is not None
        text = element(self, instr, args, dtype)
        name = code.name(out)
        self.local[id(out)] = name
        lines = [f"{name} = {text}"]
        for target in self.sums.total_target(out):
            lines.append(f"{self.named(target, target, out)}[j] += {name}")
        if id(out) in code.homes or id(out) in code.aliases:
            if not out.ndim:
                lines.append(f"{code.at(out)} = {name}")
            else:
                lines.append(f"{self.row(out)}[j] = {name}")
        return lines

    def operand(self, instr: Instr, k: int, dtype: np.dtype[Any]) -> str:
        """Text of an operand in the dtype that its op works in; a condition is as it is."""
        a, free = instr.inputs[k], instr.op.inputs[k] in instr.op.free
        if not isinstance(a, Value):
            return self.code.number(a, np.result_type(a) if free else dtype)
        text = self.read(a, instr.out)
        return text if free or a.dtype == dtype else f"{SHORT[dtype]}({text})"

    def number(self, out: Value) -> str:
        """Flat index of an element in the array of the whole batch."""
        index = ("i0" if self.depth else "j") if out.ndim else "0"
        if self.code.plan.is_split(out):
            index = f"b0 + {index}"
        for k in range(1, self.depth):
            index = f"({index}) * {self.extents[k]} + i{k}"
        if self.depth:
            index = f"({index}) * {self.extents[-1]} + j"
        return index

    def read(self, v: Value, out: Value) -> str:
        """Text of one element of an operand."""
        code = self.code
        if id(v) in self.local:
            return self.local[id(v)]
        if not v.ndim:
            return code.scalar(v)
        row = self.row(v)
        if v.shape[-1] == 1 and out.shape[-1] != 1:
            return self.define(f"{row}_0", f"{row}[0]")
        return f"{row}[j]"

    def row(self, v: Value) -> str:
        """Name of an operand's row, defined at the head of the inner loop.

        Columns are sliced from the row of the base, which is contiguous; the rows of a slice,
        as far as LLVM knows, are not.
        """
        code = self.code
        if id(v) in code.aliases and id(v) not in code.homes:
            base, key = code.aliases[id(v)]
            if key is None:
                return self.row(base)
            parts = key_parts(key)
            columns = isinstance(key, tuple) and len(parts) == v.ndim == base.ndim > 1
            if columns and all(p == slice(None) for p in parts[:-1]):
                start = parts[-1].indices(base.shape[-1])[0]
                text = self.row(base)
                if not start:
                    return text
                return self.define(f"{code.name(v)}_row", f"cut({text}, {code.offset(start)})")
        return self.named(code.name(v), code.view(v), v)

    def named(self, name: str, text: str, v: Value) -> str:
        """Name of the current row of an array, whose own name is `name`."""
        return self.define(f"{name}_row", f"row({text}, {self.index(v)})")

    def define(self, key: str, text: str) -> str:
        """A name for a text, computed once a row."""
        if key not in self.rows:
            self.rows.add(key)
            self.heads[self.depth].append(f"{key} = {text}")
        return key

    def index(self, v: Value) -> str:
        """Index of a row: the nest's variables, 0 where the value is broadcast."""
        shape, lead = self.group.shape, len(self.group.shape) - v.ndim
        parts = []
        for k in range(v.ndim - 1):
            wide = shape[lead + k] != 1
            parts.append("0" if v.shape[k] == 1 and wide else f"i{lead + k}")
        return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def working_dtype(instr: Instr) -> np.dtype[Any]:
    """The dtype in which NumPy computes a pointwise op: its inputs' own, Python numbers weak."""
    op, free = instr.op, instr.op.free
    own = [a for a, name in zip(instr.inputs, op.inputs, strict=True) if name not in free]
    arrays = {a.dtype for a in own if isinstance(a, Value)}
    if not arrays:
        return instr.out.dtype
    first = next(iter(arrays))
    if len(arrays) == 1 and first.kind == "f":
        return first
    return np.result_type(*arrays, *[a for a in own if not isinstance(a, Value)])
