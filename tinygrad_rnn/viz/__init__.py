"""Diagrams: the unrolled graph, the graph rolled back up, and the gradient flowing through it.

>>> from tinygrad_rnn import nn, viz
>>> y, _ = nn.LSTM(3, 4)(tg.ones(6, 2, 3))
>>> print(viz.unrolled(y.sum(), level="op").summary())
unrolled: 110 vertices, 157 edges, 6 steps, 3 kinds of column
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any

from ..errors import GraphError, RenderError
from .diagram import Diagram as Diagram, GradientDiagram as GradientDiagram
from .flow import (
    contributions as _contributions,
    numbers as _numbers,
    sweep as _sweep,
    table as _figures,
)
from .flow.flow import Flow as Flow
from .flow.sweep import record as record
from .graph.building import collect
from .graph.elide import one_of_each, slots
from .graph.graph import Graph, root_of
from .graph.losses import other_losses
from .layout.picture import Picture, shorten
from .page import bptt as _bptt, exhibits as _exhibits, page as _page
from .page.filming import Film as Film, film as film
from .page.heat import Heatmap as Heatmap, heatmap as heatmap
from .paint import dot as _dot
from .paint.gradient import Flowing, Measured
from .paint.rolled import Rolled
from .paint.unrolled import Unrolled
from .pausing import paused
from .views import OPTIONS as OPTIONS, View, summary, view

LARGE = 2_000  # boxes of a finer level, and arrows with formulas, that a page holds


def _recorded(loss: Any, flow: Any, who: str) -> Graph:
    """The graph that `flow` was recorded from, if that is the loss's."""
    if not isinstance(flow, Flow):
        raise GraphError(
            f"{who}: flow must be what `with viz.record() as flow:` gave, got {type(flow).__name__}"
        )
    if not flow.graph.vertices:
        raise GraphError(
            f"{who}: the flow given holds nothing; call loss.backward() inside record()"
        )
    if flow.graph.vertices[flow.graph.output].key != root_of(loss, who).seq:
        raise GraphError(f"{who}: the flow given was recorded from another loss")
    return flow.graph


def _shown(
    base: Any, draw: Callable[[View], Any], film: Callable[[Picture], Any] = lambda _: ()
) -> list[_page.Shown]:
    """A drawing for its page, and its finer levels, but for what has no layout.

    One that is too large is drawn once for each kind of step, without the numbers of any.
    """

    def of(drawn: Any, like: Any = None) -> list[_page.Shown]:
        level = drawn.view.level
        return [
            _page.Shown(kind, level, picture, film(picture) if kind == "gradient" else (), like)
            for kind, picture in drawn.pictures()
        ]

    found = of(base)
    for finer in base.view.finer():
        drawn, like = draw(finer), None
        if _boxes(drawn) > LARGE:
            chosen, like = one_of_each(finer.found)
            drawn = Unrolled(finer, chosen, finer.text)
        if _boxes(drawn) <= LARGE:
            with suppress(RenderError):
                found += of(drawn, like)
    return found


def _boxes(drawn: Any) -> int:
    return sum(len(drawn.view.found.columns[s.first].members) for s in drawn.chosen if s.shown)


@paused()
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
    one box a step and layer; "auto" the finest that has no more than 15 boxes a step and of
    which four steps are no wider than 1,280 pixels.
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

    >>> cell = tg.nn.GRUCell(3, 4)
    >>> h = tg.zeros(2, 4)
    >>> for x_t in tg.ones(50, 2, 3):
    ...     h = cell(x_t, h)
    >>> "44 identical" in unrolled(h.sum()).svg
    True
    """
    who = "viz.unrolled"
    graph = collect(output, who)

    def draw(v: View) -> Unrolled:
        written = _numbers.with_numbers(output, v, who)
        return Unrolled(v, slots(v.found, steps, max_steps, who), written)

    base = draw(view(graph, who, level, params, direction, show))
    return Diagram(
        base.picture,
        summary("unrolled", base.view),
        lambda: _dot.unplaced(base.view.found, base.text),
        lambda: _exhibits.filled(_page.Page(_shown(base, draw)), output, graph),
    )


@paused()
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

    >>> y, _ = tg.nn.RNN(3, 4)(tg.ones(9, 2, 3))
    >>> "× 9 steps" in rolled(y.sum()).svg
    True
    """
    who = "viz.rolled"
    graph = collect(output, who)

    base = Rolled(view(graph, who, level, params, direction, show))
    if {"value", "grad"} & set(base.view.shown):
        raise GraphError(
            f"{who}: a cell stands for many steps, so it has no value and no grad to show; "
            "viz.unrolled shows them"
        )
    return Diagram(
        base.picture,
        summary("rolled", base.view),
        lambda: _dot.unplaced(base.cells, base.view.text, base.headers),
        lambda: _page.Page(_shown(base, Rolled)),
    )


@paused()
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

    >>> y, _ = tg.nn.RNN(3, 4)(tg.ones(9, 2, 3))
    >>> gradient_flow(y[-1].sum()).table().states["RNN.l0.h"]["norm"].shape
    (9,)
    """
    who = "viz.gradient_flow"
    _sweep.check_scalar(loss)
    graph = collect(loss, who) if flow is None else _recorded(loss, flow, who)
    measured = Measured(_sweep.sweep(loss, graph, from_step) if flow is None else flow)
    blocked = () if from_step is None else other_losses(graph, from_step)

    def draw(v: View) -> Flowing:
        written = _numbers.with_numbers(loss, v, who, blocked)
        return Flowing(v, slots(v.found, steps, max_steps, who), written, measured)

    def film(form: str, seconds: float, dpi: int) -> bytes:
        made = _bptt.frames(base.gradient(), base.forward(), told(), graph)
        return _bptt.animated(made, form, seconds, dpi)

    def page() -> _page.Page:
        # of a recorded flow, or one of too many arrows, nothing is told
        said = told() if flow is None and len(graph.edges) <= LARGE else []
        views = _shown(base, draw, lambda picture: _bptt.arrows(picture, said, graph))
        recorded = None if flow is None else flow.traces
        return _exhibits.filled(_page.Page(views, base.below()), loss, graph, blocked, recorded)

    told = partial(_contributions.contributions, root_of(loss, who), graph, blocked)
    base = draw(view(graph, who, level, params, direction, show))
    words = [summary("gradient flow", base.view), *_figures.summary(measured.table)]
    return GradientDiagram(
        lambda: base.below(base.gradient()),
        "\n".join(shorten(line, 300) for line in words),
        lambda: _dot.unplaced(base.view.found, base.text),
        page,
        table=measured.table,
        film=film if flow is None else None,
    )
