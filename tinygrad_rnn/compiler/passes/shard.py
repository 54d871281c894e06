"""Shard: which values of a loop can be split by the batch, so that threads run it side by side.

    %4 = %0[t]                   split
    %5 = carry %7, from %2       split
    %6 = matmul(%5, %1)      =>  split       %1 is whole
    %7 = add(%4, %6)             split
    -> %8 = total of %7          split
    -> %9 = product of %5, %7    partial

Each value is *split* along its first axis, *whole* (the same for every shard), or *partial* (its
sum over shards is the value). A loop in which all ops allow one of these runs on several
threads, each with rows of its own through all steps, and without waiting for another.
"""

from typing import Any

from ..ir import Carry, Loop, Result, Value
from ..lowering.sharding import PARTIAL, SPLIT, WHOLE, Refused, SumOfShards, one
from ..lowering.table import lowering


def shard(loop: Loop) -> tuple[dict[int, str], str]:
    """State of every value by id, and the reason if the loop cannot be split (else "")."""
    batch = next((p.of.shape[0] for p in loop.carries if p.of.ndim), None)
    if batch is None:
        batch = next((i.out.shape[0] for i in loop.body if i.out.ndim > 1), None)
    if batch is None or batch < 2:
        return {}, "there is no batch axis" if batch is None else "the batch has one row"
    partial: set[int] = set()
    for _ in range(len(loop.params) + 1):
        try:
            states = States(loop, batch, partial).run()
        except SumOfShards as found:
            partial.add(found.args[0])
            continue
        except Refused as why:
            return {}, str(why)
        wrong = {id(p.out) for p in loop.carries if states[id(p.of)] == PARTIAL} - partial
        if not wrong:
            if any(states[id(p.of)] != states[id(p.out)] for p in loop.carries):
                return {}, "a state changes between being split and being whole"
            return states, ""
        partial |= wrong
    return {}, "no consistent split"


class States(dict[int, str]):
    """States by id of the value, found in one pass over the body."""

    def __init__(self, loop: Loop, batch: int, partial: set[int]):
        super().__init__()
        self.loop, self.batch = loop, batch
        self.carries = {id(p.out) for p in loop.carries}
        for p in loop.params:
            rows = p.out.shape[:1] == (batch,)
            if id(p.out) in partial:
                self[id(p.out)] = PARTIAL
            elif rows and (isinstance(p, Carry) or p.out.ndim > 1):
                self[id(p.out)] = SPLIT
        for key in self.carries:
            self.setdefault(key, WHOLE)

    def run(self) -> "States":
        """All instructions, then the results."""
        for instr in self.loop.body:
            self[id(instr.out)] = lowering(instr.op).shard(self, instr)
        for p in self.loop.params:
            self.setdefault(id(p.out), WHOLE)
            if isinstance(p, Carry):
                for v in p.first:
                    if isinstance(v, Value) and v.ndim:
                        self._settle(v, self[id(p.of)])
        for r in self.loop.results:
            self[id(r.out)] = self._result(r)
        return self

    def of(self, a: Any, aligned: bool) -> str:
        """State of an operand; a free one is split if its first axis is the batch's."""
        if not isinstance(a, Value):
            return WHOLE
        if id(a) not in self:
            self[id(a)] = SPLIT if aligned and a.shape[:1] == (self.batch,) else WHOLE
        return self[id(a)]

    def carried(self, v: Value) -> bool:
        """Whether a value comes from the step before."""
        return id(v) in self.carries

    def _settle(self, v: Value, state: str) -> None:
        """Fix the state of a value that is free to be either."""
        if self.setdefault(id(v), state) != state:
            raise Refused("a value is needed both split and whole")

    def _result(self, r: Result) -> str:
        states = {self.of(v, v.ndim > 1) for v in r.values}
        if r.kind in ("product", "row_sum"):
            if states != {SPLIT}:
                raise Refused("a weight's gradient from what is not split")
            return PARTIAL
        return one(states, r.kind)
