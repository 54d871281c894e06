"""Arrays that a sweep passes: whole gradients, and beside them the values of what has a name."""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from ...graph import Node
from ...op import Array
from ..graph.graph import Graph, Vertex
from ..graph.series import by_whole
from ..graph.values import Values
from .gate import Gate


class Kept(Gate):
    """Keeps whole gradients by the keys of vertices; those that none reaches have none."""

    def __init__(self, keys: Iterable[Any], blocked: Collection[Any] = ()):
        super().__init__(blocked)
        self.keys = frozenset(keys)
        self.parts = by_whole(self.keys)
        self.slices = self.keys.union(self.parts)
        self.gradients: dict[Any, Array] = {}

    def total(self, node: Any, g: Any) -> None:
        """A node's gradient has arrived whole."""
        self._keep(node.seq, g)

    def end(self, leaves: Any) -> None:
        """The sweep is over: what is left are the leaves."""
        for leaf, g, _ in leaves:
            self._keep(-id(leaf), g)

    def _keep(self, key: Any, g: Any) -> None:
        if key in self.keys:
            self.gradients[key] = np.asarray(g)
        for row in self.parts.get(key, ()):
            self.gradients[row] = row.part(np.asarray(g))


class Traces(Kept):
    """The values of all named vertices and states in steps, and their gradients."""

    def __init__(self, graph: Graph, root: Node, blocked: Collection[Any] = ()):
        named = [v for v in graph.vertices if v.name and v.step is not None]
        shown = [*named, *(activation(graph, v) for v in named)]
        shown += [v for members in graph.states.values() for _, v in members]
        super().__init__({v.key for v in shown if v.kind == "op"}, blocked)
        values = Values(root)
        self.graph, self.values = graph, {key: values.of(key) for key in self.keys}


def activation(graph: Graph, v: Vertex) -> Vertex:
    """The gate itself: the sigmoid or tanh that alone reads a piece of a chunk, else the vertex."""
    readers = [graph.vertices[e.target] for e in graph.outof[v.number]]
    gate = v.op == "index" and len(readers) == 1 and readers[0].op in ("sigmoid", "tanh")
    return readers[0] if gate else v
