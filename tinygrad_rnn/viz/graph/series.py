"""Series of steps, seen through: `drop(stack(hs))[t]` is drop of h_t, as a person would draw it.

A *series* is what `stack` makes of the steps' results, and what ops that work step by step
make of it: dropout, layer norm, residual sums, a projection, both directions side by side.
Where a later layer reads one step by step, it is drawn as a row of each step, not as one box
that all steps lead to and come from; so the layers of a net stand above each other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...graph import Node
from ...op import Array
from ...ops.reduce import axes_of
from ...tensors import Tensor
from .steps import row_of


class Row(NamedTuple):
    """One step of a series, or of what is sent to one: how the sweep knows it."""

    of: int
    row: int
    axis: int

    def part(self, whole: Array) -> Array:
        """The row itself."""
        return np.moveaxis(whole, self.axis, 0)[self.row]


def by_whole(keys: Iterable[Any]) -> dict[int, list[Row]]:
    """The rows among the keys of vertices or edges, by what they are rows of."""
    found: dict[int, list[Row]] = defaultdict(list)
    for key in keys:
        if isinstance(key, Row):
            found[key.of].append(key)
    return found


class Series(NamedTuple):
    """An op on a series that is one as well."""

    axis: int  # of time
    rows: list[bool]  # which of its operands are rows, too
    stands: bool  # in the steps: more reads it than what follows the loop


def find_series(nodes: Sequence[Node], roots: Sequence[Node]) -> dict[int, Series]:
    """The series that are read row by row, in the order of recording.

    What reads one of them whole is drawn with an edge from every row: on a box in between,
    what comes from there and what the rows' readers send could not be told apart.
    """
    axes: dict[int, int] = {}
    rows: dict[int, list[bool]] = {}
    for n in nodes:
        if n.extra and "hooks" in n.extra:
            continue
        if n.op.name == "stack":
            if not n.attrs.get("axis", 0) and all(p.__class__ is Node for p in n.inputs):
                axes[n.seq], rows[n.seq] = 0, [False] * len(n.inputs)
        elif axes and n.shape:
            found = _row_by_row(n, axes)
            if found is not None:
                axes[n.seq], rows[n.seq] = found
    last = {root.seq for root in roots}
    read: dict[int, bool] = {}  # by rows: whether by a step's
    whole: set[int] = set()
    for n in reversed(nodes):
        taken = row_taken(n) is not None
        again = n.seq in read and n.seq in rows and n.seq not in last
        for k, p in enumerate(n.inputs):
            if p.__class__ is not Node or p.seq not in axes:
                continue
            if taken and axes[p.seq] == 0:
                read[p.seq] = read.get(p.seq, False) or n.step is not None
            elif again and rows[n.seq][k]:
                read[p.seq] = read.get(p.seq, False) or read[n.seq] or n.seq in whole
            else:
                whole.add(p.seq)
    return {
        seq: Series(axes[seq], rows[seq], read[seq] or seq in whole)
        for seq in rows
        if seq in read and seq not in last
    }


def row_taken(n: Node) -> int | None:
    """The t of `x[t]`, where nothing watches it."""
    return row_of(n.attrs["key"]) if n.op.name == "index" and not n.extra else None


Found = tuple[int, list[bool]] | None  # the axis of time, and the operands by rows


def _row_by_row(n: Node, axes: dict[int, int]) -> Found:
    """How an op goes along time; None where it mixes steps."""
    known = [axes.get(p.seq) if p.__class__ is Node else None for p in n.inputs]
    axis = next((a for a in known if a is not None), None)
    rule = _pointwise if n.op.pointwise else RULES.get(n.op.name)
    found = rule(n, axis) if rule is not None and axis is not None else None
    if found is None:
        return None
    for p, own, row in zip(n.inputs, known, found[1], strict=True):
        given = own is None and isinstance(p, Tensor) and not p.requires_grad
        if (own is not None and not row) or (row and own != axis and not given):
            return None
    return found


def _pointwise(n: Node, axis: int) -> Found:
    shapes = [getattr(p, "shape", ()) for p in n.inputs]
    return axis, [len(s) == len(n.shape) and s[axis] == n.shape[axis] for s in shapes]


def _product(n: Node, axis: int) -> Found:
    a, b = n.inputs[:2]
    plain = len(b.shape) == 2 and axis < len(a.shape) - 1
    return (axis, [True] + [False] * (len(n.inputs) - 1)) if plain else None


def _along(n: Node, axis: int) -> Found:
    """Over other axes than that of time: `axis` as in NumPy, the last where none is named."""
    ndim = len(n.inputs[0].shape)
    over = axes_of(n.op.name, n.attrs.get("axis", -1), ndim)
    if axis in over:
        return None
    gone = sum(a < axis for a in over) if len(n.shape) < ndim else 0
    return axis - gone, [True] * len(n.inputs)


def _turned(n: Node, axis: int) -> Found:
    return list(n.attrs["axes"]).index(axis), [True]


def _piece(n: Node, axis: int) -> Found:
    """Of each step the same: `y[:, :, 4:]`."""
    key = slices(n)
    whole = all(isinstance(k, slice) for k in key) and key[axis] == slice(None)
    return (axis, [True]) if whole else None


def slices(n: Node) -> list[Any]:
    """An index, an entry for each axis."""
    key = n.attrs["key"] if isinstance(n.attrs["key"], tuple) else (n.attrs["key"],)
    rest = [slice(None)] * (len(n.inputs[0].shape) - sum(k is not Ellipsis for k in key))
    at = next((a for a, k in enumerate(key) if k is Ellipsis), len(key))
    return [*key[:at], *rest, *key[at + 1 :]]


RULES: Mapping[str, Callable[[Node, int], Found]] = {
    "matmul": _product,
    "linear": _product,
    "drop": lambda n, axis: (axis, [True, False]),
    "permute_dims": _turned,
    "index": _piece,
} | dict.fromkeys(
    ("concat", "normalize", "softmax", "log_softmax", "sum", "max", "min", "logsumexp", "norm"),
    _along,
)


def is_same(n: Node, axis: int) -> bool:
    """Whether of a single step there is nothing left to turn, time having been at `axis` after."""
    axes = [a for k, a in enumerate(n.attrs.get("axes", ())) if k != axis]
    return n.op.name == "permute_dims" and axes == sorted(axes)


def source_rows(n: Node, series: dict[int, Series]) -> list[Any]:
    """The operands of a series of which its rows are made."""
    return [p for p, row in zip(n.inputs, series[n.seq].rows, strict=True) if row]
