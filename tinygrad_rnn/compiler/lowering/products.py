"""Rows of matrix products; `codegen.products` writes them, several at once."""

from typing import TYPE_CHECKING

from ...ops import linalg
from ..ir import Instr, Value
from .sharding import SPLIT, WHOLE, Refused, summed
from .table import Product, lower

if TYPE_CHECKING:
    from ..passes.shard import States


def _ranks(instr: Instr) -> bool:
    ranks = tuple(a.ndim for a in instr.inputs[:2] if isinstance(a, Value))
    return ranks in ((1, 2), (2, 1), (2, 2), (3, 3))


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


lower(linalg.matmul, product=Product(), supports=_ranks, shard=_rows_of_left)
lower(
    linalg.linear,
    product=Product(right_transposed=True, biased=True),
    supports=_ranks,
    shard=_rows_of_left,
)
lower(
    linalg.sum_of_products,
    product=Product(left_transposed=True),
    shard=summed,
    total="product",
)
lower(linalg.sum_of_rows, shard=summed, total="rows")
