"""What code can read around it: a walk from names to values, each taken down as it was found.

It goes through globals, closure cells, defaults, attributes of objects, classes and
modules, and containers; through attributes only under names that code uses (`names.py`).
What it finds are namespaces, containers and cells with the values that lay there.
"""

import io
import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from operator import attrgetter
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..errors import CaptureError
from ..op import Op
from ..tensors import Tensor
from .floats import Number
from .names import is_open, is_ours, is_users, is_users_module, slots_of
from .places import (
    CELL,
    CONTAINERS,
    LARGE,
    MISSING,
    PLAIN,
    Content,
    Fixed,
    Group,
    Slots,
    Space,
    Whole,
    bytes_of,
    state_of,
)  # fmt: skip

_ALWAYS = frozenset(["training", "fn", "func"])  # read by this library's and functools' code


class Surroundings:
    """The values reached so far; `meet` follows one more, `named` takes in more names."""

    def __init__(self) -> None:
        self.groups = [Group()]
        self.frozen: list[tuple[str, str]] = []  # what cannot be followed, and its kind
        self.generators: list[tuple[Any, str, str]] = []  # NumPy's, their states, their names
        self.tensors: set[int] = set()  # ids of those that lie around
        self.ran: dict[int, CodeType] = {}
        self._here = self.groups[0]
        self._known: dict[int, Any] = {}  # objects met, kept so that their ids stay theirs
        self._spaces: dict[int, tuple[Group, Space]] = {}
        self._attributes: set[str] = set(_ALWAYS)
        self._any = False
        self._waiting: dict[int, list[FunctionType]] = {}  # functions that have not run yet
        self._todo: list[tuple[Any, str]] = []

    def meet(self, value: Any, what: str) -> None:
        """Follow a value, which the user knows as `what`."""
        self._todo.append((value, what))
        self._walk()

    def passed(self, value: Any, what: str) -> None:
        """Follow an argument of a function that runs, which may live no longer than it."""
        if id(value) in self._known or not hasattr(value, "__dict__"):
            return
        if isinstance(value, Tensor | FunctionType | MethodType | type | ModuleType | Op):
            return
        self._known[id(value)] = None
        try:
            self._here = Group(weakref.ref(value))
        except TypeError:
            return
        self.groups.append(self._here)
        self._follow(value, what)
        self._walk()
        self._here.set_aside(value)
        self._here = self.groups[0]

    def made(self, value: Any) -> None:
        """An object begins in the capture: what it holds was not around."""
        self._known.setdefault(id(value), None)

    def knows(self, value: Any) -> bool:
        """Whether a value has been met."""
        return self._known.get(id(value)) is value

    def lasting(self) -> list[Group]:
        """The groups whose start is still alive, once the capture is over; no other is kept."""
        self._known.clear()
        for space in [s for _, s in self._spaces.values() if s.wanted]:
            space.absent |= self._attributes - space.seen.keys()
        self._spaces.clear()  # what is no more had symbols: a partial, an OrderedDict of states
        self.groups = [g for g in self.groups if g.lasts()]
        return self.groups

    # names -----------------------------------------------------------------------------

    def named(self, attributes: Iterable[str], any_name: bool) -> None:
        """Look for more names in all objects met."""
        new = set(attributes) - self._attributes
        self._attributes |= new
        self._any = self._any or any_name
        for group, space in list(self._spaces.values()):
            if space.wanted:
                self._here = group
                self._take(space, self._names(space, new))
                self._walk()
        self._here = self.groups[0]

    def looked_up(self, space: Any, builtins: Any, names: Iterable[str]) -> None:
        """Names that code looks up in its globals, then in the builtins."""
        known, found = self._space(space, ""), [n for n in names if n in space]
        self._take(known, found)
        missing = {n for n in names if n not in space}
        known.absent |= missing - known.seen.keys()
        self._take(self._space(builtins, ""), missing & builtins.keys())
        self._walk()

    def starts(self, code: CodeType) -> bool:
        """A function runs for the first time; False if it was not reached by a name."""
        self.ran[id(code)] = code
        waiting = self._waiting.pop(id(code), [])
        for fn in waiting:
            self._function(fn)
        self._walk()
        return bool(waiting)

    def waiting(self) -> list[FunctionType]:
        """Functions that names lead to and that have not run."""
        return [fn for several in self._waiting.values() for fn in several]

    # the walk ----------------------------------------------------------------------------

    def _walk(self) -> None:
        while self._todo:
            value, what = self._todo.pop()
            if isinstance(value, Tensor):
                self.tensors.add(id(value))
            if type(value) in PLAIN or type(value) is Number or isinstance(value, Tensor | Op):
                continue
            if id(value) in self._known:
                continue
            self._known[id(value)] = value
            self._follow(value, what)

    def _follow(self, value: Any, what: str) -> None:
        if isinstance(value, CONTAINERS):
            self._container(value, what)
            if is_users_module(type(value).__module__):
                self._held(value, what)
        elif isinstance(value, FunctionType):
            self._reached(value)
        elif isinstance(value, MethodType):
            self._todo += [(value.__self__, what), (value.__func__, what)]
        elif isinstance(value, BuiltinFunctionType):
            if isinstance(value.__self__, CONTAINERS):
                self._todo.append((value.__self__, what))  # append = results.append
        elif isinstance(value, partial):
            self._todo += [(value.func, what), (value.args, what), (value.keywords, what)]
        elif isinstance(value, classmethod | staticmethod):
            self._todo.append((value.__func__, what))
        elif isinstance(value, property):
            self._todo.append((value.fget, what))
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, ModuleType):
            if is_users_module(value.__name__):
                self._attributes_of(vars(value), what)
        elif isinstance(value, np.random.Generator | np.random.RandomState):
            self.generators.append((value, state_of(value), what))
        elif isinstance(value, np.ndarray):
            self._here.contents.append(Content(value, bytes_of(value), what))
        elif not isinstance(value, np.generic | np.dtype):
            self._object(value, what)

    def _container(self, value: Any, what: str) -> None:
        small = len(value) <= LARGE
        if not small:
            self.frozen.append((what, f"a {type(value).__name__} of {len(value)} items"))
        items = list(value)
        if isinstance(value, dict):
            items += value.values()
        if not isinstance(value, tuple | frozenset):
            whole = Whole(value, items if small else None, len(value), what)
            self._here.wholes.append(whole)
        if isinstance(value, dict) and small:
            self._todo += [(v, f"{what}[{k!r}]") for k, v in value.items()]
            self._todo += [(k, what) for k in value]
        elif small:
            self._todo += [(v, f"{what}[{k}]") for k, v in enumerate(value)]

    def _reached(self, fn: FunctionType) -> None:
        """A function is followed once it runs; a library's wrapper leads on to the user's."""
        code = fn.__code__
        if id(code) in self.ran:
            self._function(fn)
        elif is_users(code.co_filename, fn.__globals__):
            self._waiting.setdefault(id(code), []).append(fn)
        else:
            self._cells(fn)

    def _function(self, fn: FunctionType) -> None:
        name = fn.__name__
        read = attrgetter("__code__", "__defaults__", "__kwdefaults__")
        labels = f"the code of {name}", f"the defaults of {name}", f"the defaults of {name}"
        self._here.fixed.append(Fixed(read, fn, read(fn), labels))
        self._todo += [(fn.__defaults__, labels[1]), (fn.__kwdefaults__, labels[2])]
        if fn.__dict__:
            self._attributes_of(fn.__dict__, name)
        self._cells(fn)

    def _cells(self, fn: FunctionType) -> None:
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            if id(cell) not in self._known:
                self._known[id(cell)] = cell
                read: Any = attrgetter("cell_contents", "cell_contents")
                try:
                    values = read(cell)
                except ValueError:  # empty as yet
                    read, values = CELL, (MISSING,)
                self._here.fixed.append(Fixed(read, cell, values, (name, name)))
                self._todo += [(v, name) for v in values[:1] if v is not MISSING]

    def _class(self, cls: type) -> None:
        for c in cls.__mro__:
            if is_users_module(c.__module__):
                self._known[id(c)] = c
                self._attributes_of(vars(c), c.__qualname__, owner=c)

    def _object(self, value: Any, what: str) -> None:
        cls = type(value)
        if isinstance(value, Iterator) and not is_users_module(cls.__module__):
            if not isinstance(value, io.IOBase):
                raise CaptureError(
                    f"tg.jit: {what} is an iterator ({cls.__name__}) begun outside of the jitted "
                    "function, which would get in every call what it gave in the first; call "
                    "next() outside and pass what it gives"
                )
        space = self._held(value, what)
        slots = slots_of(cls)
        if slots:
            some, labels = Slots(slots), tuple([f"{what}.{n}" for n in slots])
            values = some(value)
            self._here.fixed.append(Fixed(some, value, values, labels))
            self._todo += zip(values, labels, strict=True)
        elif space is None or not (is_ours(cls) or is_open(cls)):
            self.frozen.append((what, f"a {cls.__qualname__}"))

    def _held(self, value: Any, what: str) -> Any:
        """Follow an object's attributes and its class; returns the namespace of the former."""
        cls, space = type(value), getattr(value, "__dict__", None)
        if type(space) is dict:
            module = hasattr(cls, "named_modules")
            if module:  # what it holds is read by its own functions, whatever the names
                self._space(space, what).sized = True
                self._here.wholes.append(Whole(space, None, len(space), what))
            wanted = "names" if not module else "all" if is_ours(cls) else "held"
            self._attributes_of(space, what, wanted)
            read = attrgetter("__class__", "__dict__")
            self._here.fixed.append(Fixed(read, value, read(value), (what, what)))
        self._class(cls)
        return space

    # namespaces ----------------------------------------------------------------------------

    def _space(self, space: Any, what: str, owner: type | None = None) -> Space:
        key = id(owner or space)
        if key not in self._spaces:
            self._spaces[key] = self._here, Space(space, what, owner)
            self._here.spaces.append(self._spaces[key][1])
        return self._spaces[key][1]

    def _attributes_of(
        self, space: Any, what: str, wanted: str = "names", owner: type | None = None
    ) -> None:
        known = self._space(space, what, owner)
        if not known.wanted:
            known.wanted = wanted
            self._take(known, self._names(known, self._attributes))

    def _names(self, space: Space, names: set[str]) -> Iterable[str]:
        """Which names in it count."""
        held = space.space
        if type(held) is dict and (space.wanted == "all" or self._any):
            if not space.sized:  # whoever works names out sees those that come, too
                space.sized = True
                self._here.wholes.append(Whole(held, None, len(held), space.what))
            return [n for n in held if n != "_scope"]
        found = names & held.keys()
        if space.wanted == "held":
            found |= {n for n, v in held.items() if type(v) not in PLAIN}
        return found

    def _take(self, space: Space, names: Iterable[str]) -> None:
        for name in names:
            if name not in space.seen:
                space.seen[name] = value = space.space[name]
                self._todo.append((value, space.label(name)))
