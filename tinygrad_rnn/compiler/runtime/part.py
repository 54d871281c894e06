"""A part of a program ready to run: kernels for its loops, eager kernels for the rest."""

import traceback
import warnings
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CompilerWarning
from .. import codegen
from ..ir import Instr, Item, Loop, Program, Value
from ..lowering.table import Unsupported, lowering
from . import interpret
from .interpret import Values
from .memory import Held
from .runner import Runner
from .threads import on_one_thread, spread

LARGE = 1 << 20  # bytes up to which a list is joined by Python: of 40 MB it takes 33 ms, NumPy 5


def warn_of_defect(error: Exception) -> None:
    """Say that a part of the compiler failed, and where."""
    at = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" at {Path(at[0].filename).name}:{at[0].lineno}" if at else ""
    warnings.warn(
        f"tg.jit has a defect: {type(error).__name__}{where}: {error}. Results are right, but a "
        "part of the function runs op by op; please report it with the function",
        CompilerWarning,
        stacklevel=2,
    )


class Eager:
    """An instruction outside of loops: its op's eager kernel, with what can be looked up before."""

    def __init__(self, instr: Instr):
        self.instr, self.kernel, self.attrs = instr, interpret.kernel_of(instr), instr.attrs
        self.out = id(instr.out)
        self.args: list[tuple[bool, Any]] = [
            (True, id(a)) if isinstance(a, Value) else (False, a) for a in instr.inputs
        ]
        self.many: Any = None  # reads all arguments at once: the items of a list
        if len(self.args) > 1 and all(known for known, _ in self.args):
            self.many = itemgetter(*[a for _, a in self.args])

    def run(self, values: Values, held: Held) -> None:
        """Compute it."""
        if self.many is not None:
            y = self.kernel(*self.many(values), **self.attrs)
        else:
            y = self.kernel(*[values[a] if known else a for known, a in self.args], **self.attrs)
        values[self.out] = y if y.__class__ is np.ndarray else np.asarray(y)


class Stacked(Eager):
    """The items of a list in one array: a hundred small ones in 3 us, by the op in 12."""

    def __init__(self, instr: Instr):
        super().__init__(instr)
        self.dtype, self.shape = instr.out.dtype, instr.out.shape

    @staticmethod
    def fits(instr: Instr) -> bool:
        """Whether an instruction lays its operands one after the other as they are."""
        row, out = lowering(instr.op), instr.out
        if not (row.joins and row.new_axis and instr.attrs["axis"] % out.ndim == 0):
            return False
        return (
            len(instr.inputs) > 1
            and out.nbytes <= LARGE
            and all(
                isinstance(a, Value) and (a.dtype, a.shape) == (out.dtype, out.shape[1:])
                for a in instr.inputs
            )
        )

    def run(self, values: Values, held: Held) -> None:
        """Join the bytes."""
        try:
            joined = bytearray().join(self.many(values))
        except TypeError:  # an item lies there with gaps
            super().run(values, held)
            return
        values[self.out] = np.frombuffer(joined, self.dtype).reshape(self.shape)


class Cuts:
    """Slices, one after the other: 0.3 us each in place of 1.2 as an `Eager` one."""

    def __init__(self) -> None:
        self.cuts: list[tuple[int, int, Any]] = []

    def add(self, instr: Instr) -> None:
        """One more."""
        key = instr.attrs["key"]
        plain = tuple(key) if isinstance(key, tuple) else key
        self.cuts.append((id(instr.out), id(instr.inputs[0]), plain))

    def run(self, values: Values, held: Held) -> None:
        """Cut all."""
        for out, source, key in self.cuts:
            y = values[source][key]
            values[out] = y if y.__class__ is np.ndarray else np.asarray(y)


class Interpreted:
    """A loop that has no code: run step by step."""

    def __init__(self, loop: Loop, why: str):
        self.loop, self.why = loop, why

    def run(self, values: Values, held: Held) -> None:
        """Run all steps."""
        interpret.run_loop(self.loop, values)


class Part:
    """A program ready to run: kernels for the loops, eager kernels for the rest."""

    def __init__(self, program: Program, outputs: Sequence[Value]):
        keep = _escaping(program.items, outputs)  # an array of the pool must not leave
        self.program = program
        self.steps: list[Runner | Eager | Cuts | Interpreted] = []
        for item in program.items:
            if isinstance(item, Instr):
                self._eager(item)
                continue
            try:
                self.steps.append(Runner(codegen.generate(item), keep))
            except Unsupported as why:
                self.steps.append(Interpreted(item, f"there is no code for {why}"))
            except Exception as error:
                warn_of_defect(error)
                self.steps.append(Interpreted(item, "the code generator failed"))
        self.spread = sum(spread(i) for i in program.items if isinstance(i, Instr))
        self.spread += sum(spread(r.kernel) for r in self.runners)

    def _eager(self, instr: Instr) -> None:
        if not lowering(instr.op).slices or not isinstance(instr.inputs[0], Value):
            self.steps.append((Stacked if Stacked.fits(instr) else Eager)(instr))
            return
        if not self.steps or not isinstance(self.steps[-1], Cuts):
            self.steps.append(Cuts())
        self.steps[-1].add(instr)  # type: ignore[union-attr]

    def run(self, values: Values, held: Held) -> None:
        """Run everything on `values`, which grows by all that is computed."""
        on_one_thread(self._run, self.spread, values, held)

    def _run(self, values: Values, held: Held) -> None:
        for step in self.steps:
            step.run(values, held)

    @property
    def runners(self) -> list[Runner]:
        """The compiled loops."""
        return [s for s in self.steps if isinstance(s, Runner)]


def _escaping(items: Sequence[Item], outputs: Sequence[Value]) -> set[int]:
    """Values whose memory a user may come to hold: outputs, and what they may be views of."""
    out = {id(v) for v in outputs}
    for item in reversed(items):
        if isinstance(item, Instr) and id(item.out) in out and lowering(item.op).is_view:
            out |= {id(v) for v in item.arrays()}
    return out
