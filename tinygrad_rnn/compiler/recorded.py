"""One call of a function recorded: its program as it was written, and what it depends on."""

import gc
import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

from ..errors import CaptureError
from ..op import local
from ..tensors import Tensor
from . import leftovers
from .arguments import contents, paths, rebuilt, results, static, written
from .capture import Symbol, Tape, trace
from .guards import Guards
from .ir import Value
from .names import names_of
from .watch import Watch, watching


class Recorded:
    """Inputs, instructions and outputs of a recording, its guards and what it left unguarded."""

    def __init__(
        self, fn: Callable[..., Any], leaves: list[Any], shape: Any, varying: Collection[int] = ()
    ):
        self.tape, self.watch = Tape(local.now.grad), Watch()
        self.outputs: list[Value] = []
        self.arguments: list[Value] = []
        try:
            self._run(fn, leaves, shape, varying)
            for op in {instr.op for instr in self.tape.instrs}:
                self.watch.declared(op)
            groups = self.watch.around.lasting()
            left = leftovers.put_back(groups) or leftovers.still_held(self.tape)
            if left:
                leftovers.refuse(left, list(self.watch.around.ran.values()))
        except BaseException:
            leftovers.put_back(self.watch.around.lasting())  # nothing is left half done
            raise
        tape, self.floats = self.tape, self.tape.floats
        tape.made.clear()  # of 340 kB that a recording of 600 calls keeps, 54 were these
        self.lifted = [a for a, _ in tape.lifted.values()]
        self.leaves = self._leaves()
        self.inputs = self.arguments + [v for _, v in tape.lifted.values()]
        self.inputs += [v for _, v in self.floats.inputs.values()]
        self.watch.ends(self.lifted)
        self.guards = Guards(groups, self.lifted, tape.read_values.values())

    def _leaves(self) -> list[int]:
        """Which lifted tensors each call makes anew, by place: leaves that the function made.

        One that it put somewhere, such as a parameter made at the first call, is still held there.
        """
        tape, found = self.tape, list[int]()
        leaves = {id(a) for a in tape.leaves} - self.watch.around.tensors
        if leaves:
            gc.collect()  # what lies in cycles holds them no more: a function that calls itself
        both = *tape.lifted.values(), *tape.read_values.values()
        ours = {id(tape.leaves), id(self.lifted), *map(id, both)}
        for k in range(len(self.lifted)):  # enumerate would hold it as well
            a = self.lifted[k]
            if id(a) in leaves and all(
                isinstance(r, FrameType) or id(r) in ours for r in gc.get_referrers(a)
            ):
                found.append(k)
        return found

    def _run(
        self, fn: Callable[..., Any], leaves: list[Any], shape: Any, varying: Collection[int]
    ) -> None:
        """Call the function on symbols; none of them outlives this method."""
        tape, around = self.tape, self.watch.around
        symbols = self._stand_ins(leaves, varying)
        parts, new, made = iter(shape), iter(symbols), list[Any]()
        args, kwargs = rebuilt(parts, new, made), rebuilt(parts, new, made)
        before = contents(made)
        around.meet(fn, getattr(fn, "__name__", type(fn).__name__))
        for k, a in enumerate(leaves):
            if static(a)[-1] == id(a):  # not known by its value
                around.meet(a, f"argument {k}")
        tape.meet = lambda module: around.passed(module, type(module).__name__)
        tape.lies_around = around.knows
        tape.watch = self.watch.sees
        with watching(tape.watch):
            result = trace(tape, fn, *args, **kwargs)
        tape.watch = None
        place = written(made, before)
        if place is not None:
            self._refuse_writing(place, fn, leaves, shape)
        if varying and any("type" in names_of(c).free for c in around.ran.values()):
            raise CaptureError("tg.jit: type(a) is float says no of a float's stand-in")
        arguments = [s for s in symbols if isinstance(s, Symbol)]
        self.rebuild = results(result, tape, arguments, self.outputs, around.tensors)
        self.arguments = [s.value for s in arguments]

    def _stand_ins(self, leaves: list[Any], varying: Collection[int]) -> list[Any]:
        """What the function is called with in place of the leaves of its arguments."""
        found: list[Any] = []
        for k, a in enumerate(leaves):
            if isinstance(a, Tensor):
                found.append(self.tape.symbol(a.shape, a.dtype, a.requires_grad))
            elif k in varying:
                found.append(self.tape.floats.stand_in(k, a))
            else:
                found.append(a.copy() if type(a) in (set, bytearray) else a)
        return found

    def _refuse_writing(
        self, place: int, fn: Callable[..., Any], leaves: list[Any], shape: Any
    ) -> None:
        """Raise CaptureError with the line that writes to an argument: run again, line by line."""
        symbols = self._stand_ins(leaves, ())
        parts, new, made = iter(shape), iter(symbols), list[Any]()
        args, kwargs = rebuilt(parts, new, made), rebuilt(parts, new, made)
        before, at, lines = contents(made), [""], list[str]()

        def each_line(frame: FrameType, event: str, _: Any) -> Any:
            if id(frame.f_code) not in self.watch.around.ran:
                return None
            if not lines and written(made, before) is not None:
                lines.append(at[0])
            at[0] = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            return each_line

        tracer = sys.gettrace()
        sys.settrace(each_line)
        try:
            trace(self.tape, fn, *args, **kwargs)
        finally:
            sys.settrace(tracer)
        raise CaptureError(
            f"tg.jit: the argument {paths(shape, fn)[place]} is written to at "
            f"{(lines or at)[0]}, which later calls would not repeat; write to a copy of it, and "
            "return what is new"
        )
