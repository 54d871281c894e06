"""Measure the gradient on every edge of a graph while a backward sweep runs.

Only scalars are kept: four figures for each contribution and each node's total. Where a
step's contributions to a parameter, or those of the next step to a state, come over
several edges, their sum is held until the last has come.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...graph import key_of
from ...kernels.measure import Measured
from ...op import Array, Op
from ...rules import Deferred
from ..graph.graph import Edge, Graph, Vertex
from ..graph.losses import other_losses, reached
from ..graph.series import Row, by_whole
from .figures import TERMS, Figures
from .gate import Gate, Traces, value_of, whole_of
from .rates import Rate, fit, groups, loss_steps

NOTHING = Measured(0.0, 0.0, 1.0, 0)


class Flow(Figures):
    """The figures of one sweep; `record` or `gradient_flow` fills it.

    >>> w = tg.tensor([2.0], requires_grad=True, name="w")
    >>> loss = (w * w).sum()
    >>> with tg.viz.record() as flow:
    ...     loss.backward()
    >>> tg.viz.gradient_flow(loss, flow=flow).table().totals["w"]
    4.0
    """

    def __init__(self) -> None:
        super().__init__()  # of edges, of totals by key of a node or leaf, of groups
        self.graph = Graph([], [], 0)  # that of the sweep, once it begins
        self.from_step: int | None = None  # the only one whose loss is let through
        # by step: what its loss alone sends to the states, where several losses enter
        self.by_loss: dict[int | None, dict[int, Measured]] = {}
        self._alone: dict[Any, Any] = {}  # the edge, or group, that is all of a sum or a total
        self.traces: Traces | None = None  # the arrays themselves, for heat maps
        self.slices: set[int] = set()  # keys of index nodes of which we must see the gradient
        self._special: dict[Any, list[Any]] = defaultdict(list)  # edge: groups; none if blocked
        self._series = by_whole(())  # of nodes and edges
        self._gate = Gate(())
        self._reached: set[int] | None = None  # vertices that a path leads to; None: all
        self._steps: dict[int, set[int]] = defaultdict(set)  # of parameters, by vertex
        self._to_come: dict[Any, int] = {}
        self._partial: dict[Any, Array] = {}
        self._joining: dict[Any, list[int]] = defaultdict(list)  # edges of deferred terms

    def begin(self, graph: Graph, from_step: int | None = None) -> None:
        """Get ready for a sweep over a graph."""
        self.graph, self.from_step = graph, from_step
        edges: dict[Any, list[int]] = defaultdict(list)
        for e in graph.edges:
            for group in _sums_of(graph, e):
                edges[group].append(e.key)
                if group[0] == "parameter" and group[2] is not None:
                    self._steps[group[1]].add(group[2])
        known: dict[tuple[int, ...], Any] = {}  # what comes over the same edges is summed once
        for group, names in edges.items():
            alike = known.setdefault(tuple(names), group)
            if len(names) == 1:
                self._alone[group] = names[0]
            elif alike is not group:
                self._alone[group] = alike
            else:
                for name in names:
                    self._special[name].append(group)
                self._to_come[group] = len(names)
        self._series = by_whole([v.key for v in graph.vertices] + [e.key for e in graph.edges])
        if from_step is not None:
            blocked = other_losses(graph, from_step)
            self._gate, self._reached = Gate(blocked), reached(graph, blocked)
        for name in (*self._series, *self._gate.blocked):
            self._special[name]  # so that `passes` looks twice
        self._find_alone(graph)

    def _find_alone(self, graph: Graph) -> None:
        """Find what need not be noted: it is just what comes over one edge."""
        for v in graph.vertices:
            out = graph.outof[v.number]
            if v.kind == "op" and len(out) == 1 and v.number != graph.output:
                # zeros around a slice count in the total, not on the edge
                if graph.vertices[out[0].target].op != "index":
                    self._alone[v.key] = out[0].key
            if v.op == "index" and not isinstance(v.key, Row):
                own = v.key << 32
                if own not in self._special and v.key in self._alone:
                    self._alone[own] = self._alone[v.key]  # a slice hands on what it gets
                else:
                    self.slices.add(v.key)

    # what the sweep calls -----------------------------------------------------

    def total(self, node: Any, g: Any) -> None:
        """A node's whole cotangent, where it is not just what came over its only edge."""
        key = node.seq
        if self.traces is not None:
            self.traces.total(node, g)
        for row in self._series.get(key, ()):
            if row not in self._alone:
                self.note(row, row.part(g))
        if key not in self._alone or (node.extra is not None and "hooks" in node.extra):
            self._alone.pop(key, None)
            self._alone.pop(key << 32, None)  # a slice hands on what the hook made of it
            self.note(key, g)

    def passes(self, node: Any, k: int, c: Any) -> Any:
        """Note what goes from a node to its operand k; None to stop it there.

        Nearly all take the first, short ways: a call here costs a third of an op's own rule.
        """
        name, p = node.seq << 32 | k, node.inputs[k]
        if name not in self._special:
            if c.__class__ is np.ndarray and c.shape == p.shape:  # `note` in place
                self._keys.append(name)
                self._waiting.append(c)
                self._room -= c.size
                if self._room < 0:
                    self.measure()
                return c
            if c.__class__ is Deferred and c.op in TERMS:
                self._joining[key_of(p), c.op].append(name)
                return c
        c = self._gate.passes(node, k, c)
        if c is None:
            return None
        c, value = value_of(c, p)
        if value is not None and value.dtype.kind == "f":
            self._sort_in(name, value)
            if name in self._series:
                whole = np.asarray(whole_of(c, p.shape))
                for row in self._series[name]:
                    self._sort_in(row, row.part(whole))
        return c

    def _sort_in(self, name: Any, value: Array) -> None:
        """Note a contribution, and add it to the sums it belongs to."""
        self.note(name, value)
        for group in self._special.get(name, ()):
            self._gather(group, value)

    def joined(self, key: int, op: Op, parts: list[Any]) -> Any:
        """The sum of an input's deferred terms, each measured."""
        names = self._joining.pop((key, op), None)
        return op(*parts) if names is None else self.terms(names, op, parts)

    def _gather(self, group: Any, value: Array) -> None:
        self._to_come[group] -= 1
        held = self._partial.pop(group, None)
        if self._to_come[group] > 0:
            self._partial[group] = value.copy() if held is None else held + value
        else:
            self.note(group, value if held is None else held + value)

    def end(self, leaves: Any) -> None:
        """Note the totals of the leaves, and sums of which a part never came."""
        for leaf, g, _ in leaves:
            self.note(-id(leaf), g)
        for group, value in self._partial.items():
            self.note(group, value)
        self._partial.clear()
        self.measure()

    # what diagrams read -------------------------------------------------------

    def _of(self, key: Any) -> Measured | None:
        while key in self._alone:
            key = self._alone[key]
        return self.get(key)

    def _leads_to(self, v: Vertex) -> bool:
        """Whether a path does: zeros that stand around a slice on their way are none."""
        return self._reached is None or v.number in self._reached

    def total_of(self, v: Vertex) -> Measured | None:
        """A vertex's whole gradient, None where no path leads to it."""
        return self._of(v.key) if self._leads_to(v) else None

    def part_of(self, v: Vertex, step: int) -> Measured | None:
        """A parameter's gradient from one step."""
        return self._of(("parameter", v.number, step))

    def carried_to(self, v: Vertex) -> Measured | None:
        """What arrives at a state from other steps."""
        return self._of(("carried", v.number, v.step)) if self._leads_to(v) else None

    def steps_of(self, v: Vertex) -> list[int]:
        """The steps that send a gradient to a parameter."""
        return sorted(self._steps[v.number])

    def of_edge(self, e: Edge) -> Measured | None:
        """An edge's own contribution, None where none flowed."""
        return self._of(e.key) if self._leads_to(self.graph.vertices[e.target]) else None

    def of_edges(self, edges: Sequence[Edge]) -> Measured | None:
        """What edges of one source into one column contribute together.

        Where only some of those into a step are given, the largest of them stands for the sum.
        """
        targets = [self.graph.vertices[e.target] for e in edges]
        if len(edges) > 1 and any(self._leads_to(v) for v in targets):
            source, step = edges[0].source, targets[0].step
            readers = [self.graph.vertices[e.target] for e in self.graph.outof[source]]
            if sum(v.step == step for v in readers) == len(edges):
                return self._of(("to", source, step))
        found = [m for e in edges if (m := self.of_edge(e)) is not None]
        return max(found, key=lambda m: m.norm, default=None)

    def of_vertex(self, v: Vertex, step: int | None) -> Measured | None:
        """A vertex's whole gradient; of a parameter used in a step, that step's part."""
        part = self.part_of(v, step) if step is not None else None
        return part or self.total_of(v)

    @cached_property
    def loss_steps(self) -> dict[str, int | None]:
        """For each state the step whose loss alone tells its rate."""
        if self.from_step is not None:
            return dict.fromkeys(self.graph.states, self.from_step)
        return loss_steps(self.graph)

    @cached_property
    def alone(self) -> dict[str, list[Measured | None]]:
        """What that one loss sends to each member of a state, along time."""
        found = {}
        for name, members in self.graph.states.items():
            figures = self.by_loss.get(self.loss_steps[name])
            found[name] = [
                self.total_of(v) if figures is None else figures.get(v.key) for _, v in members
            ]
        return found

    def rates(self) -> dict[str, Rate]:
        """How the gradient fades from step to step; states that feed each other have one rate."""
        found = {}
        for group in groups(self.graph):
            step = self.loss_steps[group[0]]
            found.update(dict.fromkeys(group, fit(group, self.graph.states, self.alone, step)))
        return found


def _sums_of(graph: Graph, e: Edge) -> Iterator[Any]:
    """The sums a contribution belongs to.

    A parameter's in one step, a state's from all other steps, any op's from one column. What
    goes to all steps of a series at once belongs to none.
    """
    a, b = graph.vertices[e.source], graph.vertices[e.target]
    if isinstance(b.key, Row) and not isinstance(e.key, Row):
        return
    if a.kind == "parameter":
        yield "parameter", a.number, b.step
    if graph.is_carried(e):
        yield "carried", a.number, a.step
    if a.kind == "op" and a.step != b.step:
        yield "to", a.number, b.step
