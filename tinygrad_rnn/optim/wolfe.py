"""Line search for a step that satisfies the strong Wolfe conditions."""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..op import Array

DECREASE, CURVATURE = 1e-4, 0.9  # c1 and c2, as the book has them for quasi-Newton directions


class Point(NamedTuple):
    """A place on the line: how far, the loss there, its gradient, and the slope along the line."""

    t: float
    f: float
    g: Array
    slope: float


def least_of_cubic(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic with the values and slopes of both points is least, within [low, high].

    Nocedal and Wright, Numerical Optimization (2006), formula 3.59; the middle where there
    is no such cubic, as where a value is not finite.
    """
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < math.inf:
        return (low + high) / 2
    d2 = math.sqrt(square)
    below = b.slope - a.slope + 2 * d2
    if below == 0:
        return (low + high) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / below), low), high)


class Search:
    """Algorithms 3.5 and 3.6 of the book, trial steps by cubic interpolation.

    `evaluate(t)` gives the point at t, `start` is that at 0. As PyTorch's and minFunc's, so
    that steps are theirs: a bracket grows between 1 % and tenfold, and a trial that falls
    into the outer tenth of it twice is moved to a tenth from its end. After `most` trials
    but one, or in a bracket narrower than `shortest`, the best point so far is taken.
    """

    def __init__(
        self, evaluate: Callable[[float], Point], start: Point, shortest: float, most: int
    ):
        self.evaluate, self.start, self.shortest, self.most = evaluate, start, shortest, most
        self.count = 0

    def run(self, t: float) -> Point:
        """The point to go to, t the first trial."""
        low, high = self._bracket(t)
        return low if high is None else self._zoom(low, high)

    def _rises(self, new: Point) -> bool:
        """Whether the loss does not fall enough for such a step; so if it is not a number."""
        return not new.f <= self.start.f + DECREASE * new.t * self.start.slope

    def _flat(self, new: Point) -> bool:
        return abs(new.slope) <= -CURVATURE * self.start.slope

    def _bracket(self, t: float) -> tuple[Point, Point | None]:
        """Two points with a good one between, the lower first; or one that is good."""
        before, new = self.start, self.evaluate(t)
        while self.count < self.most:
            if self._rises(new) or (self.count > 1 and new.f >= before.f):
                break
            if self._flat(new):
                return new, None
            if new.slope >= 0:
                break
            nearest, farthest = new.t + 0.01 * (new.t - before.t), 10 * new.t
            t = least_of_cubic(before, new, nearest, farthest)
            before, new = new, self.evaluate(t)
            self.count += 1
        else:
            before = self.start
        return (before, new) if not new.f < before.f else (new, before)

    def _zoom(self, low: Point, high: Point) -> Point:
        """Narrow the bracket; the lower end is always the best point so far."""
        close = False  # whether the last trial was in the outer tenth
        while self.count < self.most and not abs(high.t - low.t) < self.shortest:
            left, right = min(low.t, high.t), max(low.t, high.t)
            t = least_of_cubic(low, high, left, right)
            tenth = 0.1 * (right - left)
            near = min(right - t, t - left) < tenth
            if near and (close or t >= right or t <= left):
                t = right - tenth if abs(t - right) < abs(t - left) else left + tenth
                near = False
            close = near
            new = self.evaluate(t)
            self.count += 1
            if self._rises(new) or new.f >= low.f:
                high = new
                if high.f < low.f:
                    low, high = high, low
                continue
            if self._flat(new):
                return new
            if new.slope * (high.t - low.t) >= 0:
                high = low
            low = new
        return low
