"""A picture in Graphviz' DOT language, every place given: any tool that opens it only paints."""

import math
from collections.abc import Mapping

import graphviz

from ..graph.columns import Columns
from ..layout.labels import Words
from ..layout.picture import EDGES, FONT, KINDS, SIZE, Box, Line, Picture, Point, text_width
from ..pausing import paused

HEAD = 10.0  # length of an arrowhead of arrowsize 1, in points


@paused()
def write(picture: Picture) -> graphviz.Digraph:
    """The whole picture; boxes first, so that lines lie on top."""
    g = graphviz.Digraph(
        name=picture.title,
        engine="neato",
        graph_attr={"layout": "nop2", "outputorder": "nodesfirst", "splines": "true",
                    "pad": "0.1", "bgcolor": "white", "fontname": FONT},
        node_attr={"fixedsize": "true", "fontname": FONT, "fontsize": f"{SIZE:g}",
                   "shape": "box", "style": "filled,rounded"},
        edge_attr={"fontname": FONT, "fontsize": f"{SIZE:g}", "color": EDGES["edge"],
                   "arrowsize": "0.50"},
    )  # fmt: skip
    names = {b.name for b in picture.boxes if b.name}
    for k, b in enumerate(picture.boxes):
        g.node(b.name or f"b{k}", **_box(b, picture.height))
    for k, line in enumerate(picture.lines):
        ends = []
        for end, name, (x, y) in (("s", line.source, line.points[0]),
                                  ("e", line.target, line.points[-1])):  # fmt: skip
            ends.append(name if name in names else f"l{k}{end}")
            if name not in names:  # an end in a gap: a point of its own
                place = f"{x:.1f},{picture.height - y:.1f}"
                g.node(ends[-1], label="", shape="point", style="invis", width="0.01", pos=place)
        g.edge(*ends, **_line(f"e{k}", line, picture.height))
        if line.label and line.at:
            g.node(f"l{k}", **_text(line.label, *line.at, SIZE, picture.height))
    for k, t in enumerate(picture.texts):
        w = text_width(t.text, t.size)
        x, y = t.x + (w / 2 if t.start else 0), t.y - t.size * 0.35
        g.node(f"t{k}", **_text(t.text, x, y, t.size, picture.height, t.start))
    return g


def unplaced(
    columns: Columns, text: Words, headers: Mapping[int, str] | None = None
) -> graphviz.Digraph:
    """A graph without places, one cluster a column, for where no engine is at hand to find them."""
    g = graphviz.Digraph(graph_attr={"rankdir": "BT"}, node_attr={"shape": "box"})
    names: dict[tuple[int, int], str] = {}
    for k, c in enumerate(columns.columns):
        step = "" if c.step is None else str(c.step) if headers is None else "t"
        with g.subgraph(name=f"cluster{k}") as cluster:
            title = f"t = {step}" if headers is None else headers.get(k, "")
            cluster.attr(label=escape(title) if step else "", style="rounded")
            for i, v in enumerate(c.members):
                names[k, i] = f"n{k}x{i}"
                cluster.node(names[k, i], label=escape("\n".join(text(v, step))))
        for e in c.inner:
            g.edge(names[k, e.source], names[k, e.target])
    for e in columns.across:
        ends = names[columns.where[e.source]], names[columns.where[e.target]]
        g.edge(*ends, constraint="false" if e.delay else "true")
    return g


def _box(b: Box, height: float) -> dict[str, str]:
    fill, outline = KINDS[b.kind]
    fill, outline = b.fill or fill, b.outline or outline
    shape = "circle" if b.kind == "junction" else b.shape
    style = ["filled" if fill != "none" else "solid"]
    if shape == "box" and b.kind not in ("strip", "constant", "start", "parameter", "junction"):
        style.append("rounded")
    if b.dash or b.kind == "start":
        style.append(b.dash or "dashed")
    words = {
        "label": escape("\n".join(b.lines)),
        "pos": f"{b.x:.1f},{height - b.y:.1f}",
        "width": f"{b.w / 72:.3f}",
        "height": f"{b.h / 72:.3f}",
        "color": outline if outline != "none" else "transparent",
        "class": f"node {b.kind}" if b.vertex >= 0 else b.kind,
    }
    if style != ["filled", "rounded"]:
        words["style"] = ",".join(style)
    if b.pen != 1:
        words["penwidth"] = f"{b.pen:g}"
    if shape != "box":
        words["shape"] = shape
    if fill != "none":
        words["fillcolor"] = fill
    if b.size != SIZE:
        words["fontsize"] = f"{b.size:g}"
    if b.name:
        words["id"] = b.name
    if b.step is not None:
        words["class"] += f" step{b.step}"
    if b.facts or b.title:
        words["tooltip"] = escape(", ".join(b.facts) or b.title)
    return words


def _line(name: str, line: Line, height: float) -> dict[str, str]:
    points = [(x, height - y) for x, y in line.points]
    size = 0.42 + 0.08 * line.pen
    tip, points = (
        _shortened(points, HEAD * size, line.pen - 1.0) if line.head != "none" else ("", points)
    )
    words = {
        "pos": tip + " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        "class": f"link {line.kind}",
        "id": name,
    }
    colour = line.colour or EDGES[line.kind]
    if colour != EDGES["edge"]:
        words["color"] = colour
    if line.pen != 1:
        words["penwidth"] = f"{line.pen:g}"
        words["arrowsize"] = f"{size:.2f}"
    if line.head != "normal":
        words["arrowhead"] = line.head
    if line.dash:
        words["style"] = line.dash
    if line.title:
        words["tooltip"] = escape(line.title)
    return words


def _text(
    text: str, x: float, y: float, size: float, height: float, start: bool = False
) -> dict[str, str]:
    return {
        "label": escape(text) + ("\\l" if start else ""),
        "shape": "plaintext",
        "margin": "0",  # else what is just as wide as its room is centred in it
        "style": "solid",
        "class": "text",
        "fontsize": f"{size:g}",
        "pos": f"{x:.1f},{height - y:.1f}",
        "width": f"{max(text_width(line, size) for line in text.split(chr(10))) / 72:.3f}",
        "height": f"{(1 + text.count(chr(10))) * size / 48:.3f}",
    }


def _shortened(points: list[Point], length: float, off: float) -> tuple[str, list[Point]]:
    """The tip of the arrow, `off` its end, and the curve up to where the head begins."""
    (x, y), (px, py) = points[-1], points[-2]
    for px, py in reversed(points[:-1]):
        if (px, py) != (x, y):
            break
    whole = math.hypot(x - px, y - py) or 1.0
    clear = min(off, whole / 4) / whole  # a thick outline, and the head's own, reach further
    back = clear + min(length, whole / 2) / whole
    tip, end = ((x - (x - px) * part, y - (y - py) * part) for part in (clear, back))
    return f"e,{tip[0]:.1f},{tip[1]:.1f} ", [*points[:-1], end]


def escape(text: str) -> str:
    """Any text as a label: never markup, and without what neither DOT nor XML can hold.

    >>> print(escape("<b> a" + chr(92) + "n"))
    <b> a\\\\n
    """
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c == "\n" or c.isprintable() else " " for c in text)
    return graphviz.escape(text)
