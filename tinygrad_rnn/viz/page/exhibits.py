"""What a page shows beside the graph: heat maps of states through time, tensors of its boxes."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import numpy as np

from ...errors import GraphError
from ...op import Array
from ..flow.gate import Traces
from ..flow.numbers import gradients_of
from ..graph.graph import Graph, root_of, roots_of
from ..graph.values import Values
from .heat import of_traces, traced
from .page import Page

MOST = 1_024  # numbers of one tensor, and of all together, that a page holds
BUDGET = 200_000
STATES = 8  # heat maps


def filled(
    page: Page,
    output: Any,
    graph: Graph,
    blocked: Collection[Any] = (),
    recorded: Traces | None = None,
) -> Page:
    """A page with heat maps and tensors, as far as the graph still has them."""
    maps, tensors, gradient = [], {}, page.below is not None
    with suppress(GraphError):  # freed, several outputs, or no states: nothing to show
        maps = _maps(recorded or traced(root_of(output, "viz"), graph, gradient, blocked))
    with suppress(GraphError):
        tensors = {} if recorded else _tensors(page, output, graph, gradient, blocked)
    return page._replace(maps=maps, tensors=tensors)


def _maps(traces: Traces) -> list[dict[str, Any]]:
    """Units by steps of each state, of the first sequence of a batch."""
    return [
        {"title": panel.title, "scale": panel.scale, "steps": panel.steps.tolist(),
         "rows": [_plain(row) for row in panel.cells]}
        for panel in of_traces(traces, "states", 0).panels[: 2 * STATES]
        if panel.cells.size <= BUDGET // 4
    ]  # fmt: skip


def _tensors(
    page: Page, output: Any, graph: Graph, gradient: bool, blocked: Collection[Any]
) -> dict[int, dict[str, Any]]:
    """The values and gradients of all that is drawn, by the vertex each stands for."""
    roots = roots_of(output, "viz")
    values = Values(*roots)
    gradients = gradients_of(roots[0], graph, MOST, blocked) if gradient else {}
    shown = {b.vertex for v in page.views for b in v.picture.boxes if b.vertex >= 0}
    found, left = {}, BUDGET
    for number in sorted(shown):
        v = graph.vertices[number]
        size = int(np.prod(v.shape, dtype=int))
        if 0 < size <= min(MOST, left):
            left -= 2 * size
            found[number] = {
                "columns": v.shape[-1] if v.shape else 1,
                "value": _plain(values.of(v.key)),
            }
            if v.key in gradients:
                found[number]["gradient"] = _plain(gradients[v.key])
    return found


def _plain(a: Array) -> list[float | None]:
    """Numbers as JSON holds them, four digits each; what is not finite as null."""
    flat = np.ravel(np.asarray(a, np.float64)).tolist()
    return [float(f"{x:.4g}") if np.isfinite(x) else None for x in flat]
