"""Which float arguments of a function come with ever other values, and so become operands."""

from collections.abc import Iterator, Sequence
from typing import Any

from .arguments import ALIKE, contains, each
from .entry import Entry
from .floats import FLOATS


class _Known:
    """What is known of the floats of calls of one structure, by their places in the key."""

    def __init__(self, first: dict[int, Any]):
        self.first, self.varying = first, set[int]()
        self.asked: dict[int, str] = {}  # place: the line that asked for its value


class Varying:
    """The float arguments of one function."""

    def __init__(self) -> None:
        self._known: dict[Any, _Known] = {}

    def lifted(self, key: Any) -> tuple[Any, dict[int, int]]:
        """The key without the floats that are operands, and those: place in the key, leaf."""
        places = dict(_floats(key))
        if not places:
            return key, {}
        structure = _structure(key)
        known = self._known.get(structure)
        if known is None:
            known = self._known[structure] = _Known({k: key[k] for k in places})
        known.varying |= {k for k in places if key[k] != known.first[k]}
        operands = known.varying - known.asked.keys()
        short = [part[:1] if k in operands else part for k, part in enumerate(key)]
        return tuple(short), {k: places[k] for k in operands}

    def asked(self, key: Any, places: dict[int, int], entry: Entry) -> None:
        """Take down whose values a recording asked for: they are no operands."""
        lines = entry.floats.asked
        known = self._known[_structure(key)]
        kept = set(entry.floats.leaves)
        known.asked |= {
            k: lines.get(leaf, "")
            for k, leaf in places.items()
            if leaf in lines or leaf not in kept
        }

    def lines(self, key: Any) -> dict[int, str]:
        """Where the values of floats are asked for, by place among `each` of the key's parts."""
        known = self._known.get(_structure(key))
        if known is None or not known.asked:
            return {}
        places = [0, *[k for k, part in enumerate(key[1:], 1) for _ in each([part])]]
        return {n: known.asked[k] for n, k in enumerate(places) if k in known.asked}


def _structure(key: Any) -> tuple[Any, ...]:
    """What the keys of two calls of one structure share: no shapes, no values."""
    return tuple([_kind(part) for part in key])


def _kind(part: Any) -> Any:
    if not isinstance(part, tuple):
        return part
    if contains(part[0]):
        return part
    return part[:2] if part[0] is ALIKE else part[0] if isinstance(part[0], type) else None


def _floats(key: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Place in the key, and number among the leaves, of each float."""
    leaf = 0
    for k, part in enumerate(key[1:], 1):
        if contains(part[0]):
            continue
        if part[0] in FLOATS:
            yield k, leaf
        leaf += part[1] if part[0] is ALIKE else 1
