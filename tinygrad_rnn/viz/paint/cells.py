"""Columns rolled up: one cell in place of each section's steps."""

from collections import Counter, defaultdict
from dataclasses import replace

from ..flow.table import ranges
from ..graph.columns import Column, Columns
from ..graph.graph import Edge, Vertex
from ..layout.labels import low


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
    read: dict[int, dict[int, str]] = defaultdict(dict)
    for e in edges:
        source = columns.graph.vertices[e.source]
        if e.delay and source.name:
            read[e.target][e.place] = moment(e, source)
    return [
        replace(c, members=[replace(v, earlier=read[v.number]) for v in c.members]) for c in chosen
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
    kinds: dict[float, Counter[object]] = defaultdict(Counter)
    firsts: dict[tuple[float, object], int] = {}
    for k, c in enumerate(columns.columns):
        if c.step is not None:
            kinds[c.section][c.signature] += 1
            firsts.setdefault((c.section, c.signature), k)
    return {section: firsts[section, n.most_common(1)[0][0]] for section, n in kinds.items()}


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
    return Edge(source, target, columns.operand(e), delay, e.label, e.via if delay else "")


def moment(e: Edge, source: Vertex) -> str:
    """What a loop carries, and how far back: `hₜ₋₁`; against time it is `hₜ₊₁`."""
    word = f"t-{e.delay}" if e.delay > 0 else f"t+{-e.delay}"
    name = source.name if e.via in ("", source.op) else e.via
    return f"{name}{low(word)}" if name else word.replace("-", "−")
