"""Floats among the arguments that are operands of the program: an annealed temperature.

While a function is recorded a `Number` stands for such an argument. Arithmetic with plain
numbers is taken down and done again, by Python, at every call; an elementwise op on a tensor
takes its value as an input of the program, in the dtype in which it takes a Python float. Whatever
else asks for the value (a branch, `math`, `int()`, an option of an op) gets it, and the argument
is a value of the recording, compared at every call as other arguments are.
"""

import operator
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import user_line
from ..op import Array
from ..tensors import Tensor
from .ir import Value

FLOATS = frozenset([float, np.float64, np.float32])
_PLAIN = (bool, int, float, np.number, np.bool_)


class Step(NamedTuple):
    """values[place] = fn(values[a], values[b]); of one number if b is None."""

    place: int
    fn: Callable[..., Any]
    a: int
    b: int | None


class Floats:
    """The float arguments of a recording, what was computed of them, and which inputs they feed."""

    def __init__(self, made: list[weakref.ref[Any]]):
        self.leaves: list[int] = []  # number k stands for leaf leaves[k] of the arguments
        self.values: list[Any] = []  # arguments, then constants and results as they come
        self.steps: list[Step] = []
        self.inputs: dict[tuple[int, Any], tuple[type, Value]] = {}  # by place and dtype
        self.asked: dict[int, str] = {}  # leaf: the line that asked for the value itself
        self.made = made  # all that must be gone after the recording

    def stand_in(self, leaf: int, value: Any) -> "Number":
        """A number for a leaf of the arguments; all of them come first."""
        self.leaves.append(leaf)
        return self._number(value, frozenset([leaf]))

    def _number(self, value: Any, leaves: frozenset[int]) -> "Number":
        self.values.append(value)
        number = Number(self, len(self.values) - 1, leaves)
        self.made.append(weakref.ref(number))
        return number

    def compute(self, fn: Callable[..., Any], a: Any, b: Any = None) -> Any:
        """fn(a, b) or fn(a): a number again, if it is one."""
        numbers = [x for x in (a, b) if type(x) is Number]
        y = fn(*[x.value if type(x) is Number else x for x in (a, b) if x is not None])
        if type(y) not in FLOATS:  # complex: a power of a negative number
            for x in numbers:
                x.ask()
            return y
        places = [None if x is None else self._place(x) for x in (a, b)]
        number = self._number(y, frozenset().union(*[x.leaves for x in numbers]))
        self.steps.append(Step(number.place, fn, places[0], places[1]))  # type: ignore[arg-type]
        return number

    def _place(self, x: Any) -> int:
        if type(x) is Number:
            return x.place
        self.values.append(x)
        return len(self.values) - 1

    def input(self, number: "Number", dtype: np.dtype[Any]) -> Value:
        """The input of the program that is a number in a dtype."""
        key = number.place, dtype
        if key not in self.inputs:
            self.inputs[key] = type(number.value), Value((), dtype)
        return self.inputs[key][1]

    def arrays(self, leaves: Sequence[Any]) -> list[Array] | None:
        """The program's inputs in a call; None if the arithmetic gives no floats or raises."""
        values = self.values.copy()
        for k, leaf in enumerate(self.leaves):
            values[k] = leaves[leaf]
        try:
            for place, fn, a, b in self.steps:
                values[place] = fn(values[a]) if b is None else fn(values[a], values[b])
        except ArithmeticError:
            return None
        if any(type(values[p]) is not kind for (p, _), (kind, _) in self.inputs.items()):
            return None
        with np.errstate(over="ignore"):  # 1e300 is inf in float32
            return [np.asarray(values[place], dtype) for place, dtype in self.inputs]


class Number:
    """A float argument while its function is recorded, or what arithmetic made of some."""

    __slots__ = ("__weakref__", "floats", "leaves", "place")

    def __init__(self, floats: Floats, place: int, leaves: frozenset[int]):
        self.floats, self.place, self.leaves = floats, place, leaves

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # isinstance(a, float)
        return type(self.value)

    @property
    def value(self) -> Any:
        """What it is in this recording."""
        return self.floats.values[self.place]

    def ask(self) -> Any:
        """The value, for someone on whom the program then depends."""
        line = user_line()
        for leaf in self.leaves:
            self.floats.asked.setdefault(leaf, line)
        return self.value

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.value, name)  # raises where a float has no such attribute
        self.ask()
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.ask(), dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*asked(inputs), **options)

    def __array_function__(self, fn: Any, types: Any, args: Any, options: Any) -> Any:
        return fn(*asked(args), **{k: asked(v) for k, v in options.items()})

    def __reduce__(self) -> Any:
        return type(self.value), (self.ask(),)


def asked(value: Any) -> Any:
    """The same with values in place of numbers, also in tuples and lists."""
    if type(value) is Number:
        return value.ask()
    if type(value) in (list, tuple):
        return type(value)(map(asked, value))
    return value


def _arithmetic(fn: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def method(self: Number, other: Any) -> Any:
        known = type(other) is Number or isinstance(other, _PLAIN)
        return self.floats.compute(fn, self, other) if known else NotImplemented

    def reflected(self: Number, other: Any) -> Any:
        known = isinstance(other, _PLAIN)
        return self.floats.compute(fn, other, self) if known else NotImplemented

    return method, reflected


def _unary(fn: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self: self.floats.compute(fn, self)


def _comparison(fn: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Number, other: Any) -> Any:
        if isinstance(other, Tensor):
            return NotImplemented  # its own method takes it as an operand
        return fn(self.ask(), asked(other))

    return method


def _asking(name: str) -> Callable[..., Any]:
    def method(self: Number, *args: Any) -> Any:
        return getattr(self.ask(), name)(*asked(args))

    return method


for _name in ("add", "sub", "mul", "truediv", "pow", "floordiv", "mod"):
    _method, _reflected = _arithmetic(getattr(operator, _name))
    setattr(Number, f"__{_name}__", _method)
    setattr(Number, f"__r{_name}__", _reflected)
for _name in ("neg", "pos", "abs"):
    setattr(Number, f"__{_name}__", _unary(getattr(operator, _name)))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Number, f"__{_name}__", _comparison(getattr(operator, _name)))
for _name in (
    "bool", "float", "int", "hash", "str", "repr", "format", "round", "trunc", "floor", "ceil",
    "divmod", "rdivmod",
):  # fmt: skip
    setattr(Number, f"__{_name}__", _asking(f"__{_name}__"))
Number.__complex__ = lambda self: complex(self.ask())  # type: ignore[attr-defined]
