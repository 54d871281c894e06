"""Rows: which of a column's members one call of a module made, layers one after the other."""

from ..graph.columns import Column
from .template import Row


def rows_of(
    column: Column, number: int = 0, cells: bool = False
) -> tuple[list[Row], dict[Row, str]]:
    """The row of each member of column `number`, and the scope of each row; `cells`: one each.

    A row is a run of ops of one scope in the order of recording. A module that made a single op,
    a layer's product, has no row of its own: it belongs to the run around it.
    """
    runs: list[tuple[str, list[int]]] = []
    for k, v in enumerate(column.members):
        if v.kind == "op":
            if cells or not runs or runs[-1][0] != v.scope:
                runs.append((v.scope, []))
            runs[-1][1].append(k)
    merged: list[tuple[str, list[int]]] = []
    waiting: list[int] = []
    for scope, members in runs:
        first = column.members[members[0]]
        whole = first.name and len(first.parts) > 1  # a cell that is one gate, of an RNN
        if len(members) < 2 and not cells and not whole:
            waiting += members
        elif merged and merged[-1][0] == scope and not cells:
            merged[-1][1].extend([*waiting, *members])
            waiting = []
        else:
            merged.append((scope, [*waiting, *members]))
            waiting = []
    if waiting:
        if not merged:
            merged.append((column.members[waiting[0]].scope, []))
        merged[-1][1].extend(waiting)
    rows = [0] * len(column.members)
    for r, (_, members) in enumerate(merged):
        for k in members:
            rows[k] = r
    seen: dict[int, int] = {}
    for e in column.inner:
        if column.members[e.source].kind != "op":
            seen[e.source] = min(seen.get(e.source, len(merged)), rows[e.target])
    for k, r in seen.items():
        rows[k] = r
    scopes = {(number, r): scope for r, (scope, _) in enumerate(merged)}
    return [(number, r) for r in rows], scopes or {(number, 0): ""}
