"""The graph rolled back up, as a picture: states curve back into each cell."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from ..graph.columns import Columns
from ..graph.elide import Slot
from ..graph.graph import Edge, Vertex
from ..layout.answer import LABEL
from ..layout.labels import Words, shape_of
from ..layout.picture import HEADING, Box, Line, Picture, Point, Text, text_width
from ..layout.request import place
from ..layout.rows import rows_of
from ..layout.template import Cluster, Placed, Row, Template
from ..views import View
from .cells import moment, roll_up
from .unrolled import framed, vertex_box


class Link(NamedTuple):
    """An edge of a rolled graph, from a member to another, and what is written on it."""

    source: int
    target: int
    edge: Edge
    label: str


class Rolled:
    """A rolled graph at one level of detail; nothing of it is left out."""

    chosen: tuple[Slot, ...] = ()

    def __init__(self, view: View):
        self.view = view
        self.cells, self.headers = roll_up(view.found)

    def picture(self) -> Picture:
        """The picture, laid out by `dot` as a whole."""
        whole = _Whole(self.cells, self.headers, self.view.text)
        placed = _place(whole.template(self.view.direction))
        picture = Picture("rolled graph", width=placed.width, height=placed.height)
        for words, x0, y0, x1, y1 in placed.clusters:
            middle, size = ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0)
            picture.boxes.append(Box(*middle, *size, "column", title=words.replace("\n", ", ")))
            x, _ = _beside((x0, y0, x1), words, placed.edges)
            for k, line in enumerate(words.split("\n")):
                y = y0 + 4 + HEADING * (1 + 1.25 * k)
                picture.texts.append(Text(x, y, line, HEADING, start=True))
        for scope, x0, y0, x1, y1 in placed.frames:
            framed(picture, scope, (x0, y0), (x1, y1))
        picture.boxes += [whole.box(n, box) for n, box in enumerate(placed.boxes)]
        for link, points, at in zip(whole.links, placed.edges, placed.labels, strict=True):
            joints = [end in whole.joints for end in link[:2]]
            picture.lines.append(
                Line(points, whole.name(link.source), whole.name(link.target),
                     "state" if link.edge.delay or joints[0] else "edge", edges=(link.edge,),
                     head="none" if joints[1] else "normal", label=link.label, at=at)
            )  # fmt: skip
        return picture

    def pictures(self) -> list[tuple[str, Picture]]:
        """What a page shows, by kind."""
        return [("forward", self.picture())]


class _Whole:
    """The cells as one template: members of all columns in a row, and where loops fan out."""

    def __init__(self, cells: Columns, headers: dict[int, str], text: Words):
        self.cells, self.headers = cells, headers
        self.members = [
            (k, i, v) for k, c in enumerate(cells.columns) for i, v in enumerate(c.members)
        ]
        self.lines = [text(v, "t" if k in headers else "") for k, _, v in self.members]
        at = {(k, i): n for n, (k, i, _) in enumerate(self.members)}
        ends = [
            ((k, e.source), (k, e.target), e) for k, c in enumerate(cells.columns) for e in c.inner
        ]
        ends += [(cells.where[e.source], cells.where[e.target], e) for e in cells.across]
        links = [Link(at[a], at[b], e, _written(e, self.members[at[a]][2])) for a, b, e in ends]
        self.links, self.joints = _joined(links, len(self.members))

    def template(self, direction: str) -> Template:
        """All that `dot` is asked for."""
        rows: list[Row] = []
        scopes: dict[Row, str] = {}
        graph, clusters = self.cells.graph, []
        readers = [(n, self.members[t][0]) for n, t in self.joints.items()]
        for k, c in enumerate(self.cells.columns):
            first = len(rows)
            own, scopes_of = rows_of(c, k)
            rows += own
            framed_too = len(scopes_of) > 1 and k in self.headers and graph.level != "cell"
            scopes |= scopes_of if framed_too else dict.fromkeys(scopes_of, "")
            if k in self.headers:
                words = self.headers[k]
                height = HEADING * 1.25 * (1 + words.count("\n")) + LABEL * framed_too
                inside = [*range(first, len(rows)), *(n for n, column in readers if column == k)]
                clusters.append(Cluster(words, inside, _width(words), height))
        return Template(
            self.lines + [[""]] * len(self.joints),
            [shape_of(graph, v) for *_, v in self.members]
            + [("point", 0.04, 0.04)] * len(self.joints),
            rows + [rows[t] for t in self.joints.values()],
            scopes,
            [link[:2] for link in self.links],
            [link.label for link in self.links],
            {},
            {},
            direction,
            {n for n, link in enumerate(self.links) if link.edge.delay},
            clusters,
        )

    def name(self, n: int) -> str:
        """The id of a box."""
        if n in self.joints:
            return f"j{n}"
        k, i, v = self.members[n]
        return f"n{v.number}" if self.cells.where[v.number] == (k, i) else f"n{v.number}at{n}"

    def box(self, n: int, at: tuple[float, float, float, float]) -> Box:
        """A vertex, or a point where a loop fans out."""
        if n in self.joints:
            return Box(*at[:2], 3.0, 3.0, "junction", name=self.name(n))
        k, _, v = self.members[n]
        return vertex_box(self.cells.graph, v, at, self.lines[n], name=self.name(n), column=k)


def _place(t: Template) -> Placed:
    """Lay out, anew while edges strike a heading, in a cell wider by what it lacks."""
    for _ in range(4):
        (found,) = place([t])
        lacks = [_beside(c[1:4], c[0], found.edges)[1] for c in found.clusters]
        if max(lacks, default=0.0) <= 0:
            break
        wider = [
            c._replace(width=x1 - x0 + 2 * lack) if lack > 0 else c
            for c, (_, x0, _, x1, _), lack in zip(t.clusters, found.clusters, lacks, strict=True)
        ]
        t = replace(t, clusters=wider)
    return found


def _width(words: str) -> float:
    return max(text_width(line, HEADING) for line in words.split("\n"))


def _beside(
    room: tuple[float, float, float], words: str, edges: list[list[Point]]
) -> tuple[float, float]:
    """Where a heading stands at the top of a cell beside the edges there; how much it lacks."""
    x0, y0, x1 = room
    below = y0 + HEADING * 1.25 * (1 + words.count("\n")) + 5
    level = sorted(
        (min(xa, xb), max(xa, xb))
        for points in edges
        for (xa, y), (xb, y2) in pairwise(points)
        if min(y, y2) < below and max(y, y2) > y0 and max(xa, xb) > x0 and min(xa, xb) < x1
    )
    best, left, free = 0.0, x0 + 8, x0 + 2
    for start, end in [*level, (x1 - 2, x1)]:
        if start - free - 16 > best:
            best, left = start - free - 16, free + 8
        free = max(free, end)
    return left, _width(words) - best


def _joined(links: list[Link], count: int) -> tuple[list[Link], dict[int, int]]:
    """One loop for a state that several ops read a step later, and where it fans out to them.

    The points at which loops fan out are numbered from `count` on, each with its first reader.
    """
    loops: dict[tuple[int, int, str], list[Link]] = defaultdict(list)
    found = []
    for link in links:
        if link.edge.delay and not link.edge.label:
            loops[link.source, link.edge.delay, link.edge.via].append(link)
        else:
            found.append(link)
    found += [those[0] for those in loops.values() if len(those) == 1]
    joints: dict[int, int] = {}
    for those in loops.values():
        if len(those) > 1:
            n = count + len(joints)
            joints[n] = those[0].target
            found.append(those[0]._replace(target=n))
            found += [Link(n, t, replace(e, delay=0), "") for _, t, e, _ in those]
    return found, joints


def _written(e: Edge, source: Vertex) -> str:
    """What is written on an edge: a weight that acts along it, and of a loop the state."""
    return ", ".join(filter(None, (e.label, moment(e, source) if e.delay else "")))
