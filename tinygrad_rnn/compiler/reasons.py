"""Why a function is recorded again and again, in words and with a way out."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .arguments import contains, paths
from .names import line_of
from .places import PLAIN

OFTEN = 8  # recordings of one function after which it says so


class Reason(NamedTuple):
    """What made a recording necessary: where, in which way, and what it was this time."""

    where: str
    how: str
    value: str
    line: str = ""


class Recordings:
    """The recordings of one jitted function, counted by their reasons until it has said so."""

    def __init__(self, fn: Callable[..., Any]):
        self.fn, self.count, self.said = fn, 0, False
        self.reasons: list[Reason] = []
        self._last: Any = None  # the key of the one before

    def note(self, key: Any, entry: Any, lines: Mapping[int, str]) -> str:
        """Take down one more; `entry` is the last for this key, if its guards failed.

        `lines` say where the values of floats are asked for, by place in the key.
        Returns what to warn of, once, else nothing.
        """
        self.count += 1
        before, self._last = self._last, key
        if self.said or before is None:
            return ""
        reason = _changed(entry) if entry is not None else self._differs(before, key, lines)
        if reason is not None:
            self.reasons.append(reason)
        self.said = self.count >= OFTEN and bool(self.reasons)
        return self._words() if self.said else ""

    def _differs(self, before: Any, key: Any, lines: Mapping[int, str]) -> Reason | None:
        """The first part of the arguments that is another than in the recording before."""
        names = paths(key[1:], self.fn)
        for k, (name, old, new) in enumerate(zip(names, before[1:], key[1:], strict=False), 1):
            if old != new:
                line = lines.get(k, "")
                return Reason(f"the argument {name}", _how(old, new), _value(new), line)
        return None

    def _words(self) -> str:
        (where, how), times = Counter((r.where, r.how) for r in self.reasons).most_common(1)[0]
        alike = [r for r in self.reasons if (r.where, r.how) == (where, how)]
        values = ", ".join(list(dict.fromkeys([r.value for r in alike if r.value]))[:3])
        line = f", read at {alike[-1].line}," if alike[-1].line else ""
        return (
            f"was recorded {self.count} times, each as slow as the first call: {times} times since "
            f"{where}{line} {_SAID[how]}{f' ({values}, ...)' if values else ''}; {_advice(alike)}"
        )


_SAID = {
    "shape": "had another shape",
    "dtype": "had another dtype",
    "requires_grad": "required a gradient or no longer did",
    "int": "was another number",
    "float": "was another number",
    "value": "was another value",
    "object": "was another object",
    "type": "was of another type",
    "length": "had another length",
    "keys": "had other keys",
    "changed": "had changed",
}
_WAYS = {
    "shape": "pad it to a few sizes, and pass true lengths as a tensor (lengths=tg.tensor(...))",
    "dtype": "convert it with .astype(...) before the call",
    "requires_grad": "let it keep one",
    "int": "pass it as a tensor, tg.tensor(n), where it is only computed with",
    "float": "pass it as a tensor, tg.tensor(a), and use tg ops where its value is asked for",
    "value": "jit one function for each of a few values",
    "object": "pass one that stays, or the tensors and numbers in it",
    "type": "pass always the same kind",
    "length": "pass one tensor in place of it (tg.stack), padded, with the true length as a tensor",
    "keys": "pass the same keys in the same order",
    "changed": "pass it as an argument, a number as a tensor (tg.tensor(a))",
}


def _advice(alike: list[Reason]) -> str:
    where, how = alike[0][:2]
    if how in ("int", "float") and where.endswith("]"):
        return f"pass {where.removeprefix('the argument ').partition('[')[0]} as one tensor"
    return _WAYS[how]


def _changed(entry: Any) -> Reason | None:
    """What no longer is as an entry's recording found it."""
    found = entry.guards.changed()
    if found is None:
        return None
    label, now = found
    name = label.partition("[")[0].rpartition(".")[2]
    return Reason(
        label, "changed", _short(now) if type(now) in PLAIN else "", line_of(name, entry.codes)
    )


def _how(old: Any, new: Any) -> str:
    if isinstance(old[0], tuple) and isinstance(new[0], tuple):
        same = [a == b for a, b in zip(old, new, strict=True)]
        return ("shape", "dtype", "requires_grad")[same.index(False)]
    if old[0] is not new[0]:
        return "type"
    if contains(new[0]):
        return "keys" if new[0] is dict else "length"
    if issubclass(new[0], int | float | np.number):
        return "float" if issubclass(new[0], float | np.floating) else "int"
    return "value" if new[0] in PLAIN else "object"


def _value(part: Any) -> str:
    """A part of a key as the user would write it."""
    kind = part[0]
    if isinstance(kind, tuple):
        return f"{np.dtype(part[1])}{list(kind)}"
    if kind is float:
        return repr(float.fromhex(part[1]))
    if issubclass(kind, np.generic):
        return repr(np.frombuffer(part[2], part[1])[0])
    if kind in (slice, range):
        return f"{kind.__name__}({', '.join(map(_value, part[1:]))})"
    if kind is dict:
        return _short(list(part[1]))
    return _short(part[1]) if kind in PLAIN or contains(kind) else f"a {kind.__name__}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
