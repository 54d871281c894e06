"""Layers as ONNX nodes: each module that is one node or a few there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import nn
from ..errors import InterchangeError
from ..tensors import Tensor
from .gates import ONNX, halves, in_order, refuse
from .onnx_graph import OnnxGraph


def _linear(g: OnnxGraph, m: Any, path: str, x: Tensor) -> str:
    y = g.put("MatMul", g.name_of(x), g.constant(m.weight.numpy().T))
    return y if m.bias is None else g.put("Add", y, g.constant(m.bias.numpy()))


def _embedding(g: OnnxGraph, m: Any, path: str, x: Tensor) -> str:
    return g.put("Gather", g.constant(m.weight.numpy()), g.name_of(x), axis=0)


def _layer_norm(g: OnnxGraph, m: Any, path: str, x: Tensor) -> str:
    scale, bias = (g.constant(p.numpy()) for p in (m.weight, m.bias))
    return g.put("LayerNormalization", g.name_of(x), scale, bias, axis=-1, epsilon=m.eps)


def _elu(g: OnnxGraph, m: Any, path: str, x: Tensor) -> str:
    return g.put("Elu", g.name_of(x), alpha=float(m.alpha))


def _selu(g: OnnxGraph, m: Any, path: str, x: Tensor) -> str:
    return g.put("Selu", g.name_of(x))


def _leaky_relu(g: OnnxGraph, m: Any, path: str, x: Tensor) -> str:
    return g.put("LeakyRelu", g.name_of(x), alpha=float(m.slope))


def _prelu(g: OnnxGraph, m: Any, path: str, x: Tensor) -> str:
    slope = m.weight.numpy()
    if slope.size > 1:  # of the second axis, and the last axes are matched
        slope = slope.reshape(-1, *[1] * (x.ndim - 2))
    return g.put("PRelu", g.name_of(x), g.constant(slope))


def _recurrent(
    g: OnnxGraph, m: Any, path: str, x: Tensor, state: Any = None, lengths: Any = None
) -> list[str]:
    """A node a layer; the names of the outputs and of the last states."""
    refuse("to_onnx", path, m, "layer_norm", "zoneout", "proj_size")
    if x.ndim != 3:
        raise InterchangeError(f"to_onnx: {path} is given one sequence; ONNX has batches alone")
    if lengths is not None and not isinstance(lengths, Tensor):
        raise InterchangeError(
            f"to_onnx: the lengths that {path} is given are a {type(lengths).__name__}, no input "
            "of the model; pass a tensor of them to to_onnx and through forward"
        )
    y = g.name_of(x)
    if m.batch_first:
        y = g.put("Transpose", y, perm=[1, 0, 2])
    steps = (
        "" if lengths is None else g.put("Cast", g.name_of(lengths), to=g.onnx.TensorProto.INT32)
    )
    parts = state if isinstance(state, tuple) else () if state is None else (state,)
    starts = [g.name_of(s) for s in parts]
    g.fixed |= set(starts)
    D, cells = len(m._directions), list(m._cells.values())
    last: list[list[str]] = [[] for _ in m.cell.states]
    for layer in range(m.num_layers):
        here = cells[layer * D : (layer + 1) * D]
        ends = [g.constant(k, np.int64) for k in ([layer * D], [(layer + 1) * D], [0])]
        first = [g.put("Slice", s, *ends) for s in starts] or [""] * len(last)
        y, *states = _layer(g, m, here, y, steps, first)
        for found, s in zip(last, states, strict=True):
            found.append(s)
    if m.batch_first:
        y = g.put("Transpose", y, perm=[1, 0, 2])
    return [y, *(s[0] if len(s) == 1 else g.put("Concat", *s, axis=0) for s in last)]


def _layer(
    g: OnnxGraph, m: Any, cells: list[Any], x: str, steps: str, first: list[str]
) -> list[str]:
    """One layer: outputs (T, N, D H) and last states (D, N, H)."""
    kind, D = type(m), len(cells)
    weights = [[in_order(a, ONNX[kind]) for a in halves(cell)] for cell in cells]
    W, R = (g.constant(np.stack([w[k] for w in weights])) for k in (0, 1))
    B = g.constant(np.stack([np.concatenate(w[2:]) for w in weights])) if m.bias else ""
    options: dict[str, Any] = {"hidden_size": m.hidden_size}
    options["direction"] = "bidirectional" if D == 2 else "forward"
    inputs = [x, W, R, B, steps, *first]
    if kind is nn.RNN:
        options["activations"] = [cells[0].nonlinearity.capitalize()] * D
    elif kind is nn.GRU:
        options["linear_before_reset"] = int(cells[0].reset_after)
    elif cells[0].peephole is not None:
        inputs.append(g.constant(np.stack([cell.peephole.numpy() for cell in cells])))
    while not inputs[-1]:
        inputs.pop()
    y, *last = g.put(kind.__name__, *inputs, outputs=1 + len(first), **options)
    y = g.put("Transpose", y, perm=[0, 2, 1, 3])  # (T, D, N, H) to (T, N, D, H)
    return [g.put("Reshape", y, g.constant([0, 0, -1], np.int64)), *last]


LAYERS: dict[type, Callable[..., Any]] = {
    nn.Linear: _linear, nn.Embedding: _embedding, nn.LayerNorm: _layer_norm, nn.ELU: _elu,
    nn.SELU: _selu, nn.LeakyReLU: _leaky_relu, nn.PReLU: _prelu, nn.RNN: _recurrent,
    nn.LSTM: _recurrent, nn.GRU: _recurrent,
}  # fmt: skip
