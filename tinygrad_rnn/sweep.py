"""The reverse sweep through a recorded graph.

The sweep takes nodes in descending order of their sequence numbers from a heap that
holds only nodes with a cotangent waiting: no recursion and no sorting pass, so 100,000
time steps need no deeper a stack than one.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any

import numpy as np

from .errors import ShapeError
from .graph import FREED, Node, check_finite, check_intact, key_of, misfit, reads
from .hooks import run_hooks
from .op import Op, local
from .ops.indexing import index, put_slices
from .ops.shape import sum_to
from .rules import Deferred

# Products of steps are summed when their pieces have this many rows together: enough for a
# product at full speed, few enough to be in the cache still (all at the end: 1.15 times as long)
ROWS = 1024


class Sweep:
    """One reverse pass: seeds in, cotangents of leaves and wanted nodes out.

    `lift(array, node)` makes a Tensor; with `create_graph` all cotangents are
    Tensors and the rules, written in ops, record a graph of their own. `only`
    (keys) limits the pass to what leads to the wanted inputs. `watch` is shown every
    node's cotangent (`total`) and every contribution (`passes`, which gives what is to
    be delivered, None for nothing), and adds up deferred terms (`joined`); `slices` are
    the index nodes that it must see.
    """

    def __init__(
        self,
        lift: Callable[[Any, Any], Any],
        retain: bool,
        create_graph: bool,
        only: set[int] | None = None,
        wanted: frozenset[int] = frozenset(),
        watch: Any = None,
    ):
        self.lift, self.retain, self.create_graph = lift, retain, create_graph
        self.only, self.wanted, self.watch = only, wanted, watch
        self.heap: list[int] = []  # negated keys of nodes with a cotangent waiting
        # what waits, by key: where it goes, its sum, whether the sweep owns that buffer,
        # and pieces to be put together late
        self.targets: dict[int, Any] = {}
        self.totals: dict[int, Any] = {}
        self.owned: set[int] = set()
        self.pieces: dict[int, dict[Op, tuple[list[Any], list[Any]]]] = {}
        self.found: dict[int, Any] = {}  # cotangents of wanted nodes
        self.retained: list[tuple[Any, Any]] = []  # (a tensor's weak reference, cotangent)

    def run(self, seeds: Iterable[tuple[Any, Any]]) -> None:
        """Sweep from `seeds`, pairs of a Node or leaf and its cotangent.

        One loop: a Python call costs 60 ns, and a hundred steps of an LSTM send 2,400
        contributions through here. What is rare is elsewhere.
        """
        for target, g in seeds:
            self.deliver(target, g)
        heap, targets, totals, owned = self.heap, self.targets, self.totals, self.owned
        pieces, wanted, only, watch = self.pieces, self.wanted, self.only, self.watch
        ndarray, looked_at = np.ndarray, watch is not None or local.now.anomaly
        through = wanted if watch is None else wanted | watch.slices
        while heap:
            key = -heappop(heap)
            extra = targets[key].extra
            if extra is not None and "again" in extra:
                self._run_again(targets[key])
                continue
            node, g = targets.pop(key), totals.pop(key, None)
            if key in pieces:
                g = self._settle(key, node.shape, g)
            owned.discard(key)
            if extra is not None and ("hooks" in extra or "retain" in extra):
                g = self._hooked(extra, g)
            if key in wanted:
                self.found[key] = g
            if watch is not None:
                watch.total(node, g)
            saved = node.saved
            if saved is FREED or node.versions is not None:
                check_intact(node)
            steps = node.plan.steps
            if node.op.variadic or self.create_graph:
                (self._at_once if node.op.selective else self._through)(node, g)
                steps = ()
            for k, kernel, names, places, sources, _ in steps:
                p = node.inputs[k]
                if only is not None and key_of(p) not in only:
                    continue
                if places is None or names:
                    attrs = {name: node.attrs[name] for name in names}
                    c = kernel(g, *reads(sources, node, saved), **attrs)
                elif not places:
                    c = kernel(g)
                elif len(places) == 1:
                    c = kernel(g, saved[places[0]])
                else:
                    c = kernel(g, *[saved[i] for i in places])
                if looked_at:
                    c = self._looked_at(node, k, c)
                    if c is None:
                        continue
                if c.__class__ is Deferred:
                    self.defer(p, c.op, c.piece, c.key)
                    continue
                if p.__class__ is Node and c.__class__ is ndarray and c.shape == p.shape:
                    if p.op is index and p.extra is None and p.seq not in through:
                        # a slice hands on what it gets: no need to wait for its turn
                        self.defer(p.inputs[0], put_slices, (c,), p.attrs["key"])
                        continue
                    key = p.seq
                    if key not in targets:  # a first whole array: `deliver` in place
                        targets[key], totals[key] = p, c
                        heappush(heap, -key)
                        continue
                try:
                    self.deliver(p, c)
                except (ShapeError, AttributeError):
                    raise misfit(node, k, c) from None
            if not self.retain:
                node.saved, node.versions = FREED, None

    def _run_again(self, node: Node) -> None:
        """Let what was dropped after the forward pass be recorded anew: train/segment.py."""
        check_intact(node)
        node.saved[0].take_over(self, node)

    def _hooked(self, extra: dict[str, Any], g: Any) -> Any:
        """The cotangent as the hooks of a node leave it; noted if its tensor is to retain it."""
        if "hooks" in extra:
            g = run_hooks(extra["hooks"], g, self.lift, self.create_graph)
        if "retain" in extra:
            self.retained.append((extra["retain"], g))
        return g

    def _looked_at(self, node: Node, k: int, c: Any) -> Any:
        """A contribution to input k, checked and shown to any watcher; None if it goes nowhere."""
        if c is None:  # a rule without a return
            raise misfit(node, k, c)
        if local.now.anomaly:
            check_finite(node, k, c)
        return c if self.watch is None else self.watch.passes(node, k, c)

    def leaves(self) -> list[tuple[Any, Any, bool]]:
        """Each leaf reached, its gradient, and whether nobody else holds it; all handed over."""
        totals, owned = self.totals, self.owned
        for key in [key for key in self.targets if key in self.pieces]:
            totals[key] = self._settle(key, self.targets[key].shape, totals.get(key))
            owned.add(key)
        return [(leaf, totals.pop(key, None), key in owned) for key, leaf in self.targets.items()]

    def deliver(self, p: Any, c: Any) -> None:
        """Hand a contribution to input `p`, summed back to its shape if it was broadcast.

        The first is kept as it came, since others may share it; a second makes a
        sum that the sweep owns, to which all later ones are added in place.
        """
        if c.__class__ is Deferred:
            self.defer(p, c.op, c.piece, c.key)
            return
        key = self._expect(p)
        if c.shape != p.shape:
            # straight to the kernel on arrays: dispatch costs half a microsecond an edge
            c = sum_to(c, shape=p.shape) if self.create_graph else sum_to.kernel(c, shape=p.shape)
        self._add(key, c)

    def _add(self, key: int, c: Any) -> None:
        totals = self.totals
        if key not in totals:
            totals[key] = c
        elif key in self.owned:
            np.add(totals[key], c, out=totals[key])
        else:
            totals[key] = total = totals[key] + c
            if total.__class__ is np.ndarray:
                self.owned.add(key)

    def _expect(self, p: Any) -> int:
        """Put `p` among the places that a cotangent is on its way to."""
        if p.__class__ is not Node:
            self.targets[-id(p)] = p
            return -id(p)
        key: int = p.seq
        if key not in self.targets:
            self.targets[key] = p
            heappush(self.heap, -key)
        return key

    def defer(self, p: Any, op: Op, piece: tuple[Any, ...], place: Any) -> None:
        """Keep a piece of p's cotangent until all are there.

        In flat lists, not a tuple a piece: what lives until the end of the sweep is
        gone through by the garbage collector again and again.
        """
        key = self._expect(p)
        if key not in self.pieces:
            self.pieces[key] = {op: ([], [])}
        groups = self.pieces[key]
        if op not in groups:
            groups[op] = ([], [])
        parts, places = groups[op]
        parts.extend(piece)
        places.append(place)
        if place is None and len(parts) * len(parts[0]) >= ROWS:
            self._add(key, self._join(key, op, parts))
            parts.clear()
            places.clear()

    def _join(self, key: int, op: Op, parts: list[Any]) -> Any:
        return op(*parts) if self.watch is None else self.watch.joined(key, op, parts)

    def _settle(self, key: int, shape: tuple[int, ...], total: Any) -> Any:
        """Add deferred pieces to a sum, each kind in one op."""
        for op, (parts, places) in self.pieces.pop(key).items():
            if not parts:
                continue
            if places[0] is None:
                y = self._join(key, op, parts)
            else:
                y = op(*parts, keys=tuple(places), shape=shape)
            total = y if total is None else total + y
        return total

    def _through(self, node: Node, g: Any) -> None:
        """Send a cotangent on to a node's inputs: many-input ops, and all ops with a graph."""
        saved = self._lifted(node) if self.create_graph else node.saved
        for step in node.plan.steps:
            values = reads(step.sources, node, saved)
            attrs = {name: node.attrs[name] for name in step.attrs}
            fn = step.fn if self.create_graph else step.kernel
            if node.op.variadic:
                pairs = zip(node.inputs, fn(g, *values, **attrs), strict=True)
            elif self.only is None or key_of(node.inputs[step.input]) in self.only:
                pairs = zip([node.inputs[step.input]], [fn(g, *values, **attrs)], strict=True)
            else:
                continue
            for k, (p, c) in enumerate(pairs, 0 if node.op.variadic else step.input):
                if self._wants(p) and not (c is None and node.op.variadic):
                    c = self._looked_at(node, k, c)
                    try:
                        if c is not None:
                            self.deliver(p, c)
                    except (ShapeError, AttributeError):
                        raise misfit(node, k, c) from None

    def _at_once(self, node: Node, g: Any) -> None:
        """Through an op whose one rule gives the gradients of all inputs that want one."""
        (step,) = node.plan.steps
        values = reads(step.sources, node, node.saved)
        fn = step.fn if self.create_graph else step.kernel
        if self.only is None:  # a node is there since a gradient is wanted
            wanted = [p.__class__ is Node or p._leaf for p in node.inputs]
        else:
            wanted = [self._wants(p) for p in node.inputs]
        found = fn(g, *values, wanted=wanted)
        targets, anomaly = self.targets, local.now.anomaly
        for p, c in zip(node.inputs, found, strict=True):
            if c is None:
                continue
            if anomaly:
                check_finite(node, step.input, c)
            key = -id(p)
            if p.__class__ is Node or key in targets:
                self.deliver(p, c)
                continue
            targets[key], self.totals[key] = p, c  # `deliver` in place
            if c.base is None:  # made for this input: the sweep owns it
                self.owned.add(key)

    def _wants(self, p: Any) -> bool:
        """Whether a gradient of input `p` is asked for."""
        needs = p.__class__ is Node or p.requires_grad
        return needs and (self.only is None or key_of(p) in self.only)

    def _lifted(self, node: Node) -> tuple[Any, ...]:
        """The saved arrays as Tensors that lead back into the graph."""
        values = []
        for i, v in zip(node.plan.keep, node.saved, strict=True):
            if i == -1:
                values.append(self.lift(v, node))
            elif node.op.variadic:
                pairs = zip(v, node.inputs, strict=True)
                values.append(tuple([self.lift(a, p) for a, p in pairs]))
            else:
                values.append(self.lift(v, node.inputs[i]))
        return tuple(values)
