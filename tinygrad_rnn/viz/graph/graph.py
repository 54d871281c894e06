"""The recorded graph as people think of it: ops, parameters, inputs and constants, with names.

Numbers are given in the order of recording, never from `id()`, so that the same
graph gives the same picture in another process.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ...errors import GraphError
from ...graph import FREED, Node
from ...tensors import Tensor
from .series import Row

Shape = tuple[int, ...]
Members = list[tuple[int, "Vertex"]]  # of a state or a name: (step, vertex)
ACTIVATIONS = ("tanh", "sigmoid", "relu", "gelu", "silu", "softplus", "elu", "leaky_relu")


@dataclass(slots=True)
class Vertex:
    """An op call, or something from outside: a parameter, an input, a constant."""

    number: int
    kind: str  # "op", "parameter", "input", "constant", "cut"
    name: str
    shape: Shape
    dtype: str
    step: int | None
    key: Any  # how the sweep knows it: the node's sequence number, -id of a leaf, a series' Row
    op: str = ""
    scope: str = ""
    saved: int | None = 0  # bytes kept for backward; None once they are freed
    note: str = ""  # what a slice takes
    start: bool = False  # a state begins with it
    path: str = ""  # of a parameter: its name after that of the module that uses it first
    mark: str = ""  # the number at the end of its name, `3` of `S_3`
    numbers: dict[int, str] = field(default_factory=dict)  # among its operands, by place
    earlier: dict[int, str] = field(default_factory=dict)  # in a rolled graph: of other steps
    head: int = -1  # in a folded graph: the op whose value it is, by its number before
    parts: tuple[int, ...] = ()  # and all that it stands for

    def __post_init__(self) -> None:
        if self.head < 0:
            self.head = self.number

    @property
    def title(self) -> str:
        """Its name, or its op's, behind that of the module: `LSTM.l0.h`."""
        name = self.name or self.op
        return f"{self.scope}.{name}" if self.scope else name


@dataclass(slots=True)
class Edge:
    """`source` is operand number `place` of `target`."""

    source: int
    target: int
    place: int
    delay: int = 0  # in a rolled graph: steps from source to target
    label: str = ""  # a parameter that acts along it
    via: str = ""  # in a folded graph: the state that runs here, where a box has several
    origin: "tuple[Edge, ...]" = ()  # in a folded graph: the edges it stands for
    key: Any = None  # how the sweep knows it: its consumer's number and the operand's, or a Row

    def between(self, source: int, target: int) -> "Edge":
        """The same with other ends; `dataclasses.replace` takes three times as long."""
        more = self.place, self.delay, self.label, self.via, self.origin, self.key
        return Edge(source, target, *more)


@dataclass
class Graph:
    """All that `output` depends on, inputs before what uses them."""

    vertices: list[Vertex]
    edges: list[Edge]
    output: int
    outputs: set[int] = field(default_factory=set)  # with the output all that was asked for
    level: str = "op"  # "edges", "gate", "cell": what its vertices are
    into: list[list[Edge]] = field(init=False)
    outof: list[list[Edge]] = field(init=False)

    def __post_init__(self) -> None:
        self.outputs.add(self.output)
        self.into = [[] for _ in self.vertices]
        self.outof = [[] for _ in self.vertices]
        for e in self.edges:
            self.into[e.target].append(e)
            self.outof[e.source].append(e)

    @cached_property
    def carried(self) -> set[tuple[str, str]]:
        """Names and scopes of states."""
        found = [self.vertices[e.source] for e in self.edges if self.is_carried(e)]
        return {(v.name, v.scope) for v in found if v.name}

    def is_carried(self, e: Edge) -> bool:
        """Whether an edge takes a state, no single number, from one step to another."""
        a, b = self.vertices[e.source], self.vertices[e.target]
        if a.kind != "op" or a.step is None or b.step is None or a.step == b.step:
            return False
        if isinstance(a.key, Row):  # made of a state
            return False
        return bool(a.name) or math.prod(a.shape) > 1

    @cached_property
    def states(self) -> "dict[str, Members]":
        """The carried states by name, each as recorded: against time if it ran so.

        In a step where several bear the name, masked and not, the one carried on counts.
        """
        alike: dict[str, dict[int, Vertex]] = defaultdict(dict)
        carried: set[tuple[str, int]] = set()
        ordinals: dict[Any, int] = defaultdict(int)
        for v in self.vertices:
            if v.kind != "op" or v.step is None:
                continue
            name = v.title
            if not v.name:
                ordinals[name, v.step] += 1
                name += f" {ordinals[name, v.step]}, unnamed"
            goes_on = any(self.is_carried(e) for e in self.outof[v.number])
            if goes_on or (name, v.step) not in carried:
                alike[name][v.step] = v
            if goes_on:
                carried.add((name, v.step))
        names = {name for name, _ in carried}
        return {
            name: sorted(found.items(), key=lambda item: item[1].number)
            for name, found in alike.items()
            if name in names and len(found) > 1
        }

    @cached_property
    def ambiguous(self) -> set[str]:
        """Names that several parameters bear: `weight`, of two layers."""
        count = Counter(v.name for v in self.vertices if v.kind == "parameter")
        return {name for name, n in count.items() if n > 1}


def root_of(output: Any, who: str) -> Node:
    """The node of what is to be drawn."""
    if not isinstance(output, Tensor):
        kind = type(output).__name__
        raise GraphError(
            f"{who}: expected a Tensor, got {kind}"
            + ("; of several losses take the sum" if isinstance(output, tuple | list) else "")
        )
    if output.node is None:
        raise GraphError(
            f"{who}: this tensor has no graph: nothing it was made of requires a gradient (is a "
            "parameter missing, or was it made under no_grad?)"
        )
    return output.node


def roots_of(output: Any, who: str) -> list[Node]:
    """The nodes of one tensor, or of several in a tuple or list."""
    several = isinstance(output, tuple | list) and output
    return [root_of(o, who) for o in output] if several else [root_of(output, who)]


def nodes_below(*roots: Node) -> list[Node]:
    """Every node that `roots` depend on, in the order of recording; no recursion."""
    found: dict[int, Node] = {root.seq: root for root in roots}
    stack = list(roots)
    while stack:
        for p in stack.pop().inputs:
            if p.__class__ is Node and p.seq not in found:
                found[p.seq] = p
                stack.append(p)
    return [found[seq] for seq in sorted(found)]


def kept_below(*roots: Node) -> list[Node]:
    """The same; raises GraphError where backward() freed what they keep."""
    found = nodes_below(*roots)
    if any(node.saved is FREED for node in found):
        raise GraphError(
            "viz: backward() has freed this graph; draw before it, or record it: with "
            "viz.record() as flow: loss.backward(), then viz.gradient_flow(loss, flow=flow)"
        )
    return found
