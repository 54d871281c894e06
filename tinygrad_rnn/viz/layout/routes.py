"""Ways between columns: straight through a gutter, or along a lane above or below.

Nothing here knows the graph: a rail has two ends at borders of columns, and gets a curve.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from .picture import Point, rounded

BUS, TRACK, OUTER = 7.0, 6.0, 16.0


@dataclass
class Rail:
    """From one column's border to another's; rails of one `key` share a lane."""

    slots: tuple[int, int]
    sides: tuple[int, int]  # of the borders: -1 left, 1 right
    key: Hashable
    above: bool
    source: int  # the vertex that it comes from

    @property
    def near(self) -> bool:
        """Whether nothing stands between its ends."""
        a, b = self.gutters
        return a == b

    @property
    def gutters(self) -> tuple[int, int]:
        """The gutters, by the slot after them, in which it leaves and arrives."""
        (a, b), (out, into) = self.slots, self.sides
        return a + (out > 0), b + (into > 0)


class Routes:
    """Lanes and tracks of all rails between columns of given heights."""

    def __init__(self, rails: Sequence[Rail], heights: Sequence[float], least: float):
        self.heights, self.least = heights, least  # of a gutter between two columns
        self.tracks: dict[int, dict[Hashable, int]] = defaultdict(dict)  # gutter: (key, end): track
        self.lanes: dict[bool, dict[Hashable, int]] = {True: {}, False: {}}  # above: key: lane
        self.spans: dict[Hashable, tuple[int, int]] = {}  # key: outermost gutters
        self.near: dict[int, list[int]] = defaultdict(list)  # gutter: what runs straight through
        for rail in rails:
            if rail.near:
                beside = self.near[rail.gutters[0]]
                beside += [rail.source] * (rail.source not in beside)
                continue
            lanes = self.lanes[rail.above]
            lanes.setdefault(rail.key, len(lanes))
            left, right = sorted(rail.gutters)
            first, last = self.spans.get(rail.key, (left, right))
            self.spans[rail.key] = min(first, left), max(last, right)
            for gutter, end in zip(rail.gutters, ("out", "in"), strict=True):
                self.tracks[gutter].setdefault((rail.key, end), len(self.tracks[gutter]))

    def gutter(self, i: int) -> float:
        """Width of the gutter before slot i; the outermost are narrow if nothing runs there."""
        tracks = len(self.tracks.get(i, {}))
        inside = 0 < i < len(self.heights)
        room = self.least + TRACK * (tracks - (tracks > 0))
        return room if inside or tracks else OUTER

    def headroom(self) -> float:
        """Height of all lanes above the columns."""
        return BUS * len(self.lanes[True]) + 8.0 * bool(self.lanes[True])

    def depth(self, key: Hashable) -> float:
        """Depth of a lane below: under the deepest of the columns that it passes.

        In steps as high as all lanes together, so that no two are ever at one height.
        """
        first, last = self.spans[key]
        deepest = max(self.heights[first:last], default=0.0)
        grid = BUS * len(self.lanes[False])
        return math.ceil(deepest / grid) * grid + 12.0 + BUS * self.lanes[False][key]

    def lowest(self) -> float:
        """Depth of the lowest lane; 0 without any."""
        return max((self.depth(key) for key in self.lanes[False]), default=0.0)

    def path(
        self, rail: Rail, start: Point, end: Point, ends_of_gutters: Sequence[float], top: float
    ) -> list[Point]:
        """The curve of a rail, given the right ends of the gutters and the columns' top."""
        if rail.near:
            beside = self.near[rail.gutters[0]]
            apart = min(TRACK, self.least / (1 + len(beside)))
            place = beside.index(rail.source) - (len(beside) - 1) / 2
            middle = (start[0] + end[0]) / 2 + apart * place
            return rounded([start, (middle, start[1]), (middle, end[1]), end])
        if rail.above:
            y = top - 10.0 - BUS * self.lanes[True][rail.key]
        else:
            y = top + self.depth(rail.key)
        x0, x1 = (
            ends_of_gutters[g] - self.least / 2.5 - TRACK * self.tracks[g][rail.key, way]
            for g, way in zip(rail.gutters, ("out", "in"), strict=True)
        )
        return rounded([start, (x0, start[1]), (x0, y), (x1, y), (x1, end[1]), end])
