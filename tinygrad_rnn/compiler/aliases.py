"""Which arrays of a program may share their memory: views, whose writing both sides see."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..tensors import Tensor
from .ir import Instr, Loop, Value, reads
from .lowering.table import lowering


def bases(items: Iterable[Instr | Loop]) -> dict[int, int]:
    """By id of a value that may be a view: the id of the value in whose memory it lies."""
    found: dict[int, int] = {}
    for item in items:
        if isinstance(item, Instr) and lowering(item.op).is_view:
            source = id(item.inputs[0])
            found[id(item.out)] = found.get(source, source)
    return found


def escaping(items: Sequence[Instr | Loop], outputs: Sequence[Value]) -> set[int]:
    """Values whose memory a user may come to hold: outputs, and what they may be views of."""
    out = {id(v) for v in outputs}
    for item in reversed(items):
        if isinstance(item, Instr) and id(item.out) in out and lowering(item.op).is_view:
            out |= {id(v) for v in reads(item)}
    return out


def shared(
    memory: dict[int, int], inputs: Sequence[Value], outputs: Sequence[Value]
) -> list[tuple[int, int]]:
    """Outputs that may lie in the memory of an input (its place) or of an output (~ its place)."""
    places = {id(v): ~k for k, v in reversed(list(enumerate(outputs)))}
    places.update({id(v): k for k, v in enumerate(inputs)})
    pairs = [(k, places.get(memory.get(id(v), id(v)))) for k, v in enumerate(outputs)]
    return [(k, place) for k, place in pairs if place is not None and place != ~k]


def share_version(y: Tensor, x: Any) -> None:
    """Let a result that is a view be written to, and noticed to be, as eager execution has it."""
    if not isinstance(x, Tensor):
        if np.may_share_memory(y._array, x):  # an array of the user's
            y._array = y._array.copy()
    elif np.may_share_memory(y._array, x._array):
        if x._version is None and x._node is None:
            x._version = [0]
        y._version = x._version
        if y._array.base is None:
            y.label = ("detach",)  # assign_ must not overwrite x
