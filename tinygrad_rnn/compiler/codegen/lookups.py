"""Look-ups by numbers that come from data, and what their gradients add where they found it.

A number out of range ends the call; what eager code raises is raised by running the loop op
by op.
"""

from typing import TYPE_CHECKING

from ..ir import Instr, Value
from .axes import each, element, nest
from .kernel import stored
from .scalars import SHORT

if TYPE_CHECKING:
    from .views import Views


def _placed(
    code: "Views", index: Value, at: list[str], n: str, inner: list[str], way: str = "place"
) -> list[str]:
    """The row `k` of n that a number of an index array means, and `inner` with it."""
    number = element(code.view(index), at) if at else code.scalar(index)
    return [f"k = {way}({number}, {n})", "if k < 0:", "    return False", *inner]


def lookup(code: "Views", instr: Instr) -> list[str]:
    """take: y[..., i, ...] = x[..., k, ...] for the k that stands in the index array at i.

    put_taken, its gradient, adds the other way.
    """
    x, index = instr.inputs
    assert isinstance(x, Value)
    assert isinstance(index, Value)
    out, putting = instr.out, instr.op.name == "put_taken"
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
    text = _placed(code, index, at, code.size(table, axis), inner, way)
    return [*_cleared(code, out, putting), *nest(code, taken, text, own)]


def along(code: "Views", instr: Instr) -> list[str]:
    """take_along_axis: y[i, j] = x[i, k] for the k that stands in the index array at i, j.

    put_along_axis, its gradient, adds the other way.
    """
    x, index = instr.inputs
    assert isinstance(x, Value)
    assert isinstance(index, Value)
    out, putting = instr.out, instr.op.name == "put_along_axis"
    table = out if putting else x
    axis = instr.attrs["axis"] % index.ndim
    at = [f"i{k}" for k in range(index.ndim)]
    there = element(code.view(table), ["k" if k == axis else i for k, i in enumerate(at)])
    move = f"{there} += {each(code, x)}" if putting else f"{each(code, out)} = {there}"
    text = _placed(code, index, at, code.size(table, axis), [move])
    return [*_cleared(code, out, putting), *nest(code, index, text)]


def one_hot(code: "Views", instr: Instr) -> list[str]:
    """Ones where the numbers say."""
    index, out = instr.inputs[0], instr.out
    assert isinstance(index, Value)
    at = [f"i{k}" for k in range(index.ndim)]
    hot = f"{element(code.view(out), [*at, 'k'])} = {SHORT[out.dtype]}(1)"
    text = _placed(code, index, at, code.size(out, index.ndim), [hot])
    return [*_cleared(code, out, True), *nest(code, out, text, range(index.ndim))]


def _cleared(code: "Views", v: Value, wanted: bool) -> list[str]:
    return [f"set_value({code.view(v)}, {SHORT[v.dtype]}(0))"] if wanted else []
