"""A picture in Graphviz' DOT language, every place given: `neato -n2` only paints it."""

import math

from .picture import EDGES, FONT, KINDS, SIZE, Box, Line, Picture, Point, text_width

LEFT = "\x1f"  # ends a line that is flush left
_TIP = 5.0  # length of an arrowhead, in points


def write(picture: Picture) -> str:
    """The whole DOT file."""
    lines = [
        "digraph {",
        "graph [outputorder=nodesfirst, splines=true, pad=0.2, bgcolor=white];",
        f'node [fixedsize=true, fontname={quote(FONT)}, fontsize={SIZE:g}, style="filled"];',
        "edge [arrowsize=0.5];",
    ]
    names: dict[str, str] = {}
    for k, b in enumerate(picture.boxes):
        names[b.name] = f"b{k}"
        lines.append(_box(f"b{k}", b, picture.height))
    for k, t in enumerate(picture.texts):
        w = text_width(t.text, t.size)
        x = t.x + (w / 2 if t.start else 0)
        lines.append(
            f"t{k} [label={quote(t.text + t.start * LEFT)}, shape=plaintext, style=solid, "
            f"fontsize={t.size:g}, "
            f'pos="{x:.1f},{picture.height - t.y + t.size * 0.35:.1f}", '
            f"width={w / 72:.3f}, height={t.size / 48:.3f}];"
        )
    for k, line in enumerate(picture.lines):
        source, target = names.get(line.source), names.get(line.target)
        if source is None or target is None:  # an end in a gap: a point of its own
            for end, (x, y) in (("s", line.points[0]), ("e", line.points[-1])):
                lines.append(
                    f'p{k}{end} [shape=point, style=invis, label="", width=0.01, height=0.01, '
                    f'pos="{x:.1f},{picture.height - y:.1f}"];'
                )
        lines.append(_line(source or f"p{k}s", target or f"p{k}e", line, picture.height))
    return "\n".join([*lines, "}", ""])


def _box(name: str, b: Box, height: float) -> str:
    fill, outline = KINDS[b.kind]
    fill, outline = b.fill or fill, b.outline or outline
    style = ["filled" if fill != "none" else "solid"]
    if b.kind not in ("strip", "constant", "parameter"):
        style.append("rounded")
    if b.dash:
        style.append(b.dash)
    words = {
        "label": quote("\n".join(b.lines)),
        "shape": "box",
        "pos": f'"{b.x:.1f},{height - b.y:.1f}"',
        "width": f"{b.w / 72:.3f}",
        "height": f"{b.h / 72:.3f}",
        "style": quote(",".join(style)),
        "color": quote(outline if outline != "none" else "transparent"),
        "penwidth": f"{b.pen:g}",
    }
    if fill != "none":
        words["fillcolor"] = quote(fill)
    if b.title:
        words["tooltip"] = quote(b.title)
    return f"{name} [{', '.join(f'{k}={v}' for k, v in words.items())}];"


def _line(source: str, target: str, line: Line, height: float) -> str:
    points = [(x, height - y) for x, y in line.points]
    tip, points = _shortened(points) if line.head != "none" else ("", points)
    words = {
        "pos": quote(tip + " ".join(f"{x:.1f},{y:.1f}" for x, y in points)),
        "color": quote(line.colour or EDGES[line.kind]),
        "penwidth": f"{line.pen:g}",
        "arrowhead": line.head,
    }
    if line.dash:
        words["style"] = line.dash
    if line.title:
        words["tooltip"] = quote(line.title)
    return f"{source} -> {target} [{', '.join(f'{k}={v}' for k, v in words.items())}];"


def _shortened(points: list[Point]) -> tuple[str, list[Point]]:
    """The tip of the arrow, and the curve up to where the head begins."""
    (x, y), (px, py) = points[-1], points[-2]
    for px, py in reversed(points[:-1]):
        if (px, py) != (x, y):
            break
    length = math.hypot(x - px, y - py) or 1.0
    back = min(_TIP, length / 2) / length
    end = (x - (x - px) * back, y - (y - py) * back)
    return f"e,{x:.1f},{y:.1f} ", [*points[:-1], end]


def quote(text: str) -> str:
    """Any text as a DOT string: never markup, whatever it holds.

    >>> print(quote('say "no"'))
    "say \\"no\\""
    """
    clean = "".join(c if c in ("\n", LEFT) or c.isprintable() else " " for c in text)
    clean = clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    clean = clean.replace(LEFT, "\\l")
    return f'"{clean}"'
