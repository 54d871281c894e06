"""How fast a gradient fades: fitted to what one step's loss alone sends back to a whole state.

With a loss at every step the norm at a state is mostly that of the loss beside it, and in a
cell of two states what leaves h comes back through c. So the gradient of the last loss
alone is followed, and states that feed each other are one: sqrt(|dL/dh_t|^2 + |dL/dc_t|^2).
The rate is the median slope of its logarithm (Theil 1950, Sen 1968), which the loss's own
first step, from h into c, does not tilt: an LSTM with forget bias 3 has a half-life of 22.9
steps in the mean over all losses; the median slope gives 23.7, least squares 19.6, and least
squares of h alone 14.4.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import dropwhile
from typing import NamedTuple

import numpy as np

from ...kernels.measure import Measured
from ..graph.graph import Graph, Members, Vertex
from ..graph.losses import entries

_POINTS = 300  # of which the slopes of all pairs are taken
_AHEAD = 4  # steps within which states must reach each other to be one


class Rate(NamedTuple):
    """How the gradient of one loss changes from one step to the step before it."""

    factor: float  # a step; NaN where it cannot be told
    half_life: float  # steps until half is left; infinite when it does not fall
    states: tuple[str, ...] = ()  # those that are one, fitted together
    loss_step: int | None = None  # whose loss it is
    first_step: int | None = None  # the farthest step back that the fit knows
    stop: str = ""  # why no farther: "absent", "zero", "vanished" or "not finite"


def loss_steps(graph: Graph) -> dict[str, int | None]:
    """For each state the step whose loss alone tells its rate: one that its last member reaches.

    That of the last member's own step where there is one, else the last recorded.
    """
    found = entries(graph)
    chosen: dict[str, int | None] = {}
    for name, members in graph.states.items():
        step, last = members[-1]
        reached = _ahead(graph, last, None)
        steps = [e.step for e in found if e.step is not None and e.source in reached]
        chosen[name] = step if step in steps else steps[-1] if steps else None
    return chosen


def groups(graph: Graph) -> list[tuple[str, ...]]:
    """The states that feed each other, as h and c of an LSTM do; layers do not."""
    states = graph.states
    names = {v.number: name for name, members in states.items() for _, v in members}
    feeds: dict[str, set[str]] = {}
    for name, members in states.items():
        k = (len(members) - 1) // 2  # a step in the middle, all of its like around it
        steps = {step for step, _ in members[k : k + _AHEAD + 1]}
        reached = _ahead(graph, members[k][1], steps)
        feeds[name] = {names[n] for n in reached if n in names}
    found: list[tuple[str, ...]] = []
    for name in states:
        if not any(name in group for group in found):
            mutual = [m for m in states if m == name or (m in feeds[name] and name in feeds[m])]
            found.append(tuple(mutual))
    return found


def _ahead(graph: Graph, v: Vertex, steps: set[int] | None) -> set[int]:
    """The vertices that `v` leads to, within some steps only if they are given."""
    found, stack = {v.number}, [v.number]
    while stack:
        for e in graph.outof[stack.pop()]:
            inside = steps is None or graph.vertices[e.target].step in steps
            if inside and e.target not in found:
                found.add(e.target)
                stack.append(e.target)
    return found


def fit(
    states: tuple[str, ...],
    members: Mapping[str, Members],
    alone: Mapping[str, Sequence[Measured | None]],
    loss_step: int | None,
) -> Rate:
    """The rate of states that are one, from what one loss sends to their members."""
    joint: dict[int, float] = {}
    reached: set[int] = set()
    for name in states:
        for (step, v), m in zip(members[name], alone[name], strict=True):
            joint[step] = math.hypot(joint.get(step, 0.0), m.norm if m is not None else 0.0)
            smallest = float(np.finfo(v.dtype).tiny)
            if m is not None:
                reached.add(step)
    logs, stop, first = [], "", None
    for step in dropwhile(lambda t: t not in reached, reversed(joint)):  # not behind the loss
        norm = joint[step]
        if step not in reached:
            stop = "absent"
        elif not math.isfinite(norm):
            stop = "not finite"
        elif norm < smallest:  # below the normal numbers it has lost its digits
            stop = "vanished" if norm else "zero"
        if stop:
            break
        logs.append(math.log(norm))
        first = step
    if len(logs) < 2:
        return Rate(math.nan, math.nan, states, loss_step, first, stop)
    slope = median_slope(np.array(logs))
    half = math.log(0.5) / slope if slope < -1e-6 else math.inf
    return Rate(math.exp(slope), half, states, loss_step, first, stop)


def median_slope(y: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> float:
    """The median of the slopes between all pairs of points, of 300 where there are more.

    >>> median_slope(np.array([5.0, 1.0, 0.0, -1.0, -2.0]))  # the first is out of line
    -1.0
    """
    x = np.unique(np.linspace(0, len(y) - 1, min(len(y), _POINTS)).round().astype(int))
    i, j = np.triu_indices(len(x), 1)
    return float(np.median((y[x[j]] - y[x[i]]) / (x[j] - x[i])))
