"""A gradient flow at one level of detail: painted with its figures and without."""

import math
from functools import cached_property
from typing import NamedTuple

from ..flow.fates import Scale
from ..flow.flow import Flow
from ..flow.numbers import MOST
from ..flow.table import Table, brief, short
from ..graph.elide import Slot
from ..graph.graph import Vertex
from ..layout.grid import Grid
from ..layout.labels import Text, shape_of
from ..layout.picture import Picture
from ..views import View
from . import gradient
from .unrolled import paint


class Measured(NamedTuple):
    """What was measured in one sweep, for drawings of it at any level."""

    flow: Flow
    scale: Scale
    table: Table


class Flowing:
    """The pictures of a flow at one level."""

    def __init__(self, view: View, chosen: list[Slot], written: Text, measured: Measured):
        self.view, self._chosen, self._written, self._of = view, chosen, written, measured
        self._told: set[tuple[int, int | None]] = set()  # whose box has a norm, its last line
        gradient.write_on_edges(view.found, measured.flow)

    def text(self, v: Vertex, time: str) -> list[str]:
        """The lines of a box, the norm of its gradient last."""
        step = int(time) if time else None
        figures = self._of.flow.of_vertex(self.view.graph.vertices[v.head], step)
        sign = shape_of(self.view.found.graph, v)[0] == "circle" and not v.name
        if sign or (figures is None and v.kind not in ("op", "parameter")):
            return self._written(v, time)  # in a circle is no room, the page has its figures
        written = self._written(v, time)
        if "grad" in self.view.shown and math.prod(v.shape) <= MOST:
            return written  # in numbers already
        small = self.view.found.graph.level in ("gate", "cell")
        self._told.add((v.head, step))
        norm = brief(figures.norm) if small and figures is not None else short(figures)
        return [*written, norm if small else f"|g| {norm}"]

    @cached_property
    def _grid(self) -> Grid:
        return Grid(self.view.found, self._chosen, self.text, self.view.direction)

    def gradient(self) -> Picture:
        """Arrows turned round, by their norms."""
        picture = paint(self._grid, "gradient flow")
        gradient.paint_flow(picture, self._of.flow, self._of.scale)
        return picture

    def whole(self) -> Picture:
        """The same with curves and a legend below."""
        picture = self.gradient()
        gradient.add_below(picture, self._of.scale, self._of.table)
        return picture

    def forward(self) -> Picture:
        """Without any gradient."""
        picture = paint(self._grid, "forward graph")
        for b in picture.boxes:
            b.lines = b.lines[:-1] if (b.vertex, b.step) in self._told else b.lines
        for line in picture.lines:
            line.label = line.label.partition("\n")[0]
        return picture

    def below(self) -> Picture:
        """Curves and legend alone."""
        picture = Picture("norms of the gradient")
        gradient.add_below(picture, self._of.scale, self._of.table)
        return picture
