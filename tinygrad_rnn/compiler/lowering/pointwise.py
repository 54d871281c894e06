"""Rows of pointwise ops: their scalar rules as text, what a few have beside it; random ops."""

import ast
import builtins
import functools
import inspect
import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ...kernels import scalar
from ...op import OPS, Op
from ...ops import random
from ..ir import Instr, Operand, Value
from ..names import names_of
from ..own_ops import draws
from ..places import CELL
from . import sharding
from .table import Lowering, Unsupported, always, default, lower
from .text import SHORT

if TYPE_CHECKING:
    from ..codegen.group import Nest

# what generated code knows, by what a scalar rule may call otherwise
_SPELLED = {
    **{id(module): name for name, module in (("np", np), ("math", math), ("scalar", scalar))},
    **{id(f): f.__name__ for f in (abs, bool, float, int, max, min)},
}


def scalar_rule(group: Any, instr: Instr, args: list[str], dtype: np.dtype[Any]) -> str:
    """Text of a pointwise op: its own rule, with `args` for its arguments."""
    op, outside = instr.op, []
    if instr.out.dtype not in SHORT:
        raise Unsupported(f"{op.name}, which gives {instr.out.dtype}")
    for name, meant in _outside(instr.op).items():
        spelled = _spelled(meant)
        if spelled is None:
            raise Unsupported(f"{op.name}, whose scalar rule reads {name} beside np or math")
        outside.append((name, spelled))
    return _wrapped(_written(op, tuple(args), SHORT[dtype], tuple(outside)), instr, dtype)


def _outside(op: Op) -> dict[str, Any]:
    """What a scalar rule reads beside its arguments: its globals, closure and built-in names."""
    fn = op.fn
    free = names_of(fn.__code__).free
    cells = zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True)
    found = {n: fn.__globals__.get(n, getattr(builtins, n, None)) for n in sorted(free)}
    return found | {n: CELL(cell)[0] for n, cell in cells}


def _spelled(a: Any) -> str | None:
    """Generated code's word for what a scalar rule reads; None if it has none."""
    if type(a) in (int, float) and math.isfinite(a):
        return repr(a)
    return _SPELLED.get(id(a))


def _wrapped(text: str, instr: Instr, dtype: np.dtype[Any]) -> str:
    # Numba computes whole numbers in 64 bits; arrays wrap around
    return text if dtype.kind == "f" else f"{SHORT[instr.out.dtype]}({text})"


def itself(group: Any, instr: Instr, args: list[str], dtype: np.dtype[Any]) -> str:
    """Text of an op that gives each element as it is, in the result's dtype."""
    out = instr.out.dtype
    return args[0] if out == dtype else f"{SHORT[out]}({args[0]})"


@functools.cache
def _rule(op: Op) -> tuple[ast.expr, tuple[str, ...]]:
    """The expression that a one-line scalar rule returns, and the names of its arguments."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(op.fn))).body[0]
    except OSError:  # typed at a prompt
        raise Unsupported(f"{op.name}, whose source is in no file") from None
    assert isinstance(tree, ast.FunctionDef)
    body = [n for n in tree.body if not isinstance(n, ast.Expr)]  # without the docstring
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        raise Unsupported(f"{op.name}, whose scalar rule is not one return statement")
    for n in ast.walk(body[0].value):
        if isinstance(n, ast.Constant) and not isinstance(n.value, int | float):
            raise Unsupported(f"{op.name}, whose scalar rule has {n.value!r}, which is no number")
    return body[0].value, tuple(a.arg for a in tree.args.args)


def _number(a: Any, cast: str) -> str:
    """0.0447 as F32(0.0447): a bare literal would turn the expression to float64.

    With whole numbers NumPy makes float64 of a fraction, and with booleans int64 of a number.
    """
    if type(a) is float and cast not in ("F32", "F64"):
        cast = "F64"
    elif type(a) is int and cast == "BOOL":
        cast = "I64"
    return f"{cast}({a!r})"


class _Substitute(ast.NodeTransformer):
    """Arguments by what stands for them, literals by the array's dtype."""

    def __init__(self, names: dict[str, str], cast: str):
        self.names, self.cast = names, cast

    def visit_Name(self, node: ast.Name) -> Any:
        return ast.Name(self.names.get(node.id, node.id), ast.Load())

    def visit_Constant(self, node: ast.Constant) -> Any:
        return ast.parse(_number(node.value, self.cast), mode="eval").body


@functools.lru_cache(10_000)  # the same text in every other recording of a function
def _written(
    op: Op, args: tuple[str, ...], cast: str, outside: tuple[tuple[str, str], ...] = ()
) -> str:
    """Text of `op` applied to the texts `args`, its numbers cast by `cast`.

    >>> _written(OPS["sigmoid"], ("a1",), "F32")
    'scalar.sigmoid(a1)'
    """
    rule, names = _rule(op)
    copy = ast.parse(ast.unparse(rule), mode="eval").body
    words = {n: w if w.isidentifier() else _number(ast.literal_eval(w), cast) for n, w in outside}
    bound = words | dict(zip(names, args, strict=True))
    return ast.unparse(ast.fix_missing_locations(_Substitute(bound, cast).visit(copy)))


def composite(op: Op) -> bool:
    """Whether a scalar rule calls what generated code has no word for: other ops, as a rule.

    It is run on symbols, then, and those ops are what has code.
    """
    return any(_spelled(a) is None for a in _outside(op).values())


def _astype(group: Any, instr: Instr, args: list[str], dtype: np.dtype[Any]) -> str:
    target = np.dtype(instr.attrs["dtype"])
    text = f"{args[0]} != 0" if target.kind == "b" else f"{SHORT[target]}({args[0]})"
    return _wrapped(text, instr, dtype)


def _detach(group: Any, instr: Instr, args: list[str], dtype: np.dtype[Any]) -> str:
    return _wrapped(args[0], instr, dtype)


def _needs_no_gradient(instr: Instr) -> Operand | None:
    x = instr.inputs[0]
    return x if isinstance(x, Value) and not x.needs else None


def _square(instr: Instr) -> tuple[str, tuple[Operand, ...]] | None:
    x, n = instr.inputs
    same = isinstance(x, Value) and x.dtype == instr.out.dtype  # bool ** 2 is a whole number
    return ("square", (x,)) if same and not isinstance(n, Value) and n == 2 else None


def _floats(instr: Instr) -> bool:
    return instr.out.dtype.kind == "f"  # NumPy refuses negative powers of whole numbers


def pointwise(op: Op, **row: Any) -> None:
    """Declare what a pointwise op has beside its scalar rule."""
    lower(op, **{"element": scalar_rule, "shard": sharding.elementwise, **row})


default["pointwise"] = Lowering(element=scalar_rule, shard=sharding.elementwise)
pointwise(OPS["add"], shard=sharding.additive, adds=True)
pointwise(OPS["sub"], shard=sharding.additive)
pointwise(OPS["neg"], shard=sharding.scaling())
pointwise(OPS["mul"], shard=sharding.scaling())
pointwise(OPS["div"], shard=sharding.scaling(divisor=True))
pointwise(OPS["pow"], supports=_floats, simpler=_square)
pointwise(OPS["astype"], element=_astype)
pointwise(OPS["detach"], element=_detach, same_as=_needs_no_gradient, is_view=True)

# random numbers ---------------------------------------------------------------------------

lower(random.draw, numbers_draws=True)
lower(draws, numbers_draws=True)
lower(random.uniform, draws=True)
lower(random.normal, draws=True)


def _dropped(group: "Nest", instr: Instr, args: list[str], dtype: Any) -> str:
    """x / (1 - p) where the draw keeps the element: its number counts in the whole array."""
    code, out, key = group.code, instr.out, instr.inputs[1]
    assert isinstance(key, Value)
    keys, number = code.view(key), group.number(out)
    p = instr.attrs["p"]
    threshold, scale = code.number(p, np.float64), code.number(1 / (1 - p), out.dtype)
    kept = f"keeps({keys}[0], {keys}[1], {number}, {threshold})"
    return f"{args[0]} * {scale} if {kept} else {SHORT[out.dtype]}(0)"


lower(random.drop, fuses=always, element=_dropped, shard=sharding.elementwise)
