"""Ports: where states enter the columns of each kind and leave them."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from ..graph.columns import Columns
from ..graph.graph import Edge
from .highways import Name, States, name_of
from .template import Highways, Port


class Ports:
    """The points at the borders of columns, given what runs between them."""

    def __init__(self, columns: Columns, crossing: Sequence[Edge]):
        self.columns, self.crossing = columns, crossing
        where = columns.where
        back = [where[e.source] for e in columns.across if self.enters(e) > 0]
        self.against = {(columns.columns[k].signature, i) for k, i in back}
        self.entries = self._entries()

    def enters(self, e: Edge) -> int:
        """The border an edge enters by: left, unless it runs against time."""
        return -1 if self.columns.where[e.source][0] < self.columns.where[e.target][0] else 1

    def leaves(self, e: Edge) -> int:
        """The other border; of a state that runs against time all after the steps, too, left."""
        (a, i), (b, _) = self.columns.where[e.source], self.columns.where[e.target]
        kinds = self.columns.columns
        beside = kinds[b].step is None and (kinds[a].signature, i) in self.against
        return -1 if beside else -self.enters(e)

    def operand(self, e: Edge) -> tuple[int, int]:
        """Where an edge arrives in its column: place and operand."""
        return self.columns.where[e.target][1], self.columns.operand(e)

    def way_out(self, e: Edge) -> Port:
        """The port that an edge leaves by."""
        return Port(self.leaves(e), True, (self.columns.where[e.source][1], e.via), e.via)

    def way_in(self, e: Edge) -> Port:
        """The port that an edge enters by."""
        kind = self.columns.columns[self.columns.where[e.target][0]].signature
        return self.entries[kind, self.enters(e), self.operand(e)]

    def _entries(self) -> dict[tuple[Hashable, int, tuple[int, int]], Port]:
        """The port of each operand, by kind of column and side.

        Operands that one state serves share a port. Where columns of a kind differ in that (the
        first may read zeros twice), the grouping that most of them have counts for all.
        """
        together: dict[tuple[int, int, int, str], set[tuple[int, int]]] = defaultdict(set)
        for e in self.crossing:
            b = self.columns.where[e.target][0]
            together[b, e.source, self.enters(e), e.via].add(self.operand(e))
        groups: Counter[tuple[Hashable, int, str, frozenset[tuple[int, int]]]] = Counter(
            (self.columns.columns[b].signature, side, via, frozenset(operands))
            for (b, _, side, via), operands in together.items()
        )
        found: dict[tuple[Hashable, int, tuple[int, int]], Port] = {}
        order = sorted(groups, key=lambda g: (-groups[g], len(g[3]), sorted(g[3])))
        for kind, side, via, operands in order:
            new = frozenset(o for o in operands if (kind, side, o) not in found)
            found.update({(kind, side, o): Port(side, False, new, via) for o in new})
        return found

    def by_kind(self) -> dict[Hashable, dict[Port, list[int]]]:
        """The ports of each kind of column, and the places that each serves."""
        ports: dict[Hashable, dict[Port, list[int]]] = defaultdict(dict)
        for (kind, _, (j, _)), port in self.entries.items():
            served = ports[kind].setdefault(port, [])
            if j not in served:
                served.append(j)
        for e in self.crossing:
            a, i = self.columns.where[e.source]
            ports[self.columns.columns[a].signature][self.way_out(e)] = [i]
        return ports

    def part(self, kind: Hashable, ports: dict[Port, list[int]], ways: Highways) -> None:
        """A state that runs straight along a chain fans out before its column, not in it."""
        starts, kept = {k for k, *_ in ways.chains}, {into for into, *_ in ways.rails}
        fans = [p for p, places in ports.items() if not p.leaves and len(places) > 1
                and starts.intersection(places) and p not in kept]  # fmt: skip
        for port in fans:
            del ports[port]
            assert isinstance(port.key, frozenset)
            for k, operand in port.key:
                part = port._replace(key=k)
                ports[part] = [k]
                self.entries[kind, port.side, (k, operand)] = part

    def labels(self, kind: Hashable, ports: dict[Port, list[int]]) -> dict[tuple[Port, int], str]:
        """What is written where a state fans out to several places, to each."""
        found = {}
        for e in self.crossing if self.columns.graph.level == "edges" else ():
            b, j = self.columns.where[e.target]
            if self.columns.columns[b].signature == kind and len(ports[self.way_in(e)]) > 1:
                found[self.way_in(e), j] = e.label
        return found

    def states(self) -> dict[Hashable, States]:
        """By kind of column: the states that enter by each port, and which places hold one."""
        entering: dict[Hashable, dict[Port, Counter[Name]]] = defaultdict(dict)
        made: dict[Hashable, set[int]] = defaultdict(set)
        graph = self.columns.graph
        for e in self.crossing:
            (ca, i), (cb, _) = self.columns.where[e.source], self.columns.where[e.target]
            v, kind = graph.vertices[e.source], self.columns.columns[cb].signature
            # whatever the first step reads, what most of them read it is
            entering[kind].setdefault(self.way_in(e), Counter())[name_of(v)] += v.kind == "op"
            if graph.is_carried(e):
                made[self.columns.columns[ca].signature].add(i)
        for c in self.columns.columns:
            named = {i for i, v in enumerate(c.members) if (v.name, v.scope) in graph.carried}
            made[c.signature] |= named
        names = {
            kind: {port: count.most_common(1)[0][0] for port, count in ports.items()}
            for kind, ports in entering.items()
        }
        return {kind: States(names.get(kind, {}), found) for kind, found in made.items()}
