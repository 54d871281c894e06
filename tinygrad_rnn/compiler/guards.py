"""What must still hold for a captured program to be used again.

Checked at every call, so everything here is short: the argument's structure, shapes
and dtypes are the key under which a program is filed; what is checked besides are
plain values that the function closes over, modules, and the tensors met on the way.
"""

from collections.abc import Callable, Iterator
from operator import is_
from typing import Any

from .._tensor import Tensor

_PLAIN = frozenset([bool, int, float, complex, str, bytes])


def snapshot(value: Any, depth: int = 3) -> Any:
    """The value, with copies of the lists and dicts that may grow."""
    if depth and type(value) in (list, tuple) and len(value) <= 64:
        return type(value)([snapshot(v, depth - 1) for v in value])
    if depth and type(value) is dict and len(value) <= 64:
        return {k: snapshot(v, depth - 1) for k, v in value.items()}
    return value


def same(value: Any, seen: Any, depth: int = 3) -> bool:
    """Whether a value is what `snapshot` saw: plain ones by value, all else by identity."""
    kind = type(value)
    if depth and (kind is list or kind is tuple) and len(value) <= 64:
        return (
            type(seen) is kind
            and len(seen) == len(value)
            # in C for a list of parameters; element by element only when that fails
            and (
                all(map(is_, value, seen))
                or all(same(v, s, depth - 1) for v, s in zip(value, seen, strict=True))
            )
        )
    if depth and kind is dict and len(value) <= 64:
        return (
            type(seen) is dict
            and list(seen) == list(value)
            and all(same(v, seen[k], depth - 1) for k, v in value.items())
        )
    return value is seen or (kind in _PLAIN and kind is type(seen) and bool(value == seen))


def surroundings(fn: Callable[..., Any]) -> Callable[[], list[Any]]:
    """A function that gives the values which `fn` closes over, its defaults and globals."""
    inner = getattr(fn, "__func__", fn)
    code = getattr(inner, "__code__", None)
    if code is None:
        return list
    cells = list(inner.__closure__ or ())
    space = inner.__globals__
    names = [n for n in code.co_names if n in space and not callable_module(space[n])]

    def values() -> list[Any]:
        found = [c.cell_contents for c in cells]
        found += [space.get(n) for n in names]
        found += inner.__defaults__ or ()
        found += (inner.__kwdefaults__ or {}).values()
        return found

    return values


def callable_module(value: Any) -> bool:
    """Whether a global is Python code, which does not change: a module, a class or a function."""
    return type(value).__name__ in (
        "module",
        "type",
        "function",
        "builtin_function_or_method",
        "Op",
    )


def is_module(value: Any) -> bool:
    """Whether it is an nn.Module (`nn` is a sibling, not to be imported)."""
    return hasattr(type(value), "named_modules")


def modules_in(values: Any, depth: int = 3) -> Iterator[Any]:
    """All nn.Modules in values, and below them."""
    for value in values:
        if is_module(value):
            for _, module in value.named_modules():
                yield module
        elif depth and isinstance(value, list | tuple):
            yield from modules_in(value, depth - 1)
        elif depth and isinstance(value, dict):
            yield from modules_in(value.values(), depth - 1)


class Guards:
    """The checks of one captured program."""

    def __init__(
        self,
        values: Callable[[], list[Any]],
        modules: dict[int, Any],
        lifted: list[Any],
        read: list[tuple[Tensor, int]],
    ):
        self.values = values
        self.seen = [snapshot(v) for v in values()]
        self.modules = [(m, m.__dict__.get("_changes", 0), m.training) for m in modules.values()]
        self.lifted = [(t, t._array, t.requires_grad) for t in lifted if isinstance(t, Tensor)]
        self.arrays = [(a, a.shape, a.dtype) for a in lifted if not isinstance(a, Tensor)]
        self.read = read

    def hold(self) -> bool:
        """Whether nothing has changed."""
        for m, changes, training in self.modules:
            if m.__dict__.get("_changes", 0) != changes or m.training is not training:
                return False
        for k, (t, seen, needs) in enumerate(self.lifted):
            a = t._array
            if (t._leaf or t._node is not None) != needs:
                return False
            if a is not seen:  # new values, which an optimiser writes into the same array
                if a.shape != seen.shape or a.dtype != seen.dtype:
                    return False
                self.lifted[k] = t, a, needs
        for a, shape, dtype in self.arrays:
            if a.shape != shape or a.dtype != dtype:
                return False
        for t, version in self.read:
            if t._version is not None and t._version[0] != version:
                return False
        return all(map(same, self.values(), self.seen))
