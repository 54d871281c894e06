"""Backpropagation through time as a moving picture: edges light up as the tape goes through them.

Every frame is the diagram, painted by Graphviz, with one arrow's contribution in words and
numbers below it; Pillow (extra `examples`) puts the frames together.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from ...errors import RenderError
from ..flow.contributions import Contribution, numbers
from ..flow.table import brief
from ..graph.graph import Graph
from ..layout import engine
from ..layout.picture import Box, Line, Picture, Text, text_width
from ..paint import dot

MOST = 120  # frames; beyond it, what goes to one column is one frame, then all is too much
NOW, WAITING = "#e8590c", "#dcdcdc"
SHOWN = 3  # contributions in words below a frame
SECONDS, LAST = 0.9, 3.0  # a frame is to be seen for


def stops(
    picture: Picture, told: Sequence[Contribution]
) -> list[tuple[set[int], list[Contribution]]]:
    """What lights up together: the lines of the picture, and what is told of them.

    Raises RenderError where there would be more than MOST.
    """
    line_of = {e.key: k for k, line in enumerate(picture.lines) for e in line.edges}
    # a weight without a box of its own is told with what it multiplies
    by_target = {e.target: k for k, line in enumerate(picture.lines) for e in line.edges}
    lines = [line_of.get(c.edge, by_target.get(c.target)) for c in told]
    shown = [(k, c) for k, c in zip(lines, told, strict=True) if k is not None]
    columns = {b.name: b.column for b in picture.boxes}
    for key in (lambda shown: shown[0], lambda shown: _column(columns, picture.lines[shown[0]])):
        found = [list(together) for _, together in groupby(shown, key)]
        if len(found) <= MOST:
            return [({k for k, _ in some}, [c for _, c in some]) for some in found]
    raise RenderError(
        f"save: a film of this diagram would have {len(found)} frames, over {MOST}; show fewer "
        "steps, or save the page (.html), which plays the sweep"
    )


def arrows(picture: Picture, told: Sequence[Contribution], graph: Graph) -> list[dict[str, Any]]:
    """The film for a page: which lines light up, and what is told of them; none if too many."""
    try:
        found = stops(picture, told)
    except RenderError:
        return []
    made = []
    for now, some in found:
        step = graph.vertices[some[0].target].step
        title = "" if step is None else f"t = {step}"
        lines = [f"e{line}" for line in sorted(now)]
        made.append({"title": title, "step": step, "lines": lines, "words": _words(some, graph)})
    return made


def _column(columns: Mapping[str, int], line: Line) -> int:
    """The column of the box that a line comes from, forward in time."""
    return columns.get(line.source, columns.get(line.target, -1))


def frames(
    picture: Picture, bare: Picture, told: Sequence[Contribution], graph: Graph
) -> list[Picture]:
    """A picture for each stop, of one size: what waits is pale, what comes now is orange.

    `bare`: the same without the norms, which are written where the gradient has come to.
    """
    found = stops(picture, told)
    captions = []
    for k, (_, some) in enumerate(found, 1):
        step = graph.vertices[some[0].target].step
        where = "" if step is None else f", t = {step}"
        captions.append([f"{k} of {len(found)}{where}", *_words(some, graph)])
    width = max((text_width(t, 13.0) for lines in captions for t in lines), default=0.0)
    done: set[int] = set()
    sums: dict[tuple[int, int | None], Contribution] = {}  # by box
    made = []
    for (now, some), caption in zip(found, captions, strict=True):
        sums.update({_place(graph, c.source, graph.vertices[c.target].step): c for c in some})
        boxes = [
            _box(b, plain.lines, sums, graph)
            for b, plain in zip(picture.boxes, bare.boxes, strict=True)
        ]
        lines = [
            _line(line, plain.label, k in now, k in done)
            for k, (line, plain) in enumerate(zip(picture.lines, bare.lines, strict=True))
        ]
        texts = [
            Text(0, picture.height + 18 + 18 * k, text, 13.0 if k else 11.0, start=True)
            for k, text in enumerate(caption)
        ]
        size = max(picture.width, width), picture.height + 18 * (SHOWN + 2)
        made.append(Picture(picture.title, boxes, lines, picture.texts + texts, *size))
        done |= now
    return made


def _place(graph: Graph, number: int, step: int | None) -> tuple[int, int | None]:
    """The box of a vertex: of a parameter one at every step, each with the sum up to there."""
    return number, step if graph.vertices[number].kind == "parameter" else None


def _words(some: Sequence[Contribution], graph: Graph) -> list[str]:
    """What is sent: formulas, numbers, sums so far."""
    lines = []
    for c in some[:SHOWN]:
        size = _size(graph, c.source)
        value = numbers(c.value, size)
        text = c.formula if c.formula.endswith(f"= {value}") else f"{c.formula}  =  {value}"
        if c.nth > 1:
            text += f"    (the sum of {c.nth} so far: {numbers(c.total, size)})"
        lines.append(text)
    if len(some) > SHOWN:
        lines[-1] += f"    and {len(some) - SHOWN} more"
    return lines


def _size(graph: Graph, number: int) -> int:
    return math.prod(graph.vertices[number].shape)


def _box(
    b: Box, plain: list[str], sums: dict[tuple[int, int | None], Contribution], graph: Graph
) -> Box:
    """A box with the sum of what has reached it so far, pale until something has."""
    if b.vertex < 0:
        return b
    norm = b.lines[len(plain) :]  # where a box has room for one
    c = sums.get(_place(graph, b.vertex, b.step))
    if c is None and b.vertex != graph.output:
        return replace(b, lines=plain, outline=WAITING, dash="", pen=1.0)
    if not norm:
        return replace(b, lines=plain)
    small = not norm[0].startswith("|g|")
    sent = np.ones(()) if c is None else c.total  # the loss begins with 1
    if _size(graph, b.vertex) == 1:
        written = f"{sent.item():.2g}" if small else f"g {sent.item():.3g}"
    else:
        total = float(np.linalg.norm(sent))
        written = brief(total) if small else f"|g| {total:.2g}"
    return replace(b, lines=[*plain, written])


def _line(line: Line, plain: str, now: bool, done: bool) -> Line:
    if now:
        return replace(line, colour=NOW, pen=max(line.pen, 2.6), dash="")
    if done or not line.edges:
        return line
    return replace(line, colour=WAITING, pen=0.8, dash="", head="none", label=plain)


def animated(made: Sequence[Picture], form: str, seconds: float, dpi: int) -> bytes:
    """Frames as a film, "gif" or "webp".

    Raises RenderError without Pillow or an engine, or where there is nothing to be seen.
    """
    try:
        from PIL import Image
    except ImportError:
        raise RenderError(
            f"a film (.{form}) needs Pillow: pip install 'tinygrad_rnn[examples]'"
        ) from None
    if not made:
        raise RenderError("save: no gradient flows in this diagram, there is nothing to film")
    sources = []
    for frame in made:
        placed = dot.write(frame)
        placed.graph_attr["dpi"] = str(dpi)
        sources.append(placed.source)
    painted = [Image.open(io.BytesIO(png)) for png in engine.paint_all(sources, seconds)]
    size = max(im.width for im in painted), max(im.height for im in painted)
    film = [Image.new("RGB", size, "white") for _ in painted]
    for whole, im in zip(film, painted, strict=True):
        whole.paste(im.convert("RGB"), (0, 0))
    times = [int(1000 * SECONDS)] * (len(film) - 1) + [int(1000 * LAST)]
    how: dict[str, Any] = {"lossless": True} if form == "webp" else {}
    if form == "gif":  # one palette for all, no flicker: of the last frame, and of what is lit up
        colours = Image.new("RGB", (size[0], size[1] + 60), NOW)
        colours.paste(film[-1], (0, 0))
        palette = colours.quantize(128)
        film = [im.quantize(palette=palette, dither=Image.Dither.NONE) for im in film]
    out = io.BytesIO()
    film[0].save(
        out, form.upper(), save_all=True, append_images=film[1:], duration=times, loop=0, **how
    )
    return out.getvalue()
