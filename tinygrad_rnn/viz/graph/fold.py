"""Coarser graphs: ops folded into units (a gate, a neuron), units into cells.

A *unit* is a weighted sum, `Wx x + Wh h + b`, with the activation it feeds, if any: what
textbooks draw as one circle and LSTM drawings as one gate. What several units share, the
product of a fused weight matrix, is one of its own. A *cell* is all that leads to the carried
states of one module within a step.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from .attention import PRODUCTS, VIEWS, attentions
from .columns import sections_of
from .graph import ACTIVATIONS, Edge, Graph, Vertex


class _Roles:
    """Which vertices are weights, which ops weighted sums."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.weights: set[int] = set()  # parameters, and what is only a view of one
        self.acting: set[tuple[int, int]] = set()  # (op, operand) by which a weight or bias acts
        self.products: set[int] = set()
        self.affine: set[int] = set()
        for v in graph.vertices:
            into = graph.into[v.number]
            given = [e for e in into if e.source not in self.weights]
            if v.kind == "parameter" or (v.op in VIEWS and into and not given):
                self.weights.add(v.number)
            elif v.op in PRODUCTS and (len(given) == 1 < len(into) or (not given and into)):
                # of two weights the first counts as a state: an initial one that is learnt
                first = given[0] if given else into[0]
                self.affine.add(v.number)
                self.acting |= {(v.number, e.place) for e in into if e is not first}
                if len(into) > 1:  # a scaled weight, `0.5 W`, is multiplied by a number
                    self.products.add(v.number)
            elif v.op in ("add", "sub", *VIEWS) and given:
                if all(e.source in self.affine for e in given):
                    self.affine.add(v.number)
                    self.acting |= {(v.number, e.place) for e in into if e not in given}
        self.hidden: set[int] = set()  # weights that are drawn on edges or not at all
        for v in reversed(graph.vertices):
            if v.number in self.weights:
                uses = graph.outof[v.number]
                if all((e.target, e.place) in self.acting or e.target in self.hidden for e in uses):
                    self.hidden.add(v.number)

    def weights_in(self, parts: Collection[int]) -> str:
        """The names of the weights that act in a unit, as one writes them: `Wx, Wh`."""
        found = [self.weight(k) for k in sorted(self.products.intersection(parts))]
        return ", ".join(name.removesuffix(".weight") for name in dict.fromkeys(found) if name)

    def acts_along(self, e: Edge) -> str:
        """The name of the weight that acts on what comes over an edge."""
        if e.target not in self.products or (e.target, e.place) in self.acting:
            return ""
        return self.weight(e.target)

    def weight(self, product: int) -> str:
        """The name of a product's weight; a layer's `weight` goes by the layer."""
        other = next(e for e in self.graph.into[product] if (product, e.place) in self.acting)
        source = self.graph.vertices[other.source]
        while source.kind != "parameter":
            source = self.graph.vertices[self.graph.into[source.number][0].source]
        return ".".join(source.path.split(".")[-2:]) if source.name == "weight" else source.name


def units(graph: Graph, labels: bool = False) -> Graph:
    """Each weighted sum with its activation as one vertex; with `labels` its weights on edges."""
    roles, attended = _Roles(graph), attentions(graph)
    home: dict[int, int] = {}  # op: the head of its unit
    for v in reversed(graph.vertices):
        home[v.number] = attended.get(v.number, v.number)
        heads = {home[e.target] for e in graph.outof[v.number]}
        if v.number not in roles.affine or v.name or len(heads) != 1 or v.number in attended:
            continue
        head = graph.vertices[heads.pop()]
        # what a product multiplies is another unit's value
        inside = not any(e.target in roles.products for e in graph.outof[v.number])
        if inside and head.step == v.step and v.number not in graph.outputs:
            if head.number in roles.affine or head.op in ACTIVATIONS:
                home[v.number] = head.number
    for v in graph.vertices:  # a piece that is no gate: what reads it reads the sum
        own = [e.source for e in graph.into[v.number] if e.source not in roles.weights]
        if v.op in VIEWS and home[v.number] == v.number and not v.name and len(own) == 1:
            source = graph.vertices[own[0]]
            if source.number in roles.affine and source.step == v.step:
                home[v.number] = home[source.number]
    folded = _folded(graph, lambda v: home[v.number], roles.hidden)
    folded.level = "edges" if labels else "gate"
    heads_of = set(attended.values())
    for v in folded.vertices:
        v.op = "attention" if v.head in heads_of else v.op
        if roles.products.intersection(v.parts) and v.head not in heads_of:
            v.note = roles.weights_in(v.parts)
    for e in folded.edges if labels else ():
        e.label = ", ".join(dict.fromkeys(w for o in e.origin if (w := roles.acts_along(o))))
    return folded


def cells(graph: Graph) -> Graph:
    """One vertex for what each module with states does in a step, and one for what follows."""
    names = {_state(graph.vertices[e.source]) for e in graph.edges if graph.is_carried(e)}
    scopes = {scope for _, scope, _ in names}
    # what goes on around another cell, before and after it, is no cell of its own
    around = {s for s in scopes for o in scopes if s != o and (not s or o.startswith(f"{s}."))}
    heads = _heads_of_cells(graph, names, scopes, apart=False)
    if len(_in_order(graph, heads)) < len(set(heads)):  # some lead to what leads to them
        heads = _heads_of_cells(graph, names, scopes - around, apart=True)
    hidden = {v.number for v in graph.vertices if v.kind in ("parameter", "constant")}
    folded = _folded(graph, lambda v: heads[v.number], hidden)
    folded.level = "cell"
    attended = set(attentions(graph))
    for v in folded.vertices:
        v.op = "attention" if not v.name and attended.intersection(v.parts) else v.op
    for e in folded.edges:
        if any(graph.is_carried(o) for o in e.origin):
            source = graph.vertices[e.origin[0].source]
            e.via = source.name or source.op
    return folded


Home = tuple[int, int | None, object, int]  # section, step, module, which of its calls


class _Calls:
    """Keeps two calls of a module, or of two of one name, in a step apart, one fed by the other.

    As one box they would lead to what leads to them.
    """

    def __init__(self) -> None:
        self.calls: dict[object, int] = defaultdict(int)
        self.before: dict[object, dict[Home, set[Home]]] = defaultdict(dict)  # by section and step

    def home(self, section: int, step: int | None, owner: object, sources: list[Home]) -> Home:
        """The box of an op that reads those of `sources`."""
        before, key = self.before[section, step], (section, step, owner)
        near = {s for s in sources if s[:2] == (section, step)}
        mine = (section, step, owner, self.calls[key])
        if any(mine in before[s] for s in near):
            self.calls[key] += 1
            mine = (section, step, owner, self.calls[key])
        new = near.union(*(before[s] for s in near)) - {mine}
        if not new <= before.setdefault(mine, set()):
            for box, known in before.items():
                if box == mine or mine in known:
                    known |= new
        return mine


def _heads_of_cells(
    graph: Graph, names: set[tuple[str, str, str]], scopes: set[str], apart: bool
) -> list[int]:
    """For each vertex the last op of its cell, a named one before others.

    `apart`: calls of one module in a step, one fed by the other, are cells of their own.
    """
    section, leads, attended = sections_of(graph), _leading(graph, names), attentions(graph)
    calls = _Calls()
    home: dict[int, Home] = {}
    last: dict[Home, int] = {}
    between: dict[int, object] = {}  # ops between cells: what joins both directions, layer norm
    for v in graph.vertices:
        if v.kind == "op":
            inside = v.step is not None and v.number in leads
            owner: object = _owner(v.scope, scopes) if inside else None
            if inside and owner is None:
                chained = _chained(graph, v, scopes, between)
                owner = between[v.number] = attended.get(v.number, chained)
            key = section[v.number], v.step, owner, 0
            if apart:
                sources = [home[e.source] for e in graph.into[v.number] if e.source in home]
                key = calls.home(*key[:3], sources)
            home[v.number] = key
            if key not in last or v.name or not graph.vertices[last[key]].name:
                last[key] = v.number
    return [last[home[v.number]] if v.number in home else v.number for v in graph.vertices]


def _state(v: Vertex) -> tuple[str, str, str]:
    return v.name, v.scope, "" if v.name else v.op


def _owner(scope: str, scopes: set[str]) -> str | None:
    """The innermost module with states that a scope lies in."""
    around = [s for s in scopes if scope == s or scope.startswith(f"{s}.") or not s]
    return max(around, key=len, default=None)


def _chained(graph: Graph, v: Vertex, scopes: set[str], between: Mapping[int, object]) -> object:
    """What an op between cells is a part of: of one module, as far as one alone leads to it."""
    if v.scope and not any(s.startswith(f"{v.scope}.") for s in scopes):
        for e in graph.into[v.number]:
            if graph.vertices[e.source].scope == v.scope and len(graph.outof[e.source]) == 1:
                if e.source in between and graph.vertices[e.source].step == v.step:
                    return between[e.source]
    return v.number


def _leading(graph: Graph, names: set[tuple[str, str, str]]) -> set[int]:
    """The ops that states of their own step depend on, the states themselves included."""
    found: set[int] = set()
    for v in reversed(graph.vertices):
        if v.kind == "op" and v.step is not None:
            later = [e.target for e in graph.outof[v.number]]
            if _state(v) in names or any(
                k in found and graph.vertices[k].step == v.step for k in later
            ):
                found.add(v.number)
    return found


def _in_order(graph: Graph, heads: Sequence[int]) -> list[int]:
    """The heads as recorded, but each after what it reads; without those that wait in a circle."""
    readers: dict[int, set[int]] = defaultdict(set)
    for e in graph.edges:
        if heads[e.source] != heads[e.target]:
            readers[heads[e.source]].add(heads[e.target])
    waits = Counter(b for after in readers.values() for b in after)
    ready, found = sorted(set(heads) - set(waits)), list[int]()
    while ready:
        found.append(heappop(ready))
        for b in readers[found[-1]]:
            waits[b] -= 1
            if not waits[b]:
                heappush(ready, b)
    return found


def _folded(graph: Graph, head: Callable[[Vertex], int], hidden: set[int]) -> Graph:
    """A graph of the heads, without what is hidden; its edges know those they stand for."""
    members: dict[int, list[int]] = defaultdict(list)
    for v in graph.vertices:
        if v.number not in hidden:
            members[head(v)].append(v.number)
    order = _in_order(graph, [head(v) for v in graph.vertices])
    place = {k: i for i, k in enumerate(k for k in order if k in members)}
    vertices = [
        replace(graph.vertices[k], number=i, head=k, parts=tuple(members[k]))
        for k, i in place.items()
    ]
    merged: dict[tuple[int, int], Edge] = {}
    entered: dict[int, int] = defaultdict(int)
    for e in graph.edges:
        a, b = head(graph.vertices[e.source]), head(graph.vertices[e.target])
        if a != b and e.source not in hidden and e.target not in hidden:
            if (e.source, b) not in merged:
                # an op keeps its operands' places, what is made of several counts what enters it
                at = e.place if len(members[b]) == 1 else entered[b]
                entered[b] += 1
                merged[e.source, b] = Edge(place[a], place[b], at)
            merged[e.source, b].origin += (e,)
    outputs = {place[head(graph.vertices[k])] for k in graph.outputs}
    output = place[head(graph.vertices[graph.output])]
    return Graph(vertices, list(merged.values()), output, outputs)
