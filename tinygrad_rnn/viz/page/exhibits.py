"""What a page shows beside the graph: heat maps of states through time, tensors of its boxes."""

from typing import Any

import numpy as np

from ...errors import GraphError
from ...op import Array
from ..flow.flow import Flow
from ..flow.numbers import gradients_of
from ..flow.sweep import sweep
from ..graph.graph import Graph, root_of, roots_of
from ..graph.losses import other_losses
from ..graph.values import Values
from .heat import of_flow
from .page import Page

MOST = 1_024  # numbers of one tensor, and of all together, that a page holds
BUDGET = 200_000
STATES = 8  # heat maps


def filled(
    page: Page, output: Any, graph: Graph, from_step: int | None = None, flow: Flow | None = None
) -> Page:
    """A page with heat maps and tensors, as far as the graph still has them."""
    gradient = page.below is not None
    try:
        maps = _maps(output, graph, from_step, flow, gradient)
    except GraphError:  # freed, several outputs, or no states: nothing to show
        maps = []
    try:
        tensors = {} if flow is not None else _tensors(page, output, graph, from_step, gradient)
    except GraphError:
        tensors = {}
    return page._replace(maps=maps, tensors=tensors)


def _maps(
    output: Any, graph: Graph, from_step: int | None, flow: Flow | None, gradient: bool
) -> list[dict[str, Any]]:
    """Units by steps of each state, of the first sequence of a batch."""
    if flow is None and gradient:
        flow = sweep(output, graph, from_step, shown=True)
    elif flow is None:
        flow = Flow()
        flow.graph = graph
        flow.show(root_of(output, "viz"))
    heat = of_flow(flow, "states", 0)
    found = []
    for panel in heat.panels[: 2 * STATES]:
        if panel.cells.size <= BUDGET // 4:
            found.append(
                {"title": panel.title, "scale": panel.scale, "steps": panel.steps.tolist(),
                 "rows": [_plain(row) for row in panel.cells]}
            )  # fmt: skip
    return found


def _tensors(
    page: Page, output: Any, graph: Graph, from_step: int | None, gradient: bool
) -> dict[int, dict[str, Any]]:
    """The values and gradients of all that is drawn, by the vertex each stands for."""
    roots = roots_of(output, "viz")
    values = Values(*roots)
    blocked = () if from_step is None else other_losses(graph, from_step)
    grad_of = gradients_of(roots, "viz", blocked, MOST) if gradient else lambda key: None
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
            if (g := grad_of(v.key)) is not None:
                found[number]["gradient"] = _plain(g)
    return found


def _plain(a: Array) -> list[float | None]:
    """Numbers as JSON holds them, four digits each; what is not finite as null."""
    flat = np.ravel(np.asarray(a, np.float64)).tolist()
    return [float(f"{x:.4g}") if np.isfinite(x) else None for x in flat]
