"""An ONNX graph while it is made: names of tensors, nodes, constants."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..errors import InterchangeError
from ..graph import Node, key_of
from ..op import Array
from ..tensors import Tensor


def onnx_package(who: str) -> Any:
    """The package, imported when it is first needed."""
    try:
        import onnx
    except ImportError:
        raise InterchangeError(
            f"{who} needs the package onnx: pip install 'tinygrad_rnn[onnx]'"
        ) from None
    return onnx


class OnnxGraph:
    """Nodes and initialisers in order, and which of our tensors has which name."""

    def __init__(self, onnx: Any):
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.names: dict[int, str] = {}  # of tensors and nodes of ours, by `key_of`
        self.fixed: set[str] = set()  # inputs whose first axis has one size: layers x directions
        self.kept: list[Any] = []  # so that no id comes twice

    def put(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; the name of its output, or a list of names."""
        names = [f"{op.lower()}_{len(self.nodes)}_{k}" for k in range(outputs)]
        node = self.onnx.helper.make_node(
            op, list(inputs), names, name=f"{op}_{len(self.nodes)}", **attributes
        )
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def constant(self, value: object, dtype: DTypeLike | None = None) -> str:
        """The name of an initialiser with this value."""
        array = np.array(value, dtype=dtype, order="C")
        for name, known in self.constants.items():
            if known.dtype == array.dtype and np.array_equal(known, array, equal_nan=True):
                return name
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def call(self, tensor: Any, name: str) -> None:
        """Let one of our tensors, or the node that made it, be known under a name."""
        self.kept.append(tensor)
        self.names[key_of(_origin(tensor))] = name

    def name_of(self, value: object, dtype: DTypeLike = np.float32) -> str:
        """The name of a tensor, node or number; what is not known is a constant."""
        if not isinstance(value, Tensor | Node):
            return self.constant(value, dtype)
        origin = _origin(value)
        known = self.names.get(key_of(origin))
        if known is None:
            if isinstance(origin, Node):
                raise InterchangeError(f"to_onnx: {origin!r} is none of what was recorded")
            known = self.constant(origin.numpy())
        return known

    def needed(self, outputs: list[str]) -> list[Any]:
        """The nodes that lead to these outputs."""
        wanted, kept = set(outputs), []
        for node in reversed(self.nodes):
            if wanted & set(node.output):
                wanted |= set(node.input)
                kept.append(node)
        self.constants = {n: a for n, a in self.constants.items() if n in wanted}
        return kept[::-1]


def _origin(value: Any) -> Any:
    return value if isinstance(value, Node) or value._node is None else value._node
