"""Which columns are shown, and where a stretch of hidden ones stands."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from ...errors import GraphError
from .columns import Columns

EDGE_STEPS = 3  # shown at either end of a long sequence


class Slot(NamedTuple):
    """One place along the time axis: a column, or columns left out."""

    first: int
    last: int  # the column itself, or the last one hidden
    shown: bool


def slots(columns: Columns, steps: Any, max_steps: int, who: str) -> list[Slot]:
    """Which columns are shown: `steps` is "auto", "all", a slice or a list of step numbers."""
    if not isinstance(max_steps, int) or max_steps < 1:
        raise GraphError(f"{who}: max_steps must be a whole number above 0, got {max_steps!r:.40}")
    by_section: dict[float, list[int]] = defaultdict(list)
    for k, c in enumerate(columns.columns):
        if c.step is not None:
            by_section[c.section].append(k)
    if not by_section:
        _chosen([0], steps, max_steps, who)  # nonsense is refused where there are no steps, too
    shown = {k for k, c in enumerate(columns.columns) if c.step is None}
    for members in by_section.values():
        times = [columns.columns[k].step or 0 for k in members]
        shown.update(members[i] for i in _chosen(times, steps, max_steps, who))
    return _slots(columns, shown)


def one_of_each(columns: Columns) -> tuple[list[Slot], list[dict[str, Any]]]:
    """A column of each kind with those beside it, and which vertices are like its own.

    Those of each kind: `shown`, and by column left out how many steps later, and its vertices.
    """
    kinds: dict[Any, list[int]] = defaultdict(list)
    for k, c in enumerate(columns.columns):
        kinds[c.signature].append(k)
    chosen = {ks[len(ks) > 2]: ks for ks in kinds.values()}  # before the first there is no step
    shown = {k + by for k in chosen for by in (-1, 0, 1)}

    def heads(k: int) -> list[int]:
        return [v.head for v in columns.columns[k].members]

    def later(k: int, than: int) -> int:
        return (columns.columns[k].step or 0) - (columns.columns[than].step or 0)

    like = [
        {"shown": heads(one), "like": [[later(k, one), *heads(k)] for k in ks if k not in shown]}
        for one, ks in chosen.items()
    ]
    return _slots(columns, shown), like


def _slots(columns: Columns, shown: Collection[int]) -> list[Slot]:
    found: list[Slot] = []
    for here, run in groupby(range(len(columns.columns)), shown.__contains__):
        ks = list(run)
        found += [Slot(k, k, True) for k in ks] if here else [Slot(ks[0], ks[-1], False)]
    return found


def _chosen(times: list[int], steps: Any, max_steps: int, who: str) -> Iterable[int]:
    """The places of the steps asked for among `times`."""
    n = len(times)
    if isinstance(steps, slice):
        return range(n)[steps]
    if isinstance(steps, str) and (steps == "all" or (steps == "auto" and n <= max_steps)):
        return range(n)
    if isinstance(steps, str) and steps == "auto":
        ends = max(1, min(EDGE_STEPS, max_steps // 2))
        return [*range(ends), *range(n - ends, n)]
    if isinstance(steps, Sequence) and not isinstance(steps, str):
        known = {t: k for k, t in enumerate(times)} | {k - n: k for k in range(n)}
        if all(isinstance(t, int) and t in known for t in steps) and len(steps):
            return [known[t] for t in steps]
    raise GraphError(
        f"{who}: steps must be 'auto', 'all', a slice or a list of step numbers from {times[0]} "
        f"to {times[-1]}, or, back from the last, -1 to {-n}; got {steps!r:.80}"
    )
