"""The graph rolled back up: one cell for each section, states curving back into it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from ..flow.table import ranges
from ..graph.columns import MANY, Column, Columns
from ..graph.graph import Edge, Vertex
from ..layout.answer import LABEL
from ..layout.labels import facts_of, kind_of, low, shape_of
from ..layout.picture import HEADING, Box, Line, Picture, Point, Text, text_width
from ..layout.request import place
from ..layout.rows import rows_of
from ..layout.template import Cluster, Placed, Row, Template
from .unrolled import framed

Link = tuple[int, int, Edge]  # from a member of a rolled graph to another


def roll_up(columns: Columns) -> tuple[Columns, dict[int, str]]:
    """Columns with one cell in place of each section's steps, and what is written above each.

    The cell is the most common kind of step. Edges of steps that look otherwise are left out,
    and the heading says which those are; where one only cuts a state off, the cut is shown.
    """
    cells = _cells(columns)
    kept = [k for k, c in enumerate(columns.columns) if c.step is None or k in cells.values()]
    place = {k: i for i, k in enumerate(kept)}
    headers, with_cuts = {}, {}
    for section, k in cells.items():
        members = [c for c in columns.columns if c.section == section and c.step is not None]
        headers[place[k]] = _heading(members, columns.columns[k])
        others = [c for c in members if c.signature != columns.columns[k].signature]
        with_cuts[k] = _with_cuts(columns.columns[k], others)
    chosen = [with_cuts.get(k, columns.columns[k]) for k in kept]
    where = {
        v.number: (i, j)
        for i, c in enumerate(chosen)
        for j, v in reversed(list(enumerate(c.members)))
    }
    found: dict[tuple[int, int, int, int, str], Edge] = {}
    for e in columns.across:
        r = _rolled(columns, cells, place, chosen, e)
        if r is not None:
            found.setdefault((r.source, r.target, r.place, r.delay, r.via), r)
    edges = list(found.values())
    used = {number for e in edges for number in (e.source, e.target)}
    for i, c in enumerate(chosen):
        if c.step is None:  # what only steps of another kind read would lead nowhere
            chosen[i] = slim = _without_strays(c, used)
            where.update({v.number: (i, j) for j, v in reversed(list(enumerate(slim.members)))})
    return Columns(columns.graph, _told(columns, chosen, edges), where, edges), headers


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


def _heading(members: list[Column], cell: Column) -> str:
    """How many steps there are, at which a state is cut off, and which look otherwise."""
    others = [c for c in members if c.signature != cell.signature]
    cut = [c.step or 0 for c in others if any(v.kind == "cut" for v in c.members)]
    rest = sorted({c.step or 0 for c in others} - set(cut))
    words = f"× {len(members)} steps"
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
    return Column(
        column.section,
        None,
        [column.members[k] for k in kept],
        [Edge(at[e.source], at[e.target], e.place) for e in column.inner],
        (column.signature, tuple(kept)),
    )


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


def _rolled(
    columns: Columns,
    cells: dict[float, int],
    place: dict[int, int],
    chosen: list[Column],
    e: Edge,
) -> Edge | None:
    """An edge between columns as one between cells; None where an end is no like of its cell."""
    ends, steps = [], []
    for number in (e.source, e.target):
        k, i = columns.where[number]
        column = columns.columns[k]
        cell = k if column.step is None else cells[column.section]
        if column.signature != columns.columns[cell].signature:
            return None
        ends.append((place[cell], i))
        steps.append(column.step)
    (a, i), (b, j) = ends
    delay = (steps[1] or 0) - (steps[0] or 0) if a == b else 0
    via = e.via if delay else ""
    many = len(columns.graph.into[e.target]) > MANY  # a stack of all steps is entered once
    operand = 0 if many else e.place
    return Edge(
        chosen[a].members[i].number, chosen[b].members[j].number, operand, delay, e.label, via
    )


def paint_rolled(
    cells: Columns,
    headers: dict[int, str],
    text: Callable[[Vertex, str], list[str]],
    direction: str = "up",
) -> Picture:
    """The picture of a rolled graph, laid out by `dot` as a whole."""
    graph, whole = cells.graph, _Whole(cells, headers, text)
    placed = _place(whole.template(headers, direction))
    picture = Picture("rolled graph", width=placed.width, height=placed.height)
    for words, x0, y0, x1, y1 in placed.clusters:
        middle, size = ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0)
        picture.boxes.append(Box(*middle, *size, "column", title=words.replace("\n", ", ")))
        lines, (x, _) = words.split("\n"), _beside((x0, y0, x1), words, placed.edges)
        for k, line in enumerate(lines):
            at = y0 + 4 + HEADING * (1 + 1.25 * k)
            picture.texts.append(Text(x, at, line, HEADING, start=True))
    for scope, x0, y0, x1, y1 in placed.frames:
        framed(picture, scope, (x0, y0), (x1, y1))
    ids = []
    for n, (x, y, w, h) in enumerate(placed.boxes):
        if n >= len(whole.vertices):
            ids.append(f"j{n}")
            picture.boxes.append(Box(x, y, 3.0, 3.0, "junction", name=ids[n]))
            continue
        v = whole.vertices[n]
        first = cells.where[v.number] == whole.members[n]
        ids.append(f"n{v.number}" if first else f"n{v.number}at{n}")
        picture.boxes.append(
            Box(x, y, w, h, kind_of(graph, v), whole.lines[n], name=ids[n],
                shape=shape_of(graph, v)[0], vertex=v.head, facts=facts_of(v), parts=v.parts,
                column=whole.members[n][0])
        )  # fmt: skip
    for n, (s, t, e) in enumerate(whole.edges):
        state = e.delay or s in whole.joints
        picture.lines.append(
            Line(placed.edges[n], ids[s], ids[t], "state" if state else "edge", edges=(e,),
                 head="none" if t in whole.joints else "normal", label=whole.labels[n],
                 at=placed.labels[n])
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
        self.cells = cells
        columns = list(enumerate(cells.columns))
        self.members = [(k, i) for k, c in columns for i in range(len(c.members))]
        self.vertices = [cells.columns[k].members[i] for k, i in self.members]
        self.lines = [
            text(v, "t" if k in headers else "")
            for v, (k, _) in zip(self.vertices, self.members, strict=True)
        ]
        at = {name: n for n, name in enumerate(self.members)}
        edges = [(at[k, e.source], at[k, e.target], e) for k, c in columns for e in c.inner]
        edges += [(at[cells.where[e.source]], at[cells.where[e.target]], e) for e in cells.across]
        self.edges, self.joints = _joined(edges, len(self.members))
        self.labels = [
            _moment(e, self.vertices[s]) if e.delay else e.label for s, _, e in self.edges
        ]
        self.inside = {k: [at[k, i] for i in range(len(c.members))] for k, c in columns}
        for joint, reader in self.joints.items():
            self.inside[self.members[reader][0]].append(joint)

    def template(self, headers: dict[int, str], direction: str) -> Template:
        """All that `dot` is asked for."""
        rows: list[Row] = []
        scopes: dict[Row, str] = {}
        graph, clusters = self.cells.graph, []
        for k, c in enumerate(self.cells.columns):
            own, scopes_of = rows_of(c, k)
            rows += own
            framed_too = len(scopes_of) > 1 and k in headers and graph.level != "cell"
            scopes |= scopes_of if framed_too else dict.fromkeys(scopes_of, "")
            if k in headers:
                words = headers[k]
                height = HEADING * 1.25 * (1 + words.count("\n")) + LABEL * framed_too
                clusters.append(Cluster(words, self.inside[k], _width(words), height))
        joints = list(self.joints.values())
        return Template(
            self.lines + [[""]] * len(joints),
            [shape_of(graph, v) for v in self.vertices] + [("point", 0.04, 0.04)] * len(joints),
            rows + [rows[t] for t in joints],
            scopes,
            [(s, t) for s, t, _ in self.edges],
            self.labels,
            {},
            {},
            direction,
            {n for n, (_, _, e) in enumerate(self.edges) if e.delay},
            clusters,
        )


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


def _joined(edges: list[Link], count: int) -> tuple[list[Link], dict[int, int]]:
    """One loop for a state that several ops read a step later, and where it fans out to them.

    The points at which loops fan out are numbered from `count` on, each with its first reader.
    """
    loops: dict[tuple[int, int, str], list[Link]] = {}
    for link in edges:
        if link[2].delay and not link[2].label:
            loops.setdefault((link[0], link[2].delay, link[2].via), []).append(link)
    joints: dict[int, int] = {}
    alone = [link for those in loops.values() if len(those) < 2 for link in those]
    found = [link for link in edges if not link[2].delay or link[2].label] + alone
    for (s, *_), those in loops.items():
        if len(those) > 1:
            n = count + len(joints)
            joints[n] = those[0][1]
            found.append((s, n, those[0][2]))
            found += [(n, t, replace(e, delay=0)) for _, t, e in those]
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
