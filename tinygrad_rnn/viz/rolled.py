"""The graph rolled back up: one cell for each section, states curving back into it."""

from collections import Counter

from .columns import MANY, Column, Columns
from .graph import Edge


def roll_up(columns: Columns) -> tuple[Columns, dict[int, str]]:
    """Columns with one cell in place of each section's steps, and what is written above each.

    The cell is the most common kind of step. Edges of steps that look otherwise are
    left out, and the heading says how many those are.
    """
    cells = _cells(columns)
    kept = [k for k, c in enumerate(columns.columns) if c.step is None or k in cells.values()]
    place = {k: i for i, k in enumerate(kept)}
    headers = {}
    for section, k in cells.items():
        members = [c for c in columns.columns if c.section == section and c.step is not None]
        other = sum(c.signature != columns.columns[k].signature for c in members)
        words = f", {other} of them otherwise" if other else ""
        headers[place[k]] = f"× {len(members)} steps{words}"
    chosen = [columns.columns[k] for k in kept]
    where = {
        v.number: (place[k], i)
        for k in kept
        for i, v in reversed(list(enumerate(columns.columns[k].members)))
    }
    found: dict[tuple[int, int, int, int], Edge] = {}
    for e in columns.across:
        rolled = _rolled(columns, cells, place, chosen, e)
        if rolled is not None:
            found.setdefault((rolled.source, rolled.target, rolled.place, rolled.delay), rolled)
    edges = list(found.values())
    used = {number for e in edges for number in (e.source, e.target)}
    for i, c in enumerate(chosen):
        if c.step is None:  # what only steps of another kind read would lead nowhere
            chosen[i] = slim = _without_strays(c, used)
            where.update({v.number: (i, j) for j, v in reversed(list(enumerate(slim.members)))})
    return Columns(columns.graph, chosen, where, edges), headers


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


def _cells(columns: Columns) -> dict[int, int]:
    """For each section the first column of its most common kind."""
    kinds: dict[int, Counter[object]] = {}
    for c in columns.columns:
        if c.step is not None:
            kinds.setdefault(c.section, Counter())[c.signature] += 1
    best = {section: counter.most_common(1)[0][0] for section, counter in kinds.items()}
    found: dict[int, int] = {}
    for k, c in enumerate(columns.columns):
        if c.step is not None and c.signature == best[c.section]:
            found.setdefault(c.section, k)
    return found


def _rolled(
    columns: Columns,
    cells: dict[int, int],
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
    delay = 0
    if a == b:
        delay = (steps[1] or 0) - (steps[0] or 0)
    many = len(columns.graph.into[e.target]) > MANY  # a stack of all steps is entered once
    operand = 0 if many else e.place
    return Edge(chosen[a].members[i].number, chosen[b].members[j].number, operand, delay)
