"""A captured function made ready to run: its forward, and a backward for each need."""

import functools
import operator
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CompilerWarning
from ..op import Array
from . import codegen, interpret
from .aliases import escaping, looks_at, shared
from .interpret import Values
from .ir import Carry, Instr, Loop, Program, Result, Slice, Value, reads, writes
from .layout import Held
from .lowering.table import Unsupported, lowering
from .needs import reached
from .passes.differentiate import differentiate
from .passes.pipeline import legalize, optimize
from .passes.roll import roll
from .runtime import Runner


def copy_items(items: Sequence[Instr | Loop]) -> list[Instr | Loop]:
    """The items again, to be rewritten; values stay the same objects."""
    copies: list[Instr | Loop] = []
    for item in items:
        if isinstance(item, Instr):
            copies.append(_copy(item))
            continue
        loop = Loop(item.count, item.reverse)
        loop.body = [_copy(i) for i in item.body]
        loop.params = [
            Slice(p.out, p.source, p.start, p.stride)
            if isinstance(p, Slice)
            else Carry(p.out, p.of, p.delay, p.first)
            for p in item.params
        ]
        loop.results = [Result(r.kind, r.values, r.out, r.lag, r.first) for r in item.results]
        copies.append(loop)
    return copies


def _copy(i: Instr) -> Instr:
    return Instr(i.op, i.inputs, i.attrs, i.out, i.line)  # attributes are never written to


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
        self.instr, self.kernel, self.attrs = instr, instr.op.kernel, instr.attrs
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
    """Items ready to run: kernels for the loops, eager kernels for the rest."""

    def __init__(self, items: list[Instr | Loop], outputs: Sequence[Value]):
        keep = escaping(items, outputs)  # an array of the pool must not leave
        self.items = items
        self.steps: list[Runner | Eager | Cuts | Interpreted] = []
        for item in items:
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

    def _eager(self, instr: Instr) -> None:
        if not lowering(instr.op).slices or not isinstance(instr.inputs[0], Value):
            self.steps.append(Eager(instr))
            return
        if not self.steps or not isinstance(self.steps[-1], Cuts):
            self.steps.append(Cuts())
        self.steps[-1].add(instr)  # type: ignore[union-attr]

    def run(self, values: Values, held: Held) -> None:
        """Run everything on `values`, which grows by all that is computed."""
        for step in self.steps:
            step.run(values, held)

    @property
    def runners(self) -> list[Runner]:
        """The compiled loops."""
        return [s for s in self.steps if isinstance(s, Runner)]


@dataclass(eq=False)
class Backward:
    """The backward for some inputs and some outputs."""

    part: Part
    cotangents: dict[int, Value]  # by place of the output
    gradients: list[Value | None]  # for each wanted input


class Compiled:
    """Forward and backward of one capture."""

    def __init__(
        self, inputs: list[Value], instrs: list[Instr], outputs: list[Value], needs_grad: bool
    ):
        self.recorded = len(instrs)
        self.reached = reached(inputs, instrs, outputs)
        self.differentiable = [k for k, v in enumerate(outputs) if v.needs and needs_grad]
        self.wanted = [k for k, v in enumerate(inputs) if v.needs] if needs_grad else []
        try:
            self._make(inputs, instrs, outputs)
        except Exception as error:
            warn_of_defect(error)
            self._make(inputs, instrs, outputs, loops=False)

    def _make(
        self, inputs: list[Value], instrs: list[Instr], outputs: list[Value], loops: bool = True
    ) -> None:
        """All passes, forward and backward; without loops it runs as it was recorded."""
        self.program = roll(inputs, instrs, outputs, loops)
        self.notes = optimize(self.program)
        self._backwards: dict[Any, Backward] = {}
        saved: list[Value] = []
        if self.differentiable and self.wanted:
            full = self.backward(tuple(self.wanted), tuple(self.differentiable))
            saved = [v for item in full.part.items for v in reads(item)]
        made = {id(v) for i in self.program.items for v in writes(i)}
        self.saved = list({id(v): v for v in saved if id(v) in made}.values())
        self.read_inputs = {id(v) for v in saved}
        forward = Program(
            inputs, copy_items(self.program.items), [*self.program.outputs, *self.saved]
        )
        legalize(forward)
        self.forward = Part(forward.items, self.program.outputs)
        memory = looks_at(forward.items)
        # inputs that must not be written to before the backward pass
        self.watched = self.read_inputs | {memory.get(id(v), 0) for v in self.saved}
        self.shared = shared(memory, inputs, self.program.outputs)
        self.input_ids = [id(v) for v in inputs]
        self.output_ids = [id(v) for v in self.program.outputs]
        self.kept_ids = [id(v) for v in self.saved]
        self.kept_ids += [k for k in self.input_ids if k in self.read_inputs]

    def backward(self, wanted: tuple[int, ...], received: tuple[int, ...]) -> Backward:
        """The backward for gradients of inputs `wanted` from those of outputs `received`."""
        key = wanted, received
        if key not in self._backwards:
            program = self.program
            cotangents = {
                k: Value(program.outputs[k].shape, program.outputs[k].dtype) for k in received
            }
            seeds = [(program.outputs[k], v) for k, v in cotangents.items()]
            bits = functools.reduce(operator.or_, [self.reached[k] for k in received], 0)
            inputs = [program.inputs[k] if bits >> k & 1 else None for k in wanted]
            items, gradients = differentiate(program, seeds, inputs)
            known = [*cotangents.values(), *program.inputs]
            known += [v for i in program.items for v in writes(i)]
            backward = Program(known, items, [g for g in gradients if g is not None])
            legalize(backward)
            part = Part(backward.items, backward.outputs)
            self._backwards[key] = Backward(part, cotangents, gradients)
        return self._backwards[key]

    def run(self, arrays: Sequence[Array]) -> tuple[list[Array], Values, Held]:
        """Outputs, what a backward will read, and the memory that this lies in."""
        values: Values = dict(zip(self.input_ids, arrays, strict=True))
        held = Held()
        self.forward.run(values, held)
        outputs = [values[k] for k in self.output_ids]
        return outputs, {k: values[k] for k in self.kept_ids}, held

    def run_backward(
        self, saved: Values, cotangents: dict[int, Array], wanted: tuple[int, ...]
    ) -> list[Array | None]:
        """Gradients of the inputs `wanted`, None where an output does not depend on one."""
        backward = self.backward(wanted, tuple(sorted(cotangents)))
        values = dict(saved)
        for k, v in backward.cotangents.items():
            values[id(v)] = cotangents[k]
        held = Held()
        backward.part.run(values, held)
        return [None if g is None else values[id(g)] for g in backward.gradients]
