"""Ways between columns: straight through a gutter, or along a lane above or below."""

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from .graph import Edge
from .layered import MARGIN
from .picture import Point, rounded

if TYPE_CHECKING:
    from .unrolled import Unrolled

BUS, LOOP = 7.0, 14.0  # from one lane to the next
GAP_WIDTH = 120.0


class Routes:
    """The lanes in use, and the path of every edge between columns."""

    def __init__(self, unrolled: "Unrolled"):
        self.u = unrolled
        self.tracks: dict[int, dict[Any, int]] = defaultdict(dict)  # gutter: key: track
        self.above: dict[Any, int] = {}
        self.below: dict[Any, int] = {}
        self.spans: dict[Any, tuple[int, int]] = {}  # key: outermost gutters
        self.loops: dict[int, list[Any]] = defaultdict(list)  # by column, in a rolled graph
        columns = unrolled.columns
        for e in unrolled.crossing:
            a, b = self._slots(e)
            if abs(a - b) == 1:
                continue
            key, over = self._lane(e)
            if not e.delay:
                lanes = self.above if over else self.below
                lanes.setdefault(key, len(lanes))
                left, right = sorted(self._gutters(e))
                first, last = self.spans.get(key, (left, right))
                self.spans[key] = min(first, left), max(last, right)
            elif key not in self.loops[columns.where[e.source][0]]:
                self.loops[columns.where[e.source][0]].append(key)
            (_, i), (_, j) = columns.where[e.source], columns.where[e.target]
            out, into = self._gutters(e)
            self._track(out, "out", key, i)
            self._track(into, "in", key, j)
        self.lanes_above = len(self.above)

    def _slots(self, e: Edge) -> tuple[int, int]:
        where = self.u.columns.where
        return self.u.at[where[e.source][0]], self.u.at[where[e.target][0]]

    def _lane(self, e: Edge) -> tuple[Any, bool]:
        """Which lane an edge shares with others, and whether it runs above the columns."""
        (a, i), (b, j) = self.u.columns.where[e.source], self.u.columns.where[e.target]
        source, target = self.u.columns.columns[a], self.u.columns.columns[b]
        if source.step is None:
            return ("from", e.source), True
        if target.step is None or target.section != source.section:
            return ("to", e.target), False
        return ("skip", i, j, e.place, b - a, a % (abs(b - a) + 1)), False

    def _gutters(self, e: Edge) -> tuple[int, int]:
        """The gutters, by the slot after them, in which an edge leaves and arrives."""
        a, b = self._slots(e)
        leave, enter = self.u.ports_of(e)
        return a + (leave.side > 0), b + (enter.side > 0)

    def _track(self, gutter: int, way: str, key: Any, place: int) -> None:
        tracks = self.tracks[gutter]
        tracks.setdefault((way, key, place), len(tracks))

    def gutter(self, i: int) -> float:
        """Width of the gutter before slot i; the outermost are narrow if nothing runs there."""
        tracks = len(self.tracks.get(i, {}))
        inside = 0 < i < len(self.u.slots)
        return 44.0 + 6.0 * tracks if inside or tracks else MARGIN + 2.0

    def label(self, e: Edge) -> Point:
        """Where to write how many steps a loop goes back."""
        k = self.u.columns.where[e.target][0]
        left = self.u.ports_of(e)[1].side < 0  # where the loop comes in
        x = 14.0 if left else self.u.layout(k).width - 14.0
        return self.u.x[self.u.at[k]] + x, self._lane_y(e) - 3.0

    def _lane_y(self, e: Edge) -> float:
        """Height of an edge's lane; that of a loop lies right below its own cell."""
        u, (key, over) = self.u, self._lane(e)
        if e.delay:
            k = u.columns.where[e.source][0]
            return u.top + u.layout(k).height + 14.0 + LOOP * self.loops[k].index(key)
        if over:
            return u.top - 12.0 - BUS * self.above[key]
        return u.top + self._below(key)

    def _below(self, key: Any) -> float:
        """Depth of a lane: under the deepest of the columns that it passes.

        In steps as high as all lanes together, so that no two are ever at one height.
        """
        first, last = self.spans[key]
        deepest = max(self.u.heights[first:last])
        grid = BUS * len(self.below)
        return math.ceil(deepest / grid) * grid + 10.0 + BUS * self.below[key]

    def lowest(self) -> float:
        """Depth of the lowest lane; 0 without any."""
        return max((self._below(key) for key in self.below), default=0.0)

    def path(self, e: Edge) -> tuple[list[Point], bool]:
        """The points of an edge, and whether both its ends are shown."""
        u = self.u
        a, b = self._slots(e)
        leave, enter = u.ports_of(e)
        (ca, _), (cb, _) = u.columns.where[e.source], u.columns.where[e.target]
        out = u.stamp(a, u.layout(ca).ports[leave]) if u.slots[a].shown else []
        into = u.stamp(b, u.layout(cb).ports[enter]) if u.slots[b].shown else []
        side = 1 if a < b else -1
        if not out:  # out of a gap, at the height where it goes in
            edge = u.x[a] + (GAP_WIDTH - 22 if side > 0 else 22)
            return _joined([(edge, into[0][1])], into), False
        if not into:
            edge = u.x[b] + (22 if side > 0 else GAP_WIDTH - 22)
            return _joined(out, [(edge, out[-1][1])]), False
        if abs(a - b) == 1:
            return _joined(out, into), True
        key, _ = self._lane(e)
        (ca, i), (cb, j) = u.columns.where[e.source], u.columns.where[e.target]
        from_, to = self._gutters(e)
        x0, x1 = self._track_x(from_, ("out", key, i)), self._track_x(to, ("in", key, j))
        y = self._lane_y(e)
        corners = [out[-1], (x0, out[-1][1]), (x0, y), (x1, y), (x1, into[0][1]), into[0]]
        return [*out, *rounded(corners)[1:], *into[1:]], True

    def x_of(self, gutter: int) -> float:
        """Right border of a gutter."""
        return self.u.x[gutter] if gutter < len(self.u.x) else self.u.width

    def _track_x(self, gutter: int, name: Any) -> float:
        return self.x_of(gutter) - 22.0 - 6.0 * self.tracks[gutter][name]


def _joined(a: list[Point], b: list[Point]) -> list[Point]:
    """Two paths, with an S-curve between."""
    (x0, y0), (x1, y1) = a[-1], b[0]
    middle = (x0 + x1) / 2
    return [*a, (middle, y0), (middle, y1), (x1, y1), *b[1:]]
