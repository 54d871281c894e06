"""What comes over an edge of the graph: which sums it belongs to, and its value in a sweep."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...op import Array
from ...ops.shape import sum_to
from ...rules import Deferred
from .graph import Edge, Graph, Shape
from .series import Row


def is_carried(graph: Graph, e: Edge) -> bool:
    """Whether an edge takes a state, no single number, from one step to another."""
    a, b = graph.vertices[e.source], graph.vertices[e.target]
    if a.kind != "op" or a.step is None or b.step is None or a.step == b.step:
        return False
    if isinstance(a.key, Row):  # made of a state
        return False
    return bool(a.name) or math.prod(a.shape) > 1


def groups_of(graph: Graph, e: Edge) -> Iterator[Any]:
    """The sums a contribution belongs to.

    A parameter's in one step, a state's from all other steps, any op's from one column. What
    goes to all steps of a series at once belongs to none.
    """
    a, b = graph.vertices[e.source], graph.vertices[e.target]
    if isinstance(b.key, Row) and not isinstance(e.key, Row):
        return
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


def whole_of(c: Any, shape: Shape) -> Any:
    """A contribution, put together at once even if it was deferred."""
    if not isinstance(c, Deferred):
        return c
    if c.key is None:
        return c.op(*c.piece)
    return c.op(*c.piece, keys=(c.key,), shape=shape)
