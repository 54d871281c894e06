"""Connectionist temporal classification (Graves et al., ICML 2006) as one op with its rule."""

from typing import Any

import numpy as np

from ..errors import DTypeError, GraphError, ShapeError
from ..kernels import ctc as kernels
from ..op import Spec, primitive
from .indexing import check_indices
from .pointwise import neg
from .shape import expand_dims

__all__: list[str] = []  # public as nn.ctc_loss


def _batch(x: Spec, labels: Spec, steps: Spec, sizes: Spec, **attrs: Any) -> tuple[int, ...]:
    if x.ndim != 3:
        raise ShapeError(f"ctc_loss: log probabilities must be (T, N, classes), got {x.shape}")
    n = x.shape[1]
    for what, spec in (("input_lengths", steps), ("target_lengths", sizes)):
        if spec.shape != (n,):
            raise ShapeError(f"ctc_loss: {what} must be ({n},), one a sequence, got {spec.shape}")
    if labels.ndim != 1 and (labels.ndim != 2 or labels.shape[0] != n):
        raise ShapeError(
            f"ctc_loss: targets must be ({n}, S), or the labels of all sequences in one row, "
            f"got {labels.shape}"
        )
    for what, spec in (("targets", labels), ("input_lengths", steps), ("target_lengths", sizes)):
        if spec.dtype.kind not in "iu":
            raise DTypeError(f"ctc_loss: {what} must be integers, got {spec.dtype}")
    if not isinstance(attrs["blank"], int | np.integer) or not 0 <= attrs["blank"] < x.shape[2]:
        raise ShapeError(f"ctc_loss: blank {attrs['blank']!r} is none of {x.shape[2]} classes")
    return (n,)


def _run(
    kernel: Any, x: Any, labels: Any, steps: Any, sizes: Any, blank: int, out: Any, *more: Any
) -> Any:
    """Check what the values are, and run a kernel on rows (N, T, C) and labels (N, S)."""
    _batch(*(Spec(a.shape, a.dtype) for a in (x, labels, steps, sizes)), blank=blank)
    labels, steps, sizes = (np.array(a, np.int64) for a in (labels, steps, sizes))
    T, N, C = x.shape
    if labels.ndim == 1:
        _within("target_lengths", sizes, len(labels), "labels in the targets")
        if sizes.sum() != len(labels):
            raise ShapeError(
                f"ctc_loss: target_lengths add up to {sizes.sum()}, the targets are {len(labels)}"
            )
        row = np.zeros((N, sizes.max(initial=0)), np.int64)
        row[np.arange(row.shape[1]) < sizes[:, None]] = labels
        labels = row
    _within("input_lengths", steps, T, "steps of the log probabilities")
    _within("target_lengths", sizes, labels.shape[1], "labels of the targets")
    used = labels[np.arange(labels.shape[1]) < sizes[:, None]]
    check_indices("ctc_loss", used, C, "classes", least=0)
    if (used == blank).any():
        raise ShapeError(
            f"ctc_loss: the targets hold {blank}, the blank; give blank= another class"
        )
    rows = np.ascontiguousarray(np.swapaxes(x, 0, 1), np.float64)
    alpha = np.empty((T + 1, 2 * labels.shape[1] + 3))  # kernels' own
    kernel(rows, labels, steps, sizes, np.int64(blank), alpha, out, *more)
    return out.astype(x.dtype, copy=False)


def _within(what: str, lengths: Any, most: int, of: str) -> None:
    if lengths.size and (lengths.min() < 0 or lengths.max() > most):
        bad = lengths.min() if lengths.min() < 0 else lengths.max()
        raise ShapeError(f"ctc_loss: {what} must be from 0 to {most}, the {of}; got {bad}")


@primitive(shape=_batch, free=["labels", "steps", "sizes"], floats=True)
def ctc_nll(x, labels, steps, sizes, *, blank=0, zero_infinity=False):
    """y[n] = -log sum over alignments of prod over t of e^x[t, n, c_t]; see `nn.ctc_loss`."""
    y = _run(kernels.nll, x, labels, steps, sizes, blank, np.empty(x.shape[1]))
    return np.where(np.isposinf(y), x.dtype.type(0), y) if zero_infinity else y


@ctc_nll.vjp
def ctc_nll_vjp_x(g, x, labels, steps, sizes, *, blank, zero_infinity):
    attrs = {"blank": blank, "zero_infinity": zero_infinity}
    return neg(expand_dims(g, -1)) * ctc_occupancy(x, labels, steps, sizes, **attrs)


def _like(x: Spec, *others: Spec, **attrs: Any) -> tuple[int, ...]:
    _batch(x, *others, **attrs)
    return x.shape


@primitive(shape=_like, free=["labels", "steps", "sizes"], floats=True)
def ctc_occupancy(x, labels, steps, sizes, *, blank, zero_infinity):
    """y[t, n, c]: probability that an alignment of n is at class c at step t; NaN if none is."""
    out = np.empty((x.shape[1], x.shape[0], x.shape[2]))
    none = 0.0 if zero_infinity else np.nan
    return np.swapaxes(_run(kernels.occupancy, x, labels, steps, sizes, blank, out, none), 0, 1)


@ctc_occupancy.vjp
def ctc_occupancy_vjp_x(g, x):
    raise GraphError(
        "ctc_loss: has no second derivative; take the gradients of its inputs without create_graph"
    )
