"""Losses, all with reduction "mean", "sum" or "none" and a mask.

A mask is true where a value counts; the mean is over those. It broadcasts
against the unreduced loss. An empty mean is NaN, as in PyTorch.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor, constant, to_array
from ..errors import DTypeError, ShapeError


def _reduce(name: str, loss: Tensor, reduction: str, mask: Any, weight: Any = None) -> Tensor:
    """Apply mask and reduction; `weight` replaces the count in a weighted mean."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    count: Any = float(loss.size)
    if mask is not None:
        keep = mask if isinstance(mask, Tensor) else constant(np.asarray(mask))
        if keep.dtype.kind != "b":
            raise DTypeError(f"{name}: the mask must be boolean, got {keep.dtype}")
        try:
            keep = ops.broadcast_to(keep, shape=loss.shape)
        except ShapeError:
            raise ShapeError(
                f"{name}: the mask {keep.shape} does not broadcast to the loss {loss.shape}"
            ) from None
        loss, count = ops.where(keep, loss, 0), ops.sum(ops.astype(keep, dtype=loss.dtype))
        if weight is not None:
            weight = ops.where(keep, weight, 0)
    if reduction == "none":
        return loss
    total: Tensor = ops.sum(loss)
    if reduction == "sum":
        return total
    if weight is not None:
        return total / ops.sum(weight)
    if isinstance(count, Tensor):
        return total / ops.where(count > 0, count, math.nan)
    return total / (count or math.nan)


def _pair(name: str, x: Any, target: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(target, Tensor):
        target = constant(to_array(target))
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: prediction {x.shape} and target {target.shape} must have equal shapes "
            "(they would broadcast, and average the wrong differences)"
        )
    return x, target


def mse_loss(x: Any, target: Any, reduction: str = "mean", mask: Any = None) -> Tensor:
    """Squared error (x - target)^2.

    >>> import tinygrad_rnn as tg
    >>> mse_loss(tg.tensor([1.0, 3.0]), tg.tensor([0.0, 1.0])).item()
    2.5
    """
    x, target = _pair("mse_loss", x, target)
    return _reduce("mse_loss", ops.square(x - target), reduction, mask)


def l1_loss(x: Any, target: Any, reduction: str = "mean", mask: Any = None) -> Tensor:
    """Absolute error |x - target|."""
    x, target = _pair("l1_loss", x, target)
    return _reduce("l1_loss", ops.abs(x - target), reduction, mask)


def huber_loss(
    x: Any, target: Any, delta: float = 1.0, reduction: str = "mean", mask: Any = None
) -> Tensor:
    """d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2): Huber (1964)."""
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")
    x, target = _pair("huber_loss", x, target)
    d = ops.abs(x - target)
    inner = ops.minimum(d, float(delta))
    return _reduce("huber_loss", inner * (d - 0.5 * inner), reduction, mask)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, reduction: str = "mean", mask: Any = None
) -> Tensor:
    """-t log s(x) - (1 - t) log(1 - s(x)), s the sigmoid, in the stable form softplus(x) - t x."""
    x, target = _pair("binary_cross_entropy_with_logits", x, target)
    loss = ops.softplus(x) - target * x
    return _reduce("binary_cross_entropy_with_logits", loss, reduction, mask)


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    mask: Any = None,
) -> Tensor:
    """-log softmax(x)[target]: logits (..., classes), class numbers (...).

    The classes are on the last axis, whatever axes come before (PyTorch has them
    second). `weight` (classes,) scales each class, and the mean is then divided by
    the weights' sum; targets equal to `ignore_index` do not count.

    >>> import tinygrad_rnn as tg
    >>> round(cross_entropy(tg.zeros(2, 4), tg.tensor([0, 3])).item(), 4)
    1.3863
    """
    classes = target if isinstance(target, Tensor) else constant(np.asarray(target))
    if classes.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: targets must be class numbers, got {classes.dtype}")
    if classes.shape != x.shape[:-1]:
        raise ShapeError(
            f"cross_entropy: targets must be {x.shape[:-1]} for logits {x.shape} with the classes "
            f"last, got {classes.shape}"
        )
    kept = ops.ne(classes, ignore_index)
    used = ops.where(kept, classes, 0)
    loss: Tensor = ops.softmax_cross_entropy(x, used)
    if mask is None:
        mask = kept
    else:
        own = mask if isinstance(mask, Tensor) else constant(np.asarray(mask))
        mask = ops.logical_and(kept, own)
    scale = None
    if weight is not None:
        table = weight if isinstance(weight, Tensor) else constant(to_array(weight, x.dtype))
        if table.shape != x.shape[-1:]:
            raise ShapeError(f"cross_entropy: weight must be {x.shape[-1:]}, got {table.shape}")
        scale = ops.take(table, used)
        loss = loss * scale
    return _reduce("cross_entropy", loss, reduction, mask, scale)


def quantile_loss(
    x: Any,
    target: Any,
    quantiles: float | Sequence[float],
    reduction: str = "mean",
    mask: Any = None,
) -> Tensor:
    """Pinball loss max(q d, (q - 1) d), d = target - x: Koenker and Bassett (1978).

    One quantile: x has the target's shape. Several: x has one more last axis, a
    value for each.
    """
    many = isinstance(quantiles, Sequence)
    qs = [float(q) for q in quantiles] if isinstance(quantiles, Sequence) else [float(quantiles)]
    if not qs or not all(0 < q < 1 for q in qs):
        raise ValueError(f"quantile_loss: quantiles must be between 0 and 1, got {quantiles}")
    if not isinstance(target, Tensor):
        target = constant(to_array(target))
    if many:
        if x.shape != (*target.shape, len(qs)):
            raise ShapeError(
                f"quantile_loss: for {len(qs)} quantiles of targets {target.shape} x must be "
                f"{(*target.shape, len(qs))}, got {x.shape}"
            )
        target = ops.expand_dims(target, -1)
        q: Any = constant(np.asarray(qs, x.dtype))
    else:
        x, target = _pair("quantile_loss", x, target)
        q = qs[0]
    d = target - x
    return _reduce("quantile_loss", ops.maximum(q * d, (q - 1) * d), reduction, mask)
