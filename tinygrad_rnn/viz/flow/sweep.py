"""Run the backward sweep that is measured: the caller's own, or one of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...errors import GraphError
from ...graph import Node, leading_to
from ...kernels.measure import Measured, measure_all
from ...op import local
from ...recording import constant
from ...sweep import Sweep
from ...switches import no_grad
from ...tensors import Tensor
from ..graph.building import collect
from ..graph.graph import Graph, Vertex, kept_below, root_of
from ..graph.losses import edges_but_of, entries, reached
from .flow import Flow
from .gate import Gate, Traces


@contextmanager
def record() -> Iterator[Flow]:
    """Measure the gradients of the `backward()` call inside; draw them with `viz.gradient_flow`.

    >>> from tinygrad_rnn import viz
    >>> w = tg.tensor([2.0], requires_grad=True, name="w")
    >>> loss = (w * w).sum()
    >>> with viz.record() as flow:
    ...     loss.backward()
    >>> viz.gradient_flow(loss, flow=flow).table().totals["w"]
    4.0
    """
    flow, now = _Recorded(), local.now
    before, now.watch = now.watch, flow
    try:
        yield flow
    finally:
        now.watch = before


class _Recorded(Flow):
    """Learns its graph from the first sweep that begins."""

    def start(self, output: Any) -> "_Recorded":
        """A sweep begins at `output`; what is to watch it."""
        if self.graph.vertices:
            raise GraphError("viz.record: takes one backward() call, this is the second")
        self.begin(collect(output, "viz.record"))
        self.traces = Traces(self.graph, output.node)
        follow_losses(self, output.node)
        return self


def follow_losses(flow: Flow, root: Node) -> None:
    """Where losses of several steps enter, measure what one alone sends to each state."""
    found = entries(flow.graph)
    if len({entry.step for entry in found}) < 2:
        return
    by_step: dict[int, list[Vertex]] = {}
    for name, members in flow.graph.states.items():
        step = flow.loss_steps[name]
        if step is not None:
            by_step.setdefault(step, []).extend(v for _, v in members)
    for step, vertices in by_step.items():
        gate = Gate(edges_but_of(found, {step}))
        paths = reached(flow.graph, gate.blocked)
        wanted = frozenset(v.key for v in vertices if v.number in paths)
        useful = leading_to([root], set(wanted))
        run = own_sweep(root, only=useful, wanted=wanted, watch=gate)
        rows = measure_all([np.asarray(g) for g in run.found.values()])
        figures = [Measured(*row) for row in rows.tolist()]
        flow.by_loss[step] = dict(zip(run.found, figures, strict=True))


def own_sweep(root: Node, stacked: bool = False, **how: Any) -> Sweep:
    """A sweep from `root` that keeps what backward needs.

    `stacked`: through the rules as they are written, in ops, for cotangents that are no
    plain arrays.
    """
    lift = (lambda a, _: a) if stacked else (lambda a, _: constant(a))
    now = local.now
    anomaly, now.anomaly = now.anomaly, False
    try:
        with no_grad():
            run = Sweep(lift, retain=True, create_graph=stacked, **how)
            run.run([(root, np.ones(root.shape, root.dtype))])
    finally:
        now.anomaly = anomaly
    return run


def sweep(loss: Any, graph: Graph, from_step: int | None) -> Flow:
    """Run a backward sweep of our own, which leaves every `.grad` and saved value alone."""
    root = root_of(loss, "viz.gradient_flow")
    kept_below(root)
    flow = Flow()
    flow.begin(graph, from_step)
    if from_step is None:
        follow_losses(flow, root)
    flow.end(own_sweep(root, watch=flow).leaves())
    return flow


def check_scalar(loss: Any) -> None:
    """Raise unless `loss` is a single value."""
    if isinstance(loss, Tensor) and loss.size != 1:
        raise GraphError(
            f"viz.gradient_flow: the loss must be a single value, the shape is {loss.shape}; "
            "reduce it with .sum() or .mean()"
        )
