"""A part of the graph that is dropped after the forward pass, and recorded again when needed.

The forward pass records a segment, notes what it depends on (its frontier) and drops it; its
results stay in the graph as nodes of the op `recomputed`. When the sweep reaches one of them
the segment runs once more, and what waited for its results waits for their twins in the new
recording. The twins are the newest nodes there are, so the sweep goes on with them at once,
in the order it would have had without: the same sums, to the last bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from ..errors import GraphError
from ..graph import FREED, Node, check_intact, count, leading_to
from ..op import Array, local, primitive
from ..recording import versions_of
from ..sweep import Sweep
from ..switches import grad_enabled
from ..tensors import Tensor
from .nested import leaves

FAR = 1e-3  # of a state's largest value: further off, and the segment did something else


@primitive(shape=lambda *xs: ())  # type: ignore[untyped-decorator]
def recomputed(*xs: Any) -> Any:
    """A result of a segment that runs again in the backward pass; made by `train.recompute`."""
    raise GraphError("recomputed: an op of train.recompute's own")


class _Named(NamedTuple):
    """What an error says of a tensor that was written to, without holding on to its values."""

    name: str | None
    shape: tuple[int, ...]


class Segment:
    """One call of `run(part, state)`: what went in, and how it is run again."""

    def __init__(self, run: Callable[[Any, Any], Any], part: Any, state: Any):
        now = local.now
        self.run, self.part, self.state = run, part, state
        self.stamp, self.held, self.jit = now.stamp, now.step_held, now.jit
        self.drawn: dict[Any, tuple[int, int]] = {}  # generators used, and their states before
        # numbers of the results' nodes, which hold this: None where the segment made none
        self.places: list[int | None] = []
        self.freed = False
        self.after: list[Tensor] = []  # the state that it left

    def first(self) -> tuple[Any, Any]:
        """The call in the forward pass: results whose graph is this segment alone."""
        since = count()
        with _noting(self.drawn):
            outputs, state = self.run(self.part, self.state)
        results = [*leaves(outputs), *leaves(state)]
        inner = [r.node for r in results if r.node is not None and r.node.seq > since]
        if inner:
            inputs, versions = _frontier(inner, since, (self.part, self.state))
            known: dict[int, Node] = {}
            for r in results:
                node = r.node
                if node is not None and node.seq > since and node.seq not in known:
                    known[node.seq] = self._node(node, inputs, versions)
                if node is None or node.seq <= since:
                    self.places.append(None)
                    continue
                r._node = known[node.seq]
                self.places.append(r._node.seq)
            self.after = [r.detach() for r in leaves(state)]
        return outputs, state

    def _node(self, like: Node, inputs: tuple[Any, ...], versions: Any) -> Node:
        """What stands in the graph for one result."""
        node = Node()
        node.op, node.plan, node.attrs, node.saved = recomputed, recomputed.plan(0), {}, (self,)
        node.inputs, node.versions, node.stamp = inputs, versions, like.stamp
        node.shape, node.dtype, node.seq = like.shape, like.dtype, count()
        node.extra = {k: v for k, v in (like.extra or {}).items() if k != "hooks"}
        node.extra["again"] = True
        return node

    def take_over(self, sweep: Sweep, first: Node) -> None:
        """Let what waits in a sweep for results, `first` among them, wait for their twins."""
        if self.freed:
            first.saved = FREED
        check_intact(first)
        if sweep.create_graph or sweep.watch is not None:
            what = "create_graph=True" if sweep.create_graph else "viz"
            raise GraphError(
                f"{what}: train.recompute gives first derivatives, and keeps no values to look "
                "at; run the loop without it for this"
            )
        since = count()
        waiting = [(n, twin) for n, twin in self._again(since) if n in sweep.targets]
        old = {n for n, _ in waiting} - {first.seq}
        while old and -sweep.heap[0] in old:  # the newest that wait, so on top
            old.remove(-heappop(sweep.heap))
        for n in old:  # unless another thread made nodes between them
            sweep.heap.remove(-n)
            heapify(sweep.heap)
        for n, twin in waiting:
            _rename(sweep, n, twin)
        if sweep.only is not None:
            leading_to([twin for _, twin in waiting], sweep.only, since)
        if not sweep.retain:
            self.freed, self.part, self.state, self.after = True, None, None, []

    def _again(self, since: int) -> list[tuple[int, Node]]:
        """Run again, under the modes and with the random numbers of the first time."""
        with _noting({}), _as_before(self), grad_enabled(True):
            outputs, state = self.run(self.part, self.state)
        new = leaves(state)
        results = [*leaves(outputs), *new]
        made = [r.node is not None and r.node.seq > since for r in results]
        if [n is not None for n in self.places] != made or not all(map(_alike, new, self.after)):
            raise GraphError(
                "train.recompute: `run` came out differently when it ran again for the backward "
                "pass; it must depend on its arguments, on tensors that stay as they are, and on "
                "random numbers of tg alone (no counters, no lists that grow, no NumPy randoms)"
            )
        pairs = {n: r._node for n, r in zip(self.places, results, strict=True) if n is not None}
        return list(pairs.items())


def _alike(new: Tensor, old: Tensor) -> bool:
    """Whether a state came out as it did the first time."""
    a: Array = old._array
    b: Array = new._array
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f" or (a == b).all():  # else 0.25 ms of Python a state
        return bool((a == b).all())
    largest = float(np.max(np.abs(a), initial=0, where=np.isfinite(a)))
    return bool(np.allclose(a, b, rtol=0, atol=FAR * largest, equal_nan=True))


def _frontier(
    inner: list[Node], since: int, args: tuple[Any, Any]
) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """What nodes newer than `since` depend on, and marks to see whether any of it is written to."""
    outside: dict[int, Any] = {}
    marks: dict[int, tuple[Any, ...]] = {}
    seen = {node.seq for node in inner}
    stack = list(inner)
    while stack:
        for p in stack.pop().inputs:
            if p.__class__ is Node:
                if p.seq <= since:
                    outside[p.seq] = p
                elif p.seq not in seen:
                    seen.add(p.seq)
                    stack.append(p)
            elif isinstance(p, Tensor):
                if p._leaf:
                    outside[-id(p)] = p
                if p._version is not None:
                    marks[id(p._version)] = p._version, p._version[0], _Named(p.name, p.shape)
    flat = versions_of(leaves(args)) or ()
    return tuple(outside.values()), (*flat, *[m for mark in marks.values() for m in mark]) or None


def _rename(sweep: Sweep, old: int, twin: Node) -> None:
    """All that waits for node `old` waits for its twin: hooks, and tensors that retain it, too."""
    node, new = sweep.targets.pop(old), twin.seq
    sweep.targets[new] = twin
    heappush(sweep.heap, -new)
    if old in sweep.totals:
        sweep.totals[new] = sweep.totals.pop(old)
    if old in sweep.pieces:
        sweep.pieces[new] = sweep.pieces.pop(old)
    if old in sweep.owned:
        sweep.owned.remove(old)
        sweep.owned.add(new)
    extra = {k: v for k, v in (node.extra or {}).items() if k in ("hooks", "retain")}
    if old in sweep.wanted:  # by tg.grad: what is found for the twin is found for the node
        found = {count(): lambda g: sweep.found.__setitem__(old, g._array)}
        extra["hooks"] = {**extra.get("hooks", {}), **found}
        if sweep.only is not None:
            sweep.only.add(new)
    if extra:
        own = twin.extra or {}
        hooks = {**own.get("hooks", {}), **extra.get("hooks", {})}
        twin.extra = {**own, **extra, "hooks": hooks}


@contextmanager
def _noting(drawn: dict[Any, tuple[int, int]]) -> Iterator[None]:
    """Note in `drawn` which generators are used, and tell whoever noted before."""
    now = local.now
    before, now.drawn = now.drawn, drawn
    try:
        yield
    finally:
        now.drawn = before
        if before is not None:
            for generator, state in drawn.items():
                before.setdefault(generator, state)


@contextmanager
def _as_before(segment: Segment) -> Iterator[None]:
    """The random state, the step and the modes of the first run; then again those of now."""
    now = local.now
    mode = now.stamp, now.step_held, now.jit, now.steps
    states = [(generator, generator.state) for generator in segment.drawn]
    now.stamp, now.step_held, now.jit, now.steps = segment.stamp, segment.held, segment.jit, []
    try:
        for generator, state in segment.drawn.items():
            generator.state = state
        yield
    finally:
        for generator, state in states:
            generator.state = state
        now.stamp, now.step_held, now.jit, now.steps = mode
