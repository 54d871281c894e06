"""A captured function made ready to run: its forward, and a backward for each need."""

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..op import Array
from .ir import Instr, Item, Program, Value, reads, writes
from .lowering.table import lowering
from .needs import reached
from .passes.differentiate import differentiate
from .passes.pipeline import legalize, optimize
from .passes.roll import roll
from .runtime.interpret import Values
from .runtime.memory import Held
from .runtime.part import Part, warn_of_defect


@dataclass(eq=False)
class Backward:
    """The backward program that takes cotangents of some outputs to gradients of some inputs."""

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
            saved = [v for item in full.part.program.items for v in reads(item)]
        made = {id(v) for i in self.program.items for v in writes(i)}
        self.saved = list({id(v): v for v in saved if id(v) in made}.values())
        self.read_inputs = {id(v) for v in saved}
        forward = Program(inputs, self.program.copied_items(), [*self.program.outputs, *self.saved])
        legalize(forward)
        self.forward = Part(forward, self.program.outputs)
        memory = _bases(forward.items)
        # inputs that must not be written to before the backward pass
        self.watched = self.read_inputs | {memory.get(id(v), 0) for v in self.saved}
        self.shared = _shared(memory, inputs, self.program.outputs)
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
            part = Part(backward, backward.outputs)
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


# views, whose writing both sides see --------------------------------------------------------


def _bases(items: Iterable[Item]) -> dict[int, int]:
    """By id of a value that may be a view: the id of the value in whose memory it lies."""
    found: dict[int, int] = {}
    for item in items:
        if isinstance(item, Instr) and lowering(item.op).is_view:
            source = id(item.inputs[0])
            found[id(item.out)] = found.get(source, source)
    return found


def _shared(
    memory: dict[int, int], inputs: Sequence[Value], outputs: Sequence[Value]
) -> list[tuple[int, int]]:
    """Outputs that may lie in the memory of an input (its place) or of an output (~ its place)."""
    places = {id(v): ~k for k, v in reversed(list(enumerate(outputs)))}
    places.update({id(v): k for k, v in enumerate(inputs)})
    pairs = [(k, places.get(memory.get(id(v), id(v)))) for k, v in enumerate(outputs)]
    return [(k, place) for k, place in pairs if place is not None and place != ~k]
