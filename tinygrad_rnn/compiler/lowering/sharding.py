"""What becomes of the batch axis in one op: rules that rows of the table name.

A value of a loop's body is *split* along its first axis, *whole* (the same for every shard), or
*partial* (its sum over shards is the value). A rule is given the states found so far and an
instruction and returns the state of its result, or raises Refused with the reason.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..ir import Instr, Value
from .text import key_parts

if TYPE_CHECKING:
    from ..passes.shard import States

SPLIT, WHOLE, PARTIAL = "split", "whole", "partial"


class Refused(Exception):
    """The loop cannot be split; the text says why."""


class SumOfShards(Exception):
    """A carry (its id) is added to a sum over the batch, so it is one, too."""


Rule = Callable[["States", Instr], str]


def one(states: set[str], name: str) -> str:
    """The one state that all operands must have."""
    if len(states) > 1:
        raise Refused(f"{name} mixes what is split and what is whole")
    return states.pop()


def keeps_rows(key: Any) -> bool:
    """Whether a basic index takes all of the first axis."""
    parts = key_parts(key)
    return not parts or parts[0] == slice(None)


def by_rows(keeps: Callable[[Instr], bool], *, partial: bool = False, how: str = "") -> Rule:
    """The rule of an op of one array: what is split stays so where `keeps` holds of the call.

    `partial` says that it may be computed of each shard's part of a sum.
    """

    def rule(states: "States", instr: Instr) -> str:
        state, name = states.of(instr.inputs[0], True), instr.op.name
        if state == PARTIAL and not partial:
            raise Refused(f"{name} of a sum over the batch")
        if state != SPLIT or keeps(instr):
            return state
        raise Refused(f"{name} {how or 'works along the batch'}")

    return rule


def _not_the_first_axis(instr: Instr) -> bool:
    x = instr.inputs[0]
    return isinstance(x, Value) and bool(instr.attrs.get("axis", -1) % x.ndim)


whole = by_rows(lambda instr: False)  # no rows of a batch
rowwise = by_rows(_not_the_first_axis)  # along an axis, in each row by itself


def alike(states: "States", instr: Instr) -> str:
    """All operands split, or none."""
    return one({states.of(a, True) for a in instr.inputs}, instr.op.name)


def summed(states: "States", instr: Instr) -> str:
    """Sums over rows: a shard gives the part of the sum that its rows make."""
    found = {states.of(a, True) for a in instr.inputs}
    return PARTIAL if found == {SPLIT} else one(found, instr.op.name)


def joined(along: Callable[[Instr], bool]) -> Rule:
    """The rule of an op that lays its operands side by side, if not along the batch."""

    def rule(states: "States", instr: Instr) -> str:
        found = {states.of(a, True) for a in instr.inputs}
        if SPLIT in found and along(instr):
            raise Refused(f"{instr.op.name} works along the batch")
        return one(found, instr.op.name)

    return rule


def elementwise(states: "States", instr: Instr) -> str:
    """Each row of the result by the same row of the operands."""
    found = _operands(states, instr)
    if any(state == PARTIAL for _, state in found):
        raise Refused(f"{instr.op.name} of a sum over the batch")
    return _elementwise(states, instr, found)


def _operands(states: "States", instr: Instr) -> list[tuple[Value, str]]:
    n = instr.out.ndim
    return [(a, states.of(a, a.ndim == n and a.ndim > 1)) for a in instr.arrays()]


def _elementwise(states: "States", instr: Instr, found: list[tuple[Value, str]]) -> str:
    if not any(state == SPLIT for _, state in found):
        return WHOLE
    for a, state in found:
        rows = a.ndim == instr.out.ndim and a.shape[:1] == (states.batch,)
        if state == SPLIT and not rows:
            raise Refused(f"{instr.op.name} spreads the batch along another axis")
        if state == WHOLE and rows:
            raise Refused(f"{instr.op.name} mixes what is split and what is whole")
    return SPLIT


def additive(states: "States", instr: Instr) -> str:
    """a + b, a - b: of two sums over shards it is one."""
    found = _operands(states, instr)
    if not any(state == PARTIAL for _, state in found):
        return _elementwise(states, instr, found)
    for a, state in found:
        if state == WHOLE and states.carried(a):
            raise SumOfShards(id(a))
    if len(found) != 2 or any(state != PARTIAL for _, state in found):
        raise Refused(f"{instr.op.name} of a sum over the batch")
    return PARTIAL


def scaling(divisor: bool = False) -> Rule:
    """-a, a * b, a / b: of a sum over shards and what is whole it is one, but not if it divides."""

    def rule(states: "States", instr: Instr) -> str:
        found = _operands(states, instr)
        kinds = [state for _, state in found]
        if PARTIAL not in kinds:
            return _elementwise(states, instr, found)
        linear = isinstance(instr.inputs[0], Value) and kinds.count(PARTIAL) == 1
        divides = divisor and kinds[-1] == PARTIAL and len(found) == 2
        if not linear or divides or SPLIT in kinds:
            raise Refused(f"{instr.op.name} of a sum over the batch")
        return PARTIAL

    return rule
