"""Place the nodes of one column in layers, inputs above what uses them.

Sugiyama, Tagawa and Toda (1981): layers by longest path, an order within layers
that lets few edges cross (barycentres), then coordinates (least squares with
distances kept). An edge over several layers has a place of its own in each, and
what comes from or goes to another column runs between two layers: so no edge
can pass through a node. Of our own rather than Graphviz' `dot` since the picture must
be the same, byte for byte, with any engine and with none.
"""

import time
from bisect import bisect, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from ..errors import RenderError
from .picture import Point

SECONDS = 20.0  # for one column; an LSTM's step takes 5 ms, 3,000 ops without any repeat 2 s
MOST = 300_000  # nodes and bends of one column: edges that skip thousands of layers have millions
GAP_X, GAP_Y, LANE = 16.0, 24.0, 8.0
MARGIN = 16.0  # from the nodes to the column's border
LABEL = 14.0  # room for a frame's label


class Port(NamedTuple):
    """Where an edge from or to another column meets a node."""

    place: int
    side: int  # -1 left, 1 right
    operand: int  # of a node that is entered; -1 for one that is left


@dataclass
class Placed:
    """A column's geometry; y grows downwards from 0."""

    width: float
    height: float
    centres: list[Point]
    inner: list[list[Point]]  # for each edge: cubic Bezier points
    ports: dict[Port, list[Point]]  # from the border to the node, or from the node to the border
    frames: list[tuple[str, float, float, float, float]]  # scope, x0, y0, x1, y1


@dataclass
class _Layered:
    sizes: Sequence[tuple[float, float]]
    edges: Sequence[tuple[int, int]]
    ports: Sequence[Port]
    layer: list[int] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)  # of nodes, then of bends
    chains: list[list[int]] = field(default_factory=list)  # for each edge: source, bends, target
    rows: list[list[int]] = field(default_factory=list)
    x: list[float] = field(default_factory=list)
    deadline: float = field(default_factory=lambda: time.monotonic() + SECONDS)

    def check(self) -> None:
        """Raise when the layout takes too long, or too much memory."""
        if time.monotonic() > self.deadline or len(self.widths) > MOST:
            raise RenderError(
                f"a column of {len(self.sizes):,} nodes is too large for a plain layout (limit "
                f"{SECONDS:g} s): nothing in it was found to repeat. Fold it: say which op belongs "
                "to which step (for x_t in x, or with tg.step(t)), or draw a part of it, from a "
                "tensor nearer to the inputs"
            )


def place(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    sources: Sequence[bool],
    scopes: Sequence[str],
    ports: Sequence[Port],
) -> Placed:
    """Lay out nodes of given (width, height), `edges` given as (source, target) places.

    `sources` says which come from outside and stand right above what uses them,
    `scopes` which belong in one frame; nodes are in the order of recording. Raises
    RenderError after `SECONDS`.
    """
    g = _Layered(sizes, edges, ports)
    segments = _segments(edges, sources, scopes)
    g.layer = _layers(len(sizes), edges, sources, segments)
    _bend(g)
    _order(g)
    _coordinates(g)
    return _draw(g, segments, scopes)


def _segments(
    edges: Sequence[tuple[int, int]], sources: Sequence[bool], scopes: Sequence[str]
) -> list[int]:
    """Runs of one scope in the order of recording: what one call of a module recorded."""
    n = len(sources)
    found, number, scope = [0] * n, -1, None
    for k in range(n):
        if not sources[k]:
            if scopes[k] != scope:
                number, scope = number + 1, scopes[k]
            found[k] = number
    first = [number if number >= 0 else 0] * n
    for s, t in edges:
        if sources[s]:
            first[s] = min(first[s], found[t])
    return [first[k] if sources[k] else found[k] for k in range(n)]


def _layers(
    n: int, edges: Sequence[tuple[int, int]], sources: Sequence[bool], segments: list[int]
) -> list[int]:
    """Longest path within each segment, segments one below the other."""
    own = [0] * n
    inside = [(s, t) for s, t in edges if segments[s] == segments[t]]
    into: list[list[int]] = [[] for _ in range(n)]
    outof: list[list[int]] = [[] for _ in range(n)]
    for s, t in inside:
        into[t].append(s)
        outof[s].append(t)
    for k in range(n):  # sources of an edge come first
        own[k] = max((own[s] + 1 for s in into[k]), default=0)
    for k in range(n):
        if sources[k] and outof[k]:
            own[k] = min(own[t] for t in outof[k]) - 1
    base, found = 0, [0] * n
    for number in range(max(segments, default=0) + 1):
        members = [k for k in range(n) if segments[k] == number]
        for k in members:
            found[k] = base + own[k]
        base += max((own[k] for k in members), default=-1) + 1
    return found


def _bend(g: _Layered) -> None:
    """Give each edge a place of its own in every layer that it passes."""
    g.widths = [w for w, _ in g.sizes]
    for s, t in g.edges:
        g.check()
        chain = [s]
        for layer in range(g.layer[s] + 1, g.layer[t]):
            chain.append(len(g.widths))
            g.widths.append(4.0)
            g.layer.append(layer)
        g.chains.append([*chain, t])
    g.rows = [[] for _ in range(max(g.layer, default=0) + 1)]
    for k, layer in enumerate(g.layer):
        g.rows[layer].append(k)


def _neighbours(g: _Layered) -> tuple[list[list[int]], list[list[int]]]:
    up: list[list[int]] = [[] for _ in g.widths]
    down: list[list[int]] = [[] for _ in g.widths]
    for chain in g.chains:
        for a, b in pairwise(chain):
            down[a].append(b)
            up[b].append(a)
    return up, down


def _order(g: _Layered) -> None:
    """Sweep up and down, sorting by the mean place of the neighbours; keep the best."""
    up, down = _neighbours(g)
    pull = [0.0] * len(g.widths)  # what comes from the left stands left
    for p in g.ports:
        pull[p.place] += 0.6 * p.side
    best, fewest = [list(r) for r in g.rows], _crossings(g, down)
    for sweep in range(16 if len(g.widths) < 400 else 4):
        near = up if sweep % 2 == 0 else down
        rows = g.rows if sweep % 2 == 0 else g.rows[::-1]
        at = {k: i / max(len(r) - 1, 1) * 10 for r in g.rows for i, k in enumerate(r)}
        for row in rows:
            g.check()
            keys = {
                k: (sum(at[m] for m in near[k]) / len(near[k]) if near[k] else at[k]) + pull[k]
                for k in row
            }
            row.sort(key=lambda k: keys[k])
            at.update({k: i / max(len(row) - 1, 1) * 10 for i, k in enumerate(row)})
        count = _crossings(g, down)
        if count < fewest:
            best, fewest = [list(r) for r in g.rows], count
    g.rows = best


def _crossings(g: _Layered, down: list[list[int]]) -> int:
    total = 0
    for row, below in pairwise(g.rows):
        g.check()
        at = {k: i for i, k in enumerate(below)}
        ends = [at[m] for k in row for m in sorted(down[k], key=lambda m: at[m])]
        seen: list[int] = []
        for a in ends:
            total += len(seen) - bisect(seen, a)
            insort(seen, a)
    return total


def _coordinates(g: _Layered) -> None:
    """x of everything: near its neighbours, at a distance from those beside it."""
    up, down = _neighbours(g)
    n = len(g.sizes)
    g.x = [0.0] * len(g.widths)
    for row in g.rows:
        x = 0.0
        for k in row:
            g.x[k] = x + g.widths[k] / 2
            x += g.widths[k] + GAP_X
    for sweep in range(48):
        rows = g.rows if sweep % 2 == 0 else g.rows[::-1]
        for row in rows:
            g.check()
            wanted, weights = [], []
            for k in row:
                near = up[k] + down[k]
                # a bend in line with bends makes an edge straight
                w = [4.0 if k >= n and m >= n else 1.0 for m in near]
                mean = sum(a * g.x[m] for a, m in zip(w, near, strict=True))
                wanted.append(mean / sum(w) if near else g.x[k])
                weights.append(sum(w) or 0.1)
            for k, x in zip(row, _spread(g, row, wanted, weights), strict=True):
                g.x[k] = x
    left = min((g.x[k] - w / 2 for k, w in enumerate(g.widths)), default=0.0)
    g.x = [x - left for x in g.x]


def _spread(g: _Layered, row: list[int], wanted: list[float], weights: list[float]) -> list[float]:
    """The places nearest to those wanted that keep their distance (isotonic regression)."""
    offsets, total = [], 0.0
    for i, k in enumerate(row):
        if i:
            total += (g.widths[row[i - 1]] + g.widths[k]) / 2 + GAP_X
        offsets.append(total)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for d, w, o in zip(wanted, weights, offsets, strict=True):
        mean, weight, count = d - o, w, 1
        while blocks and blocks[-1][0] >= mean:
            m, v, c = blocks.pop()
            mean, weight, count = (m * v + mean * weight) / (v + weight), v + weight, c + count
        blocks.append((mean, weight, count))
    flat = [mean for mean, _, count in blocks for _ in range(count)]
    return [m + o for m, o in zip(flat, offsets, strict=True)]


def _draw(g: _Layered, segments: list[int], scopes: Sequence[str]) -> Placed:
    """Coordinates of nodes, edges and lanes."""
    n, last = len(g.sizes), len(g.rows)
    lanes: list[list[Port]] = [[] for _ in range(last + 1)]  # by channel: above each layer
    for p in sorted(g.ports, key=lambda p: (p.operand >= 0, p.side * g.x[p.place], p.place)):
        lanes[g.layer[p.place] + (p.operand < 0)].append(p)
    labelled = {g.layer[k]: scopes[k] for k in range(n) if scopes[k]}
    tops, bottoms, y, before = [], [], 0.0, ""
    starts = {}
    for r, row in enumerate(g.rows):
        starts[r] = y
        y += LANE * len(lanes[r]) + (GAP_Y if r else 14.0)
        scope = labelled.get(r, before)
        y += LABEL if scope and scope != before else 0.0
        before = scope
        tops.append(y)
        y += max((g.sizes[k][1] for k in row if k < n), default=10.0)
        bottoms.append(y)
    starts[last] = y
    height = y + LANE * len(lanes[last]) + 12.0
    centres = [(g.x[k], (tops[g.layer[k]] + bottoms[g.layer[k]]) / 2) for k in range(n)]
    width = max((x + w / 2 for x, w in zip(g.x, g.widths, strict=True)), default=0.0)
    entries = _entries(g)
    inner = []
    for number, chain in enumerate(g.chains):
        inner.append(_through(g, chain, entries[number], tops, bottoms, centres))
    tracks = {
        p: starts[r] + 8.0 + LANE * i for r, row in enumerate(lanes) for i, p in enumerate(row)
    }
    ports = {p: _lane(g, p, tracks[p], entries, centres, width) for p in g.ports}
    return Placed(width, height, centres, inner, ports, _frames(g, segments, scopes, tops, bottoms))


def _entries(g: _Layered) -> dict[object, float]:
    """x at which each edge, by number, and each port meets the top of its node."""
    arriving: dict[int, list[tuple[float, int, object]]] = {}
    for number, chain in enumerate(g.chains):
        arriving.setdefault(chain[-1], []).append((g.x[chain[-2]], number, number))
    for p in g.ports:
        if p.operand >= 0:
            arriving.setdefault(p.place, []).append((p.side * 1e6, p.operand, p))
    found: dict[object, float] = {}
    for k, edges in arriving.items():
        room = g.widths[k] * 0.6
        for i, (_, _, name) in enumerate(sorted(edges, key=lambda e: e[:2])):
            found[name] = g.x[k] + room * ((i + 1) / (len(edges) + 1) - 0.5)
    return found


def _through(
    g: _Layered,
    chain: list[int],
    entry: float,
    tops: list[float],
    bottoms: list[float],
    centres: list[Point],
) -> list[Point]:
    """An edge from the bottom of its source, straight through the layers between."""
    source, target = chain[0], chain[-1]
    x, y = centres[source][0], centres[source][1] + g.sizes[source][1] / 2
    path: list[Point] = [(x, y)]
    for k in chain[1:]:
        r = g.layer[k]
        x1 = entry if k == target else g.x[k]
        y1 = centres[target][1] - g.sizes[target][1] / 2 if k == target else tops[r]
        bend = min(0.6 * (y1 - y), 40.0)
        path += [(x, y + bend), (x1, y1 - bend), (x1, y1)]
        x, y = x1, y1
        if k != target:
            path += [(x, y), (x, bottoms[r]), (x, bottoms[r])]
            y = bottoms[r]
    return path


def _lane(
    g: _Layered, p: Port, y: float, entries: dict[object, float], centres: list[Point], width: float
) -> list[Point]:
    """From the column's border along a lane and down into a node, or the other way round."""
    border = -MARGIN if p.side < 0 else width + MARGIN
    cx, cy = centres[p.place]
    if p.operand >= 0:
        x, end = entries[p], cy - g.sizes[p.place][1] / 2
        turn, bend = x + p.side * min(8.0, abs(x - border)), y + min(8.0, 0.6 * (end - y))
        return [(border, y), (border, y), (turn, y), (turn, y),
                (x, y), (x, y), (x, bend), (x, bend), (x, end), (x, end)]  # fmt: skip
    w, h = g.sizes[p.place]
    x, start = cx + p.side * w * 0.3, cy + h / 2
    # an arrow turned round ends here: its last bit must be upright
    turn, bend = x + p.side * min(8.0, abs(x - border)), y - min(8.0, 0.6 * (y - start))
    return [(x, start), (x, start), (x, bend), (x, bend),
            (x, y), (x, y), (turn, y), (turn, y), (border, y), (border, y)]  # fmt: skip


def _frames(
    g: _Layered,
    segments: list[int],
    scopes: Sequence[str],
    tops: list[float],
    bottoms: list[float],
) -> list[tuple[str, float, float, float, float]]:
    found: dict[int, tuple[str, float, float, float, float]] = {}
    for k, number in enumerate(segments):
        name = next((scopes[m] for m in range(k, len(segments))
                     if segments[m] == number and scopes[m]), "")  # fmt: skip
        half, r = g.widths[k] / 2, g.layer[k]
        x0, y0, x1, y1 = g.x[k] - half, tops[r], g.x[k] + half, bottoms[r]
        if number in found:
            name, a0, b0, a1, b1 = found[number]
            x0, y0, x1, y1 = min(x0, a0), min(y0, b0), max(x1, a1), max(y1, b1)
        found[number] = name, x0, y0, x1, y1
    counts = [segments.count(number) for number in found]
    return [(name, x0 - 6, y0 - LABEL - 3, x1 + 6, y1 + 5)
            for (name, x0, y0, x1, y1), n in zip(found.values(), counts, strict=True)
            if name and n > 1]  # fmt: skip
