"""Gradient flow painted on the unrolled graph: width, colour and shape by each edge's own norm."""

from typing import Any

from ..flow.fates import Scale
from ..flow.flow import Flow
from ..flow.table import Table, short, words_of
from ..graph.columns import Columns
from ..graph.graph import Graph
from ..layout.picture import Line, Picture, Text, text_width
from .curve import add_curves

LEGEND = 480.0  # its least width before it goes on in another row


def add_below(picture: Picture, scale: Scale, table: Table) -> None:
    """Curves and a legend under a picture of the graph."""
    y = add_curves(picture, table, picture.height + 16)
    picture.height = _legend(picture, scale, y + 12)


def paint_flow(picture: Picture, flow: Flow, scale: Scale) -> None:
    """Turn the arrows round and draw them, and the boxes, by their norms."""
    graph = flow.graph
    assert graph is not None
    for line in picture.lines:
        _paint_line(line, graph, flow, scale)
    for b in picture.boxes:
        if b.vertex < 0:
            continue
        m = flow.of_vertex(graph.vertices[b.vertex], b.step)
        look = scale.look(m)
        b.outline, b.dash = look.colour, look.dash
        b.pen = min(look.pen, 3.0)
        b.facts.append(f"gradient: {words_of(m)}")


def write_on_edges(columns: Columns, flow: Flow) -> None:
    """The norm that flows back beside each weight's name, where weights stand on edges."""
    graph = flow.graph
    assert graph is not None
    for e in [*(e for c in columns.columns for e in c.inner), *columns.across]:
        found = flow.of_edges(graph, e.origin) if e.label else None
        if found is not None:
            e.label += f"\n|g| {short(found)}"


def _paint_line(line: Line, graph: Graph, flow: Flow, scale: Scale) -> None:
    """Turn an arrow round and draw it by what flows back along its edges."""
    m = flow.of_edges(graph, line.edges)
    look = scale.look(m)
    line.points = line.points[::-1]
    line.source, line.target = line.target, line.source
    whole = not line.target.startswith("j")  # up to a box, not to where a state fans out
    line.colour, line.pen, line.head = look.colour, look.pen, look.head if whole else "none"
    line.dash, line.look = look.dash, look.fate
    line.title = f"gradient: {words_of(m)}"


def _legend(picture: Picture, scale: Scale, y: float) -> float:
    """The scale, its thresholds, and a sample of each fate."""
    picture.texts.append(
        Text(
            0,
            y,
            "arrows: norm of their own contribution; boxes: |g|, the norm of the whole gradient",
            10.0,
            start=True,
        )
    )
    x, y, right = 0.0, y + 18, max(picture.width, LEGEND)
    for look, words in scale.legend():
        wide = 52 + text_width(words, 10.0)
        if x + wide > right:
            x, y = 0.0, y + 16
        points: list[Any] = [(x + 34, y), (x + 20, y), (x + 12, y), (x, y)]
        picture.lines.append(
            Line(points, colour=look.colour, pen=look.pen, dash=look.dash, head=look.head)
        )
        picture.texts.append(Text(x + 40, y + 4, words, 10.0, start=True))
        x += wide
        picture.width = max(picture.width, x)
    return y + 14
