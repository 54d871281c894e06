"""Source of the kernel for one loop: no sizes in it, so other lengths and batches re-use it.

    def kernel(n, block, b0, b1, whole, ints, numbers, A0, A1, ...)

runs all `n` steps for the rows b0 to b1 of the batch, `block` steps at a time: products
of what is known before the steps first, the steps, then the products that sum over
steps. Sizes and offsets come in `ints`, Python numbers in `numbers`; every array is
C-contiguous. What each array is, is said by `Kernel.arguments`. The kernel gives True, or
False as soon as it meets an index out of range.
"""

import sys
from dataclasses import dataclass

from ..ir import Instr, Loop
from ..lowering.table import Product, Unsupported, has_code, lowering, weighing
from ..lowering.text import SHORT, indent
from .code import Code
from .group import Nest
from .plan import Argument, Plan
from .products import Products
from .schedule import Group, ProductTask
from .sums import Sums

HEADER = '''"""Written by tinygrad_rnn for one loop; changes are lost."""
import numpy as np
from tinygrad_rnn.kernels import rows, scalar
from tinygrad_rnn.kernels.fills import add_rows, copy_rows, row_sum, set_rows, set_value
from tinygrad_rnn.kernels.flags import jit
from tinygrad_rnn.kernels.philox import keeps
from tinygrad_rnn.kernels.products import add_product, add_thin, add_transposed, pack
from tinygrad_rnn.kernels.scalar import maths as math
from tinygrad_rnn.kernels.scatter import place, place_from_start
from tinygrad_rnn.kernels.tiles import free_hand
from tinygrad_rnn.kernels.views import at, cut, part, row, span

F32, F64, BOOL = np.float32, np.float64, np.bool_
I8, I16, I32, I64 = np.int8, np.int16, np.int32, np.int64
U8, U16, U32, U64 = np.uint8, np.uint16, np.uint32, np.uint64

'''


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


def generate(loop: Loop) -> Kernel:
    """The kernel of a loop; Unsupported names an op without code."""
    for instr in loop.body:
        if not has_code(instr):
            raise Unsupported(f"{instr.op.name} (at {instr.line})" if instr.line else instr.op.name)
    code = Code(Plan(loop))
    plan, products = code.plan, Products(code)
    sums = Sums(code, products)
    before: list[str] = []
    steps: list[str] = []
    for t in plan.tasks:
        if isinstance(t, ProductTask) and t.before:
            before += products.before(t)
        elif isinstance(t, ProductTask):
            steps += products.step(t)
        elif isinstance(t, Group):
            steps += Nest(code, sums, t).lines()
        else:
            steps += _emitted(code, t)
    for r in loop.results:
        steps += sums.step(r)
    source = _assembled(code, before, steps)
    homes = {
        key: (h.argument, h.kind, h.extra)
        for key, h in plan.homes.items()
        if h.kind in ("stack", "ring")
    }
    return Kernel(
        loop, source, plan.arguments, code.ints, code.numbers, plan.split, plan.reason,
        plan.batch, plan.block, homes, sums.arguments, sums.transposed, plan.states, _notes(plan),
    )  # fmt: skip


def _notes(plan: Plan) -> list[str]:
    """What was done, for `explain()`."""
    found = []
    early = sum(isinstance(t, ProductTask) and t.before for t in plan.tasks)
    late = sum(r.kind == "product" for r in plan.loop.results)
    groups = [t for t in plan.tasks if isinstance(t, Group)]
    if early:
        found.append(f"{early} input product{'s' * (early > 1)} done before the steps")
    if late:
        found.append(f"{late} weight gradient{'s' * (late > 1)} as products over blocks")
    ops = sum(len(g.instrs) for g in groups)
    found.append(f"{ops} pointwise ops fused into {len(groups)} loops")
    return found


def _assembled(code: Code, before: list[str], steps: list[str]) -> str:
    names = ", ".join(f"A{k}" for k in range(len(code.plan.arguments)))
    head = f"@jit\ndef kernel(n, block, b0, b1, whole, ints, numbers, {names}):"
    # part of the source, so that another dtype is another kernel: one compiled for types
    # that nobody prepared would call products that have no address
    kinds = ", ".join([f"{SHORT[a.dtype]} {len(a.shape)}d" for a in code.plan.arguments])
    body = [f"# arrays: {kinds}", "free_hand()", "nb = b1 - b0", *code.setup]
    if code.loop.reverse:
        blocks = ["t1 = n", "while t1 > 0:", "    t0 = t1 - block if t1 > block else 0"]
        order, end = "for t in range(t1 - 1, t0 - 1, -1):", ["    t1 = t0"]
    else:
        blocks = [
            "for t0 in range(0, n, block):",
            "    t1 = t0 + block if t0 + block < n else n",
        ]
        order, end = "for t in range(t0, t1):", []
    text = [*blocks, "    m = t1 - t0", *indent(before)]
    text += [f"    {order}", *indent(indent(code.step_views + steps or ["pass"]))]
    text += indent(code.flush) + end
    lines = [*body, *text, *code.after, "return True"]
    # interned: other lengths have the same
    return sys.intern(HEADER + head + "\n" + "\n".join(indent(lines)) + "\n")


def _emitted(code: Code, instr: Instr) -> list[str]:
    """An op that is neither a product nor pointwise."""
    row = lowering(instr.op)
    if id(instr.out) in code.aliases or (row.transposes and _only_weight(code.plan, instr)):
        return []
    assert row.emit is not None
    return row.emit(code, instr)


def _only_weight(plan: Plan, instr: Instr) -> bool:
    """A transpose that products read as their weight alone: they read the matrix, transposed."""
    users = plan.uses.get(id(instr.out), [])
    return (
        instr.out.ndim == 2
        and id(instr.out) not in plan.kept
        and all(
            weighing(u.op) == Product() and [v is instr.out for v in u.inputs[:2]] == [False, True]
            for u in users
        )
    )
