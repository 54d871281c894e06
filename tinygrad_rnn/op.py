"""What an op is: one kernel, one gradient rule an input, one shape rule.

An op is declared once and that declaration serves eager execution, higher
derivatives, tracing and diagrams:

    @pointwise(kernel=np.tanh)
    def tanh(x):
        "Hyperbolic tangent, elementwise."
        return scalar.tanh(x)

    @tanh.vjp
    def tanh_vjp(g, y):
        return g * (1 - y * y)

Called on plain arrays an op runs its kernel; a `Traced` value among the
arguments (a Tensor) takes the call over and records it; a recorder set on
`local.now` takes every call, whatever its arguments.

`inputs.py` says what fits, `rules.py` what gradient rules read.
"""

import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from .errors import DTypeError, ShapeError, kind
from .inputs import (
    Attrs,
    Spec as Spec,
    broadcast as broadcast,
    elementwise as elementwise,
    foreign,
    of_one_dtype,
)
from .kernels import scalar as scalar
from .rules import Plan, Rule, declared, planned

__all__ = ["Op", "Spec", "broadcast", "elementwise", "pointwise", "primitive", "scalar"]
Array = np.ndarray[Any, Any]
OPS: dict[str, "Op"] = {}
# what a kernel raises for inputs that do not fit: numbers where it needs arrays, too
MISFITS = (ValueError, TypeError, IndexError, AttributeError, OverflowError)


class Traced:
    """Base of the values that take an op call over, instead of its kernel."""

    __slots__ = ()
    _array: Any  # the values

    def __apply_op__(self, op: "Op", args: tuple[Any, ...], attrs: Attrs) -> Any:
        raise NotImplementedError

    def __apply_each__(self, op: "Op", many: Sequence[dict[str, Any]]) -> list[Any]:
        """Apply an op of one input once for each of several attributes."""
        return [self.__apply_op__(op, (self,), attrs) for attrs in many]


class Now:
    """What one thread is doing: the switches that every op call looks at."""

    __slots__ = (
        "anomaly", "drawn", "grad", "jit", "recorder", "stamp", "step_held", "steps", "watch",
    )  # fmt: skip

    def __init__(self) -> None:
        self.recorder: Any = None  # takes every op call while set
        self.grad = True  # False under no_grad
        self.anomaly = False  # True under detect_anomaly
        self.jit = True  # False under disable_jit
        self.stamp: tuple[int | None, str] = (None, "")  # step and scope given to new nodes
        self.step_held = False  # True inside tg.step(): iteration must not restamp
        self.steps: list[Any] = []  # the loops over Tensors that are under way
        self.watch: Any = None  # is shown every contribution in `backward`
        self.drawn: dict[Any, Any] | None = None  # generators used, and their states before


class _Local(threading.local):
    def __init__(self) -> None:
        # one object behind one thread-local look-up (75 ns), not five of them an op
        self.now = Now()


local = _Local()


class Op:
    """A differentiable operation; call it on arrays, numbers or Tensors.

    >>> tg.tanh.inputs, tg.take.defaults
    (('x',), {'axis': 0, 'negative': True})
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        kernel: Callable[..., Any],
        shape: Callable[..., Any],
        plain: Callable[..., Any] | None = None,
        free: Sequence[str] = (),
        floats: bool = False,
        pointwise: bool = False,
        dtype: Any = None,
    ):
        self.fn, self.kernel, self.shape = fn, kernel, shape
        self.plain = plain or kernel  # for arrays that others may write to
        self.name = self.__name__ = fn.__name__
        self.__doc__, self.__module__ = fn.__doc__, fn.__module__
        parameters = inspect.signature(fn).parameters.values()
        self.inputs = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self.arity = -1 if self.variadic else len(self.inputs)
        self.__signature__ = inspect.Signature(  # `bind` takes attributes by place, too
            [p if self.variadic else p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in parameters]
        )
        self.free = frozenset(free)  # inputs whose dtype is not the op's: masks, indices
        self.floats = floats  # integers are taken as float32
        self.pointwise = pointwise  # fn is a scalar rule
        # of the result, where that is not the first input's: always one, or a rule of that
        fixed = dtype is not None and not isinstance(dtype, FunctionType)
        self.dtype = np.dtype(dtype) if fixed else dtype
        self.selective = False  # its rule takes `wanted`: which inputs' gradients to compute
        self.rules: dict[str, Rule] = {}
        self._plans: dict[int, Plan] = {}
        before = OPS.get(self.name)
        home = str(self.__module__)
        if before is not None and (before.__module__ != home or home.startswith("tinygrad_rnn.")):
            raise ValueError(
                f"an op named {self.name!r} exists already, in {before.__module__}; call yours "
                "something else"
            )
        OPS[self.name] = self  # a cell of a notebook that runs again declares its ops anew

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        recorder = local.now.recorder
        if recorder is not None:  # before all else: who watches it sees every call made here
            return recorder(self, args, attrs)
        if len(args) != self.arity or attrs.keys() != self.defaults.keys():
            args, attrs = self.bind(args, attrs)
        for a in args:
            if isinstance(a, Traced):
                return a.__apply_op__(self, args, attrs)
            if a is None:  # NumPy's sum of None is None
                raise self._no_array(a)
        for a in args:  # NumPy's tanh of another library's tensor is that library's
            if a.__class__ is not np.ndarray and foreign(a):
                raise self._no_array(a)
        try:
            return self.plain(*args, **attrs)
        except (ShapeError, DTypeError):
            raise
        except MISFITS as error:
            raise self.explain(args, attrs, error) from None

    def _no_array(self, a: Any) -> DTypeError:
        what = f"{self.name}: expected a tensor, an array or a number, got {kind(a)}"
        return DTypeError(what if a is None else f"{what}; use tg.tensor")

    def apply(self, args: tuple[Any, ...], attrs: Attrs) -> Any:
        """The call for complete arguments, whose attributes need no dict of their own."""
        if isinstance(args[0], Traced):
            return args[0].__apply_op__(self, args, attrs)
        return self(*args, **attrs)

    def each(self, x: Any, many: Sequence[dict[str, Any]]) -> list[Any]:
        """Apply an op of one input once for each of several attributes: the pieces of a chunk."""
        if isinstance(x, Traced):
            return x.__apply_each__(self, many)
        return [self(x, **attrs) for attrs in many]

    def bind(self, args: tuple[Any, ...], attrs: Attrs) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Take inputs given by name and attributes given by place; fill defaults."""
        if self.variadic:
            if len(args) <= 2 and args and isinstance(args[0], list | tuple):  # stack(xs, axis)
                attrs = {**dict(zip(self.defaults, args[1:], strict=False)), **attrs}
                args = tuple(args[0])
        elif len(args) != self.arity:
            n = self.arity
            names = list(self.defaults)
            if len(args) > n + len(names):
                raise TypeError(f"{self.name} takes {self.__signature__}, got {len(args)} values")
            attrs = {**dict(zip(names, args[n:], strict=False)), **attrs}
            missing = [m for m in self.inputs[len(args) :] if m not in attrs]
            if missing:
                raise TypeError(f"{self.name}{self.__signature__}: missing {', '.join(missing)}")
            args = args[:n] + tuple(attrs.pop(m) for m in self.inputs[len(args) :])
        full = {**self.defaults, **attrs}
        if len(full) != len(self.defaults):
            unknown = sorted(set(full) - set(self.defaults))
            words = f"{self.name}{self.__signature__}: unknown {', '.join(unknown)}"
            raise TypeError(f"{words}; write axis" if "dim" in unknown else words)
        for name, value in full.items():
            if value is inspect.Parameter.empty:
                raise TypeError(f"{self.name}{self.__signature__}: missing {name}")
        return args, full

    def vjp(self, fn: Any = None, *, kernel: Callable[..., Any] | None = None) -> Any:
        """Declare the gradient rule `<op>_vjp`, or `<op>_vjp_<input>` for one of several."""
        if fn is None:
            return lambda f: self.vjp(f, kernel=kernel)
        self.rules.update([declared(fn, kernel, self.name, self.inputs, self.defaults)])
        return fn

    def plan(self, mask: int) -> Plan:
        """Which rules run, and what they read, when the inputs in `mask` need a gradient."""
        plan = self._plans.get(mask)
        if plan is None:
            plan = planned(self.rules, self.inputs, self.variadic, mask)
            self._plans[mask] = plan
        return plan

    def promote(self, values: list[Any]) -> list[Any]:
        """Bring the inputs to one dtype: integers follow floats, two floats must agree."""
        names = self.inputs[:1] * len(values) if self.variadic else self.inputs
        return of_one_dtype(self.name, values, [n not in self.free for n in names], self.floats)

    def explain(self, values: Sequence[Any], attrs: Attrs, error: Exception) -> Exception:
        """Turn a kernel's error into one that names the op and the shapes that came."""
        specs = [Spec(np.shape(v), np.asarray(v).dtype) for v in values]
        try:
            self.shape(*specs, **attrs)
        except (ShapeError, DTypeError) as better:
            return better
        if isinstance(error, OverflowError):
            return DTypeError(f"{self.name}: {error}; convert with .astype(...)")
        # shapes of an elementwise op fit: it is the values or their dtype that do not
        kind = DTypeError if isinstance(error, TypeError) or self.pointwise else ShapeError
        came = ", ".join(f"{s.dtype}{list(s.shape)}" for s in specs)
        said = ", ".join(f"{k}={v!r}" for k, v in attrs.items())
        text = f"{self.name}({came}{', ' if said else ''}{said}): {error}"
        return kind(f"{text.rstrip('.')}; convert with .astype(...)" if self.pointwise else text)

    def __repr__(self) -> str:
        return f"<op {self.name}{self.__signature__}>"


def pointwise(
    fn: Any = None,
    *,
    kernel: Callable[..., Any] | None = None,
    free: Sequence[str] = (),
    floats: bool = False,
) -> Any:
    """Declare an elementwise op from its scalar rule.

    The rule is branch-free Python, so that it holds for one number and for a
    whole array alike; `kernel` is given where a faster array version exists.

    >>> @tg.op.pointwise(floats=True)
    ... def cubed(x):
    ...     return x * x * x
    >>> @cubed.vjp
    ... def cubed_vjp(g, x):
    ...     return g * (3 * x * x)
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> tg.grad(cubed(x), x).item()
    12.0
    """
    if fn is None:
        return lambda f: pointwise(f, kernel=kernel, free=free, floats=floats)
    shape = elementwise(fn.__name__)
    return Op(fn, kernel=kernel or fn, shape=shape, free=free, floats=floats, pointwise=True)


def primitive(
    fn: Any = None,
    *,
    shape: Callable[..., Any],
    plain: Callable[..., Any] | None = None,
    free: Sequence[str] = (),
    floats: bool = False,
    dtype: Any = None,
) -> Any:
    """Declare an op from its array kernel and its shape rule.

    `dtype` is the result's if that is always one, or a function from the first input's dtype to
    the result's; by default they are equal. `plain` is another kernel for plain arrays, where
    `fn` caches what only a Tensor can tell it to drop.

    >>> @tg.op.primitive(shape=lambda x: x.shape)
    ... def bottom_up(x):
    ...     return x[::-1]
    >>> @bottom_up.vjp
    ... def bottom_up_vjp(g):
    ...     return bottom_up(g)
    >>> bottom_up(tg.tensor([1, 2, 3]))
    tensor([3, 2, 1], int64)
    """
    if fn is None:
        return functools.partial(
            primitive, shape=shape, plain=plain, free=free, floats=floats, dtype=dtype
        )
    return Op(fn, kernel=fn, shape=shape, plain=plain, free=free, floats=floats, dtype=dtype)
