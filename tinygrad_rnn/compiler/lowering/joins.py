"""Rows of ops that lay arrays side by side."""

from typing import TYPE_CHECKING, Any

from ...op import OPS
from ...ops import indexing, shape
from ...ops.shape import one_axis
from ..ir import Instr, Value
from .sharding import joined, keeps_rows
from .table import lower
from .text import each, element, filled, here, nest, sliced
from .views import basic

if TYPE_CHECKING:
    from ..codegen.code import Code


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
