"""Heat maps through time: units by steps, and the triangle of losses by steps."""

import os
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import GraphError, RenderError
from ...graph import Node
from ...op import Array
from ..diagram import save
from ..flow.flow import Flow
from ..flow.gate import Traces, activation
from ..flow.lags import Lags, lags_of
from ..flow.sweep import own_sweep
from ..graph.building import collect
from ..graph.graph import Graph, Members, Vertex, root_of
from . import panels
from .panels import Panel

FORMS = (".svg", ".png", ".pdf")


class Heatmap:
    """Heat maps on one time axis; made by `viz.heatmap` and by a film.

    `.arrays` holds the numbers, by name; `.figure` is matplotlib's.

    >>> y, _ = tg.nn.RNN(3, 4)(tg.ones(9, 2, 3))
    >>> tg.viz.heatmap((y**2).mean(), "h").arrays["RNN.l0.h"]["value"].shape
    (9, 2, 4)
    """

    def __init__(self, shown: Sequence[Panel], arrays: Mapping[str, Any], title: str):
        self.panels, self.arrays, self._title = list(shown), dict(arrays), title

    @cached_property
    def figure(self) -> Any:
        """The figure; raises RenderError where matplotlib is not installed."""
        return panels.figure(self.panels, self._title)

    @cached_property
    def svg(self) -> str:
        """The heat maps as SVG."""
        return panels.written(self.figure, "svg").decode()

    def summary(self) -> str:
        """What is shown, in words."""
        return "\n".join([self._title, *(f"{p.title}: {p.bar}" for p in self.panels)])

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a file, its form by the suffix: .svg, .png or .pdf, whole or not at all."""
        return save(Path(path), FORMS, lambda form: panels.written(self.figure, form))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg, "text/plain": self.summary()}
        except RenderError as error:
            return {"text/plain": f"{self.summary()}\n{error}"}

    def __repr__(self) -> str:
        return f"<Heatmap: {self._title}>"


def heatmap(source: Any, what: str | Sequence[str] = "states", sequence: int = 0) -> Heatmap:
    """Show states, gates and gradients through time: units by steps, on one time axis.

    `source`: a loss, whose graph is swept once, leaving every `.grad` alone; an output of
    several values, which has no gradients; or what `viz.record()` noted. `what`: "states",
    every state carried from step to step, its values above its gradients dL/dh_t; "grad",
    their gradients alone; "gates", every other named value of the steps; "lag", the
    triangle |dL_s/dh_t| of what the loss of each step s alone sends to the state of step t,
    all from one sweep; or names, given by `h.name = "h"`, with or without the module before
    them. `sequence`: which of a batch is shown. Values are those of `.numpy()` bit for bit,
    on a linear scale about 0, gradients on a logarithmic one. `.save(path)` writes .svg,
    .png or .pdf; `.arrays` has the numbers: "step", "value" and "gradient" (steps first), or
    "loss_step", "step" and "norm". Raises GraphError for a freed graph, where no such name
    is found, or no loss of a step; RenderError where matplotlib, of the extra `examples`, is
    not installed and a picture is asked for.

    >>> y, _ = tg.nn.LSTM(3, 4)(tg.ones(9, 2, 3))
    >>> heatmap((y ** 2).mean(), "h").arrays["LSTM.l0.h"]["gradient"].shape
    (9, 2, 4)
    >>> heatmap((y ** 2).mean(), "lag").arrays["LSTM.l0.h"]["norm"].shape
    (9, 9)
    """
    if isinstance(source, Flow):
        if what == "lag":
            raise GraphError(
                "viz.heatmap: 'lag' sweeps the graph, which a flow no longer has; call "
                "viz.heatmap(loss, 'lag') before loss.backward()"
            )
        if source.traces is None:
            raise GraphError(
                "viz.heatmap: the flow given holds nothing; call loss.backward() inside record()"
            )
        return of_traces(source.traces, what, sequence)
    root = root_of(source, "viz.heatmap")
    graph = collect(source, "viz.heatmap")
    if what == "lag":
        return _triangle(lags_of(root, graph))
    if what == "grad" and source.size != 1:
        raise GraphError("viz.heatmap: 'grad' needs one output that is a single value")
    return of_traces(traced(root, graph, source.size == 1), what, sequence)


def traced(root: Node, graph: Graph, gradient: bool, blocked: Collection[Any] = ()) -> Traces:
    """The values in a graph, and in a sweep of its own the gradients."""
    traces = Traces(graph, root, blocked)
    if gradient:
        own_sweep(root, watch=traces)
    return traces


def of_traces(traces: Traces, what: str | Sequence[str], sequence: int) -> Heatmap:
    """Values and gradients of some named vertices."""
    shown: list[Panel] = []
    arrays: dict[str, dict[str, Array]] = {}
    for name, members in _chosen(traces.graph, what).items():
        ordered = sorted(members, key=lambda member: member[0])
        steps = np.array([t for t, _ in ordered])
        found = {"step": steps}
        if what != "grad":
            found["value"] = np.stack([traces.values[v.key] for _, v in ordered])
        if traces.gradients:
            nothing = np.full_like(traces.values[ordered[0][1].key], np.nan)
            found["gradient"] = np.stack([traces.gradients.get(v.key, nothing) for _, v in ordered])
        arrays[name] = found
        shown += _panels(name, found, sequence)
    return Heatmap(shown, arrays, _title(arrays, sequence))


def _panels(name: str, found: dict[str, Array], sequence: int) -> list[Panel]:
    """The values of a vertex above its gradients, both of one sequence of the batch."""
    short = name.rpartition(".")[2]
    looks = {
        "value": ("values", panels.symbol(short), "value"),
        "gradient": ("gradient of the loss", panels.symbol(short, "L"), "log"),
    }
    shown = []
    for kind, (words, bar, scale) in looks.items():
        if kind in found:
            cells = found[kind]
            units = cells.shape[-1] if cells.ndim > 1 else 1
            rows = cells.reshape(len(cells), -1, units)
            if not -rows.shape[1] <= sequence < rows.shape[1]:
                raise GraphError(
                    f"viz.heatmap: sequence must be from {-rows.shape[1]} to {rows.shape[1] - 1}, "
                    f"got {sequence}"
                )
            title = f"{name}: {words}"
            shown.append(Panel(title, "unit", bar, rows[:, sequence].T, found["step"], scale))
    return shown


def _title(arrays: Mapping[str, dict[str, Array]], sequence: int) -> str:
    first = next(iter(arrays.values()))
    some = first.get("value", first.get("gradient"))
    assert some is not None
    many = some[0].size // some.shape[-1] if some.ndim > 1 else 1
    batch = f", sequence {sequence} of {many}" if many > 1 else ""
    return f"{len(first['step'])} steps{batch}"


def _chosen(graph: Graph, what: str | Sequence[str]) -> dict[str, Members]:
    """The vertices asked for, by name; GraphError with the names that exist if there are none."""
    states, named = graph.states, _named(graph)
    if isinstance(what, str) and what in ("states", "grad"):
        found = states
    elif isinstance(what, str) and what == "gates":
        found = {
            name: [(t, activation(graph, v)) for t, v in members]
            for name, members in named.items()
            if name not in states
        }
    else:
        wanted = [what] if isinstance(what, str) else list(what)
        known = named | states
        found = {}
        for word in wanted:
            fit = {n: m for n, m in known.items() if word in (n, n.rpartition(".")[2])}
            if not fit:
                raise _unknown(word, known)
            found |= fit
    if not found:
        raise _unknown(str(what), named)
    return found


def _unknown(word: str, known: Mapping[str, Any]) -> GraphError:
    names = ", ".join(sorted(known)) or "none"
    kinds = {
        "states": "no state is carried from step to step",
        "gates": "no other value has a name",
    }
    what = kinds.get(word, f"nothing called {word!r:.60} in the steps")
    return GraphError(
        f"viz.heatmap: {what}; named there: {names}. Give a "
        'tensor a name (h.name = "h"), or ask for "states", "gates", "grad" or "lag"'
    )


def _named(graph: Graph) -> dict[str, Members]:
    """The named vertices of the steps, the last of a name in each step."""
    found: dict[str, dict[int, Vertex]] = {}
    for v in graph.vertices:
        if v.kind == "op" and v.name and v.step is not None:
            found.setdefault(v.title, {})[v.step] = v
    return {name: list(by_step.items()) for name, by_step in found.items()}


def _triangle(found: Mapping[str, Lags]) -> Heatmap:
    """The norms by loss and by step of every state, the losses from below."""
    arrays = {}
    for name, lags in found.items():
        order = np.argsort(lags.step)
        norm = lags.norm[:, order]
        arrays[name] = {"loss_step": lags.loss_step, "step": lags.step[order], "norm": norm}
    words = "what the loss of each step s alone sends to the state of step t"
    return of_norms(arrays, "loss_step", "loss of step s", "L_s", words)


def of_norms(
    arrays: Mapping[str, dict[str, Array]], by: str, rows: str, loss: str, title: str
) -> Heatmap:
    """Norms of gradients, a row for each number in `by`, of every state."""
    shown = []
    for name, found in arrays.items():
        bar = panels.symbol(name.rpartition(".")[2], loss)
        shown.append(Panel(name, rows, bar, found["norm"], found["step"], "log", found[by]))
    return Heatmap(shown, arrays, title)
