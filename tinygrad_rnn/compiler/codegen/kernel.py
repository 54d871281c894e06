"""What a generated kernel is: its source, and what each of its arguments holds."""

from dataclasses import dataclass
from typing import Any

from ..ir import Loop, Value

HEADER = '''"""Written by tinygrad_rnn for one loop; changes are lost."""
import numpy as np
from tinygrad_rnn.kernels import rows, scalar
from tinygrad_rnn.kernels.flags import jit
from tinygrad_rnn.kernels.philox import keeps
from tinygrad_rnn.kernels.products import (
    add_product, add_rows, add_thin, add_transposed, copy_rows, pack, row_sum, set_rows, set_value)
from tinygrad_rnn.kernels.scalar import maths as math
from tinygrad_rnn.kernels.scatter import place, place_from_start
from tinygrad_rnn.kernels.tiles import free_hand
from tinygrad_rnn.kernels.views import at, cut, part, row, span

F32, F64, BOOL = np.float32, np.float64, np.bool_
I8, I16, I32, I64 = np.int8, np.int16, np.int32, np.int64
U8, U16, U32, U64 = np.uint8, np.uint16, np.uint32, np.uint64

'''


@dataclass(eq=False)
class Argument:
    """One array of a kernel.

    outer    a value from outside the loop
    storage  memory of a value of the body, for the whole batch: `rows` steps of it
    scratch  memory of one shard; `batch` is the axis along which it has the shard's rows
    sum      zeros that one shard adds to; the results of all are added up
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    value: Value | None = None
    batch: int | None = None
    rows: str = ""  # of a storage: "stack", "ring"


@dataclass(eq=False)
class Kernel:
    """Source and everything needed to call it."""

    loop: Loop
    source: str
    arguments: list[Argument]
    ints: list[int]
    numbers: list[float]
    split: bool
    reason: str  # why it is not split
    batch: int
    block: int
    homes: dict[int, tuple[int, str, int]]  # by id of a value: argument, kind, extra rows
    sums: dict[int, int]  # by id of a result: argument
    transposed: set[int]  # ids of results that lie there transposed
    states: dict[int, str]
    notes: list[str]
