"""The unrolled graph, one column a step: each kind of column is laid out once and stamped.

Edges between columns leave and enter at the borders, in lanes between the layers,
and run through the gutters: none passes through a column it does not belong to.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import GraphError
from .columns import MANY, Columns
from .graph import Edge, Vertex
from .labels import kind_of, title_of
from .layered import MARGIN, Placed, Port, place
from .picture import LINE, Box, Line, Picture, Point, Text, text_width
from .routes import BUS, GAP_WIDTH, LOOP, Routes

EDGE_STEPS = 3  # shown at either end of a long sequence
HEADER = 22.0


class Slot(NamedTuple):
    """One place along the time axis: a column, or columns left out."""

    first: int
    last: int  # the column itself, or the last one hidden
    shown: bool


def slots(columns: Columns, steps: Any, max_steps: int, who: str) -> list[Slot]:
    """Which columns are shown: `steps` is "auto", "all", a slice or a list of step numbers."""
    if not isinstance(max_steps, int) or max_steps < 1:
        raise GraphError(f"{who}: max_steps must be a whole number above 0, got {max_steps!r:.40}")
    by_section: dict[int, list[int]] = defaultdict(list)
    for k, c in enumerate(columns.columns):
        if c.step is not None:
            by_section[c.section].append(k)
    shown = {k for k, c in enumerate(columns.columns) if c.step is None}
    for members in by_section.values():
        shown.update(members[i] for i in _chosen(len(members), steps, max_steps, who))
    found: list[Slot] = []
    for k in range(len(columns.columns)):
        if k in shown:
            found.append(Slot(k, k, True))
        elif found and not found[-1].shown:
            found[-1] = Slot(found[-1].first, k, False)
        else:
            found.append(Slot(k, k, False))
    return found


def _chosen(n: int, steps: Any, max_steps: int, who: str) -> Iterable[int]:
    if isinstance(steps, slice):
        return range(n)[steps]
    if isinstance(steps, str) and steps == "all":
        return range(n)
    if isinstance(steps, str) and steps == "auto":
        if n <= max_steps:
            return range(n)
        ends = max(1, min(EDGE_STEPS, max_steps // 2))
        return [*range(ends), *range(n - ends, n)]
    if isinstance(steps, Sequence) and not isinstance(steps, str):
        if all(isinstance(t, int) and -n <= t < n for t in steps) and len(steps):
            return [t % n for t in steps]
    raise GraphError(
        f"{who}: steps must be 'auto', 'all', a slice or a list of numbers from {-n} to {n - 1}; "
        f"got {steps!r:.80}"
    )


class Unrolled:
    """Geometry of all columns shown; `paint` turns it into a picture."""

    def __init__(
        self,
        columns: Columns,
        shown: list[Slot],
        text: Callable[[Vertex, str], list[str]],
        headers: Mapping[int, str] | None = None,
    ):
        self.columns, self.slots, self.text = columns, shown, text
        self.headers = headers  # by column, in a rolled graph
        self.at = {
            k: i for i, s in enumerate(shown) for k in range(s.first, s.last + 1)
        }  # column: slot
        self.lines_of_text: dict[tuple[int, int], list[str]] = {}
        self.sizes: dict[Any, list[tuple[float, float]]] = {}
        self._measure()
        self.crossing = [e for e in columns.across if self._visible(e)]
        self.placed = self._layouts()
        self._stamp()

    def _visible(self, e: Edge) -> bool:
        """Whether at least one end is shown, and the other is shown or in the next gap."""
        a, b = self.at[self.columns.where[e.source][0]], self.at[self.columns.where[e.target][0]]
        here, there = self.slots[a].shown, self.slots[b].shown
        return (here and there) or ((here or there) and abs(a - b) == 1)

    def _measure(self) -> None:
        """Size of each box: that of the longest text in its place in columns of its kind."""
        for s in self.slots:
            if not s.shown:
                continue
            column = self.columns.columns[s.first]
            widest = self.sizes.setdefault(column.signature, [(0.0, 0.0)] * len(column.members))
            for i, v in enumerate(column.members):
                lines = self.text(v, self._time(column.step))
                self.lines_of_text[s.first, i] = lines
                w = max(text_width(t) for t in lines) + 12
                h = LINE * len(lines) + 8
                widest[i] = max(widest[i][0], w, 34.0), max(widest[i][1], h)

    def _time(self, step: int | None) -> str:
        return "" if step is None else "t" if self.headers is not None else str(step)

    def ports_of(self, e: Edge) -> tuple[Port, Port]:
        """Where an edge between columns leaves and enters."""
        (a, i), (b, j) = self.columns.where[e.source], self.columns.where[e.target]
        side = 1 if (a, 0) < (b, e.delay) else -1
        # what gathers many steps has one entrance for all
        many = len(self.columns.graph.into[e.target]) > MANY
        return Port(i, side, -1), Port(j, -side, 0 if many else e.place)

    def _layouts(self) -> dict[Any, Placed]:
        """One layout for each kind of column."""
        ports: dict[Any, set[Port]] = defaultdict(set)
        for e in self.crossing:
            leave, enter = self.ports_of(e)
            a, b = self.columns.where[e.source][0], self.columns.where[e.target][0]
            ports[self.columns.columns[a].signature].add(leave)
            ports[self.columns.columns[b].signature].add(enter)
        found = {}
        for s in self.slots:
            column = self.columns.columns[s.first]
            if not s.shown or column.signature in found:
                continue
            sizes = self.sizes[column.signature]
            found[column.signature] = place(
                sizes,
                [(e.source, e.target) for e in column.inner],
                [v.kind != "op" for v in column.members],
                [v.scope for v in column.members],
                sorted(ports[column.signature]),
            )
        return found

    def layout(self, k: int) -> Placed:
        """The layout of column k."""
        return self.placed[self.columns.columns[k].signature]

    def _stamp(self) -> None:
        """x of every slot: as wide as its column, with gutters as wide as their traffic."""
        self.routes = Routes(self)
        self.x: list[float] = []
        x = 0.0
        for i, s in enumerate(self.slots):
            x += self.routes.gutter(i)
            self.x.append(x)
            x += self.layout(s.first).width if s.shown else GAP_WIDTH
        self.width = x + self.routes.gutter(len(self.slots))
        self.top = HEADER + BUS * self.routes.lanes_above + 8.0
        self.heights = [self.layout(s.first).height if s.shown else 0.0 for s in self.slots]
        loops = max((len(keys) for keys in self.routes.loops.values()), default=0)
        depth = max(max(self.heights, default=0.0), self.routes.lowest())
        self.bottom = self.top + depth + LOOP * loops + 14.0

    def stamp(self, slot: int, points: Iterable[Point]) -> list[Point]:
        """A column's own points in the picture."""
        dx = self.x[slot]
        return [(x + dx, y + self.top) for x, y in points]

    def name(self, column: int, i: int) -> str:
        """The id of a box: the number of its vertex, and of the use for a stub."""
        v = self.columns.columns[column].members[i]
        if self.columns.where[v.number] == (column, i):
            return f"n{v.number}"
        return f"n{v.number}at{column}x{i}"

    def paint(self, title: str, direction: str = "down") -> Picture:
        """The picture without any gradient; within a step ops run down or up."""
        picture = Picture(title, width=self.width, height=self.bottom)
        for i, s in enumerate(self.slots):
            (self._paint_column if s.shown else self._paint_gap)(picture, i, s)
        for i, s in enumerate(self.slots):
            if s.shown:
                self._paint_inner(picture, i, s.first)
        for e in self.crossing:
            line = self._crossing_line(e)
            picture.lines.append(line)
            if e.delay:
                word = f"t−{e.delay}" if e.delay > 0 else f"t+{-e.delay}"  # against time
                picture.texts.append(Text(*self.routes.label(e), word, 10.0))
        if direction == "up":
            picture.turn_up(HEADER)
        return picture

    def _paint_column(self, picture: Picture, i: int, s: Slot) -> None:
        column, layout = self.columns.columns[s.first], self.layout(s.first)
        x0, x1 = self.x[i] - MARGIN, self.x[i] + layout.width + MARGIN
        if column.step is not None:
            picture.boxes.append(Box((x0 + x1) / 2, self.top + layout.height / 2, x1 - x0,
                                     layout.height + 8, "column", step=column.step))  # fmt: skip
            header = f"t = {column.step}" if self.headers is None else self.headers[s.first]
            picture.texts.append(Text((x0 + x1) / 2, HEADER - 8, header, 13.0))
        for scope, fx0, fy0, fx1, fy1 in layout.frames:
            (x0, y0), (x1, y1) = self.stamp(i, [(fx0, fy0), (fx1, fy1)])
            picture.boxes.append(Box((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, "frame",
                                     dash="dashed", title=scope))  # fmt: skip
            picture.texts.append(Text(x0 + 5, y0 + 10, scope[-40:], 9.0, start=True))
        for k, v in enumerate(column.members):
            w, h = self.sizes[column.signature][k]
            ((x, y),) = self.stamp(i, [layout.centres[k]])
            kind = kind_of(v, self.columns.graph.output)
            picture.boxes.append(
                Box(
                    x,
                    y,
                    w,
                    h,
                    kind,
                    self.lines_of_text[s.first, k],
                    title_of(v),
                    self.name(s.first, k),
                    column.step,
                    data=_data(v),
                )
            )

    def _paint_gap(self, picture: Picture, i: int, s: Slot) -> None:
        hidden = [self.columns.columns[k].step for k in range(s.first, s.last + 1)]
        beside = [h for h in self.heights[max(i - 1, 0) : i + 2] if h]
        x, y = self.x[i] + GAP_WIDTH / 2, self.top + min(beside, default=0.0) / 2
        word = "step" if len(hidden) == 1 else "steps"
        kinds = {self.columns.columns[k].signature for k in range(s.first, s.last + 1)}
        same = " identical" if len(kinds) == 1 and len(hidden) > 1 else ""
        span = f"t = {hidden[0]}" + (f" … {hidden[-1]}" if len(hidden) > 1 else "")
        for k, text in enumerate((f"{len(hidden)}{same}", f"{word} hidden", span)):
            picture.texts.append(Text(x, y + 16 * (k - 1), text, 12.0))

    def _paint_inner(self, picture: Picture, i: int, k: int) -> None:
        column, layout = self.columns.columns[k], self.layout(k)
        for e, points in zip(column.inner, layout.inner, strict=True):
            line = Line(self.stamp(i, points), self.name(k, e.source), self.name(k, e.target))
            line.data = {"place": str(e.place)}
            picture.lines.append(line)

    def _crossing_line(self, e: Edge) -> Line:
        (a, i), (b, j) = self.columns.where[e.source], self.columns.where[e.target]
        points, whole = self.routes.path(e)
        steps = [self.columns.columns[k].step for k in (a, b)]
        line = Line(points, self.name(a, i), self.name(b, j), data={"place": str(e.place)})
        line.kind = "state" if None not in steps else "edge"
        if not whole:
            line.dash = "dashed"
            line.head = "normal" if self.slots[self.at[b]].shown else "none"
            if not self.slots[self.at[a]].shown:
                line.source = ""
            if not self.slots[self.at[b]].shown:
                line.target, line.data["hidden"] = "", str(e.target)
        return line


def _data(v: Vertex) -> dict[str, str]:
    return {"op": v.op or v.kind, "label": v.name, "vertex": str(v.number)}
