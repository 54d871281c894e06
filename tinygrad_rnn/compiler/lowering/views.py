"""Rows of ops that give the same elements in another shape, order or array."""

from typing import TYPE_CHECKING, Any

from ...op import OPS
from ...ops import indexing, shape
from ...ops.indexing import full_key
from ...ops.shape import one_axis
from ..ir import Instr, Operand, Value
from .pointwise import itself
from .sharding import PARTIAL, SPLIT, WHOLE, Refused, by_rows, joined, keeps_rows
from .table import View, always, lower
from .text import each, element, filled, here, key_parts, nest, sliced, stored

if TYPE_CHECKING:
    from ..codegen.code import Code
    from ..passes.shard import States


def number(instr: Instr) -> bool:
    """Whether the operand has no axes: then the result is the same number."""
    x = instr.inputs[0]
    return isinstance(x, Value) and not x.ndim


def _copied(code: "Code", instr: Instr, key: Any) -> list[str]:
    """A view that must have memory of its own, since it is carried or given out."""
    x, out = instr.array(), instr.out
    source = code.viewed(x, key, out)
    if not out.ndim:
        return [f"{code.name(out)} = {source}", *stored(code, out)]
    name, at = f"{code.name(out)}_from", ", ".join(here(out))
    return [f"{name} = {source}", *nest(code, out, [f"{code.view(out)}[{at}] = {name}[{at}]"])]


# x[key] ---------------------------------------------------------------------------------


def _new_axes(instr: Instr) -> bool:
    return any(p is None for p in key_parts(instr.attrs["key"]))


def _index(x: Any, *, key: Any) -> Any:
    parts = full_key(key, x.ndim)
    plain = tuple([p for p in parts if p is not None])
    y = x if all(p == slice(None) for p in plain) else OPS["index"](x, key=plain)
    sizes = iter(y.shape)
    left = [p for p in parts if not isinstance(p, int)]
    return OPS["reshape"](y, shape=tuple([1 if p is None else next(sizes) for p in left]))


def basic(instr: Instr) -> bool:
    """Whether its key, or keys, are made of whole numbers and slices."""
    keys = instr.attrs["keys"] if "keys" in instr.attrs else (instr.attrs["key"],)
    return all(isinstance(p, int | slice) for key in keys for p in key_parts(key))


def _cut(instr: Instr, gaps: bool) -> View | None:
    parts = key_parts(instr.attrs["key"])
    if any(isinstance(p, slice) and p.step not in (None, 1) for p in parts):
        return None
    return View(instr.attrs["key"], gaps or any(p != slice(None) for p in parts[1:]))


def _all_of_it(instr: Instr) -> Operand | None:
    return instr.inputs[0] if instr.attrs["key"] == () else None


@lower(
    indexing.index,
    supports=basic,
    shard=by_rows(lambda instr: keeps_rows(instr.attrs["key"])),
    expand=_index,
    expands=_new_axes,
    early=True,
    view=_cut,
    is_view=True,
    slices=True,
    same_as=_all_of_it,
)
def index(code: "Code", instr: Instr) -> list[str]:
    """A copy; x[::2] and x[::-1] element by element."""
    x, out = instr.array(), instr.out
    if id(out) in code.views or not out.ndim:
        return _copied(code, instr, instr.attrs["key"])
    places = sliced(code, x.shape, instr.attrs["key"], here(out))
    return nest(code, out, [f"{each(code, out)} = {element(code.view(x), places)}"])


def _flip(x: Any, *, axis: int) -> Any:
    k = one_axis("flip", axis, x.ndim)
    return OPS["index"](x, key=(*(slice(None),) * k, slice(None, None, -1)))


lower(shape.flip, expand=_flip, is_view=True)

# other shapes ---------------------------------------------------------------------------


def _squeezed(instr: Instr, gaps: bool) -> View | None:
    x = instr.array()
    same = [n for n in x.shape if n != 1] == [n for n in instr.out.shape if n != 1]
    return View("reshape") if same and not gaps else None


def _same_rows(states: "States", instr: Instr) -> str:
    keeps = instr.out.shape[:1] == (states.batch,)
    return by_rows(lambda instr: keeps, partial=True)(states, instr)


@lower(
    shape.reshape,
    fuses=number,
    element=itself,
    shard=_same_rows,
    view=_squeezed,
    is_view=True,
)
def reshape(code: "Code", instr: Instr) -> list[str]:
    """The elements in row-major order, put into the other shape in that order."""
    x, out = instr.array(), instr.out
    if id(out) in code.views or not out.ndim:
        return _copied(code, instr, "reshape")
    sizes = [code.size(out, k) for k in range(out.ndim)]
    places = []
    for k, size in enumerate(sizes):
        later = " * ".join(sizes[k + 1 :])
        place = f"k // ({later})" if later else "k"
        places.append(f"{place} % {size}" if k else place)
    copy = f"{element(code.view(out), places)} = {each(code, x)}"
    return ["k = 0", *nest(code, x, [copy, "k += 1"])]


def _keeps_first(instr: Instr) -> bool:
    return bool(instr.attrs["axes"][0] % instr.out.ndim == 0)


@lower(
    shape.permute_dims,
    fuses=number,
    element=itself,
    shard=by_rows(_keeps_first),
    is_view=True,
    transposes=True,
)
def permute_dims(code: "Code", instr: Instr) -> list[str]:
    """A copy in the other order."""
    x = instr.array()
    to = [here(x)[a % x.ndim] for a in instr.attrs["axes"]]
    source = element(code.view(x), here(x))
    return nest(code, x, [f"{element(code.view(instr.out), to)} = {source}"])


def _repeated(states: "States", instr: Instr) -> str:
    """What is whole may be repeated for every row."""
    x, out = instr.array(), instr.out
    state = states.of(x, True)
    if state == WHOLE and out.shape[:1] == (states.batch,):
        if x.ndim == out.ndim and x.shape[0] == states.batch:
            raise Refused("broadcast_to of rows that every shard has")
        return SPLIT
    if state == PARTIAL:
        raise Refused("broadcast_to of a sum over the batch")
    if state == SPLIT and out.ndim != x.ndim:
        raise Refused("broadcast_to works along the batch")
    return state


lower(shape.broadcast_to, fuses=always, element=itself, shard=_repeated, is_view=True)
lower("lengths_within", is_view=True)  # an op of nn: its operand, looked at

# side by side ---------------------------------------------------------------------------


def _along_batch(instr: Instr) -> bool:
    return bool(instr.attrs["axis"] % instr.out.ndim == 0)


@lower(shape.concat, shard=joined(_along_batch), joins=True)
def concat(code: "Code", instr: Instr) -> list[str]:
    """One after the other."""
    axis = instr.attrs["axis"] % instr.out.ndim
    lines, target = [], code.view(instr.out)
    start = "0"
    for x in instr.inputs:
        assert isinstance(x, Value)
        to = [f"{start} + {a}" if k == axis else a for k, a in enumerate(here(x))]
        source = element(code.view(x), here(x))
        lines += nest(code, x, [f"{element(target, to)} = {source}"])
        start = f"{start} + {code.size(x, axis)}"
    return lines


def _stack(*xs: Any, axis: int) -> Any:
    k = one_axis("stack", axis, xs[0].ndim + 1)
    return OPS["concat"](*[shape.expand_dims(x, k) for x in xs], axis=k)


lower(shape.stack, expand=_stack, early=True, joins=True, new_axis=True)


def _pads_batch(instr: Instr) -> bool:
    return any(not keeps_rows(key) for key in instr.attrs["keys"])


@lower(indexing.put_slices, supports=basic, shard=joined(_pads_batch), pads=True)
def put_slices(code: "Code", instr: Instr) -> list[str]:
    """Zeros with each piece added at its key; nothing where the pieces are written in place."""
    target = code.view(instr.out)
    lines = [filled(code, instr.out)]
    for x, key in zip(instr.inputs, instr.attrs["keys"], strict=True):
        assert isinstance(x, Value)
        if id(x) in code.aliases and code.aliases[id(x)][0] is instr.out:
            return []
        to = sliced(code, instr.out.shape, key, here(x))
        lines += nest(code, x, [f"{element(target, to)} += {each(code, x)}"])
    return lines
