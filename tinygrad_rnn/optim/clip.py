"""Gradient clipping, by norm and by value."""

import math
from collections.abc import Iterable

from .._tensor import Tensor
from ..errors import AnomalyError
from ..kernels import gemm, update
from ..op import Array


def _groups(params: Iterable[Tensor] | Tensor) -> tuple[list[list[Array]], float]:
    """Gradient arrays in C order, one list a dtype, and the norm of all together."""
    tensors = [params] if isinstance(params, Tensor) else params
    grads = [g for p in tensors if (g := p.grad) is not None]
    arrays = [g._array for g in grads]
    total = update.norm(arrays)
    if total is not None:
        return [arrays], total
    groups: dict[str, list[Array]] = {}
    for g in grads:
        if not g._array.flags.carray:
            g._array = g._array.copy()
        groups.setdefault(g._array.dtype.char, []).append(g._array)
    found = list(groups.values())
    return found, math.hypot(*[update.norm(group) or 0.0 for group in found])


def _limit(grads: list[Array], factor: float = 1.0, bound: float = math.inf) -> None:
    update.limit(grads, factor, bound)
    for g in grads:
        gemm.forget(g)  # gradients may have served as matrices themselves


def clip_grad_norm_(
    params: Iterable[Tensor] | Tensor, max_norm: float, error_if_nonfinite: bool = True
) -> float:
    """Scale all gradients so that their norm together is at most `max_norm`.

    g = g min(1, max_norm / ||g||): Pascanu, Mikolov and Bengio, ICML 2013. Returns
    the norm before clipping. A norm that is not finite raises AnomalyError and
    leaves the gradients untouched, unless `error_if_nonfinite` is False.

    >>> import tinygrad_rnn as tg
    >>> w = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> (0.5 * w * w).sum().backward()
    >>> clip_grad_norm_([w], 1.0)
    5.0
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be positive, got {max_norm}")
    groups, norm = _groups(params)
    if not math.isfinite(norm):
        if error_if_nonfinite:
            raise AnomalyError(
                f"clip_grad_norm_: the norm of the gradients is {norm}; the gradients are as they "
                "were. Find the first op with detect_anomaly(), or lower the learning rate"
            )
        return norm
    if norm > max_norm:
        for g in groups:
            _limit(g, factor=max_norm / norm)
    return norm


def clip_grad_value_(params: Iterable[Tensor] | Tensor, clip_value: float) -> float:
    """Limit every gradient value to [-clip_value, clip_value]; NaN stays NaN.

    Returns the norm before clipping.
    """
    if not clip_value > 0:
        raise ValueError(f"clip_grad_value_: clip_value must be positive, got {clip_value}")
    groups, norm = _groups(params)
    for g in groups:
        _limit(g, bound=clip_value)
    return norm
