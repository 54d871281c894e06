"""What a function's code names, and whose code it is."""

import dis
import os
import sys
import sysconfig
from argparse import Namespace
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType, MemberDescriptorType, SimpleNamespace
from typing import Any, NamedTuple

PACKAGE = str(Path(__file__).parent.parent) + os.sep
_STANDARD = tuple([sysconfig.get_path(p) + os.sep for p in ("stdlib", "platstdlib")])
# reads of attributes that the code does not spell out: then every attribute counts
_ANY = frozenset(["vars", "__dict__", "asdict", "astuple", "attrgetter", "dataclasses", "deepcopy"])
_WHICH, _WHICH_OF = frozenset(["id", "hash", "object"]), frozenset(["is_", "is_not"])
_OPEN = (SimpleNamespace, Namespace)  # nothing but what the user puts in
_LOADS = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_ATTR")


class Names(NamedTuple):
    """The names in a code object, by where Python looks them up."""

    free: frozenset[str]  # in the globals, then in the builtins
    attributes: frozenset[str]  # in objects; strings too, for getattr(x, "name")
    imported: frozenset[str]  # modules imported inside
    any: bool  # attributes whose names are worked out when it runs
    identity: bool  # it may ask which object one is: `a is b`, id(a)


@lru_cache(maxsize=4096)
def names_of(code: CodeType) -> Names:
    """All names that the code may look up."""
    free, attributes, imported = set(), {code.co_name}, set()
    steps = list(dis.get_instructions(code))
    for step in steps:
        if step.opcode not in dis.hasname:
            continue
        if step.opname == "IMPORT_NAME":
            imported.add(step.argval)
        elif step.opname.endswith(("_GLOBAL", "_NAME", "_GLOBALS")):
            free.add(step.argval)
        else:
            attributes.add(step.argval)
    for constant in code.co_consts:
        for text in constant if isinstance(constant, tuple | frozenset) else (constant,):
            if isinstance(text, str) and text.isidentifier():
                attributes.add(text)
    worked_out = not _ANY.isdisjoint(free | attributes) or any(
        step.argval == "getattr" and not _spelled(steps[k + 1 :]) for k, step in enumerate(steps)
    )
    which = not (_WHICH.isdisjoint(free) and _WHICH_OF.isdisjoint(attributes)) or any(
        step.opname == "IS_OP" and steps[k - 1].opname != "LOAD_CONST"
        for k, step in enumerate(steps)
    )
    return Names(frozenset(free), frozenset(attributes), frozenset(imported), worked_out, which)


def _spelled(after: list[dis.Instruction]) -> bool:
    """Whether `getattr` is followed by an object, a literal name and at most a simple default."""
    loads = [k for k, step in enumerate(after) if not step.opname.startswith(_LOADS)]
    k = loads[0] if loads else len(after)
    if not isinstance(after[k].argval, str) or after[k].opname != "LOAD_CONST":
        return False
    default = after[k + 1].opname.startswith("LOAD_")
    return after[k + 1 + default].opname in ("PRECALL", "CALL")


def inside(code: CodeType) -> Iterator[CodeType]:
    """The codes within: nested functions, lambdas, comprehensions."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from inside(constant)


def line_of(name: str, codes: list[CodeType], how: tuple[str, ...] = ("",)) -> str:
    """File and line where one of the codes first names it; `how` begin the opcodes that count."""
    for code in codes:
        for found, opcode, at in _named_at(code):
            if found == name and opcode.startswith(how):
                return f"{code.co_filename}:{at}"
    return ""


@lru_cache(maxsize=512)
def _named_at(code: CodeType) -> list[tuple[str, str, int]]:
    """Each name in the code, with the opcode and its line: 1 ms to read of a large function."""
    return [
        (step.argval, step.opname, step.positions.lineno)
        for step in dis.get_instructions(code)
        if isinstance(step.argval, str) and step.positions and step.positions.lineno
    ]


def is_users(file: str, space: dict[str, Any]) -> bool:
    """Whether code is the user's: an installed package's only if its file uses this library."""
    if file.startswith((PACKAGE, "<frozen")):
        return False
    if "site-packages" in file or "dist-packages" in file:
        return any(map(is_ours, list(space.values())))
    return not file.startswith(_STANDARD)


def is_users_module(name: str | None) -> bool:
    """Whether a module, by its name, is the user's."""
    module = sys.modules.get(name or "")
    file = getattr(module, "__file__", None)
    return name == "__main__" or (file is not None and is_users(file, vars(module)))


def is_ours(value: Any) -> bool:
    """Whether a class, a function or a module is this library's."""
    name = getattr(value, "__module__", None) or getattr(value, "__name__", None)
    return isinstance(name, str) and name.partition(".")[0] == "tinygrad_rnn"


def is_open(cls: type) -> bool:
    """Whether only code whose names are looked at reads its objects: no other library's."""
    return cls in _OPEN or all(c is object or is_users_module(c.__module__) for c in cls.__mro__)


def slots_of(cls: type) -> list[str]:
    """The `__slots__` of a class and its bases, as far as they are the user's."""
    return [
        name
        for c in cls.__mro__
        if is_users_module(c.__module__)
        for name, descriptor in vars(c).items()
        if isinstance(descriptor, MemberDescriptorType)
    ]
