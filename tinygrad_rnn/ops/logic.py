"""Elementwise comparisons, logic, choice and conversion."""

import operator

import numpy as np

from ..op import pointwise


@pointwise(kernel=np.where, free=["condition"])
def where(condition, a, b):
    """Choose a where the condition holds, else b, elementwise."""
    return a if condition else b


@where.vjp
def where_vjp_a(g, condition):
    return where(condition, g, 0)


@where.vjp
def where_vjp_b(g, condition):
    return where(condition, 0, g)


@pointwise(kernel=operator.eq)
def eq(a, b):
    """Equal, elementwise; boolean, without gradient."""
    return a == b


@pointwise(kernel=operator.ne)
def ne(a, b):
    """Not equal, elementwise; boolean, without gradient."""
    return a != b


@pointwise(kernel=operator.lt)
def lt(a, b):
    """Less than, elementwise; boolean, without gradient."""
    return a < b


@pointwise(kernel=operator.le)
def le(a, b):
    """Less than or equal, elementwise; boolean, without gradient."""
    return a <= b


@pointwise(kernel=operator.gt)
def gt(a, b):
    """Greater than, elementwise; boolean, without gradient."""
    return a > b


@pointwise(kernel=operator.ge)
def ge(a, b):
    """Greater than or equal, elementwise; boolean, without gradient."""
    return a >= b


@pointwise(kernel=operator.and_)
def logical_and(a, b):
    """Both, elementwise, of boolean inputs."""
    return a & b


@pointwise(kernel=operator.or_)
def logical_or(a, b):
    """Either, elementwise, of boolean inputs."""
    return a | b


@pointwise(kernel=np.logical_not)
def logical_not(x):
    """Negation, elementwise, of a boolean input."""
    return not x


@pointwise(free=["x"])
def detach(x):
    """The same values, without gradient: where truncated BPTT truncates."""
    return x


@pointwise(kernel=lambda x, *, dtype: np.asarray(x).astype(dtype), free=["x"])
def astype(x, *, dtype):
    """Convert to a dtype; the gradient is converted back. None passes to integers."""
    return x


@astype.vjp
def astype_vjp(g, x_dtype):
    return astype(g, dtype=x_dtype)
