"""Losses of classes and probabilities; reductions and masks as in `losses`."""

import warnings
from typing import Any

from .. import ops
from ..errors import DTypeError, ShapeError
from ..op import local
from ..ops.entropy import bernoulli_nll
from ..ops.shape import one_axis
from ..tensors import Tensor, as_tensor
from .losses import given, keep_of, only, pair, reduce


def binary_cross_entropy_with_logits(
    x: Any, target: Any, reduction: str = "mean", mask: Any = None, pos_weight: Any = None
) -> Tensor:
    """-p t log s(x) - (1 - t) log(1 - s(x)), s the sigmoid and p `pos_weight`, in a stable form.

    >>> loss = binary_cross_entropy_with_logits(tg.tensor([800.0, -800.0]), tg.tensor([0.0, 0.0]))
    >>> loss.item()
    400.0
    """
    x, target, keep = pair("binary_cross_entropy_with_logits", x, target, mask)
    scale: Any = 1
    if pos_weight is not None:
        scale = 1 + (as_tensor(pos_weight, x.dtype) - 1) * target
    loss = (1 - target) * x + scale * ops.softplus(-x)
    return reduce("binary_cross_entropy_with_logits", only(keep, loss), reduction, keep)


def binary_cross_entropy(x: Any, target: Any, reduction: str = "mean", mask: Any = None) -> Tensor:
    """-t log x - (1 - t) log(1 - x) of probabilities x, no logarithm below -100.

    The gradient's 1 / (x (1 - x)) is at most 1e12, as PyTorch's. For logits use
    `binary_cross_entropy_with_logits`, which loses no digits. Raises ValueError for what is
    no probability, unless under `tg.jit`, which has no values and gives NaN.

    >>> binary_cross_entropy(tg.tensor([0.0, 1.0]), tg.tensor([1.0, 1.0])).item()
    50.0
    """
    x, target, keep = pair("binary_cross_entropy", x, target, mask)
    if local.now.recorder is None:
        for what, p in (("probability", x), ("target", target)):
            values = as_tensor(p).numpy()
            if not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f"binary_cross_entropy: a {what} that is not between 0 and 1")
    loss = only(keep, bernoulli_nll(x, target))
    return reduce("binary_cross_entropy", loss, reduction, keep)


def kl_div(
    x: Any, target: Any, reduction: str = "mean", mask: Any = None, log_target: bool = False
) -> Tensor:
    """t (log t - x): the divergence of probabilities t from those whose logarithm x is.

    `reduction="batchmean"`, the sum over the first axis' size, is the textbook definition.

    >>> p = tg.tensor([[0.5, 0.5, 0.0]])
    >>> kl_div(tg.log_softmax(tg.tensor([[0.0, 0.0, -100.0]])), p, reduction="batchmean").item()
    0.0
    """
    x, target, keep = pair("kl_div", x, target, mask)
    if log_target:
        loss = ops.exp(target) * (target - x)
    else:
        loss = target * ops.log(ops.where(ops.eq(target, 0), 1, target)) - target * x
    loss = only(keep, loss)
    if reduction == "batchmean":
        return reduce("kl_div", loss, "sum", keep) / x.shape[0]
    return reduce("kl_div", loss, reduction, keep)


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    mask: Any = None,
    axis: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[target]: logits (..., classes), class numbers (...).

    The classes are on the last axis, whatever axes come before; `axis=1` is PyTorch's
    layout (N, classes, ...). Logits that only fit the latter are refused, and where
    both fit, (N, n, n) and targets (N, n), a warning says that the last axis was taken:
    give `axis=-1` or `axis=1` there. `weight` (classes,) scales each class, and the mean
    is then divided by the weights' sum; targets equal to `ignore_index` do not count.

    Targets may be probabilities, floats of the logits' shape: -sum t log softmax(x).
    `label_smoothing` e mixes targets with a uniform distribution, 1 - e to e: Szegedy et
    al., CVPR 2016.

    >>> round(cross_entropy(tg.zeros(2, 4), tg.tensor([0, 3])).item(), 4)
    1.3863
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1], got {label_smoothing}")
    x, known = given("cross_entropy", "logits", x), given("cross_entropy", "target", target)
    if known.dtype.kind == "f" and known.shape == x.shape:
        return _of_probabilities(x, known, weight, reduction, mask, axis, label_smoothing)
    x, used, keep = _rows("cross_entropy", x, known, ignore_index, mask, axis)
    loss, scale = _weighted(
        "cross_entropy", ops.softmax_cross_entropy(x, used), x, used, weight, keep
    )
    if not label_smoothing:
        return reduce("cross_entropy", loss, reduction, keep, scale)
    all_classes = -ops.log_softmax(x)
    if weight is not None:
        all_classes = all_classes * _table("cross_entropy", weight, x)
    even = only(keep, ops.mean(all_classes, axis=-1))
    loss = (1 - label_smoothing) * loss + label_smoothing * even
    return reduce("cross_entropy", loss, reduction, keep, scale)


def nll_loss(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    mask: Any = None,
    axis: int | None = None,
) -> Tensor:
    """-x[target] of log probabilities x (..., classes); all else as in `cross_entropy`.

    >>> p = tg.tensor([[0.25, 0.75]])
    >>> round(tg.nn.nll_loss(tg.log(p), tg.tensor([1])).item(), 4)
    0.2877
    """
    x, used, keep = _rows("nll_loss", x, as_tensor(target), ignore_index, mask, axis)
    picked = ops.take_along_axis(x, ops.expand_dims(used, -1), axis=-1)
    loss = -ops.reshape(picked, shape=used.shape)
    loss, scale = _weighted("nll_loss", loss, x, used, weight, keep)
    return reduce("nll_loss", loss, reduction, keep, scale)


def _rows(
    name: str, x: Any, classes: Tensor, ignore_index: int, mask: Any, axis: int | None
) -> tuple[Any, Tensor, Tensor]:
    """The classes last, class numbers with 0 where they do not count, and where they do."""
    if classes.dtype.kind not in "iu":
        raise DTypeError(f"{name}: targets must be class numbers, got {classes.dtype}")
    if not x.ndim:
        raise ShapeError(f"{name}: x must have an axis of classes, got a single value")
    if axis is None:
        _check_layout(name, x.shape, classes.shape)
    x = _classes_last(name, x, axis)
    if classes.shape != x.shape[:-1]:
        raise ShapeError(
            f"{name}: targets must be {x.shape[:-1]} for {x.shape[:-1]} rows of "
            f"{x.shape[-1]} logits, got {classes.shape}"
        )
    keep = ops.ne(classes, ignore_index)
    if mask is not None:
        masked = keep_of(name, mask, classes.shape)
        keep, x = ops.logical_and(keep, masked), only(ops.expand_dims(masked, -1), x)
    return x, only(keep, classes), keep


def _classes_last(name: str, x: Any, axis: int | None) -> Any:
    k = x.ndim - 1 if axis is None else one_axis(name, axis, x.ndim)
    return x if k == x.ndim - 1 else ops.moveaxis(x, k, -1)


def _table(name: str, weight: Any, x: Any) -> Tensor:
    """The classes' weights."""
    table = as_tensor(weight, x.dtype)
    if table.shape != x.shape[-1:]:
        raise ShapeError(f"{name}: weight must be {x.shape[-1:]}, got {table.shape}")
    return table


def _weighted(
    name: str, loss: Tensor, x: Any, used: Tensor, weight: Any, keep: Tensor
) -> tuple[Tensor, Any]:
    """The loss where it counts, scaled by the weight of its class, and those weights."""
    if weight is None:
        return only(keep, loss), None
    scale = only(keep, ops.take(_table(name, weight, x), used))
    return only(keep, loss) * scale, scale


def _of_probabilities(
    x: Any, t: Tensor, weight: Any, reduction: str, mask: Any, axis: int | None, smoothing: float
) -> Tensor:
    """Cross entropy with a distribution over the classes for each row."""
    x, t = (_classes_last("cross_entropy", a, axis) for a in (x, t))
    keep = keep_of("cross_entropy", mask, x.shape[:-1])
    if keep is not None:
        x, t = (only(ops.expand_dims(keep, -1), a) for a in (x, t))
    if smoothing:
        t = (1 - smoothing) * t + smoothing / x.shape[-1]
    terms = -t * ops.log_softmax(x)
    if weight is not None:
        terms = terms * _table("cross_entropy", weight, x)
    return reduce("cross_entropy", only(keep, ops.sum(terms, axis=-1)), reduction, keep)


def _check_layout(name: str, logits: tuple[int, ...], targets: tuple[int, ...]) -> None:
    """Notice logits laid out as in PyTorch, with the classes on the second axis."""
    if len(logits) < 3 or targets != logits[:1] + logits[2:]:
        return
    if targets != logits[:-1]:
        raise ShapeError(
            f"{name}: logits {logits} and targets {targets} fit with the classes on "
            "axis 1, as in PyTorch; here they are on the last axis, so say axis=1"
        )
    warnings.warn(
        f"{name}: logits {logits} and targets {targets} fit with the classes on the last "
        "axis and, as in PyTorch, on axis 1; the last was taken. Say axis=-1 or axis=1",
        stacklevel=4,
    )
