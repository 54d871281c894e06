"""Where losses enter the steps of a graph: the edges from a step into the loss part.

The loss part lies at the output: what belongs to no step, and running sums of single
values (`loss = loss + loss_t`), as far as nobody gave them a name.
"""

import math
from collections.abc import Container, Iterable
from typing import Any, NamedTuple

from ...errors import GraphError
from .graph import Graph, Vertex

LINEAR = {"add", "sub", "neg", "sum", "mean", "concat", "stack", "reshape", "index"}


class Entry(NamedTuple):
    """One edge into the loss part."""

    step: int | None  # None: from outside the steps, of something that steps read too
    edge: Any  # as the sweep knows it: a number, or a Row of a series
    source: int  # vertex


def entries(graph: Graph) -> list[Entry]:
    """Every edge by which a loss enters, in the order of recording."""
    loss, found = {graph.output}, []
    for v in reversed(graph.vertices):
        inward = [e for e in graph.outof[v.number] if e.target in loss]
        if v.kind != "op" or not inward:
            continue
        of_no_step = v.step is None or _is_running_sum(graph, v)
        if of_no_step and len(inward) == len(graph.outof[v.number]):
            loss.add(v.number)
        else:
            found += [Entry(v.step, e.key, v.number) for e in inward]
    return found[::-1]


def edges_but_of(found: Iterable[Entry], steps: Container[int]) -> set[Any]:
    """The edges by which the losses of all other steps enter."""
    return {entry.edge for entry in found if entry.step is None or entry.step not in steps}


def other_losses(graph: Graph, step: int) -> set[Any]:
    """The edges by which losses of other steps than `step` enter their own steps."""
    found = entries(graph)
    if all(entry.step != step for entry in found):
        raise GraphError(f"viz.gradient_flow: no loss enters step {step}; see viz.unrolled(loss)")
    return edges_but_of(found, {step})


def reached(graph: Graph, blocked: Container[Any]) -> set[int]:
    """The vertices that a gradient comes to from the output, some edges apart."""
    found, stack = {graph.output}, [graph.output]
    while stack:
        for e in graph.into[stack.pop()]:
            if e.source not in found and e.key not in blocked:
                found.add(e.source)
                stack.append(e.source)
    return found


def _is_running_sum(graph: Graph, v: Vertex) -> bool:
    """Whether a vertex of a step adds up losses: one unnamed value, linear in what enters."""
    if v.name or math.prod(v.shape) > 1:
        return False
    tensors = [e for e in graph.into[v.number] if graph.vertices[e.source].kind != "constant"]
    return v.op in LINEAR or (v.op in ("mul", "div") and len(tensors) == 1)
