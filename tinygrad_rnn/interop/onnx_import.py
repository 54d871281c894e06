"""Recurrent nodes of ONNX files as layers of ours."""

import os
from typing import Any

import numpy as np

from .. import nn
from ..errors import InterchangeError
from ..op import Array
from .gates import ONNX, back_in_order
from .onnx_graph import onnx_package

KINDS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
ACTIVATIONS = {
    "RNN": (["Tanh"], ["Relu"]),
    "LSTM": (["Sigmoid", "Tanh", "Tanh"],),
    "GRU": (["Sigmoid", "Tanh"],),
}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")


def from_onnx(model: object) -> dict[str, nn.Module]:
    """The RNN, LSTM and GRU nodes of an ONNX file, in its order, as layers with their weights.

    `model` is a path or an `onnx.ModelProto`; keys are the nodes' names, or their first
    outputs' where they have none. Other nodes are ignored. A layer returns
    (T, N, D H) where the node's Y is (T, D, N, H), and with `layout=1` it is batch_first;
    sequence_lens and initial states are inputs there and arguments here. LSTM with
    peepholes and GRU with either form of reset are supported. Raises InterchangeError naming
    node and attribute for clip, input_forget, activations other than the defaults,
    direction "reverse", initial states or lengths that are part of the file, weights that are not.

    >>> import tempfile
    >>> from tinygrad_rnn import interop
    >>> path = tempfile.mkdtemp() + "/gru.onnx"
    >>> interop.to_onnx(nn.GRU(3, 4), path)
    >>> [gru.weight_hh_l0.shape for gru in from_onnx(path).values()]
    [(12, 4)]
    """
    onnx = onnx_package("from_onnx")
    if isinstance(model, str | os.PathLike):
        try:
            model = onnx.load(model)
        except Exception as error:
            raise InterchangeError(f"from_onnx: {model} cannot be read: {error}") from error
    if not hasattr(model, "graph"):
        raise InterchangeError(
            f"from_onnx: expected a path or an onnx.ModelProto, got {model!r:.80}"
        )
    constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            for a in node.attribute:
                if a.name == "value":
                    constants[node.output[0]] = onnx.numpy_helper.to_array(a.t)
    found: dict[str, nn.Module] = {}
    for node in model.graph.node:
        if node.op_type in KINDS and node.domain in ("", "ai.onnx"):
            name = node.name or next(n for n in node.output if n)
            options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            found[name] = _layer(name, node, options, constants)
    if not found:
        raise InterchangeError("from_onnx: there is no RNN, LSTM or GRU in the graph")
    return found


def _layer(name: str, node: Any, options: dict[str, Any], constants: dict[str, Array]) -> nn.Module:
    kind = node.op_type

    def refuse(what: str) -> InterchangeError:
        return InterchangeError(f"from_onnx: the {kind} {name!r} has {what}")

    given = {n: value for n, value in zip(INPUTS, node.input, strict=False) if value}
    for option in ("clip", "activation_alpha", "activation_beta"):
        if options.get(option):
            raise refuse(f"{option}={options[option]}, which cannot be carried")
    if options.get("input_forget"):
        raise refuse("input_forget=1, which cannot be carried")
    direction = options.get("direction", b"forward").decode()
    if direction not in ("forward", "bidirectional"):
        raise refuse(f"direction={direction!r}; a layer that only goes back cannot be carried")
    D = 2 if direction == "bidirectional" else 1
    for n in ("sequence_lens", "initial_h", "initial_c"):
        if np.any(constants.get(given.get(n, ""), 0)):
            raise refuse(f"{n} in the file; the layer takes it as an argument, make it an input")
    for n in ("W", "R", "B", "P"):
        if n in given and given[n] not in constants:
            raise refuse(f"no constant {n}, but {given[n]!r}, which is computed or an input")
    W, R = constants[given["W"]], constants[given["R"]]
    H = R.shape[2]
    extra = _activation(kind, options, D, refuse)
    if kind == "GRU":
        extra["reset_after"] = bool(options.get("linear_before_reset", 0))
    if "P" in given:
        extra["peepholes"] = True
    layer = KINDS[kind](
        W.shape[2], H, bias="B" in given, batch_first=bool(options.get("layout", 0)),
        bidirectional=D == 2, **extra,
    )  # fmt: skip
    state: dict[str, Array] = {}
    order = ONNX[KINDS[kind]]
    for d, suffix in enumerate(layer._directions):
        state[f"weight_ih_l0{suffix}"] = back_in_order(W[d], order)
        state[f"weight_hh_l0{suffix}"] = back_in_order(R[d], order)
        if "B" in given:
            both = np.split(constants[given["B"]][d], 2)
            for n, b in zip(("bias_ih", "bias_hh"), both, strict=True):
                state[f"{n}_l0{suffix}"] = back_in_order(b, order)
        if "P" in given:
            state[f"peephole_l0{suffix}"] = constants[given["P"]][d]
    layer.astype(np.float64 if W.dtype == np.float64 else np.float32)
    layer.load_state_dict(state)
    return layer


def _activation(kind: str, options: dict[str, Any], D: int, refuse: Any) -> dict[str, Any]:
    """Options of our layer for the activations that it has."""
    named = [a.decode() for a in options.get("activations", [])]
    known = ACTIVATIONS[kind]
    if not named:
        return {}
    for each in known:
        if [n.lower() for n in named] == [n.lower() for n in each * D]:
            return {"nonlinearity": each[0].lower()} if kind == "RNN" else {}
    words = " or ".join(map(str, known))
    raise refuse(f"activations={named}, which cannot be carried; known are {words}")
