"""Norms of the gradient by step as curves: a chart for each state and each shared parameter.

All charts have one logarithmic scale. The whole gradient is a line; where losses enter at
several steps, what the loss that was followed sends alone is a grey one; the rate fitted
to it is dashed. What has no place on the scale stands at its edges: exactly 0 as a square on
the lower edge, not finite on the upper one; where no path leads there is nothing.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np

from ...op import Array
from ..flow.fates import BAD, RED
from ..flow.rates import Rate
from ..flow.table import Table, rate_text
from ..layout.picture import Box, Line, Picture, Point, Text, shorten, text_width

HEIGHT, APART = 44.0, 12.0  # of a chart, and between two
BINS = 240  # a longer series is drawn as the least and the largest of each bin
PIECE = 200  # corners in one path: Graphviz refuses strings of over 16,384 characters
DOTS = 60  # up to so many steps each has a dot that tells its norm
INK, GREY, GRID = "#1f6fb2", "#9a9a9a", "#e4e4e4"
SMALL = 10.0


class Chart(NamedTuple):
    """What one chart shows: a state, or a parameter, which has no rate."""

    name: str
    rate: Rate | None
    found: dict[str, Array]

    def words(self) -> list[str]:
        """What stands beside it."""
        return [shorten(self.name, 48), "by step" if self.rate is None else rate_text(self.rate)]

    def differs(self) -> bool:
        """Whether more losses send something than the one that was followed."""
        norm = self.found["norm"]
        return not np.array_equal(norm, self.found.get("alone", norm), equal_nan=True)


def add_curves(picture: Picture, table: Table, y: float) -> float:
    """Charts under a picture, from `y` down, as wide as it is; where they end."""
    charts = [Chart(name, table.rates[name], found) for name, found in table.states.items()]
    charts += [Chart(name, None, table.parameters[name]) for name in table.drawn]
    if not charts:
        return y
    steps = np.concatenate([c.found["step"] for c in charts])
    kinds = [c.found[k] for c in charts for k in ("norm", "alone") if k in c.found]
    label = max(text_width(t, SMALL) for c in charts for t in c.words()) + 12
    width = max(picture.width - label - 60, 360.0)
    span = int(steps.min()), int(steps.max())
    axes = _Axes(picture, label + 48, width, *span, np.concatenate(kinds))
    picture.width = max(picture.width, label + 60 + width)
    left = len(table.parameters) - len(table.drawn)
    words = f"; {left} more parameters in .table()" if left else ""
    picture.texts.append(Text(0, y, _heading(charts) + words, 11.0, start=True))
    for c in charts:
        y += APART
        for k, text in enumerate(c.words()):
            picture.texts.append(Text(0, y + 14 + 14 * k, text, SMALL, start=True))
        axes.frame(y)
        axes.draw(y, c)
        y += HEIGHT
    return axes.below(y)


def _heading(charts: Sequence[Chart]) -> str:
    several = any(c.differs() for c in charts)
    rates = [c.rate for c in charts if c.rate is not None]
    words = "norm of the gradient at every step"
    if several:
        followed = {rate.loss_step for rate in rates} - {None}
        which = f"the loss of t = {followed.pop()}" if len(followed) == 1 else "one step's loss"
        words += f"; grey: what {which} alone sends"
    if rates:
        words += "; dashed: the rate fitted" + " to that" * several
    return words


class _Axes:
    """Where steps and norms lie on the charts of a picture."""

    def __init__(
        self, picture: Picture, x: float, width: float, first: int, last: int, values: Array
    ):
        self.picture = picture
        usable = values[np.isfinite(values) & (values > 0)]
        low, high = (float(usable.min()), float(usable.max())) if usable.size else (0.1, 1.0)
        if high < 3 * low:  # all alike: not the noise blown up
            low, high = low / math.sqrt(3), high * math.sqrt(3)
        self.x, self.width, self.first, self.last = x, width, first, max(last, first + 1)
        self.low, self.high = math.log(low), math.log(high)

    def across(self, step: float) -> float:
        return self.x + self.width * (step - self.first) / (self.last - self.first)

    def down(self, y: float, norm: float) -> float:
        part = (math.log(norm) - self.low) / (self.high - self.low)
        return y + 4 + (HEIGHT - 8) * (1 - min(max(part, 0.0), 1.0))

    def frame(self, y: float) -> None:
        """The chart's border, and a line for every norm on its scale."""
        right = self.x + self.width
        for norm in ticks(math.exp(self.low), math.exp(self.high)):
            at = self.down(y, norm)
            self.picture.lines.append(_path([(self.x, at), (right, at)], GRID, 0.6))
            text = f"{norm:.0e}" if norm < 1e-2 or norm >= 1e3 else f"{norm:g}"
            short = text.replace("e-0", "e-").replace("e+0", "e")
            self.picture.texts.append(
                Text(self.x - 6 - text_width(short, SMALL), at + 3.5, short, SMALL, start=True)
            )
        border = [(self.x, y), (self.x, y + HEIGHT), (right, y + HEIGHT)]
        self.picture.lines.append(_path(border, "#888888", 0.8))

    def below(self, y: float) -> float:
        """The steps under the last chart."""
        span = self.last - self.first
        apart = next(m * 10**k for k in count() for m in (1, 2, 5) if span <= m * 10 ** (k + 1))
        for t in range(-(-self.first // apart) * apart, self.last + 1, apart):
            at = self.across(t)
            self.picture.lines.append(_path([(at, y), (at, y + 4)], "#888888", 0.8))
            self.picture.texts.append(Text(at, y + 15, str(t), SMALL))
        self.picture.texts.append(Text(self.x + self.width / 2, y + 29, "step t", SMALL))
        return y + 34

    def draw(self, y: float, chart: Chart) -> None:
        """The curves of one state or parameter."""
        name, rate, found = chart
        if chart.differs():
            self.curve(y, found["step"], found["alone"], GREY, 1.0)
        if rate is not None and (line := fitted(rate, found)) is not None:
            ends = [(self.across(t), self.down(y, norm)) for t, norm in line]
            words = f"{name}: {rate_text(rate)}"
            self.picture.lines.append(_path(ends, "#444444", 1.0, "dashed", words))
        self.curve(y, found["step"], found["norm"], INK, 1.6)
        many = len(found["step"]) > DOTS
        columns = found["step"].tolist(), found["norm"].tolist(), found["fate"]
        for t, norm, fate in zip(*columns, strict=True):
            flows = fate in ("flows", "vanished", "exploding")
            if fate == "absent" or (flows and many):
                continue
            edge = y + HEIGHT if fate == "zero" else y
            at = self.down(y, norm) if flows else edge
            size, fill = (3.0, INK) if flows else (5.0, RED if fate == "zero" else BAD)
            words = f"{name}, t = {t}: {'exactly 0' if fate == 'zero' else f'{norm:.3g}'} ({fate})"
            self.picture.boxes.append(
                Box(self.across(t), at, size, size, "strip", fill=fill, title=words, step=t)
            )

    def curve(self, y: float, steps: Array, norms: Array, colour: str, pen: float) -> None:
        """A line through all norms that are on the scale, broken where one is not."""
        order = np.argsort(steps)
        for run in _runs(steps[order], norms[order]):
            points = [(self.across(t), self.down(y, norm)) for t, norm in run]
            for k in range(0, len(points) - 1, PIECE):
                self.picture.lines.append(_path(points[k : k + PIECE + 1], colour, pen))


def ticks(low: float, high: float) -> list[float]:
    """At most three round numbers from `low` to `high` on a logarithmic scale.

    >>> ticks(0.34, 1.5), ticks(3e-9, 2.0)
    ([0.5, 1.0], [1e-08, 0.0001, 1.0])
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first < 1:
        decades = range(first - 1, last + 1)
        found = [m * 10.0**k for k in decades for m in (1, 2, 5)]
        inside = [float(f"{t:.3g}") for t in found if low <= t <= high]
        return inside[:: -(-len(inside) // 3)] if inside else []
    apart = -(-(last - first) // 2)
    return [float(f"1e{k}") for k in range(first, last + 1, apart)]


def fitted(rate: Rate, found: dict[str, Array]) -> list[tuple[float, float]] | None:
    """Both ends of the line fitted to a state, (step, norm): the rate through its median point."""
    steps, alone = found["step"][::-1], found["alone"][::-1]  # from the last recorded back
    usable = np.isfinite(alone) & (alone > 0)
    if math.isnan(rate.factor) or rate.first_step is None or usable.sum() < 2:
        return None
    far = int(np.flatnonzero(steps == rate.first_step)[0])
    near = int(np.flatnonzero(usable)[0])
    k = np.arange(len(alone))
    within = usable & (k <= far)
    start = float(np.median(np.log(alone[within]) - math.log(rate.factor) * k[within]))
    logs = [start + math.log(rate.factor) * end for end in (near, far)]
    norms = [math.exp(min(max(log, -700.0), 700.0)) for log in logs]
    return [(float(steps[end]), norm) for end, norm in zip((near, far), norms, strict=True)]


def _runs(steps: Array, norms: Array) -> Iterator[list[tuple[float, float]]]:
    """Stretches without a gap, thinned out to the least and the largest of each bin."""
    usable = np.isfinite(norms) & (norms > 0)
    for run in np.split(np.arange(len(norms)), np.flatnonzero(np.diff(usable)) + 1):
        if len(run) and usable[run[0]]:
            if len(run) > 2 * BINS:
                bins = np.array_split(run, BINS)
                ends = [k[f(norms[k])] for k in bins for f in (np.argmin, np.argmax)]
                run = np.unique([run[0], *ends, run[-1]])
            yield list(zip(steps[run].tolist(), norms[run].tolist(), strict=True))


def _path(
    corners: Sequence[Point], colour: str, pen: float, dash: str = "", title: str = ""
) -> Line:
    points = [corners[0]]
    for a, b in pairwise(corners):
        points += [a, b, b]
    return Line(points, colour=colour, pen=pen, dash=dash, head="none", title=title)
