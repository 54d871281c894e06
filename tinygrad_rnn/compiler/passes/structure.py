"""What a program is, sizes aside: two of one structure are rewritten alike by all passes."""

from collections.abc import Hashable
from typing import Any

from ..ir import Instr, Loop, Program, Slice, Value


def structure(program: Program) -> Hashable:
    """Ops, attributes, wiring, dtypes, loops; of sizes which are equal and which are 0 or 1.

    That is what passes and shape rules ask of sizes, which are numbered as they come.
    """
    return _Structure().program(program)


class _Structure:
    """Numbers values and sizes in order of appearance."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.sizes = {0: 0, 1: 1}

    def program(self, program: Program) -> Hashable:
        items = [self.loop(i) if isinstance(i, Loop) else self.instr(i) for i in program.items]
        ends = [self.operands(values) for values in (program.inputs, program.outputs)]
        return *items, *ends

    def instr(self, i: Instr) -> Hashable:
        attrs = [(name, self.attr(value)) for name, value in i.attrs.items()]
        return i.op, self.operands(i.inputs), *attrs, self.operand(i.out)

    def operands(self, values: Any) -> Hashable:
        return tuple([self.operand(a) for a in values])

    def operand(self, a: Any) -> Hashable:
        """Its number; at first meeting its type as well; of a Python number the class."""
        if a.__class__ is not Value:
            return a.__class__
        number = self.values.get(id(a))
        if number is not None:
            return number
        self.values[id(a)] = len(self.values)
        sizes = self.sizes
        return a.dtype.str, a.needs, *[sizes.setdefault(n, len(sizes)) for n in a.shape]

    def attr(self, a: Any) -> Hashable:
        if a.__class__ is int:
            return self.sizes.setdefault(a, len(self.sizes))
        if a.__class__ is slice:
            return "slice", self.attr(a.start), self.attr(a.stop), self.attr(a.step)
        if a.__class__ is tuple:
            return tuple([self.attr(n) for n in a])
        return a.__class__, repr(a)

    def loop(self, loop: Loop) -> Hashable:
        params = [
            (self.operand(p.source), self.attr(p.start), p.stride, self.operand(p.out))
            if isinstance(p, Slice)
            else (self.operand(p.of), p.delay, self.operands(p.first), self.operand(p.out))
            for p in loop.params
        ]
        body = [self.instr(i) for i in loop.body]
        results = [
            (r.kind, r.lag, self.operands(r.values), self.operands(r.first), self.operand(r.out))
            for r in loop.results
        ]
        return "loop", self.attr(loop.count), loop.reverse, *params, "body", *body, *results
