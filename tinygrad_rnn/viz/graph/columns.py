"""Columns: which vertices stand under which step, and which columns are alike.

A section is a stretch of time: an encoder, then a decoder. Layers and directions
whose steps depend on each other only within a step share one section and stand
below each other. What belongs to no step stands between the sections.
"""

import re
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field

from .graph import Edge, Graph, Vertex

MANY = 4  # operands from which on all enter together
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")


@dataclass
class Column:
    """What stands below each other: one step of a section, or all between two sections."""

    section: float  # half a number: behind the section of that number
    step: int | None  # None between sections
    members: list[Vertex] = field(default_factory=list)
    inner: list[Edge] = field(default_factory=list)  # by place in `members`
    signature: Hashable = None


@dataclass
class Columns:
    """All columns from left to right, and where each vertex stands."""

    graph: Graph
    columns: list[Column]
    where: dict[int, tuple[int, int]]  # vertex: (column, place)
    across: list[Edge]  # from one column to another, by vertex numbers

    def operand(self, e: Edge) -> int:
        """Which operand an edge is drawn to; a stack of all steps is entered at one place."""
        into = self.graph.into[e.target]
        return 0 if self.graph.vertices[e.target].op == "stack" or len(into) > MANY else e.place


def arrange(graph: Graph, params: str = "stub") -> Columns:
    """Put the vertices of a graph in columns.

    `params`: "stub" draws a parameter beside each use, "node" once, "hide" never.
    """
    sections = sections_of(graph)
    homes = _homes(graph, sections)
    drawn = {homes[v.number] for v in graph.vertices if not _beside(v, params)}
    names = sorted(drawn, key=lambda k: (k[0], k[1] is not None, k[1] or 0))
    columns = [Column(*name) for name in names]
    index = {name: k for k, name in enumerate(names)}
    where: dict[int, tuple[int, int]] = {}

    def put(v: Vertex, k: int) -> int:
        columns[k].members.append(v)
        where.setdefault(v.number, (k, len(columns[k].members) - 1))
        return len(columns[k].members) - 1

    across: list[Edge] = []
    for v in graph.vertices:
        if _beside(v, params):
            continue
        k = index[homes[v.number]]
        stubs, inner = [], []
        for e in graph.into[v.number]:
            source = graph.vertices[e.source]
            if _beside(source, params):
                stubs += [(put(source, k), e)] if params == "stub" else []
            elif where[e.source][0] == k:
                inner.append((where[e.source][1], e))
            else:
                across.append(e)
        place = put(v, k)
        columns[k].inner += [e.between(s, place) for s, e in stubs + inner]
    found = Columns(graph, columns, where, across)
    _sign(found)
    return found


def _beside(v: Vertex, params: str) -> bool:
    """Whether it is drawn at each use, if at all: a parameter, but no learnable first state."""
    return v.kind == "parameter" and params != "node" and not (v.start and params == "stub")


def sections_of(graph: Graph) -> list[int]:
    """For each vertex the section it stands in, or, with no step, the one it stands before.

    A run of steps opens a new section when it needs a result of the section that a
    single step does not have yet: another step's value, or something made of many.
    """
    section = [0] * len(graph.vertices)
    after = [0] * len(graph.vertices)  # 1 + the last section it depends on
    runs = _runs(graph)
    members: dict[int, list[Vertex]] = defaultdict(list)
    for v, r in zip(graph.vertices, runs, strict=True):
        if r is not None:
            members[r].append(v)
    opened: dict[int, int] = {}  # run: section
    current = 0

    def needs_more(run: int) -> bool:
        """Whether a run needs more than the same step's values of the runs in the section now."""
        for v in members[run]:
            for e in graph.into[v.number]:
                source, other = graph.vertices[e.source], runs[e.source]
                if other is None and source.kind == "op" and after[e.source] > current:
                    return True
                if other in opened and opened[other] == current and source.step != v.step:
                    return True
        return False

    for v, r in zip(graph.vertices, runs, strict=True):
        depth = max((after[e.source] for e in graph.into[v.number]), default=0)
        if r is None:
            section[v.number] = after[v.number] = depth
            continue
        if r not in opened:
            current += needs_more(r)
            opened[r] = current
        section[v.number] = opened[r]
        after[v.number] = max(depth, opened[r] + 1)
    return section


def _runs(graph: Graph) -> list[int | None]:
    """The run each op with a step belongs to: steps that go up one by one, or down.

    A backward direction starts at the step where the forward one ends: what is new there
    against the step before belongs to it.
    """
    found: list[int | None] = [None] * len(graph.vertices)
    run, direction = 0, 0
    groups: list[list[Vertex]] = []  # of the run, one a step
    for v in graph.vertices:
        if v.step is None or v.kind != "op":
            continue
        last = groups[-1][-1].step if groups else v.step
        move = v.step - (v.step if last is None else last)
        if not groups or move:
            if move and direction and move != direction:
                run, direction = run + 1, 0
                late = _turning(groups)
                for u in late:
                    found[u.number] = run
                if late and late[0].step is not None:
                    direction = v.step - late[0].step
                groups = [late] if late else []
            elif move:
                direction = move
            groups.append([])
        groups[-1].append(v)
        found[v.number] = run
    return found


def _turning(groups: list[list[Vertex]]) -> list[Vertex]:
    """Vertices that are new in a run's last step: the first of the next run."""
    if len(groups) < 2:
        return []
    scopes = {v.scope for v in groups[-2]}
    new = (k for k, v in enumerate(groups[-1]) if v.scope not in scopes or k >= len(groups[-2]))
    return groups[-1][next(new, len(groups[-1])) :]


def _homes(graph: Graph, sections: list[int]) -> dict[int, tuple[float, int | None]]:
    """Each vertex's column: (section, step); what comes from outside goes to its first use.

    A constant or a state that the first step starts from stands before the section, where
    other steps have the step before, so that all cells look the same; what a state begins with
    that runs against time stands behind it.
    """
    homes: dict[int, tuple[float, int | None]] = {}
    steps: dict[float, set[int]] = defaultdict(set)  # by section
    for v in graph.vertices:
        if v.kind == "op":
            homes[v.number] = sections[v.number], v.step
            if v.step is not None:
                steps[sections[v.number]].add(v.step)
    ends = [(graph.vertices[e.source], graph.vertices[e.target]) for e in graph.edges]
    against = {
        b.scope for a, b in ends if a.step is not None and b.step is not None and a.step > b.step
    }
    for v in graph.vertices:
        if v.kind == "op":
            continue
        uses = {homes[e.target] for e in graph.outof[v.number]}
        section = min(s for s, _ in uses)
        first, last = ((section, end(steps[section], default=None)) for end in (min, max))
        begins = v.start or v.kind == "constant"
        scopes = {graph.vertices[e.target].scope for e in graph.outof[v.number]}
        if v.step is not None and (section, v.step) in uses:
            homes[v.number] = section, v.step
        elif uses == {last} and begins and scopes <= against:
            homes[v.number] = section + 0.5, None
        elif len(uses) == 1 and not v.start and (v.kind != "constant" or uses != {first}):
            homes[v.number] = uses.pop()
        else:
            homes[v.number] = section, None
    return homes


def _sign(found: Columns) -> None:
    """Give columns that look alike, numbers and names of inputs apart, the same signature."""
    for column in found.columns:
        looks = tuple(
            (v.kind, v.op, _name(v), len(v.shape), v.scope, _NUMBER.sub("#", v.note),
             tuple(v.numbers), v.dtype)
            for v in column.members
        )  # fmt: skip
        inner = tuple((e.source, e.target, e.place) for e in column.inner)
        column.signature = (column.step is not None, looks, inner)


def _name(v: Vertex) -> str:
    return _NUMBER.sub("#", v.name) if v.kind in ("op", "parameter") else ""
