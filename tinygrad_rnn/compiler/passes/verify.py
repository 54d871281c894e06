"""Check a program: every value defined before it is read, with the type that its op gives.

Runs after every pass, so that a wrong rewrite stops at once and the pass is named.
"""

from collections.abc import Iterable
from typing import Any

from ..inference import infer
from ..ir import Instr, Loop, Program, Slice, Value


class VerifyError(Exception):
    """A pass made a program that breaks a rule of the IR: a defect of the compiler."""


class Verifier:
    """Checks one program after each of several passes; what has not changed is not typed again.

    - A value is defined once, and before it is read.
    - An instruction's result has its op's shape and dtype; its operands need no cast.
    - A slice stays within its source and has the type of its rows.
    - A carry has an initial value for each step of its delay, and the type of what it carries;
      a stack of earlier steps, too.
    - What a loop carries or gives out by step is defined in it, what it sums in it or before; a
      result has its kind's type.
    """

    def __init__(self) -> None:
        self.typed: dict[int, tuple[Instr, Any]] = {}  # by id: the instruction as it was typed

    def check(self, program: Program, after: str = "") -> None:
        """Raise VerifyError unless the program is well formed; `after` names the last pass."""
        try:
            self._program(program)
        except VerifyError as error:
            raise VerifyError(f"after {after}: {error}" if after else str(error)) from None

    def _program(self, program: Program) -> None:
        defined = {id(v) for v in program.inputs}
        for item in program.items:
            if isinstance(item, Instr):
                self._instr(item, defined)
                _define(item.out, defined)
                continue
            self._loop(item, set(defined))
            for r in item.results:
                _define(r.out, defined)
        _read(program.outputs, defined, "an output")

    def _instr(self, instr: Instr, defined: set[int]) -> None:
        for v in instr.inputs:
            if v.__class__ is Value and id(v) not in defined:
                raise VerifyError(f"{_call(instr)} reads {v}, which is not defined before it")
        now = instr.op, instr.inputs, instr.attrs, instr.out
        known = self.typed.get(id(instr))
        if known is not None and known[1] == now:
            return
        try:
            found = infer(instr.op, instr.inputs, instr.attrs)
        except Exception as error:  # operands that the op's own rules refuse
            raise VerifyError(f"{_call(instr)}: {error}") from error
        if found.casts:
            raise VerifyError(f"{_call(instr)}: its operands differ in dtype")
        if (found.shape, found.dtype) != (instr.out.shape, instr.out.dtype):
            rule = f"{found.dtype}{list(found.shape)}"
            raise VerifyError(f"{_call(instr)} is {instr.out}, by its op's rule {rule}")
        self.typed[id(instr)] = instr, now

    def _loop(self, loop: Loop, defined: set[int]) -> None:
        for p in loop.params:
            if isinstance(p, Slice):
                _read([p.source], defined, "a slice")
                low, high = sorted((p.start, p.start + p.stride * (loop.count - 1)))
                if not 0 <= low <= high < p.source.shape[0]:
                    raise VerifyError(f"a slice of {p.source} reads its rows {low} to {high}")
                _typed(p.out, p.source.shape[1:], p.source.dtype, "a slice")
            else:
                _read(p.first, defined, "a carry")
                if len(p.first) != p.delay:
                    raise VerifyError(
                        f"a carry over {p.delay} steps has {len(p.first)} initial values"
                    )
                _typed(p.out, p.of.shape, p.of.dtype, "a carry")
        before = set(defined)
        for p in loop.params:
            _define(p.out, defined)
        for instr in loop.body:
            self._instr(instr, defined)
            _define(instr.out, defined)
        inside = defined - before
        _read([p.of for p in loop.carries], inside, "a carry")
        for r in loop.results:
            kept = r.kind in ("final", "stack")
            _read(r.values, inside if kept else defined, f"a {r.kind}")
            _read(r.first, defined, f"a {r.kind}")
            if r.kind == "stack" and len(r.first) != r.lag:
                raise VerifyError(f"a stack of {r.lag} steps ago has {len(r.first)} initial values")
            dtype = r.out.dtype if r.kind == "total" else r.values[0].dtype  # booleans are counted
            _typed(r.out, loop.shape_of(r.kind, r.values), dtype, f"a {r.kind}")


def _read(values: Iterable[Any], defined: set[int], reader: str) -> None:
    for v in values:
        if v.__class__ is Value and id(v) not in defined:
            raise VerifyError(f"{reader} reads {v}, which is not defined before it")


def _define(v: Value, defined: set[int]) -> None:
    if id(v) in defined:
        raise VerifyError(f"{v} is defined twice")
    defined.add(id(v))


def _typed(v: Value, shape: tuple[int, ...], dtype: Any, what: str) -> None:
    if v.shape != shape or v.dtype != dtype:
        raise VerifyError(f"{what} is {v}, and what it is made of makes it {dtype}{list(shape)}")


def _call(instr: Instr) -> str:
    return f"{instr.op.name} (at {instr.line})" if instr.line else instr.op.name
