"""Ops that have no code of their own, written in ops that have.

`early` ones before differentiation, so that no gradient rule meets them; the rest after it:
the rule of softmax is better than what its parts would give.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..ops.indexing import full_key
from ..ops.shape import one_axis
from .capture import Symbol, Tape, trace
from .ir import Instr, Value

Rules = dict[str, tuple[Callable[[Instr], bool], Callable[..., Any]]]


def early(instr: Instr) -> list[Instr]:
    """An instruction as others that have code and rules that have, too."""
    return _by_rule(instr, _EARLY)


def late(instr: Instr) -> list[Instr]:
    """An instruction as others that have code."""
    return [e for i in _by_rule(instr, _EARLY) for e in _by_rule(i, _LATE)]


def _by_rule(instr: Instr, rules: Rules) -> list[Instr]:
    if instr.op.name not in rules:
        return [instr]
    wanted, rule = rules[instr.op.name]
    if not wanted(instr):
        return [instr]
    return written(instr, rule)


def written(instr: Instr, rule: Callable[..., Any]) -> list[Instr]:
    """An instruction as what `rule` does on symbols of its inputs."""
    tape = Tape(needs_grad=False)
    tape.line = instr.line
    args = [Symbol(a, tape) if isinstance(a, Value) else a for a in instr.inputs]
    trace(tape, rule, *args, **instr.attrs)
    tape.instrs[-1].out = instr.out
    return tape.instrs


def _always(instr: Instr) -> bool:
    return True


def _new_axes(instr: Instr) -> bool:
    key = instr.attrs["key"]
    return any(p is None for p in (key if isinstance(key, tuple) else (key,)))


def _not_by_rows(instr: Instr) -> bool:
    """Whether it goes along another axis than a matrix's rows, for which there is a kernel."""
    return instr.out.ndim != 2 or instr.attrs["axis"] % 2 == 0


def _index(x: Any, *, key: Any) -> Any:
    parts = full_key(key, x.ndim)
    plain = tuple([p for p in parts if p is not None])
    y = x if all(p == slice(None) for p in plain) else ops.index(x, key=plain)
    sizes = iter(y.shape)
    left = [p for p in parts if not isinstance(p, int)]
    return ops.reshape(y, shape=tuple([1 if p is None else next(sizes) for p in left]))


def _stack(*xs: Any, axis: int) -> Any:
    k = one_axis("stack", axis, xs[0].ndim + 1)
    return ops.concat(*[ops.expand_dims(x, k) for x in xs], axis=k)


def _flip(x: Any, *, axis: int) -> Any:
    k = one_axis("flip", axis, x.ndim)
    return ops.index(x, key=(*(slice(None),) * k, slice(None, None, -1)))


def _norm(x: Any, *, axis: Any, keepdims: bool) -> Any:
    return ops.sqrt(ops.sum(ops.square(x), axis=axis, keepdims=keepdims))


def _softmax(x: Any, *, axis: int) -> Any:
    e = ops.exp(x - ops.max(x, axis=axis, keepdims=True))
    return e / ops.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, *, axis: int) -> Any:
    z = x - ops.max(x, axis=axis, keepdims=True)
    return z - ops.log(ops.sum(ops.exp(z), axis=axis, keepdims=True))


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


_EARLY: Rules = {"index": (_new_axes, _index), "stack": (_always, _stack)}
_LATE: Rules = {
    "all": (_always, _all),
    "any": (_always, _any),
    "flip": (_always, _flip),
    "norm": (_always, _norm),
    "softmax": (_not_by_rows, _softmax),
    "log_softmax": (_not_by_rows, _log_softmax),
    "logsumexp": (_always, _logsumexp),
}
