"""Ops along axes, element by element: extremes, running sums, copies in another order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...ops.reduce import axes_of
from ..ir import Instr, Value
from .kernel import indent, stored
from .scalars import SHORT

if TYPE_CHECKING:
    from .views import Views


def nest(code: "Views", v: Value, text: list[str], axes: Sequence[int] | None = None) -> list[str]:
    """Loops i0, i1, ... over all elements of a value, or over some axes, the first outermost."""
    for k in reversed(range(v.ndim) if axes is None else axes):
        text = [f"for i{k} in range({code.size(v, k)}):", *indent(text)]
    return text


def element(source: str, places: list[str]) -> str:
    """Text of one element."""
    return f"{source}[{', '.join(places)}]"


def each(code: "Views", v: Value) -> str:
    """Text of the element at i0, i1, ... of a value; of one without axes itself."""
    return element(code.view(v), [f"i{k}" for k in range(v.ndim)]) if v.ndim else code.scalar(v)


def extreme(code: "Views", instr: Instr) -> list[str]:
    """max and min; NaN once it is there stays."""
    x, out, sign = instr.inputs[0], instr.out, ">" if instr.op.name == "max" else "<"
    assert isinstance(x, Value)
    axes = axes_of(instr.op.name, instr.attrs["axis"], x.ndim)
    at = [f"i{k}" for k in range(x.ndim)]
    least = f"{SHORT[out.dtype]}({'-' if sign == '>' else ''}np.inf)"
    name = code.name(out)
    if out.ndim:
        keep = instr.attrs["keepdims"]
        kept = ["0" if k in axes else a for k, a in enumerate(at) if k not in axes or keep]
        best, start = element(code.view(out), kept), f"set_value({code.view(out)}, {least})"
    else:
        best, start = name, f"{name} = {least}"
    text = [
        f"v = {each(code, x)}",
        f"if v {sign} {best} or v != v:",
        f"    {best} = v",
    ]
    return [start, *nest(code, x, text), *([] if out.ndim else stored(code, out))]


def cumsum(code: "Views", instr: Instr) -> list[str]:
    """A running sum: what is before along the axis, and this."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    k = instr.attrs["axis"] % out.ndim
    at = [f"i{a}" for a in range(out.ndim)]
    before = [f"i{k} - 1" if a == k else i for a, i in enumerate(at)]
    target, source = code.view(out), each(code, x)
    total = f"{element(target, before)} + {source}"
    return nest(code, out, [f"{element(target, at)} = {total} if i{k} else {source}"])


def strided(code: "Views", instr: Instr) -> list[str]:
    """x[::2], x[::-1]: a copy."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    at = [f"i{k}" for k in range(out.ndim)]
    places = sliced(code, x.shape, instr.attrs["key"], at)
    return nest(code, out, [f"{each(code, out)} = {element(code.view(x), places)}"])


def sliced(code: "Views", shape: tuple[int, ...], key: object, at: list[str]) -> list[str]:
    """Where element `at` of x[key] lies in x of a shape."""
    parts = key if isinstance(key, tuple) else (key,)
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


def reshaped(code: "Views", instr: Instr) -> list[str]:
    """The elements counted one by one, to where the same count is in the other shape."""
    x, out = instr.inputs[0], instr.out
    assert isinstance(x, Value)
    sizes = [code.size(out, k) for k in range(out.ndim)]
    places = []
    for k, size in enumerate(sizes):
        later = " * ".join(sizes[k + 1 :])
        place = f"k // ({later})" if later else "k"
        places.append(f"{place} % {size}" if k else place)
    copy = f"{element(code.view(out), places)} = {each(code, x)}"
    return ["k = 0", *nest(code, x, [copy, "k += 1"])]
