"""Where code finds its values, with what lay there: namespaces, cells, containers, arrays."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

# compared by value, as they stand
PLAIN = frozenset([bool, int, float, complex, str, bytes, type(None), slice, range, type(...)])
CONTAINERS = (list, tuple, dict, set, frozenset, deque)
LARGE = 256  # items up to which a container is compared in every call (some 6 us)
SMALL_ARRAY = 4096  # bytes


class Space:
    """A namespace: what was found under the names that code uses."""

    __slots__ = ("absent", "before", "owner", "seen", "sized", "space", "wanted", "what")

    def __init__(self, space: Mapping[str, Any], what: str, owner: type | None = None):
        self.space, self.what, self.owner = space, what, owner  # owner: a class
        self.seen: dict[str, Any] = {}
        self.absent: set[str] = set()  # names that were looked up and not there
        self.sized = False  # its size is guarded as well
        self.wanted = ""  # "names" of attributes, of a module also what is "held", or "all"
        self.before = dict(space) if type(space) is dict and what else {}

    def label(self, name: str) -> str:
        """What the user calls a name in it."""
        return f"{self.what}.{name}" if self.what else name


class Fixed(NamedTuple):
    """A fixed number of values that `read(owner)` gives: a cell, defaults, slots."""

    read: Callable[[Any], Any]
    owner: Any
    seen: tuple[Any, ...]
    labels: tuple[str, ...] = ()  # what the user calls them, where a symbol may be left


class Whole(NamedTuple):
    """A container by content; only by size if it is large."""

    owner: Any
    seen: list[Any] | None  # a dict's keys, then its values
    size: int
    what: str

    def parts(self) -> list[tuple[Any, list[Any]]]:
        """What to go through, and what was found there."""
        seen = self.seen or []
        if not isinstance(self.owner, dict):
            return [(self.owner, list(seen))]
        keys, values = seen[: self.size], seen[self.size :]
        return [(self.owner, keys), (self.owner.values(), values)]


class Content(NamedTuple):
    """A NumPy array with its bytes, None if they are too many."""

    array: Any
    seen: bytes | None
    what: str


def bytes_of(array: Any) -> bytes | None:
    """What is in a NumPy array; None if that is too much to compare at every call."""
    small = array.nbytes <= SMALL_ARRAY and not array.dtype.hasobject
    return array.tobytes() if small else None


def state_of(generator: Any) -> str:
    """The state of a random generator of NumPy's, to compare."""
    if isinstance(generator, np.random.RandomState):
        return repr(generator.get_state(legacy=False))
    return repr(generator.bit_generator.state)


class Group:
    """What was found from one object, and goes with it if it does not outlive the capture."""

    def __init__(self, start: Callable[[], Any] | None = None):
        self.start = start
        self.spaces: list[Space] = []
        self.fixed: list[Fixed] = []
        self.wholes: list[Whole] = []
        self.contents: list[Content] = []
        self._aside: tuple[list[Fixed], list[Whole]] = [], []

    def set_aside(self, start: Any) -> None:
        """Let go of the start itself, which what is found in it would keep alive."""
        self._aside = (
            [f._replace(owner=None) for f in self.fixed if f.owner is start],
            [w._replace(owner=None) for w in self.wholes if w.owner is start],
        )
        self.fixed = [f for f in self.fixed if f.owner is not start]
        self.wholes = [w for w in self.wholes if w.owner is not start]

    def lasts(self) -> bool:
        """Whether the start is still alive, or always was; then it takes its places again."""
        start = self.start and self.start()
        if start is not None:
            self.fixed += [f._replace(owner=start) for f in self._aside[0]]
            self.wholes += [w._replace(owner=start) for w in self._aside[1]]
            self._aside = [], []
        return start is not None or self.start is None


MISSING = object()


class Slots:
    """Reads attributes some of which may not be set."""

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)

    def __call__(self, owner: Any) -> tuple[Any, ...]:
        values = []
        for name in self.names:
            try:
                values.append(getattr(owner, name))
            except (AttributeError, ValueError):
                values.append(MISSING)
        return tuple(values)


CELL = Slots(["cell_contents"])  # reads a cell that may be empty as yet
