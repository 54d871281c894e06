"""`tg.jit`: a function as one node of the graph, with a compiled forward and backward."""

import copy
import functools
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterable
from operator import attrgetter
from types import FunctionType
from typing import Any

from ..errors import CaptureError, CaptureWarning
from ..graph import count
from ..op import local
from ..switches import Switch
from ..tensors import Tensor
from . import explain as words
from .arguments import each, flatten
from .audit import audited
from .entry import Entry
from .guards import Guards
from .reasons import Recordings
from .relocate import general
from .varying import Varying


class disable_jit(Switch):
    """Run jitted functions eagerly in this thread: `with disable_jit():` or `@disable_jit()`.

    >>> square = tg.jit(lambda x: x * x)
    >>> with tg.disable_jit():
    ...     square(tg.tensor(3.0)).item()
    9.0
    """

    name, value = "jit", False


# programs of one function that are kept; the least recently used goes first. Each holds a third of
# a megabyte; sentences of 5 to 20 words put into others of 5 to 20 are 256 kinds.
MOST = 256
TWINS = 4  # of them, for objects that come as arguments and are as those that were recorded with
ALIKE = 8  # of them, for arguments of the same kind: the modes of a training; older ones are stale


class Jitted:
    """A function compiled by `tg.jit`; call it like the function."""

    def __init__(self, fn: Callable[..., Any], audit: int):
        functools.update_wrapper(self, fn, updated=())
        self.fn, self.audit = fn, audit
        self._calls = 0
        self._entries: dict[Any, tuple[Entry, ...]] = {}  # by the arguments' kind, newest first
        self._last: Entry | None = None
        self._warned = False
        self._recordings, self._varying = Recordings(fn), Varying()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        now = local.now
        if not now.jit or now.anomaly or now.recorder is not None:
            return self.fn(*args, **kwargs)
        leaves: list[Any] = []
        shape: list[Any] = [now.grad]
        flatten(args, leaves, shape)
        flatten(kwargs, leaves, shape)
        key = tuple(shape)
        for entry in self._entries.get(key, ()):
            guards = entry.guards.hold()
            if guards is not None:
                entry.guards = guards
                # one whose value was asked for as well is in the key and an operand
                floats: Any = entry.floats.arrays(leaves) if entry.floats.inputs else ()
                break
        else:
            entry, guards, floats = self._other(key, leaves)
        if entry is not self._last:
            self._last, entry.used = entry, count()
        tensors = leaves if entry.plain else [a for a in leaves if isinstance(a, Tensor)]
        if self.audit:
            self._calls += 1
            if self._calls % self.audit == 0:
                return audited(
                    entry, disable_jit()(self.fn), args, kwargs, tensors, guards.lifted, floats
                )
        return entry.run(tensors, guards.lifted, floats)

    def _other(self, key: Any, leaves: list[Any]) -> tuple[Entry, Guards, Any]:
        """A program that takes some floats as operands, else a new one; with those operands."""
        short, places = self._varying.lifted(key)
        for entry in self._entries.get(short, ()) if places else ():
            floats = entry.floats.arrays(leaves)
            guards = entry.guards.hold()
            if floats is not None and guards is not None:
                entry.guards = guards
                return entry, guards, floats
        kind = general(short, leaves)
        twin = None if kind is None else self._twin(kind, short, leaves)
        if twin is not None:
            return twin, twin.guards, twin.floats.arrays(leaves)
        entry = self._capture(key, leaves, short, places)
        if places:
            self._varying.asked(key, places, entry)
            short, _ = self._varying.lifted(key)
        entry.kind = general(short, leaves)
        self._keep(short, entry)
        return entry, entry.guards, entry.floats.arrays(leaves)

    def _twin(self, kind: Any, key: Any, leaves: list[Any]) -> Entry | None:
        """A program recorded with other objects of the same classes, for these."""
        alike = [(k, e) for k, known in self._entries.items() for e in known if e.kind == kind]
        alike.sort(key=lambda pair: pair[1].used, reverse=True)
        for _, entry in alike[:TWINS]:
            twin = None if entry.floats.arrays(leaves) is None else entry.moved_to(leaves)
            if twin is not None:
                self._keep(key, twin, [pair for pair in alike if pair[1].twin][TWINS - 1 :])
                return twin
        return None

    def _capture(self, key: Any, leaves: list[Any], short: Any, places: dict[int, int]) -> Entry:
        failed = next(iter(self._entries.get(short, ())), None)
        parts = key[0], *each(key[1:])
        words = self._recordings.note(parts, failed, self._varying.lines(key))
        if words:
            warnings.warn(f"tg.jit: {self!r} {words}", CaptureWarning, stacklevel=4)
        entry = Entry(self.fn, leaves, parts[1:], places.values())
        last = self._last
        if last is not None:
            entry.guards.share(last.guards)
        if entry.moments and not self._warned:
            self._warned = True
            warnings.warn(
                f"tg.jit: {entry.moments[0]}, would be the same in every call of {self!r}; pass "
                "it as an argument, or use tg.rand, tg.randn and tg.dropout",
                stacklevel=4,
            )
        return entry

    def _keep(self, key: Any, entry: Entry, old: Iterable[tuple[Any, Entry]] = ()) -> None:
        """One program more, in a new dict: other threads may be reading the old one."""
        entries = {**self._entries, key: (entry, *self._entries.get(key, ()))[:ALIKE]}
        for old_key, other in old:
            _drop(entries, old_key, other)
        if sum(map(len, entries.values())) > MOST:
            pairs = [(k, e) for k, known in entries.items() for e in known]
            _drop(entries, *min(pairs, key=lambda pair: pair[1].used))
        self._entries = entries

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    # copies: of the function, with programs of their own ------------------------------------

    def __copy__(self) -> "Jitted":
        return Jitted(self.fn, self.audit)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Jitted":
        twin = memo[id(self)] = object.__new__(Jitted)  # a module may hold its jitted method
        fn = copy.deepcopy(self.fn, memo)
        if fn is self.fn:  # a plain function: copied, it is itself
            memo[id(self)] = self
            return self
        twin.__setstate__((fn, self.audit))
        return twin

    def __setstate__(self, state: tuple[Callable[..., Any], int]) -> None:
        Jitted.__init__(self, *state)

    def __reduce__(self) -> Any:
        if _named(self) is self:  # decorated: found by its name, as a function is
            return self.__qualname__
        if isinstance(self.fn, FunctionType) and _named(self.fn) is not self.fn:
            raise pickle.PicklingError(
                f"{self!r} cannot be pickled: pickle finds functions by their names, and under "
                f"{self.fn.__module__}.{self.fn.__qualname__} it does not find this one; define "
                "it at the top of a module, or as a method of a class there"
            )
        return object.__new__, (Jitted,), (self.fn, self.audit)

    @property
    def source(self) -> str:
        """Code of the kernels of the last call: forward, then backward."""
        return words.source(self._entry().compiled)

    def explain(self, level: str = "words") -> str:
        """In words: the loops found, what was moved and fused, what is kept, bytes, seconds.

        `level="ir"`: the program itself, forward and backward, as code is made of it.
        """
        return words.explain(self._entry(), level)

    def _entry(self) -> Entry:
        if self._last is None:
            raise CaptureError(
                f"{getattr(self, '__name__', 'a jitted function')} has not been called yet: its "
                "program depends on the arguments' shapes; call it once"
            )
        return self._last

    def __repr__(self) -> str:
        return f"<tg.jit {getattr(self, '__qualname__', self.fn)!r}>"


def _drop(entries: dict[Any, tuple[Entry, ...]], key: Any, entry: Entry) -> None:
    entries[key] = tuple([e for e in entries.get(key, ()) if e is not entry])
    if not entries[key]:
        del entries[key]


def _named(fn: Any) -> Any:
    """What lies where a function says that it is defined."""
    try:
        return attrgetter(fn.__qualname__)(sys.modules[fn.__module__])
    except (AttributeError, KeyError):
        return None


def jit(fn: Any = None, *, audit: int | None = None) -> Any:
    """Compile a function of tensors: its plain Python loop over time becomes one fused kernel.

    `fn` takes and returns tensors, also in tuples, lists and dicts, and may use any
    modules and tensors around it. The first call records it, finds the repeated step
    and compiles forward and backward (kept on disk); later calls only run them, also
    for another length or batch size. The result is part of the graph like any other:
    `loss.backward()`, optimisers and hooks work on. What the functions of yours that run
    have read (globals, closures, attributes, containers, modes) is looked at in every
    call; `explain()` lists what cannot be and is frozen as recorded, such as the numbers
    of Python's random module.

    With `audit=n` every n-th call also runs eagerly, with the same random numbers, and
    AuditError is raised where values, or gradients in the backward pass, differ; the
    variable TINYGRAD_RNN_AUDIT sets n for all functions that do not say.

    Raises CaptureError, naming the line, for what cannot be recorded: a branch on a
    tensor's value, `.item()`, `np.asarray` of a tensor, a result that is no tensor.

    >>> cell = tg.nn.GRUCell(3, 4)
    >>> @tg.jit
    ... def run(x):
    ...     h = tg.zeros(x.shape[1], 4)
    ...     for x_t in x:
    ...         h = cell(x_t, h)
    ...     return h.sum()
    >>> run(tg.ones(20, 2, 3)).backward()
    >>> cell.weight_hh.grad.shape
    (12, 4)
    """
    if fn is None:
        return functools.partial(jit, audit=audit)
    if isinstance(fn, Jitted):
        if audit is None:
            return fn
        fn = fn.fn
    if not callable(fn):
        raise CaptureError(f"tg.jit: expected a function or a module, got {type(fn).__name__}")
    if audit is None:
        audit = int(os.environ.get("TINYGRAD_RNN_AUDIT") or 0)
    if isinstance(audit, bool) or not isinstance(audit, int) or audit < 0:
        raise ValueError(f"tg.jit: audit must be a whole number from 0, got {audit!r}")
    return Jitted(fn, audit)
