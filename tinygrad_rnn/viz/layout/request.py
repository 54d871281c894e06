"""Have `dot` lay columns out: their states as points at the border, and highways level."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import graphviz

from . import engine
from .answer import kept, nodes_of, placed
from .picture import FONT, SIZE, SMALL
from .template import Highways, Placed, Template

ROOM = (  # for a heading that is written later
    '<<TABLE BORDER="0" CELLPADDING="0" CELLSPACING="0"><TR><TD FIXEDSIZE="TRUE" WIDTH="{:.0f}" '
    'HEIGHT="{:.0f}"></TD></TR></TABLE>>'
)
RANKS = {"up": "BT", "down": "TB", "right": "LR"}


def place(templates: list[Template]) -> list[Placed]:
    """Lay out columns, all in two runs of `dot`: the first finds the ranks.

    In the second the points where states enter and leave are first and last in their ranks.
    Where `dot` could not keep a highway free, its column is laid out without one.
    Raises RenderError where there is no engine or a column is too large for it.
    """
    found = engine.layout(tuple(_source(t) for t in templates))
    for t, graph in zip(templates, found, strict=True):
        _fix_order(t, graph)
    if any(t.order for t in templates):
        found = engine.layout(tuple(_source(t) for t in templates))
    done = [placed(t, graph) for t, graph in zip(templates, found, strict=True)]
    return [
        p if kept(t, p) else place([replace(t, ways=Highways(), order=[], straight={})])[0]
        for t, p in zip(templates, done, strict=True)
    ]


def _fix_order(t: Template, graph: dict[str, Any]) -> None:
    """Keep what stands in a rank there, with the points at the border outermost.

    What a node at the end of its rank alone reads or gives goes straight into its side.
    """
    if t.direction == "right" or not t.ports:
        return
    ranks: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for name, at in nodes_of(graph).items():
        x, y = at["pos"].split(",")
        ranks[y].append((float(x), name))
    ports, straight = t.names(), t.straight
    low = {out: into for into, out in _rails(t)}
    # at which end of its rank each stands, if at any
    sides: dict[str, float] = {name: port.side for name, port in ports.items()}
    for row in ranks.values():
        row.sort()
        nodes = [name for _, name in row if name[0] == "n"]
        alone = {name: served for name, port in ports.items() if name not in low
                 for served in [f"n{k}" for k in t.ports[port]]
                 if len(t.ports[port]) == 1 and served in nodes}  # fmt: skip
        for name, served in alone.items():
            if served == nodes[0 if ports[name].side < 0 else -1]:
                straight.setdefault(name, served)
        for name, served in alone.items():
            side = ports[name].side
            taken = {ports[n].side for n, end in straight.items() if end in nodes}
            if not ports[name].leaves and side not in taken and served not in straight.values():
                straight[name], sides[served] = served, side / 2
    sides |= {f"n{k}": out.side / 2 for _, out, k in t.ways.rails}
    # what nothing joins stays above each other, else the ways out of one run through the next
    for _, row in sorted(ranks.items(), key=lambda r: float(r[0]), reverse=t.direction == "down"):
        bent = set(ports) - set(straight) - set(low)
        names = [n for _, n in row if n[0] == "n" or n in bent]
        names += [name for name, end in straight.items() if end in names]
        names += [out for out, into in low.items() if into in names]
        if any(n in sides for n in names):
            t.order.append(sorted(names, key=lambda n: sides.get(n, 0)))


def _rails(t: Template) -> list[tuple[str, str]]:
    """Points where one state enters and leaves, by name."""
    names = {port: name for name, port in t.names().items()}
    return [(names[into], names[out]) for into, out, _ in t.ways.rails]


def _source(t: Template) -> str:
    """The column in DOT: nodes n, points at the border p, and b between rows."""
    g = graphviz.Digraph(
        graph_attr={"rankdir": RANKS[t.direction], "ranksep": "0.28",
                    "nodesep": f"{t.apart:g}"},
        node_attr={"fontname": FONT, "fontsize": f"{SMALL if t.close else SIZE:g}",
                   "shape": "box", "height": "0.3",
                   "width": "0.4", "margin": "0.05,0.04" if t.close else "0.05,0.06"},
        edge_attr={"arrowsize": "0.5", "fontname": FONT, "fontsize": f"{SIZE:g}"},
    )  # fmt: skip
    _nodes(g, t)
    joined = _edges(g, t) | _ways(g, t)
    _level(g, t)
    _keep_rows_apart(g, t)
    if t.direction == "right":
        for leaves, rank in ((False, "source"), (True, "sink")):
            _together(g, [n for n, port in t.names().items() if port.leaves == leaves], rank)
    firsts = [next((n for n in names if n[0] == "n"), "") for names in t.order]
    part = _parts(t)
    for low, high in pairwise(filter(None, firsts)):
        if part[int(low[1:])] != part[int(high[1:])]:
            g.edge(low, high, style="invis")
    for names in t.order:
        _in_order(g, names, joined, {f"n{k}" for *_, k in t.ways.rails})
    return str(g.source)


def _nodes(g: Any, t: Template) -> None:
    """Boxes between the points at the left border and those at the right, in their clusters."""
    point = {"shape": "point", "width": "0.01", "height": "0.01"}
    for name, port in t.names().items():
        if port.side < 0:
            g.node(name, **point)
    for k, (lines, (kind, width, height)) in enumerate(zip(t.lines, t.shapes, strict=True)):
        g.node(f"n{k}", label=graphviz.escape("\n".join(lines)), shape=kind,
               width=f"{width:g}", height=f"{height:g}")  # fmt: skip
    for name, port in t.names().items():
        if port.side >= 0:
            g.node(name, **point)
    for n, c in enumerate(t.clusters):
        with g.subgraph(name=f"cluster{n}") as cluster:
            cluster.attr(label=ROOM.format(c.width, c.height), margin="16",
                         labelloc="b" if t.direction == "up" else "t")  # fmt: skip
            for k in c.members:
                cluster.node(f"n{k}")


def _edges(g: Any, t: Template) -> set[tuple[str, str]]:
    """The column's own edges; the names that they join."""
    # edges of chains that run against time: in a rank what is drawn first stands left
    turned = {edge for c in t.ways.chains if t.towards(c) < 0 for edge in pairwise(c)}
    joined: set[tuple[str, str]] = set()
    for k, ((s, e), label) in enumerate(zip(t.edges, t.labels, strict=True)):
        about = _written(label)
        if k in t.back or (s, e) in t.ways.hanging:
            about["constraint"] = "false"
        if t.rows[s] != t.rows[e] and t.rows[s][0] == t.rows[e][0]:
            about["constraint"] = "false"  # rows stand above each other, wherever edges go
        ends = (f"n{e}", f"n{s}") if (s, e) in turned else (f"n{s}", f"n{e}")
        joined.add(ends)
        g.edge(*ends, comment=str(k), **about)
    return joined


def _ways(g: Any, t: Template) -> set[tuple[str, str]]:
    """Ways between boxes and points at the border; the names that they join."""
    for chain in t.ways.chains:
        for name, k in zip(t.ends(chain), (chain[0], chain[-1]), strict=False):
            t.straight[name] = f"n{k}"
    joined: set[tuple[str, str]] = set()
    turned = {out for _, out in _rails(t)}
    for name, port in t.names().items():
        # a way that we draw ourselves is none of dot's: with it dot breaks the order in a rank
        for k in t.ports[port] if name not in turned else ():
            beside = t.straight.get(name, f"n{k}") == f"n{k}"
            # beside each other what is drawn first stands left
            forward = port.side > 0 if name in t.straight and beside else port.leaves
            ends = (f"n{k}", name) if forward else (name, f"n{k}")
            joined.add(ends)
            g.edge(*ends, comment=f"{name},{k}", arrowhead="none" if port.leaves else "normal",
                   constraint="true" if beside else "false",
                   **_written(t.fans.get((port, k), "")))  # fmt: skip
    return joined


def _written(label: str) -> dict[str, str]:
    """The label of an edge; spaces keep what is written off the line."""
    padded = "\n".join(f"  {line}  " for line in label.split("\n"))
    return {"label": graphviz.escape(padded)} if label else {}


def _parts(t: Template) -> list[int]:
    """A number for each node: the same for all that edges join, whichever way."""
    part = list(range(len(t.lines)))

    def top(k: int) -> int:
        while part[k] != k:
            part[k] = part[part[k]]
            k = part[k]
        return k

    for s, e in t.edges:
        part[top(s)] = top(e)
    return [top(k) for k in range(len(part))]


def _level(g: Any, t: Template) -> None:
    """Chains with their ends in one rank; what hangs from them below, all else above."""
    for chain in t.ways.chains:
        _together(g, [f"n{k}" for k in chain] + t.ends(chain))
    for row in t.ways.gates:
        _together(g, [f"n{k}" for k in row])
    for rail in _rails(t) if not t.order else ():
        _together(g, rail)
    for s, e in t.ways.hanging:
        g.edge(f"n{e}", f"n{s}", style="invis")
    for s, e in t.ways.above:
        g.edge(f"n{s}", f"n{e}", style="invis")


def _together(g: Any, names: Iterable[str], rank: str = "same") -> None:
    with g.subgraph() as same:
        same.attr(rank=rank)
        for name in names:
            same.node(name)


def _in_order(g: Any, names: list[str], joined: set[tuple[str, str]], outer: set[str]) -> None:
    """One rank, the points at the left border first, those at the right last.

    `outer`: nodes that stand at an end of the rank, beside those points.
    """
    _together(g, names)
    # dot heeds pairs that an edge joins, not what follows from several; too many confuse it
    first = {b for a, b in joined if a in names and b in names and a[0] == "p"}
    last = {a for a, b in joined if a in names and b in names and b[0] == "p"}
    for a, b in combinations(names, 2):
        if "p" in (a[0], b[0]) or a in first or b in last or outer & {a, b}:
            if not {(a, b), (b, a)} & joined:
                g.edge(a, b, style="invis")


def _keep_rows_apart(g: Any, t: Template) -> None:
    """A column's rows stand one after the other: what ends one leads to what begins the next."""
    inside = [
        (e, s) if (s, e) in t.ways.hanging else (s, e)
        for k, (s, e) in enumerate(t.edges)
        if k not in t.back and t.rows[s] == t.rows[e]
    ]
    inside += t.ways.above
    ends = set(range(len(t.rows))) - {s for s, _ in inside}
    begins = set(range(len(t.rows))) - {e for _, e in inside}
    for n, (row, later) in enumerate(pairwise(sorted(set(t.rows)))):
        if row[0] == later[0]:
            around = [n for n, c in enumerate(t.clusters) if t.rows.index(row) in c.members]
            with g.subgraph(name=f"cluster{around[0]}" if around else None) as here:
                here.node(f"b{n}", style="invis", shape="point", width="0.01", height="0.01")
            for k, own in enumerate(t.rows):
                if own == row and k in ends:
                    g.edge(f"n{k}", f"b{n}", style="invis")
                if own == later and k in begins:
                    g.edge(f"b{n}", f"n{k}", style="invis")
