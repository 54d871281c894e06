"""Rows of random ops."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ...ops import random
from ..ir import Instr, Value
from ..own_ops import draws
from .sharding import elementwise
from .table import always, lower
from .text import SHORT

if TYPE_CHECKING:
    from ..codegen.group import Nest

lower(random.draw, numbers_draws=True)
lower(draws, numbers_draws=True)
lower(random.uniform, draws=True)
lower(random.normal, draws=True)


def _dropped(group: "Nest", instr: Instr, args: list[str], dtype: Any) -> str:
    """x / (1 - p) where the draw keeps the element: its number counts in the whole array."""
    code, out, key = group.code, instr.out, instr.inputs[1]
    assert isinstance(key, Value)
    keys, number = code.view(key), group.number(out)
    p = instr.attrs["p"]
    threshold, scale = code.number(p, np.float64), code.number(1 / (1 - p), out.dtype)
    kept = f"keeps({keys}[0], {keys}[1], {number}, {threshold})"
    return f"{args[0]} * {scale} if {kept} else {SHORT[out.dtype]}(0)"


lower(random.drop, fuses=always, element=_dropped, shard=elementwise)
