"""What is to be drawn: a graph's columns at one level of detail, and how."""

from collections import Counter
from typing import Any, NamedTuple

from ..errors import GraphError
from .graph.columns import Columns, arrange
from .graph.fold import cells, units
from .graph.graph import Graph, Vertex
from .layout.labels import check_show, lines_of

OPTIONS = {
    "params": ("auto", "stub", "node", "edges", "hide"),
    "direction": ("auto", "up", "down", "right"),
    "level": ("auto", "op", "gate", "cell"),
}
LEVELS = ("cell", "gate", "op")  # from coarse to fine
MANY = 15  # boxes of a step, from which on its gates are drawn, and from as many gates its cells
UNFOUND = 30  # ops without steps that are worth a word on how to say them


class View(NamedTuple):
    """What is to be drawn: columns at one level of detail, and how."""

    graph: Graph  # op by op
    found: Columns
    shown: tuple[str, ...]
    direction: str

    def text(self, v: Vertex, time: str) -> list[str]:
        """The lines in a vertex's box."""
        return lines_of(self.found.graph, v, self.shown, time)

    @property
    def level(self) -> str:
        """One of LEVELS."""
        return "gate" if self.found.graph.level == "edges" else self.found.graph.level


def view(graph: Graph, who: str, level: str, params: str, direction: str, show: Any) -> View:
    """A graph at the level asked for; GraphError for an option that does not exist."""
    for name, value in (("params", params), ("direction", direction), ("level", level)):
        if value not in OPTIONS[name]:
            known = ", ".join(OPTIONS[name])
            raise GraphError(f"{who}: {name} must be one of {known}, got {value!r:.40}")
    if params == "edges" and level in ("op", "cell"):
        raise GraphError(f"{who}: params='edges' draws gates; leave level out, got {level!r}")
    stepped = any(v.step is not None for v in graph.vertices)
    drawn = _at_level(graph, level, params, stepped)
    shown = check_show(who, show, drawn.level)
    if direction == "auto":
        direction = "up" if stepped else "right"
    if params in ("auto", "edges"):
        params = "stub" if stepped else "node"
    return View(graph, arrange(drawn, params), shown, direction)


def _at_level(graph: Graph, level: str, params: str, stepped: bool) -> Graph:
    """The graph op by op, or folded: on request, or where a step has too many ops to be read."""
    if params == "edges":
        return units(graph, labels=True)
    if level == "auto":
        if not stepped or params != "auto" or _largest(graph) <= MANY:
            return graph
        gates = units(graph)
        return gates if _largest(gates) <= MANY else cells(graph)
    return {"op": lambda g: g, "gate": units, "cell": cells}[level](graph)


def _largest(graph: Graph) -> int:
    """Boxes in the step that has most: its ops, and a stub for each use of a parameter."""
    boxes: Counter[int] = Counter()
    for v in graph.vertices:
        if v.kind == "op" and v.step is not None:
            stubs = sum(graph.vertices[e.source].kind == "parameter" for e in graph.into[v.number])
            boxes[v.step] += 1 + stubs
    return max(boxes.values())


def summary(kind: str, drawn: View) -> str:
    """What a diagram shows, in a line."""
    found = drawn.found
    steps = len({(c.section, c.step) for c in found.columns if c.step is not None})
    kinds = len({c.signature for c in found.columns})
    graph = found.graph
    words = (
        f"{kind}: {len(graph.vertices)} vertices, {len(graph.edges)} edges, {steps} steps, "
        f"{kinds} kinds of column"
    )
    ops = sum(v.kind == "op" for v in drawn.graph.vertices)
    if graph.level in ("gate", "cell"):
        words += f"; {ops} ops drawn as {graph.level}s, level='op' draws each"
    if not steps and ops > UNFOUND:
        words += "; no steps were found: say which they are, with tg.step(t): or for x_t in x"
    return words
