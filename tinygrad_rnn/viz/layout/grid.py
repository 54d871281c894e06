"""Where everything of an unrolled graph stands: a grid of columns, one a step.

Each kind of column is laid out once, and stamped wherever it occurs.
"""

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from ..graph.columns import Columns
from ..graph.elide import Slot
from ..graph.graph import Edge
from .highways import highways
from .labels import Words, shape_of
from .picture import Point
from .ports import Ports
from .request import place
from .routes import Rail, Routes
from .rows import rows_of
from .template import Highways, Placed, Port, Template

# inches between boxes, and points between columns where there are many of them, and few
APART = {"op": 0.16, "edges": 0.16, "gate": 0.09, "cell": 0.08}
GUTTERS = {"op": (36.0, 36.0), "edges": (36.0, 36.0), "gate": (18.0, 18.0), "cell": (18.0, 34.0)}
FEW = 7  # columns
HEADER, GAP = 22.0, 104.0  # height of a heading, width of a stretch of hidden columns
MARGINS = {"op": 14.0, "edges": 14.0, "gate": 7.0, "cell": 2.0}  # from nodes to the column's border


class Way(NamedTuple):
    """Edges of one source that enter a column together, or one that goes to hidden steps."""

    source: int
    a: int  # slots
    b: int
    out: Port
    into: Port
    edges: list[Edge]
    rail: Rail


class Grid:
    """Geometry of all columns shown."""

    def __init__(self, columns: Columns, shown: list[Slot], text: Words, direction: str):
        self.columns, self.slots, self.direction = columns, shown, direction
        level = columns.graph.level
        # a box a step needs no frame around it, and names with subscripts no heading
        self.framed, self.close = level in ("op", "gate"), level == "cell"
        self.margin = MARGINS[level]
        self.at = {
            k: i for i, s in enumerate(shown) for k in range(s.first, s.last + 1)
        }  # column: slot
        steps = [i for i, s in enumerate(shown) if columns.columns[s.first].step is not None]
        self.ends = steps[:1] + steps[-1:]  # slots of the first step and of the last
        self.texts = {
            (s.first, i): text(v, "" if step is None else str(step))
            for s in shown
            if s.shown
            for step in [columns.columns[s.first].step]
            for i, v in enumerate(columns.columns[s.first].members)
        }
        self.crossing = [e for e in columns.across if self._visible(e)]
        self.ports = Ports(columns, self.crossing)
        self.placed = self._templates()
        self.ways = self._ways()
        self._stamp()

    def _visible(self, e: Edge) -> bool:
        """Whether at least one end is shown, and the other is shown or in the next gap."""
        a, b = self.at[self.columns.where[e.source][0]], self.at[self.columns.where[e.target][0]]
        here, there = self.slots[a].shown, self.slots[b].shown
        return (here and there) or ((here or there) and abs(a - b) == 1)

    def _templates(self) -> dict[Hashable, Placed]:
        """One layout for each kind of column, all by Graphviz."""
        ports, states = self.ports.by_kind(), self.ports.states()
        longest: dict[Hashable, list[list[str]]] = {}
        firsts: dict[Hashable, int] = {}
        for s in self.slots:
            if s.shown:
                column = self.columns.columns[s.first]
                firsts.setdefault(column.signature, s.first)
                texts = [self.texts[s.first, i] for i in range(len(column.members))]
                known = longest.setdefault(column.signature, texts)
                longest[column.signature] = [
                    [max(a, b, key=len) for a, b in zip(one, other, strict=True)]
                    if len(one) == len(other) else max(one, other, key=len)
                    for one, other in zip(known, texts, strict=True)
                ]  # fmt: skip
        templates = []
        for kind, k in firsts.items():
            column = self.columns.columns[k]
            rows, scopes = rows_of(column, cells=self.close)
            scopes = scopes if self.framed else dict.fromkeys(scopes, "")
            own = ports[kind]
            level = self.framed and self.direction != "right"
            ways = highways(column, own, states[kind]) if level else Highways()
            self.ports.part(kind, own, ways)
            templates.append(
                Template(
                    longest[kind],
                    [shape_of(self.columns.graph, v) for v in column.members],
                    rows,
                    scopes,
                    [(e.source, e.target) for e in column.inner],
                    [e.label for e in column.inner],
                    own,
                    self.ports.labels(kind, own),
                    self.direction,
                    close=self.close,
                    apart=APART[self.columns.graph.level],
                    ways=ways,
                )
            )
        return dict(zip(firsts, place(templates), strict=True))

    # ways between columns -----------------------------------------------------

    def _ways(self) -> list[Way]:
        """What runs between columns, edges of one source into one column together."""
        up = self.direction == "up"
        found: dict[Any, Way] = {}
        for e in self.crossing:
            (ca, i), (cb, j) = self.columns.where[e.source], self.columns.where[e.target]
            a, b, out, into = self.at[ca], self.at[cb], self.ports.way_out(e), self.ports.way_in(e)
            source, target = self.columns.columns[ca], self.columns.columns[cb]
            # what comes from before the loop runs where inputs enter, what goes on where they leave
            key: tuple[Hashable, ...]
            if source.step is None:
                key, above = ("from", e.source), not up
            elif target.step is None or target.section != source.section:
                key, above = ("to", e.target), up
            else:
                key, above = ("skip", i, j, e.place, cb - ca, ca % (abs(cb - ca) + 1)), up
            rail = Rail((a, b), (out.side, into.side), key, above, e.source)
            hidden = not self.slots[a].shown or not self.slots[b].shown
            name = (e.source if self.slots[a].shown else -1, b if hidden else cb, into)
            way = found.setdefault(name, Way(e.source, a, b, out, into, [], rail))
            way.edges.append(e)
        return list(found.values())

    def _stamp(self) -> None:
        """x of every slot: as wide as its column, with gutters as wide as their traffic."""
        self.shown: list[Placed | None] = [
            self.placed[self.columns.columns[s.first].signature] if s.shown else None
            for s in self.slots
        ]
        self._beside()
        self.tops = self._tops()
        bottoms = [
            top + p.height if p else 0.0 for top, p in zip(self.tops, self.shown, strict=True)
        ]
        gutter = GUTTERS[self.columns.graph.level][len(self.slots) <= FEW]
        self.routes = Routes([w.rail for w in self.ways], bottoms, gutter)
        self.x, x = [], 0.0
        for i, p in enumerate(self.shown):
            x += self.routes.gutter(i)
            self.x.append(x)
            x += p.width if p else GAP
        self.width = x + self.routes.gutter(len(self.slots))
        headed = self.framed and any(c.step is not None for c in self.columns.columns)
        self.top = HEADER * headed + self.routes.headroom() + self.margin
        tops = [t for t, s in zip(self.tops, self.slots, strict=True)
                if s.shown and self.columns.columns[s.first].step is not None]  # fmt: skip
        lanes = bool(self.routes.headroom())  # a heading stands above them, else above the steps
        self.heading = HEADER - 8 + (0.0 if lanes else min(tops, default=0.0))
        self.height = self.top + max(*bottoms, self.routes.lowest(), 0.0) + self.margin

    def _beside(self) -> None:
        """Put what a loop starts from at the height where it enters the first column."""
        for i, (s, p) in enumerate(zip(self.slots, self.shown, strict=True)):
            column = self.columns.columns[s.first]
            if p is None or any(v.kind == "op" for v in column.members):
                continue
            wanted = [0.0] * len(column.members)
            for way in self.ways:
                there = self.shown[way.b]
                if way.a == i and there:
                    wanted[self.columns.where[way.source][1]] = there.ports[way.into][1]
            width, y = max(w for _, _, w, _ in p.boxes), 0.0
            boxes = list(p.boxes)
            for k in sorted(range(len(boxes)), key=lambda k: wanted[k]):
                _, _, w, h = boxes[k]
                y = max(wanted[k], y + h / 2)
                boxes[k] = (width / 2, y, w, h)
                y += h / 2 + 6
            ends = {port: (width * (port.side > 0), boxes[k][1]) for port, k in p.branches}
            ways = {
                (port, k): [
                    (width / 2 + port.side * boxes[k][2] / 2, boxes[k][1]),
                    *[ends[port]] * 3,
                ]
                for port, k in p.branches
            }
            self.shown[i] = replace(p, width=width, height=y - 6, boxes=boxes, ports=ends,
                                    branches=ways)  # fmt: skip

    def _tops(self) -> list[float]:
        """Where each column begins: steps in line with each other, others where states enter."""
        lowest = max((p.height for p in self.shown if p), default=0.0)
        tops = []
        for s, p in zip(self.slots, self.shown, strict=True):
            leaves = all(v.kind != "op" for v in self.columns.columns[s.first].members)
            tops.append(lowest - p.height if p and self.direction == "up" and not leaves else 0.0)
        for i, (s, p) in enumerate(zip(self.slots, self.shown, strict=True)):
            if p is None or self.columns.columns[s.first].step is not None:
                continue
            moves = []
            for w in self.ways:
                here, there = (w.into, w.out) if w.b == i else (w.out, w.into)
                other = w.a if w.b == i else w.b
                beside = self.shown[other]
                if i in (w.a, w.b) and abs(w.a - w.b) == 1 and beside:
                    moves.append(tops[other] + beside.ports[there][1] - p.ports[here][1])
            if moves:
                tops[i] = sorted(moves)[len(moves) // 2]
        first = min((t for t, p in zip(tops, self.shown, strict=True) if p), default=0.0)
        return [t - first for t in tops]

    def moved(self, i: int, points: Iterable[Point]) -> list[Point]:
        """A column's own points in the picture."""
        dx, dy = self.x[i], self.top + self.tops[i]
        return [(x + dx, y + dy) for x, y in points]

    def name(self, column: int, i: int) -> str:
        """The id of a box: the number of its vertex, and of the use for a stub."""
        v = self.columns.columns[column].members[i]
        if self.columns.where[v.number] == (column, i):
            return f"n{v.number}"
        return f"n{v.number}at{column}x{i}"
