"""Run the backward sweep that is measured: the caller's own, or one of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._tensor import Tensor, constant
from ..autodiff import no_grad
from ..errors import GraphError
from ..graph import FREED, Sweep
from ..op import local
from .flow import Flow
from .graph import Graph, collect, nodes_below, root_of


@contextmanager
def record() -> Iterator[Flow]:
    """Measure the gradients of the `backward()` call inside; draw them with `viz.gradient_flow`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import viz
    >>> w = tg.tensor([2.0], requires_grad=True, name="w")
    >>> loss = (w * w).sum()
    >>> with viz.record() as flow:
    ...     loss.backward()
    >>> viz.gradient_flow(loss, flow=flow).table().totals["w"]
    4.0
    """
    flow, now = Flow(), local.now
    before, now.watch = now.watch, _Recorder(flow)
    try:
        yield flow
    finally:
        now.watch = before


class _Recorder:
    """Learns the graph from the first thing that passes, then measures."""

    def __init__(self, flow: Flow):
        self.flow = flow
        self.total, self.passes, self.joined = flow.total, flow.passes, flow.joined
        self.slices, self.end = flow.slices, flow.end

    def start(self, output: Any) -> None:
        """A sweep begins at `output`."""
        if self.flow.graph is not None:
            raise GraphError("viz.record: takes one backward() call, this is the second")
        self.flow.begin(collect(output, "viz.record"))


def sweep(loss: Any, graph: Graph, from_step: int | None) -> Flow:
    """Run a backward sweep of our own, which leaves every `.grad` and saved value alone."""
    root = root_of(loss, "viz.gradient_flow")
    if any(n.saved is FREED for n in nodes_below(root)):
        raise GraphError(
            "viz.gradient_flow: backward() has freed this graph; draw before it, or record it: "
            "with viz.record() as flow: loss.backward(), then viz.gradient_flow(loss, flow=flow)"
        )
    flow = Flow()
    flow.begin(graph, from_step)
    with no_grad():
        run = Sweep(lambda a, _: constant(a), retain=True, create_graph=False, watch=flow)
        run.run([(root, np.ones(root.shape, root.dtype))])
        flow.end(run.leaves())
    return flow


def check_scalar(loss: Any) -> None:
    """Raise unless `loss` is a single value."""
    if isinstance(loss, Tensor) and loss.size != 1:
        raise GraphError(
            f"viz.gradient_flow: the loss must be a single value, the shape is {loss.shape}; "
            "reduce it with .sum() or .mean()"
        )
