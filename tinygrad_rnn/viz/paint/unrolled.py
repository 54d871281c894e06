"""The unrolled graph, one column a step, as a picture."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..graph.elide import Slot
from ..graph.graph import Edge, Graph, Vertex
from ..layout.grid import GAP, Grid, Way
from ..layout.labels import Words, facts_of, kind_of, shape_of
from ..layout.picture import HEADING, SCOPE, SIZE, SMALL, Box, Line, Picture, Point, Text
from ..views import View

STUB = 14.0  # of a way into hidden steps


class Unrolled(NamedTuple):
    """A graph at one level of detail, which of its columns are shown, and what is in its boxes."""

    view: View
    chosen: list[Slot]
    text: Words

    def picture(self) -> Picture:
        """The picture."""
        grid = Grid(self.view.found, self.chosen, self.text, self.view.direction)
        return paint(grid, "unrolled graph")

    def pictures(self) -> list[tuple[str, Picture]]:
        """What a page shows, by kind."""
        return [("forward", self.picture())]


def paint(grid: Grid, title: str) -> Picture:
    """The picture without any gradient."""
    picture = Picture(title, width=grid.width, height=grid.height)
    for i, s in enumerate(grid.slots):
        (_column if s.shown else _gap)(grid, picture, i, s)
    for i, s in enumerate(grid.slots):
        if s.shown:
            picture.lines += _inner(grid, i, s.first)
    for w in grid.ways:
        _way(grid, picture, w)
    return picture


def framed(picture: Picture, scope: str, start: Point, end: Point) -> None:
    """A dashed frame around what one module did."""
    (x0, y0), (x1, y1) = start, end
    picture.boxes.append(
        Box((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, "frame", dash="dashed", title=scope)
    )
    picture.texts.append(Text(x0 + 5, y0 + 10, scope[-40:], SCOPE, start=True))


def _column(grid: Grid, picture: Picture, i: int, s: Slot) -> None:
    column, placed = grid.columns.columns[s.first], grid.shown[i]
    assert placed is not None
    if column.step is not None and grid.framed:
        m = grid.margin
        (x0, y0), (x1, y1) = grid.moved(i, [(-m, -m), (placed.width + m, placed.height + m)])
        box = Box((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, "column", step=column.step,
                  title=f"t = {column.step}", name=f"s{i}", column=s.first)  # fmt: skip
        picture.boxes.append(box)
        picture.texts.append(Text(box.x, grid.heading, box.title, HEADING))
    for scope, x0, y0, x1, y1 in placed.frames:
        framed(picture, scope, *grid.moved(i, [(x0, y0), (x1, y1)]))
    for k, v in enumerate(column.members):
        x, y, w, h = placed.boxes[k]
        ((x, y),) = grid.moved(i, [(x, y)])
        picture.boxes.append(
            vertex_box(grid.columns.graph, v, (x, y, w, h), grid.texts[s.first, k],
                       name=grid.name(s.first, k), step=column.step, column=s.first,
                       size=SMALL if grid.close else SIZE)
        )  # fmt: skip


def vertex_box(
    graph: Graph, v: Vertex, at: tuple[float, float, float, float], lines: list[str], **how: Any
) -> Box:
    """A vertex of a graph as it is drawn."""
    return Box(
        *at, kind_of(graph, v), lines, shape=shape_of(graph, v)[0], vertex=v.head,
        facts=facts_of(v), parts=v.parts, **how,
    )  # fmt: skip


def _gap(grid: Grid, picture: Picture, i: int, s: Slot) -> None:
    hidden = [grid.columns.columns[k] for k in range(s.first, s.last + 1)]
    around = [
        grid.top + grid.tops[k] + p.height / 2
        for k in (i - 1, i + 1)
        if 0 <= k < len(grid.slots) and (p := grid.shown[k])
    ]
    x, y = grid.x[i] + GAP / 2, min(around, default=grid.top)
    word = "step" if len(hidden) == 1 else "steps"
    same = " identical" if len({c.signature for c in hidden}) == 1 < len(hidden) else ""
    span = f"t = {hidden[0].step}" + (f" … {hidden[-1].step}" if len(hidden) > 1 else "")
    for k, text in enumerate((f"{len(hidden)}{same}", f"{word} hidden", span)):
        picture.texts.append(Text(x, y + 16 * (k - 1), text, 12.0))


def _inner(grid: Grid, i: int, k: int) -> Iterator[Line]:
    column, placed = grid.columns.columns[k], grid.shown[i]
    assert placed is not None
    for e, points, at in zip(column.inner, placed.edges, placed.labels, strict=True):
        source, target = (column.members[end].number for end in (e.source, e.target))
        yield Line(
            grid.moved(i, points),
            grid.name(k, e.source),
            grid.name(k, e.target),
            edges=e.origin or (e.between(source, target),),
            label=e.label,
            at=grid.moved(i, [at])[0] if at else None,
        )


def _way(grid: Grid, picture: Picture, w: Way) -> None:
    """A state's way into another column, and its branches where it is read more than once."""
    source = grid.name(*grid.columns.where[w.source]) if grid.shown[w.a] else ""
    there = grid.shown[w.b]
    path = _between(grid, w)
    if not there:
        picture.lines.append(_line(grid, w, path, w.edges, source, ""))
        return
    column = grid.slots[w.b].first
    places = {grid.columns.where[e.target][1] for e in w.edges}
    branches = {
        k: grid.moved(w.b, points)
        for (port, k), points in there.branches.items()
        if port == w.into and k in places
    }
    if len(branches) == 1:
        ((k, points),) = branches.items()
        whole = [*path, *points[1:]]
        picture.lines.append(_line(grid, w, whole, w.edges, source, grid.name(column, k)))
        return
    name = f"j{w.b}x{len(picture.boxes)}"
    step = grid.columns.columns[column].step
    picture.boxes.append(Box(*path[-1], 3.0, 3.0, "junction", name=name, step=step))
    picture.lines.append(_line(grid, w, path, w.edges, source, name))
    picture.lines[-1].head = "none"
    for k, points in branches.items():
        some = [e for e in w.edges if grid.columns.where[e.target][1] == k]
        picture.lines.append(_line(grid, w, points, some, name, grid.name(column, k)))


def _between(grid: Grid, w: Way) -> list[Point]:
    """From the node that is left to the point where a state enters, or to a stretch not shown."""
    here, there, side = grid.shown[w.a], grid.shown[w.b], w.out.side
    out: list[Point] = []
    into: list[Point] = []
    if here:
        _, k = grid.columns.where[w.source]
        branch = here.branches[w.out, k]
        border = here.width + grid.margin if side > 0 else -grid.margin
        out = grid.moved(w.a, [*branch, *_straight(branch[-1], (border, branch[-1][1]))])
    if there:
        x, y = there.ports[w.into]
        border = -grid.margin if w.into.side < 0 else there.width + grid.margin
        into = grid.moved(w.b, [(border, y), *_straight((border, y), (x, y))])
    if not there:
        edge = grid.x[w.b] + (STUB if side > 0 else GAP - STUB)
        return [*out, *_straight(out[-1], (edge, out[-1][1]))]
    if not here:
        edge = grid.x[w.a] + (GAP - STUB if w.into.side < 0 else STUB)
        start = (edge, into[0][1])
        return [start, *_straight(start, into[0]), *into[1:]]
    ends = [*grid.x, grid.width]
    return [*out, *grid.routes.path(w.rail, out[-1], into[0], ends, grid.top)[1:], *into[1:]]


def _line(
    grid: Grid, w: Way, points: list[Point], edges: list[Edge], source: str, target: str
) -> Line:
    steps = [grid.columns.columns[grid.slots[k].first].step for k in (w.a, w.b)]
    label, at = _written(grid, w, edges, source, target), points[0]
    there = grid.shown[w.b]
    fan = w.into, grid.columns.where[edges[0].target][1]
    if there and source[:1] == "j" and fan in there.fans:
        (at,) = grid.moved(w.b, [there.fans[fan]])
    elif here := grid.shown[w.a]:  # above the stretch between the columns
        border = grid.x[w.a] + (here.width if w.out.side > 0 else 0.0)
        level = min(points, key=lambda p: abs(p[0] - border))[1]
        at = (
            border + w.out.side * (grid.margin + 6.0 * grid.close),
            level - 7.0 - 6.0 * label.count("\n"),
        )
    return Line(
        points,
        source,
        target,
        "state" if None not in steps else "edge",
        dash="" if grid.shown[w.b] and (grid.shown[w.a] or source) else "dashed",
        head="normal" if target else "none",
        edges=tuple(o for e in edges for o in e.origin or (e,)),
        label=label,
        at=at,
    )


def _written(grid: Grid, w: Way, edges: list[Edge], source: str, target: str) -> str:
    """The weight on an edge; a cell's states are named where they first come out."""
    if not source or not target:
        return ""
    if target[0] != "j" and edges[0].label:
        return edges[0].label
    return edges[0].via if w.a == grid.ends[0 if w.out.side > 0 else -1] else ""


def _straight(a: Point, b: Point) -> list[Point]:
    """The rest of a cubic Bezier curve that runs straight on from a to b."""
    return [a, b, b]
