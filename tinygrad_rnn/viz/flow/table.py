"""The figures of a flow as arrays, and in words."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from ...kernels.measure import Measured
from ...op import Array
from .fates import FATES, Scale
from .flow import NOTHING, Flow
from .rates import Rate

MANY = 8  # parameters from which on vectors have no curves


class Table(NamedTuple):
    """The figures of a diagram as arrays.

    A fate is "flows", "vanished" (small against the last step, not zero), "zero" (a path,
    but exactly 0, as after underflow), "exploding", "not finite" or "absent" (no path from
    the loss; its norm is given as 0).
    """

    edges: dict[str, Array]  # source, target, place, op, step, norm, largest, zeros, bad, fate
    states: dict[str, dict[str, Array]]  # by name: step, norm, carried, alone, fate
    parameters: dict[str, dict[str, Array]]  # by module path: step, norm, fate
    rates: dict[str, Rate]  # by state; states that feed each other share one
    totals: dict[str, float]  # norm of each parameter's whole gradient, by module path
    fates: dict[str, str]  # of each parameter's whole gradient, by module path
    drawn: tuple[str, ...] = ()  # parameters with curves: where there are many, matrices


def tabulate(flow: Flow, scale: Scale) -> Table:
    """All figures of a flow as arrays."""
    graph = flow.graph
    states = {}
    for name, members in graph.states.items():
        whole = [flow.total_of(v) for _, v in members]
        states[name] = _columns([t for t, _ in members], whole, scale)
        states[name]["carried"] = _norms([flow.carried_to(v) for _, v in members])
        states[name]["alone"] = _norms(flow.alone[name])
    parameters, totals, fates, matrices = {}, {}, {}, []
    for v in graph.vertices:
        if v.kind != "parameter":
            continue
        whole_of = flow.total_of(v)
        totals[v.path], fates[v.path] = (whole_of or NOTHING).norm, scale.fate(whole_of)
        steps = flow.steps_of(v)
        if len(steps) > 1:
            parameters[v.path] = _columns(steps, [flow.part_of(v, s) for s in steps], scale)
            matrices += [v.path] * (len(v.shape) > 1)
    drawn = tuple(matrices if len(parameters) > MANY and matrices else parameters)
    return Table(_edges(flow, scale), states, parameters, flow.rates(), totals, fates, drawn)


def _norms(found: Iterable[Measured | None]) -> Array:
    return np.array([(m or NOTHING).norm for m in found])


def _columns(
    steps: Sequence[int], found: Sequence[Measured | None], scale: Scale
) -> dict[str, Array]:
    fates = np.array([scale.fate(m) for m in found])
    return {"step": np.array(steps), "norm": _norms(found), "fate": fates}


def _edges(flow: Flow, scale: Scale) -> dict[str, Array]:
    """Every edge that a gradient could take: those out of ops and parameters."""
    rows: list[Any] = []
    for e in flow.graph.edges:
        a, b = flow.graph.vertices[e.source], flow.graph.vertices[e.target]
        if a.kind in ("op", "parameter"):
            m = flow.of_edge(e)
            step = -1 if b.step is None else b.step
            ends = (a.name or a.op, b.name or b.op, e.place, b.op, step)
            rows.append((*ends, *(m or NOTHING), scale.fate(m)))
    names = ("source", "target", "place", "op", "step", "norm", "largest", "zeros", "bad", "fate")
    return {n: np.array([r[k] for r in rows]) for k, n in enumerate(names)}


def summary(table: Table) -> list[str]:
    """What became of the gradient: of all edges, and of each state step by step."""
    counts = [(fate, int((table.edges["fate"] == fate).sum())) for fate in FATES]
    told = [f"{n} {fate}" for fate, n in counts if n]
    lines = [f"edges: {', '.join(told)}"] if told else []
    for name, found in table.states.items():
        rate = table.rates[name]
        if name == rate.states[0]:
            lines.append(f"{together(rate.states)}: {rate_text(rate)}{_fitted(rate)}")
        lines += [f"{name}: {words}" for words in _unlike(found)]
    return lines


def _unlike(found: dict[str, Array]) -> list[str]:
    """The steps at which a state's gradient does anything but flow."""
    words = []
    for fate in FATES:
        at = found["fate"] == fate
        if fate != "flows" and at.any():
            which = ranges(found["step"][at].tolist())
            what = "exactly 0" if fate == "zero" else fate
            words.append(f"{what} at {at.sum()} of {at.size} steps (t = {which})")
    return words


def ranges(steps: Sequence[int]) -> str:
    """Step numbers as ranges, the first three of them.

    >>> ranges([0, 1, 2, 5])
    '0 … 2, 5'
    """
    runs = []
    for _, run in groupby(enumerate(sorted(steps)), lambda item: item[1] - item[0]):
        members = [t for _, t in run]
        runs.append(f"{members[0]} … {members[-1]}" if len(members) > 1 else f"{members[0]}")
    return ", ".join(runs[:3]) + (" …" if len(runs) > 3 else "")


def together(states: Sequence[str]) -> str:
    """The names of states that are one, what they share said once.

    >>> together(("LSTM.l0.c", "LSTM.l0.h"))
    'LSTM.l0.(c, h)'
    """
    if len(states) == 1:
        return states[0]
    scopes = {name.rpartition(".")[0] for name in states}
    scope = scopes.pop() + "." if len(scopes) == 1 and "" not in scopes else ""
    return f"{scope}({', '.join(name.removeprefix(scope) for name in states)})"


def rate_text(rate: Rate) -> str:
    """A rate in words.

    >>> rate_text(Rate(0.5, 1.0))
    '× 0.5 a step, half-life 1 steps'
    """
    if math.isnan(rate.factor):
        return "no rate: the gradient does not pass between steps"
    how = "does not decay"
    if math.isfinite(rate.half_life):
        how = f"half-life {rate.half_life:.3g} steps"
    elif rate.factor > 1 + 1e-6:
        how = f"doubles every {math.log(2) / math.log(rate.factor):.3g}"
    return f"× {rate.factor:.3g} a step, {how}"


def _fitted(rate: Rate) -> str:
    """Which loss a rate was fitted to, over which steps, and what ended them."""
    if rate.loss_step is None or rate.first_step is None or math.isnan(rate.factor):
        return ""
    ends = {
        "": "",
        "absent": ", where the graph is cut",
        "zero": "; exactly 0 before",
        "vanished": "; below the dtype's normal numbers before",
        "not finite": "; not finite before",
    }
    one = " as one state" if len(rate.states) > 1 else ""
    return (
        f" (the loss of t = {rate.loss_step} alone{one}, back to t = {rate.first_step}"
        f"{ends[rate.stop]})"
    )


def words_of(m: Measured | None) -> str:
    """The figures of a gradient in words, for a tooltip."""
    if m is None:
        return "absent, no path from the loss"
    if m.largest == 0:
        return "exactly 0"
    words = f"norm {m.norm:.4g}, largest {m.largest:.4g}, {100 * m.zeros:.3g} % zeros"
    return words + (f", {m.bad:.0f} not finite" if m.bad else "")


def short(m: Measured | None) -> str:
    """A norm in few characters."""
    return "absent" if m is None else f"{m.norm:.2g}"


def brief(norm: float) -> str:
    """A norm in at most five characters.

    >>> brief(0.01234), brief(0.00123)
    ('0.012', '1e-3')
    """
    return f"{norm:.0e}".replace("e-0", "e-") if 0 < norm < 0.01 else f"{norm:.2g}"
