"""Values and gradients in the boxes: scalars, and up to four numbers of a tensor."""

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from ...errors import GraphError
from ...graph import Node
from ...op import Array
from ..graph.graph import Graph, Vertex, kept_below, roots_of
from ..graph.values import Values
from ..layout.labels import Words
from ..views import View
from .gate import Kept
from .sweep import own_sweep

MOST = 4


def with_numbers(output: Any, view: View, who: str, blocked: Collection[int] = ()) -> Words:
    """What is written in boxes, and below it the numbers that the view shows.

    `blocked`: edges that let no gradient through.
    Raises GraphError for a graph that backward() freed, or a gradient of no single value.
    """
    tables: list[tuple[str, Callable[[Any], Array | None]]] = []
    roots = roots_of(output, who)
    if "value" in view.shown:
        tables.append(("value", Values(*roots).of))
    if "grad" in view.shown:
        kept_below(*roots)
        if len(roots) > 1 or math.prod(roots[0].shape) != 1:
            raise GraphError(f"{who}: show='grad' needs one output that is a single value")
        tables.append(("grad", gradients_of(roots[0], view.graph, MOST, blocked).get))
    if not tables:
        return view.text

    def lines(v: Vertex, time: str) -> list[str]:
        found = view.text(v, time)
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
    root: Node, graph: Graph, most: int, blocked: Collection[Any] = ()
) -> dict[Any, Array]:
    """By key the whole gradient of every vertex of at most so many numbers."""
    kept = Kept((v.key for v in graph.vertices if math.prod(v.shape) <= most), blocked)
    kept.end(own_sweep(root, watch=kept).leaves())
    return kept.gradients
