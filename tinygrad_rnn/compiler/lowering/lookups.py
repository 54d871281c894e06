"""Rows of look-ups by numbers that come from data, and of what their gradients add up.

A number out of range ends the call; what eager code raises is raised by running the loop op
by op.
"""

from typing import TYPE_CHECKING, Any

from ...ops import indexing
from ..ir import Instr, Value
from .sharding import PARTIAL, SPLIT, WHOLE, Refused, Rule, rowwise
from .table import Test, lower
from .text import SHORT, each, element, filled, here, nest, stored

if TYPE_CHECKING:
    from ..codegen.code import Code
    from ..passes.shard import States


def numbered(place: int) -> Test:
    """Whether the operand at a place holds whole numbers."""

    def supports(instr: Instr) -> bool:
        index = instr.inputs[place]
        return isinstance(index, Value) and index.dtype.kind in "iu"

    return supports


def placed(
    code: "Code", index: Value, at: list[str], n: str, inner: list[str], way: str = "place"
) -> list[str]:
    """Lines that find the row `k` of n that an index means, then do `inner` with it."""
    number = element(code.view(index), at) if at else code.scalar(index)
    return [f"k = {way}({number}, {n})", "if k < 0:", "    return False", *inner]


# along one axis, by the same numbers everywhere: y[..., i, ...] = x[..., k, ...] for the k at i


def _look_up(states: "States", instr: Instr, table: Value, own: bool) -> str:
    """A look-up in each row of the batch, by the row's own numbers or by the same for all."""
    name, state = instr.op.name, states.of(instr.inputs[0], True)
    if state == PARTIAL or (state == SPLIT and instr.attrs["axis"] % table.ndim == 0):
        raise Refused(f"{name} works along the batch")
    if states.of(instr.inputs[1], own) != (state if own else WHOLE):
        raise Refused(f"{name} mixes what is split and what is whole")
    return state


def _sharding(putting: bool, own: bool) -> Rule:
    def rule(states: "States", instr: Instr) -> str:
        table: Any = instr.out if putting else instr.inputs[0]
        return _look_up(states, instr, table, own)

    return rule


def _take_sharding(states: "States", instr: Instr) -> str:
    if instr.attrs["axis"] != 0:
        return _sharding(False, False)(states, instr)
    if states.of(instr.inputs[0], True) != WHOLE:
        raise Refused("take: its table is split")
    return states.of(instr.inputs[1], True)


def _rows(instr: Instr) -> bool:
    return bool(instr.attrs["axis"] == 0)


@lower(indexing.take, supports=numbered(1), shard=_take_sharding, looks_up_rows=_rows)
def take(code: "Code", instr: Instr) -> list[str]:
    """y[..., i, ...] = x[..., k, ...] for the k that stands in the index array at i."""
    return _taken(code, instr, putting=False)


@lower(indexing.put_taken, supports=numbered(1), shard=_sharding(True, False))
def put_taken(code: "Code", instr: Instr) -> list[str]:
    """The gradient of take: adds the other way."""
    return _taken(code, instr, putting=True)


def _taken(code: "Code", instr: Instr, putting: bool) -> list[str]:
    x, index = instr.array(0), instr.array(1)
    out = instr.out
    table, taken = (out, x) if putting else (x, out)
    axis = instr.attrs["axis"] % table.ndim
    own = range(axis, axis + index.ndim)
    others = [k for k in range(taken.ndim) if k not in own]
    row = [*(f"i{k}" for k in others[:axis]), "k", *(f"i{k}" for k in others[axis:])]
    there = element(code.view(table), row)
    way = "place" if instr.attrs.get("negative", True) else "place_from_start"
    if not taken.ndim and not putting:
        inner = [f"{code.name(out)} = {there}", *stored(code, out)]
    else:
        move = f"{there} += {each(code, x)}" if putting else f"{each(code, out)} = {there}"
        inner = nest(code, taken, [move], others)
    at = [f"i{k}" for k in own]
    text = placed(code, index, at, code.size(table, axis), inner, way)
    return [*([filled(code, out)] if putting else []), *nest(code, taken, text, own)]


# along one axis, by numbers of its own for each element: y[i, j] = x[i, k] for the k at i, j


@lower(indexing.take_along_axis, supports=numbered(1), shard=_sharding(False, True))
def take_along_axis(code: "Code", instr: Instr) -> list[str]:
    """y[i, j] = x[i, k] for the k that stands in the index array at i, j."""
    return _along(code, instr, putting=False)


@lower(indexing.put_along_axis, supports=numbered(1), shard=_sharding(True, True))
def put_along_axis(code: "Code", instr: Instr) -> list[str]:
    """The gradient of take_along_axis: adds the other way."""
    return _along(code, instr, putting=True)


def _along(code: "Code", instr: Instr, putting: bool) -> list[str]:
    x, index = instr.array(0), instr.array(1)
    out = instr.out
    table = out if putting else x
    axis = instr.attrs["axis"] % index.ndim
    at = here(index)
    there = element(code.view(table), ["k" if k == axis else i for k, i in enumerate(at)])
    move = f"{there} += {each(code, x)}" if putting else f"{each(code, out)} = {there}"
    text = placed(code, index, at, code.size(table, axis), [move])
    return [*([filled(code, out)] if putting else []), *nest(code, index, text)]


@lower(indexing.one_hot, supports=numbered(0), shard=rowwise)
def one_hot(code: "Code", instr: Instr) -> list[str]:
    """Ones at the places that the numbers name, zeros elsewhere."""
    index, out = instr.array(), instr.out
    hot = f"{element(code.view(out), [*here(index), 'k'])} = {SHORT[out.dtype]}(1)"
    text = placed(code, index, here(index), code.size(out, index.ndim), [hot])
    return [filled(code, out), *nest(code, out, text, range(index.ndim))]
