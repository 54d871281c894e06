"""The program of a compiled function: values, instructions and loops.

A `Value` is what one instruction, one parameter of a loop or one input gives;
it has a shape and a dtype and is known by identity. A `Loop` runs its body once
a step; step numbers t are those of the arrays it slices, so a loop that runs
backwards (`reverse`) goes through the same t from the last to the first.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..op import Op


class Value:
    """One array of the program; `needs` says whether a gradient may be wanted for it."""

    __slots__ = ("dtype", "needs", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any, needs: bool = False):
        self.shape, self.dtype, self.needs = tuple(shape), np.dtype(dtype), needs

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"<{self.dtype}{list(self.shape)}>"


Operand = Value | int | float | bool


def same(a: Operand | None, b: Operand | None) -> bool:
    """Whether two operands are one value or equal numbers."""
    return a is b or (not isinstance(a, Value) and not isinstance(b, Value) and a == b)


@dataclass(eq=False, slots=True)
class Instr:
    """One op call: `out = op(*inputs, **attrs)`, recorded at `line` of the user's code."""

    op: Op
    inputs: tuple[Operand, ...]
    attrs: dict[str, Any]
    out: Value
    line: str = ""


@dataclass(eq=False, slots=True)
class Slice:
    """Parameter of a loop: `out = source[start + stride * t]` at step t."""

    out: Value
    source: Value
    start: int = 0
    stride: int = 1


@dataclass(eq=False, slots=True)
class Prev:
    """Parameter of a loop: the body's value `of`, `delay` executed steps ago.

    `first[k]` stands in at the k-th executed step, k < delay; None is zeros.
    """

    out: Value
    of: Value
    delay: int
    first: tuple[Operand | None, ...]


@dataclass(eq=False, slots=True)
class Result:
    """What a loop hands out, by kind, of its body's `values`:

    stack    (count, ...): row t holds the value of step t; with `lag` that of `lag`
             executed steps before, the parameter's `first` where there is none
    final    the value `lag` steps before the last executed one
    total    the sum over all steps
    product  the sum over all steps of a^T b, for two values
    rows     the sum over all steps and rows
    """

    kind: str
    values: tuple[Value, ...]
    out: Value
    lag: int = 0
    first: tuple[Operand | None, ...] = ()


@dataclass(eq=False, slots=True)
class Loop:
    """A repeated step."""

    count: int
    reverse: bool = False
    params: list[Slice | Prev] = field(default_factory=list)
    body: list[Instr] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    def order(self) -> range:
        """Step numbers in the order they run."""
        return range(self.count - 1, -1, -1) if self.reverse else range(self.count)

    def result(self, kind: str, values: tuple[Value, ...], lag: int = 0, first: Any = ()) -> Value:
        """The value of a result, made at the first request."""
        for r in self.results:
            if (r.kind, r.values, r.lag, r.first) == (kind, values, lag, first):
                return r.out
        v = values[0]
        shape: tuple[int, ...] = v.shape
        if kind == "stack":
            shape = (self.count, *v.shape)
        elif kind == "product":
            shape = (v.shape[1], values[1].shape[1])
        elif kind == "rows":
            shape = v.shape[1:]
        out = Value(shape, v.dtype)
        self.results.append(Result(kind, values, out, lag, first))
        return out

    def inputs(self) -> Iterator[Value]:
        """Every value from outside that it reads."""
        inside = {id(p.out) for p in self.params} | {id(i.out) for i in self.body}
        for p in self.params:
            reads = (p.source,) if isinstance(p, Slice) else (p.of, *p.first)
            yield from (v for v in reads if isinstance(v, Value) and id(v) not in inside)
        for i in self.body:
            yield from (v for v in i.inputs if isinstance(v, Value) and id(v) not in inside)
        for r in self.results:
            reads = (*r.values, *r.first)
            yield from (v for v in reads if isinstance(v, Value) and id(v) not in inside)

    def outputs(self) -> Iterator[Value]:
        """Every value that it hands out."""
        return (r.out for r in self.results)


@dataclass(eq=False, slots=True)
class Program:
    """Items in order of execution, from `inputs` to `outputs`."""

    inputs: list[Value]
    items: list[Instr | Loop]
    outputs: list[Value]


def reads(item: Instr | Loop) -> list[Value]:
    """The values an item of a program reads."""
    if isinstance(item, Loop):
        return list(item.inputs())
    return [v for v in item.inputs if isinstance(v, Value)]


def writes(item: Instr | Loop) -> list[Value]:
    """The values an item of a program gives."""
    return list(item.outputs()) if isinstance(item, Loop) else [item.out]
