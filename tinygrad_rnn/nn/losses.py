"""Losses, all with reduction "mean", "sum" or "none" and a mask.

A mask is true where a value counts; the mean is over those, and whatever stands
elsewhere, NaN too, reaches neither the loss nor a gradient. It broadcasts against
the unreduced loss. An empty mean is NaN, as in PyTorch.
"""

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..errors import DTypeError, ShapeError
from ..op import local
from ..ops.words import takes_axis
from ..tensors import Tensor, as_tensor


def keep_of(name: str, mask: Any, shape: tuple[int, ...]) -> Tensor | None:
    """The mask in the shape of the unreduced loss."""
    if mask is None:
        return None
    keep = as_tensor(mask)
    if keep.dtype.kind != "b":
        raise DTypeError(f"{name}: the mask must be boolean, got {keep.dtype}")
    try:
        wide: Tensor = ops.broadcast_to(keep, shape=shape)
    except ShapeError:
        raise ShapeError(
            f"{name}: the mask {keep.shape} does not broadcast to the loss {shape}"
        ) from None
    return wide


def only(keep: Tensor | None, x: Any) -> Any:
    """The values that count and 0 elsewhere, before anything is computed of them.

    A missing value is often NaN: chosen afterwards, it would reach the weights as 0 * NaN.
    """
    return x if keep is None else ops.where(keep, x, 0)


def reduce(
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


def given(name: str, what: str, value: Any) -> Tensor:
    """An argument of a loss as a Tensor."""
    try:
        return as_tensor(value)
    except (DTypeError, ShapeError) as error:
        raise type(error)(f"{name}: the {what} is no tensor or array ({error})") from None


def pair(name: str, x: Any, target: Any, mask: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Prediction and target, 0 where they do not count, and the mask."""
    x, target = given(name, "prediction", x), given(name, "target", target)
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: prediction {x.shape} and target {target.shape} must have equal shapes "
            "(they would broadcast, and average the wrong differences)"
        )
    keep = keep_of(name, mask, x.shape)
    return only(keep, x), only(keep, target), keep


def mse_loss(x: Any, target: Any, reduction: str = "mean", mask: Any = None) -> Tensor:
    """Squared error (x - target)^2.

    >>> mse_loss(tg.tensor([1.0, 3.0]), tg.tensor([0.0, 1.0])).item()
    2.5
    """
    x, target, keep = pair("mse_loss", x, target, mask)
    return reduce("mse_loss", ops.square(x - target), reduction, keep)


def l1_loss(x: Any, target: Any, reduction: str = "mean", mask: Any = None) -> Tensor:
    """Absolute error |x - target|.

    >>> tg.nn.l1_loss(tg.tensor([1.0, 3.0]), tg.tensor([0.0, 0.0])).item()
    2.0
    """
    x, target, keep = pair("l1_loss", x, target, mask)
    return reduce("l1_loss", ops.abs(x - target), reduction, keep)


def huber_loss(
    x: Any, target: Any, delta: float = 1.0, reduction: str = "mean", mask: Any = None
) -> Tensor:
    """d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2): Huber (1964).

    >>> tg.nn.huber_loss(tg.tensor([0.5, 3.0]), tg.tensor([0.0, 0.0]), reduction='none').tolist()
    [0.125, 2.5]
    """
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")
    x, target, keep = pair("huber_loss", x, target, mask)
    d = ops.abs(x - target)
    inner = ops.minimum(d, float(delta))
    return reduce("huber_loss", inner * (d - 0.5 * inner), reduction, keep)


def smooth_l1_loss(
    x: Any, target: Any, beta: float = 1.0, reduction: str = "mean", mask: Any = None
) -> Tensor:
    """d^2 / (2 beta) for |d| < beta, else |d| - beta / 2: `huber_loss` divided by its delta.

    >>> smooth_l1_loss(tg.tensor([0.5, 3.0]), tg.zeros(2), reduction="none").tolist()
    [0.125, 2.5]
    """
    if beta <= 0:
        raise ValueError(f"smooth_l1_loss: beta must be positive, got {beta}")
    return huber_loss(x, target, beta, reduction, mask) / beta


def poisson_nll_loss(
    x: Any, target: Any, log_input: bool = True, reduction: str = "mean", mask: Any = None
) -> Tensor:
    """Minus the log likelihood of counts, without its constant: e^x - t x, x the log of the rate.

    With `log_input=False` x is the rate itself: x - t log(x + 1e-8).

    >>> poisson_nll_loss(tg.tensor([0.0]), tg.tensor([3.0])).item()
    1.0
    """
    x, target, keep = pair("poisson_nll_loss", x, target, mask)
    loss = ops.exp(x) - target * x if log_input else x - target * ops.log(x + 1e-8)
    return reduce("poisson_nll_loss", only(keep, loss), reduction, keep)


def gaussian_nll_loss(
    x: Any,
    target: Any,
    var: Any,
    eps: float = 1e-6,
    reduction: str = "mean",
    mask: Any = None,
) -> Tensor:
    """Minus the log likelihood (log v + (x - t)^2 / v) / 2, without its constant.

    v is max(var, eps), with a gradient all the same. Nix and Weigend, ICNN 1994. `var` has
    the shape of x, or one that broadcasts to it.
    Raises ValueError for a variance below 0, unless under `tg.jit`, which has no values.

    >>> gaussian_nll_loss(tg.tensor([1.0]), tg.tensor([3.0]), 1.0).item()
    2.0
    """
    x, target, keep = pair("gaussian_nll_loss", x, target, mask)
    v = as_tensor(var, x.dtype)
    if v.shape != x.shape:
        v = ops.broadcast_to(v, shape=x.shape)
    v = only(keep, v)
    if local.now.recorder is None and (v.numpy() < 0).any():
        raise ValueError("gaussian_nll_loss: a variance below 0")
    v = ops.where(v < eps, eps + (v - v.detach()), v)  # a small variance has its gradient still
    loss = 0.5 * (ops.log(v) + ops.square(x - target) / v)
    return reduce("gaussian_nll_loss", only(keep, loss), reduction, keep)


@takes_axis
def cosine_similarity(a: Any, b: Any, axis: int = -1, eps: float = 1e-8) -> Tensor:
    """a.b / (|a| |b|) along one axis, after broadcasting; each norm at least eps.

    >>> cosine_similarity(tg.tensor([3.0, 4.0]), tg.tensor([6.0, 8.0])).item()
    1.0
    """
    a, b = ops.broadcast_arrays(as_tensor(a), as_tensor(b))
    size = ops.maximum(ops.norm(a, axis=axis), eps) * ops.maximum(ops.norm(b, axis=axis), eps)
    y: Tensor = ops.vecdot(a, b, axis=axis) / size
    return y


def cosine_embedding_loss(
    a: Any,
    b: Any,
    target: Any,
    margin: float = 0.0,
    reduction: str = "mean",
    mask: Any = None,
) -> Tensor:
    """1 - cos(a, b) where the target is 1, max(0, cos(a, b) - margin) where it is -1.

    a and b are (..., features), targets (...).

    >>> a, b = tg.tensor([[1.0, 0.0], [1.0, 0.0]]), tg.tensor([[0.0, 2.0], [3.0, 0.0]])
    >>> cosine_embedding_loss(a, b, tg.tensor([1, -1]), reduction="none").tolist()
    [1.0, 1.0]
    """
    t = as_tensor(target)
    if not a.shape or a.shape != b.shape or t.shape != a.shape[:-1]:
        raise ShapeError(
            "cosine_embedding_loss: must be (..., features) twice and targets (...), got "
            f"{a.shape}, {b.shape} and {t.shape}"
        )
    keep = keep_of("cosine_embedding_loss", mask, t.shape)
    if keep is not None:
        a, b = (only(ops.expand_dims(keep, -1), x) for x in (a, b))
    sizes = [ops.sum(ops.square(x), axis=-1) + 1e-12 for x in (a, b)]
    cos = ops.vecdot(a, b) / ops.sqrt(sizes[0] * sizes[1])
    apart = ops.where(ops.eq(t, -1), ops.clip(cos - margin, min=0), 0)
    loss = ops.where(ops.eq(t, 1), 1 - cos, apart)
    return reduce("cosine_embedding_loss", only(keep, loss), reduction, keep)


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

    >>> y = tg.tensor([1.0, -1.0])
    >>> tg.nn.quantile_loss(tg.zeros(2), y, 0.9, reduction='none').tolist()
    [0.8999999761581421, 0.10000000149011612]
    """
    many = isinstance(quantiles, Sequence)
    qs = [float(q) for q in quantiles] if isinstance(quantiles, Sequence) else [float(quantiles)]
    if not qs or not all(0 < q < 1 for q in qs):
        raise ValueError(f"quantile_loss: quantiles must be between 0 and 1, got {quantiles}")
    target = given("quantile_loss", "target", target)
    if many:
        if x.shape != (*target.shape, len(qs)):
            raise ShapeError(
                f"quantile_loss: for {len(qs)} quantiles of targets {target.shape} x must be "
                f"{(*target.shape, len(qs))}, got {x.shape}"
            )
        keep = keep_of("quantile_loss", mask, x.shape)
        x, target = only(keep, x), only(keep, ops.expand_dims(target, -1))
        q: Any = as_tensor(qs, x.dtype)
    else:
        x, target, keep = pair("quantile_loss", x, target, mask)
        q = qs[0]
    d = target - x
    return reduce("quantile_loss", ops.maximum(q * d, (q - 1) * d), reduction, keep)
