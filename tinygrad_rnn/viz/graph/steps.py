"""Which step each node of a graph belongs to, and what from outside belongs to a step.

A list of inputs gives each step one; a state's first value stands before the first step.
"""

from typing import Any, NamedTuple

import numpy as np

from ... import rolling
from ...graph import Node, key_of
from ...tensors import Tensor

SHORTEST = 2  # steps that are worth a column each


class Steps(NamedTuple):
    """The step of each node, and the operands (node's sequence number, place) of two kinds."""

    of: list[int | None]
    items: set[tuple[int, int]]  # one of a list: inputs of the step
    starts: set[tuple[int, int]]  # what a state begins with


def find_steps(nodes: list[Node]) -> Steps:
    """Steps as stamped, and as the repeated structure says where no step is stamped."""
    places = {n.seq: k for k, n in enumerate(nodes)}
    loops = rolling.find([_call(n, places) for n in nodes], SHORTEST)
    found = Steps([n.step for n in nodes], set(), set())
    for loop in loops:
        for j, row in enumerate(loop.operands, loop.start):
            for q, kind in enumerate(row):
                count, chosen = 0, found.items
                if isinstance(kind, rolling.Listed):
                    count = loop.count
                elif isinstance(kind, rolling.Back):
                    count, chosen = kind.delay, found.starts
                steps = range(j, j + count * loop.period, loop.period)
                chosen.update((nodes[k].seq, q) for k in steps if not _cut(nodes[k], q))
    for loop in loops:
        stretch = range(loop.start, loop.end)
        if all(nodes[k].step is None for k in stretch):
            for k in stretch:
                found.of[k] = (k - loop.start) // loop.period
    return found


def _cut(node: Node, q: int) -> bool:
    """Whether an operand is a state detached on the way, which is no beginning."""
    p = node.inputs[q]
    detached = isinstance(p, Tensor) and p.label is not None and p.label[0] == "detach"
    return detached and bool(node.step)


def row_of(key: Any) -> int | None:
    """The t of `x[t]`, None for any other index."""
    one = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    return int(one) if isinstance(one, int | np.integer) and not isinstance(one, bool) else None


def _is_row(key: Any) -> bool:
    """Whether an index takes one of something: `x[t]`, `x[:, t]`."""
    rest = [k for k in (key if isinstance(key, tuple) else (key,)) if k != slice(None)]
    return len(rest) == 1 and row_of(rest[0]) is not None


def slice_text(key: Any, step: int | None = None) -> str:
    """An index as it is written: `[:, 0:64]`; the step's own number as `[t]`."""
    parts = []
    for k in key if isinstance(key, tuple | list) else (key,):
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


def _call(node: Node, places: dict[int, int]) -> rolling.Call:
    operands: list[Any] = []
    for p in node.inputs:
        if p.__class__ is Node:
            operands.append(rolling.Ref(places[p.seq]))
        elif isinstance(p, Tensor):
            sliced = p.label is not None and p.label[0] == "index"
            if sliced:  # `label` is ("index", base, key)
                kind = rolling.Row if _is_row(p.label[2]) else rolling.Outside
                operands.append(kind(("slice", id(p.label[1]))))
            else:
                operands.append(rolling.Outside(key_of(p)))
        else:
            operands.append(rolling.Number(p))
    attrs = dict(node.attrs)
    row = row_of(attrs.get("key"))
    if row is not None:
        operands.append(rolling.Place(row))
        del attrs["key"]
    shapes = tuple([getattr(p, "shape", ()) for p in node.inputs])
    signature = (node.op.name, shapes, node.dtype.char, node.scope, repr(attrs))
    return rolling.Call(signature, tuple(operands))
