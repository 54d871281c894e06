"""Values and gradients in the boxes: scalars, and up to four numbers of a tensor."""

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from ...errors import GraphError
from ...graph import FREED, Node
from ...op import Array
from ..graph.graph import Vertex, nodes_below, roots_of
from ..graph.series import Row, find_series
from ..graph.values import Values
from ..layout.labels import Text
from .gate import Gate
from .sweep import own_sweep

MOST = 4


def with_numbers(
    output: Any, shown: Collection[str], text: Text, who: str, blocked: Collection[int] = ()
) -> Text:
    """What is written in boxes, and below it the numbers asked for in `shown`.

    `blocked`: edges that let no gradient through.
    Raises GraphError for a graph that backward() freed, or a gradient of no single value.
    """
    tables: list[tuple[str, Callable[[Any], Array | None]]] = []
    roots = roots_of(output, who) if {"value", "grad"} & set(shown) else []
    if any(n.saved is FREED for n in nodes_below(*roots)):
        raise GraphError(f"{who}: backward() has freed this graph; draw before it")
    if "value" in shown:
        tables.append(("value", Values(*roots).of))
    if "grad" in shown:
        tables.append(("grad", gradients_of(roots, who, blocked)))
    if not tables:
        return text

    def lines(v: Vertex, time: str) -> list[str]:
        found = text(v, time)
        if math.prod(v.shape) <= MOST:
            for word, of in tables:
                a = of(v.key)
                found.append(f"{word} {'none' if a is None else written(a)}")
        return found

    return lines


def written(a: Array) -> str:
    """A few numbers, four digits each.

    >>> written(np.float32(0.70710678)), written(np.array([1.0, -20.5]))
    ('0.7071', '1, -20.5')
    """
    return ", ".join(f"{x:.4g}" for x in np.ravel(a))


def gradients_of(
    roots: list[Node], who: str, blocked: Collection[Any], most: int = MOST
) -> Callable[[Any], Array | None]:
    """Tells, by key, the whole gradient of each node, leaf and row of at most so many numbers."""
    if len(roots) > 1 or math.prod(roots[0].shape) != 1:
        raise GraphError(f"{who}: show='grad' needs one output that is a single value")
    watch = _Totals(roots[0], blocked, most)
    for leaf, g, _ in own_sweep(roots[0], watch=watch).leaves():
        watch.found[-id(leaf)] = np.asarray(g)
    return watch.of


class _Totals(Gate):
    """Keeps every node's whole gradient where it is small."""

    def __init__(self, root: Node, blocked: Collection[Any], most: int):
        super().__init__(blocked)
        self.most = most
        self.found: dict[int, Array] = {}
        nodes = nodes_below(root)
        self.slices = frozenset(n.seq for n in nodes if n.op.name == "index")
        self.series = find_series(nodes, [root])

    def total(self, node: Any, g: Any) -> None:
        """A node's gradient has arrived whole."""
        a = np.asarray(g)
        if a.size <= self.most or node.seq in self.series:
            self.found[node.seq] = a.copy()

    def of(self, key: Any) -> Array | None:
        """What was kept under a key."""
        if isinstance(key, Row):
            return key.part(self.found[key.of]) if key.of in self.found else None
        return self.found.get(key)
