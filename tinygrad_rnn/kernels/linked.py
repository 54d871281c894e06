"""Functions that generated kernels call by address, compiled once on a machine for all of them.

A function called the usual way is linked into its caller and optimised there again: with
the products of an LSTM so, its two kernels took twice as long to compile. Here a kernel
has only the call of a symbol, which `define` gives an address before it is compiled or
read from disk; one that is missing then would end the process.
"""

import inspect
import logging
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.errors import NumbaError
from numba.extending import intrinsic
from numba.np import numpy_support

from . import blas
from .flags import CHECKED, DISABLED, jit
from .views import as_matrix

_log = logging.getLogger(__name__)
NUMBER = "number"  # as an argument: one number of the arrays' dtype
_FLOATS = (types.float32, types.float64)


@dataclass(eq=False)
class _Function:
    """A function, the dtypes it is for, and those it is compiled for."""

    name: str
    kernels: dict[Any, Any]
    arguments: tuple[Any, ...]
    returns: Any
    defined: set[Any] = field(default_factory=set)

    def signature(self, dtype: Any) -> Any:
        """Types of arguments and result for arrays of a dtype."""
        return self._type(self.returns, dtype)(*[self._type(a, dtype) for a in self.arguments])

    def _type(self, a: Any, dtype: Any) -> Any:
        if isinstance(a, int):
            return types.Array(dtype, a, "A")
        return dtype if a == NUMBER else a

    def symbol(self, dtype: Any) -> str:
        """Name by which kernels on disk know it."""
        return f"tinygrad_rnn.{self.name}.{dtype}"

    def define(self, dtype: Any) -> None:
        """Compile for a dtype, or read from disk, and make the address known."""
        if dtype in self.defined or dtype not in self.kernels:
            return
        kernel, arguments = self.kernels[dtype], self.signature(dtype).args
        try:
            kernel.compile(arguments)
        except NumbaError:
            raise
        except Exception as error:  # what is on disk is damaged, or cannot be written
            _log.warning("%s is compiled anew, and not kept: %s", self.name, error)
            kernel = self.kernels[dtype] = numba.jit(**kernel.targetoptions)(kernel.py_func)
            kernel.compile(arguments)
        compiled = kernel.overloads[arguments]
        address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        llvmlite.binding.add_symbol(self.symbol(dtype), address)
        self.defined.add(dtype)


_functions: list[_Function] = []


def define(dtypes: Iterable[Any], names: Container[str] | None = None) -> None:
    """Make the functions of these names, or all, callable for arrays of these NumPy dtypes."""
    blas.define()
    for dtype in {numpy_support.from_dtype(d) for d in dtypes}:
        for function in _functions:
            if names is None or function.name in names:
                function.define(dtype)


def linked(
    *arguments: Any,
    returns: Any = types.none,
    dtypes: tuple[Any, ...] = _FLOATS,
    float64: Callable[..., Any] | None = None,
    twin: Callable[..., Any] | None = None,
    reassoc: bool = False,
) -> Any:
    """Decorate a function of arrays, all of one dtype, for generated kernels to call.

    `arguments` says what each is: the rank of an array, NUMBER, or a Numba type. Arrays come
    with any strides; a row, or a contiguous stack of matrices, stands for a matrix.
    `float64` is another body for that dtype; under NUMBA_DISABLE_JIT it is `twin`, or the
    function itself.
    """

    def decorate(fn: Any) -> Any:
        if DISABLED:
            return twin or fn
        kernels = dict.fromkeys(dtypes, jit(fn, reassoc=reassoc))
        if float64 is not None:
            kernels[types.float64] = jit(float64)
        function = _Function(fn.__name__, kernels, arguments, returns)
        _functions.append(function)
        return _caller(fn, function)

    return decorate


def _fits(given: Any, wanted: Any) -> bool:
    """Whether an array can stand for one of the wanted rank; for a matrix any contiguous one."""
    if not isinstance(wanted, types.Array):
        return True
    if not isinstance(given, types.Array) or given.dtype != wanted.dtype:
        return False
    one = given.ndim == 1 or given.layout == "C"
    return given.ndim == wanted.ndim or (wanted.ndim == 2 and one)


def _caller(fn: Any, function: _Function) -> Any:
    """What a call of the function compiles to."""

    def typing(typingctx: Any, *given: Any) -> Any:
        arrays = [a.dtype for a in given if isinstance(a, types.Array)]
        dtype = arrays[0] if arrays else next(iter(function.kernels))
        inner = function.signature(dtype)
        if dtype not in function.kernels or not all(map(_fits, given, inner.args)):
            return None
        outer = [
            a if isinstance(a, types.Array) else b for a, b in zip(given, inner.args, strict=True)
        ]

        def codegen(
            context: BaseContext, builder: ir.IRBuilder, _: Any, args: Sequence[ir.Value]
        ) -> ir.Value:
            operands = [
                v if a is b or a.ndim == b.ndim else as_matrix(context, builder, a, v)
                for a, b, v in zip(outer, inner.args, args, strict=True)
            ]
            resty, convention = inner.return_type, context.call_conv
            callee = cgutils.get_or_insert_function(
                builder.module,
                convention.get_function_type(resty, inner.args),
                function.symbol(dtype),
            )
            status, result = convention.call_function(builder, callee, resty, inner.args, operands)
            if CHECKED:  # nothing else raises in them
                with cgutils.if_unlikely(builder, status.is_error):
                    convention.return_status_propagate(builder, status)
            return result

        return inner.return_type(*outer), codegen

    typing.__name__ = fn.__name__
    own = inspect.signature(fn).parameters.values()
    first = inspect.Parameter("typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    typing.__signature__ = inspect.Signature([first, *own])
    return intrinsic(typing)
