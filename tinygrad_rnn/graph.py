"""The recorded graph: one node an op call, with a rising sequence number.

Nodes point to their inputs and never forward, so reference counting alone frees a graph.
"""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from .conversion import supported
from .errors import AnomalyError, DTypeError, GraphError, kind
from .inputs import DType
from .op import Array, Op, Traced, local
from .rules import Deferred, Plan

FREED: tuple[Any, ...] = ("freed",)  # stands where a node's saved values were
count = itertools.count(1).__next__  # sequence numbers; atomic under the interpreter's lock


class Node:
    """One recorded op call: what it was, where it came from, what it keeps.

    `inputs` holds, in order, the Node or the Tensor each argument was, or the
    number itself; `step` and `scope` say when and in which module it was made.
    """

    __slots__ = (
        "attrs", "dtype", "extra", "inputs", "op", "plan", "saved", "seq", "shape", "stamp",
        "versions",
    )  # fmt: skip

    op: Op
    inputs: tuple[Any, ...]
    attrs: dict[str, Any]
    plan: Plan
    saved: tuple[Any, ...]
    versions: tuple[Any, ...] | None  # (version, its value then, Tensor) * n, flat
    seq: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stamp: tuple[int | None, str]
    extra: dict[str, Any] | None  # "hooks", "retain", "name", "line", "again": set on few nodes

    @property
    def step(self) -> int | None:
        """Time step the node was recorded in, if any was said."""
        return self.stamp[0]

    @property
    def scope(self) -> str:
        """Path of the modules the node was recorded in."""
        return self.stamp[1]

    def __repr__(self) -> str:
        return f"<{self.op.name} node, shape {self.shape}{self.place()}>"

    def place(self) -> str:
        """Where the node was made, in words for an error message."""
        words = "" if self.step is None else f", step {self.step}"
        words += f", scope {self.scope!r}" if self.scope else ""
        line = (self.extra or {}).get("line")
        return words + (f", recorded at {line}" if line else "")

    def __reduce__(self) -> Any:
        raise GraphError("a graph cannot be copied or pickled; copy values with .detach()")


class Variable(Traced):
    """What the graph knows of a Tensor: its array, and the node that made it."""

    __slots__ = (
        "__weakref__", "_array", "_hooks", "_leaf", "_name", "_node", "_version", "grad", "label",
    )  # fmt: skip

    _array: Array
    _node: Node | None
    _leaf: bool  # a leaf that requires a gradient
    _version: list[int] | None  # shared by all views of one array; raised at each write
    grad: Any  # of the class itself, or None
    _name: str | None
    label: Any  # ("index", base, key) of a slice without a node, or ("detach",)

    def __init__(self, array: Array, requires_grad: bool = False, name: str | None = None):
        self._array, self._node, self._leaf = supported(np.asanyarray(array)), None, False
        self._version, self.grad, self._name, self.label = [0], None, name, None
        self._hooks: dict[int, Any] | None = None
        self.requires_grad = requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._array.shape

    @property
    def dtype(self) -> DType:
        """Type of the values."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """Number of values."""
        return self._array.size

    @property
    def node(self) -> Node | None:
        """The op call that made it, None for leaves and constants."""
        return self._node

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it; settable on leaves of a float dtype."""
        return self._leaf or self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None:
            raise GraphError(
                "requires_grad: this tensor was computed by an op and follows its inputs; "
                "use .detach() to cut it off"
            )
        if value and self._array.dtype.kind != "f":
            raise DTypeError(
                f"requires_grad: only float tensors have gradients, this one is {self.dtype}; "
                "convert it with .astype('float32')"
            )
        if value and not self._leaf and local.now.recorder is not None:
            local.now.recorder.leaves.append(self)
        self._leaf = bool(value)

    @property
    def name(self) -> str | None:
        """What diagrams and error messages call it; settable, also on what an op made."""
        return self._name

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value
        if self._node is not None:  # the graph keeps nodes, not tensors
            self._node.extra = {**(self._node.extra or {}), "name": value}


def key_of(p: Any) -> int:
    """Sequence number of a node, negative id of a leaf: what the sweep files things under."""
    return p.seq if p.__class__ is Node else -id(p)


def check_intact(node: Node) -> None:
    """Raise unless what the node saved is still there, and still what it was."""
    if node.saved is FREED:
        raise GraphError(
            f"backward: the graph was freed by an earlier backward pass (at {node.op.name}"
            f"{node.place()}); pass retain_graph=True to the first one to go through it twice"
        )
    marks = node.versions or ()
    for k in range(0, len(marks), 3):
        version, then, tensor = marks[k : k + 3]
        if version[0] != then:
            name = repr(tensor.name) if tensor.name else "a tensor"
            raise GraphError(
                f"backward: {name} of shape {tensor.shape}, saved by {node.op.name}{node.place()},"
                " was changed in place after the forward pass; call backward() before the "
                "optimiser's step or assign_()"
            )


def reads(sources: Iterable[tuple[str, int]], node: Node, saved: Any) -> list[Any]:
    """What a gradient rule asks for: saved values, and shapes and dtypes of inputs."""
    values: list[Any] = []
    for what, i in sources:
        if what == "saved":
            values.append(saved[i])
        elif node.op.variadic:
            values.append(tuple([getattr(p, what) for p in node.inputs]))
        else:
            values.append(getattr(node.inputs[i], what))
    return values


def check_finite(node: Node, k: int, c: Any) -> None:
    """Raise AnomalyError unless what the rule of a node gives its input k is finite."""
    name = node.op.inputs[0 if node.op.variadic else k]
    parts = c.piece if isinstance(c, Deferred) else (c,)
    for part in parts:
        values: Array = part if isinstance(part, np.ndarray) else part.numpy()
        if not np.isfinite(values).all():
            raise AnomalyError(
                f"detect_anomaly: the backward pass of {node.op.name}{node.place()} gives input "
                f"{name!r} a gradient that is not finite"
            )


def misfit(node: Node, k: int, c: Any) -> GraphError:
    """The error for what the rule of a node gave its input k, which does not fit there."""
    name = node.op.inputs[0 if node.op.variadic else k]
    found = f"shape {c.shape}" if hasattr(c, "shape") else kind(c)
    return GraphError(
        f"backward: the gradient rule of {node.op.name} for {name} must give an array that {name}, "
        f"of shape {node.inputs[k].shape}, broadcasts to; it gave {found}"
    )


def leading_to(roots: Iterable[Any], targets: set[int], since: int = 0) -> set[int]:
    """Keys of all nodes and leaves on a path from `roots` back to `targets`.

    Keys are sequence numbers of nodes and negative ids of leaves. With `since` nodes up to that
    number are not looked into, and `targets` itself grows.
    """
    reached: dict[int, Node] = {}
    stack = [r for r in roots if r.__class__ is Node]
    while stack:
        node = stack.pop()
        if node.seq not in reached and node.seq > since:
            reached[node.seq] = node
            stack += [p for p in node.inputs if p.__class__ is Node and p.seq not in reached]
    useful = targets if since else set(targets)
    for seq in sorted(reached):  # inputs always come before what uses them
        keys = (key_of(p) for p in reached[seq].inputs)
        if seq not in useful and any(key in useful for key in keys):
            useful.add(seq)
    return useful
