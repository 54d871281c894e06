"""Diagrams: the unrolled graph, the graph rolled back up, and the gradient flowing through it.

>>> import tinygrad_rnn as tg
>>> from tinygrad_rnn import nn, viz
>>> y, _ = nn.LSTM(3, 4)(tg.ones(6, 2, 3))
>>> print(viz.unrolled(y.sum()).summary())
unrolled: 110 vertices, 157 edges, 6 steps, 3 kinds of column
"""

import functools
from collections.abc import Collection
from typing import Any

from ..errors import GraphError
from . import (
    columns as _columns,
    dot as _dot,
    fates as _fates,
    gradient as _gradient,
    labels as _labels,
    sweep as _sweep,
    table as _figures,
)
from .diagram import Diagram as Diagram, GradientDiagram as GradientDiagram
from .elide import slots
from .filming import Film as Film, film as film
from .flow import Flow as Flow
from .graph import Graph, Vertex, collect, root_of
from .grid import Grid
from .heat import Heatmap as Heatmap, heatmap as heatmap
from .picture import Picture
from .rolled import paint_rolled, roll_up
from .sweep import record as record
from .unrolled import paint

OPTIONS = {"params": ("stub", "node", "hide"), "direction": ("up", "down", "right")}


def _arranged(
    output: Any, who: str, params: str, direction: str, graph: Graph | None = None
) -> _columns.Columns:
    for name, value in (("params", params), ("direction", direction)):
        if value not in OPTIONS[name]:
            known = ", ".join(OPTIONS[name])
            raise GraphError(f"{who}: {name} must be one of {known}, got {value!r:.40}")
    return _columns.arrange(collect(output, who) if graph is None else graph, params)


def _recorded(loss: Any, flow: Any, who: str) -> Graph:
    """The graph that `flow` was recorded from, if that is the loss's."""
    if not isinstance(flow, Flow):
        raise GraphError(
            f"{who}: flow must be what `with viz.record() as flow:` gave, got {type(flow).__name__}"
        )
    if flow.graph is None:
        raise GraphError(
            f"{who}: the flow given holds nothing; call loss.backward() inside record()"
        )
    if flow.graph.vertices[flow.graph.output].key != root_of(loss, who).seq:
        raise GraphError(f"{who}: the flow given was recorded from another loss")
    return flow.graph


def _summary(kind: str, found: _columns.Columns) -> str:
    steps = len({(c.section, c.step) for c in found.columns if c.step is not None})
    kinds = len({c.signature for c in found.columns})
    graph = found.graph
    return (
        f"{kind}: {len(graph.vertices)} vertices, {len(graph.edges)} edges, {steps} steps, "
        f"{kinds} kinds of column"
    )


def unrolled(
    output: Any,
    params: str = "stub",
    steps: Any = "auto",
    show: Collection[str] = ("shape",),
    max_steps: int = 10,
    direction: str = "up",
) -> Diagram:
    """Draw the graph of `output` unrolled over time, one column a step, time to the right.

    `params`: "stub" draws a parameter beside each use, "node" once, "hide" never.
    `steps`: "auto" shows all up to `max_steps`, else the first and last three; "all", a
    slice, or a list of step numbers. `show`: any of "shape", "dtype", "saved" (bytes kept
    for backward). `direction`: within a step, ops run "down" or, as in the textbooks, "up"
    from the inputs; time always runs to the right. Steps are those of `for x_t in x`, of
    `tg.step(t)`, or, where nothing is stamped, the repeats found in the graph. Raises
    GraphError for a tensor without a graph or an option that does not exist, RenderError
    where thousands of ops do not repeat and their layout takes longer than 20 s.

    >>> import tinygrad_rnn as tg
    >>> cell = tg.nn.GRUCell(3, 4)
    >>> h = tg.zeros(2, 4)
    >>> for x_t in tg.ones(50, 2, 3):
    ...     h = cell(x_t, h)
    >>> "44 identical" in unrolled(h.sum()).svg
    True
    """
    who = "viz.unrolled"
    found = _arranged(output, who, params, direction)
    shown = _labels.check_show(who, show)
    chosen = slots(found, steps, max_steps, who)

    def text(v: Vertex, time: str) -> list[str]:
        return _labels.lines_of(v, shown, time)

    return Diagram(
        lambda: paint(Grid(found, chosen, text, direction), "unrolled graph"),
        _summary("unrolled", found),
        lambda: _dot.unplaced(found, text),
    )


def rolled(
    output: Any,
    params: str = "stub",
    show: Collection[str] = ("shape",),
    direction: str = "up",
) -> Diagram:
    """Draw the graph of `output` rolled up: one cell, its states curving back as t-1.

    Where several loops follow each other, an encoder and a decoder, each has a cell. The
    heading says how many steps a cell stands for. Options as in `unrolled`.

    >>> import tinygrad_rnn as tg
    >>> y, _ = tg.nn.RNN(3, 4)(tg.ones(9, 2, 3))
    >>> "× 9 steps" in rolled(y.sum()).svg
    True
    """
    who = "viz.rolled"
    found = _arranged(output, who, params, direction)
    shown = _labels.check_show(who, show)
    cells, headers = roll_up(found)

    def text(v: Vertex, time: str) -> list[str]:
        return _labels.lines_of(v, shown, time)

    return Diagram(
        lambda: paint_rolled(cells, headers, text, direction),
        _summary("rolled", found),
        lambda: _dot.unplaced(cells, text, headers),
    )


def gradient_flow(
    loss: Any,
    from_step: int | None = None,
    flow: Flow | None = None,
    params: str = "stub",
    steps: Any = "auto",
    show: Collection[str] = (),
    max_steps: int = 10,
    direction: str = "up",
) -> GradientDiagram:
    """Draw how the gradient of `loss` flows back through the unrolled graph.

    Each arrow shows its own contribution: width and colour by the logarithm of its norm, on
    a ramp that spans the norms that occur. Told apart by shape too: vanished (below 1e-6
    times the norm at the last step, not zero), zero (a path, but exactly 0, as after
    underflow), exploding (above 1e3 times), not finite, absent (no path from the loss).
    Below stand the norms of every state and shared parameter over all steps, with the
    factor a step and the half-life fitted to what the loss of the last step alone sends to
    the states; h and c of an LSTM, which feed each other, are one state.
    A sweep of its own is run, which leaves every `.grad` alone. `from_step` lets only the
    loss of that step send gradients. A graph that backward() freed can be drawn from what
    `viz.record()` noted, given as `flow`. `.table()` has the figures as arrays. Other
    options as in `unrolled`. Raises GraphError for a freed graph or one that is no loss.

    >>> import tinygrad_rnn as tg
    >>> y, _ = tg.nn.RNN(3, 4)(tg.ones(9, 2, 3))
    >>> gradient_flow(y[-1].sum()).table().states["RNN.l0.h"]["norm"].shape
    (9,)
    """
    who = "viz.gradient_flow"
    _sweep.check_scalar(loss)
    graph = collect(loss, who) if flow is None else _recorded(loss, flow, who)
    found = _arranged(loss, who, params, direction, graph)
    shown = _labels.check_show(who, show)
    chosen = slots(found, steps, max_steps, who)
    measured = _sweep.sweep(loss, graph, from_step) if flow is None else flow

    def text(v: Vertex, time: str) -> list[str]:
        figures = measured.of_vertex(v, int(time) if time else None)
        return [*_labels.lines_of(v, shown, time), f"|g| {_figures.short(figures)}"]

    @functools.cache
    def grid() -> Grid:
        return Grid(found, chosen, text, direction)

    scale = _fates.scale_of(measured)
    table = _figures.tabulate(measured, scale)

    def painted() -> Picture:
        picture = paint(grid(), "gradient flow")
        _gradient.paint(picture, measured, scale, table)
        return picture

    def forward() -> Picture:
        picture = paint(grid(), "forward graph")
        for b in picture.boxes:
            b.lines = [line for line in b.lines if not line.startswith("|g|")]
        return picture

    words = [_summary("gradient flow", found), *_figures.summary(table)]
    return GradientDiagram(
        painted,
        "\n".join(words),
        lambda: _dot.unplaced(found, text),
        forward,
        table=table,
    )
