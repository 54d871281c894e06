"""The value of every node of a graph: what its rules kept, or computed again from that.

The op's own kernel runs on the very arrays it ran on, so a value is equal bit for bit to
what `.numpy()` of that tensor gives.
"""

from typing import Any

from ...graph import Node, check_intact, key_of
from ...op import Array
from .graph import kept_below
from .series import Row


class Values:
    """Values by key (`Vertex.key`), of the nodes and leaves below `roots`.

    Raises GraphError where the graph is freed, or what it keeps was changed in place.
    """

    def __init__(self, *roots: Node):
        self._nodes: dict[int, Node] = {}
        self._known: dict[int, Array] = {}
        for node in kept_below(*roots):
            self._nodes[node.seq] = node
            for p in node.inputs:
                if p.__class__ is not Node and hasattr(p, "numpy"):
                    self._known[key_of(p)] = p.numpy()

    def of(self, key: Any) -> Array:
        """One value; no recursion, whatever the depth."""
        if isinstance(key, Row):
            return key.part(self.of(key.of))
        waiting = [key]
        while waiting:
            node = self._nodes.get(waiting[-1])
            if waiting[-1] in self._known or node is None:
                waiting.pop()
                continue
            inputs, missing = self._inputs(node)
            if missing:
                waiting += missing
            else:
                self._known[waiting.pop()] = _value(node, inputs)
        return self._known[key]

    def _inputs(self, node: Node) -> tuple[list[Any], list[int]]:
        """A node's operands, as kept or known, and the keys of those that are neither."""
        kept = dict(zip(node.plan.keep, node.saved, strict=True))
        if -1 in kept:
            return [], []
        check_intact(node)
        if node.op.variadic and kept:
            return list(kept[0]), []
        values, missing = [], []
        for k, p in enumerate(node.inputs):
            value = p if isinstance(p, bool | int | float) else kept.get(k)
            if value is None:
                value = self._known.get(key_of(p))
                if value is None:
                    missing.append(key_of(p))
            values.append(value)
        return values, missing


def _value(node: Node, inputs: list[Any]) -> Array:
    if -1 in node.plan.keep:
        y: Array = node.saved[node.plan.keep.index(-1)]
        return y
    again: Array = node.op.kernel(*node.op.promote(inputs), **node.attrs)
    return again
