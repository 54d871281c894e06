"""What comes over an edge of the graph: which sums it belongs to, and its value in a sweep."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...kernels.measure import Measured
from ...op import Array, Deferred
from ...ops.shape import sum_to
from .graph import Edge, Graph, Shape


def is_carried(graph: Graph, e: Edge) -> bool:
    """Whether an edge takes a state, no single number, from one step to another."""
    a, b = graph.vertices[e.source], graph.vertices[e.target]
    if a.kind != "op" or a.step is None or b.step is None or a.step == b.step:
        return False
    return bool(a.name) or math.prod(a.shape) > 1


def groups_of(graph: Graph, e: Edge) -> Iterator[Any]:
    """The sums a contribution belongs to.

    A parameter's in one step, a state's from all other steps, any op's from one column.
    """
    a, b = graph.vertices[e.source], graph.vertices[e.target]
    if a.kind == "parameter":
        yield "parameter", a.number, b.step
    if is_carried(graph, e):
        yield "carried", a.number, a.step
    if a.kind == "op" and a.step != b.step:
        yield "to", a.number, b.step


def value_of(c: Any, p: Any) -> tuple[Any, Array | None]:
    """What is to be delivered, and the array that it adds to p's gradient.

    A product deferred to be taken with other steps' is taken at once, and only once.
    """
    if c.__class__ is Deferred:
        if c.op.name == "put_slices":  # zeros around it change no figure but their own share
            return c, np.asarray(c.piece[0])
        if c.key is not None:
            return c, c.op.kernel(*c.piece, keys=(c.key,), shape=p.shape)
        c = c.op.kernel(*c.piece)
    if not isinstance(c, np.ndarray | np.generic):
        return c, None
    value = np.asarray(c)
    if value.shape != p.shape:
        value = c = sum_to.kernel(value, shape=p.shape)
    return c, value


def together(figures: Sequence[Measured | None], shapes: Sequence[Shape]) -> Measured | None:
    """The figures of parts that lie side by side in one array, None where none is known."""
    parts = [(m, math.prod(s)) for m, s in zip(figures, shapes, strict=True) if m is not None]
    if not parts:
        return None
    return Measured(
        math.hypot(*(m.norm for m, _ in parts)),
        max(m.largest for m, _ in parts),
        sum(m.zeros * n for m, n in parts) / sum(n for _, n in parts),
        sum(m.bad for m, _ in parts),
    )
