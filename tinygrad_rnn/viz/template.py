"""Templates: `dot` lays out one column of each kind, its states as nodes at the border.

A state that comes from another column enters by a point at the left border, or at the right
where it runs against time, and fans out from there; a state that goes to another column
leaves by a point at the other border. So edges between columns never cross a node.
"""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import graphviz

from . import engine
from .picture import FONT, SIZE, SMALL, Point, Shape

LABEL = 14.0  # room for a frame's label
RAIL = 18.0  # from one state's way into a box to the next one's
RANKS = {"up": "BT", "down": "TB", "right": "LR"}


Row = tuple[int, int]  # the column it is in, and its number there
Frame = tuple[str, float, float, float, float]  # words, x0, y0, x1, y1


class Port(NamedTuple):
    """A point at the border: where a state leaves, or enters for the operands in `key`."""

    side: int  # -1 left, 1 right
    leaves: bool
    key: Hashable
    via: str = ""  # the state, where a box has several


@dataclass
class Template:
    """What a column holds, by place: lines of text, shapes, rows; edges as (source, target)."""

    lines: list[list[str]]
    shapes: list[Shape]
    rows: list[Row]
    scopes: dict[Row, str]
    edges: list[tuple[int, int]]
    labels: list[str]  # of the edges
    ports: dict[Port, list[int]]  # the places each serves
    direction: str = "up"
    back: set[int] = field(default_factory=set)  # edges that go back in time: they rank nothing
    clusters: dict[str, list[int]] = field(
        default_factory=dict
    )  # places in one box, by its heading
    order: list[list[str]] = field(default_factory=list)  # names in one rank, from left to right
    straight: set[str] = field(default_factory=set)  # names of points beside what they serve
    close: bool = False  # boxes as small as their text, states right beside them


@dataclass
class Placed:
    """A column's geometry; y grows downwards from 0."""

    width: float
    height: float
    boxes: list[tuple[float, float, float, float]]  # centre, width, height
    edges: list[list[Point]]  # cubic Bezier points
    labels: list[Point | None]
    ports: dict[Port, Point]
    branches: dict[tuple[Port, int], list[Point]]  # between a port and a place it serves
    frames: list[Frame]
    clusters: list[Frame]


def place(templates: list[Template]) -> list[Placed]:
    """Lay out columns, all in two runs of `dot`: the first finds the ranks.

    In the second the points where states enter and leave are first and last in their ranks.
    Raises RenderError where there is no engine or a column is too large for it.
    """
    found = engine.layout(tuple(_source(t) for t in templates))
    for t, graph in zip(templates, found, strict=True):
        _fix_order(t, graph)
    if any(t.order for t in templates):
        found = engine.layout(tuple(_source(t) for t in templates))
    return [_placed(t, graph) for t, graph in zip(templates, found, strict=True)]


def _fix_order(t: Template, graph: dict[str, Any]) -> None:
    """Keep what stands in a rank there, with the points at the border outermost.

    What a node at the end of its rank alone reads or gives goes straight into its side.
    """
    if t.direction == "right" or not t.ports:
        return
    ranks: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for name, at in _nodes(graph).items():
        x, y = at["pos"].split(",")
        ranks[y].append((float(x), name))
    ports = dict(zip(_names(t), t.ports, strict=True))
    straight: dict[str, str] = {}  # port: node
    for row in ranks.values():
        row.sort()
        nodes = [name for _, name in row if name[0] == "n"]
        for name, port in ports.items():
            end = nodes[0 if port.side < 0 else -1] if nodes else ""
            if [f"n{k}" for k in t.ports[port]] == [end]:
                straight[name] = end
    t.straight = set(straight)
    for row in ranks.values():
        bent = set(ports) - set(straight)
        names = [n for _, n in row if n[0] == "n" or n in bent]
        names += [name for name, end in straight.items() if end in names]
        side = {n: ports[n].side if n in ports else 0 for n in names}
        if any(side.values()):
            t.order.append(sorted(names, key=lambda n: side[n]))


def _names(t: Template) -> list[str]:
    return [f"p{k}" for k in range(len(t.ports))]


def _source(t: Template) -> str:
    """The column in DOT: nodes n, points at the border p, and b between rows."""
    g = graphviz.Digraph(
        graph_attr={"rankdir": RANKS[t.direction], "ranksep": "0.28",
                    "nodesep": "0.08" if t.close else "0.16"},
        node_attr={"fontname": FONT, "fontsize": f"{SMALL if t.close else SIZE:g}",
                   "shape": "box", "height": "0.3",
                   "width": "0.4", "margin": "0.04" if t.close else "0.08,0.045"},
        edge_attr={"arrowsize": "0.5", "fontname": FONT, "fontsize": f"{SIZE:g}"},
    )  # fmt: skip
    ports = dict(zip(t.ports, _names(t), strict=True))
    first = [p for p in t.ports if p.side < 0]
    point = {"shape": "point", "width": "0.01", "height": "0.01"}
    for port in first:
        g.node(ports[port], **point)
    for k, (lines, shape) in enumerate(zip(t.lines, t.shapes, strict=True)):
        kind, width, height = shape
        g.node(f"n{k}", label=graphviz.escape("\n".join(lines)), shape=kind,
               width=f"{width:g}", height=f"{height:g}")  # fmt: skip
    for port in t.ports:
        if port not in first:
            g.node(ports[port], **point)
    for n, (words, members) in enumerate(t.clusters.items()):
        with g.subgraph(name=f"cluster{n}") as cluster:
            cluster.attr(label=graphviz.escape(words), fontsize="13", margin="16",
                         labelloc="b" if t.direction == "up" else "t")  # fmt: skip
            for k in members:
                cluster.node(f"n{k}")
    for k, ((s, e), label) in enumerate(zip(t.edges, t.labels, strict=True)):
        # spaces keep what is written off the line
        padded = "\n".join(f"  {line}  " for line in label.split("\n"))
        about = {"label": graphviz.escape(padded)} if label else {}
        if k in t.back:
            about["constraint"] = "false"
        if t.rows[s] != t.rows[e] and t.rows[s][0] == t.rows[e][0]:
            about["weight"] = "0"  # rows stand above each other, not where an edge draws them
        g.edge(f"n{s}", f"n{e}", comment=str(k), **about)
    joined = set()
    for port, name in ports.items():
        for k in t.ports[port]:
            # beside each other what is drawn first stands left
            forward = port.leaves if name not in t.straight else port.side > 0
            ends = (f"n{k}", name) if forward else (name, f"n{k}")
            joined.add(ends)
            g.edge(*ends, comment=f"{name},{k}", arrowhead="none" if port.leaves else "normal")
    _keep_rows_apart(g, t)
    if t.direction == "right":
        for leaves, rank in ((False, "source"), (True, "sink")):
            with g.subgraph() as same:
                same.attr(rank=rank)
                for port, name in ports.items():
                    if port.leaves == leaves:
                        same.node(name)
    for names in t.order:
        _in_order(g, names, joined)
    return str(g.source)


def _in_order(g: Any, names: list[str], joined: set[tuple[str, str]]) -> None:
    """One rank, the points at the left border first, those at the right last."""
    with g.subgraph() as same:
        same.attr(rank="same")
        for name in names:
            same.node(name)
    # dot heeds pairs that an edge joins, not what follows from several; too many confuse it
    first = {b for a, b in joined if a in names and b in names and a[0] == "p"}
    last = {a for a, b in joined if a in names and b in names and b[0] == "p"}
    for a, b in combinations(names, 2):
        if "p" in (a[0], b[0]) or a in first or b in last:
            if not {(a, b), (b, a)} & joined:
                g.edge(a, b, style="invis")


def _keep_rows_apart(g: Any, t: Template) -> None:
    """A column's rows stand one after the other: what ends one leads to what begins the next."""
    inside = [
        (s, e) for k, (s, e) in enumerate(t.edges) if k not in t.back and t.rows[s] == t.rows[e]
    ]
    ends = set(range(len(t.rows))) - {s for s, _ in inside}
    begins = set(range(len(t.rows))) - {e for _, e in inside}
    for n, (row, later) in enumerate(pairwise(sorted(set(t.rows)))):
        if row[0] == later[0]:
            g.node(f"b{n}", style="invis", shape="point", width="0.01", height="0.01")
            for k, own in enumerate(t.rows):
                if own == row and k in ends:
                    g.edge(f"n{k}", f"b{n}", style="invis")
                if own == later and k in begins:
                    g.edge(f"b{n}", f"n{k}", style="invis")


def _placed(t: Template, graph: dict[str, Any]) -> Placed:
    """Geometry out of what `dot` wrote, whose y grows upwards."""
    nodes = _nodes(graph)
    drawn = {e["comment"]: e for e in graph.get("edges", []) if "comment" in e}
    ordered = [drawn[str(k)] for k in range(len(t.edges))]
    boxes = []
    for k in range(len(t.lines)):
        at = nodes[f"n{k}"]
        boxes.append((*_point(at["pos"]), float(at["width"]) * 72, float(at["height"]) * 72))
    names = dict(zip(_names(t), t.ports, strict=True))
    found = Placed(
        0.0,
        0.0,
        boxes,
        [_spline(e["pos"]) for e in ordered],
        [_point(e["lp"]) if "lp" in e else None for e in ordered],
        {port: _point(nodes[name]["pos"]) for name, port in names.items()},
        {
            (port, k): _spline(drawn[f"{name},{k}"]["pos"])
            for name, port in names.items()
            for k in t.ports[port]
        },
        [],
        [
            (o["label"], *_point(f"{a},{d}"), *_point(f"{c},{b}"))
            for o in graph.get("objects", []) if o["name"].startswith("cluster")
            for a, b, c, d in [o["bb"].split(",")]
        ],
    )  # fmt: skip
    _spread(t, found)
    found.frames = _frames(t, found.boxes)
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


def _spread(t: Template, found: Placed) -> None:
    """States that enter or leave one box run straight, each at a height of its own.

    The same on both sides, so that a state's way from box to box is level.
    """
    ports: dict[int, list[Port]] = defaultdict(list)
    for port, places in t.ports.items():
        if len(places) == 1 and abs(found.ports[port][1] - found.boxes[places[0]][1]) < 2:
            ports[places[0]].append(port)
    for k, those in ports.items():
        states = sorted({p.via for p in those})  # what goes up to the outputs above the states
        x, y, w, h = found.boxes[k]
        gap = min(RAIL, 0.7 * h / len(states))
        for port in those:
            level = y + gap * (states.index(port.via) - (len(states) - 1) / 2)
            side = x + port.side * w / 2, level
            at = side[0] + port.side if t.close else found.ports[port][0]
            found.ports[port] = at, level
            ends = [side, (at, level)] if port.leaves else [(at, level), side]
            found.branches[port, k] = [ends[0], *ends, ends[1]]


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
        [frame(f) for f in p.frames],
        [frame(f) for f in p.clusters],
    )


def _nodes(graph: dict[str, Any]) -> dict[str, dict[str, Any]]:
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
        if t.scopes[r] and len(inside) > 1:
            found.append((
                t.scopes[r],
                min(x - w / 2 for x, _, w, _ in inside) - 6,
                min(y - h / 2 for _, y, _, h in inside) - 6 - LABEL,
                max(x + w / 2 for x, _, w, _ in inside) + 6,
                max(y + h / 2 for _, y, _, h in inside) + 6,
            ))  # fmt: skip
    return found
