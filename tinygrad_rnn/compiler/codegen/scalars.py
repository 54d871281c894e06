"""Scalar rules as text: `y = F(1) / (F(1) + scalar.exp(-x))`, out of the ops' own definitions."""

import ast
import functools
import inspect
import textwrap
from typing import Any

import numpy as np

from ...op import Op
from ..ir import Instr, Value
from .kernel import NoCode

SHORT: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float64): "F64",
    np.dtype(bool): "BOOL",
    **{np.dtype(f"i{n}"): f"I{8 * n}" for n in (1, 2, 4, 8)},
    **{np.dtype(f"u{n}"): f"U{8 * n}" for n in (1, 2, 4, 8)},
}


@functools.cache
def _rule(op: Op) -> tuple[ast.expr, tuple[str, ...]]:
    """The expression that a one-line scalar rule returns, and the names of its arguments."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(op.fn))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    body = [n for n in tree.body if not isinstance(n, ast.Expr)]  # without the docstring
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        raise NoCode(f"{op.name}, whose scalar rule is not one return statement")
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


def working_dtype(instr: Instr) -> np.dtype[Any]:
    """The dtype in which NumPy computes a pointwise op: its inputs' own, Python numbers weak."""
    op = instr.op
    pairs = [(a, name in op.free) for a, name in zip(instr.inputs, op.inputs, strict=True)]
    arrays = [a.dtype for a, free in pairs if isinstance(a, Value) and not free]
    numbers = [a for a, free in pairs if not isinstance(a, Value) and not free]
    return np.result_type(*arrays, *numbers) if arrays else instr.out.dtype


@functools.lru_cache(10_000)  # the same text in every other recording of a function
def _written(op: Op, args: tuple[str, ...], cast: str) -> str:
    rule, names = _rule(op)
    copy = ast.parse(ast.unparse(rule), mode="eval").body
    bound = dict(zip(names, args, strict=True))
    return ast.unparse(ast.fix_missing_locations(_Substitute(bound, cast).visit(copy)))


def expression(op: Op, args: list[str], dtype: np.dtype[Any], attrs: dict[str, Any]) -> str:
    """Text of `op` applied to the texts `args`, computed in `dtype`.

    >>> from tinygrad_rnn.op import OPS
    >>> expression(OPS["sigmoid"], ["a1"], np.dtype("float32"), {})
    'scalar.sigmoid(a1)'
    """
    if op.name == "astype":
        target = np.dtype(attrs["dtype"])
        if target.kind == "b":
            return f"{args[0]} != 0"
        return f"{SHORT[target]}({args[0]})"
    if op.name == "detach":
        return args[0]
    return _written(op, tuple(args), SHORT[dtype])
