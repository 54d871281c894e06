"""Measure the gradient on every edge of a graph while a backward sweep runs.

Only scalars are kept: four figures for each contribution and each node's total. Where a
step's contributions to a parameter, or those of the next step to a state, come over
several edges, their sum is held until the last has come.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .._tensor import Tensor, constant
from ..autodiff import no_grad
from ..errors import GraphError
from ..graph import FREED, Sweep
from ..kernels.measure import Measured, measure
from ..op import Array, Deferred, local
from ..ops.shape import sum_to
from .graph import Edge, Graph, Vertex, collect, nodes_below, root_of

NOTHING = Measured(0.0, 0.0, 1.0, 0)
EdgeKey = tuple[int, int]  # sequence number of the consumer, its operand


class Rate(NamedTuple):
    """How a state's gradient changes from one step to the step before it."""

    factor: float  # a step; NaN where it cannot be told
    half_life: float  # steps until half is left; infinite when it does not fall


class Flow:
    """The figures of one sweep; `record` or `gradient_flow` fills it."""

    def __init__(self) -> None:
        self.graph: Graph | None = None
        self.edges: dict[EdgeKey, Measured] = {}
        self.totals: dict[int, Measured] = {}  # by key of a node or leaf
        self.sums: dict[Any, Measured] = {}  # by group: (kind, vertex, step)
        self._groups: dict[EdgeKey, Any] = {}
        self._waiting: dict[Any, int] = {}
        self._partial: dict[Any, Array] = {}
        self._blocked: set[EdgeKey] = set()

    def begin(self, graph: Graph, from_step: int | None = None) -> None:
        """Get ready for a sweep over a graph."""
        self.graph = graph
        sizes: dict[Any, int] = defaultdict(int)
        for e in graph.edges:
            group = group_of(graph, e)
            if group is not None:
                self._groups[graph.vertices[e.target].key, e.place] = group
                sizes[group] += 1
        self._waiting = dict(sizes)
        if from_step is not None:
            self._blocked = _other_losses(graph, from_step)

    # what the sweep calls -----------------------------------------------------

    def total(self, key: int, g: Any) -> None:
        """A node's whole cotangent."""
        if isinstance(g, np.ndarray | np.generic):
            self.totals[key] = measure(np.asarray(g))

    def passes(self, node: Any, k: int, c: Any) -> bool:
        """Note what goes from a node to its operand k; False to stop it there."""
        name = (node.seq, k)
        if name in self._blocked:
            return False
        value = _value(c, node.inputs[k])
        if value is None:
            return True
        self.edges[name] = figures = measure(value)
        group = self._groups.get(name)
        if group is not None:
            self._gather(group, value, figures)
        return True

    def _gather(self, group: Any, value: Array, figures: Measured) -> None:
        self._waiting[group] -= 1
        last = self._waiting[group] <= 0
        if last and group not in self._partial:
            self.sums[group] = figures
        elif last:
            self.sums[group] = measure(self._partial.pop(group) + value)
        else:
            held = self._partial.get(group)
            self._partial[group] = value.copy() if held is None else held + value

    def end(self, leaves: Any) -> None:
        """Note the totals of the leaves, and sums of which a part never came."""
        for leaf, g, _ in leaves:
            self.totals[-id(leaf)] = measure(g)
        for group, value in self._partial.items():
            self.sums[group] = measure(value)
        self._partial.clear()

    # what diagrams read -------------------------------------------------------

    def of_edge(self, graph: Graph, e: Edge) -> Measured | None:
        """An edge's own contribution, None where none flowed."""
        return self.edges.get((graph.vertices[e.target].key, e.place))

    def of_vertex(self, v: Vertex, step: int | None) -> Measured | None:
        """A vertex's whole gradient; of a parameter used in a step, that step's part."""
        part = self.sums.get(("parameter", v.number, step)) if step is not None else None
        return part or self.totals.get(v.key)

    def states(self) -> dict[str, list[tuple[int, Vertex]]]:
        """The carried states by name: (step, vertex) in the order of time."""
        assert self.graph is not None
        alike: dict[str, list[tuple[int, Vertex]]] = defaultdict(list)
        ordinals: dict[Any, int] = defaultdict(int)
        carried = set()
        for v in self.graph.vertices:
            if v.kind != "op" or v.step is None:
                continue
            place = f"{v.scope}.{v.name or v.op}" if v.scope else v.name or v.op
            ordinals[place, v.op, v.step] += 1
            number = ordinals[place, v.op, v.step]
            name = place if number == 1 else f"{place} {number}"
            name = name if v.name else f"{name} (unnamed)"
            alike[f"{v.op}:{name}"].append((v.step, v))
            if any(is_carried(self.graph, e) for e in self.graph.outof[v.number]):
                carried.add(f"{v.op}:{name}")
        return {k.partition(":")[2]: sorted(alike[k], key=lambda p: p[0]) for k in alike
                if k in carried and len(alike[k]) > 1}  # fmt: skip

    def rate(self, members: list[tuple[int, Vertex]]) -> Rate:
        """The factor by which a state's gradient shrinks a step back, fitted over all steps.

        What arrives from the next step is divided by what the next step's state had; the
        logarithms are summed along time and a straight line is fitted, so that losses at
        every step do not hide the decay.
        """
        logs = [0.0]
        assert self.graph is not None
        for (t, v), (_, later) in reversed(list(pairwise(members))):
            carried = self.sums.get(("carried", v.number, t))
            whole = self.totals.get(later.key)
            if carried is None or whole is None or not (carried.norm > 0 and whole.norm > 0):
                break
            if not (math.isfinite(carried.norm) and math.isfinite(whole.norm)):
                break
            logs.append(logs[-1] + math.log(carried.norm / whole.norm))
        if len(logs) < 2:
            return Rate(math.nan, math.nan)
        slope = float(np.polyfit(np.arange(len(logs)), logs, 1)[0])
        half = math.log(0.5) / slope if slope < -1e-6 else math.inf
        return Rate(math.exp(slope), half)


def is_carried(graph: Graph, e: Edge) -> bool:
    """Whether an edge takes a state, no single number, from one step to another."""
    a, b = graph.vertices[e.source], graph.vertices[e.target]
    if a.kind != "op" or a.step is None or b.step is None or a.step == b.step:
        return False
    return bool(a.name) or math.prod(a.shape) > 1


def group_of(graph: Graph, e: Edge) -> Any:
    """Whose sum a contribution belongs to: a parameter's in one step, or a state's from others."""
    a, b = graph.vertices[e.source], graph.vertices[e.target]
    if a.kind == "parameter":
        return "parameter", a.number, b.step
    return ("carried", a.number, a.step) if is_carried(graph, e) else None


def _other_losses(graph: Graph, step: int) -> set[EdgeKey]:
    """The edges by which losses of other steps than `step` enter their own steps.

    The loss part of a graph is what lies at the output and has no step, or a single value.
    """
    loss = {graph.output}
    blocked = set()
    known = False
    for v in reversed(graph.vertices):
        if v.number not in loss:
            continue
        for e in graph.into[v.number]:
            source = graph.vertices[e.source]
            if source.kind != "op":
                continue
            if source.step is None or math.prod(source.shape) == 1:
                loss.add(e.source)
            elif source.step != step:
                blocked.add((v.key, e.place))
            else:
                known = True
    if not known:
        raise GraphError(f"viz.gradient_flow: no loss enters step {step}; see viz.unrolled(loss)")
    return blocked


def _value(c: Any, p: Any) -> Array | None:
    """A contribution as the array that it adds to p's gradient."""
    if c.__class__ is Deferred:
        if c.op.name == "put_slices":  # zeros around it change no figure but their own share
            return np.asarray(c.piece[0])
        attrs = {} if c.key is None else {"keys": (c.key,), "shape": p.shape}
        c = c.op.kernel(*c.piece, **attrs)
    if not isinstance(c, np.ndarray | np.generic):
        return None
    c = np.asarray(c)
    return sum_to.kernel(c, shape=p.shape) if c.shape != p.shape else c


@contextmanager
def record() -> Iterator[Flow]:
    """Measure the gradients of the `backward()` call inside; draw them with `viz.gradient_flow`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import viz
    >>> w = tg.tensor([2.0], requires_grad=True)
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
        self.total, self.passes, self.end = flow.total, flow.passes, flow.end

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
