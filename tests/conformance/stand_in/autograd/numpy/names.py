"""Which of our functions a name of NumPy's is; nine that are none have a recipe.

NAMES_ALONE in the environment leaves the recipes out.
"""

import os
from typing import Any

import numpy as onp

import tinygrad_rnn as tg

SAME = """abs add all any argmax argmin argsort astype broadcast_to ceil clip concat copysign cos cosh
    cumprod cumsum diagonal diff divide einsum equal exp expand_dims expm1 floor floor_divide greater
    greater_equal hypot isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp
    logical_and logical_not logical_or logical_xor matmul max maximum mean meshgrid min minimum
    moveaxis multiply nan_to_num negative nextafter nonzero not_equal pad positive prod reciprocal
    remainder repeat reshape roll round searchsorted sign signbit sin sinh sort sqrt square squeeze
    stack std subtract sum swapaxes take take_along_axis tan tanh tensordot tile trace tril triu
    trunc unstack var vecdot where outer acos acosh asin asinh atan atan2 atanh pow append
    array_split asarray atleast_1d atleast_2d atleast_3d column_stack deg2rad degrees diag dot dsplit
    dstack exp2 fliplr flipud fmax fmin hsplit hstack inner kron logaddexp2 rad2deg radians ravel
    rot90 select sinc vsplit vstack"""
RENAMED = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "concatenate": "concat",
    "fabs": "abs", "mod": "remainder", "power": "pow", "true_divide": "divide",
    "invert": "bitwise_invert", "amax": "max", "amin": "min", "array": "asarray",
    "diagflat": "diag", "row_stack": "vstack", "split": "array_split",
}  # fmt: skip
OPTIONS = {  # what an option of NumPy's is called
    "clip": {"a_min": "min", "a_max": "max"}, "std": {"ddof": "correction"},
    "tile": {"reps": "repetitions"}, "var": {"ddof": "correction"},
}  # fmt: skip


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1,
          axis: int | None = None) -> Any:  # fmt: skip
    """Of vectors with three parts."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = tg.unstack(a, axis=axisa), tg.unstack(b, axis=axisb)
    parts = [x[i] * y[j] - x[j] * y[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return tg.stack(parts, axis=axisc)


def gradient(x: Any, axis: Any = None) -> Any:
    """Half the difference of both neighbours; at the ends the difference of one."""
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    found = []
    for a in axes:
        y = tg.moveaxis(x, a, 0)
        y = tg.concat(y[1:2] - y[:1], (y[2:] - y[:-2]) / 2, y[-1:] - y[-2:-1], axis=0)
        found.append(tg.moveaxis(y, 0, a))
    return found if len(found) > 1 else found[0]


def make_diagonal(x: Any, offset: int = 0, axis1: int = -1, axis2: int = -2) -> Any:
    """Matrices of diagonals."""
    return tg.expand_dims(x, -1) * onp.eye(x.shape[-1])


def partition(x: Any, kth: int, axis: int = -1) -> Any:
    """In NumPy's order of it."""
    return tg.take_along_axis(x, onp.argpartition(x.detach().numpy(), kth, axis), axis=axis)


def rollaxis(x: Any, axis: int, start: int = 0) -> Any:
    """NumPy's older moveaxis."""
    return tg.moveaxis(x, axis, start - (start > axis))


def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """Of lists."""
    return tg.append(tg.asarray(x), tg.asarray(values), axis)


def linspace(a: Any, b: Any, num: int = 50) -> Any:
    """Between tensors."""
    return a + (b - a) * onp.linspace(0, 1, num)


def transpose(x: Any, axes: Any = None) -> Any:
    """All axes in reverse order, or in an order."""
    return x.T if axes is None else tg.permute_dims(x, tuple(axes))


def pad(x: Any, width: Any, mode: str) -> Any:
    """With zeros; a pair of one number serves both sides."""
    return tg.pad(x, width)


MADE = {  # by a recipe of a few lines
    "append": append, "cross": cross, "gradient": gradient, "linspace": linspace,
    "make_diagonal": make_diagonal, "pad": pad, "partition": partition, "rollaxis": rollaxis,
    "transpose": transpose,
}  # fmt: skip


def renamed(own: Any, words: dict[str, str]) -> Any:
    """A function of ours whose options NumPy calls otherwise."""
    return lambda *args, **options: own(*args, **{words.get(k, k): v for k, v in options.items()})


NAMES = {name: getattr(tg, name) for name in SAME.split()}
NAMES |= {theirs: getattr(tg, own) for theirs, own in RENAMED.items()}
NAMES |= {name: renamed(getattr(tg, name), words) for name, words in OPTIONS.items()}
NAMES["ndim"] = lambda x: x.ndim
if "NAMES_ALONE" not in os.environ:
    NAMES |= MADE
