"""A diagram as a page in one file: the engine's SVG, the figures behind it as JSON, a script."""

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from .picture import Box, Line, Picture

View = tuple[str, Picture, str]  # name, what was drawn, its SVG


def write(summary: str, views: Sequence[View]) -> str:
    """The page: both views where there are two, and the script that moves them."""
    here = files(__package__)
    figures = json.dumps({name: figures_of(picture) for name, picture, _ in views})
    parts = {
        "title": escape(summary.splitlines()[0]),
        "summary": escape(summary),
        "style": here.joinpath("page.css").read_text(),
        "script": here.joinpath("page.js").read_text(),
        "data": figures.replace("<", "\\u003c"),  # no text may end the block
        "figures": "\n".join(
            f'<section id="{name}"{" hidden" if k else ""}>{_own_ids(svg, name)}</section>'
            for k, (name, _, svg) in enumerate(views)
        ),
    }
    page = here.joinpath("page.html").read_text()
    # all at once: what is put in is never looked at again
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], page)


def figures_of(picture: Picture) -> dict[str, Any]:
    """What the script knows about nodes and links, by the ids that DOT gave them."""
    nodes = {b.name: {"facts": b.facts} for b in picture.boxes if b.vertex >= 0}
    links = {
        f"e{k}": dict(zip(("from", "to"), _ends(line), strict=True))
        for k, line in enumerate(picture.lines)
        if line.edges
    }
    return {"nodes": nodes, "links": links, "stops": stops_of(picture)}


def _ends(line: Line) -> tuple[str, str]:
    """What a line leads from and to, forward in time also where the gradient is drawn."""
    return (line.target, line.source) if line.look else (line.source, line.target)


def stops_of(picture: Picture) -> list[dict[str, Any]]:
    """The backward sweep in stops: what follows the loop, each step, what comes before it.

    A parameter's or an input's box goes with what reads it. Where states run both ways, a step's
    two directions are stops of their own; without steps each op is one.
    """
    boxes = {b.name: b for b in picture.boxes if b.vertex >= 0}
    rank = {name: b.vertex for name, b in boxes.items()}
    against = False
    for line in picture.lines:
        source, target = _ends(line)
        a, b = boxes.get(source), boxes.get(target)
        if a and b:
            against |= a.column > b.column
            if not any(kind in a.kind for kind in ("op", "state", "output")):
                rank[source] = max(rank[source], b.vertex)
    order = sorted(boxes, key=lambda name: -rank[name])
    if all(b.step is None for b in boxes.values()):
        keys = {name: rank[name] for name in order}
    elif not against:
        keys = {name: boxes[name].column for name in order}
        order.sort(key=lambda name: -boxes[name].column)
    else:
        keys = {name: boxes[name].column for name in order}
    stops: list[dict[str, Any]] = []
    last = None
    for name in order:
        if keys[name] != last:
            last = keys[name]
            stops.append({"title": _title(boxes[name], picture), "nodes": []})
        stops[-1]["nodes"].append(name)
    return stops


def _title(b: Box, picture: Picture) -> str:
    if b.step is not None:
        return f"t = {b.step}"
    steps = [c.column for c in picture.boxes if c.step is not None and c.vertex >= 0]
    if not steps:
        return b.lines[0] if b.lines else ""
    return "before the loop" if b.column < min(steps) else "after the loop"


def _own_ids(svg: str, view: str) -> str:
    """Two views stand on one page; an id is found by its view."""
    return re.sub(r'(<g[^>]*?) id="', rf'\1 id="{view}-', svg)
