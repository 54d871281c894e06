"""Gradient flow painted on the unrolled graph: width, colour and shape by each edge's own norm."""

import math
from functools import cached_property
from typing import Any

from ..flow.fates import Scale, scale_of
from ..flow.flow import Flow
from ..flow.numbers import MOST
from ..flow.table import brief, short, tabulate, words_of
from ..graph.elide import Slot
from ..graph.graph import Vertex
from ..layout.grid import Grid
from ..layout.labels import Words, shape_of
from ..layout.picture import Line, Picture, Text, text_width
from ..views import View
from .curve import add_curves
from .unrolled import paint

LEGEND = 480.0  # its least width before it goes on in another row


class Measured:
    """What was measured in one sweep, for drawings of it at any level."""

    def __init__(self, flow: Flow):
        self.flow, self.scale = flow, scale_of(flow)
        self.table = tabulate(flow, self.scale)


class Flowing:
    """The pictures of a flow at one level of detail."""

    def __init__(self, view: View, chosen: list[Slot], written: Words, measured: Measured):
        self.view, self.chosen, self._written, self._of = view, chosen, written, measured
        self._told: set[tuple[int, int | None]] = set()  # whose box has a norm, its last line
        columns = view.found
        for e in [*(e for c in columns.columns for e in c.inner), *columns.across]:
            found = measured.flow.of_edges(e.origin) if e.label else None
            if found is not None:  # beside the weight's name
                e.label += f"\n|g| {short(found)}"

    def text(self, v: Vertex, time: str) -> list[str]:
        """The lines of a box, the norm of its gradient last."""
        step = int(time) if time else None
        figures = self._of.flow.of_vertex(self.view.graph.vertices[v.head], step)
        sign = shape_of(self.view.found.graph, v)[0] == "circle" and not v.name
        written = self._written(v, time)
        if sign or (figures is None and v.kind not in ("op", "parameter")):
            return written  # in a circle is no room, the page has its figures
        if "grad" in self.view.shown and math.prod(v.shape) <= MOST:
            return written  # in numbers already
        small = self.view.found.graph.level in ("gate", "cell")
        self._told.add((v.head, step))
        norm = brief(figures.norm) if small and figures is not None else short(figures)
        return [*written, norm if small else f"|g| {norm}"]

    @cached_property
    def _grid(self) -> Grid:
        return Grid(self.view.found, self.chosen, self.text, self.view.direction)

    def pictures(self) -> list[tuple[str, Picture]]:
        """Those that a page can switch between, by kind."""
        return [("gradient", self.gradient()), ("forward", self.forward())]

    def gradient(self) -> Picture:
        """Arrows turned round, they and the boxes drawn by their norms."""
        picture, flow = paint(self._grid, "gradient flow"), self._of.flow
        for line in picture.lines:
            self._turn(line)
        for b in picture.boxes:
            if b.vertex >= 0:
                m = flow.of_vertex(flow.graph.vertices[b.vertex], b.step)
                look = self._of.scale.look(m)
                b.outline, b.dash, b.pen = look.colour, look.dash, min(look.pen, 3.0)
                b.facts.append(f"gradient: {words_of(m)}")
        return picture

    def _turn(self, line: Line) -> None:
        """Turn an arrow round and draw it by what flows back along its edges."""
        m = self._of.flow.of_edges(line.edges)
        look = self._of.scale.look(m)
        line.points = line.points[::-1]
        line.source, line.target = line.target, line.source
        whole = not line.target.startswith("j")  # up to a box, not to where a state fans out
        line.colour, line.pen, line.head = look.colour, look.pen, look.head if whole else "none"
        line.dash, line.look = look.dash, look.fate
        line.title = f"gradient: {words_of(m)}"

    def forward(self) -> Picture:
        """Without any gradient."""
        picture = paint(self._grid, "forward graph")
        for b in picture.boxes:
            b.lines = b.lines[:-1] if (b.vertex, b.step) in self._told else b.lines
        for line in picture.lines:
            line.label = line.label.partition("\n")[0]
        return picture

    def below(self, picture: Picture | None = None) -> Picture:
        """Curves and a legend, under a picture or alone."""
        picture = picture or Picture("norms of the gradient")
        y = add_curves(picture, self._of.table, picture.height + 16)
        picture.height = _legend(picture, self._of.scale, y + 12)
        return picture


def _legend(picture: Picture, scale: Scale, y: float) -> float:
    """The scale, its thresholds, and a sample of each fate."""
    about = "arrows: norm of their own contribution; boxes: |g|, the norm of the whole gradient"
    picture.texts.append(Text(0, y, about, 10.0, start=True))
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
