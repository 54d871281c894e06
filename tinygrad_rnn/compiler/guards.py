"""What must still hold for a captured program to be used again.

Checked at every call, so the first look is short: are the objects that lie where the
capture read them (`surroundings.py`) still the same ones? Values are compared only where
one is not. A tensor that took another's place, of the same shape, wherever the old one
lay, becomes the program's input: a state kept on an object needs no new capture.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from copy import copy
from operator import is_, itemgetter
from types import MappingProxyType
from typing import Any

import numpy as np

from ..tensors import Tensor
from .places import PLAIN, Content, Fixed, Group, Space, Whole

_MOVED = (KeyError, AttributeError, ValueError, IndexError)  # a name or a cell is empty now


def same(value: Any, seen: Any) -> bool:
    """Whether two plain values are one: 0.0 is not -0.0, 1 is not True, NaN is itself."""
    if type(value) is not type(seen):
        return False
    if isinstance(value, float):
        if math.isnan(value) or math.isnan(seen):
            return math.isnan(value) and math.isnan(seen)
        return value == seen and math.copysign(1, value) == math.copysign(1, seen)
    if isinstance(value, complex):
        return same(value.real, seen.real) and same(value.imag, seen.imag)
    if isinstance(value, slice):
        parts = [(s.start, s.stop, s.step) for s in (value, seen)]
        return all(map(same, *parts))
    return bool(value == seen)


def _spec(t: Any) -> tuple[Any, ...]:
    """What a program fixes of an input: shape, dtype, requires_grad; the array comes first."""
    if isinstance(t, Tensor):
        return t._array, t._array.shape, t._array.dtype, t.requires_grad
    return (t, t.shape, t.dtype, False) if isinstance(t, np.ndarray) else (None, None, None, None)


class Guards:
    """The checks of one captured program; `lifted` are its inputs that are no arguments."""

    def __init__(self, groups: list[Group], lifted: list[Any], read: Iterable[tuple[Tensor, int]]):
        self.lifted, self.read, self.first = lifted, list(read), list(lifted)
        self.places = {id(t): k for k, t in enumerate(lifted)}
        self.specs = [_spec(t) for t in lifted]
        spaces = [s for g in groups for s in g.spaces]
        wholes = [w for g in groups for w in g.wholes]
        fixed = [f for g in groups for f in g.fixed] + [f for s in spaces for f in _fixed(s)]
        fixed += [f for w in wholes for f in self._within(w)]
        self.groups, self.fixed = groups, fixed
        self.reads = [(f.read, f.owner) for f in fixed]
        self.seen = [v for f in fixed for v in f.seen]
        self.sizes = [(w.owner, w.size) for w in wholes]
        parts = {id(w.owner): w.parts() for w in wholes if w.seen is not None}
        self.items = [part for several in parts.values() for part in several]
        self.content = {key: [seen for _, seen in several] for key, several in parts.items()}
        self.absent = [(s.space.keys(), frozenset(s.absent)) for s in spaces if s.absent]
        self.bytes = [
            (c.array, c.seen)
            for g in groups
            for c in g.contents
            if c.seen is not None  # an operand, too: code may look at its values besides
        ]

    def _within(self, whole: Whole) -> Iterator[Fixed]:
        """Of a large container, the places where the program's inputs lie."""
        owner, named = whole.owner, type(whole.owner) in (dict, OrderedDict)
        if whole.seen is None and (named or isinstance(owner, list | deque)):
            pairs = owner.items() if named else enumerate(owner)
            keys = [k for k, v in pairs if id(v) in self.places]
            if keys:
                read = itemgetter(*keys, keys[0])
                yield Fixed(read, owner, read(owner), (whole.what,) * (len(keys) + 1))

    def share(self, other: "Guards") -> None:
        """Hold the lists of another recording's guards where they say the same: 45 kB of 78."""
        mine, theirs = [*self.groups, *self.fixed], [*other.groups, *other.fixed]
        if list(map(_says, mine)) == list(map(_says, theirs)):
            self.groups, self.fixed, self.reads = other.groups, other.fixed, other.reads
            self.sizes, self.absent, self.bytes = other.sizes, other.absent, other.bytes

    def hold(self) -> "Guards | None":
        """These guards if nothing has changed, None if something has.

        If other tensors lie in the places of inputs, guards anew with those as `lifted`: another
        thread may find others there at the same time.
        """
        now: list[Any] = []
        try:
            for read, owner in self.reads:
                now += read(owner)
        except _MOVED:
            return None
        for owner, size in self.sizes:
            if len(owner) != size:
                return None
        identical = all(map(is_, now, self.seen))
        for owner, seen in self.items:
            identical = identical and all(map(is_, owner, seen))
        if identical:
            return self if self._rest() else None
        anew = self._alike(now)
        return anew if anew is not None and anew._rest() else None

    def _rest(self) -> bool:
        for names, absent in self.absent:
            if not names.isdisjoint(absent):
                return False
        for array, content in self.bytes:
            if array.tobytes() != content:
                return False
        for t, version in self.read:
            if t._version is not None and t._version[0] != version:
                return False
        return self._inputs_fit()

    def _inputs_fit(self) -> bool:
        for k, (t, (array, shape, dtype, needs)) in enumerate(
            zip(self.lifted, self.specs, strict=True)
        ):
            a = t
            if isinstance(t, Tensor):
                a = t._array
                if (t._leaf or t._node is not None) != needs:
                    return False
                if a is array:
                    continue
            # new values, which an optimiser writes into the same array
            if a.shape != shape or a.dtype != dtype:
                return False
            self.specs[k] = a, shape, dtype, needs
        return True

    def changed(self) -> tuple[str, Any] | None:
        """The first thing found that does not hold: what the user calls it, and its value now."""
        at = 0
        for f in self.fixed:
            seen, at = self.seen[at : at + len(f.seen)], at + len(f.seen)
            try:
                now = f.read(f.owner)
            except _MOVED:
                return f.labels[0], None
            for value, before, label in zip(now, seen, f.labels, strict=False):
                if not self._means(value, before, {}):
                    return label, value
        for w in [w for g in self.groups for w in g.wholes]:
            if len(w.owner) != w.size or not all(
                self._means(v, s, {})
                for owner, seen in w.parts()
                if w.seen is not None
                for v, s in zip(owner, seen, strict=True)
            ):
                return w.what, None
        for s in [s for g in self.groups for s in g.spaces]:
            for name in s.absent & s.space.keys():
                return s.label(name), s.space[name]
        for c in [c for g in self.groups for c in g.contents]:
            if c.seen is not None and c.array.tobytes() != c.seen:
                return c.what, None
        for t, version in self.read:
            if t._version is not None and t._version[0] != version:
                return f"the value of {t.name or 'a tensor'}", None
        for t, spec in zip(self.lifted, self.specs, strict=True):
            if _spec(t)[1:] != spec[1:]:
                return f"the shape, dtype or requires_grad of {t.name or 'a tensor'}", None
        return None

    # another object in the place of one ---------------------------------------------------

    def _alike(self, now: list[Any]) -> "Guards | None":
        """Guards for other objects in the places of those seen, if they mean the same program."""
        moved: dict[int, Any] = {}  # by id of an input: the tensor that lies in its places
        held = [(now, self.seen), *[(list(owner), seen) for owner, seen in self.items]]
        for values, before in held:
            if not all(self._means(v, s, moved) for v, s in zip(values, before, strict=True)):
                return None
        anew = copy(self)
        if not anew._move(moved):
            return None
        lists = {  # what is not settled is compared again at every call
            id(before): [v if anew._settled(v) else s for v, s in zip(values, before, strict=True)]
            for values, before in held
        }
        anew.seen = lists[id(self.seen)]
        anew.items = [(owner, lists[id(seen)]) for owner, seen in self.items]
        anew.content = {
            key: [lists[id(s)] for s in several] for key, several in self.content.items()
        }
        return anew

    def _means(self, value: Any, seen: Any, moved: dict[int, Any], fixed: bool = False) -> bool:
        kind = type(seen)
        if id(seen) in self.places:
            fits = value is seen or (not fixed and _spec(value)[1:] == _spec(seen)[1:])
            return fits and moved.setdefault(id(seen), value) is value
        if issubclass(kind, tuple):
            return (
                type(value) is kind
                and len(value) == len(seen)
                and all(self._means(v, s, moved, fixed) for v, s in zip(value, seen, strict=True))
            )
        if value is seen:
            return True
        if kind in PLAIN:
            return same(value, seen)
        if issubclass(kind, np.generic):
            return type(value) is kind and value.tobytes() == seen.tobytes()
        if type(value) is not kind or kind not in (list, dict) or id(seen) not in self.content:
            return False
        parts = [list(value), list(value.values())] if kind is dict else [value]
        return all(
            len(part) == len(before)
            and all(self._means(v, s, moved, True) for v, s in zip(part, before, strict=True))
            for part, before in zip(parts, self.content[id(seen)], strict=True)
        )

    def _move(self, moved: dict[int, Any]) -> bool:
        """Take the tensors that lie in the places of inputs for these."""
        after = list(self.lifted)
        for key, tensor in moved.items():
            k = self.places[key]
            old, after[k] = self.lifted[k], tensor
            if tensor is not old and any(t is old for t, _ in self.read):
                return False  # its values were read
        places = {id(t): k for k, t in enumerate(after)}
        if len(places) != len(after):
            return False  # of two tensors one now lies in both places
        specs = [_spec(t) for t in after]
        if any(now[1:] != seen[1:] for now, seen in zip(specs, self.specs, strict=True)):
            return False  # one that stayed in its place may have been frozen or thawed
        self.lifted, self.places, self.specs = after, places, specs
        return True

    def _settled(self, value: Any) -> bool:
        if isinstance(value, tuple):
            return all(map(self._settled, value))
        return type(value) in PLAIN or id(value) in self.places


def _says(place: Any) -> Any:
    """What two guards' places must have in common for one to stand for the other."""
    if isinstance(place, Group):
        parts: tuple[list[Any], ...] = place.spaces, place.fixed, place.wholes, place.contents
        return [list(map(_says, part)) for part in parts]
    if isinstance(place, Space):
        seen = [(name, id(v)) for name, v in place.seen.items()]
        # each view of the names of a class is an object of its own
        owner = place.space if place.owner is None else place.owner
        return id(owner), place.what, place.wanted, place.sized, seen, place.absent
    if isinstance(place, Content):
        return id(place.array), place.what, place.seen
    rest = (place.labels, _keys(place)) if isinstance(place, Fixed) else (place.what, place.size)
    at = None if isinstance(place.owner, MappingProxyType) else id(place.owner)
    return type(place), at, rest, place.seen and list(map(id, place.seen))


def _keys(fixed: Fixed) -> Any:
    """Which items are read: the labels of a large container's do not say."""
    return fixed.read.__reduce__()[1] if isinstance(fixed.read, itemgetter) else None


def _fixed(space: Space) -> Iterator[Fixed]:
    """The names found in a namespace, read in one call."""
    names = list(space.seen)
    if names:
        names.append(names[0])  # a tuple, also for one name
        values = tuple([space.seen[n] for n in names])
        yield Fixed(itemgetter(*names), space.space, values, tuple(map(space.label, names)))
