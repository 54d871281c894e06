"""Bring sums, products and carries into the forms that the code generator knows.

%6 = sum_to(%5, shape=(3,))                  -> %7 = row_sum of %5
-> %7 = total of %6                      =>

%6 = sum_of_products(%2, %3, %4, %5)         %7 = sum_of_products(%2, %3)
                                         =>  %8 = sum_of_products(%4, %5)
                                             %6 = add(%7, %8)

%6 = permute_dims(%2, axes=(1, 0))           %7 = matmul(%2, %3)
%7 = sum_of_products(%6, %3)             =>

%4 = carry %6, from %1                       %4 = carry %6, from %1
%5 = carry %6, from %2                   =>  %5 = carry %7, from %2
%6 = tanh(%3)                                %6 = tanh(%3)
                                             %7 = astype(%6, dtype=float64)
"""

from collections.abc import Hashable

from ...op import OPS
from ..inference import make
from ..ir import Instr, Loop, Operand, Program, Value, identity
from ..lowering.table import lowering


def single_products(program: Program) -> None:
    """Split a sum of several products, as h @ h has it for h, into a product each."""
    for loop in program.loops:
        loop.body = [e for i in loop.body for e in _single_products(i)]


def _single_products(instr: Instr) -> list[Instr]:
    if len(instr.inputs) == 2 or not _transposes_left(instr):
        return [instr]
    pairs = zip(instr.inputs[0::2], instr.inputs[1::2], strict=True)
    parts = [make(instr.op.name, pair, {}, instr.line) for pair in pairs]
    total, sums = parts[0].out, []
    for part in parts[1:]:
        sums.append(make("add", (total, part.out), {}, instr.line))
        total = sums[-1].out
    sums[-1].out = instr.out
    return [*parts, *sums]


def _transposes_left(instr: Instr) -> bool:
    product = lowering(instr.op).product
    return product is not None and product.left_transposed


def row_sums(program: Program) -> None:
    """Make one sum of all rows of all steps of the total of row sums: a bias's gradient."""
    for loop in program.loops:
        makers = loop.makers()
        for r in loop.results:
            instr = makers.get(id(r.values[0])) if r.kind == "total" else None
            if instr is not None and lowering(instr.op).sums_rows(instr):
                r.kind, r.values = "row_sum", (instr.array(),)


def plain_products(program: Program) -> None:
    """Write (a^T)^T b, which the rule for the left operand of a product gives, as a b."""
    for loop in program.loops:
        makers = loop.makers()
        for instr in loop.body:
            if len(instr.inputs) != 2 or not _transposes_left(instr):
                continue
            transposed = makers.get(id(instr.inputs[0]))
            if transposed is not None and lowering(transposed.op).transposes:
                instr.op, instr.inputs = OPS["matmul"], (transposed.inputs[0], instr.inputs[1])


def separate_carries(program: Program) -> None:
    """Give carries of one value from several initial values a value each.

    `y, h = y0, h0`, then `y = h = f(y, h)`: an initial value lies in the memory of what is
    carried, just before its first step.
    """
    for loop in program.loops:
        _separate(loop)


def _separate(loop: Loop) -> None:
    makers = loop.makers()  # what comes from outside has no memory of a step either
    known: dict[int, list[tuple[Value, dict[int, Hashable]]]] = {}  # value or copies; by row, what

    def home(v: Value, first: tuple[Operand | None, ...]) -> Value:
        rows = {k - len(first): identity(a) for k, a in enumerate(first)}
        homes = known.setdefault(id(v), [(v, {})] if id(v) in makers else [])
        for own, taken in homes:
            if all(taken.get(row, a) == a for row, a in rows.items()):
                taken.update(rows)
                return own
        copy = make("astype", (v,), {"dtype": v.dtype})
        loop.body.append(copy)
        homes.append((copy.out, rows))
        return copy.out

    for p in loop.carries:
        p.of = home(p.of, p.first)
    for r in loop.results:
        if r.lag and r.kind == "stack":
            r.values = (home(r.values[0], r.first),)
