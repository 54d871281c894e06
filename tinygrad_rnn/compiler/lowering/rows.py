"""Rows of ops along a matrix's rows, for which there are kernels."""

from typing import TYPE_CHECKING, Any

from ... import ops
from ...ops import rows
from ..ir import Instr, Value
from .lookups import numbered
from .sharding import alike, rowwise
from .table import lower

if TYPE_CHECKING:
    from ..codegen.code import Code


def _by_rows(instr: Instr) -> bool:
    x = instr.inputs[0]
    return isinstance(x, Value) and x.ndim == 2 and instr.attrs.get("axis", -1) in (-1, 1)


def _not_by_rows(instr: Instr) -> bool:
    return instr.out.ndim != 2 or instr.attrs["axis"] % 2 == 0


def _softmax(x: Any, *, axis: int) -> Any:
    e = ops.exp(x - ops.max(x, axis=axis, keepdims=True))
    return e / ops.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, *, axis: int) -> Any:
    z = x - ops.max(x, axis=axis, keepdims=True)
    return z - ops.log(ops.sum(ops.exp(z), axis=axis, keepdims=True))


@lower(rows.softmax, supports=_by_rows, shard=rowwise, expand=_softmax, expands=_not_by_rows)
def softmax(code: "Code", instr: Instr) -> list[str]:
    """By its kernel."""
    return [f"rows.softmax({_arrays(code, instr)})"]


@lower(
    rows.log_softmax, supports=_by_rows, shard=rowwise, expand=_log_softmax, expands=_not_by_rows
)
def log_softmax(code: "Code", instr: Instr) -> list[str]:
    """By its kernel."""
    return [f"rows.log_softmax({_arrays(code, instr)})"]


def _arrays(code: "Code", instr: Instr) -> str:
    return f"{code.view(instr.array())}, {code.view(instr.out)}"


@lower(rows.normalize, supports=_by_rows, shard=rowwise)
def normalize(code: "Code", instr: Instr) -> list[str]:
    """By its kernel."""
    x, y = code.view(instr.array()), code.view(instr.out)
    return [f"rows.normalize({x}, {code.number(instr.attrs['eps'], instr.out.dtype)}, {y})"]


def _of_rows(instr: Instr) -> bool:
    x = instr.inputs[0]
    return isinstance(x, Value) and x.ndim == 2 and numbered(1)(instr)


@lower(rows.softmax_cross_entropy, supports=_of_rows, shard=alike)
def softmax_cross_entropy(code: "Code", instr: Instr) -> list[str]:
    """By its kernel, which refuses a class out of range."""
    x, target = instr.array(0), instr.array(1)
    call = f"rows.cross_entropy({code.view(x)}, {code.view(target)}, {code.view(instr.out)})"
    return [f"if not {call}:", "    return False"]
