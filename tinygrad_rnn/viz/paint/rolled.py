"""The graph rolled back up: one cell for each section, states curving back into it."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from ..flow.table import ranges
from ..graph.columns import MANY, Column, Columns
from ..graph.elide import Slot
from ..graph.graph import Edge, Vertex
from ..layout.answer import LABEL
from ..layout.labels import low, shape_of
from ..layout.picture import HEADING, Box, Line, Picture, Point, Text, text_width
from ..layout.request import place
from ..layout.rows import rows_of
from ..layout.template import Cluster, Placed, Row, Template
from ..views import View
from .unrolled import framed, vertex_box


class Link(NamedTuple):
    """An edge of a rolled graph, from a member to another, and what is written on it."""

    source: int
    target: int
    edge: Edge
    label: str


def roll_up(columns: Columns) -> tuple[Columns, dict[int, str]]:
    """Columns with one cell in place of each section's steps, and what is written above each.

    The cell is the most common kind of step. Edges of steps that look otherwise are left out,
    and the heading says which those are; where one only cuts a state off, the cut is shown.
    """
    cells = _cells(columns)
    kept = [k for k, c in enumerate(columns.columns) if c.step is None or k in cells.values()]
    chosen = {k: columns.columns[k] for k in kept}
    headers = {}
    for section, k in cells.items():
        steps = [c for c in columns.columns if c.section == section and c.step is not None]
        others = [c for c in steps if c.signature != chosen[k].signature]
        headers[kept.index(k)] = _heading(len(steps), others)
        chosen[k] = _with_cuts(chosen[k], others)
    found: dict[tuple[int, int, int, int, str], Edge] = {}
    for e in columns.across:
        r = _rolled(columns, cells, e)
        if r is not None:
            found.setdefault((r.source, r.target, r.place, r.delay, r.via), r)
    edges = list(found.values())
    used = {number for e in edges for number in (e.source, e.target)}
    # what only steps of another kind read would lead nowhere
    shown = [c if c.step is not None else _without_strays(c, used) for c in chosen.values()]
    where = {
        v.number: (i, j)
        for i, c in enumerate(shown)
        for j, v in reversed(list(enumerate(c.members)))
    }
    return Columns(columns.graph, _told(columns, shown, edges), where, edges), headers


def _told(columns: Columns, chosen: list[Column], edges: list[Edge]) -> list[Column]:
    """Cells whose members know what they read of other steps: `0.5 × slowₜ₋₁`."""
    read: dict[int, dict[int, str]] = {}
    for e in edges:
        source = columns.graph.vertices[e.source]
        if e.delay and source.name:
            read.setdefault(e.target, {})[e.place] = _state(e, source)
    return [
        replace(c, members=[replace(v, earlier=read.get(v.number, {})) for v in c.members])
        for c in chosen
    ]


def _heading(steps: int, others: list[Column]) -> str:
    """How many steps there are, at which a state is cut off, and which look otherwise."""
    cut = [c.step or 0 for c in others if any(v.kind == "cut" for v in c.members)]
    rest = sorted({c.step or 0 for c in others} - set(cut))
    words = f"× {steps} steps"
    words += f"\ncut off (✂) at t = {ranges(cut)}" if cut else ""
    return words + (f"\nnot as shown: t = {ranges(rest)}" if rest else "")


def _with_cuts(cell: Column, others: list[Column]) -> Column:
    """A cell with the cuts that other steps begin with, each before what reads it there."""
    members, inner = list(cell.members), list(cell.inner)
    found: dict[tuple[str, int, int], list[int]] = {}  # name, reader, place: steps
    for c in others:
        for e in c.inner:
            v = c.members[e.source]
            target = _like(c, e.target, cell) if v.kind == "cut" else None
            if target is not None:
                found.setdefault((v.name, target, e.place), []).append(c.step or 0)
                first = v
    drawn: dict[tuple[str, str], int] = {}  # one cut may be read by several
    for (name, target, operand), steps in found.items():
        words = f"{name} at t = {ranges(steps)}"
        if (name, words) not in drawn:
            drawn[name, words] = len(members)
            members.append(replace(first, name=words, mark="", step=None))
        inner.append(Edge(drawn[name, words], target, operand))
    return replace(cell, members=members, inner=inner)


def _like(column: Column, k: int, cell: Column) -> int | None:
    """The place in a cell of what is `k` in another column: of its op, name and scope, as often."""

    def looks(v: Vertex) -> tuple[str, str, str, str]:
        return v.kind, v.op, v.name, v.scope

    same = [i for i, v in enumerate(column.members) if looks(v) == looks(column.members[k])]
    there = [i for i, v in enumerate(cell.members) if looks(v) == looks(column.members[k])]
    return there[same.index(k)] if len(there) == len(same) else None


def _without_strays(column: Column, used: set[int]) -> Column:
    """A column without what no edge leaves or enters."""
    inner = {k for e in column.inner for k in (e.source, e.target)}
    kept = [
        k for k, v in enumerate(column.members) if k in inner or v.number in used or v.kind == "op"
    ]
    at = {k: i for i, k in enumerate(kept)}
    inner_edges = [e.between(at[e.source], at[e.target]) for e in column.inner]
    return replace(column, members=[column.members[k] for k in kept], inner=inner_edges)


def _cells(columns: Columns) -> dict[float, int]:
    """For each section the first column of its most common kind."""
    kinds: dict[float, Counter[object]] = {}
    for c in columns.columns:
        if c.step is not None:
            kinds.setdefault(c.section, Counter())[c.signature] += 1
    best = {section: counter.most_common(1)[0][0] for section, counter in kinds.items()}
    found: dict[float, int] = {}
    for k, c in enumerate(columns.columns):
        if c.step is not None and c.signature == best[c.section]:
            found.setdefault(c.section, k)
    return found


def _rolled(columns: Columns, cells: dict[float, int], e: Edge) -> Edge | None:
    """An edge between columns as one between cells; None where an end is no like of its cell."""
    ends = []
    for number in (e.source, e.target):
        k, i = columns.where[number]
        column = columns.columns[k]
        k = k if column.step is None else cells[column.section]
        if column.signature != columns.columns[k].signature:
            return None
        ends.append((k, columns.columns[k].members[i].number, column.step or 0))
    (a, source, before), (b, target, after) = ends
    delay = after - before if a == b else 0
    many = len(columns.graph.into[e.target]) > MANY  # a stack of all steps is entered once
    place, via = 0 if many else e.place, e.via if delay else ""
    return Edge(source, target, place, delay, e.label, via)


class Rolled:
    """A rolled graph at one level of detail; nothing of it is left out."""

    chosen: tuple[Slot, ...] = ()

    def __init__(self, view: View):
        self.view = view
        self.cells, self.headers = roll_up(view.found)

    def picture(self) -> Picture:
        """The picture."""
        return paint_rolled(self.cells, self.headers, self.view.text, self.view.direction)

    def pictures(self) -> list[tuple[str, Picture]]:
        """What a page shows, by kind."""
        return [("forward", self.picture())]


def paint_rolled(
    cells: Columns,
    headers: dict[int, str],
    text: Callable[[Vertex, str], list[str]],
    direction: str,
) -> Picture:
    """The picture of a rolled graph, laid out by `dot` as a whole."""
    whole = _Whole(cells, headers, text)
    placed = _place(whole.template(direction))
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


class _Whole:
    """The cells as one template: members of all columns in a row, and where loops fan out."""

    def __init__(
        self,
        cells: Columns,
        headers: dict[int, str],
        text: Callable[[Vertex, str], list[str]],
    ):
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
        links = [
            Link(at[a], at[b], e, _moment(e, self.members[at[a]][2]) if e.delay else e.label)
            for a, b, e in ends
        ]
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


def _moment(e: Edge, source: Vertex) -> str:
    """What is written on a loop: a weight that acts along it, and the state."""
    state = _state(e, source)
    return f"{e.label}, {state}" if e.label else state


def _state(e: Edge, source: Vertex) -> str:
    """What a loop carries, and how far back: `hₜ₋₁`; against time it is `hₜ₊₁`."""
    word = f"t-{e.delay}" if e.delay > 0 else f"t+{-e.delay}"
    name = source.name if e.via in ("", source.op) else e.via
    return f"{name}{low(word)}" if name else word.replace("-", "−")
