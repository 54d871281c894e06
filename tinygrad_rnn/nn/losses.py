"""Losses, all with reduction "mean", "sum" or "none" and a mask.

A mask is true where a value counts; the mean is over those, and whatever stands
elsewhere, NaN too, reaches neither the loss nor a gradient. It broadcasts against
the unreduced loss. An empty mean is NaN, as in PyTorch.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor, constant, to_array
from ..errors import DTypeError, ShapeError
from ..ops.shape import one_axis


def _keep(name: str, mask: Any, shape: tuple[int, ...]) -> Tensor | None:
    """The mask in the shape of the unreduced loss."""
    if mask is None:
        return None
    keep = mask if isinstance(mask, Tensor) else constant(np.asarray(mask))
    if keep.dtype.kind != "b":
        raise DTypeError(f"{name}: the mask must be boolean, got {keep.dtype}")
    try:
        wide: Tensor = ops.broadcast_to(keep, shape=shape)
    except ShapeError:
        raise ShapeError(
            f"{name}: the mask {keep.shape} does not broadcast to the loss {shape}"
        ) from None
    return wide


def _only(keep: Tensor | None, x: Any) -> Any:
    """The values that count and 0 elsewhere, before anything is computed of them.

    A missing value is often NaN: chosen afterwards, it would reach the weights as 0 * NaN.
    """
    return x if keep is None else ops.where(keep, x, 0)


def _reduce(
    name: str, loss: Tensor, reduction: str, keep: Tensor | None, weight: Any = None
) -> Tensor:
    """Reduce a loss that is 0 where it does not count; `weight` replaces the count in a mean."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if reduction == "none":
        return loss
    total: Tensor = ops.sum(loss)
    if reduction == "sum":
        return total
    if weight is not None:
        return total / ops.sum(weight)
    if keep is None:
        return total / (float(loss.size) or math.nan)
    count = ops.sum(ops.astype(keep, dtype=loss.dtype))
    return total / ops.where(count > 0, count, math.nan)


def _pair(name: str, x: Any, target: Any, mask: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Prediction and target, 0 where they do not count, and the mask."""
    if not isinstance(target, Tensor):
        target = constant(to_array(target))
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: prediction {x.shape} and target {target.shape} must have equal shapes "
            "(they would broadcast, and average the wrong differences)"
        )
    keep = _keep(name, mask, x.shape)
    return _only(keep, x), _only(keep, target), keep


def mse_loss(x: Any, target: Any, reduction: str = "mean", mask: Any = None) -> Tensor:
    """Squared error (x - target)^2.

    >>> import tinygrad_rnn as tg
    >>> mse_loss(tg.tensor([1.0, 3.0]), tg.tensor([0.0, 1.0])).item()
    2.5
    """
    x, target, keep = _pair("mse_loss", x, target, mask)
    return _reduce("mse_loss", ops.square(x - target), reduction, keep)


def l1_loss(x: Any, target: Any, reduction: str = "mean", mask: Any = None) -> Tensor:
    """Absolute error |x - target|."""
    x, target, keep = _pair("l1_loss", x, target, mask)
    return _reduce("l1_loss", ops.abs(x - target), reduction, keep)


def huber_loss(
    x: Any, target: Any, delta: float = 1.0, reduction: str = "mean", mask: Any = None
) -> Tensor:
    """d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2): Huber (1964)."""
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")
    x, target, keep = _pair("huber_loss", x, target, mask)
    d = ops.abs(x - target)
    inner = ops.minimum(d, float(delta))
    return _reduce("huber_loss", inner * (d - 0.5 * inner), reduction, keep)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, reduction: str = "mean", mask: Any = None
) -> Tensor:
    """-t log s(x) - (1 - t) log(1 - s(x)), s the sigmoid, in the stable form softplus(x) - t x."""
    x, target, keep = _pair("binary_cross_entropy_with_logits", x, target, mask)
    loss = _only(keep, ops.softplus(x) - target * x)
    return _reduce("binary_cross_entropy_with_logits", loss, reduction, keep)


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    mask: Any = None,
    axis: int | None = None,
) -> Tensor:
    """-log softmax(x)[target]: logits (..., classes), class numbers (...).

    The classes are on the last axis, whatever axes come before; `axis=1` is PyTorch's
    layout (N, classes, ...). Logits that only fit the latter are refused, and where
    both fit, (N, n, n) and targets (N, n), a warning says that the last axis was taken:
    give `axis=-1` or `axis=1` there. `weight` (classes,) scales each class, and the mean
    is then divided by the weights' sum; targets equal to `ignore_index` do not count.

    >>> import tinygrad_rnn as tg
    >>> round(cross_entropy(tg.zeros(2, 4), tg.tensor([0, 3])).item(), 4)
    1.3863
    """
    classes = target if isinstance(target, Tensor) else constant(np.asarray(target))
    if classes.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: targets must be class numbers, got {classes.dtype}")
    if axis is None:
        _check_layout(x.shape, classes.shape)
    elif (k := one_axis("cross_entropy", axis, x.ndim)) != x.ndim - 1:
        x = ops.permute_dims(x, axes=(*[a for a in range(x.ndim) if a != k], k))
    if classes.shape != x.shape[:-1]:
        raise ShapeError(
            f"cross_entropy: targets must be {x.shape[:-1]} for {x.shape[:-1]} rows of "
            f"{x.shape[-1]} logits, got {classes.shape}"
        )
    keep = ops.ne(classes, ignore_index)
    if mask is not None:
        masked = _keep("cross_entropy", mask, classes.shape)
        keep, x = ops.logical_and(keep, masked), _only(ops.expand_dims(masked, -1), x)
    used = _only(keep, classes)
    loss: Tensor = _only(keep, ops.softmax_cross_entropy(x, used))
    scale = None
    if weight is not None:
        table = weight if isinstance(weight, Tensor) else constant(to_array(weight, x.dtype))
        if table.shape != x.shape[-1:]:
            raise ShapeError(f"cross_entropy: weight must be {x.shape[-1:]}, got {table.shape}")
        scale = _only(keep, ops.take(table, used))
        loss = loss * scale
    return _reduce("cross_entropy", loss, reduction, keep, scale)


def _check_layout(logits: tuple[int, ...], targets: tuple[int, ...]) -> None:
    """Notice logits laid out as in PyTorch, with the classes on the second axis."""
    if len(logits) < 3 or targets != logits[:1] + logits[2:]:
        return
    if targets != logits[:-1]:
        raise ShapeError(
            f"cross_entropy: logits {logits} and targets {targets} fit with the classes on "
            "axis 1, as in PyTorch; here they are on the last axis, so say axis=1"
        )
    warnings.warn(
        f"cross_entropy: logits {logits} and targets {targets} fit with the classes on the last "
        "axis and, as in PyTorch, on axis 1; the last was taken. Say axis=-1 or axis=1",
        stacklevel=3,
    )


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
        keep = _keep("quantile_loss", mask, x.shape)
        x, target = _only(keep, x), _only(keep, ops.expand_dims(target, -1))
        q: Any = constant(np.asarray(qs, x.dtype))
    else:
        x, target, keep = _pair("quantile_loss", x, target, mask)
        q = qs[0]
    d = target - x
    return _reduce("quantile_loss", ops.maximum(q * d, (q - 1) * d), reduction, keep)
