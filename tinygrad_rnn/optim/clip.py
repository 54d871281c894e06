"""Gradient clipping, by norm and by value."""

import math
from collections.abc import Iterable
from numbers import Real

import numpy as np

from ..errors import AnomalyError, GraphError
from ..kernels import update
from ..op import Array
from ..tensors import Tensor


def _groups(params: Iterable[Tensor] | Tensor) -> tuple[list[Tensor], list[list[Array]], float]:
    """Gradients, their arrays in C order, one list a dtype, and the norm of all together."""
    tensors = [params] if isinstance(params, Tensor) else params
    try:
        grads = [g for p in tensors if (g := p.grad) is not None]
    except AttributeError as error:
        raise GraphError(
            f"clip_grad: needs parameters, as model.parameters() or optimizer.params ({error})"
        ) from None
    arrays = [g._array for g in grads]
    total = update.norm(arrays)
    if total is not None:
        return grads, [arrays], total
    groups: dict[str, list[Array]] = {}
    for g in grads:
        if not g._array.flags.carray:
            g._array = g._array.copy()
        groups.setdefault(g._array.dtype.char, []).append(g._array)
    found = list(groups.values())
    return grads, found, math.hypot(*[update.norm(group) or 0.0 for group in found])


def _written(grads: Iterable[Tensor]) -> None:
    for g in grads:
        g.bump_version()  # a graph may have saved it: another loss made of the gradients


def _norm(groups: list[list[Array]], p: float) -> float:
    """The p-norm of all numbers together; divided by the greatest, so that no power overflows."""
    arrays = [g for group in groups for g in group if g.size]
    top = float(np.max([np.abs(g).max() for g in arrays], initial=0.0))
    if not 0 < top < math.inf or p == math.inf:
        return top
    sums = [float(np.sum(np.abs(g.astype(np.float64) / top) ** p)) for g in arrays]
    return top * float(sum(sums) ** (1 / p))


def clip_grad_norm_(
    params: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = True,
) -> float:
    """Scale all gradients so that their norm together is at most `max_norm`.

    g = g min(1, max_norm / ||g||): Pascanu, Mikolov and Bengio, ICML 2013. Returns
    the norm before clipping: the Euclidean one, or for another norm_type p above 0
    (sum |g|^p)^(1/p), the greatest |g| where p is infinite. A norm that is not finite raises
    AnomalyError and leaves the gradients untouched, unless `error_if_nonfinite` is False.

    >>> w = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> (0.5 * w * w).sum().backward()
    >>> clip_grad_norm_([w], 1.0)
    5.0
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be positive, got {max_norm}")
    if isinstance(norm_type, bool) or not isinstance(norm_type, Real) or not norm_type > 0:
        raise ValueError(
            f"clip_grad_norm_: norm_type must be a number above 0 or infinity, got {norm_type!r}"
        )
    grads, groups, norm = _groups(params)
    if norm_type != 2:
        norm = _norm(groups, float(norm_type))
    if not math.isfinite(norm):
        if error_if_nonfinite:
            raise AnomalyError(
                f"clip_grad_norm_: the norm of the gradients is {norm}; the gradients are as they "
                "were. Find the first op with detect_anomaly(), or lower the learning rate"
            )
        return norm
    if norm > max_norm:
        for arrays in groups:
            update.limit(arrays, factor=max_norm / norm)
        _written(grads)
    return norm


def clip_grad_value_(params: Iterable[Tensor] | Tensor, clip_value: float) -> float:
    """Limit every gradient value to [-clip_value, clip_value]; NaN stays NaN.

    Returns the norm before clipping.

    >>> w = tg.tensor([3.0, 0.1], requires_grad=True)
    >>> (0.5 * w * w).sum().backward()
    >>> norm = clip_grad_value_([w], 1.0)
    >>> [round(g, 2) for g in w.grad.tolist()]
    [1.0, 0.1]
    """
    if not clip_value > 0:
        raise ValueError(f"clip_grad_value_: clip_value must be positive, got {clip_value}")
    grads, groups, norm = _groups(params)
    for arrays in groups:
        update.limit(arrays, bound=clip_value)
    _written(grads)
    return norm
