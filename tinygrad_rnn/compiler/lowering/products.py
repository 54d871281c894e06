"""Rows of matrix products; `codegen.products` writes them, several at once."""

import math
from typing import TYPE_CHECKING, Any

from ...op import OPS, broadcast
from ...ops import linalg
from ..ir import Instr
from .sharding import SPLIT, WHOLE, Refused, summed
from .table import Product, lower

if TYPE_CHECKING:
    from ..passes.shard import States


def _other_ranks(instr: Instr) -> bool:
    """All but what has code: matrices, a vector by one, and stacks of one length."""
    a, b = instr.array(0), instr.array(1)
    if a.ndim == b.ndim == 3:
        return a.shape[0] != b.shape[0]
    return (a.ndim, b.ndim) not in ((1, 2), (2, 1), (2, 2))


def _stack(x: Any, batch: tuple[int, ...]) -> Any:
    """Matrices along one axis, repeated where a batch axis is 1 or missing."""
    size = x.shape[-2:]
    return OPS["reshape"](
        OPS["broadcast_to"](x, shape=(*batch, *size)), shape=(math.prod(batch), *size)
    )


def _matmul(a: Any, b: Any) -> Any:
    """By one matrix: all rows of a at once. By several: as two stacks of one length."""
    columns = b.shape[-1:] if b.ndim > 1 else ()
    if b.ndim < 3:
        return OPS["reshape"](linalg.as_rows(a) @ b, shape=(*a.shape[:-1], *columns))
    batch = broadcast("matmul", a.shape[:-2], b.shape[:-2])
    y = _stack(linalg.as_rows(a) if a.ndim == 1 else a, batch) @ _stack(b, batch)
    return OPS["reshape"](y, shape=(*batch, *a.shape[-2:-1], *columns))


def _linear(x: Any, W: Any, b: Any) -> Any:
    return OPS["reshape"](linalg.linear(linalg.as_rows(x), W, b), shape=(*x.shape[:-1], W.shape[0]))


def _rows_of_left(states: "States", instr: Instr) -> str:
    """The batch must be the rows of the left operand, or the stack of both."""
    a, b = instr.array(0), instr.array(1)
    left = states.of(a, a.ndim > 1)
    right = states.of(b, a.ndim == b.ndim == 3)
    for bias in instr.inputs[2:]:
        if states.of(bias, False) != WHOLE:
            raise Refused("a bias is split")
    if left == SPLIT and right == WHOLE and a.ndim == b.ndim == 2:
        return SPLIT
    if left == right == SPLIT and a.ndim == b.ndim and a.ndim > 2:
        return SPLIT
    if left == right == WHOLE:
        return WHOLE
    raise Refused(f"the batch is not the rows of the left side of {instr.op.name}")


lower(
    linalg.matmul,
    product=Product(),
    expand=_matmul,
    expands=_other_ranks,
    shard=_rows_of_left,
)
lower(
    linalg.linear,
    product=Product(right_transposed=True, biased=True),
    expand=_linear,
    expands=_other_ranks,
    shard=_rows_of_left,
)
lower(
    linalg.sum_of_products,
    product=Product(left_transposed=True),
    shard=summed,
    total="product",
)
lower(linalg.sum_of_rows, shard=summed, total="row_sum")
