"""Read back where `dot` put a column's nodes, points and edges."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

from .picture import SCOPE, Point, rounded, text_width
from .template import Frame, Placed, Port, Template

LABEL = 14.0  # room for a frame's label
BESIDE = 7.0  # from boxes to a way that runs past them
RAIL = 18.0  # from one state's way into a box to the next one's
LANE = 6.0  # between the ways of two states that bend to their boxes


def placed(t: Template, graph: dict[str, Any]) -> Placed:
    """Geometry out of what `dot` wrote, mended where `dot` knows too little."""
    found = _read(t, graph)
    _spread(t, found)
    _straighten(t, found)
    _turn_down(t, found)
    _keep_apart(t, found)
    _go_round(t, found)
    _unwind(t, found)
    found.frames = _frames(t, found.boxes)
    found.clusters = [_around(c, found.frames) for c in found.clusters]
    ways = [*found.edges, *found.branches.values()]
    frames = [*found.frames, *found.clusters]
    x = [x for way in ways for x, _ in way] + [v for _, x0, _, x1, _ in frames for v in (x0, x1)]
    x += [x + s * w / 2 for x, _, w, _ in found.boxes for s in (-1, 1)]
    y = [y for _, y in found.ports.values()] + [v for _, _, y0, _, y1 in frames for v in (y0, y1)]
    y += [y + s * h / 2 for _, y, _, h in found.boxes for s in (-1, 1)]
    if t.clusters:  # loops may run outside
        y += [y for way in ways for _, y in way]
    left, top = min(x, default=0.0), min(y, default=0.0)
    return _moved(found, -left, -top, max(x, default=0.0) - left, max(y, default=0.0) - top)


def _read(t: Template, graph: dict[str, Any]) -> Placed:
    """What `dot` wrote, whose y grows upwards."""
    nodes, names = nodes_of(graph), t.names()
    drawn = {e["comment"]: e for e in graph.get("edges", []) if "comment" in e}
    boxes = []
    for k in range(len(t.lines)):
        at = nodes[f"n{k}"]
        boxes.append((*_point(at["pos"]), float(at["width"]) * 72, float(at["height"]) * 72))
    edges = [drawn[str(k)] for k in range(len(t.edges))]
    ways = {
        (port, k): drawn[f"{name},{k}"]
        for name, port in names.items()
        for k in t.ports[port]
        if f"{name},{k}" in drawn
    }
    corners = {o["name"]: o["bb"].split(",") for o in graph.get("objects", []) if "bb" in o}
    clusters: list[Frame] = []
    for n, cluster in enumerate(t.clusters):
        if f"cluster{n}" in corners:
            a, b, c, d = corners[f"cluster{n}"]
            clusters.append((cluster.words, *_point(f"{a},{d}"), *_point(f"{c},{b}")))
    return Placed(
        0.0,
        0.0,
        boxes,
        [_spline(e["pos"]) for e in edges],
        [_point(e["lp"]) if "lp" in e else None for e in edges],
        {port: _point(nodes[name]["pos"]) for name, port in names.items()},
        {way: _spline(e["pos"]) for way, e in ways.items()},
        {way: _point(e["lp"]) for way, e in ways.items() if "lp" in e},
        [],
        clusters,
    )


def kept(t: Template, found: Placed) -> bool:
    """Whether chains run from side to side with nothing else at their height."""
    for chain in t.ways.chains:
        side = t.towards(chain)
        xs = [side * found.boxes[k][0] for k in chain]
        y = found.boxes[chain[0]][1]
        level = {k for k, box in enumerate(found.boxes) if abs(box[1] - y) < box[3] / 2}
        if xs != sorted(xs) or level != set(chain):
            return False
    return True


def _spread(t: Template, found: Placed) -> None:
    """States that enter or leave one box run straight, each at a height of its own.

    The same on both sides, so that a state's way from box to box is level.
    """
    ports: dict[int, list[Port]] = defaultdict(list)
    for port, places in t.ports.items():
        if len(places) == 1 and _in_sight(found, port, places[0]):
            ports[places[0]].append(port)
    for k, those in ports.items():
        states = sorted({p.via for p in those})  # what goes up to the outputs above the states
        x, y, w, h = found.boxes[k]
        gap = min(RAIL, 0.8 * h / len(states))
        for port in those:
            level = y + gap * (states.index(port.via) - (len(states) - 1) / 2)
            side = x + port.side * w / 2, level
            at = side[0] + port.side if t.close else found.ports[port][0]
            found.ports[port] = at, level
            found.branches[port, k] = _line(*((side, (at, level))[:: 1 if port.leaves else -1]))


def _in_sight(found: Placed, port: Port, k: int) -> bool:
    """Whether a point is level with a box and nothing stands between them."""
    (at, level), (x, y, _, _) = found.ports[port], found.boxes[k]
    return abs(level - y) < 2 and not any(
        abs(by - y) < bh / 2 and min(x, at) < bx < max(x, at) for bx, by, _, bh in found.boxes
    )


def _straighten(t: Template, found: Placed) -> None:
    """Along a chain everything runs straight from side to side."""
    at = {edge: k for k, edge in enumerate(t.edges)}
    names = t.names()
    for chain in t.ways.chains:
        side = t.towards(chain)
        for a, b in pairwise(chain):
            (xa, y, wa, _), (xb, _, wb, _) = found.boxes[a], found.boxes[b]
            if (a, b) in at:
                found.edges[at[a, b]] = _line((xa + side * wa / 2, y), (xb - side * wb / 2, y))
        for name in t.ends(chain):
            port = names[name]
            k = chain[-1] if port.leaves else chain[0]
            x, y, w, _ = found.boxes[k]
            edge = x + port.side * w / 2, y
            away = port.side * (found.ports[port][0] - edge[0])  # dot may put it on the other side
            found.ports[port] = edge[0] + port.side * max(away, BESIDE), y
            ends = (edge, found.ports[port]) if port.leaves else (found.ports[port], edge)
            found.branches[port, k] = _line(*ends)


def _keep_apart(t: Template, found: Placed) -> None:
    """Each state enters at a height of its own: what bends to its boxes gives way."""
    into = [port for port in t.ports if not port.leaves]

    def bends(port: Port) -> bool:
        ways = [found.branches.get((port, k), []) for k in t.ports[port]]
        return any(abs(way[-1][1] - way[0][1]) > 1 for way in ways if way)

    taken: set[tuple[int, float]] = set()
    for port in sorted(into, key=lambda p: (bends(p), -p.side * found.ports[p][0])):
        x, level = found.ports[port]
        down = 0.0
        while bends(port) and any(
            side == port.side and abs(level + down - other) < LANE / 2 for side, other in taken
        ):
            down += LANE
        taken.add((port.side, level + down))
        if down:
            found.ports[port] = x, level + down
            for k in t.ports[port]:
                if way := found.branches.get((port, k)):
                    way[:2] = [(a, b + down) for a, b in way[:2]]


def _turn_down(t: Template, found: Placed) -> None:
    """A state that leaves where it entered turns there beside all that stands between."""
    for into, out, k in t.ways.rails:
        x, y, w, _ = found.boxes[k]
        level = found.ports[into][1]
        low, high = sorted((y, level))
        beside = [bx + out.side * bw / 2 for bx, by, bw, bh in found.boxes
                  if low - bh / 2 <= by <= high + bh / 2]  # fmt: skip
        at = max(beside) + BESIDE if out.side > 0 else min(beside) - BESIDE
        end = (at + out.side * BESIDE, level)
        found.ports[out] = end
        found.branches[out, k] = rounded([(x + out.side * w / 2, y), (at, y), (at, level), end])


def _go_round(t: Template, found: Placed) -> None:
    """A state that would run through a box on its way in passes below what it enters."""
    for port, (at, level) in found.ports.items():
        if port.leaves or len(t.ports[port]) > 1 or t.direction == "right":
            continue
        x, y, w, h = found.boxes[t.ports[port][0]]
        below = y + (h / 2 + BESIDE) * (1 if t.direction == "up" else -1)
        if _struck(found, port.side, at, level) and not _struck(found, port.side, x, below):
            end = x + port.side * w / 4
            found.ports[port] = end, below
            found.branches[port, t.ports[port][0]] = _line(
                (end, below), (end, y + (below > y) * h - h / 2)
            )


def _unwind(t: Template, found: Placed) -> None:
    """What turns more than once on its way up a column goes beside all that stands between."""
    for n, (s, e) in enumerate(t.edges):
        moves = [b[0] - a[0] for a, b in pairwise(found.edges[n]) if abs(b[0] - a[0]) > 1]
        (xs, ys, ws, hs), (xe, ye, we, he) = found.boxes[s], found.boxes[e]
        low, high = ys + hs / 2 + BESIDE, ye + he / 2 + BESIDE
        winds = sum(a * b < 0 for a, b in pairwise(moves)) > 1
        if not winds or t.direction != "up" or t.clusters or ys < high:
            continue
        for side in (1, -1):
            beside = [side * x + w / 2 for x, y, w, h in found.boxes
                      if y + h / 2 > ye - he / 2 and y - h / 2 < low]  # fmt: skip
            at, end = side * (max(beside) + BESIDE + LANE), xe + side * we / 4
            out = [[(xs + side * ws / 2, ys)], [(xs, low - BESIDE), (xs, low)]]
            into = [[(end, high), (end, high - BESIDE)], [(xe + side * we / 2, ye)]]
            out = [way for way in out if not _struck(found, side, *way[-1])]
            into = [way for way in into if not _struck(found, side, *way[0])]
            if out and into:
                turns = [(at, out[0][-1][1]), (at, into[0][0][1])]
                found.edges[n] = rounded([*out[0], *turns, *into[0]])
                break


def _struck(found: Placed, side: int, x: float, level: float) -> bool:
    """Whether a box stands at a level between a border and x."""
    return any(
        abs(by - level) < bh / 2 and side * (bx - side * bw / 2 - x) > 0
        for bx, by, bw, bh in found.boxes
    )


def _line(a: Point, b: Point) -> list[Point]:
    return [a, a, b, b]


def _moved(p: Placed, dx: float, dy: float, width: float, height: float) -> Placed:
    """The same somewhere else, of a given size."""

    def move(x: float, y: float) -> Point:
        return x + dx, y + dy

    def frame(f: Frame) -> Frame:
        return (f[0], *move(f[1], f[2]), *move(f[3], f[4]))

    return Placed(
        width,
        height,
        [(*move(x, y), w, h) for x, y, w, h in p.boxes],
        [[move(*point) for point in way] for way in p.edges],
        [None if at is None else move(*at) for at in p.labels],
        {port: move(*point) for port, point in p.ports.items()},
        {name: [move(*point) for point in way] for name, way in p.branches.items()},
        {name: move(*point) for name, point in p.fans.items()},
        [frame(f) for f in p.frames],
        [frame(f) for f in p.clusters],
    )


def nodes_of(graph: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {o["name"]: o for o in graph.get("objects", []) if "pos" in o}  # no clusters


def _point(text: str) -> Point:
    x, y = text.split(",")
    return float(x), -float(y)


def _spline(text: str) -> list[Point]:
    """The curve of an edge, on to the tip of its arrow."""
    points, tip = [], None
    for word in text.split():
        if word.startswith("e,"):
            tip = _point(word[2:])
        elif not word.startswith("s,"):
            points.append(_point(word))
    return points if tip is None else [*points, points[-1], tip, tip]


def _frames(t: Template, boxes: list[tuple[float, float, float, float]]) -> list[Frame]:
    """Around each row that has a name."""
    found = []
    for r in sorted(set(t.rows)):
        inside = [box for box, row in zip(boxes, t.rows, strict=True) if row == r]
        if t.scopes[r] and (len(inside) > 1 or len(set(t.rows)) > 1):
            x0 = min(x - w / 2 for x, _, w, _ in inside) - 6
            x1 = max(x + w / 2 for x, _, w, _ in inside) + 6
            wider = max(text_width(t.scopes[r], SCOPE) + 10 - (x1 - x0), 0.0) / 2
            found.append((
                t.scopes[r],
                x0 - wider,
                min(y - h / 2 for _, y, _, h in inside) - 6 - LABEL,
                x1 + wider,
                max(y + h / 2 for _, y, _, h in inside) + 6,
            ))  # fmt: skip
    return found


def _around(cluster: Frame, frames: list[Frame]) -> Frame:
    """A cluster as wide as the frames in it."""
    words, x0, y0, x1, y1 = cluster
    inside = [f for f in frames if x0 < (f[1] + f[3]) / 2 < x1 and y0 < (f[2] + f[4]) / 2 < y1]
    left = min([x0, *(f[1] - 6 for f in inside)])
    return words, left, y0, max([x1, *(f[3] + 6 for f in inside)]), y1
