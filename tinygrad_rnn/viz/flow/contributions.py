"""Backpropagation told step by step: every contribution of a sweep, in words and numbers."""

from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from ...graph import Node
from ...kernels.measure import Measured, measure_all
from ...op import Array
from ..graph.graph import Edge, Graph, nodes_below
from ..graph.series import Row, by_whole
from ..layout.labels import low
from .gate import Gate, value_of, whole_of
from .sweep import own_sweep

FEW = 4  # numbers that are written out; of more the norm is

# What a rule sends to each operand: g is the gradient of the result y, a and b the operands.
RULES: dict[str, tuple[str, ...]] = {
    "add": ("{g}", "{g}"),
    "sub": ("{g}", "−{g}"),
    "mul": ("{g} · {b}", "{g} · {a}"),
    "div": ("{g} / {b}", "−{g} · {y} / {b}"),
    "neg": ("−{g}",),
    "pow": ("{g} · {b} · {y} / {a}", "{g} · {y} ln {a}"),
    "square": ("{g} · 2 {a}",),
    "sqrt": ("{g} / (2 {y})",),
    "exp": ("{g} · {y}",),
    "log": ("{g} / {a}",),
    "sin": ("{g} · cos {a}",),
    "cos": ("−{g} · sin {a}",),
    "tanh": ("{g} · (1 − {y}²)",),
    "sigmoid": ("{g} · {y} (1 − {y})",),
    "relu": ("{g} where {y} > 0",),
    "abs": ("{g} · sign {a}",),
    "where": ("", "{g} where it was chosen", "{g} where it was chosen"),
    "maximum": ("{g} where {a} is larger", "{g} where {b} is larger"),
    "minimum": ("{g} where {a} is less", "{g} where {b} is less"),
    "matmul": ("{g} {b}ᵀ", "{a}ᵀ {g}"),
    "linear": ("{g} {b}", "{g}ᵀ {a}", "{g} summed over the batch"),
    "softmax": ("{y} · ({g} − Σ {g} · {y})",),
    "sum": ("{g} to every term",),
    "index": ("{g} in its place, zeros around it",),
    "reshape": ("{g} in the old shape",),
    "permute_dims": ("{g} turned back",),
    "broadcast_to": ("{g} summed back",),
}
SIGNS = {"add": " + ", "sub": " − ", "mul": " ", "div": " / ", "matmul": " "}
LONGEST = 24  # characters of a result without a name, written out
PARTS = ("stack", "concat")  # each operand gets its own part


class Contribution(NamedTuple):
    """What one edge adds to the gradient of its source: dL/dsource += ..."""

    edge: Any  # its key
    source: int  # vertices of the graph
    target: int
    formula: str  # "∂L/∂S₁ += ∂L/∂S₂ · Ws"
    value: Array  # the contribution itself where it is FEW numbers, else its norm
    total: Array  # the sum of all to this source so far, likewise
    nth: int  # which of them it is, from 1


def contributions(root: Node, graph: Graph, blocked: Collection[int] = ()) -> list[Contribution]:
    """Every contribution of a sweep from `root`, in the order in which the tape sends them.

    `blocked`: the edges that let none through.
    """
    teller = _Teller(root, graph, blocked)
    own_sweep(root, watch=teller)
    return teller.told


class _Teller(Gate):
    """Watches a sweep and keeps what each edge sends, and the sums so far."""

    def __init__(self, root: Node, graph: Graph, blocked: Collection[int]):
        super().__init__(blocked)
        self.graph = graph
        self.edges = {e.key: e for e in graph.edges}
        self.series = by_whole(self.edges)  # by edge
        self.nodes = {n.seq: n for n in nodes_below(root)}
        self.slices = frozenset(v.key for v in graph.vertices if v.op == "index")
        self.told: list[Contribution] = []
        self.sums: dict[int, Array] = {}  # by vertex
        self.counts: Counter[int] = Counter()

    def passes(self, node: Any, k: int, c: Any) -> Any:
        """A contribution, told where the graph has its edge."""
        edge = node.seq << 32 | k
        c = super().passes(node, k, c)
        if c is None or (edge not in self.edges and edge not in self.series):
            return c
        p = node.inputs[k]
        c, value = value_of(c, p)
        if value is None or value.dtype.kind != "f":
            return c
        value = np.asarray(whole_of(c, p.shape))  # of a slice with zeros around it
        if edge in self.edges:
            self._tell(node, edge, value)
        for row in self.series.get(edge, ()):
            self._tell(node, row, row.part(value))
        return c

    def _tell(self, node: Any, edge: Any, value: Array) -> None:
        e = self.edges[edge]
        source = e.source  # a row of a stack is what was stacked
        self.sums[source] = self.sums[source] + value if source in self.sums else value.copy()
        self.counts[source] += 1
        self.told.append(
            Contribution(edge, e.source, e.target, self._formula(node, e),
                         _few(value), _few(self.sums[source]), self.counts[source])
        )  # fmt: skip

    def _formula(self, node: Any, e: Edge) -> str:
        """∂L/∂source = what the target's rule sends; += from the second on."""
        vertices, source, target = self.graph.vertices, e.source, e.target
        loss = vertices[self.graph.output].name or "L"
        whole = f"∂{loss}/∂{self._called(target)}" if target != self.graph.output else "1"
        sign = "=" if self.counts[source] == 1 else "+="
        return f"∂{loss}/∂{self._called(source)} {sign} {self._rule(node, e.place, target, whole)}"

    def _rule(self, node: Any, k: int, target: int, g: str) -> str:
        op = node.op.name
        if op in PARTS:
            return f"part {k} of {g}"
        a, b = ([*self._operands(target), "a", "b"][n] for n in (0, 1))
        if op == "pow" and k == 0 and b == "2":
            op = "square"
        rule = RULES.get(op, ())[k : k + 1]
        if not rule:
            return f"(∂{op}/∂operand {k})ᵀ {g}" if len(node.inputs) > 1 else f"(∂{op})ᵀ {g}"
        return rule[0].format(g=g, y=self._called(target), a=a, b=b)

    def _operands(self, target: int, depth: int = 0) -> list[str]:
        """What the operands of a vertex are called, numbers as they are."""
        names = {e.place: self._called(e.source, depth) for e in self.graph.into[target]}
        key = self.graph.vertices[target].key
        node = self.nodes.get(key.of if isinstance(key, Row) else key)
        for place, p in enumerate(node.inputs if node is not None else ()):
            if isinstance(p, int | float):
                names[place] = f"{p:g}"
        return [names[place] for place in sorted(names)]

    def _called(self, number: int, depth: int = 0) -> str:
        """A vertex in a formula: its name and step, else how it is made, else its op."""
        v = self.graph.vertices[number]
        if v.op == "pow" and not v.name and not depth:
            a, b = (*self._operands(number, depth + 1), "")[:2]
            if b == "2":
                return f"{a}²"
        if v.name or v.op not in SIGNS or depth > 1:
            name = v.name or v.op
            plain = v.step is None or v.kind == "parameter"
            return name if plain else name + low(v.mark or str(v.step))
        written = SIGNS[v.op].join(self._operands(number, depth + 1))
        return f"({written})" if len(written) <= LONGEST else v.op + low(str(v.step))


def _few(value: Array) -> Array:
    """A few numbers as they are, of many the norm."""
    if value.size <= FEW:
        return np.array(value)
    return np.array(Measured(*measure_all([value])[0].tolist()).norm)


def numbers(value: Array, size: int) -> str:
    """A contribution in numbers: a few as they are, of more the norm.

    >>> numbers(np.array([0.5, -0.25]), 2), numbers(np.array(3.0), 12)
    ('[0.5, -0.25]', '‖·‖ = 3')
    """
    if size > FEW:
        return f"‖·‖ = {float(value):.3g}"
    flat = ", ".join(f"{x:.3g}" for x in np.ravel(value).tolist())
    return flat if np.size(value) == 1 else f"[{flat}]"
