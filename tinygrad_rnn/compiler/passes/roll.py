"""Roll: from the flat recording to a program with loops (`rolling` finds them).

%4 = matmul(%2, %1)          loop of 8 steps:
%5 = tanh(%4)                    %3 = carry %5, from %2
%6 = matmul(%5, %1)      =>      %4 = matmul(%3, %1)
%7 = tanh(%6)                    %5 = tanh(%4)
...                              -> %6 = stack of %5
"""

from collections.abc import Hashable
from math import copysign
from typing import Any

from ... import rolling
from ...op import OPS
from ..inference import make
from ..ir import Carry, Instr, Loop, Program, Value, frozen
from ..lowering.table import lowering, weighing
from .loop_body import LoopBody
from .moving import Series, moves, split_key

SHORTEST = 3  # steps that are worth a loop


def _split_key(instr: Instr) -> tuple[Hashable, tuple[rolling.Operand, ...]]:
    """Attributes that must be equal from step to step, and the places in a key that may move."""
    if not lowering(instr.op).slices:
        return frozen(instr.attrs), ()
    return split_key(instr.attrs["key"], instr.inputs[0].shape)  # type: ignore[union-attr]


def _heavy(instr: Instr) -> Value | None:
    """A product's matrix, if larger than twice its result: a copy costs more than a loop saves.

    Four layers of 512 with a batch of 16: gathered 12.1 ms, one by one 2.2.
    """
    a, b = instr.inputs[:2]
    W = a if isinstance(b, Value) and b.ndim == 1 else b
    return W if isinstance(W, Value) and W.nbytes > 2 * instr.out.nbytes else None


def calls_of(instrs: list[Instr]) -> list[rolling.Call]:
    """The recording in the terms of `rolling.find`."""
    numbers = {id(instr.out): k for k, instr in enumerate(instrs)}
    known: dict[int, rolling.Operand] = {}  # by id of a value
    split: dict[Any, Any] = {}  # the pieces of a split have their keys in common over all steps
    weighs: dict[Any, Any] = {}
    calls = []
    for instr in instrs:
        op, out = instr.op, instr.out
        operands: list[rolling.Operand] = []
        kinds: list[Any] = [op, out.shape, out.dtype]
        for a in instr.inputs:
            if a.__class__ is Value:
                operands.append(known.get(id(a)) or known.setdefault(id(a), _operand(a, numbers)))
                kinds += a.shape, a.dtype
            else:
                operands.append(rolling.Number(a, copysign(1, a) if type(a) is float else 1.0))
                # a number may stand where later steps have a scalar: total = 0
                kinds += ((), out.dtype) if op.pointwise else ("number", None)
        if instr.attrs:
            what = id(instr.attrs), *[a.shape for a in instr.inputs[:1] if a.__class__ is Value]
            if what not in split:
                split[what] = _split_key(instr)
            fixed, places = split[what]
            kinds.append(fixed)
            operands += places
        if op not in weighs:
            weighs[op] = weighing(op)
        heavy = _heavy(instr) if weighs[op] else None
        if heavy is not None and id(heavy) not in numbers:
            kinds.append(id(heavy))  # another one at the next step is another op
        calls.append(rolling.Call(tuple(kinds), tuple(operands)))
    return calls


def _operand(a: Any, numbers: dict[int, int]) -> rolling.Operand:
    k = numbers.get(id(a))
    return rolling.Outside(id(a)) if k is None else rolling.Ref(k)


def roll(
    inputs: list[Value], instrs: list[Instr], outputs: list[Value], loops: bool = True
) -> Program:
    """The program of a recording, its repeated steps as loops."""
    return _Builder(instrs, loops).program(inputs, outputs)


class _Builder:
    """Translates calls one by one; a call of a loop read outside becomes a result of that loop."""

    def __init__(self, instrs: list[Instr], loops: bool):
        self.instrs = instrs
        self.calls = calls_of(instrs)
        self.found = rolling.find(self.calls, SHORTEST) if loops else []
        self.series = Series(self.found)
        self.gathered: dict[tuple[rolling.Operand, ...], Value] = {}
        self.items: list[Instr | Loop] = []
        self.known: dict[int, Value] = {}  # by call number: a value outside of loops
        self.loops: list[tuple[rolling.Found, Loop]] = []
        self.number = {id(instr.out): k for k, instr in enumerate(instrs)}
        self.by_key: dict[Any, Value] = {
            id(a): a for i in instrs for a in i.inputs if isinstance(a, Value)
        }

    def program(self, inputs: list[Value], outputs: list[Value]) -> Program:
        """All items, then the outputs."""
        i = 0
        for found in [*self.found, None]:
            end = len(self.calls) if found is None else found.start
            for k in range(i, end):
                self._plain(k)
            if found is not None:
                self._loop(found)
                i = found.end
        outs = [self.outside(v) for v in outputs]
        return Program(inputs, self.items, outs)

    def emit(self, op: str, *args: Any, **attrs: Any) -> Value:
        """Append an instruction; its shape is the op's."""
        y = make(op, args, attrs)
        self.items.append(y)
        return y.out

    def outside(self, a: Any) -> Any:
        """An operand of an instruction outside of loops."""
        if not isinstance(a, Value) or id(a) not in self.number:
            return a
        return self._call(self.number[id(a)])

    def _call(self, k: int) -> Value:
        """The value of call k as seen from outside of loops."""
        if k not in self.known:
            loop, place, t = self._locate(k)
            value = loop.body[place].out
            executed = loop.count - 1 - t if loop.reverse else t
            last = loop.count - 1 - executed
            if last == 0 or any(
                isinstance(p, Carry) and p.of is value and p.delay > last for p in loop.params
            ):
                self.known[k] = loop.result("final", (value,), lag=last)
            else:
                stack = loop.result("stack", (value,))
                self.known[k] = self.emit("index", stack, key=(t,))
        return self.known[k]

    def _locate(self, k: int) -> tuple[Loop, int, int]:
        """Loop, place in its body and step number of call k."""
        for found, loop in self.loops:
            if found.start <= k < found.end:
                step, place = divmod(k - found.start, found.period)
                return loop, place, loop.count - 1 - step if loop.reverse else step
        raise KeyError(k)

    def _in_loop(self, k: int) -> bool:
        return any(found.start <= k < found.end for found, _ in self.loops)

    def _plain(self, k: int) -> None:
        """One call outside of loops; a stack of a loop's results is a result itself."""
        instr = self.instrs[k]
        if lowering(instr.op).joins and len(instr.inputs) > 1:
            joined = self._joined(instr)
            if joined is not None:
                self.known[k] = joined
                return
        inputs = tuple([self.outside(a) for a in instr.inputs])
        copy = Instr(instr.op, inputs, instr.attrs, instr.out, instr.line)
        self.items.append(copy)
        self.known[k] = copy.out

    def _joined(self, instr: Instr) -> Value | None:
        """stack or concat of values of which runs are the steps of a loop."""
        runs: list[tuple[Any, ...]] = []  # (loop, place, first t, last t) or (operand,)
        for a in instr.inputs:
            k = self.number.get(id(a)) if isinstance(a, Value) else None
            if k is None or not self._in_loop(k):
                runs.append((a,))
                continue
            loop, place, t = self._locate(k)
            before = runs[-1] if runs else ()
            if len(before) == 4 and before[0] is loop and before[1] == place:
                first, last = before[2:]
                if abs(t - last) == 1 and (first == last or (t - last) * (last - first) > 0):
                    runs[-1] = (loop, place, first, t)
                    continue
            runs.append((loop, place, t, t))
        if not any(len(run) == 4 and run[2] != run[3] for run in runs):
            return None
        axis = instr.attrs["axis"] % instr.out.ndim
        parts = [self._run(run) for run in runs]
        y = parts[0] if len(parts) == 1 else self.emit("concat", *parts, axis=0)
        if axis:
            order = (*range(1, axis + 1), 0, *range(axis + 1, y.ndim))
            y = self.emit("permute_dims", y, axes=order)
        return y if lowering(instr.op).new_axis else self.emit("reshape", y, shape=instr.out.shape)

    def gather(self, items: tuple[rolling.Operand, ...]) -> Value:
        """The items of a list as one array, once a call; `_joined` has what loops made at hand."""
        if items not in self.gathered:
            values = [self.value(a) for a in items]
            like = values[0]
            out = Value((len(items), *like.shape), like.dtype)
            joined = self._joined(Instr(OPS["stack"], tuple(values), {"axis": 0}, out))
            values = [self.outside(v) for v in values]
            self.gathered[items] = joined or self.emit("stack", *values, axis=0)
        return self.gathered[items]

    def value(self, operand: rolling.Operand) -> Any:
        """The recorded value, or number, of an operand that lies outside of loops."""
        if isinstance(operand, rolling.Ref):
            return self.instrs[operand.call].out
        if isinstance(operand, rolling.Outside):
            return self.by_key[operand.key]
        assert isinstance(operand, rolling.Number)
        return operand.value

    def _run(self, run: tuple[Any, ...]) -> Value:
        """One run of `_joined` as an array with the steps first."""
        if len(run) == 1:
            v = self.outside(run[0])
            return self.emit("reshape", v, shape=(1, *v.shape))
        loop, place, first, last = run
        stack = loop.result("stack", (loop.body[place].out,))
        low, high = min(first, last), max(first, last) + 1
        if (low, high) != (0, loop.count):
            stack = self.emit("index", stack, key=(slice(low, high),))
        return stack if last >= first else self.emit("flip", stack, axis=0)

    # loops ------------------------------------------------------------------------

    def _loop(self, found: rolling.Found) -> None:
        """One loop: parameters for what moves, instructions for the rest."""
        strides = [a.stride for row in found.operands for a in row if moves(a)]
        back = sum(s < 0 for s in strides) > sum(s > 0 for s in strides)
        loop = Loop(found.count, back)
        step = self.instrs[found.end - found.period : found.end]
        outs = [Value(i.out.shape, i.out.dtype) for i in step]
        body = LoopBody(self, found, loop, outs)
        for j, instr in enumerate(step):
            body.add(j, instr)
        body.number_draws()
        self.items.append(loop)
        self.loops.append((found, loop))
