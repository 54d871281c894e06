"""The triangle |dL_s/dh_t|: what the loss of each step s alone sends to the state of each step t.

All seeds run in one sweep, stacked along a first axis, as many at a time as stay in the
cache. A graph with gradient hooks, which see one gradient, is swept once for each loss.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ...errors import GraphError
from ...graph import Node, leading_to
from ...kernels.measure import measure_all
from ...op import Array
from ..graph.graph import Graph, kept_below
from ..graph.losses import edges_but_of, entries, reached
from ..graph.series import by_whole
from .gate import Gate, whole_of
from .stacked import Stacked
from .sweep import own_sweep

CACHED = 1 << 18  # numbers of all seeds in a step's largest array: in the cache still
MEMORY = 1 << 26  # the same of any array: a series read otherwise than step by step


class Lags(NamedTuple):
    """Norms by loss and by step of one state; NaN where no path leads from the loss."""

    loss_step: Array  # (S,)
    step: Array  # (T,)
    norm: Array  # (S, T)


class _Seeds(Gate):
    """Turns what enters from each step's loss into the row of its own seed."""

    def __init__(self, seeds: dict[Any, int], blocked: set[Any]):
        super().__init__(blocked)
        self.seeds = seeds  # by edge
        self.parts = by_whole(seeds)  # of edges of series

    def passes(self, node: Any, k: int, c: Any) -> Any:
        """A contribution, on the edges where a loss enters with its seed."""
        edge = node.seq << 32 | k
        if edge in self.blocked:
            return None
        if edge in self.seeds:
            return Stacked(whole_of(c, node.inputs[k].shape)[None], self.seeds[edge])
        if edge not in self.parts:
            return None if edge in self.rows else c
        whole = whole_of(c, node.inputs[k].shape)
        seeds = [self.seeds[row] for row in self.parts[edge]]
        each = np.zeros((max(seeds) + 1 - min(seeds), *whole.shape), whole.dtype)
        for row, seed in zip(self.parts[edge], seeds, strict=True):
            own = np.moveaxis(each[seed - min(seeds)], row.axis, 0)
            own[row.row] = row.part(whole)
        return Stacked(each, min(seeds))


def lags_of(root: Node, graph: Graph) -> dict[str, Lags]:
    """The triangle of each carried state, by name.

    Raises GraphError where no loss enters the steps.
    """
    states, found = graph.states, entries(graph)
    losses = sorted({entry.step for entry in found if entry.step is not None})
    if not losses or not states:
        raise GraphError(
            "viz.heatmap: there is no loss of a step to follow back; are there steps and named "
            "states? See viz.unrolled(loss)"
        )
    keys = {v.key for members in states.values() for _, v in members}
    nodes = kept_below(root)
    useful = leading_to([root], keys)
    hooked = any(n.extra is not None and "hooks" in n.extra for n in nodes)
    block = 1 if hooked else _block(graph, useful)
    norms = {key: np.full(len(losses), np.nan) for key in keys}
    for k in range(0, len(losses), block):
        chosen = losses[k : k + block]
        blocked = edges_but_of(found, set(chosen))
        rows = {e.edge: k + chosen.index(e.step) for e in found if e.step in chosen}
        watch = Gate(blocked) if hooked else _Seeds(rows, blocked)
        run = own_sweep(root, stacked=not hooked, only=useful, wanted=frozenset(keys), watch=watch)
        for key, g in run.found.items():
            first, each = (
                (g.first, list(g.array)) if isinstance(g, Stacked) else (k, [np.asarray(g)])
            )
            norms[key][first : first + len(each)] = measure_all(each)[:, 0]
    for s, step in enumerate(losses):
        zeros = [key for key in keys if norms[key][s] == 0]
        if zeros:  # or no path: a row that stands between others' in a stack
            paths = reached(graph, edges_but_of(found, {step}))
            there = {graph.vertices[number].key for number in paths}
            for key in zeros:
                norms[key][s] = 0 if key in there else np.nan
    return {
        name: Lags(
            np.array(losses),
            np.array([t for t, _ in members]),
            np.stack([norms[v.key] for _, v in members], axis=1),
        )
        for name, members in states.items()
    }


def _block(graph: Graph, useful: set[int]) -> int:
    """How many seeds run together: what one step makes stays in the cache, a series in memory."""
    sizes = [(math.prod(v.shape), v.step) for v in graph.vertices if v.key in useful]
    one = max((size for size, step in sizes if step is not None), default=1)
    whole = max((size for size, _ in sizes), default=1)
    return max(1, min(CACHED // max(one, 1), MEMORY // max(whole, 1)))
