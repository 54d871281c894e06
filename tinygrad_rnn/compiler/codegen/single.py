"""Ops that are neither products nor pointwise: sums, joins, lookups, rows of softmax."""

from typing import TYPE_CHECKING

from ...ops.reduce import axes_of
from ..ir import Instr, Value
from .axes import cumsum, each, element, extreme, nest, reshaped, sliced, strided
from .kernel import stored
from .lookups import along, lookup, one_hot
from .scalars import SHORT

if TYPE_CHECKING:
    from .views import Views


def add_elementwise(code: "Views", v: Value, target: str) -> list[str]:
    at = ", ".join(f"i{k}" for k in range(v.ndim))
    return nest(code, v, [f"{target}[{at}] += {code.view(v)}[{at}]"])


def _sum(code: "Views", instr: Instr) -> list[str]:
    """sum and sum_to: rows are summed vectorised, the rest adds up."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    if instr.op.name == "sum":
        axes = set(axes_of("sum", instr.attrs["axis"], x.ndim))
        keep = instr.attrs["keepdims"]
    else:
        lead = x.ndim - out.ndim
        axes = set(range(lead)) | {
            k for k in range(lead, x.ndim) if out.shape[k - lead] == 1 and x.shape[k] != 1
        }
        keep = False
    name = code.name(out)
    last = x.ndim - 1 in axes
    lead_at = [f"i{k}" for k in range(x.ndim)]
    source = code.view(x)
    if last and x.dtype.kind == "f":
        row = f"{source}[{', '.join(lead_at[:-1])}]" if x.ndim > 1 else source
        inner, depth = f"row_sum({row})", x.ndim - 1
    else:
        inner, depth = f"{source}[{', '.join(lead_at)}]", x.ndim
    if not out.ndim:
        wide = "F64" if out.dtype.kind == "f" else SHORT[out.dtype]
        text = nest(code, x, [f"{name}_sum += {wide}({inner})"], range(depth))
        lines = [f"{name}_sum = {wide}(0)", *text]
        return [*lines, f"{name} = {SHORT[out.dtype]}({name}_sum)", *stored(code, out)]
    if instr.op.name == "sum_to":
        kept = ["0" if k in axes else f"i{k}" for k in range(x.ndim - out.ndim, x.ndim)]
    else:
        kept = ["0" if k in axes else f"i{k}" for k in range(x.ndim) if k not in axes or keep]
    target = code.view(out)
    text = nest(code, x, [f"{target}[{', '.join(kept)}] += {inner}"], range(depth))
    return [f"set_value({target}, {SHORT[out.dtype]}(0))", *text]


def _concat(code: "Views", instr: Instr) -> list[str]:
    axis = instr.attrs["axis"] % instr.out.ndim
    lines, target = [], code.view(instr.out)
    start = "0"
    for x in instr.inputs:
        assert isinstance(x, Value)
        at = [f"i{k}" for k in range(x.ndim)]
        to = [f"{start} + {a}" if k == axis else a for k, a in enumerate(at)]
        source = f"{code.view(x)}[{', '.join(at)}]"
        lines += nest(code, x, [f"{target}[{', '.join(to)}] = {source}"])
        start = f"{start} + {code.size(x, axis)}"
    return lines


def _permute(code: "Views", instr: Instr) -> list[str]:
    x, axes = instr.inputs[0], instr.attrs["axes"]
    assert isinstance(x, Value)
    at = [f"i{k}" for k in range(x.ndim)]
    source = f"{code.view(x)}[{', '.join(at)}]"
    to = ", ".join(at[a % x.ndim] for a in axes)
    return nest(code, x, [f"{code.view(instr.out)}[{to}] = {source}"])


def _put(code: "Views", instr: Instr) -> list[str]:
    target = code.view(instr.out)
    lines = [f"set_value({target}, {SHORT[instr.out.dtype]}(0))"]
    for x, key in zip(instr.inputs, instr.attrs["keys"], strict=True):
        assert isinstance(x, Value)
        if id(x) in code.aliases and code.aliases[id(x)][0] is instr.out:
            return []  # written in place
        at = [f"i{k}" for k in range(x.ndim)]
        to = sliced(code, instr.out.shape, key, at)
        lines += nest(code, x, [f"{element(target, to)} += {each(code, x)}"])
    return lines


def _row_op(code: "Views", instr: Instr) -> list[str]:
    x, out = code.view(instr.inputs[0]), code.view(instr.out)  # type: ignore[arg-type]
    name = instr.op.name
    if name == "normalize":
        return [f"rows.normalize({x}, {code.number(instr.attrs['eps'], instr.out.dtype)}, {out})"]
    return [f"rows.{name}({x}, {out})"]


def _cross_entropy(code: "Views", instr: Instr) -> list[str]:
    x, target = instr.inputs
    assert isinstance(x, Value)
    assert isinstance(target, Value)
    call = f"rows.cross_entropy({code.view(x)}, {code.view(target)}, {code.view(instr.out)})"
    return [f"if not {call}:", "    return False"]


def _copy_view(code: "Views", instr: Instr) -> list[str]:
    """A view that must have memory of its own (it is carried or handed out), and what is none."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    if id(out) not in code.views and out.ndim:
        return (reshaped if instr.op.name == "reshape" else strided)(code, instr)
    key = "reshape" if instr.op.name == "reshape" else instr.attrs["key"]
    source = code.viewed(x, key, out)
    if not out.ndim:
        name = code.name(out)
        if instr.op.name == "reshape":
            source = f"{code.view(x)}[{', '.join('0' * x.ndim)}]"
        return [f"{name} = {source}", *stored(code, out)]
    at = ", ".join(f"i{k}" for k in range(out.ndim))
    name = f"{code.name(out)}_from"
    return [f"{name} = {source}", *nest(code, out, [f"{code.view(out)}[{at}] = {name}[{at}]"])]


SINGLE = {
    "sum": _sum,
    "sum_to": _sum,
    "max": extreme,
    "min": extreme,
    "cumsum": cumsum,
    "concat": _concat,
    "permute_dims": _permute,
    "take": lookup,
    "put_taken": lookup,
    "take_along_axis": along,
    "put_along_axis": along,
    "one_hot": one_hot,
    "put_slices": _put,
    "softmax": _row_op,
    "softmax_cross_entropy": _cross_entropy,
    "log_softmax": _row_op,
    "normalize": _row_op,
    "index": _copy_view,
    "reshape": _copy_view,
}
