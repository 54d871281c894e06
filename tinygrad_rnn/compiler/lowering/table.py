"""The table of rows, and what one holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...op import OPS, Op
from ..ir import Instr, Operand, Value
from .sharding import Rule, whole

Test = Callable[[Instr], bool]


class Unsupported(Exception):
    """An op, or a use of one, that has no code: the loop runs op by op."""


def always(instr: Instr) -> bool:
    """The condition of what holds for every call."""
    return True


def never(instr: Instr) -> bool:
    """The condition of what holds for no call."""
    return False


def elementwise(instr: Instr) -> bool:
    """Whether the op has a scalar rule."""
    return instr.op.pointwise


@dataclass(frozen=True)
class View:
    """A value that lies in its operand's memory: at a basic index, or whole in another shape."""

    key: Any  # a basic index, or "reshape"
    gaps: bool = False  # whether there is other memory between its rows


@dataclass(frozen=True)
class Product:
    """A matrix product a @ b, of which an operand may be read transposed."""

    left_transposed: bool = False
    right_transposed: bool = False
    biased: bool = False  # a third operand is added to each row

    @property
    def output_axis(self) -> int:
        """The axis of the right operand along which the result's columns lie."""
        return 0 if self.right_transposed else 1


@dataclass(frozen=True, kw_only=True)
class Lowering:
    """One row. What is not said of an op holds for none of its calls."""

    # code: `emit` gives lines, `element` the text of one element within a fused nest of loops,
    # `expand` is written in other ops, where `expands` holds, `early` before differentiation
    emit: Callable[[Any, Instr], list[str]] | None = None
    element: Callable[[Any, Instr, list[str], Any], str] | None = None
    expand: Callable[..., Any] | None = None
    expands: Test = always
    early: bool = False
    supports: Test = always
    fuses: Test = elementwise  # computed element by element, in a nest with others
    view: Callable[[Instr, bool], View | None] | None = None  # given whether its operand has gaps
    product: Product | None = None
    # the batch axis
    shard: Rule = whole
    # what passes ask for
    is_view: bool = False  # the eager kernel may give a view of its first operand, or itself
    slices: bool = False  # a basic index by `key`
    pads: bool = False  # puts each operand at its key of `keys`, in zeros
    transposes: bool = False  # permutes axes by `axes`
    joins: bool = False  # lays its operands one after the other along `axis`
    new_axis: bool = False  # and that axis is new
    adds: bool = False  # the sum of two operands
    numbers_draws: bool = False  # takes the next number of a generator: never dropped nor shared
    draws: bool = False  # random numbers of a key
    same_as: Callable[[Instr], Operand | None] | None = None  # another name for this operand
    simpler: Callable[[Instr], tuple[str, tuple[Operand, ...]] | None] | None = None
    looks_up_rows: Test = never  # rows of a table (first operand), by numbers (second)
    sums_rows: Test = never  # a matrix's rows, to a vector
    step_sum: Callable[[Instr, Value], Instr | Value | None] | None = None  # `fuse` says how
    total: str = ""  # kind of result that is its sum over the steps of a loop


_ROWS: dict[Op | str, Lowering] = {}  # by name: of ops that are declared later
# rows of ops that have none of their own; `pointwise` enters that of ops with a scalar rule
default = {"": Lowering()}


def lower(op: Op | str, **row: Any) -> Callable[[Any], Any]:
    """Declare an op's row; as a decorator it takes the function as the row's `emit`.

    An op is given by name where it is declared on a floor that the compiler does not import.
    """
    key = OPS.get(op, op) if isinstance(op, str) else op
    if key in _ROWS:
        raise ValueError(f"{op if isinstance(op, str) else op.name} has a row already")
    _ROWS[key] = Lowering(**row)

    def emit(fn: Any) -> Any:
        _ROWS[key] = Lowering(**row, emit=fn)
        return fn

    return emit


def lowering(op: Op) -> Lowering:
    """The row of an op."""
    row = _ROWS.get(op)
    row = _ROWS.get(op.name) if row is None else row
    return default["pointwise" if op.pointwise else ""] if row is None else row


def weighing(op: Op) -> Product | None:
    """The product of an op that multiplies its first operand by its second; None for others."""
    product = lowering(op).product
    return None if product is None or product.left_transposed else product


def has_code(instr: Instr) -> bool:
    """Whether there is code for an instruction of a loop's body."""
    row = lowering(instr.op)
    if not row.supports(instr):
        return False
    if row.fuses(instr):
        return True
    arrays = bool(instr.inputs) and isinstance(instr.inputs[0], Value)
    return arrays and (row.emit is not None or row.product is not None)
