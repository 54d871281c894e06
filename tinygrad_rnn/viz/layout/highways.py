"""Highways: how states run through a step, as everyone draws an LSTM.

A state that nothing but products and sums change, c of an LSTM, runs straight through its
column at one height, all that it is made of below. What it makes in turn, up to another
state, hangs below it too (tanh and the product with the output gate), and that state, h,
leaves the column at the height where it entered.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ..graph.columns import Column
from ..graph.graph import ACTIVATIONS, Vertex
from .template import Highways, Port

SIGNS = ("mul", "add", "sub", "where")


Name = tuple[str, str]  # of a state, or the op that makes it, and its scope


class States(NamedTuple):
    """The states of a kind of column: what enters by each port, and the places that make one."""

    entering: Mapping[Port, Name]
    made: Collection[int]


def name_of(v: Vertex) -> Name:
    """What tells a state from others, named or not."""
    return v.name or v.op, v.scope


def highways(column: Column, ports: dict[Port, list[int]], states: States) -> Highways:
    """Those of a column, given its ports and states."""
    members, found = column.members, Highways()
    into: dict[int, list[int]] = {k: [] for k in range(len(members))}
    for e in column.inner:
        into[e.target].append(e.source)
    entered = {k for port, places in ports.items() if not port.leaves for k in places}
    carried = sorted(states.made)
    chains: list[list[int]] = [[] for _ in members]
    for k, v in enumerate(members):
        if v.op in SIGNS and len(v.parts) < 2:
            ways = [chains[q] for q in into[k]] + [[-1]] * (k in entered)
            best = max((w for w in ways if w), key=len, default=[])
            chains[k] = [*best, k] if best else []
    scopes = [v.scope for v in members]
    level: set[int] = set()
    for k in reversed(carried):  # a masked state after the one that the mask chooses from
        chain = [q for q in chains[k] if q >= 0]
        if chain and not level & set(chain):
            found.chains.append(chain)
            level |= set(chain)
    # one made of another, where more stands at its height, hangs from that like all else
    found.chains = [c for c in found.chains if not _after(into, found.chains, c, scopes)]
    level = {k for chain in found.chains for k in chain}
    _hang(found, into, set(carried), scopes)
    if found.chains:
        _line_up(found, into, [v.op in ACTIVATIONS for v in members], scopes)
    leaving = {k for out, (k, *_) in ports.items() if out.leaves and k in carried}
    bear = Counter(name_of(members[k]) for k in leaving)  # of several `h` none is known again
    for out, (k, *_) in ports.items():
        if not out.leaves or k in level or k not in carried or bear[name_of(members[k])] > 1:
            continue
        for port, places in ports.items():
            same = states.entering.get(port) == name_of(members[k])
            if same and not port.leaves and port.side == -out.side and places != [k]:
                found.rails.append((port, out, k))
    return found


def _after(
    into: dict[int, list[int]], chains: list[list[int]], chain: list[int], scopes: list[str]
) -> bool:
    """Whether a chain's end is made, in its scope, of what another chain ends in."""
    scope = scopes[chain[-1]]
    seen = {c[-1] for c in chains if c is not chain and scopes[c[-1]] == scope}
    for k in sorted(into):
        if scopes[k] == scope and set(into[k]) & seen:
            seen.add(k)
    return chain[-1] in seen


def _hang(found: Highways, into: dict[int, list[int]], states: set[int], scopes: list[str]) -> None:
    """What a chain leads to: down to other states, up to all else."""
    leads = set(states)  # to a state of this step
    for k in sorted(into, reverse=True):
        if k in leads:
            leads |= {q for q in into[k] if scopes[q] == scopes[k]}
    for chain in found.chains:
        below = {chain[-1]}
        for k in sorted(into):
            if k not in chain and scopes[k] == scopes[chain[-1]] and below & set(into[k]):
                if k in leads:
                    below.add(k)
                    found.hanging.extend((q, k) for q in into[k] if q in below)
                else:
                    found.above.append((chain[-1], k))


def _line_up(
    found: Highways, into: dict[int, list[int]], active: list[bool], scopes: list[str]
) -> None:
    """Gates: the activations of a scope that no other stands before, hanging ones apart."""
    after = {k for _, k in found.hanging}
    rows: dict[str, list[int]] = {}
    for k in sorted(into):
        if any(active[q] or q in after for q in into[k] if scopes[q] == scopes[k]):
            after.add(k)
        elif active[k]:
            rows.setdefault(scopes[k], []).append(k)
    found.gates.extend(row for row in rows.values() if len(row) > 1)
