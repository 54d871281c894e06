"""Gradient flow painted on the unrolled graph: width, colour and shape by each edge's own norm."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..kernels.measure import Measured
from ..op import Array
from .flow import NOTHING, Flow, Rate
from .graph import Edge, Graph
from .picture import Box, Line, Picture, Text, text_width

VANISHED, EXPLODING = 1e-6, 1e3  # times the norm at the last step
# strong to weak, dark to light and blue to green: read in grey as well as in colour
RAMP = ("#7fc8a9", "#4fb3a5", "#2f97a3", "#2b779b", "#31568f", "#3a3579", "#3b1456")
RED, BAD, NONE = "#c8102e", "#d100a0", "#c8c8c8"
BINS = 240  # boxes of a strip


class Table(NamedTuple):
    """The figures of a diagram as arrays."""

    edges: dict[str, Array]  # source, target, place, op, step, norm, largest, zeros, bad
    states: dict[str, dict[str, Array]]  # by name: step, norm, carried
    parameters: dict[str, dict[str, Array]]  # by module path: step, norm
    rates: dict[str, Rate]  # by state
    totals: dict[str, float]  # norm of each parameter's whole gradient, by module path


class Look(NamedTuple):
    """How a norm is drawn."""

    colour: str
    pen: float
    dash: str
    head: str
    word: str


class Scale:
    """Norms against the one that the gradient starts from at the last step."""

    def __init__(self, reference: float):
        self.reference = reference if reference > 0 and math.isfinite(reference) else 1.0

    def look(self, m: Measured | None) -> Look:
        """Colour, width and shape: each class differs in more than colour."""
        if m is None or m.norm == 0:
            return Look(NONE, 0.8, "dotted", "none", "no gradient")
        if m.bad or not math.isfinite(m.norm):
            return Look(BAD, 2.5, "dotted", "box", "NaN or infinite")
        r = m.norm / self.reference
        if r < VANISHED:
            return Look(RED, 0.7, "dashed", "normal", "vanished")
        if r > EXPLODING:
            return Look(RED, 5.0, "", "diamond", "exploding")
        part = (math.log10(r) - math.log10(VANISHED)) / math.log10(EXPLODING / VANISHED)
        colour = RAMP[min(int(part * len(RAMP)), len(RAMP) - 1)]
        return Look(colour, round(0.8 + 3.4 * part, 2), "", "normal", "")


def scale_of(flow: Flow) -> Scale:
    """The scale of a flow: largest total among the states of the last step, or of the output."""
    graph = flow.graph
    assert graph is not None
    latest = []
    for members in flow.states().values():
        norms = [(flow.total_of(v) or NOTHING).norm for _, v in reversed(members)]
        latest += [n for n in norms if n > 0 and math.isfinite(n)][:1]
    if latest:
        return Scale(max(latest))
    found = [flow.total_of(v) or NOTHING for v in graph.vertices]
    return Scale(max((m.norm for m in found if m.norm > 0 and math.isfinite(m.norm)), default=1.0))


def short(m: Measured | None) -> str:
    """A norm in few characters."""
    return "none" if m is None else f"{m.norm:.2g}"


def rate_text(rate: Rate) -> str:
    """A rate in words.

    >>> rate_text(Rate(0.5, 1.0))
    '× 0.5 a step, half-life 1 steps'
    """
    if math.isnan(rate.factor):
        return "no rate: the gradient does not pass between steps"
    if math.isfinite(rate.half_life):
        return f"× {rate.factor:.3g} a step, half-life {rate.half_life:.3g} steps"
    if rate.factor > 1 + 1e-6:
        return (
            f"× {rate.factor:.3g} a step, doubles every {math.log(2) / math.log(rate.factor):.3g}"
        )
    return f"× {rate.factor:.3g} a step, does not decay"


def paint(picture: Picture, flow: Flow, scale: Scale, table: Table) -> None:
    """Turn the arrows round and draw them, and the boxes, by their norms; add strips and legend."""
    graph = flow.graph
    assert graph is not None
    vertices = {b.name: int(b.data["vertex"]) for b in picture.boxes if "vertex" in b.data}
    for line in picture.lines:
        _paint_line(line, graph, flow, scale, vertices)
    for b in picture.boxes:
        if "vertex" not in b.data:
            continue
        m = flow.of_vertex(graph.vertices[vertices[b.name]], b.step)
        look = scale.look(m)
        b.outline, b.dash = look.colour, look.dash
        b.pen = min(look.pen, 3.0)
        b.title += f"; gradient: {_words(m)}"
        b.data["norm"] = f"{m.norm:.6g}" if m else "0"
    y = _strips(picture, table, scale, picture.height + 16)
    picture.height = _legend(picture, scale, y + 12)


def _paint_line(
    line: Line, graph: Graph, flow: Flow, scale: Scale, vertices: dict[str, int]
) -> None:
    target = vertices[line.target] if line.target else int(line.data["hidden"])
    m = flow.of_edge(graph, Edge(-1, target, int(line.data["place"])))
    look = scale.look(m)
    line.points = line.points[::-1]
    line.source, line.target = line.target, line.source
    line.colour, line.pen, line.head = look.colour, look.pen, look.head
    line.dash = look.dash
    line.title = f"gradient: {_words(m)}"
    line.data["norm"] = f"{m.norm:.6g}" if m else "0"
    line.data["class"] = look.word or "flows"


def _words(m: Measured | None) -> str:
    if m is None:
        return "none arrives"
    words = f"norm {m.norm:.4g}, largest {m.largest:.4g}, {100 * m.zeros:.3g} % zeros"
    return words + (f", {m.bad:.0f} not finite" if m.bad else "")


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
            height = {"": 12.0, "vanished": 4.0, "exploding": 16.0}.get(look.word, 8.0)
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
    """The scale, its thresholds, and a sample of each class."""
    r = scale.reference
    picture.texts.append(
        Text(0, y, f"norm of an edge's own contribution; 1 on the scale = {r:.3g}, "
             "the state's gradient at the last step", 10.0, start=True)
    )  # fmt: skip
    samples = [(Measured(r * 10 ** (k + 0.01), 0, 0, 0), f"10^{k}") for k in range(-6, 3, 2)] + [
        (Measured(r * VANISHED / 10, 0, 0, 0), f"vanished: below {VANISHED:g}"),
        (Measured(r * EXPLODING * 10, 0, 0, 0), f"exploding: above {EXPLODING:g}"),
        (Measured(math.nan, 0, 0, 1), "NaN or infinite"),
        (None, "no gradient"),
    ]
    x, y = 0.0, y + 18
    for m, words in samples:
        look = scale.look(m)
        points: list[Any] = [(x + 34, y), (x + 20, y), (x + 12, y), (x, y)]
        picture.lines.append(
            Line(points, colour=look.colour, pen=look.pen, dash=look.dash, head=look.head)
        )
        picture.texts.append(Text(x + 40, y + 4, words, 10.0, start=True))
        x += 52 + text_width(words, 10.0)
    picture.width = max(picture.width, x)
    return y + 14


def tabulate(flow: Flow) -> Table:
    """All figures of a flow as arrays."""
    graph = flow.graph
    assert graph is not None
    rows: list[Any] = []
    for e in graph.edges:
        a, b = graph.vertices[e.source], graph.vertices[e.target]
        m = flow.of_edge(graph, e)
        if m is not None:
            step = -1 if b.step is None else b.step
            rows.append((a.name or a.op, b.name or b.op, e.place, b.op, step, *m))
    names = ("source", "target", "place", "op", "step", "norm", "largest", "zeros", "bad")
    edges = {n: np.array([r[k] for r in rows]) for k, n in enumerate(names)}
    states, rates = {}, {}
    for name, members in flow.states().items():
        carried = [(flow.carried_to(v) or NOTHING).norm for _, v in members]
        states[name] = {
            "step": np.array([t for t, _ in members]),
            "norm": np.array([(flow.total_of(v) or NOTHING).norm for _, v in members]),
            "carried": np.array(carried),
        }
        rates[name] = flow.rate(members)
    totals, parameters = {}, {}
    for v in graph.vertices:
        if v.kind != "parameter":
            continue
        totals[v.path] = (flow.total_of(v) or NOTHING).norm
        steps = flow.steps_of(v)
        if len(steps) > 1:
            norms = [(flow.part_of(v, s) or NOTHING).norm for s in steps]
            parameters[v.path] = {"step": np.array(steps), "norm": np.array(norms)}
    return Table(edges, states, parameters, rates, totals)
