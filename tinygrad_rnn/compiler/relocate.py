"""A program recorded with one object, for another of its kind: a fresh batch, a new lambda.

Objects among the arguments are known by identity, and what code read of them is guarded where it
lay. For another object of the same class the guards are laid anew along the same paths; they
then hold if it has the same values there, and its tensors become the program's inputs.
"""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import numpy as np

from ..tensors import Tensor
from .arguments import contains, each
from .guards import Guards
from .names import is_open
from .places import PLAIN, Content, Fixed, Group, Slots, Space, Whole

_CONTAINERS = (list, dict, set, OrderedDict, defaultdict, deque)


def general(key: Any, leaves: Sequence[Any]) -> Any:
    """The key with the class of an object in place of the object; None if there is none."""
    rest, found, some = iter(leaves), [key[0]], False
    for part in each(key[1:]):
        leaf = None if contains(part[0]) else next(rest)
        if isinstance(part[0], type) and part[-1] == id(leaf) and _kind(leaf):
            found.append(("an object", part[0]))
            some = True
        else:
            found.append(part)
    return tuple(found) if some else None


def relocated(guards: Guards, olds: Sequence[Any], news: Sequence[Any]) -> Guards | None:
    """Guards of the same program for other objects; None if they may mean another one."""
    moves = _Moves(guards)
    try:
        if not all(map(moves.pair, olds, news)):
            return None
    except RecursionError:
        return None
    groups = [moves.group(g) for g in guards.groups]
    if moves.elsewhere:
        return None
    anew = Guards(groups, [moves.now(a) for a in guards.first], guards.read)
    return anew.hold()


def _kind(value: Any) -> str:
    """How a value is followed to what is in it; nothing if it cannot be."""
    kind = type(value)
    if kind in _CONTAINERS:
        return "container"
    if kind in (FunctionType, MethodType, partial):
        return kind.__name__
    return "object" if is_open(kind) and not hasattr(kind, "named_modules") else ""


class _Moves:
    """Which objects take the places of which, found along the paths that the guards look at."""

    def __init__(self, guards: Guards):
        self.to: dict[int, Any] = {}
        self.elsewhere = False  # an old one lies also where no new one does
        self.lifted = {id(a) for a in guards.first}
        self.spaces: dict[int, Space] = {}
        self.fixed: dict[int, list[Fixed]] = {}
        self.wholes: dict[int, Whole] = {}
        self.contents: dict[int, Content] = {}
        for g in guards.groups:
            self.spaces.update({id(s.space): s for s in g.spaces})
            self.wholes.update({id(w.owner): w for w in g.wholes if w.seen is not None})
            self.contents.update({id(c.array): c for c in g.contents})
            for f in g.fixed:
                self.fixed.setdefault(id(f.owner), []).append(f)

    def pair(self, old: Any, new: Any) -> bool:
        """Let `new` take the place of `old`, with all in it; False if it cannot."""
        if old is new:
            return True
        if id(old) in self.to:
            return self.to[id(old)] is new
        if type(old) is not type(new):
            return False
        if type(old) in PLAIN or isinstance(old, Tensor | np.generic):
            return True  # which the guards compare
        if isinstance(old, tuple):
            return len(old) == len(new) and all(map(self.pair, old, new))
        self.to[id(old)] = new
        if isinstance(old, np.ndarray):
            known = id(old) in self.lifted or self.contents[id(old)].seen is not None
            return known and (old.shape, old.dtype) == (new.shape, new.dtype)
        follow = getattr(self, f"_{_kind(old)}", None)
        return follow is not None and follow(old, new)

    def _container(self, old: Any, new: Any) -> bool:
        whole = self.wholes.get(id(old))
        if whole is None or len(new) != whole.size:
            return False
        if isinstance(old, defaultdict) and old.default_factory is not new.default_factory:
            return False
        if isinstance(old, deque) and old.maxlen != new.maxlen:
            return False
        items = [*new, *new.values()] if isinstance(new, dict) else list(new)
        return all(map(self.pair, whole.seen or (), items))

    def _object(self, old: Any, new: Any) -> bool:
        for f in self.fixed.get(id(old), ()):
            if isinstance(f.read, Slots) and not all(map(self.pair, f.seen, f.read(new))):
                return False
        held = getattr(old, "__dict__", None)
        return held is None or self._attributes(held, new.__dict__)

    def _attributes(self, old: Any, new: Any) -> bool:
        self.to[id(old)] = new
        seen = self.spaces[id(old)].seen if id(old) in self.spaces else {}
        return all(name in new and self.pair(value, new[name]) for name, value in seen.items())

    def _function(self, old: Any, new: Any) -> bool:
        if old.__code__ is not new.__code__ or old.__globals__ is not new.__globals__:
            return False
        cells = zip(old.__closure__ or (), new.__closure__ or (), strict=True)
        return (
            all(self._cell(a, b) for a, b in cells)
            and self.pair(old.__defaults__, new.__defaults__)
            and self.pair(old.__kwdefaults__, new.__kwdefaults__)
            and self._attributes(old.__dict__, new.__dict__)
        )

    def _cell(self, old: CellType, new: CellType) -> bool:
        if old is new:
            return True
        if id(old) in self.to:
            return self.to[id(old)] is new
        self.to[id(old)] = new
        for f in self.fixed.get(id(old), ()):
            try:
                now = f.read(new)
            except ValueError:  # empty
                return False
            if not self.pair(f.seen[0], now[0]):
                return False
        return True

    def _method(self, old: Any, new: Any) -> bool:
        return old.__func__ is new.__func__ and self.pair(old.__self__, new.__self__)

    def _partial(self, old: Any, new: Any) -> bool:
        pairs = zip(old.__reduce__()[2][:3], new.__reduce__()[2][:3], strict=True)
        return all(self.pair(a, b) for a, b in pairs)

    # the guards of the new ones ---------------------------------------------------------------

    def now(self, value: Any) -> Any:
        """What lies in a place where `value` lay."""
        if id(value) in self.to:
            return self.to[id(value)]
        if isinstance(value, tuple):
            items = [self.now(v) for v in value]
            if any(a is not b for a, b in zip(items, value, strict=True)):
                return value._make(items) if hasattr(value, "_make") else tuple(items)
        return value

    def group(self, group: Group) -> Group:
        """The places of a group, as they are for the new objects."""
        anew = Group()
        for s in group.spaces:
            space = Space(self._owner(s.space, s.seen.values()), s.what, s.owner)
            space.seen = {name: self.now(v) for name, v in s.seen.items()}
            space.absent, space.wanted, space.sized = s.absent, s.wanted, s.sized
            anew.spaces.append(space)
        for f in group.fixed:
            seen = tuple(map(self.now, f.seen))
            anew.fixed.append(Fixed(f.read, self._owner(f.owner, f.seen), seen, f.labels))
        for w in group.wholes:
            items = None if w.seen is None else list(map(self.now, w.seen))
            anew.wholes.append(Whole(self._owner(w.owner, w.seen or ()), items, w.size, w.what))
        for c in group.contents:
            anew.contents.append(Content(self.now(c.array), c.seen, c.what))
        return anew

    def _owner(self, owner: Any, seen: Any) -> Any:
        if id(owner) not in self.to and any(self.now(v) is not v for v in seen):
            self.elsewhere = True
        return self.to.get(id(owner), owner)
