"""Source of the kernel for one loop: no sizes in it, so other lengths and batches re-use it.

    def kernel(n, block, b0, b1, whole, ints, numbers, A0, A1, ...)

runs all `n` steps for the rows b0 to b1 of the batch, `block` steps at a time: products
of what is known before the steps first, the steps, then the products that sum over
steps. Sizes and offsets come in `ints`, Python numbers in `numbers`; every array is
C-contiguous. What each array is, is said by `Kernel.arguments`. The kernel gives True, or
False as soon as it meets an index out of range.
"""

import sys

from ..ir import Instr, Loop
from ..lowering.table import Product, Unsupported, has_code, lowering, weighing
from ..lowering.text import indent
from .group import GroupCode
from .kernel import HEADER, Kernel
from .products import Products
from .schedule import Group, ProductTask


def generate(loop: Loop) -> Kernel:
    """The kernel of a loop; Unsupported names an op without code."""
    for instr in loop.body:
        if not has_code(instr):
            raise Unsupported(f"{instr.op.name} (at {instr.line})" if instr.line else instr.op.name)
    return Code(loop).kernel()


class Code(Products):
    """Writes one kernel."""

    def kernel(self) -> Kernel:
        """Write everything."""
        self.place()
        before: list[str] = []
        steps: list[str] = []
        for t in self.tasks:
            if isinstance(t, ProductTask) and t.before:
                before += self.product_before(t)
            elif isinstance(t, ProductTask):
                steps += self.product(t)
            elif isinstance(t, Group):
                steps += GroupCode(self, t).lines()
            else:
                steps += self._single(t)
        for r in self.loop.results:
            steps += self.summed(r)
        source = self._assembled(before, steps)
        homes = {
            key: (h.argument, h.kind, h.extra)
            for key, h in self.homes.items()
            if h.kind in ("stack", "ring")
        }
        return Kernel(
            self.loop, source, self.arguments, self.ints, self.numbers, self.split, self.reason,
            self.batch, self.block, homes, self.sums, self.flipped, self.states, self.notes(),
        )  # fmt: skip

    def notes(self) -> list[str]:
        """What was done, for `explain()`."""
        found = []
        early = sum(isinstance(t, ProductTask) and t.before for t in self.tasks)
        late = sum(r.kind == "product" for r in self.loop.results)
        groups = [t for t in self.tasks if isinstance(t, Group)]
        if early:
            found.append(f"{early} input product{'s' * (early > 1)} done before the steps")
        if late:
            found.append(f"{late} weight gradient{'s' * (late > 1)} as products over blocks")
        ops = sum(len(g.instrs) for g in groups)
        found.append(f"{ops} pointwise ops fused into {len(groups)} loops")
        return found

    def _assembled(self, before: list[str], steps: list[str]) -> str:
        names = ", ".join(f"A{k}" for k in range(len(self.arguments)))
        head = f"@jit\ndef kernel(n, block, b0, b1, whole, ints, numbers, {names}):"
        # part of the source, so that another dtype is another kernel: one compiled for types
        # that nobody prepared would call products that have no address
        kinds = ", ".join(f"{a.dtype} {len(a.shape)}d" for a in self.arguments)
        body = [f"# arrays: {kinds}", "free_hand()", "nb = b1 - b0", *self.setup]
        if self.loop.reverse:
            blocks = ["t1 = n", "while t1 > 0:", "    t0 = t1 - block if t1 > block else 0"]
            order, end = "for t in range(t1 - 1, t0 - 1, -1):", ["    t1 = t0"]
        else:
            blocks = [
                "for t0 in range(0, n, block):",
                "    t1 = t0 + block if t0 + block < n else n",
            ]
            order, end = "for t in range(t0, t1):", []
        text = [*blocks, "    m = t1 - t0", *indent(before)]
        text += [f"    {order}", *indent(indent(self.step_views + steps or ["pass"]))]
        text += indent(self.flush) + end
        lines = [*body, *text, *self.after, "return True"]
        # interned: other lengths have the same
        return sys.intern(HEADER + head + "\n" + "\n".join(indent(lines)) + "\n")

    def _single(self, instr: Instr) -> list[str]:
        """An op that is neither a product nor pointwise."""
        row = lowering(instr.op)
        if id(instr.out) in self.aliases or (row.transposes and self._only_weight(instr)):
            return []
        assert row.emit is not None
        return row.emit(self, instr)

    def _only_weight(self, instr: Instr) -> bool:
        """A transpose that only products read: they read the matrix itself, turned."""
        users = self.uses.get(id(instr.out), [])
        return (
            instr.out.ndim == 2
            and id(instr.out) not in self.kept
            and all(weighing(u.op) == Product() and u.inputs[1] is instr.out for u in users)
        )
