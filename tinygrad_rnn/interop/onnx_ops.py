"""Ops as ONNX nodes: what a forward does between its layers."""

from collections.abc import Callable

import numpy as np

from ..errors import InterchangeError
from ..graph import Node
from .onnx_graph import OnnxGraph

SAME = {
    "abs": "Abs", "add": "Add", "cos": "Cos", "exp": "Exp", "gelu": "Gelu",
    "log": "Log", "matmul": "MatMul", "maximum": "Max", "minimum": "Min", "mul": "Mul",
    "neg": "Neg", "pow": "Pow", "relu": "Relu", "sigmoid": "Sigmoid", "sin": "Sin",
    "softplus": "Softplus", "sqrt": "Sqrt", "sub": "Sub", "tanh": "Tanh",
}  # fmt: skip
END = np.iinfo(np.int64).max


def emit(g: OnnxGraph, node: Node) -> str:
    """Add what one recorded op is in ONNX; raises InterchangeError for an op that is none."""
    op, inputs = node.op.name, [g.name_of(p, node.dtype) for p in node.inputs]
    if op in SAME:
        return g.put(SAME[op], *inputs)
    if op not in OPS:
        raise InterchangeError(
            f"to_onnx: the op {op} ({node!r}) has no form here; what goes between layers is "
            f"{', '.join(sorted({*SAME, *OPS}))}"
        )
    return OPS[op](g, node, inputs)


def _silu(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    return g.put("Mul", inputs[0], g.put("Sigmoid", inputs[0]))


def _softmax(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    kind = "Softmax" if node.op.name == "softmax" else "LogSoftmax"
    return g.put(kind, inputs[0], axis=node.attrs["axis"])


def _linear(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    x, W, b = inputs
    return g.put("Add", g.put("MatMul", x, g.put("Transpose", W, perm=[1, 0])), b)


def _concat(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    return g.put("Concat", *inputs, axis=node.attrs["axis"])


def _stack(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    axis = g.constant([node.attrs["axis"]], np.int64)
    rows = [g.put("Unsqueeze", x, axis) for x in inputs]
    return g.put("Concat", *rows, axis=node.attrs["axis"])


def _permute(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    return g.put("Transpose", inputs[0], perm=list(node.attrs["axes"]))


def _reduce(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    kind = {"sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin"}[node.op.name]
    axis, keep = node.attrs["axis"], int(node.attrs["keepdims"])
    if axis is None:
        return g.put(kind, inputs[0], keepdims=keep)
    axes = list(axis) if isinstance(axis, tuple) else [axis]
    return g.put(kind, inputs[0], g.constant(axes, np.int64), keepdims=keep)


def _div(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    """A sum by the number of what was summed is a mean, of any number."""
    total, n = node.inputs
    if isinstance(total, Node) and total.op.name == "sum" and np.isscalar(n):
        x, axis = total.inputs[0], total.attrs["axis"]
        axes = range(len(x.shape)) if axis is None else np.atleast_1d(axis)
        if n == np.prod([x.shape[int(k)] for k in axes]):
            where = g.constant([int(k) for k in axes], np.int64)
            keep = int(total.attrs["keepdims"])
            return g.put("ReduceMean", g.name_of(x), where, keepdims=keep)
    return g.put("Div", *inputs)


def _reshape(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    """Axes of 1 that come or go; else axes at the front that stay, and one that takes the rest."""
    old, new, y = node.inputs[0].shape, node.shape, inputs[0]
    if [d for d in old if d != 1] == [d for d in new if d != 1]:
        for kind, shape in (("Squeeze", old), ("Unsqueeze", new)):
            ones = [k for k, d in enumerate(shape) if d == 1]
            if ones:
                y = g.put(kind, y, g.constant(ones, np.int64))
        return y
    same = next((k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(new))
    rest = list(new[same:])
    if rest:
        rest[0] = -1
    return g.put("Reshape", y, g.constant([0] * same + rest, np.int64))


def _index(g: OnnxGraph, node: Node, inputs: list[str]) -> str:
    key = node.attrs["key"]
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(k is Ellipsis for k in keys):
        at = next(n for n, k in enumerate(keys) if k is Ellipsis)
        given = sum(k is not None for k in keys) - 1
        keys[at : at + 1] = [slice(None)] * (len(node.inputs[0].shape) - given)
    y, axis = inputs[0], 0
    for k in keys:
        place = g.constant([axis], np.int64)
        if k is None:
            y = g.put("Unsqueeze", y, place)
        elif isinstance(k, slice):
            if k != slice(None):
                step = 1 if k.step is None else k.step
                first = (0 if step > 0 else -1) if k.start is None else k.start
                last = (END if step > 0 else -END) if k.stop is None else k.stop
                ends = [g.constant([n], np.int64) for n in (first, last)]
                y = g.put("Slice", y, *ends, place, g.constant([step], np.int64))
        elif isinstance(k, int | np.integer):
            y = g.put("Gather", y, g.constant(int(k), np.int64), axis=axis)
            continue  # the axis is gone
        else:
            raise InterchangeError(f"to_onnx: {node!r} is indexed by {type(k).__name__}")
        axis += 1
    return y


OPS: dict[str, Callable[[OnnxGraph, Node, list[str]], str]] = {
    "silu": _silu, "softmax": _softmax, "log_softmax": _softmax, "linear": _linear,
    "concat": _concat, "stack": _stack, "permute_dims": _permute, "sum": _reduce,
    "max": _reduce, "min": _reduce, "reshape": _reshape, "index": _index,
    "div": _div,
}  # fmt: skip
