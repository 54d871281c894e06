"""Where losses enter the steps of a graph: the edges from a step into the loss part.

The loss part lies at the output: what belongs to no step, and running sums of single
values (`loss = loss + loss_t`), as far as nobody gave them a name.
"""

import math
from typing import NamedTuple

from .graph import Edge, Graph, Vertex

LINEAR = {"add", "sub", "neg", "sum", "mean", "concat", "stack", "reshape", "index"}


class Entry(NamedTuple):
    """One edge into the loss part."""

    step: int
    edge: int  # as the sweep knows it
    source: int  # vertex


def edge_key(graph: Graph, e: Edge) -> int:
    """One number for an edge: the consumer's sequence number and the operand's."""
    return graph.vertices[e.target].key << 32 | e.place


def entries(graph: Graph) -> list[Entry]:
    """Every edge by which a step's loss enters, in the order of recording."""
    loss, found = {graph.output}, []
    for v in reversed(graph.vertices):
        if v.number not in loss:
            continue
        for e in graph.into[v.number]:
            source = graph.vertices[e.source]
            if source.kind != "op":
                continue
            if source.step is None or _is_running_sum(graph, source):
                loss.add(e.source)
            else:
                found.append(Entry(source.step, edge_key(graph, e), e.source))
    return found[::-1]


def _is_running_sum(graph: Graph, v: Vertex) -> bool:
    """Whether a vertex of a step adds up losses: one unnamed value, linear in what enters."""
    if v.name or math.prod(v.shape) > 1:
        return False
    tensors = [e for e in graph.into[v.number] if graph.vertices[e.source].kind != "constant"]
    return v.op in LINEAR or (v.op in ("mul", "div") and len(tensors) == 1)
