"""The intermediate representation: a program of values, instructions and loops.

A `Value` is the result of one instruction, a parameter of a loop or an input; it has a
shape and a dtype and is compared by identity. Every value is assigned once (SSA). A `Loop`
runs its body once a step; step numbers t are those of the arrays it slices, so a loop that
runs backwards (`reverse`) goes through the same t from the last to the first.

`print(program)` writes it out:

    inputs: %0 float32[8, 2, 3], %1 float32[3, 3], %2 float32[2, 3]
    loop of 8 steps:
        %3 = %0[t]                               float32[2, 3]
        %4 = carry %7, from %2                   float32[2, 3]
        %5 = matmul(%4, %1)                      float32[2, 3]
        %6 = add(%3, %5)                         float32[2, 3]
        %7 = tanh(%6)                            float32[2, 3]
        -> %8 = stack of %7                      float32[8, 2, 3]
    outputs: %8
"""

import math
from collections.abc import Hashable
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


def value_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """A value of what is a shape and a dtype already: half the time, and recordings have many."""
    v = Value.__new__(Value)
    v.shape, v.dtype, v.needs = shape, dtype, False
    return v


Operand = Value | int | float | bool


def frozen(attr: Any) -> Hashable:
    """What two attributes that mean the same have in common: an array is only itself."""
    if isinstance(attr, dict):
        return frozenset([(name, frozen(a)) for name, a in attr.items()])
    if isinstance(attr, list | tuple):
        return tuple([frozen(a) for a in attr])
    if isinstance(attr, slice):
        return "slice", frozen((attr.start, attr.stop, attr.step))
    if isinstance(attr, np.generic):
        return type(attr), attr.tobytes()
    if isinstance(attr, float):
        return "float", attr.hex()  # -0.0 is not 0.0
    try:
        hash(attr)
    except TypeError:
        return id(attr)
    return type(attr), attr


def identity(a: Operand | None) -> Hashable:
    """What two operands have in common if they are one value or one number."""
    return id(a) if isinstance(a, Value) else frozen(a)


@dataclass(eq=False, slots=True)
class Instr:
    """One op call: `out = op(*inputs, **attrs)`, recorded at `line` of the user's code."""

    op: Op
    inputs: tuple[Operand, ...]
    attrs: dict[str, Any]
    out: Value
    line: str = ""

    def array(self, k: int = 0) -> Value:
        """Operand k, which is an array."""
        a = self.inputs[k]
        assert isinstance(a, Value), f"operand {k} of {self.op.name} is a number"
        return a

    def arrays(self) -> list[Value]:
        """Its operands that are arrays."""
        return [a for a in self.inputs if isinstance(a, Value)]


@dataclass(eq=False, slots=True)
class Slice:
    """Parameter of a loop: `out = source[start + stride * t]` at step t."""

    out: Value
    source: Value
    start: int = 0
    stride: int = 1


@dataclass(eq=False, slots=True)
class Carry:
    """Parameter of a loop, carried from step to step: the body's value `of`, `delay` steps ago.

    Steps are counted as they run. At the k-th, k < delay, it is the initial value `first[k]`;
    None is zeros.
    """

    out: Value
    of: Value
    delay: int
    first: tuple[Operand | None, ...]


@dataclass(eq=False, slots=True)
class Result:
    """An output of a loop, by kind, made of its body's `values`:

    stack    (count, ...): row t holds the value of step t; with `lag` that of `lag`
             executed steps before, the parameter's `first` where there is none
    final    the value `lag` steps before the last executed one
    total    the sum over all steps
    product  the sum over all steps of a^T b, for two values
    row_sum  the sum over all steps and rows
    """

    kind: str
    values: tuple[Value, ...]
    out: Value
    lag: int = 0
    first: tuple[Operand | None, ...] = ()


@dataclass(eq=False, slots=True)
class Loop:
    """A body that runs `count` times."""

    count: int
    reverse: bool = False
    params: list[Slice | Carry] = field(default_factory=list)
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
        out = Value(self.shape_of(kind, values), values[0].dtype)
        self.results.append(Result(kind, values, out, lag, first))
        return out

    def shape_of(self, kind: str, values: tuple[Value, ...]) -> tuple[int, ...]:
        """Shape of a result of a kind."""
        v = values[0]
        if kind == "stack":
            return (self.count, *v.shape)
        if kind == "row_sum":
            return v.shape[1:]
        return (v.shape[1], values[1].shape[1]) if kind == "product" else v.shape

    @property
    def slices(self) -> list[Slice]:
        """The parameters that are rows of arrays."""
        return [p for p in self.params if isinstance(p, Slice)]

    @property
    def carries(self) -> list[Carry]:
        """The parameters that come from earlier steps."""
        return [p for p in self.params if isinstance(p, Carry)]

    def makers(self) -> dict[int, Instr]:
        """Its instructions by id of their value."""
        return {id(i.out): i for i in self.body}

    def inside(self) -> set[int]:
        """Ids of what changes from step to step: parameters, and values of the body."""
        return {id(p.out) for p in self.params} | {id(i.out) for i in self.body}

    def kept(self) -> set[int]:
        """Ids of what outlives its step: values that are carried, or that results are made of."""
        return {id(p.of) for p in self.carries} | {id(v) for r in self.results for v in r.values}

    def inputs(self) -> list[Value]:
        """Every value from outside that it reads."""
        found: list[Any] = []
        for p in self.params:
            found += (p.source,) if isinstance(p, Slice) else (p.of, *p.first)
        for i in self.body:
            found += i.inputs
        for r in self.results:
            found += (*r.values, *r.first)
        inside = self.inside()
        return [v for v in found if isinstance(v, Value) and id(v) not in inside]


Item = Instr | Loop


@dataclass(eq=False, slots=True)
class Program:
    """Items in order of execution, from `inputs` to `outputs`."""

    inputs: list[Value]
    items: list[Item]
    outputs: list[Value]

    @property
    def loops(self) -> list[Loop]:
        """Its loops, in order; none lies in another."""
        return [item for item in self.items if isinstance(item, Loop)]

    def insert(self, instrs: list[Instr], loop: Loop) -> None:
        """Put instructions right before a loop."""
        at = self.items.index(loop)
        self.items[at:at] = instrs

    def copied_items(self) -> list[Item]:
        """The items again, to be rewritten; values stay the same objects."""
        items = [_copied(item) for item in self.items]
        for loop in items:
            if isinstance(loop, Loop):
                loop.params = [_copied(p) for p in loop.params]
                loop.body = [_copied(i) for i in loop.body]
                loop.results = [_copied(r) for r in loop.results]
        return items

    def __str__(self) -> str:
        from .printer import Printer  # which names what is defined here

        return Printer().program(self)


def _copied(x: Any) -> Any:
    # .7 us in place of copy's 3.9
    return x.__class__(*[getattr(x, name) for name in x.__slots__])


def reads(item: Item) -> list[Value]:
    """The values an item of a program reads."""
    return item.inputs() if isinstance(item, Loop) else item.arrays()


def writes(item: Item) -> list[Value]:
    """The values an item of a program gives."""
    return [r.out for r in item.results] if isinstance(item, Loop) else [item.out]
