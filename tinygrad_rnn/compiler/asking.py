"""What the rules of an op say of a call, of which nothing is computed: shape, dtype, casts."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..op import Op, Spec, local
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


class Said(NamedTuple):
    """What an op's rules say of a call: the result, and what eager execution converts before."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    casts: tuple[tuple[int, np.dtype[Any]], ...]  # (input, the dtype it is brought to)


_heard: dict[Any, Said] = {}  # the same call comes back at every step: 16 us an op, 9 from here


def hashable(value: Any) -> Hashable:
    """An attribute as it can be hashed: a slice cannot be, before Python 3.12."""
    if value.__class__ is slice:
        return ("slice", value.start, value.stop, value.step)
    if isinstance(value, tuple):
        return tuple([hashable(v) for v in value])
    return value


def ask(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> Said:
    """Ask the op's rules, once a pattern of operands."""
    kinds = [
        (a.shape, a.dtype)
        if a.__class__ is Value
        else float
        if a.__class__ is float
        else (a.__class__, a)  # whether 300 fits into uint8 depends on its value
        for a in inputs
    ]
    try:
        key = op.name, *kinds, *[hashable(v) for v in attrs.values()]
        said = _heard.get(key)
    except TypeError:
        return _asked(op, inputs, attrs)
    if said is None:
        if len(_heard) > 10_000:
            _heard.clear()
        said = _heard[key] = _asked(op, inputs, attrs)
    return said


def _asked(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> Said:
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
    shape = op.shape(*specs, **attrs)
    return Said(shape, result_dtype(op, cast, attrs), tuple(casts))


_dtypes: dict[Any, np.dtype[Any]] = {}


def result_dtype(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> np.dtype[Any]:
    """The dtype an op gives: asked of its kernel on empty arrays, once a pattern."""
    if "dtype" in attrs:
        return np.dtype(attrs["dtype"])
    if op.dtype is not None:
        return op.dtype
    kinds = tuple([a.dtype if isinstance(a, Value) else type(a) for a in inputs])
    if (op.name, kinds) not in _dtypes:
        if op.pointwise:
            none = [np.empty((0,), a.dtype) if isinstance(a, Value) else a for a in inputs]
            with recording(None):
                dtype = np.asarray(op.kernel(*none, **attrs)).dtype
        else:
            own = [k for k, n in enumerate(op.inputs) if n not in op.free] if op.inputs else []
            first = inputs[own[0]] if own else inputs[0]
            dtype = first.dtype if isinstance(first, Value) else np.dtype(np.float32)
            if op.name in ("sum", "cumsum") and dtype.kind != "f":
                dtype = np.add.reduce(np.ones(1, dtype)).dtype
        _dtypes[op.name, kinds] = dtype
    return _dtypes[op.name, kinds]


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
