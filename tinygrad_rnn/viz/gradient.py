"""Gradient flow painted on the unrolled graph: width, colour and shape by each edge's own norm."""

import math
from typing import Any

import numpy as np

from ..kernels.measure import Measured
from ..op import Array
from .columns import Columns
from .fates import Scale
from .flow import Flow
from .graph import Graph
from .picture import Box, Line, Picture, Text, text_width
from .table import Table, rate_text, short, words_of

BINS = 240  # boxes of a strip


def paint(picture: Picture, flow: Flow, scale: Scale, table: Table) -> None:
    """Turn the arrows round and draw them, and the boxes, by their norms; add strips and legend."""
    graph = flow.graph
    assert graph is not None
    for line in picture.lines:
        _paint_line(line, graph, flow, scale)
    for b in picture.boxes:
        if b.vertex < 0:
            continue
        m = flow.of_vertex(graph.vertices[b.vertex], b.step)
        look = scale.look(m)
        b.outline, b.dash = look.colour, look.dash
        b.pen = min(look.pen, 3.0)
        b.facts.append(f"gradient: {words_of(m)}")
    y = _strips(picture, table, scale, picture.height + 16)
    picture.height = _legend(picture, scale, y + 12)


def write_on_edges(columns: Columns, flow: Flow) -> None:
    """The norm that flows back beside each weight's name, where weights stand on edges."""
    graph = flow.graph
    assert graph is not None
    for e in [*(e for c in columns.columns for e in c.inner), *columns.across]:
        found = flow.of_edges(graph, e.origin) if e.label else None
        if found is not None:
            e.label += f"\n|g| {short(found)}"


def _paint_line(line: Line, graph: Graph, flow: Flow, scale: Scale) -> None:
    """Turn an arrow round and draw it by what flows back along its edges."""
    m = flow.of_edges(graph, line.edges)
    look = scale.look(m)
    line.points = line.points[::-1]
    line.source, line.target = line.target, line.source
    whole = not line.target.startswith("j")  # up to a box, not to where a state fans out
    line.colour, line.pen, line.head = look.colour, look.pen, look.head if whole else "none"
    line.dash, line.look = look.dash, look.fate
    line.title = f"gradient: {words_of(m)}"


def _strips(picture: Picture, table: Table, scale: Scale, y: float) -> float:
    """One strip for each state and each parameter that several steps share: norms over time."""
    rows: list[tuple[str, str, dict[str, Array]]] = [
        (name, rate_text(table.rates[name]), found) for name, found in table.states.items()
    ]
    rows += [(name, "by step", found) for name, found in table.parameters.items()]
    if not rows:
        return y
    label = max(text_width(f"{name}: {words}", 10.0) for name, words, _ in rows) + 16
    width = max(picture.width - label, 320.0)
    picture.width = max(picture.width, label + width)
    first = int(min(found["step"].min() for _, _, found in rows))
    last = int(max(found["step"].max() for _, _, found in rows))
    n = min(last - first + 1, BINS)
    cell = width / n
    picture.texts.append(Text(0, y, "norm of the gradient at every step", 11.0, start=True))
    for name, words, found in rows:
        y += 18
        picture.texts.append(Text(0, y + 4, f"{name}: {words}", 10.0, start=True))
        for k in range(n):
            lo, hi = (first + (last - first + 1) * i / n for i in (k, k + 1))
            inside = (found["step"] >= math.floor(lo)) & (
                found["step"] < max(math.floor(hi), lo + 1)
            )
            if not inside.any():
                continue
            worst = _worst(found["norm"][inside], scale)
            look = scale.look(Measured(worst, worst, 0.0, int(not math.isfinite(worst))))
            height = {"flows": 12.0, "vanished": 4.0, "exploding": 16.0}.get(look.fate, 8.0)
            t = math.floor(lo)
            picture.boxes.append(Box(label + cell * (k + 0.5), y, cell, height, "strip",
                                     fill=look.colour, title=f"{name}, t = {t}: {worst:.3g}",
                                     step=t))  # fmt: skip
    y += 22
    picture.texts.append(Text(label, y, f"t = {first}", 10.0, start=True))
    picture.texts.append(Text(label + width - 30, y, f"t = {last}", 10.0))
    return y + 8


def _worst(norms: Array, scale: Scale) -> float:
    """What stands for several steps: one that is not finite, else the farthest from the scale."""
    if not np.isfinite(norms).all():
        return float("nan")
    logs = np.abs(np.log10(np.maximum(norms, 1e-300) / scale.reference))
    return float(norms[int(np.argmax(logs))])


def _legend(picture: Picture, scale: Scale, y: float) -> float:
    """The scale, its thresholds, and a sample of each fate."""
    picture.texts.append(Text(0, y, "norm of an edge's own contribution", 10.0, start=True))
    x, y = 0.0, y + 18
    for look, words in scale.legend():
        points: list[Any] = [(x + 34, y), (x + 20, y), (x + 12, y), (x, y)]
        picture.lines.append(
            Line(points, colour=look.colour, pen=look.pen, dash=look.dash, head=look.head)
        )
        picture.texts.append(Text(x + 40, y + 4, words, 10.0, start=True))
        x += 52 + text_width(words, 10.0)
    picture.width = max(picture.width, x)
    return y + 14
