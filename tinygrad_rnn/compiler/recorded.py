"""One call of a function recorded: its program as it was written, and what it depends on."""

from collections.abc import Callable, Collection
from typing import Any

from .._tensor import Tensor
from ..errors import CaptureError
from ..op import local
from . import leftovers
from .arguments import rebuilt, results
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
            groups = self.watch.around.lasting()
            left = leftovers.put_back(groups) or leftovers.still_held(self.tape)
            if left:
                leftovers.refuse(left, list(self.watch.around.ran.values()))
        except BaseException:
            leftovers.put_back(self.watch.around.groups)  # nothing is left half done
            raise
        tape, self.floats = self.tape, self.tape.floats
        self.lifted = [a for a, _ in tape.lifted.values()]
        self.inputs = self.arguments + [v for _, v in tape.lifted.values()]
        self.inputs += [v for _, v in self.floats.inputs.values()]
        self.watch.ends(self.lifted)
        self.guards = Guards(groups, self.lifted, tape.read_values.values())

    def _run(
        self, fn: Callable[..., Any], leaves: list[Any], shape: Any, varying: Collection[int]
    ) -> None:
        """Call the function on symbols; none of them outlives this method."""
        tape, around = self.tape, self.watch.around
        symbols = [
            tape.symbol(a.shape, a.dtype, a.requires_grad)
            if isinstance(a, Tensor)
            else tape.floats.stand_in(k, a)
            if k in varying
            else a
            for k, a in enumerate(leaves)
        ]
        parts, new = iter(shape), iter(symbols)
        args, kwargs = rebuilt(parts, new), rebuilt(parts, new)
        around.meet(fn, getattr(fn, "__name__", type(fn).__name__))
        for k, a in enumerate(leaves):
            around.meet(a, f"argument {k}")
        tape.meet = lambda module: around.passed(module, type(module).__name__)
        tape.watch = self.watch
        with watching(self.watch):
            result = trace(tape, fn, *args, **kwargs)
        if varying and any("type" in names_of(c).free for c in around.ran.values()):
            raise CaptureError("tg.jit: type(a) is float says no of a float's stand-in")
        self.rebuild = results(result, tape, self.outputs, around.tensors)
        self.arguments = [s.value for s in symbols if isinstance(s, Symbol)]
