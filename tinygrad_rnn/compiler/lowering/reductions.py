"""Rows of ops that reduce axes, and of running sums."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...op import OPS
from ...ops import reduce, search, shape
from ...ops.reduce import axes_of
from ..inference import make
from ..ir import Instr, Value
from .pointwise import itself
from .sharding import PARTIAL, SPLIT, by_rows, rowwise
from .table import lower
from .text import SHORT, each, element, filled, here, nest, stored
from .views import number

if TYPE_CHECKING:
    from ..codegen.code import Code
    from ..passes.shard import States

# sums -----------------------------------------------------------------------------------


def _axes(instr: Instr) -> tuple[int, ...]:
    x = instr.array()
    return axes_of(instr.op.name, instr.attrs["axis"], x.ndim)


def _sum_sharding(states: "States", instr: Instr) -> str:
    state = states.of(instr.inputs[0], True)
    return PARTIAL if state == SPLIT and 0 in _axes(instr) else state


def _sum_to_sharding(states: "States", instr: Instr) -> str:
    x, out = instr.array(), instr.out
    state = states.of(x, True)
    kept = out.ndim == x.ndim and out.shape[:1] == (states.batch,)
    return PARTIAL if state == SPLIT and not kept else state


def _sum_of_step(instr: Instr, v: Value) -> Instr | Value | None:
    """A sum over all steps and more: of each step's own sum."""
    axes, keep = sorted(_axes(instr)), instr.attrs["keepdims"]
    if 0 not in axes or keep:
        return None
    if len(axes) == 1:
        return v
    attrs = {"axis": tuple([a - 1 for a in axes[1:]]), "keepdims": False}
    return make("sum", (v,), attrs, instr.line)


def _sum_to_of_step(instr: Instr, v: Value) -> Instr | Value | None:
    x = instr.array()
    if len(instr.attrs["shape"]) >= x.ndim:
        return None
    return make("sum_to", (v,), {"shape": instr.attrs["shape"]}, instr.line)


def _to_a_row(instr: Instr) -> bool:
    x = instr.inputs[0]
    matrix = isinstance(x, Value) and x.ndim == 2 and x.shape[1:] == instr.out.shape
    return matrix and instr.out.ndim == 1


@lower(reduce.sum, fuses=number, element=itself, shard=_sum_sharding, step_sum=_sum_of_step)
def sum(code: "Code", instr: Instr) -> list[str]:
    """Over some axes."""
    x = instr.array()
    axes, keep = set(_axes(instr)), instr.attrs["keepdims"]
    kept = ["0" if k in axes else f"i{k}" for k in range(x.ndim) if k not in axes or keep]
    return _summed(code, instr, axes, kept)


@lower(
    shape.sum_to,
    fuses=number,
    element=itself,
    shard=_sum_to_sharding,
    step_sum=_sum_to_of_step,
    sums_rows=_to_a_row,
)
def sum_to(code: "Code", instr: Instr) -> list[str]:
    """Over what was broadcast."""
    x, out = instr.array(), instr.out
    lead = x.ndim - out.ndim
    axes = set(range(lead)) | {
        k for k in range(lead, x.ndim) if out.shape[k - lead] == 1 and x.shape[k] != 1
    }
    return _summed(code, instr, axes, ["0" if k in axes else f"i{k}" for k in range(lead, x.ndim)])


def _summed(code: "Code", instr: Instr, axes: set[int], kept: list[str]) -> list[str]:
    """Rows are summed vectorised, the rest adds up at the place `kept` of the result."""
    x, out = instr.array(), instr.out
    name, source, at = code.name(out), code.view(x), here(x)
    if x.ndim - 1 in axes and x.dtype.kind == "f":
        row = element(source, at[:-1]) if x.ndim > 1 else source
        inner, depth = f"row_sum({row})", x.ndim - 1
    else:
        inner, depth = element(source, at), x.ndim
    if not out.ndim:
        wide = "F64" if out.dtype.kind == "f" else SHORT[out.dtype]
        text = nest(code, x, [f"{name}_sum += {wide}({inner})"], range(depth))
        lines = [f"{name}_sum = {wide}(0)", *text]
        return [*lines, f"{name} = {SHORT[out.dtype]}({name}_sum)", *stored(code, out)]
    target = code.view(out)
    text = nest(code, x, [f"{element(target, kept)} += {inner}"], range(depth))
    return [filled(code, out), *text]


# extremes -------------------------------------------------------------------------------


def _floats(instr: Instr) -> bool:
    x = instr.inputs[0]
    return isinstance(x, Value) and x.dtype.kind == "f"


_inner = by_rows(lambda instr: 0 not in _axes(instr), how="over the batch")


@lower(reduce.max, supports=_floats, shard=_inner)
def max(code: "Code", instr: Instr) -> list[str]:
    """The largest over some axes; NaN once it is there stays."""
    return _extreme(code, instr, ">", "-")


@lower(reduce.min, supports=_floats, shard=_inner)
def min(code: "Code", instr: Instr) -> list[str]:
    """The smallest over some axes; NaN once it is there stays."""
    return _extreme(code, instr, "<", "")


def _extreme(code: "Code", instr: Instr, beats: str, sign: str) -> list[str]:
    x, out = instr.array(), instr.out
    axes, least = _axes(instr), f"{SHORT[out.dtype]}({sign}np.inf)"
    name = code.name(out)
    if out.ndim:
        keep = instr.attrs["keepdims"]
        kept = ["0" if k in axes else a for k, a in enumerate(here(x)) if k not in axes or keep]
        best, start = element(code.view(out), kept), f"set_value({code.view(out)}, {least})"
    else:
        best, start = name, f"{name} = {least}"
    text = [f"v = {each(code, x)}", f"if v {beats} {best} or v != v:", f"    {best} = v"]
    return [start, *nest(code, x, text), *([] if out.ndim else stored(code, out))]


def _all_axes(instr: Instr) -> bool:
    return instr.attrs["axis"] is None


def _flat(op: str) -> Any:
    """The place in all of x: along the one axis that it has, laid out flat."""

    def place(x: Any, *, axis: None, keepdims: bool) -> Any:
        y = OPS[op](OPS["reshape"](x, shape=(-1,)), axis=0, keepdims=False)
        return OPS["reshape"](y, shape=(1,) * x.ndim) if keepdims else y

    return place


def _place(code: "Code", instr: Instr, beats: str) -> list[str]:
    """Of the first of the best along an axis; the first NaN beats all."""
    x, out = instr.array(), instr.out
    [axis], at = _axes(instr), here(x)
    keep = instr.attrs["keepdims"]
    kept = ["0" if k == axis else a for k, a in enumerate(at) if k != axis or keep]
    place = element(code.view(out), kept) if out.ndim else code.name(out)
    best = element(code.view(x), [place if k == axis else a for k, a in enumerate(at)])
    text = [
        f"v, best = {each(code, x)}, {best}",
        f"if v {beats} best or (v != v and best == best):",
        f"    {place} = I64({at[axis]})",
    ]
    start = filled(code, out) if out.ndim else f"{place} = I64(0)"
    return [start, *nest(code, x, text), *([] if out.ndim else stored(code, out))]


@lower(search.argmax, expand=_flat("argmax"), expands=_all_axes, shard=_inner)
def argmax(code: "Code", instr: Instr) -> list[str]:
    """Where the largest is along an axis."""
    return _place(code, instr, ">")


@lower(search.argmin, expand=_flat("argmin"), expands=_all_axes, shard=_inner)
def argmin(code: "Code", instr: Instr) -> list[str]:
    """Where the smallest is along an axis."""
    return _place(code, instr, "<")


@lower(reduce.cumsum, shard=rowwise)
def cumsum(code: "Code", instr: Instr) -> list[str]:
    """A running sum: what is before along the axis, and this."""
    x, out = instr.array(), instr.out
    k = instr.attrs["axis"] % out.ndim
    at = here(out)
    before = [f"i{k} - 1" if a == k else i for a, i in enumerate(at)]
    target, source = code.view(out), each(code, x)
    total = f"{element(target, before)} + {source}"
    return nest(code, out, [f"{element(target, at)} = {total} if i{k} else {source}"])


# written in others ----------------------------------------------------------------------


def _norm(x: Any, *, axis: Any, keepdims: bool) -> Any:
    return ops.sqrt(ops.sum(ops.square(x), axis=axis, keepdims=keepdims))


def _logsumexp(x: Any, *, axis: Any, keepdims: bool) -> Any:
    m = ops.max(x, axis=axis, keepdims=True)
    m = ops.where(ops.eq(m - m, 0), m, 0)  # an infinite one shifts nothing
    total = ops.sum(ops.exp(x - m), axis=axis, keepdims=keepdims)
    return ops.log(total) + ops.reshape(m, shape=total.shape)


def _any(x: Any, *, axis: Any, keepdims: bool) -> Any:
    hits = ops.astype(ops.ne(x, 0), dtype=np.float32)  # counted: any number of them is over 0
    return ops.gt(ops.sum(hits, axis=axis, keepdims=keepdims), 0)


def _all(x: Any, *, axis: Any, keepdims: bool) -> Any:
    misses = ops.astype(ops.eq(x, 0), dtype=np.float32)
    return ops.eq(ops.sum(misses, axis=axis, keepdims=keepdims), 0)


lower(reduce.norm, expand=_norm)
lower(reduce.logsumexp, expand=_logsumexp)
lower(search.any, expand=_any)
lower(search.all, expand=_all)
