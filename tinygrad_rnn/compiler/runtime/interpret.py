"""Run a loop step by step through the ops' eager kernels: the fallback."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from ...op import Array
from ..ir import Carry, Instr, Loop, Result, Slice, Value
from ..names import is_ours

Values = dict[int, Any]  # by id of the Value


def kernel_of(instr: Instr) -> Callable[..., Any]:
    """The op's kernel; one of the user's is held to its declaration, which other kernels trust."""
    op, out = instr.op, instr.out
    if is_ours(op):
        return op.kernel

    def declared(*args: Any, **attrs: Any) -> Array:
        y = np.asarray(op.kernel(*args, **attrs))
        if y.shape != out.shape:
            raise ShapeError(
                f"{op.name}: its kernel gave shape {y.shape}, its shape rule {out.shape}; mend one"
            )
        if y.dtype != out.dtype:
            raise DTypeError(
                f"{op.name}: its kernel gave {y.dtype}, where {out.dtype} is declared: without "
                "dtype= in its declaration a result has the dtype of its first input"
            )
        return y

    return declared


def run_instr(instr: Instr, values: Values) -> None:
    """One op on arrays."""
    args = [values[id(a)] if isinstance(a, Value) else a for a in instr.inputs]
    y = kernel_of(instr)(*args, **instr.attrs)
    values[id(instr.out)] = y if y.__class__ is np.ndarray else np.asarray(y)


def run_loop(loop: Loop, values: Values) -> None:
    """A loop, step by step."""
    history: dict[int, list[Array]] = {id(i.out): [] for i in loop.body}
    for k, t in enumerate(loop.order()):
        step = dict(values)
        for p in loop.params:
            step[id(p.out)] = _parameter(p, k, t, values, history)
        for instr in loop.body:
            run_instr(instr, step)
            history[id(instr.out)].append(step[id(instr.out)])
        for p in loop.params:
            history.setdefault(id(p.out), []).append(step[id(p.out)])
    for r in loop.results:
        values[id(r.out)] = np.asarray(_result(loop, r, values, history))


def _parameter(p: Slice | Carry, k: int, t: int, values: Values, history: Any) -> Any:
    if isinstance(p, Slice):
        return values[id(p.source)][p.start + p.stride * t]
    if k >= p.delay:
        return history[id(p.of)][k - p.delay]
    return _first(p.first[k], p.of, values)


def _first(a: Any, like: Value, values: Values) -> Any:
    if a is None:
        return np.zeros(like.shape, like.dtype)
    return values[id(a)] if isinstance(a, Value) else np.full(like.shape, a, like.dtype)


def _result(loop: Loop, r: Result, values: Values, history: Any) -> Any:
    v = r.values[0]
    rows = [np.asarray(a) for a in history.get(id(v), [])]
    if not rows:  # a value from outside, the same at every step
        rows = [np.asarray(values[id(v)])] * loop.count
    if r.kind == "final":
        return np.array(rows[loop.count - 1 - r.lag])  # not a view of what it was made of
    if r.kind == "stack":
        first = [np.broadcast_to(_first(a, v, values), v.shape) for a in r.first]
        rows = (first + rows)[: loop.count]
        return np.stack(rows[::-1] if loop.reverse else rows)
    if r.kind == "total":
        return sum(rows[1:], rows[0].astype(r.out.dtype))
    if r.kind == "row_sum":
        return np.concatenate(rows).sum(0)
    others = history.get(id(r.values[1])) or [values[id(r.values[1])]] * loop.count
    return np.concatenate(rows).T @ np.concatenate(others)
