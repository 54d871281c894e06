"""The body of a loop as `roll` builds it: parameters for what moves, instructions for the rest."""

from typing import Any

from ... import rolling
from ...op import OPS
from ...ops.random import Generator
from ..inference import number_dtype
from ..ir import Carry, Instr, Loop, Operand, Slice, Value, identity
from ..lowering.table import lowering
from .moving import moved, moves


class LoopBody:
    """The body of one loop while it is built."""

    def __init__(self, builder: Any, found: rolling.Found, loop: Loop, outs: list[Value]):
        self.builder, self.found, self.loop, self.outs = builder, found, loop, outs
        self.params: dict[Any, Value] = {}
        self.drawn: list[tuple[Generator, Value]] = []

    def add(self, j: int, instr: Instr) -> None:
        """The instruction at place j of the step."""
        kinds = self.found.operands[j]
        if lowering(instr.op).numbers_draws:
            self.drawn.append((instr.attrs["generator"], self.outs[j]))
            self.loop.body.append(Instr(instr.op, (), instr.attrs, self.outs[j], instr.line))
            return
        if lowering(instr.op).slices and any(map(moves, kinds)):
            self._moving_index(j, instr, kinds)
            return
        inputs = tuple([self._operand(kinds[k], k, instr) for k in range(len(instr.inputs))])
        self.loop.body.append(Instr(instr.op, inputs, instr.attrs, self.outs[j], instr.line))

    def _outer(self, operand: rolling.Operand) -> Operand:
        """An operand that lies outside of the loop."""
        value: Operand = self.builder.outside(self.builder.value(operand))
        return value

    def _operand(self, kind: Any, place: int, instr: Instr) -> Operand:
        if isinstance(kind, rolling.Same):
            return self._outer(kind.operand)
        if isinstance(kind, rolling.Here):
            return self.outs[kind.place]
        if isinstance(kind, rolling.Back):
            of = self.outs[kind.place]
            first = tuple([self._outer(o) for o in kind.first])
            key = ("back", kind.place, kind.delay, tuple(map(identity, first)))
            if key not in self.params:
                self.params[key] = out = Value(of.shape, of.dtype)
                self.loop.params.append(Carry(out, of, kind.delay, first))
            return self.params[key]
        if isinstance(kind, rolling.Numbers):
            dtype = number_dtype(instr, place, kind.values)
            table = self.builder.emit("literal", values=kind.values, dtype=dtype)
            return self.slice(table, 0, 1)
        if isinstance(kind, rolling.Listed):
            items, start, stride = self.builder.series.part(kind.operands)
            return self.slice(self.builder.gather(items), start, stride)
        assert isinstance(kind, rolling.Along)
        return self.slice(*self._along(kind))

    def _along(self, kind: rolling.Along) -> tuple[Value, int, int]:
        """The stack of a value of an earlier loop, with start and stride in its step numbers."""
        earlier = self.builder.loops[kind.loop][1]
        start, stride = kind.start, kind.stride
        if earlier.reverse:
            start, stride = earlier.count - 1 - start, -stride
        return earlier.result("stack", (earlier.body[kind.place].out,)), start, stride

    def slice(self, source: Value, start: int, stride: int) -> Value:
        """The parameter source[start + stride k] of the k-th executed step."""
        if self.loop.reverse:
            start, stride = start + stride * (self.loop.count - 1), -stride
        key = ("slice", id(source), start, stride)
        if key not in self.params:
            self.params[key] = out = Value(source.shape[1:], source.dtype)
            self.loop.params.append(Slice(out, source, start, stride))
        return self.params[key]

    def _moving_index(self, j: int, instr: Instr, kinds: list[Any]) -> None:
        """x[..., t, ...]: the step's part of all that the steps take, then the rest of the key."""
        source, emit = self._operand(kinds[0], 0, instr), self.builder.emit
        assert isinstance(source, Value)
        found = moved(
            source, instr.attrs["key"], kinds[1:], self.found.count, emit, self.builder.items
        )
        part = self.slice(found.source, found.start, found.stride)
        attrs = {"key": found.rest}
        self.loop.body.append(Instr(instr.op, (part,), attrs, self.outs[j], instr.line))

    def number_draws(self) -> None:
        """Give each draw of a step its row of keys, numbered in program order."""
        if not self.drawn:
            return
        table = self.builder.emit(
            "draws",
            generators=tuple(g for g, _ in self.drawn),
            count=self.loop.count,
            reverse=self.loop.reverse,
        )
        row = Value(table.shape[1:], table.dtype)
        self.loop.params.append(Slice(row, table))
        drawn = iter(range(len(self.drawn)))
        for k, instr in enumerate(self.loop.body):
            if lowering(instr.op).numbers_draws:
                key = (next(drawn),)
                self.loop.body[k] = Instr(OPS["index"], (row,), {"key": key}, instr.out)
