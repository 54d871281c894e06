"""What is drawn, before Graphviz paints it: boxes, lines and text at fixed places.

Points are 1/72 inch; x grows to the right, y downwards.
"""

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..graph.graph import Edge

Point = tuple[float, float]
Shape = tuple[str, float, float]  # Graphviz' name, least width and height in inches

FONT = "Helvetica,Arial,sans-serif"
SIZE, SMALL = 10.0, 8.5  # of text in boxes, and in those of a cell
HEADING, SCOPE = 13.0, 9.0  # above a step or a cell that stands for many; of a module's frame

# kind: fill, outline. Told apart by shape or place as well, never by colour alone
KINDS = {
    "op": ("#f4f4f4", "#555555"),
    "state": ("#c9e9c9", "#2d7a2d"),
    "output": ("#e3d4f3", "#6b3fa0"),
    "start": ("#ffffff", "#888888"),
    "value": ("#f5e6c8", "#8f6f2a"),
    "cell": ("#edf3ee", "#3b4a3f"),
    "gate": ("#fff3c4", "#8a7420"),
    "parameter": ("#ffdcb5", "#b3661a"),
    "input": ("#d3e6f8", "#2a6ca8"),
    "constant": ("#ffffff", "#888888"),
    "cut": ("#fbd3dc", "#b02a4a"),
    "column": ("#fcfcfc", "#d0d0d0"),
    "frame": ("none", "#9fb4c8"),
    "strip": ("#888888", "none"),
    "junction": ("#1f6fb2", "none"),
}


@dataclass
class Box:
    """A rectangle with centred lines of text."""

    x: float  # of the centre
    y: float
    w: float
    h: float
    kind: str
    lines: list[str] = field(default_factory=list)
    title: str = ""  # shown when pointed at
    name: str = ""  # unique; empty for what nothing leads to
    step: int | None = None
    fill: str = ""  # in place of the kind's
    outline: str = ""
    pen: float = 1.0
    dash: str = ""  # "", "dashed", "dotted"
    shape: str = "box"
    size: float = SIZE  # of its text
    vertex: int = -1  # of the graph; -1 for none
    column: int = 0
    facts: list[str] = field(default_factory=list)  # all that is known, for the page
    parts: tuple[int, ...] = ()  # the vertices it stands for, where it is folded


@dataclass
class Line:
    """An arrow along cubic Bezier curves: 3 n + 1 points."""

    points: list[Point]
    source: str = ""  # names of boxes
    target: str = ""
    kind: str = "edge"  # "edge", "state"
    colour: str = ""
    pen: float = 1.0
    dash: str = ""
    head: str = "normal"  # "normal", "diamond", "box", "none"
    title: str = ""
    edges: "tuple[Edge, ...]" = ()  # of the graph, that it stands for
    look: str = ""  # the class of a gradient
    label: str = ""
    at: Point | None = None  # of the label


@dataclass
class Text:
    """A line of text on its own, centred on x or starting there."""

    x: float
    y: float
    text: str
    size: float = 12.0
    start: bool = False


@dataclass
class Picture:
    """Everything to be painted, back to front: boxes, lines, texts."""

    title: str
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


EDGES = {"edge": "#444444", "state": "#1f6fb2"}


def text_width(text: str, size: float = SIZE) -> float:
    """Room for a text in Helvetica, on the safe side: no font is at hand to measure it."""
    units = 0.0
    for c in text:
        if unicodedata.east_asian_width(c) in "WF":
            units += 1.1
        elif c in " .,:;|![]()'il":
            units += 0.36
        elif c.isupper() or c in "mw@%&":
            units += 0.86
        else:
            units += 0.6
    return units * size


def shorten(text: str, most: int) -> str:
    """At most so many characters, on one line and without control characters."""
    clean = "".join(c if c.isprintable() else " " for c in text[: 4 * most])
    return clean if len(clean) <= most and len(text) <= 4 * most else clean[: most - 1] + "…"


def rounded(corners: list[Point], radius: float = 6.0) -> list[Point]:
    """A polyline with rounded corners, as cubic Bezier points."""
    path = [corners[0]]
    for k in range(1, len(corners)):
        (x0, y0), (x1, y1) = corners[k - 1], corners[k]
        length = max(abs(x1 - x0) + abs(y1 - y0), 1e-9)
        last = k == len(corners) - 1
        r = 0.0 if last else min(radius, length / 2)
        end = (x1 - (x1 - x0) / length * r, y1 - (y1 - y0) / length * r)
        path += [path[-1], end, end]
        if not last:
            x2, y2 = corners[k + 1]
            ahead = max(abs(x2 - x1) + abs(y2 - y1), 1e-9)
            s = min(radius, ahead / 2)
            after = (x1 + (x2 - x1) / ahead * s, y1 + (y2 - y1) / ahead * s)
            path += [(x1, y1), (x1, y1), after]
    return path
