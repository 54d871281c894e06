"""Which of our functions, or which few of them, a name of NumPy's is."""

import math
from typing import Any

import numpy as onp

import tinygrad_rnn as tg

SAME = """abs add all any argmax argmin argsort astype broadcast_to ceil clip concat copysign cos cosh
    cumprod diagonal diff divide einsum equal exp expand_dims expm1 floor floor_divide greater
    greater_equal hypot isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp
    logical_and logical_not logical_or logical_xor matmul max maximum mean meshgrid min minimum
    moveaxis multiply nan_to_num negative nextafter nonzero not_equal pad positive prod reciprocal
    remainder repeat reshape roll round searchsorted sign signbit sin sinh sort sqrt square squeeze
    stack std subtract sum swapaxes take take_along_axis tan tanh tensordot tile trace tril triu
    trunc unstack var vecdot where outer acos acosh asin asinh atan atan2 atanh pow"""
RENAMED = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "concatenate": "concat",
    "fabs": "abs", "mod": "remainder", "power": "pow", "true_divide": "divide",
    "invert": "bitwise_invert", "amax": "max", "amin": "min",
}  # fmt: skip


def array(x: Any) -> Any:
    """Nested lists of tensors and numbers."""
    if isinstance(x, list | tuple):
        dtype = next((t.dtype for t in _tensors(x)), onp.dtype(float))
        rows = [array(v) if not isinstance(v, float | int) else tg.tensor(v, dtype) for v in x]
        return tg.stack(rows, axis=0)
    return x


def _tensors(x: Any) -> Any:
    for v in x if isinstance(x, list | tuple) else ():
        yield from [v] if isinstance(v, tg.Tensor) else _tensors(v)


def dot(a: Any, b: Any) -> Any:
    """A product of numbers, vectors or matrices, or over the last axis and the last but one."""
    if onp.ndim(a) == 0 or onp.ndim(b) == 0:
        return tg.multiply(a, b)
    if b.ndim <= 2:
        return tg.matmul(a, b)
    return tg.tensordot(a, b, ([a.ndim - 1], [b.ndim - 2]))


def inner(a: Any, b: Any) -> Any:
    """Over the last axes."""
    if onp.ndim(a) == 0 or onp.ndim(b) == 0:
        return tg.multiply(a, b)
    return tg.tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))


def outer(a: Any, b: Any) -> Any:
    """Of flattened arrays."""
    return tg.outer(tg.reshape(a, (-1,)), tg.reshape(b, (-1,)))


def kron(a: Any, b: Any) -> Any:
    """Blocks of b, each times a number of a."""
    n = max(onp.ndim(a), onp.ndim(b))
    a, b = (tg.reshape(x, (1,) * (n - onp.ndim(x)) + tuple(onp.shape(x))) for x in (a, b))
    wide = [s for m in a.shape for s in (m, 1)], [s for m in b.shape for s in (1, m)]
    y = tg.reshape(a, tuple(wide[0])) * tg.reshape(b, tuple(wide[1]))
    return tg.reshape(y, tuple(p * q for p, q in zip(a.shape, b.shape, strict=True)))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1,
          axis: int | None = None) -> Any:  # fmt: skip
    """Of vectors with three parts."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = tg.unstack(a, axis=axisa), tg.unstack(b, axis=axisb)
    parts = [x[i] * y[j] - x[j] * y[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return tg.stack(parts, axis=axisc)


def atleast(n: int) -> Any:
    """With so many axes."""

    def call(x: Any) -> Any:
        if x.ndim >= n:
            return x
        shape = {1: (1,), 2: (1, x.size)}.get(n)
        if n == 3:
            shape = (1, x.size, 1) if x.ndim < 2 else (*x.shape, 1)
        return tg.reshape(x, shape)

    return call


def joined(atleast_n: Any, axis: int) -> Any:
    """vstack, hstack, column_stack: arrays given axes, then joined."""

    def call(xs: Any) -> Any:
        rows = [atleast_n(x) for x in (tg.unstack(xs) if isinstance(xs, tg.Tensor) else xs)]
        return tg.concat(rows, axis=0 if axis == 1 and rows[0].ndim == 1 else axis)

    return call


def column(x: Any) -> Any:
    """A vector as a column."""
    return tg.reshape(x, (-1, 1)) if x.ndim < 2 else x


def split(x: Any, parts: Any, axis: int = 0) -> Any:
    """Into equal parts, or at places."""
    n = x.shape[axis]
    if isinstance(parts, int):
        sizes = [n // parts + (k < n % parts) for k in range(parts)]
    else:
        ends = [min(p, n) for p in parts]
        sizes = onp.diff([0, *ends, n]).tolist()
    return tg.split(x, sizes, axis=axis)


def gradient(x: Any, axis: Any = None) -> Any:
    """Half the difference of both neighbours; at the ends the difference of one."""
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    found = []
    for a in axes:
        y = tg.moveaxis(x, a, 0)
        y = tg.concat(y[1:2] - y[:1], (y[2:] - y[:-2]) / 2, y[-1:] - y[-2:-1], axis=0)
        found.append(tg.moveaxis(y, 0, a))
    return found if len(found) > 1 else found[0]


def diag(x: Any, k: int = 0) -> Any:
    """The diagonal of a matrix, or a matrix of a diagonal."""
    if x.ndim == 2:
        return tg.diagonal(x, offset=k)
    n = x.shape[0] + abs(k)
    rows = onp.eye(n, k=k)[:, max(k, 0) : max(k, 0) + x.shape[0]]
    wide = tg.pad(x, (max(k, 0), max(-k, 0)))
    return tg.tensor(onp.eye(n, k=k)) * wide if rows.size else x


def make_diagonal(x: Any, offset: int = 0, axis1: int = -1, axis2: int = -2) -> Any:
    """Matrices of diagonals."""
    return tg.expand_dims(x, -1) * onp.eye(x.shape[-1])


def einsum(*args: Any) -> Any:
    """With letters, or with numbers for axes after each operand."""
    if isinstance(args[0], str):
        return tg.einsum(*args)
    letter = lambda axes: "".join("..." if a is Ellipsis else chr(97 + a) for a in axes)  # noqa: E731
    operands, names = args[:-1:2], [letter(a) for a in args[1:-1:2]]
    if len(args) % 2:
        return tg.einsum(",".join(names) + "->" + letter(args[-1]), *operands)
    return tg.einsum(",".join([*names, letter(args[-1])]), *args[::2])


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Axes as numbers or pairs of lists."""
    if not isinstance(axes, int):
        axes = tuple([n] if isinstance(n, int) else list(n) for n in axes)
        axes = tuple([k % x.ndim for k in n] for n, x in zip(axes, (a, b), strict=True))
    return tg.tensordot(a, b, axes)


def partition(x: Any, kth: int, axis: int = -1) -> Any:
    """In NumPy's order of it."""
    return tg.take_along_axis(x, onp.argpartition(x.detach().numpy(), kth, axis), axis=axis)


def select(conditions: Any, choices: Any, default: float = 0.0) -> Any:
    """The first choice whose condition holds."""
    y = default
    for condition, x in list(zip(conditions, choices, strict=True))[::-1]:
        y = tg.where(condition, x, y)
    return y


def rollaxis(x: Any, axis: int, start: int = 0) -> Any:
    """NumPy's older moveaxis."""
    return tg.moveaxis(x, axis, start - (start > axis))


def spread(function: Any) -> Any:
    """var and std of lists, with ddof."""
    return lambda x, axis=None, ddof=0, keepdims=False: function(
        array(x), axis=axis, correction=ddof, keepdims=keepdims)  # fmt: skip


def cumsum(x: Any, axis: int | None = None) -> Any:
    """Of the flattened array without an axis."""
    return tg.cumsum(x.flatten() if axis is None else x, axis=axis or 0)


def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """Flattened without an axis."""
    x, values = array(x), array(values)
    values = values if isinstance(values, tg.Tensor) else tg.tensor(values, x.dtype)
    return tg.concat(x, values, axis=axis)


def linspace(a: Any, b: Any, num: int = 50) -> Any:
    """Between tensors."""
    return a + (b - a) * onp.linspace(0, 1, num)


def transpose(x: Any, axes: Any = None) -> Any:
    """All axes in reverse order, or in an order."""
    return x.T if axes is None else tg.permute_dims(x, tuple(axes))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Of tensors."""
    return tg.repeat(x, repeats, axis=axis)


def pad(x: Any, width: Any, mode: str) -> Any:
    """With zeros; a pair of one number serves both sides."""
    return tg.pad(x, width)


def stack(xs: Any, axis: int = 0) -> Any:
    """Of a list."""
    return tg.stack(list(xs), axis=axis)


def fmax(a: Any, b: Any) -> Any:
    """The larger, NaN being no number."""
    return tg.where(tg.isnan(a), b, tg.where(tg.isnan(b), a, tg.maximum(a, b)))


def fmin(a: Any, b: Any) -> Any:
    """The smaller, NaN being no number."""
    return tg.where(tg.isnan(a), b, tg.where(tg.isnan(b), a, tg.minimum(a, b)))


MADE = {
    "append": append, "array": array, "asarray": array, "array_split": split,
    "atleast_1d": atleast(1), "atleast_2d": atleast(2), "atleast_3d": atleast(3),
    "clip": lambda x, a_min, a_max: tg.clip(x, a_min, a_max),
    "column_stack": joined(column, 1), "cross": cross, "cumsum": cumsum,
    "deg2rad": lambda x: x * (math.pi / 180), "degrees": lambda x: x * (180 / math.pi),
    "diag": diag, "diagflat": diag, "dot": dot, "dsplit": lambda x, p: split(x, p, 2),
    "einsum": einsum, "exp2": lambda x: tg.exp(x * math.log(2)), "fliplr": lambda x: tg.flip(x, 1),
    "flipud": lambda x: tg.flip(x, 0), "fmax": fmax, "fmin": fmin, "gradient": gradient,
    "hsplit": lambda x, p: split(x, p, 1), "hstack": joined(atleast(1), 1), "inner": inner,
    "kron": kron, "linspace": linspace,
    "logaddexp2": lambda a, b: tg.logaddexp(a * math.log(2), b * math.log(2)) / math.log(2),
    "make_diagonal": make_diagonal, "mean": lambda x, axis=None, keepdims=False: tg.mean(
        array(x), axis=axis, keepdims=keepdims), "ndim": lambda x: x.ndim, "outer": outer,
    "pad": pad, "partition": partition, "rad2deg": lambda x: x * (180 / math.pi),
    "radians": lambda x: x * (math.pi / 180), "ravel": lambda x: x.flatten(), "repeat": repeat,
    "rollaxis": rollaxis, "rot90": lambda x: tg.flip(x.T, 0), "row_stack": joined(atleast(2), 0),
    "select": select, "sinc": lambda x: tg.where(x == 0, 1.0, tg.sin(math.pi * x) / tg.where(
        x == 0, 1.0, math.pi * x)), "split": split, "stack": stack, "std": spread(tg.std),
    "tensordot": tensordot, "transpose": transpose, "var": spread(tg.var),
    "vsplit": lambda x, p: split(x, p, 0), "vstack": joined(atleast(2), 0),
    "tile": lambda x, reps: tg.tile(x, reps),
}  # fmt: skip
OURS = {name: getattr(tg, name) for name in SAME.split()}
NAMES = {**OURS, **{theirs: getattr(tg, own) for theirs, own in RENAMED.items()}, **MADE}
