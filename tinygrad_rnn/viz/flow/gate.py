"""What watches a sweep: holds some of it back, keeps arrays of it, makes contributions arrays."""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from ...graph import Node
from ...op import Array
from ...ops.shape import sum_to
from ...rules import Deferred
from ..graph.graph import Graph, Shape, Vertex
from ..graph.series import by_whole
from ..graph.values import Values


class Gate:
    """Lets through all but some edges; watches nothing."""

    slices: frozenset[int] = frozenset()

    def __init__(self, blocked: Collection[Any]):
        self.blocked = set(blocked)
        self.rows = by_whole(blocked)  # of series, by edge

    def total(self, node: Any, g: Any) -> None:
        """A node's cotangent: not looked at."""

    def passes(self, node: Any, k: int, c: Any) -> Any:
        """What goes on to operand k: nothing where it is blocked."""
        edge = node.seq << 32 | k
        if edge in self.blocked:
            return None
        if edge in self.rows:
            c = np.array(whole_of(c, node.inputs[k].shape))
            for row in self.rows[edge]:
                np.moveaxis(c, row.axis, 0)[row.row] = 0
        return c

    def joined(self, key: int, op: Any, parts: list[Any]) -> Any:
        """The sum of deferred terms."""
        return op(*parts)


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


def value_of(c: Any, p: Any) -> tuple[Any, Array | None]:
    """What is to be delivered, and the array that it adds to p's gradient.

    A product deferred to be taken with other steps' is taken at once, and only once.
    """
    if c.__class__ is Deferred:
        if c.op.name == "put_slices":  # zeros around it change no figure but their own share
            return c, np.asarray(c.piece[0])
        c = whole_of(c, p.shape)
    if not isinstance(c, np.ndarray | np.generic):
        return c, None
    value = np.asarray(c)
    if value.shape != p.shape:
        value = c = sum_to.kernel(value, shape=p.shape)
    return c, value


def whole_of(c: Any, shape: Shape) -> Any:
    """A contribution, put together at once even if it was deferred."""
    if not isinstance(c, Deferred):
        return c
    if c.key is None:
        return c.op(*c.piece)
    return c.op(*c.piece, keys=(c.key,), shape=shape)
