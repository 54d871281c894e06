"""Watch a capture: which of the user's functions run, and what they read.

A function is seen at its call, before its body runs, so that a value is taken down when
it could first have been read: a function that changes what it reads (a counter, a cache
filled at first use) finds the change at its next call.
"""

import builtins
import gc
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np

from ..op import Op
from .names import PACKAGE, inside, is_ours, is_users, line_of, names_of
from .places import CELL, state_of
from .surroundings import Surroundings

_MAKERS = ("__init__", "__post_init__")
_ENVIRONMENT = type(os.environ).__getitem__.__code__
_CLOCKS = ("now", "utcnow", "today")
_RANDOM = ("urandom", "getrandom")
# functions of C that may be read from: of all others nothing but the name is looked at
_WATCHED = frozenset([*dir(time), *dir(random.Random), *_CLOCKS, *_RANDOM, "open"]) - {*dir(object)}


class Watch:
    """The user's functions that run in a capture, what they read, and what cannot be followed."""

    def __init__(self) -> None:
        self.around = Surroundings()
        self.moments: dict[str, str] = {}  # line: the clock or the random numbers read there
        self.files: dict[str, str] = {}  # the same for files and the environment
        self.frozen: list[str] = []  # what cannot be followed, with the line that read it
        self._theirs: dict[int, CodeType] = {}  # codes that are not the user's
        self._nested: set[int] = set()
        self._drawn = _numpy_state()

    def sees(self, frame: FrameType, event: str, called: Any) -> None:
        """What Python calls at every call of a function."""
        if event == "call":
            code = frame.f_code
            if id(code) in self._theirs:
                return
            new = id(code) not in self.around.ran
            if new and not is_users(code.co_filename, frame.f_globals):
                self._theirs[id(code)] = code
                if code is _ENVIRONMENT:
                    self._note(self.files, frame, "the environment")
                return
            if new:
                self._starts(code, frame.f_globals, frame.f_builtins)
            if code.co_name in _MAKERS and code.co_argcount:
                self.around.made(frame.f_locals.get(code.co_varnames[0]))
            elif code.co_argcount or code.co_kwonlyargcount or code.co_freevars:
                for name, value in frame.f_locals.items():
                    self.around.passed(value, name)
        elif event == "c_call" and called.__name__ in _WATCHED:
            if _is_moment(called):
                self._note(self.moments, frame, _words(called))
            elif called is open:
                self._note(self.files, frame, "a file")

    def _note(self, notes: dict[str, str], frame: FrameType, what: str) -> None:
        """Take down that something was read, at the user's line."""
        at = frame
        while at.f_back is not None and id(at.f_code) not in self.around.ran:
            if at.f_code.co_filename.startswith(PACKAGE):
                return  # not the user's doing: a kernel is compiled, or its time taken
            at = at.f_back
        notes.setdefault(f"{at.f_code.co_filename}:{at.f_lineno}", what)

    def declared(self, op: Op) -> None:
        """An op of the user's is recorded, of whose rules code is made: of what they read, too."""
        if is_ours(op):
            return
        rules: list[Any] = [rule.fn for rule in op.rules.values()]
        todo = [*rules, op.fn] if op.pointwise else rules
        self.around.named(["__call__"], False)
        before = set(map(id, self.around.waiting()))
        while todo:
            fn = todo.pop()
            if not isinstance(fn, FunctionType) or id(fn.__code__) in self.around.ran:
                continue
            if is_users(fn.__code__.co_filename, fn.__globals__):
                self._starts(fn.__code__, fn.__globals__, vars(builtins))
                self.around.meet(fn, fn.__name__)
                todo += [fn.__globals__.get(name) for name in names_of(fn.__code__).free]
                todo += [v for cell in fn.__closure__ or () for v in CELL(cell)]
                todo += [f for f in self.around.waiting() if id(f) not in before]

    def _starts(self, code: CodeType, space: dict[str, Any], below: dict[str, Any]) -> None:
        """One of the user's functions runs for the first time."""
        names, around = names_of(code), self.around
        self._nested.update(map(id, inside(code)))
        if not around.starts(code) and id(code) not in self._nested and code.co_freevars:
            for fn in gc.get_referrers(code):  # came from where no name leads
                if isinstance(fn, FunctionType):
                    around.meet(fn, fn.__name__)
        around.looked_up(space, below, names.free)
        for name in names.imported:
            around.meet(sys.modules.get(name), name)
        around.named(names.attributes, names.any)

    def ends(self, inputs: Sequence[Any]) -> None:
        """The capture is over: NumPy's random numbers show in the states they leave."""
        codes = list(self.around.ran.values())
        if self._drawn != _numpy_state():
            self.moments.setdefault(line_of("random", codes), "random numbers of numpy.random")
        for generator, state, what in self.around.generators:
            if state_of(generator) != state:
                self.moments.setdefault(line_of(_last(what), codes), f"random numbers of {what}")
        lifted = {id(a) for a in inputs}
        unseen = [
            (c.what, f"an array of {c.array.nbytes} bytes")
            for g in self.around.groups
            for c in g.contents
            if c.seen is None and id(c.array) not in lifted
        ]
        self.frozen = [
            f"{what}, {kind}, read at {line_of(_last(what), codes)}"
            for what, kind in [*self.around.frozen, *unseen]
        ]
        self.frozen += [f"{what}, read at {line}" for line, what in self.files.items()]

    def moments_read(self) -> list[str]:
        """Clocks and random numbers, each with its line."""
        return [f"{what}, read at {line}" for line, what in self.moments.items()]


@contextmanager
def watching(sees: Callable[..., None]) -> Iterator[None]:
    """Let a watch see every call that this thread makes."""
    before = sys.getprofile()
    sys.setprofile(sees)
    try:
        yield
    finally:
        # a profiler of C (cProfile) cannot be called: it is switched on again
        getattr(before, "enable", lambda: sys.setprofile(before))()


def _last(what: str) -> str:
    """The name that code uses for what the user knows as `what`."""
    return what.partition("[")[0].rpartition(".")[2]


def _is_moment(called: Any) -> bool:
    """Whether a function of C gives another answer each time: a clock, a random number."""
    owner, module = getattr(called, "__self__", None), getattr(called, "__module__", None)
    if module == "time":
        return called.__name__ not in ("sleep", "strftime", "strptime", "mktime")
    if isinstance(owner, type):
        return owner.__module__ == "datetime" and called.__name__ in _CLOCKS
    return isinstance(owner, random.Random) or called.__name__ in _RANDOM


def _words(called: Any) -> str:
    owner = getattr(called, "__self__", None)
    if isinstance(owner, random.Random):
        return "a random number of Python's"
    return f"{called.__module__ or owner.__module__}.{called.__name__}"


def _numpy_state() -> Any:
    state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 (others draw from it)
    return state["state"]["key"][:4].tolist(), state["state"]["pos"], state["has_gauss"]
