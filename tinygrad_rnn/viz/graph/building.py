"""Build the graph of a tensor node by node, seeing through what people do not draw."""

import functools
import re
from typing import Any, NamedTuple

import numpy as np

from ...errors import GraphError
from ...graph import FREED, Node, key_of
from ...recording import constant
from ...tensors import Tensor
from .graph import Edge, Graph, Vertex, nodes_below, roots_of
from .series import Row, Series, find_series, is_same, row_taken, slices, source_rows
from .steps import Steps, find_steps, row_of, slice_text


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
    builder = _Builder(steps, find_series(nodes, roots))
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


Entering = tuple[int, int, Any]  # a vertex, which operand it is, and the key of its edge


class _Builder:
    """Vertices and edges, made node by node."""

    def __init__(self, steps: Steps, series: dict[int, Series]) -> None:
        self.steps, self.series = steps, series
        self.rows: dict[tuple[int, int], int] = {}  # vertices of series
        self.places: dict[Any, int] = {}  # of one series, each read by several
        self.vertices: list[Vertex] = []
        self.edges: list[Edge] = []
        self.numbers: dict[int, int] = {}  # by key
        self.stacks: dict[int, Node] = {}
        self.names: dict[int, str] = {}  # of unnamed tensors, by id
        self.paths: dict[str, int] = {}  # how many have it
        self.kept: list[Any] = []  # made here: ids stay unique while these live

    def add(self, node: Node, step: int | None) -> None:
        """A node and what enters it from outside."""
        if node.seq in self.series:
            return  # its rows are made when they are read
        if node.op.name == "stack" and not node.attrs.get("axis", 0):
            self.stacks[node.seq] = node
        seen = self._through(node, step)
        if seen is not None:
            self.numbers[node.seq] = seen
            return
        entering = [
            (source, k, edge)
            for k in range(len(node.inputs))
            for source, edge in self._sources(node, k, step)
        ]
        note = slice_text(node.attrs["key"], step) if node.op.name == "index" else ""
        self._op(node, node.seq, node, step, note, entering)

    def _op(
        self, node: Node, key: Any, like: Any, step: int | None, note: str, entering: list[Entering]
    ) -> Vertex:
        """The vertex of an op, or of a row of its result, which looks like `like`."""
        name = (node.extra or {}).get("name") or ""
        v = self._vertex(key, like, "op", name, step, note=note, op=node.op.name, scope=node.scope)
        entered = {k for _, k, _ in entering}
        v.numbers = {
            k: f"{p:g}"
            for k, p in enumerate(node.inputs)
            if isinstance(p, int | float) and k not in entered and not self._total(node, k)
        }
        v.saved = None if node.saved is FREED else saved_bytes(node)
        self.edges += [Edge(source, v.number, k, key=edge) for source, k, edge in entering]
        return v

    def _through(self, node: Node, step: int | None) -> int | None:
        """The vertex of what `stack(hs)[t]` is: h_t, as a person would draw it."""
        row = row_taken(node)
        p = node.inputs[0] if row is not None else None
        if row is None or p.__class__ is not Node:
            return None
        if p.seq in self.series:
            return self._row(p, row % p.shape[0], step)
        taken = p.inputs[row] if p.seq in self.stacks else None
        return self.numbers[taken.seq] if taken.__class__ is Node else None

    def _row(self, node: Node, row: int, step: int | None) -> int:
        """The vertex of a row of a series, made of the step's own parts when first read."""
        waiting = [node] if (node.seq, row) not in self.rows else []
        while waiting:
            n = waiting[-1]
            parts = [p for p in source_rows(n, self.series) if p.__class__ is Node]
            missing = [p for p in parts if (p.seq, row) not in self.rows]
            if missing:
                waiting += missing
            else:
                self.rows[waiting.pop().seq, row] = self._made(n, row, step)
        return self.rows[node.seq, row]

    def _made(self, n: Node, row: int, step: int | None) -> int:
        """One row, those that it is made of given."""
        own = self.series[n.seq]
        if n.op.name == "stack":
            return self.numbers[n.inputs[row].seq]
        entering: list[Entering] = []
        for k, p in enumerate(n.inputs):
            edge = n.seq << 32 | k
            if not own.rows[k]:
                several = self._sources(n, k, None)
                entering += [(source, k, edge) for source, _ in several]
            elif p.__class__ is not Node:
                entering.append((self._input_row(p, row, own.axis, step), k, edge))
            else:
                entering.append((self.rows[p.seq, row], k, Row(edge, row, self.series[p.seq].axis)))
        sources = [self.vertices[s] for s, k, _ in entering if own.rows[k]]
        if step is None and own.stands:
            step = next((v.step for v in sources if v.kind == "op"), None)
        if is_same(n, own.axis):
            return entering[0][0]
        like = _Like(tuple(s for a, s in enumerate(n.shape) if a != own.axis), n.dtype)
        cut = n.op.name == "index"
        note = slice_text([k for a, k in enumerate(slices(n)) if a != own.axis]) if cut else ""
        v = self._op(n, Row(n.seq, row, own.axis), like, step, note, entering)
        v.saved = None if v.saved is None else v.saved // n.shape[own.axis]
        return v.number

    def _input_row(self, p: Tensor, row: int, axis: int, step: int | None) -> int:
        """The vertex of one step of an input that a series takes whole: that of `x[t]`."""
        place = (id(p), row, step)
        if place not in self.places:
            name = p.name or self._unnamed(p, "x")
            like = _Like(tuple(s for a, s in enumerate(p.shape) if a != axis), p.dtype)
            note = slice_text(row, step)
            v = self._vertex(Row(key_of(p), row, axis), like, "input", name, step, note=note)
            self.places[place] = v.number
        return self.places[place]

    def _sources(self, node: Node, k: int, step: int | None) -> list[tuple[int, Any]]:
        """The vertices of an operand, and the keys of their edges: of a series that is read
        whole all rows.
        """
        p = node.inputs[k]
        if node.op.name == "drop" and k == 1:  # where in the generator's stream the mask begins
            return []
        if p.__class__ is Node and p.seq in self.series:
            axis, edge = self.series[p.seq].axis, node.seq << 32 | k
            return [(self._row(p, t, None), Row(edge, t, axis)) for t in range(p.shape[axis])]
        source = self._source(node, k, step)
        return [] if source is None else [(source, node.seq << 32 | k)]

    def _source(self, node: Node, k: int, step: int | None) -> int | None:
        """The vertex of a node's operand; None for a number, unless a state begins with it."""
        p, start = node.inputs[k], (node.seq, k) in self.steps.starts
        if p.__class__ is Node:
            return self.numbers[p.seq]
        if not isinstance(p, Tensor):
            if not start or self._total(node, k):
                return None
            p = constant(np.asarray(p))
            self.kept.append(p)
        key, place = key_of(p), _place(p, step)
        if key not in self.numbers and place in self.places:
            self.numbers[key] = self.places[place]
        if key not in self.numbers:
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
            return self._vertex(key_of(p), p, "parameter", name)
        if p.label is not None and p.label[0] == "index":
            base, key = p.label[1], p.label[2]
            name = base.name or self._unnamed(base, "x")
            return self._vertex(key_of(p), p, "input", name, step, note=slice_text(key, step))
        if p.label is not None:
            return self._vertex(key_of(p), p, "cut", p.name or "detached", step, op="detach")
        kind_of = {"b": "mask", "i": "ids", "u": "ids"}.get(p.dtype.kind, "x")
        if item:
            return self._vertex(key_of(p), p, "input", p.name or kind_of, step)
        data = p.size > 1 and bool(p.numpy().any())  # not a number, not zeros
        name = p.name or (kind_of if data else f"{p.item():g}" if p.size == 1 else "zeros")
        kind = "input" if data or (p.name and p.size == 1) else "constant"
        return self._vertex(key_of(p), p, kind, name)

    def _unnamed(self, p: Tensor, letter: str) -> str:
        if id(p) not in self.names:
            taken = sum(n.startswith(letter) for n in self.names.values())
            self.names[id(p)] = letter if not taken else f"{letter}{taken + 1}"
        return self.names[id(p)]

    def _vertex(
        self, key: Any, like: Any, kind: str, name: str, step: int | None = None, **how: Any
    ) -> Vertex:
        number, dtype = len(self.vertices), _name_of(like.dtype)
        base, mark = split(name) if name and kind != "parameter" else (name, "")
        v = Vertex(number, kind, base, like.shape, dtype, step, key, mark=mark, **how)
        self.vertices.append(v)
        self.numbers[key] = number
        return v


class _Like(NamedTuple):
    """What a vertex looks like."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


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
