"""The recorded graph as people think of it: ops, parameters, inputs and constants, with names.

Numbers are given in the order of recording, never from `id()`, so that the same
graph gives the same picture in another process.
"""

import functools
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._tensor import Tensor, constant
from ..errors import GraphError
from ..graph import FREED, Node, key_of
from .steps import Steps, find_steps, row_of

Shape = tuple[int, ...]


@dataclass(slots=True)
class Vertex:
    """An op call, or something from outside: a parameter, an input, a constant."""

    number: int
    kind: str  # "op", "parameter", "input", "constant", "cut"
    op: str
    name: str
    shape: Shape
    dtype: str
    step: int | None
    scope: str
    key: int  # how the sweep knows it: the node's sequence number, -id of a leaf
    saved: int | None = 0  # bytes kept for backward; None once they are freed
    note: str = ""  # what a slice takes
    start: bool = False  # a state begins with it
    path: str = ""  # of a parameter: its name after that of the module that uses it first
    mark: str = ""  # the number at the end of its name, `3` of `S_3`
    numbers: dict[int, str] = field(default_factory=dict)  # among its operands, by place
    head: int = -1  # in a folded graph: the op whose value it is, by its number before
    parts: tuple[int, ...] = ()  # and all that it stands for

    def __post_init__(self) -> None:
        if self.head < 0:
            self.head = self.number


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

    carried: set[tuple[str, str]] = field(init=False)  # names and scopes of states

    def __post_init__(self) -> None:
        self.outputs.add(self.output)
        self.into = [[] for _ in self.vertices]
        self.outof = [[] for _ in self.vertices]
        for e in self.edges:
            self.into[e.target].append(e)
            self.outof[e.source].append(e)
        ends = [(self.vertices[e.source], self.vertices[e.target]) for e in self.edges]
        self.carried = {
            (a.name, a.scope)
            for a, b in ends
            if a.kind == "op" and a.name and None not in (a.step, b.step) and a.step != b.step
        }


def root_of(output: Any, who: str) -> Node:
    """The node of what is to be drawn."""
    if not isinstance(output, Tensor):
        raise GraphError(f"{who}: expected a Tensor, got {type(output).__name__}")
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


def collect(output: Any, who: str = "viz") -> Graph:
    """The graph of `output`, a tensor or several; raises GraphError if one has none."""
    roots = roots_of(output, who)
    nodes = nodes_below(*roots)
    if any(n.op.name == "jitted" for n in nodes):
        raise GraphError(
            f"{who}: a compiled call is one node, with nothing inside to draw; make the tensor "
            "again inside `with tg.disable_jit():`"
        )
    steps = find_steps(nodes)
    builder = _Builder(steps)
    for node, step in zip(nodes, steps.of, strict=True):
        builder.add(node, step)
    return _pruned(builder.vertices, builder.edges, [builder.numbers[r.seq] for r in roots])


def _pruned(vertices: list[Vertex], edges: list[Edge], outputs: list[int]) -> Graph:
    """Only what leads to the outputs, numbered anew: a stack seen through may lead nowhere."""
    useful = set(outputs)
    for e in reversed(edges):  # recorded in order, so sources come before targets
        if e.target in useful:
            useful.add(e.source)
    kept = [v for v in vertices if v.number in useful]
    places = {v.number: k for k, v in enumerate(kept)}
    for k, v in enumerate(kept):
        v.number = v.head = k
    found = [Edge(places[e.source], places[e.target], e.place) for e in edges if e.target in useful]
    return Graph(kept, found, places[outputs[-1]], {places[k] for k in outputs})


class _Builder:
    """Vertices and edges, made node by node."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.vertices: list[Vertex] = []
        self.edges: list[Edge] = []
        self.numbers: dict[int, int] = {}  # by key
        self.stacks: dict[int, Node] = {}
        self.names: dict[int, str] = {}  # of unnamed tensors, by id
        self.paths: dict[str, int] = {}  # how many have it
        self.kept: list[Any] = []  # ids stay unique while these live

    def add(self, node: Node, step: int | None) -> None:
        """A node and what enters it from outside."""
        if node.op.name == "stack" and not node.attrs.get("axis", 0):
            self.stacks[node.seq] = node
        sources = [self._source(node, k, step) for k in range(len(node.inputs))]
        seen = self._through(node)
        if seen is not None:
            self.numbers[node.seq] = self.numbers[seen]
            return
        note = slice_text(node.attrs["key"], step) if node.op.name == "index" else ""
        name = (node.extra or {}).get("name") or ""
        v = self._vertex(node.seq, "op", node.op.name, name, node, step, node.scope, note)
        v.numbers = {
            k: f"{p:g}"
            for k, p in enumerate(node.inputs)
            if sources[k] is None and not self._total(node, k)
        }
        v.saved = None if node.saved is FREED else saved_bytes(node)
        for place, source in enumerate(sources):
            if source is not None:
                self.edges.append(Edge(source, v.number, place))

    def _through(self, node: Node) -> int | None:
        """The key of what `stack(hs)[t]` is: h_t, as a person would draw it."""
        if node.op.name != "index" or node.extra:
            return None
        stack, row = node.inputs[0], row_of(node.attrs["key"])
        if row is None or stack.__class__ is not Node or stack.seq not in self.stacks:
            return None
        p = stack.inputs[row]
        return p.seq if p.__class__ is Node else None

    def _source(self, node: Node, k: int, step: int | None) -> int | None:
        """The vertex of a node's operand; None for a number, unless a state begins with it."""
        p, start = node.inputs[k], (node.seq, k) in self.steps.starts
        if p.__class__ is Node:
            return self.numbers[p.seq]
        if not isinstance(p, Tensor):
            if not start or self._total(node, k):
                return None
            p = constant(np.asarray(p))
        key = key_of(p)
        if key not in self.numbers:
            self.kept.append(p)
            v = self._leaf(p, step, (node.seq, k) in self.steps.items)
            v.start = start
            if v.kind == "parameter":
                v.path = self._path(f"{node.scope}.{v.name}" if node.scope else v.name)
            if start and not v.mark:
                v.name, v.mark = split(v.name)
            self.numbers[key] = v.number
        return self.numbers[key]

    def _total(self, node: Node, k: int) -> bool:
        """Whether an operand is the 0 that a running total begins with, which says nothing."""
        number = node.inputs[k].__class__ in (int, float) and not node.inputs[k]
        return number and node.op.name == "add" and (node.seq, k) in self.steps.starts

    def _path(self, path: str) -> str:
        """A path that no other has: two modules may have one name, and parameters none."""
        taken = self.paths.get(path, 0) + 1
        self.paths[path] = taken
        return path if taken == 1 else f"{path} ({taken})"

    def _leaf(self, p: Tensor, step: int | None, item: bool) -> Vertex:
        if p.requires_grad:
            name = p.name or self._unnamed(p, "W" if p.ndim > 1 else "b")
            return self._vertex(key_of(p), "parameter", "", name, p, None, "", "")
        if p.label is not None and p.label[0] == "index":
            base, key = p.label[1], p.label[2]
            name = base.name or self._unnamed(base, "x")
            return self._vertex(key_of(p), "input", "", name, p, step, "", slice_text(key, step))
        if p.label is not None:
            name = p.name or "detached"
            return self._vertex(key_of(p), "cut", "detach", name, p, step, "", "")
        if item:
            return self._vertex(key_of(p), "input", "", p.name or "x", p, step, "", "")
        data = p.size > 1 and bool(p.numpy().any())  # not a number, not zeros
        name = p.name or ("x" if data else f"{p.item():g}" if p.size == 1 else "zeros")
        kind = "input" if data or (p.name and p.size == 1) else "constant"
        return self._vertex(key_of(p), kind, "", name, p, None, "", "")

    def _unnamed(self, p: Tensor, letter: str) -> str:
        if id(p) not in self.names:
            taken = sum(n.startswith(letter) for n in self.names.values())
            self.names[id(p)] = letter if not taken else f"{letter}{taken + 1}"
            self.kept.append(p)
        return self.names[id(p)]

    def _vertex(
        self, key: int, kind: str, op: str, name: str, like: Any, step: Any, scope: str, note: str
    ) -> Vertex:
        base, mark = split(name) if kind != "parameter" else (name, "")
        v = Vertex(
            len(self.vertices), kind, op, base, like.shape, _name_of(like.dtype), step, scope,
            key, note=note, mark=mark,
        )  # fmt: skip
        self.vertices.append(v)
        self.numbers[key] = v.number
        return v


def split(name: str) -> tuple[str, str]:
    """A name and the number at its end, which says the step.

    >>> split("S_3"), split("h"), split("l0")
    (('S', '3'), ('h', ''), ('l0', ''))
    """
    found = re.fullmatch(r"(.*[^_\d])_(\d+)", name, re.DOTALL)
    return (found[1], found[2]) if found else (name, "")


_name_of = functools.cache(str)  # of a dtype: 6 us a time without


def saved_bytes(node: Node) -> int:
    """Bytes that a node keeps for its backward rule, views counted as what they show."""
    flat: list[Any] = []
    for a in node.saved:
        flat.extend(a if isinstance(a, tuple) else (a,))
    return sum(a.nbytes for a in flat if isinstance(a, np.ndarray))


def slice_text(key: Any, step: int | None = None) -> str:
    """An index as it is written: `[:, 0:64]`; the step's own number as `[t]`."""
    parts = []
    for k in key if isinstance(key, tuple) else (key,):
        if isinstance(k, slice):
            start, stop = ("" if v is None else str(v) for v in (k.start, k.stop))
            parts.append(f"{start}:{stop}" + (f":{k.step}" if k.step not in (None, 1) else ""))
        elif k is Ellipsis:
            parts.append("...")
        elif isinstance(k, np.ndarray):
            parts.append(f"array{k.shape}")
        else:
            parts.append("t" if step is not None and k == step else str(k))
    return f"[{', '.join(parts)}]"
