"""Traced tensors that a recording left behind: found, named, and what lay there before put back.

A state kept on a module (`self.h = h`) would be a symbol after the capture, and every
compiled call would start from the first state.
"""

import gc
from collections import deque
from collections.abc import Iterator, MutableMapping
from types import CellType, CodeType, FrameType, ModuleType
from typing import Any

from ..errors import CaptureError
from .capture import Symbol, Tape
from .floats import Number
from .names import line_of
from .places import MISSING, Fixed, Group, Slots, Space, Whole

_STORES = ("STORE_ATTR", "STORE_GLOBAL", "STORE_DEREF", "STORE_SUBSCR", "STORE_NAME")


def put_back(groups: list[Group]) -> list[str]:
    """Take the symbols out of all places the capture knows; return what the places are called."""
    found: list[str] = []
    for group in groups:
        for space in group.spaces:
            found += _space(space)
        for fixed in group.fixed:
            found += _fixed(fixed)
        for whole in group.wholes:
            found += _whole(whole)
    return found


def refuse(places: list[str], codes: list[CodeType]) -> None:
    """Raise CaptureError that says where symbols were left, and what to do."""
    name = places[0].rpartition(".")[2]
    raise CaptureError(
        f"tg.jit: {' and '.join(places)} would keep a traced tensor{_stored_at(name, codes)}, and "
        "later calls would never change it (it is again what it was before); let the function "
        "return the state, and pass it in at the next call: y, h = fast(x, h)"
    )


def still_held(tape: Tape) -> list[str]:
    """Who else keeps a symbol alive, once the recording has let go of all."""
    if not any(made() is not None for made in tape.made):
        return []
    gc.collect()  # symbols in cycles: a nested function that calls itself
    alive = [made() for made in tape.made if made() is not None]
    return [_holder(alive.pop(), alive)] if alive else []


def _holder(symbol: Any, others: list[Any]) -> str:
    for holder in gc.get_referrers(symbol):
        if holder is not others and not isinstance(holder, FrameType):
            return f"a {type(holder).__name__} somewhere"
    return "something"


def _stored_at(name: str, codes: list[CodeType]) -> str:
    line = line_of(name, codes, _STORES)
    return f" ({line})" if line else ""


def _holds(value: Any, depth: int = 4) -> bool:
    """Whether a value is a symbol or has one in it.

    A module's names are places of their own, if code of the user's names them: through
    `os` and `sys.modules` all there is would be looked at.
    """
    if isinstance(value, Symbol) or type(value) is Number:
        return True
    if not depth or isinstance(value, ModuleType):
        return False
    if isinstance(value, list | tuple | set | frozenset | deque):
        return any(_holds(v, depth - 1) for v in list(value))
    if isinstance(value, dict):
        return any(_holds(v, depth - 1) for v in list(value.values()))
    attributes = getattr(value, "__dict__", None)
    if type(attributes) is dict and not callable(value):
        return any(_holds(v, depth - 1) for v in list(attributes.values()))
    return False


def _space(space: Space) -> Iterator[str]:
    names = space.seen.keys() | space.absent if not space.wanted else list(space.space)
    for name in names:
        if name not in space.space or not _holds(space.space[name]):
            continue
        before = space.seen.get(name, space.before.get(name, MISSING))
        if before is not MISSING and before is space.space[name]:
            continue  # a container or an object: it has a place of its own
        yield space.label(name)
        if space.owner is not None:
            delattr(space.owner, name) if before is MISSING else setattr(space.owner, name, before)
        elif isinstance(space.space, MutableMapping):
            space.space.pop(name) if before is MISSING else space.space.update({name: before})


def _fixed(fixed: Fixed) -> Iterator[str]:
    try:
        now = fixed.read(fixed.owner)
    except (AttributeError, ValueError):
        return
    names = fixed.read.names if isinstance(fixed.read, Slots) else ("cell_contents",)
    for name, value, before, label in zip(names, now, fixed.seen, fixed.labels, strict=False):
        if value is not before and _holds(value):
            yield label
            if before is MISSING:
                delattr(fixed.owner, name)
            elif isinstance(fixed.read, Slots) or isinstance(fixed.owner, CellType):
                setattr(fixed.owner, name, before)


def _whole(whole: Whole) -> Iterator[str]:
    owner = whole.owner
    items = list(owner.values() if isinstance(owner, dict) else owner)
    seen = whole.seen
    known = set(map(id, seen or ()))
    if not any(id(v) not in known and _holds(v) for v in items):
        return
    yield whole.what
    if isinstance(owner, dict):
        before = dict(zip(seen[: whole.size], seen[whole.size :], strict=True)) if seen else None
        kept = before if seen is not None else {k: v for k, v in [*owner.items()] if not _holds(v)}
        owner.clear()
        owner.update(kept or {})
    else:
        kept_items = seen if seen is not None else [v for v in owner if not _holds(v)]
        owner.clear()
        owner.extend(kept_items) if hasattr(owner, "extend") else owner.update(kept_items)
