"""Infer the result of an op call from its operands' shapes and dtypes; nothing is computed."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..errors import DTypeError, ShapeError
from ..op import MISFITS, OPS, Op, Spec, local
from .ir import Instr, Value

_INT = np.dtype(int)


@contextmanager
def recording(tape: Callable[..., Any] | None) -> Any:
    """Send every op call of this thread to `tape`; with None they are computed."""
    now = local.now
    before, now.recorder = now.recorder, tape
    stamp, steps, held = now.stamp, now.steps, now.step_held
    now.steps, now.step_held = [], False
    try:
        yield tape
    finally:
        now.recorder = before
        now.stamp, now.steps, now.step_held = stamp, steps, held


class Inferred(NamedTuple):
    """The result of a call, and which operands eager execution would cast first."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    casts: tuple[tuple[int, np.dtype[Any]], ...]  # (input, the dtype it is brought to)


# the same call comes back at every step: 16 us an op, 9 from here
_inferred: dict[Any, Inferred] = {}


def infer(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> Inferred:
    """Apply the op's shape and dtype rules; cached by the pattern of operands."""
    kinds = [
        (a.shape, a.dtype)
        if a.__class__ is Value
        else float
        if a.__class__ is float
        else (a.__class__, a)  # whether 300 fits into uint8 depends on its value
        for a in inputs
    ]
    key = op, *kinds, *[hashable(v) for v in attrs.values()]
    try:
        found = _inferred.get(key)
    except TypeError:  # an attribute of a user's own op
        return _ask_rules(op, inputs, attrs)
    if found is None:
        if len(_inferred) > 10_000:
            _inferred.clear()
        found = _inferred[key] = _ask_rules(op, inputs, attrs)
    return found


def hashable(attr: Any) -> Any:
    """An attribute, its slices as tuples: they cannot be hashed before Python 3.12."""
    if isinstance(attr, tuple):  # or a piece of a split's key
        return tuple([hashable(v) for v in attr])
    return (slice, attr.start, attr.stop, attr.step) if attr.__class__ is slice else attr


def _ask_rules(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> Inferred:
    names = op.inputs[:1] * len(inputs) if op.variadic else op.inputs
    empties = [np.empty((0,), a.dtype) if isinstance(a, Value) else a for a in inputs]
    after = op.promote(empties) if len(names) == len(inputs) else empties
    pairs = enumerate(zip(inputs, after, strict=True))
    casts = [(k, b.dtype) for k, (a, b) in pairs if isinstance(a, Value) and a.dtype != b.dtype]
    cast = list(inputs)
    for k, dtype in casts:
        cast[k] = Value(inputs[k].shape, dtype)
    target = next((a.dtype for a in cast if isinstance(a, Value)), np.dtype(np.float32))
    specs = [
        Spec(a.shape, a.dtype)
        if isinstance(a, Value)
        else Spec((), _INT if isinstance(a, int) else target)
        for a in cast
    ]
    try:
        shape = op.shape(*specs, **attrs)
        return Inferred(tuple(shape), np.dtype(result_dtype(op, cast, attrs)), tuple(casts))
    except (ShapeError, DTypeError):
        raise
    except MISFITS as error:  # what eager execution says of the kernel's
        values = [np.broadcast_to(np.zeros((), s.dtype), s.shape) for s in specs]
        raise op.explain(values, attrs, error) from None


def make(op: str, args: Iterable[Any], attrs: dict[str, Any], line: str = "") -> Instr:
    """An instruction with the shape and dtype that its op's rules give."""
    inputs, rule = tuple(args), OPS[op]
    found = infer(rule, inputs, attrs)
    return Instr(rule, inputs, attrs, Value(found.shape, found.dtype), line)


_dtypes: dict[Any, np.dtype[Any]] = {}


def result_dtype(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> np.dtype[Any]:
    """The dtype an op gives: asked of its kernel on empty arrays, once a pattern."""
    if "dtype" in attrs:
        return np.dtype(attrs["dtype"])
    if isinstance(op.dtype, np.dtype):
        return op.dtype
    kinds = tuple([a.dtype if isinstance(a, Value) else type(a) for a in inputs])
    if (op, kinds) not in _dtypes:
        if op.pointwise:
            none = [np.empty((0,), a.dtype) if isinstance(a, Value) else a for a in inputs]
            with recording(None):
                dtype = np.asarray(op.kernel(*none, **attrs)).dtype
        else:
            own = [k for k, n in enumerate(op.inputs) if n not in op.free] if op.inputs else []
            first = inputs[own[0]] if own else inputs[0]
            dtype = first.dtype if isinstance(first, Value) else np.dtype(np.float32)
            if op.dtype is not None:
                dtype = op.dtype(dtype)
        _dtypes[op, kinds] = dtype
    return _dtypes[op, kinds]


def number_dtype(instr: Instr, place: int, values: Sequence[Any]) -> np.dtype[Any]:
    """The dtype in which a call takes Python numbers as its input number `place`.

    They are weak: of the dtype of its array inputs, to which a condition or an index does
    not belong.
    """
    op, n = instr.op, len(instr.inputs)
    names = op.inputs[:1] * n if op.variadic else op.inputs
    if names[place] in op.free:
        return np.result_type(*values)
    pairs = zip(instr.inputs, names, strict=True)
    own = [a.dtype for a, name in pairs if isinstance(a, Value) and name not in op.free]
    return np.result_type(*own, *values) if own else instr.out.dtype
