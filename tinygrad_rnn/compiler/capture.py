"""Capture: run a function once on symbols that have a shape and no values.

Every op call becomes an instruction of a flat program. Concrete tensors met on
the way are inputs of it, known by identity and read afresh at every call. What
asks for a value (`.item()`, a branch, a NumPy function) raises CaptureError with
the user's line; a concrete tensor whose values are read is remembered, since the
program then depends on them.
"""

import math
import sys
import weakref
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..conversion import to_array
from ..errors import CaptureError, DTypeError, kind, user_line
from ..op import OPS, Array, Op, local
from ..ops.pick import pick
from ..ops.random import Generator
from ..tensors import Tensor
from .floats import Floats, Number, asked
from .inference import infer, number_dtype, recording
from .ir import Instr, Value, value_of
from .needs import passes_on


def _line_in(error: BaseException) -> str:
    """Where NumPy was called: the last line of the traceback, since it is C."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at is not None else "?"


class Symbol(Tensor):
    """A tensor during capture: shape and dtype, no values.

    They are read by functions of C: any of Python is shown to who watches the recording, .4 us.
    """

    __slots__ = ("_ndim", "name", "tape", "value")

    tape: "Tape"
    value: Value
    name: str | None
    shape = property(attrgetter("value.shape"))
    dtype = property(attrgetter("value.dtype"))
    ndim = property(attrgetter("_ndim"))

    def __init__(self, value: Value, tape: "Tape"):
        self._node, self._leaf, self._version = None, value.needs, None
        self.grad = self._name = self.label = self._hooks = self.name = None
        self.value, self.tape = value, tape
        self._ndim = len(value.shape)
        tape.made.append(weakref.ref(self))

    @property
    def _array(self) -> Array:  # type: ignore[override]
        if local.now.recorder is not self.tape:
            raise CaptureError(
                "a tensor kept from the recording of a jitted function was used after it "
                f"(at {user_line()}); return it from the function instead"
            )
        raise CaptureError(
            f"tg.jit: the value of a traced tensor is asked for at {user_line()} (a branch, "
            "float(), .item(), .numpy() or a NumPy function), and a recording has none; use "
            "tg.where and tg ops, pass what is no tensor as a plain Python argument, or run "
            "under tg.disable_jit()"
        )

    @property
    def size(self) -> int:
        return math.prod(self.value.shape)

    @property
    def requires_grad(self) -> bool:
        return self._leaf

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        raise CaptureError(
            f"tg.jit: requires_grad is set inside the jitted function (at {user_line()}); "
            "set it on the argument before the call"
        )

    def __apply_each__(self, op: Op, many: Sequence[dict[str, Any]]) -> list[Any]:
        if local.now.recorder is self.tape:
            return self.tape.each(self, op, many)
        return super().__apply_each__(op, many)

    def detach(self) -> Tensor:
        y: Tensor = OPS["detach"](self)
        return y

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._array

    def register_hook(self, hook: Any) -> Any:
        raise CaptureError(
            f"tg.jit: a hook on a traced tensor (at {user_line()}) would never be called; register "
            "hooks on the inputs and outputs of the jitted function"
        )

    def retain_grad(self) -> None:
        raise CaptureError(
            f"tg.jit: retain_grad on a traced tensor (at {user_line()}) would never fill its "
            ".grad; return the tensor, and call retain_grad on the result"
        )

    def assign_(self, value: Any) -> Any:
        raise CaptureError(
            f"tg.jit: assign_ on a traced tensor (at {user_line()}); build a new one with tg.where"
        )

    def __repr__(self) -> str:
        return f"tensor(<traced>, shape={self.shape}, {self.dtype})"


class Tape:
    """A recorder: takes every op call and writes an instruction."""

    def __init__(self, needs_grad: bool = True):
        self.instrs: list[Instr] = []
        self.lifted: dict[int, tuple[Any, Value]] = {}  # by id: tensor or array, its value
        self.read_values: dict[int, tuple[Tensor, int]] = {}  # by id: tensor, its version
        self.needs_grad = needs_grad
        self.line = ""  # of the user's code that all it records stands for, if there is one
        self.lists: dict[Any, Array] = {}  # arrays made of Python lists, by what is in them
        self.made: list[weakref.ref[Any]] = []  # to see whether a symbol outlives the recording
        self.leaves: list[Tensor] = []  # that began to require a gradient in the recording
        self.floats = Floats(self.made)
        self.seeded: list[tuple[Generator, Generator, tuple[int, int]]] = []
        # what Python shows the user's calls to, while they are recorded
        self.watch: Callable[..., Any] | None = None
        self.meet: Callable[[Any], None] = lambda module: None  # shown each Module called
        self.lies_around: Callable[[Any], bool] = lambda array: False

    def symbol(self, shape: tuple[int, ...], dtype: Any, needs: bool = False) -> Symbol:
        """A new input."""
        return Symbol(Value(shape, dtype, needs and self.needs_grad), self)

    def read(self, tensor: Tensor) -> None:
        """Note that the values of a concrete tensor were looked at."""
        if not isinstance(tensor, Symbol):
            if tensor._version is None:
                tensor._version = [0]
            self.read_values[id(tensor)] = (tensor, tensor._version[0])

    def lift(self, a: Any) -> Value:
        """The value that stands for a concrete tensor or array."""
        if id(a) not in self.lifted:
            needs = isinstance(a, Tensor) and a.requires_grad and self.needs_grad
            self.lifted[id(a)] = (a, Value(a.shape, a.dtype, needs))
        return self.lifted[id(a)][1]

    def written(self, a: Array) -> Array:
        """One array for all lists of the same numbers: a list written in a loop is one operand."""
        if self.lies_around(a):
            return a  # which may be written to, and another of the same numbers not
        return self.lists.setdefault((a.shape, a.dtype, a.tobytes()), a)

    def pick(self, x: Any, key: tuple[Any, ...]) -> Any:
        """x[key] with arrays among the key's parts, which are operands of what is recorded."""
        parts = [self.written(p) if isinstance(p, np.ndarray) else p for p in key]
        for p in parts:
            if isinstance(p, bool) or getattr(p, "dtype", None) == np.bool_:
                raise CaptureError(
                    f"tg.jit: how much a mask picks (x[mask], at {user_line()}) depends on its "
                    "values, and a recording has one shape; keep the shape with tg.where(mask, "
                    "x, 0) and divide by mask.sum() for a mean, or index with whole numbers"
                )
        return pick(x, tuple(parts))

    def seeds(self, generator: Generator, state: tuple[int, int]) -> None:
        """From here on a generator starts from `state` in every call: another stands in for it."""
        self.seeded.append((generator, object.__new__(Generator), state))

    def source(self, generator: Generator) -> Generator:
        """Where draws of a generator come from at this point of the recording."""
        found = [stand_in for seeded, stand_in, _ in self.seeded if seeded is generator]
        return found[-1] if found else generator

    def operand(self, op: Op, a: Any) -> Any:
        """A value or a number for an argument of an op."""
        if isinstance(a, Symbol):
            if a.tape is not self:
                _ = a._array  # raises: kept from another recording
            return a.value
        if type(a) is Number:
            if op.pointwise:
                return a
            a = a.ask()
        if isinstance(a, np.generic):
            return a.item()
        if isinstance(a, bool | int | float):
            return a
        if isinstance(a, np.ndarray):
            dtype = to_array(a[:0] if a.ndim else a).dtype  # raises for what no tensor holds
            if a.dtype != dtype:  # another order of bytes
                return self(OPS["astype"], (Symbol(self.lift(a), self),), {"dtype": dtype}).value
        if isinstance(a, Tensor | np.ndarray):
            return self.lift(a)
        if isinstance(a, list | tuple):
            return self.lift(self.written(to_array(a)))
        raise DTypeError(f"{op.name}: expected a tensor, an array or a number, got {kind(a)}")

    def __call__(self, op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """Record one op call."""
        if self.watch is None:
            return self._bound(op, args, attrs)
        sys.setprofile(None)  # it watches the user's calls and need not see ours: they are 9 in 10
        try:
            return self._bound(op, args, attrs)
        finally:
            sys.setprofile(self.watch)

    def each(self, x: Symbol, op: Op, many: Sequence[dict[str, Any]]) -> list[Any]:
        """Record the calls of an op of one input for each of several attributes, at one line."""
        before = self.line
        if self.watch is not None:
            sys.setprofile(None)
        try:
            self.line = before or user_line()
            return [self._bound(op, (x,), attrs) for attrs in many]
        finally:
            self.line = before
            if self.watch is not None:
                sys.setprofile(self.watch)

    def _bound(self, op: Op, args: Any, attrs: dict[str, Any]) -> Any:
        """Record one op call, its arguments in the order and with the defaults that the op has."""
        if len(args) != op.arity or attrs.keys() != op.defaults.keys():
            args, attrs = op.bind(args, attrs)
        return self._record(op, args, attrs)

    def _record(self, op: Op, args: Sequence[Any], attrs: dict[str, Any]) -> Any:
        if not args:  # a draw, perhaps
            attrs = {k: self.source(v) if isinstance(v, Generator) else v for k, v in attrs.items()}
        if self.floats.leaves:
            attrs = {k: asked(v) for k, v in attrs.items()}
        inputs = [
            a.value if a.__class__ is Symbol and a.tape is self else self.operand(op, a)
            for a in args
        ]
        if inputs and Value not in map(type, inputs):
            with recording(None):  # of numbers a number, as eager execution has it
                return op(*asked(tuple(args)), **attrs)
        line = self.line or user_line(3)  # the two below are `_bound` and `__call__`, or deeper
        floats = [(k, a) for k, a in enumerate(inputs) if type(a) is Number]
        for k, a in floats:
            inputs[k] = float(a.value)
        said = infer(op, inputs, attrs)
        for k, dtype in said.casts:
            cast = self._record(OPS["astype"], (Symbol(inputs[k], self),), {"dtype": dtype})
            inputs[k] = cast.value
        out = value_of(said.shape, said.dtype)
        like = Instr(op, tuple(inputs), attrs, out, line)
        for k, a in floats:
            inputs[k] = self.floats.input(a, number_dtype(like, k, [inputs[k]]))
        out.needs = self.needs_grad and passes_on(op, inputs, out)
        self.instrs.append(Instr(op, tuple(inputs), attrs, out, line) if floats else like)
        if self.needs_grad and not local.now.grad and op.rules and out.dtype.kind == "f":
            return self._record(OPS["detach"], (Symbol(out, self),), {})
        return Symbol(out, self)


def trace(tape: Tape, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call `fn` with op calls going to `tape`."""
    with recording(tape):
        try:
            return fn(*args, **kwargs)
        except TypeError as error:
            if "operand 'Symbol' does not support ufuncs" not in str(error):
                raise
            raise CaptureError(  # np.tanh(x): NumPy asks nobody
                f"tg.jit: a NumPy function got a traced tensor at {_line_in(error)}; use tg's own "
                "of that name, or compute with .numpy() outside of the jitted function"
            ) from None
