"""Ops that are neither products nor pointwise: sums, joins, lookups, rows of softmax."""

from typing import TYPE_CHECKING

from ..ir import Instr, Value
from .kernel import indent
from .scalars import SHORT

if TYPE_CHECKING:
    from .views import Views


def _nest(code: "Views", v: Value, inner: list[str]) -> list[str]:
    """Loops i0, i1, ... over all elements of a value."""
    text = inner
    for k in range(v.ndim - 1, -1, -1):
        text = [f"for i{k} in range({code.size(v, k)}):", *indent(text)]
    return text


def _kept(code: "Views", v: Value) -> list[str]:
    """A number of the step, once it has a name, stored where it is kept."""
    return [f"{code.at(v)} = {code.name(v)}"] if id(v) in code.homes else []


def add_elementwise(code: "Views", v: Value, target: str) -> list[str]:
    at = ", ".join(f"i{k}" for k in range(v.ndim))
    return _nest(code, v, [f"{target}[{at}] += {code.view(v)}[{at}]"])


def _sum(code: "Views", instr: Instr) -> list[str]:
    """sum and sum_to: rows are summed vectorised, the rest adds up."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    if instr.op.name == "sum":
        axis = instr.attrs["axis"]
        named = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = {a % x.ndim for a in named}
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
    if last:
        row = f"{source}[{', '.join(lead_at[:-1])}]" if x.ndim > 1 else source
        inner, depth = f"row_sum({row})", x.ndim - 1
    else:
        inner, depth = f"{source}[{', '.join(lead_at)}]", x.ndim
    if not out.ndim:
        text = [f"{name} += F64({inner})"]
        for k in range(depth - 1, -1, -1):
            text = [f"for i{k} in range({code.size(x, k)}):", *indent(text)]
        cast = SHORT[out.dtype]
        lines = [f"{name}_sum = F64(0)", *[s.replace(f"{name} +=", f"{name}_sum +=") for s in text]]
        return [*lines, f"{name} = {cast}({name}_sum)", *_kept(code, out)]
    if instr.op.name == "sum_to":
        kept = ["0" if k in axes else f"i{k}" for k in range(x.ndim - out.ndim, x.ndim)]
    else:
        kept = ["0" if k in axes else f"i{k}" for k in range(x.ndim) if k not in axes or keep]
    target = code.view(out)
    text = [f"{target}[{', '.join(kept)}] += {inner}"]
    for k in range(depth - 1, -1, -1):
        text = [f"for i{k} in range({code.size(x, k)}):", *indent(text)]
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
        lines += _nest(code, x, [f"{target}[{', '.join(to)}] = {source}"])
        start = f"{start} + {code.size(x, axis)}"
    return lines


def _permute(code: "Views", instr: Instr) -> list[str]:
    x, axes = instr.inputs[0], instr.attrs["axes"]
    assert isinstance(x, Value)
    at = [f"i{k}" for k in range(x.ndim)]
    source = f"{code.view(x)}[{', '.join(at)}]"
    to = ", ".join(at[a % x.ndim] for a in axes)
    return _nest(code, x, [f"{code.view(instr.out)}[{to}] = {source}"])


def _placed(
    code: "Views", index: Value, out: Value, n: str, inner: list[str], place: str = "place"
) -> list[str]:
    """For each number of an index array its row `k` of n, and `inner` with it.

    A number out of range ends the call; what eager code raises is raised by running the
    loop op by op.
    """
    at = ", ".join(f"i{k}" for k in range(index.ndim))
    number = f"{code.view(index)}[{at}]" if at else code.scalar(index)
    text = [f"k = {place}({number}, {n})", "if k < 0:", "    return False", *inner]
    for axis in range(index.ndim - 1, -1, -1):
        text = [f"for i{axis} in range({code.size(out, axis)}):", *indent(text)]
    return text


def _take(code: "Views", instr: Instr) -> list[str]:
    W, index = instr.inputs
    assert isinstance(W, Value)
    assert isinstance(index, Value)
    out, rows = instr.out, code.size(W, 0)
    place = "place" if instr.attrs.get("negative", True) else "place_from_start"
    if not out.ndim:
        name = code.name(out)
        inner = [f"{name} = {code.view(W)}[k]", *_kept(code, out)]
        return _placed(code, index, out, rows, inner, place)
    rest = [f"i{k}" for k in range(index.ndim, out.ndim)]
    to = ", ".join(f"i{k}" for k in range(out.ndim))
    text = [f"{code.view(out)}[{to}] = {code.view(W)}[{', '.join(['k', *rest])}]"]
    for axis in range(out.ndim - 1, index.ndim - 1, -1):
        text = [f"for i{axis} in range({code.size(out, axis)}):", *indent(text)]
    return _placed(code, index, out, rows, text, place)


def _one_hot(code: "Views", instr: Instr) -> list[str]:
    index, target = instr.inputs[0], code.view(instr.out)
    assert isinstance(index, Value)
    cast = SHORT[instr.out.dtype]
    to = ", ".join([*(f"i{k}" for k in range(index.ndim)), "k"])
    classes = code.size(instr.out, index.ndim)
    hot = [f"{target}[{to}] = {cast}(1)"]
    return [
        f"set_value({target}, {cast}(0))",
        *_placed(code, index, instr.out, classes, hot),
    ]


def _put(code: "Views", instr: Instr) -> list[str]:
    target = code.view(instr.out)
    lines = [f"set_value({target}, {SHORT[instr.out.dtype]}(0))"]
    for x, key in zip(instr.inputs, instr.attrs["keys"], strict=True):
        assert isinstance(x, Value)
        if id(x) in code.aliases and code.aliases[id(x)][0] is instr.out:
            return []  # written in place
        parts = key if isinstance(key, tuple) else (key,)
        at = [f"i{k}" for k in range(x.ndim)]
        to = []
        for k, a in enumerate(at):
            p = parts[k] if k < len(parts) else slice(None)
            start = p.indices(instr.out.shape[k])[0]
            to.append(f"{code.offset(start)} + {a}" if start else a)
        source = f"{code.view(x)}[{', '.join(at)}]"
        lines += _nest(code, x, [f"{target}[{', '.join(to)}] += {source}"])
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
    """A view that must have memory of its own (it is carried or handed out)."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    key = "reshape" if instr.op.name == "reshape" else instr.attrs["key"]
    source = code.viewed(x, key, out)
    if not out.ndim:
        name = code.name(out)
        if instr.op.name == "reshape":
            source = f"{code.view(x)}[{', '.join('0' * x.ndim)}]"
        return [f"{name} = {source}", *_kept(code, out)]
    at = ", ".join(f"i{k}" for k in range(out.ndim))
    name = f"{code.name(out)}_from"
    return [f"{name} = {source}", *_nest(code, out, [f"{code.view(out)}[{at}] = {name}[{at}]"])]


SINGLE = {
    "sum": _sum,
    "sum_to": _sum,
    "concat": _concat,
    "permute_dims": _permute,
    "take": _take,
    "one_hot": _one_hot,
    "put_slices": _put,
    "softmax": _row_op,
    "softmax_cross_entropy": _cross_entropy,
    "log_softmax": _row_op,
    "normalize": _row_op,
    "index": _copy_view,
    "reshape": _copy_view,
}
