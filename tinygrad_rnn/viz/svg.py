"""A picture as SVG, without any engine; every box and line can be found by its class and id."""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from .picture import EDGES, FONT, KINDS, LINE, SIZE, Box, Line, Picture, Point

MARGIN = 12.0
_DASH = {"": "", "dashed": "5,3", "dotted": "1.5,3"}
_HEADS = {
    "normal": "M0,1 L8,4 L0,7 z",
    "diamond": "M0,4 L4,0.5 L8,4 L4,7.5 z",
    "box": "M1,1 L7,1 L7,7 L1,7 z",
}


def write(picture: Picture) -> str:
    """The whole SVG; it scales down to the width of what it stands in."""
    w, h = picture.width + 2 * MARGIN, picture.height + 2 * MARGIN
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {w:.1f} {h:.1f}" '
        f'width="{w:.1f}pt" height="{h:.1f}pt" style="max-width:100%;height:auto" '
        f'font-family="{FONT}" role="img">',
        f"<title>{escape(_clean(picture.title))}</title>",
        f'<rect class="paper" x="{-MARGIN:g}" y="{-MARGIN:g}" width="{w:.1f}" height="{h:.1f}" '
        'fill="white"/>',
        "<defs>" + "".join(_markers(picture)) + "</defs>",
    ]
    parts += [_box(b) for b in picture.boxes]
    parts += [_line(line) for line in picture.lines]
    for t in picture.texts:
        anchor = "start" if t.start else "middle"
        parts.append(
            f'<text x="{t.x:.1f}" y="{t.y:.1f}" font-size="{t.size:g}" text-anchor="{anchor}" '
            'paint-order="stroke" stroke="white" stroke-width="3">'  # legible on top of a line
            f"{escape(_clean(t.text))}</text>"
        )
    parts.append("</svg>\n")
    return "\n".join(parts)


def _markers(picture: Picture) -> Iterator[str]:
    """One arrowhead for each colour, form and width of line in use."""
    used = sorted({_look(line) for line in picture.lines if line.head != "none"})
    for head, colour, pen in used:
        size = 4 + 2 * pen  # a head must stand out from its own line
        yield (
            f'<marker id="{_marker(head, colour, pen)}" viewBox="0 0 8 8" refX="7.5" refY="4" '
            f'markerWidth="{size:g}" markerHeight="{size:g}" markerUnits="userSpaceOnUse" '
            f'orient="auto"><path d="{_HEADS[head]}" fill="{colour}"/></marker>'
        )


def _look(line: Line) -> tuple[str, str, float]:
    return line.head, _colour(line), line.pen


def _colour(line: Line) -> str:
    return line.colour or EDGES[line.kind]


def _marker(head: str, colour: str, pen: float) -> str:
    return f"{head}-{colour.lstrip('#')}-{pen:g}".replace(".", "_")


def _attributes(data: dict[str, str]) -> str:
    return "".join(f" data-{k}={quoteattr(_clean(v))}" for k, v in data.items())


def _box(b: Box) -> str:
    fill, outline = KINDS[b.kind]
    name = f' id="{b.name}"' if b.name else ""
    step = "" if b.step is None else f' data-step="{b.step}"'
    role = "node " if b.name else ""
    dash = f' stroke-dasharray="{_DASH[b.dash]}"' if b.dash else ""
    radius = 0 if b.kind in ("strip", "constant") else 5 if b.kind != "parameter" else 1
    rect = (
        f'<rect x="{b.x - b.w / 2:.1f}" y="{b.y - b.h / 2:.1f}" width="{b.w:.1f}" '
        f'height="{b.h:.1f}" rx="{radius}" fill="{b.fill or fill}" '
        f'stroke="{b.outline or outline}" stroke-width="{b.pen:g}"{dash}/>'
    )
    title = f"<title>{escape(_clean(b.title))}</title>" if b.title else ""
    top = b.y - (len(b.lines) - 1) * LINE / 2 + SIZE * 0.35
    text = "".join(
        f'<text x="{b.x:.1f}" y="{top + i * LINE:.1f}" font-size="{SIZE:g}" '
        f'text-anchor="middle">{escape(_clean(line))}</text>'
        for i, line in enumerate(b.lines)
    )
    return f'<g class="{role}{b.kind}"{name}{step}{_attributes(b.data)}>{title}{rect}{text}</g>'


def _line(line: Line) -> str:
    colour = _colour(line)
    dash = f' stroke-dasharray="{_DASH[line.dash]}"' if line.dash else ""
    head = "" if line.head == "none" else f' marker-end="url(#{_marker(*_look(line))})"'
    ends = f' data-source="{line.source}" data-target="{line.target}"'
    title = f"<title>{escape(_clean(line.title))}</title>" if line.title else ""
    return (
        f'<g class="link {line.kind}"{ends}{_attributes(line.data)}>{title}'
        f'<path d="{_path(line.points)}" fill="none" stroke="{colour}" '
        f'stroke-width="{line.pen:g}"{dash}{head}/></g>'
    )


def _path(points: list[Point]) -> str:
    numbers = [f"{x:.1f},{y:.1f}" for x, y in points]
    curves = [" ".join(numbers[k : k + 3]) for k in range(1, len(numbers), 3)]
    return f"M{numbers[0]} " + " ".join(f"C{c}" for c in curves)


def _clean(text: str) -> str:
    """Without what XML cannot hold: control characters and lone surrogates."""
    return "".join(
        c if c in "\n\t" or ((c >= " " and not "\x7f" <= c <= "\x9f" and c not in "\ufffe\uffff")
        and not "\ud800" <= c <= "\udfff") else "\ufffd" for c in text
    )  # fmt: skip
