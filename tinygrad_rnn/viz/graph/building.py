"""Build the graph of a tensor node by node, seeing through what people do not draw."""

import functools
import re
from typing import Any

import numpy as np

from ...errors import GraphError
from ...graph import FREED, Node, key_of
from ...recording import constant
from ...tensors import Tensor
from .graph import Edge, Graph, Vertex, nodes_below, roots_of
from .steps import Steps, find_steps, row_of


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
    builder = _Builder(steps, _joined_stacks(nodes, roots))
    for node, step in zip(nodes, steps.of, strict=True):
        builder.add(node, step)
    _count_as_named(builder.vertices)
    return _pruned(builder.vertices, builder.edges, [builder.numbers[r.seq] for r in roots])


def _count_as_named(vertices: list[Vertex]) -> None:
    """Count steps as the numbers in names do, `S_1` in the first, where all agree on it."""
    first = {
        int(v.mark) - v.step for v in vertices if v.kind == "op" and v.mark and v.step is not None
    }
    if len(first) == 1:
        (shift,) = first
        for v in vertices:
            v.step = v.step if v.step is None else v.step + shift


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
    found = [e for e in edges if e.target in useful]
    for e in found:
        e.source, e.target = places[e.source], places[e.target]
    return Graph(kept, found, places[outputs[-1]], {places[k] for k in outputs})


def _joined_stacks(nodes: list[Node], roots: list[Node]) -> set[int]:
    """Series joined side by side, `concat([stack(a), stack(b)], axis=2)`, only read row by row.

    So a layer reads both directions of the one below; a row is then a step's own `concat`.
    """
    readers: dict[int, list[Node]] = {root.seq: [root] for root in roots}
    for n in nodes:
        for p in n.inputs:
            if p.__class__ is Node:
                readers.setdefault(p.seq, []).append(n)

    def by_row(n: Node) -> bool:
        return n.op.name == "index" and not n.extra and row_of(n.attrs["key"]) is not None

    def stacked(p: Any) -> bool:
        if p.__class__ is not Node or p.op.name != "stack" or p.attrs.get("axis", 0):
            return False
        return len(readers[p.seq]) == 1 and all(a.__class__ is Node for a in p.inputs)

    return {
        n.seq
        for n in nodes
        if n.op.name == "concat" and n.attrs.get("axis", 0) and not n.extra
        if all(map(by_row, readers[n.seq])) and all(map(stacked, n.inputs))
    }


class _Builder:
    """Vertices and edges, made node by node."""

    def __init__(self, steps: Steps, joined: set[int]) -> None:
        self.steps, self.joined = steps, joined
        self.rows: dict[tuple[int, int], Vertex] = {}  # of a joined stack
        self.places: dict[Any, int] = {}  # of one series, each read by several
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
        seen = self._through(node, step)
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

    def _through(self, node: Node, step: int | None) -> int | None:
        """The key of what `stack(hs)[t]` is: h_t, as a person would draw it."""
        if node.op.name != "index" or node.extra:
            return None
        stack, row = node.inputs[0], row_of(node.attrs["key"])
        if row is not None and stack.__class__ is Node and stack.seq in self.joined:
            return self._row(node, row, step)
        if row is None or stack.__class__ is not Node or stack.seq not in self.stacks:
            return None
        p = stack.inputs[row]
        return p.seq if p.__class__ is Node else None

    def _row(self, node: Node, row: int, step: int | None) -> int:
        """The key of a row of joined stacks, made of the step's own parts when first taken."""
        joined = node.inputs[0]
        row %= len(joined.inputs[0].inputs)
        v = self.rows.get((joined.seq, row))
        if v is None:
            v = self._vertex(node.seq, "op", "concat", "", node, step, node.scope, "")
            self.rows[joined.seq, row] = v
            for place, stack in enumerate(joined.inputs):
                source = self.numbers[stack.inputs[row].seq]
                key = stack.seq << 32 | row
                self.edges.append(Edge(source, v.number, place, key=key))
        v.rows = (*v.rows, node.seq)
        return v.key

    def _source(self, node: Node, k: int, step: int | None) -> int | None:
        """The vertex of a node's operand; None for a number, unless a state begins with it."""
        p, start = node.inputs[k], (node.seq, k) in self.steps.starts
        if p.__class__ is Node:
            return self.numbers[p.seq]
        if not isinstance(p, Tensor):
            if not start or self._total(node, k):
                return None
            p = constant(np.asarray(p))
        key, place = key_of(p), _place(p, step)
        if key not in self.numbers and place in self.places:
            self.numbers[key] = self.places[place]
        if key not in self.numbers:
            self.kept.append(p)
            v = self._leaf(p, step, (node.seq, k) in self.steps.items)
            if place is not None:
                self.places[place] = v.number
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
        base, mark = split(name) if name and kind != "parameter" else (name, "")
        v = Vertex(
            len(self.vertices), kind, op, base, like.shape, _name_of(like.dtype), step, scope,
            key, note=note, mark=mark,
        )  # fmt: skip
        self.vertices.append(v)
        self.numbers[key] = v.number
        return v


def _place(p: Tensor, step: int | None) -> Any:
    """What tells `x[t]` of one step from others, however often it is taken; None for all else."""
    row = None if p.label is None or p.label[0] != "index" else row_of(p.label[2])
    return None if row is None or p.requires_grad else (id(p.label[1]), row, step)


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
