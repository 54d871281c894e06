"""Which values of a loop can be split by the batch: a thread then runs all steps on its own rows.

Each value of the body is *split* along its first axis, *whole* (the same for every
shard), or *partial* (its sum over shards is the value). A loop in which all ops
allow one of these runs on several threads with no synchronisation by step.
"""

from typing import Any

from ...ops.reduce import axes_of
from ..ir import Instr, Loop, Prev, Value

SPLIT, WHOLE, PARTIAL = "split", "whole", "partial"
_ROWWISE = ("softmax", "log_softmax", "normalize", "one_hot", "drop", "logsumexp", "cumsum")


class Refused(Exception):
    """The loop cannot be split; the text says why."""


def analyse(loop: Loop) -> tuple[dict[int, str], str]:
    """State of every value by id, and the reason if the loop cannot be split (else "")."""
    batch = next((p.of.shape[0] for p in loop.params if isinstance(p, Prev) and p.of.ndim), None)
    if batch is None:
        batch = next((i.out.shape[0] for i in loop.body if i.out.ndim > 1), None)
    if batch is None or batch < 2:
        return {}, "there is no batch axis" if batch is None else "the batch has one row"
    partial: set[int] = set()
    for _ in range(len(loop.params) + 1):
        try:
            states = _States(loop, batch, partial).run()
        except SumOfShards as found:
            partial.add(found.args[0])
            continue
        except Refused as why:
            return {}, str(why)
        wrong = {
            id(p.out)
            for p in loop.params
            if isinstance(p, Prev) and states[id(p.of)] == PARTIAL and id(p.out) not in partial
        }
        if not wrong:
            for p in loop.params:
                if isinstance(p, Prev) and states[id(p.of)] != states[id(p.out)]:
                    return {}, "a state changes between being split and being whole"
            return states, ""
        partial |= wrong
    return {}, "no consistent split"


class SumOfShards(Exception):
    """A state (its id) is added to a sum over the batch, so it is one, too."""


class _States(dict[int, str]):
    """States found in one pass over the body."""

    def __init__(self, loop: Loop, batch: int, partial: set[int]):
        super().__init__()
        self.loop, self.batch = loop, batch
        for p in loop.params:
            rows = p.out.shape[:1] == (batch,)
            if id(p.out) in partial:
                self[id(p.out)] = PARTIAL
            elif rows and (isinstance(p, Prev) or p.out.ndim > 1):
                self[id(p.out)] = SPLIT
        for p in loop.params:
            if isinstance(p, Prev) and id(p.out) not in self:
                self[id(p.out)] = WHOLE

    def run(self) -> "_States":
        """All instructions, then the results."""
        for instr in self.loop.body:
            self[id(instr.out)] = self._state(instr)
        for p in self.loop.params:
            self.setdefault(id(p.out), WHOLE)
            if isinstance(p, Prev):
                for v in p.first:
                    if isinstance(v, Value) and v.ndim:
                        self._settle(v, self[id(p.of)])
        for r in self.loop.results:
            self[id(r.out)] = self._result(r)
        return self

    def _settle(self, v: Value, state: str) -> str:
        """Fix the state of a value that is free to be either."""
        if self.setdefault(id(v), state) != state:
            raise Refused("a value is needed both split and whole")
        return state

    def _of(self, a: Any, aligned: bool) -> str:
        """State of an operand; a free one is split if its first axis is the batch's."""
        if not isinstance(a, Value):
            return WHOLE
        if id(a) not in self:
            self[id(a)] = SPLIT if aligned and a.shape[:1] == (self.batch,) else WHOLE
        return self[id(a)]

    def _state(self, instr: Instr) -> str:
        op, out, name = instr.op, instr.out, instr.op.name
        if op.pointwise or name == "drop":
            return self._pointwise(instr)
        if name in ("matmul", "linear"):
            return self._product(instr)
        if name in ("concat", "put_slices"):
            states = {self._of(a, True) for a in instr.inputs}
            keys = instr.attrs.get("keys", ())
            along = instr.attrs.get("axis", 1) % out.ndim == 0
            if SPLIT in states and (along or any(not _keeps_rows(k) for k in keys)):
                raise Refused(f"{name} works along the batch")
            return self._one(states, name)
        x = instr.inputs[0]
        assert isinstance(x, Value)
        state = self._of(x, True)
        if name in ("sum_of_products", "sum_of_rows"):
            states = {self._of(a, True) for a in instr.inputs}
            return PARTIAL if states == {SPLIT} else self._one(states, name)
        if name == "softmax_cross_entropy" and x.ndim > 1:
            return self._one({self._of(a, True) for a in instr.inputs}, name)
        if name == "take" and instr.attrs["axis"] == 0:
            if self._of(x, False) != WHOLE:
                raise Refused("take: its table is split")
            return self._of(instr.inputs[1], True)
        if name in ("take", "put_taken", "take_along_axis", "put_along_axis"):
            return self._lookup(instr, state)
        if state != SPLIT:
            return self._broadcast(instr, state)
        return self._on_rows(instr, x)

    def _lookup(self, instr: Instr, state: str) -> str:
        """A look-up along another axis than the batch's, in each row by the same numbers or own."""
        name = instr.op.name
        table: Any = instr.out if name.startswith("put") else instr.inputs[0]
        own = name.endswith("along_axis")
        if state == PARTIAL or (state == SPLIT and instr.attrs["axis"] % table.ndim == 0):
            raise Refused(f"{name} works along the batch")
        if self._of(instr.inputs[1], own) != (state if own else WHOLE):
            raise Refused(f"{name} mixes what is split and what is whole")
        return state

    def _broadcast(self, instr: Instr, state: str) -> str:
        """An op on a value that is not split; what is whole may be repeated for every row."""
        x, out = instr.inputs[0], instr.out
        assert isinstance(x, Value)
        if state == WHOLE and instr.op.name == "broadcast_to" and out.shape[:1] == (self.batch,):
            if x.ndim == out.ndim and x.shape[0] == self.batch:
                raise Refused("broadcast_to of rows that every shard has")
            return SPLIT
        if state == PARTIAL and instr.op.name not in ("reshape", "sum_to", "sum"):
            raise Refused(f"{instr.op.name} of a sum over the batch")
        return state

    def _on_rows(self, instr: Instr, x: Any) -> str:
        """An op on a split value."""
        name, attrs, out = instr.op.name, instr.attrs, instr.out
        if name in ("sum", "max", "min", "norm", "logsumexp"):
            if 0 not in axes_of(name, attrs["axis"], x.ndim):
                return SPLIT
            if name == "sum":
                return PARTIAL
            raise Refused(f"{name} over the batch")
        if name == "sum_to":
            kept = out.ndim == x.ndim and out.shape[0] == self.batch
            return SPLIT if kept else PARTIAL
        if name == "index" and _keeps_rows(attrs["key"]):
            return SPLIT
        if name == "broadcast_to" and out.ndim == x.ndim:
            return SPLIT
        if name == "reshape" and out.shape[:1] == (self.batch,):
            return SPLIT
        if name == "permute_dims" and attrs["axes"][0] % out.ndim == 0:
            return SPLIT
        if name in _ROWWISE and attrs.get("axis", -1) % x.ndim != 0:
            return SPLIT
        raise Refused(f"{name} works along the batch")

    def _one(self, states: set[str], name: str) -> str:
        if len(states) > 1:
            raise Refused(f"{name} mixes what is split and what is whole")
        return states.pop()

    def _pointwise(self, instr: Instr) -> str:
        out = instr.out
        inputs = [a for a in instr.inputs if isinstance(a, Value)]
        states = [self._of(a, a.ndim == out.ndim and a.ndim > 1) for a in inputs]
        if PARTIAL in states:
            for a, state in zip(inputs, states, strict=True):
                if state == WHOLE and instr.op.name in ("add", "sub"):
                    if any(p.out is a and isinstance(p, Prev) for p in self.loop.params):
                        raise SumOfShards(id(a))
            linear = instr.op.name in ("add", "sub") and set(states) == {PARTIAL}
            linear = linear and len(inputs) == 2
            scaled = instr.op.name == "neg" or (
                instr.op.name in ("mul", "div") and states.count(PARTIAL) == 1
                and not (instr.op.name == "div" and states[-1] == PARTIAL and len(inputs) == 2)
                and isinstance(instr.inputs[0], Value)
            )  # fmt: skip
            if not linear and not (scaled and SPLIT not in states):
                raise Refused(f"{instr.op.name} of a sum over the batch")
            return PARTIAL
        if SPLIT not in states:
            return WHOLE
        for a, state in zip(inputs, states, strict=True):
            rows = a.ndim == out.ndim and a.shape[:1] == (self.batch,)
            if state == SPLIT and not rows:
                raise Refused(f"{instr.op.name} spreads the batch along another axis")
            if state == WHOLE and rows:
                raise Refused(f"{instr.op.name} mixes what is split and what is whole")
        return SPLIT

    def _product(self, instr: Instr) -> str:
        a, b = instr.inputs[:2]
        assert isinstance(a, Value)
        assert isinstance(b, Value)
        left = self._of(a, a.ndim > 1)
        right = self._of(b, a.ndim == b.ndim == 3)
        for bias in instr.inputs[2:]:
            if self._of(bias, False) != WHOLE:
                raise Refused("a bias is split")
        if left == SPLIT and right == WHOLE and a.ndim == b.ndim == 2:
            return SPLIT
        if left == right == SPLIT and a.ndim == b.ndim and a.ndim > 2:
            return SPLIT
        if left == right == WHOLE:
            return WHOLE
        raise Refused(f"the batch is not the rows of the left side of {instr.op.name}")

    def _result(self, r: Any) -> str:
        states = {self._of(v, v.ndim > 1) for v in r.values}
        if r.kind in ("product", "rows"):
            if states != {SPLIT}:
                raise Refused("a weight's gradient from what is not split")
            return PARTIAL
        return self._one(states, r.kind)


def _keeps_rows(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return not parts or parts[0] == slice(None)
