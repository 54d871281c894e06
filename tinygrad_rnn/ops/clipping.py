"""Gradients clipped where they pass: identities whose rule bounds what flows back."""

from typing import Any

import numpy as np

from ..errors import DTypeError
from ..op import pointwise
from .pointwise import clip, maximum
from .reduce import norm as _norm

__all__ = ["clip_gradient"]


@pointwise(kernel=lambda x, limit: np.array(x))
def clip_gradient_value(x, limit):
    """The same values; the gradient is limited to [-limit, limit] elementwise."""
    return x


@clip_gradient_value.vjp
def clip_gradient_value_vjp_x(g, limit):
    return clip(g, -limit, limit)


@pointwise(kernel=lambda x, limit: np.array(x))
def clip_gradient_norm(x, limit):
    """The same values; each row of the gradient is scaled to a norm of at most `limit`."""
    return x


@clip_gradient_norm.vjp
def clip_gradient_norm_vjp_x(g, limit):
    return g * (limit / maximum(_norm(g, axis=-1, keepdims=True), limit))


def clip_gradient(x: Any, *, value: float | None = None, norm: float | None = None) -> Any:
    """Return x as it is, and bound the gradient that flows back through it.

    `value`: dL/dx = min(max(g, -value), value) elementwise, as Graves (arXiv:1308.0850)
    clips the derivatives at each step. `norm`: dL/dx = g min(1, norm / |g|) with |g| of
    each row along the last axis, which for a state (N, H) is each sample on its own: what
    Pascanu, Mikolov and Bengio (ICML 2013) do to the whole gradient. NaN stays NaN.

    On the state of a recurrence it acts at every step on all that comes from later, so a
    product of T Jacobians cannot grow without bound; `optim.clip_grad_norm_` sees only the
    sum. It is an op like others: under `tg.jit`, in diagrams and in higher derivatives (of
    the gradient as it is clipped). Raises ValueError unless exactly one of them
    is given and it is positive, DTypeError for integers.

    >>> x = tg.tensor([3.0, -0.1], requires_grad=True)
    >>> (clip_gradient(x, value=1.0) ** 2).sum().backward()
    >>> x.grad.tolist()
    [1.0, -0.20000000298023224]
    """
    if (value is None) == (norm is None):
        raise ValueError("clip_gradient: give value= or norm=, one of them")
    limit = value if norm is None else norm
    if isinstance(limit, bool) or not isinstance(limit, int | float | np.number) or not limit > 0:
        name = "value" if norm is None else "norm"
        raise ValueError(f"clip_gradient: {name} must be a positive number, got {limit!r}")
    if getattr(x, "dtype", np.dtype(float)).kind != "f":
        raise DTypeError(f"clip_gradient: only floats have gradients, x is {x.dtype}")
    if norm is not None and not x.ndim:
        return clip_gradient_value(x, float(limit))  # of one value the norm is its size
    op = clip_gradient_value if norm is None else clip_gradient_norm
    return op(x, float(limit))
