"""Pieces of source that rows of several ops are written with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import Value

if TYPE_CHECKING:
    from ..codegen.code import Code

SHORT: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float64): "F64",
    np.dtype(bool): "BOOL",
    **{np.dtype(f"i{n}"): f"I{8 * n}" for n in (1, 2, 4, 8)},
    **{np.dtype(f"u{n}"): f"U{8 * n}" for n in (1, 2, 4, 8)},
}


def indent(lines: Sequence[str]) -> list[str]:
    """One level further in."""
    return ["    " + line for line in lines]


def nest(code: "Code", v: Value, text: list[str], axes: Sequence[int] | None = None) -> list[str]:
    """Loops i0, i1, ... over all elements of a value, or over some axes, the first outermost."""
    for k in reversed(range(v.ndim) if axes is None else axes):
        text = [f"for i{k} in range({code.size(v, k)}):", *indent(text)]
    return text


def element(source: str, places: Sequence[str]) -> str:
    """Text of one element."""
    return f"{source}[{', '.join(places)}]"


def here(v: Value) -> list[str]:
    """The places i0, i1, ... of an element in a nest over v."""
    return [f"i{k}" for k in range(v.ndim)]


def each(code: "Code", v: Value) -> str:
    """Text of the element at i0, i1, ... of a value; of one without axes itself."""
    return element(code.view(v), here(v)) if v.ndim else code.scalar(v)


def stored(code: "Code", v: Value) -> list[str]:
    """A number of the step, once it has a name, stored where it is kept."""
    return [f"{code.at(v)} = {code.name(v)}"] if id(v) in code.homes else []


def filled(code: "Code", v: Value, number: str = "0") -> str:
    """A statement that fills a value with a number."""
    return f"set_value({code.view(v)}, {SHORT[v.dtype]}({number}))"


def key_parts(key: Any) -> tuple[Any, ...]:
    """The parts of a basic index."""
    return key if isinstance(key, tuple) else (key,)


def sliced(code: "Code", shape: tuple[int, ...], key: Any, at: Sequence[str]) -> list[str]:
    """Where element `at` of x[key] lies in x of a shape."""
    parts = key_parts(key)
    own, places = iter(at), []
    for n, p in zip(shape, [*parts, *[slice(None)] * (len(shape) - len(parts))], strict=True):
        if not isinstance(p, slice):
            places.append(code.offset(p % n))
            continue
        start, _, step = p.indices(n)
        i = next(own)
        i = i if step == 1 else f"{code.offset(step)} * {i}"
        places.append(f"{code.offset(start)} + {i}" if start else i)
    return places
