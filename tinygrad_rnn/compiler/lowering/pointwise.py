"""Rows of pointwise ops: their scalar rules as text, and what a few have beside it."""

import ast
import functools
import inspect
import textwrap
from typing import Any

import numpy as np

from ...op import OPS, Op
from ..ir import Instr, Operand, Value
from . import sharding
from .table import Lowering, Unsupported, default, lower
from .text import SHORT


def scalar_rule(group: Any, instr: Instr, args: list[str], dtype: np.dtype[Any]) -> str:
    """Text of a pointwise op: its own rule, with `args` for its arguments."""
    return _wrapped(_written(instr.op, tuple(args), SHORT[dtype]), instr, dtype)


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
    tree = ast.parse(textwrap.dedent(inspect.getsource(op.fn))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    body = [n for n in tree.body if not isinstance(n, ast.Expr)]  # without the docstring
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        raise Unsupported(f"{op.name}, whose scalar rule is not one return statement")
    return body[0].value, tuple(a.arg for a in tree.args.args)


class _Substitute(ast.NodeTransformer):
    """Arguments by what stands for them, literals by the array's dtype."""

    def __init__(self, names: dict[str, str], cast: str):
        self.names, self.cast = names, cast

    def visit_Name(self, node: ast.Name) -> Any:
        return ast.Name(self.names.get(node.id, node.id), ast.Load())

    def visit_Constant(self, node: ast.Constant) -> Any:
        # 0.0447 as np.float32(0.0447): a bare literal would turn the expression to float64
        return ast.Call(ast.Name(self.cast, ast.Load()), [node], [])


@functools.lru_cache(10_000)  # the same text in every other recording of a function
def _written(op: Op, args: tuple[str, ...], cast: str) -> str:
    """Text of `op` applied to the texts `args`, its numbers cast by `cast`.

    >>> _written(OPS["sigmoid"], ("a1",), "F32")
    'scalar.sigmoid(a1)'
    """
    rule, names = _rule(op)
    copy = ast.parse(ast.unparse(rule), mode="eval").body
    bound = dict(zip(names, args, strict=True))
    return ast.unparse(ast.fix_missing_locations(_Substitute(bound, cast).visit(copy)))


@functools.cache
def composite(op: Op) -> bool:
    """Whether a scalar rule is written in other ops, which are then what has code."""
    names = {
        n.func.id
        for n in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(op.fn))))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    return any(isinstance(op.fn.__globals__.get(n), Op) for n in names)


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
