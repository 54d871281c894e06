"""Recording: an op call on Tensors runs on their arrays and leaves a node of the graph."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from .conversion import to_array
from .errors import AnomalyError, DTypeError, ShapeError, kind, user_line
from .graph import Node, Variable, count
from .inputs import Attrs
from .op import MISFITS, Array, Op, local
from .ops.indexing import index

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
V = TypeVar("V", bound=Variable)


_new_node, _ndarray = Node.__new__, np.ndarray
_Result: Any = None  # the class of what op calls make: Tensor, once it is defined
_new: Any = None  # its __new__


def results(cls: type[V]) -> type[V]:
    """Let op calls make instances of this class (a decorator)."""
    global _Result, _new
    _Result, _new = cls, cls.__new__
    return cls


def constant(array: Array) -> Any:
    """Wrap an array that nobody else will write to, without copying it."""
    out = _new(_Result)
    out._array, out._node, out._leaf = array, None, False
    out._version = out.grad = out._name = out.label = out._hooks = None
    return out


def _outside_value(op: Op, a: Any) -> Any:
    """An argument that is no Tensor: NumPy scalars become weak numbers, the rest arrays."""
    if isinstance(a, np.generic):
        a = a.item()
    if isinstance(a, bool | int | float):
        return a
    if a is None or isinstance(a, str | dict | set):
        raise DTypeError(f"{op.name}: expected a tensor, an array or a number, got {kind(a)}")
    return constant(to_array(a))


def record(_: Variable, op: Op, args: tuple[Any, ...], attrs: Attrs) -> Any:
    """Run an op on the arrays inside Tensors, and note it if a gradient may be wanted.

    The hottest Python of the library: a hundred steps of an LSTM pass here 1,300
    times at some 2.5 us, NumPy's own work not counted.
    """
    now = local.now
    if now.recorder is not None:
        return now.recorder(op, args, attrs)
    values: list[Any] = []
    inputs: list[Any] = []
    mask, bit, shift = 0, 1, 0 if op.variadic else 1
    dtype, plain = None, True
    for a in args:
        if not isinstance(a, Variable):
            if a.__class__ is not float and a.__class__ is not int:
                a, plain = _outside_value(op, a), False
            if not isinstance(a, Variable):
                inputs.append(a)
                values.append(a)
                bit <<= shift
                continue
        node = a._node
        if node is not None or a._leaf:
            mask |= bit
        inputs.append(a if node is None else node)
        array = a._array
        if array.dtype is not dtype:
            plain = plain and dtype is None
            dtype = array.dtype
        values.append(array)
        bit <<= shift
    if not plain or (dtype is not _F32 and dtype is not _F64):
        values = op.promote(values)
    try:
        y = op.kernel(*values, **attrs) if attrs else op.kernel(*values)
    except (ShapeError, DTypeError):
        raise
    except MISFITS as error:
        raise op.explain(values, attrs, error) from None
    if y.__class__ is not _ndarray:
        y = np.asarray(y)
    out = _new(_Result)
    out._array, out._node, out._leaf = y, None, False
    out._version = out.grad = out._name = out.label = out._hooks = None
    if y.base is not None:
        _share_version(out, args)
    if mask and now.grad and op.rules and (y.dtype is dtype or y.dtype.kind == "f"):
        out._node = _make_node(op, args, inputs, attrs, values, y, mask, now.stamp)
    elif op is index:
        out.label = ("index", args[0], attrs["key"])
    if now.anomaly:
        _check_anomaly(out, op, values[: len(args)])
    return out


def record_each(x: Variable, op: Op, many: Sequence[dict[str, Any]]) -> list[Any]:
    """`record` for one input and several attributes, whose checks are made once.

    A chunk into four gates takes 10 us so, 15 one by one.
    """
    now, plan = local.now, op.plan(1)
    plain = x.requires_grad and now.grad and not now.anomaly and now.recorder is None
    if not plain or plan.keep:
        return [record(x, op, (x,), attrs) for attrs in many]
    inputs = (x if x._node is None else x._node,)
    outs = []
    for attrs in many:
        y = op.kernel(x._array, **attrs)
        out, node = _new(_Result), _new_node(Node)
        out._array, out._node, out._leaf, out._version = y, node, False, x._version
        out.grad = out._name = out.label = out._hooks = None
        node.op, node.inputs, node.attrs, node.plan, node.extra = op, inputs, attrs, plan, None
        node.saved, node.versions, node.stamp, node.seq = (), None, now.stamp, count()
        node.shape, node.dtype = y.shape, y.dtype
        outs.append(out)
    return outs


def _make_node(
    op: Op,
    args: tuple[Any, ...],
    inputs: list[Any],
    attrs: Attrs,
    values: list[Any],
    y: Array,
    mask: int,
    stamp: tuple[int | None, str],
) -> Node:
    node = _new_node(Node)
    node.plan = plan = op._plans.get(mask) or op.plan(mask)
    keep = plan.keep
    node.versions = None
    if not keep:
        node.saved = ()
    elif op.variadic:
        node.saved = tuple([tuple(values) if i == 0 else y for i in keep])
        node.versions = versions_of(args)
    else:
        values.append(y)  # so that place -1 is y
        if len(keep) == 1:  # without a loop over it: 0.3 us less
            node.saved = (values[keep[0]],)
        else:
            node.saved = tuple([values[i] for i in keep])
        for i in keep:
            a = args[i] if i >= 0 else None
            if isinstance(a, Variable) and (a._node is None or a._version is not None):
                node.versions = versions_of([args[i] for i in keep if i >= 0])
                break
    node.op, node.inputs, node.attrs, node.extra = op, tuple(inputs), attrs, None
    node.shape, node.dtype, node.stamp, node.seq = y.shape, y.dtype, stamp, count()
    return node


def _share_version(out: Variable, args: Sequence[Any]) -> None:
    """A view changes when what it looks at does: let it carry the same version."""
    for a in args:
        if isinstance(a, Variable):
            if a._version is None and a._node is None:
                a._version = [0]
            out._version = a._version
            return


def versions_of(saved: Sequence[Any]) -> tuple[Any, ...] | None:
    """(version, its value now, Tensor) of each that can still be written to, in one flat tuple."""
    marks: list[Any] = []
    for t in saved:
        if isinstance(t, Variable) and (t._node is None or t._version is not None):
            if t._version is None:
                t._version = [0]
            marks += (t._version, t._version[0], t)
    return tuple(marks) or None


def _check_anomaly(out: Variable, op: Op, values: Sequence[Any]) -> None:
    """Stop at the first value that is not finite, and note where each node was made."""
    line = user_line()
    if out._node is not None:
        out._node.extra = {"line": line}
    if out._array.dtype.kind != "f" or np.isfinite(out._array).all():
        return
    step, scope = local.now.stamp
    words = "" if step is None else f", step {step}"
    words += f", scope {scope!r}" if scope else ""
    bad = [k for k, v in enumerate(values) if not np.isfinite(v).all()]
    came = f"; its input {bad[0]} was already so" if bad else ""
    lost = int((~np.isfinite(out._array)).sum())
    raise AnomalyError(
        f"detect_anomaly: {op.name}{words} gives {lost} of {out.size} values that are not finite"
        f"{came}, at {line}"
    )
