"""Diagrams: the unrolled graph, the graph rolled back up, and the gradient flowing through it.

>>> import tinygrad_rnn as tg
>>> from tinygrad_rnn import nn, viz
>>> y, _ = nn.LSTM(3, 4)(tg.ones(6, 2, 3))
>>> print(viz.unrolled(y.sum(), level="op").summary())
unrolled: 110 vertices, 157 edges, 6 steps, 3 kinds of column
"""

import functools
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

from ..errors import GraphError, RenderError
from . import (
    bptt as _bptt,
    columns as _columns,
    contributions as _contributions,
    dot as _dot,
    fates as _fates,
    gradient as _gradient,
    labels as _labels,
    numbers as _numbers,
    sweep as _sweep,
    table as _figures,
)
from .building import collect
from .diagram import Diagram as Diagram, GradientDiagram as GradientDiagram
from .elide import slots
from .filming import Film as Film, film as film
from .flow import Flow as Flow, other_losses
from .fold import cells, units
from .graph import Graph, Vertex, root_of
from .grid import Grid
from .heat import Heatmap as Heatmap, heatmap as heatmap
from .picture import Picture
from .rolled import paint_rolled, roll_up
from .sweep import record as record
from .unrolled import paint

OPTIONS = {
    "params": ("auto", "stub", "node", "edges", "hide"),
    "direction": ("auto", "up", "down", "right"),
    "level": ("auto", "op", "gate", "cell"),
}
MANY_OPS = 15  # in a step, from which on its gates are drawn, and from as many gates its cells
UNFOUND = 30  # ops without steps that are worth a word on how to say them


class _View(NamedTuple):
    """What is to be drawn: columns at one level of detail, and how."""

    graph: Graph  # op by op
    found: _columns.Columns
    shown: tuple[str, ...]
    direction: str

    def text(self, v: Vertex, time: str) -> list[str]:
        """The lines in a vertex's box."""
        return _labels.lines_of(self.found.graph, v, self.shown, time)


def _view(graph: Graph, who: str, level: str, params: str, direction: str, show: Any) -> _View:
    for name, value in (("params", params), ("direction", direction), ("level", level)):
        if value not in OPTIONS[name]:
            known = ", ".join(OPTIONS[name])
            raise GraphError(f"{who}: {name} must be one of {known}, got {value!r:.40}")
    if params == "edges" and level in ("op", "cell"):
        raise GraphError(f"{who}: params='edges' draws gates; leave level out, got {level!r}")
    stepped = any(v.step is not None for v in graph.vertices)
    drawn = _at_level(graph, level, params, stepped)
    shown = _labels.check_show(who, show, drawn.level)
    if direction == "auto":
        direction = "up" if stepped else "right"
    if params in ("auto", "edges"):
        params = "stub" if stepped else "node"
    return _View(graph, _columns.arrange(drawn, params), shown, direction)


def _at_level(graph: Graph, level: str, params: str, stepped: bool) -> Graph:
    """The graph op by op, or folded: on request, or where a step has too many ops to be read."""
    if params == "edges":
        return units(graph, labels=True)
    if level == "auto":
        level = "op"
        if stepped and params == "auto" and _largest(graph) > MANY_OPS:
            level = "gate" if _largest(units(graph)) <= MANY_OPS else "cell"
    return {"op": lambda g: g, "gate": units, "cell": cells}[level](graph)


def _largest(graph: Graph) -> int:
    """Ops in the step that has most."""
    return max(
        Counter(v.step for v in graph.vertices if v.kind == "op" and v.step is not None).values()
    )


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


def _summary(kind: str, view: _View) -> str:
    found = view.found
    steps = len({(c.section, c.step) for c in found.columns if c.step is not None})
    kinds = len({c.signature for c in found.columns})
    graph = found.graph
    words = (
        f"{kind}: {len(graph.vertices)} vertices, {len(graph.edges)} edges, {steps} steps, "
        f"{kinds} kinds of column"
    )
    ops = sum(v.kind == "op" for v in view.graph.vertices)
    if graph.level in ("gate", "cell"):
        words += f"; {ops} ops drawn as {graph.level}s, level='op' draws each"
    if not steps and ops > UNFOUND:
        words += "; no steps were found: say which they are, with tg.step(t): or for x_t in x"
    return words


def unrolled(
    output: Any,
    params: str = "auto",
    steps: Any = "auto",
    show: Collection[str] | str = "auto",
    max_steps: int = 10,
    direction: str = "auto",
    level: str = "auto",
) -> Diagram:
    """Draw the graph of `output`, a tensor or several, unrolled over time, time to the right.

    `level`: "op" draws every op, "gate" a weighted sum with its activation as one box, "cell"
    one box a step and layer; "auto" the finest that has no more than 15 boxes a step.
    `params`: "stub" draws a parameter beside each use, "node" once, "hide" never, "edges"
    writes a weight on the edge that it acts along, as textbooks do.
    `steps`: "auto" shows all up to `max_steps`, else the first and last three; "all", a
    slice, or a list of step numbers. `show`: any of "shape", "dtype", "saved" (bytes kept
    for backward), "value" and "grad" (up to four numbers of each). `direction`: within a
    step, ops run "up" from the inputs, as in textbooks, "down" or "right". Steps are those
    of `for x_t in x`, of `tg.step(t)`, or, where nothing is stamped, the repeats found in
    the graph. Raises GraphError for a tensor without a graph or an option that does not
    exist; the diagram raises RenderError where there is no Graphviz, or thousands of ops do
    not repeat and their layout takes longer than 20 s.

    >>> import tinygrad_rnn as tg
    >>> cell = tg.nn.GRUCell(3, 4)
    >>> h = tg.zeros(2, 4)
    >>> for x_t in tg.ones(50, 2, 3):
    ...     h = cell(x_t, h)
    >>> "44 identical" in unrolled(h.sum()).svg
    True
    """
    who = "viz.unrolled"
    view = _view(collect(output, who), who, level, params, direction, show)
    chosen = slots(view.found, steps, max_steps, who)
    text = _numbers.with_numbers(output, view.shown, view.text, who)
    return Diagram(
        lambda: paint(Grid(view.found, chosen, text, view.direction), "unrolled graph"),
        _summary("unrolled", view),
        lambda: _dot.unplaced(view.found, text),
    )


def rolled(
    output: Any,
    params: str = "auto",
    show: Collection[str] | str = "auto",
    direction: str = "auto",
    level: str = "auto",
) -> Diagram:
    """Draw the graph of `output` rolled up: one cell, its states curving back as t-1.

    Where several loops follow each other, an encoder and a decoder, each has a cell. The
    heading says how many steps a cell stands for. Options as in `unrolled`, but for "value"
    and "grad", of which a cell has many.

    >>> import tinygrad_rnn as tg
    >>> y, _ = tg.nn.RNN(3, 4)(tg.ones(9, 2, 3))
    >>> "× 9 steps" in rolled(y.sum()).svg
    True
    """
    who = "viz.rolled"
    view = _view(collect(output, who), who, level, params, direction, show)
    if {"value", "grad"} & set(view.shown):
        raise GraphError(
            f"{who}: a cell stands for many steps, so it has no value and no grad to show; "
            "viz.unrolled shows them"
        )
    rolled_up, headers = roll_up(view.found)
    return Diagram(
        lambda: paint_rolled(rolled_up, headers, view.text, view.direction),
        _summary("rolled", view),
        lambda: _dot.unplaced(rolled_up, view.text, headers),
    )


def gradient_flow(
    loss: Any,
    from_step: int | None = None,
    flow: Flow | None = None,
    params: str = "auto",
    steps: Any = "auto",
    show: Collection[str] | str = (),
    max_steps: int = 10,
    direction: str = "auto",
    level: str = "auto",
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
    view = _view(graph, who, level, params, direction, show)
    chosen = slots(view.found, steps, max_steps, who)
    measured = _sweep.sweep(loss, graph, from_step) if flow is None else flow
    _gradient.write_on_edges(view.found, measured)
    blocked = () if from_step is None else other_losses(graph, from_step)
    written = _numbers.with_numbers(loss, view.shown, view.text, who, blocked)
    norms: list[str] = []  # as they stand in boxes, each box's last line

    def text(v: Vertex, time: str) -> list[str]:
        figures = measured.of_vertex(graph.vertices[v.head], int(time) if time else None)
        if figures is None and v.kind not in ("op", "parameter"):
            return written(v, time)
        norm = _figures.short(figures)
        norms.append(norm if view.found.graph.level == "cell" else f"|g| {norm}")
        return [*written(v, time), norms[-1]]

    @functools.cache
    def grid() -> Grid:
        return Grid(view.found, chosen, text, view.direction)

    scale = _fates.scale_of(measured)
    table = _figures.tabulate(measured, scale)

    def painted() -> Picture:
        picture = paint(grid(), "gradient flow")
        _gradient.paint(picture, measured, scale, table)
        return picture

    def film_of(form: str, seconds: float, dpi: int) -> bytes:
        if flow is not None:
            raise RenderError(
                "save: a film goes through the graph, which a recorded flow no longer has; save "
                "viz.gradient_flow(loss) before loss.backward()"
            )
        picture = paint(grid(), "backpropagation through time")
        _gradient.paint_flow(picture, measured, scale)
        told = _contributions.contributions(root_of(loss, who), graph, blocked)
        return _bptt.animated(_bptt.frames(picture, told, graph), form, seconds, dpi)

    def forward() -> Picture:
        picture = paint(grid(), "forward graph")
        for b in picture.boxes:
            b.lines = b.lines[:-1] if b.lines and b.lines[-1] in norms else b.lines
        for line in picture.lines:
            line.label = line.label.partition("\n")[0]
        return picture

    words = [_summary("gradient flow", view), *_figures.summary(table)]
    return GradientDiagram(
        painted,
        "\n".join(words),
        lambda: _dot.unplaced(view.found, text),
        forward,
        table=table,
        film=film_of,
    )
