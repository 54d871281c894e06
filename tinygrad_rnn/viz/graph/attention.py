"""Attention: the softmax of a product with states of other steps, and the sum that it weighs."""

from heapq import heappop, heappush

from .graph import Graph, Vertex

VIEWS = ("index", "reshape", "permute_dims", "squeeze", "expand_dims", "broadcast_to", "astype")
PRODUCTS = ("mul", "matmul", "linear")
SCORING = (*VIEWS, *PRODUCTS, "sum", "add", "sub", "div", "where", "tanh", "stack", "concat")


def attentions(graph: Graph) -> dict[int, int]:
    """Every op that belongs to one, and the op whose value is what was attended to.

    >>> from tinygrad_rnn.viz.graph.building import collect
    >>> past, w = tg.ones(5, 2, 4), tg.nn.Parameter(tg.ones(4, 4).numpy())
    >>> keys = past @ w
    >>> weights = tg.softmax((keys * (past[-1] @ w)).sum(axis=2), axis=0)
    >>> graph = collect((keys * weights.reshape(5, 2, 1)).sum(axis=0))
    >>> [graph.vertices[k].op for k in sorted(attentions(graph))]
    ['matmul', 'matmul', 'mul', 'sum', 'softmax', 'reshape', 'mul', 'sum']
    """
    found: dict[int, int] = {}
    for v in graph.vertices:
        if v.op == "softmax":
            weighing = _weighing(graph, v)
            members = _scoring(graph, v, {v.number, *weighing})
            if weighing and _attends(graph, v, members):
                found |= dict.fromkeys({v.number, *weighing} | members, weighing[-1])
    return found


def _weighing(graph: Graph, v: Vertex) -> list[int]:
    """What follows a softmax up to the weighted sum, in order; nothing where it is none."""
    found: list[int] = []
    weighed, summed, at = False, False, v
    while len(graph.outof[at.number]) == 1 and (not found or not at.name):
        at = graph.vertices[graph.outof[at.number][0].target]
        weighs = at.op in ("mul", "matmul", "sum") and not summed
        if at.step != v.step or not (weighs or at.op in VIEWS):
            break
        found.append(at.number)
        weighed |= at.op in ("mul", "matmul")
        summed |= at.op == "matmul" or (at.op == "sum" and weighed)
    return found if summed else []


def _scoring(graph: Graph, v: Vertex, inside: set[int]) -> set[int]:
    """What the scores are made of: ops of the step that nothing else reads, up to named ones."""
    found: set[int] = set()
    waiting = [-v.number]  # the latest first, so that all that reads an op is known before it
    while waiting:
        for e in graph.into[-heappop(waiting)]:
            a = graph.vertices[e.source]
            readers = {o.target for o in graph.outof[a.number]}
            if a.op in SCORING and a.step == v.step and not a.name and readers <= inside | found:
                if a.number not in found:
                    found.add(a.number)
                    heappush(waiting, -a.number)
    return found


def _attends(graph: Graph, v: Vertex, members: set[int]) -> bool:
    """Whether states of other steps are scored; without steps, what is no parameter."""
    for k in members:
        ends = [graph.vertices[e.source] for e in graph.into[k]]
        states = [a for a in ends if a.kind in ("op", "input")]
        if graph.vertices[k].op in PRODUCTS and v.step is None:
            if len(ends) > 1 and states == ends:
                return True
        elif any(a.step != v.step for a in states):
            return True
    return False
