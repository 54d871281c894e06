"""What is to be drawn: a graph's columns at one level of detail, and how.

The level that nobody chose is the finest at which a step has at most 15 boxes, and four steps
are no wider than 1,280 pixels.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import GraphError, RenderError
from .graph.columns import Columns, arrange
from .graph.elide import slots
from .graph.fold import cells, units
from .graph.graph import Graph, Vertex
from .layout.grid import Grid
from .layout.labels import check_show, lines_of

OPTIONS = {
    "params": ("auto", "stub", "node", "edges", "hide"),
    "direction": ("auto", "up", "down", "right"),
    "level": ("auto", "op", "gate", "cell"),
}
FOLDS: dict[str, Callable[[Graph], Graph]] = {"cell": cells, "gate": units, "op": lambda g: g}
LEVELS = tuple(FOLDS)  # from coarse to fine
MANY = 15  # boxes of a step that are read at a glance
WIDE = 1_280 * 0.75 / 4  # points of a step, gutter included, of which four fill 1,280 pixels
UNFOUND = 30  # ops without steps that are worth a word on how to say them


class View(NamedTuple):
    """What is to be drawn: columns at one level of detail, and how."""

    graph: Graph  # op by op
    found: Columns
    shown: tuple[str, ...]
    direction: str
    at: Callable[[str], "View"]  # the same at another level

    def text(self, v: Vertex, time: str) -> list[str]:
        """The lines in a vertex's box."""
        return lines_of(self.found.graph, v, self.shown, time)

    @property
    def level(self) -> str:
        """One of LEVELS."""
        return "gate" if self.found.graph.level == "edges" else self.found.graph.level

    def finer(self) -> "list[View]":
        """The same at each of the finer levels."""
        return [self.at(level) for level in LEVELS[LEVELS.index(self.level) + 1 :]]


def view(graph: Graph, who: str, level: str, params: str, direction: str, show: Any) -> View:
    """A graph at the level asked for; GraphError for an option that does not exist."""
    for name, value in (("params", params), ("direction", direction), ("level", level)):
        if value not in OPTIONS[name]:
            known = ", ".join(OPTIONS[name])
            raise GraphError(f"{who}: {name} must be one of {known}, got {value!r:.40}")
    if params == "edges" and level in ("op", "cell"):
        raise GraphError(f"{who}: params='edges' draws gates; leave level out, got {level!r}")
    stepped = any(v.step is not None for v in graph.vertices)
    if direction == "auto":
        direction = "up" if stepped else "right"

    def seen(drawn: Graph) -> View:
        plain = params in ("auto", "edges")
        found = arrange(drawn, ("stub" if stepped else "node") if plain else params)
        return View(graph, found, check_show(who, show, drawn), direction, at)

    def at(other: str) -> View:
        return view(graph, who, other, "auto" if params == "edges" else params, direction, show)

    if params == "edges":
        return seen(units(graph, labels=True))
    if level == "auto" and stepped and params == "auto":
        for finer_level in LEVELS[:0:-1]:
            drawn = FOLDS[finer_level](graph)
            if _largest(drawn) <= MANY and _fits(finer := seen(drawn)):
                return finer
        level = "cell"
    return seen(FOLDS[level if level != "auto" else "op"](graph))


def _fits(drawn: View) -> bool:
    """Whether four steps fit a screen."""
    found = drawn.found
    alone = [s._replace(shown=s.shown and found.columns[s.first].step is not None)
             for s in slots(found, "auto", 4, "")]  # fmt: skip
    try:
        grid = Grid(found, alone, drawn.text, drawn.direction)
    except RenderError:  # without an engine to lay it out, the number of boxes decides
        return True
    steps = [p.width + grid.routes.gutter(i) for i, p in enumerate(grid.shown) if p]
    return max(steps) <= WIDE


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
