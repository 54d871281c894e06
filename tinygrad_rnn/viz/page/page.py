"""A diagram as a page in one file: the engine's SVG, the figures behind it as JSON, a script."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any, NamedTuple

from ..layout.picture import Box, Line, Picture

SCRIPTS = ("page.js", "inside.js", "start.js")


class Shown(NamedTuple):
    """A picture of the graph that a page can switch to."""

    kind: str  # "gradient" or "forward"
    level: str
    picture: Picture
    film: Sequence[dict[str, Any]] = ()  # a stop for each arrow: its lines, formula and numbers
    like: Sequence[dict[str, Any]] | None = None  # of one step of each kind: which others are like


class Page(NamedTuple):
    """All that a page holds; the first view is shown at first."""

    views: list[Shown]
    below: Picture | None = None  # curves and legend, which stay where the graph moves
    maps: Sequence[dict[str, Any]] = ()  # heat maps
    tensors: Mapping[int, dict[str, Any]] = {}  # by vertex

    def names(self) -> list[str]:
        """The id of each view: its kind, and its level where that is not the first view's."""
        first = self.views[0].level
        return [v.kind if v.level == first else f"{v.kind}-{v.level}" for v in self.views]


def write(summary: str, page: Page, paint: Callable[[Picture], str]) -> str:
    """The page, its pictures painted, and the script that moves them."""
    here = files(__package__)
    views = dict(zip(page.names(), page.views, strict=True))
    data = {
        "views": {
            name: figures_of(v.picture) | {"film": v.film, "like": v.like}
            for name, v in views.items()
        },
        "maps": page.maps,
        "tensors": page.tensors,
    }
    parts = {
        "title": escape(summary.splitlines()[0]),
        "summary": escape(summary),
        "style": here.joinpath("page.css").read_text(),
        "script": "".join(here.joinpath(name).read_text() for name in SCRIPTS),
        "data": json.dumps(data).replace("<", "\\u003c"),  # no text may end the block
        "below": "" if page.below is None else paint(page.below),
        "figures": "\n".join(
            f'<section id="{name}" data-kind="{v.kind}" data-level="{v.level}"'
            f"{' hidden' if k else ''}>{_own_ids(paint(v.picture), name)}</section>"
            for k, (name, v) in enumerate(views.items())
        ),
    }
    whole = here.joinpath("page.html").read_text()
    # all at once: what is put in is never looked at again
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], whole)


def figures_of(picture: Picture) -> dict[str, Any]:
    """What the script knows about nodes and links, by the ids that DOT gave them."""
    drawn = [b for b in picture.boxes if b.vertex >= 0]
    nodes = {b.name: _node(b) for b in drawn}
    members: dict[int, list[str]] = defaultdict(list)
    for b in drawn:
        members[b.column].append(b.name)
    columns = {
        b.name: {"facts": [b.title], "members": members[b.column]}
        for b in picture.boxes
        if b.kind == "column" and b.name
    }
    ends = {f"e{k}": _ends(line) for k, line in enumerate(picture.lines) if line.edges}
    links = {name: {"from": a, "to": b} for name, (a, b) in ends.items()}
    return {"nodes": nodes, "links": links, "columns": columns, "stops": stops_of(picture)}


def _node(b: Box) -> dict[str, Any]:
    """A box: its facts, the vertex whose numbers it shows, its column, what it stands for."""
    about: dict[str, Any] = {"facts": b.facts, "v": b.vertex, "c": b.column}
    if len(b.parts) > 1:
        about["parts"] = b.parts
    if b.kind in ("parameter", "input"):
        about["leaf"] = True
    return about


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
    stepped = any(b.step is not None for b in boxes.values())
    column = {name: b.column for name, b in boxes.items()}
    order = sorted(boxes, key=lambda name: -rank[name])
    if stepped and not against:
        order.sort(key=lambda name: -column[name])
    stops = []
    for _, some in groupby(order, (column if stepped else rank).__getitem__):
        names = list(some)
        first = boxes[names[0]]
        stops.append({"title": _title(first, picture), "step": first.step, "nodes": names})
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
