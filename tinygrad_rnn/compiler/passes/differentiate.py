"""Differentiate: the backward program, by the gradient rules of ops in reverse order.

    loop of 8 steps:                 loop of 8 steps, last step first:
        %4 = carry %6, from %2           %9 = carry %12, from zeros
        %5 = matmul(%4, %1)          =>  %10 = %8[t]                    d %6, from outside
        %6 = tanh(%5)                    %11 = tanh_vjp(%9 + %10, %6)   d %5
        -> %7 = stack of %6              %12 = matmul(%11, %1^T)        d %4
                                         -> %13 = product of %4, %11    d %1

The backward of a loop is one loop over the same steps in the opposite order. A value carried
over d steps has its cotangent carried over d steps; an array that is sliced gets its slices'
cotangents stacked; a loop-invariant value gets a sum over steps, which for a weight is one
product over all steps. The rules are the ops' own (`op.rules`), run on symbols.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ...op import OPS, Op
from ..inference import make
from ..ir import Carry, Instr, Loop, Operand, Program, Slice, Value
from ..lowering.table import lowering
from .gradient_rules import contributions


class Gradients:
    """The cotangents of values, accumulated until each is taken."""

    def __init__(self, items: list[Any]):
        self.items = items  # where instructions go
        self.sums: dict[int, Value] = {}
        self.pieces: dict[int, dict[Op, tuple[list[Value], list[Any]]]] = {}

    def emit(self, op: str, *args: Any, **attrs: Any) -> Value:
        """Append an instruction."""
        instr = make(op, args, attrs)
        self.items.append(instr)
        return instr.out

    def add(self, v: Value, g: Value) -> None:
        """Add one contribution, summed to v's shape if v was broadcast."""
        if g.shape != v.shape:
            g = self.emit("sum_to", g, shape=v.shape)
        before = self.sums.get(id(v))
        self.sums[id(v)] = g if before is None else self.emit("add", before, g)

    def defer(self, v: Value, op: Op, pieces: Sequence[Value], key: Any) -> None:
        """Keep a deferred term: those of one op are put together when v is reached."""
        parts, keys = self.pieces.setdefault(id(v), {}).setdefault(op, ([], []))
        parts.extend(pieces)
        keys.append(key)

    def take(self, v: Value) -> Value | None:
        """The cotangent of v; None if nothing reached it."""
        for op, (parts, keys) in self.pieces.pop(id(v), {}).items():
            attrs = {} if keys[0] is None else {"keys": tuple(keys), "shape": v.shape}
            self.add(v, self.emit(op.name, *parts, **attrs))
        return self.sums.pop(id(v), None)


def differentiate(
    program: Program, cotangents: Sequence[tuple[Value, Value]], wanted: Sequence[Value | None]
) -> tuple[list[Instr | Loop], list[Value | None]]:
    """Items that compute the gradients of `wanted` from pairs (output, its cotangent).

    What stands as None in `wanted`, or is not reached, gets None.

    Loops of the program get further results: what the backward reads of their steps.
    """
    items: list[Any] = []
    grads = Gradients(items)
    for v, g in cotangents:
        grads.add(v, g)
    for item in reversed(program.items):
        if isinstance(item, Loop):
            _Reversed(item, grads).run()
            continue
        if not item.out.needs:
            continue
        own = grads.take(item.out)
        if own is None:
            continue
        for v, c in contributions(items, item, own):
            _accumulate(grads, v, c)
    return items, [None if v is None else grads.take(v) for v in wanted]


def _accumulate(grads: Gradients, v: Value, c: Any) -> None:
    if isinstance(c, Value):
        grads.add(v, c)
    else:
        grads.defer(v, *c)


class _Reversed:
    """The backward of one loop."""

    def __init__(self, loop: Loop, outer: Gradients):
        self.loop, self.outer = loop, outer
        self.back = Loop(loop.count, not loop.reverse)
        self.inner = Gradients(self.back.body)
        self.params = {id(p.out): p for p in loop.params}
        self.made = loop.makers()
        self.seen: dict[Any, Value] = {}  # parameters of the backward loop
        self.weights: list[tuple[Value, Any]] = []  # contributions to what is outside
        self.after: list[Callable[[], None]] = []  # contributions to make once the loop is complete
        self.any = False  # whether a sum over steps has a gradient

    def run(self) -> None:
        """Build the loop and pass its results on; do nothing if no cotangent reaches it."""
        stacks, finals = self._incoming()
        states = [p for p in self.loop.carries if p.out.needs]
        if not stacks and not finals and not self.any:
            return
        backs: dict[int, Carry] = {}  # by id of a state: what carries its gradient back
        for p in states:
            if p.of.needs:
                first = tuple(finals.pop((id(p.of), k), None) for k in range(p.delay))
                out = Value(p.of.shape, p.of.dtype)
                backs[id(p)] = Carry(out, p.of, p.delay, first)  # `of` is set when it is known
                self.back.params.append(backs[id(p)])
                self.inner.add(p.of, out)
        for v, g in stacks + self._padded(finals):
            self.inner.add(v, self._slice(g, 0, 1))
        for instr in reversed(self.loop.body):
            self._through(instr)
        for p in states:
            self._carried(p, backs.get(id(p)))
        for q in self.loop.slices:
            if q.source.needs:
                self._sliced(q)
        for v, c in self.weights:
            self._outside(v, c)
        self.outer.items.append(self.back)
        for _ in range(len(self.after)):
            self.after.pop(0)()

    def _incoming(self) -> tuple[list[tuple[Value, Value]], dict[tuple[int, int], Value]]:
        """Cotangents of the loop's results: of stacks, and of final values by (value, lag)."""
        stacks: list[tuple[Value, Value]] = []
        finals: dict[tuple[int, int], Value] = {}
        for r in list(self.loop.results):
            g = self.outer.take(r.out) if r.out.needs else None
            if g is None:
                continue
            if r.kind == "stack" and r.lag == 0:
                stacks.append((r.values[0], g))
            elif r.kind == "total":
                self.inner.add(r.values[0], g)
                self.any = True
            else:
                assert r.kind == "final", r.kind
                key = id(r.values[0]), r.lag
                before = finals.get(key)
                finals[key] = g if before is None else self.outer.emit("add", before, g)
        return stacks, finals

    def _padded(self, finals: dict[tuple[int, int], Value]) -> list[tuple[Value, Value]]:
        """Cotangents of final values that no carry takes: as stacks, zero but for one row."""
        found, n = [], self.loop.count
        for (v, lag), g in finals.items():
            t = lag if self.loop.reverse else n - 1 - lag
            row = self.outer.emit("reshape", g, shape=(1, *g.shape))
            key = (slice(t, t + 1),)
            stack = self.outer.emit("put_slices", row, keys=(key,), shape=(n, *g.shape))
            found.append((self.made[v].out, stack))
        return found

    def _slice(self, source: Value, start: int, stride: int) -> Value:
        """Parameter source[start + stride t] of the backward loop."""
        key = (id(source), start, stride)
        if key not in self.seen:
            self.seen[key] = out = Value(source.shape[1:], source.dtype)
            self.back.params.append(Slice(out, source, start, stride))
        return self.seen[key]

    def _read(self, a: Operand) -> Operand:
        """A value of the forward step as the backward step sees it."""
        if not isinstance(a, Value):
            return a
        p = self.params.get(id(a))
        if isinstance(p, Slice):
            return self._slice(p.source, p.start, p.stride)
        if isinstance(p, Carry):
            stack = self.loop.result("stack", (p.of,), p.delay, p.first)
            return self._slice(stack, 0, 1)
        if id(a) in self.made:
            return self._slice(self.loop.result("stack", (a,)), 0, 1)
        return a

    def _through(self, instr: Instr) -> None:
        """Propagate the cotangent of one instruction's result to its operands."""
        g = self.inner.take(instr.out) if instr.out.needs else None
        if g is None:
            return
        for v, c in contributions(self.back.body, instr, g, self._read):
            if id(v) in self.made or id(v) in self.params:
                _accumulate(self.inner, v, c)
            else:
                self.weights.append((v, c))

    def _carried(self, state: Carry, back: Carry | None) -> None:
        """A carry's cotangent flows d steps back, and from the first steps to its initial values.

        With `back` None the carry stops gradients (a detach): its initial values alone get them.
        """
        g = self.inner.take(state.out)
        if g is None and back is None:
            return
        if g is None:  # nothing flows back: only the cotangents of final values arrive
            assert back is not None
            g = self.inner.emit("where", False, back.out, 0.0)
        g = self._own(g)
        if back is not None:
            back.of = g
        for k, v in enumerate(state.first):
            if isinstance(v, Value) and v.needs:
                self.after.append(
                    lambda v=v, g=g, k=k: self.outer.add(  # type: ignore[misc]
                        v, self.back.result("final", (g,), lag=k)
                    )
                )

    def _sliced(self, q: Slice) -> None:
        """The cotangent of an array that the loop slices: those of its slices, stacked."""
        g = self.inner.take(q.out)
        if g is None:
            return
        g = self._own(g)
        stack = self.back.result("stack", (g,))
        n, source = self.loop.count, q.source

        def contribute() -> None:
            c, start, stride = stack, q.start, q.stride
            if stride < 0:
                c, start, stride = (
                    self.outer.emit("flip", c, axis=0),
                    start + stride * (n - 1),
                    -stride,
                )
            if (start, stride, n) == (0, 1, source.shape[0]):
                self.outer.add(source, c)
            elif stride == 0:
                total = self.outer.emit("sum", c, axis=0, keepdims=True)
                self.outer.defer(source, OPS["put_slices"], (total,), (slice(start, start + 1),))
            else:
                key = (slice(start, start + stride * (n - 1) + 1, stride),)
                self.outer.defer(source, OPS["put_slices"], (c,), key)

        self.after.append(contribute)

    def _own(self, g: Value) -> Value:
        """A value defined in the body, as results must be."""
        if id(g) in self.back.makers():
            return g
        return self.inner.emit("mul", g, 1.0)

    def _outside(self, v: Value, c: Any) -> None:
        """A contribution, at every step, to a loop-invariant value."""
        if isinstance(c, Value):
            if c.shape != v.shape:
                c = self.inner.emit("sum_to", c, shape=v.shape)
            total = self.back.result("total", (self._own(c),))
            self.after.append(lambda: self.outer.add(v, total))
            return
        op, pieces, key = c
        kind = lowering(op).total
        if kind:
            total = self.back.result(kind, pieces)
        else:
            piece = self.inner.emit(op.name, *pieces, keys=(key,), shape=v.shape)
            total = self.back.result("total", (piece,))
        self.after.append(lambda: self.outer.add(v, total))
