"""Labels of a sequence that is not segmented: the CTC loss, and decoding what was learned by it."""

from collections import defaultdict
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..op import Array
from ..ops.ctc import ctc_nll
from ..tensors import Tensor, as_tensor
from .layers import sizes
from .losses import reduce


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of the labels, summed over all their alignments with the steps.

    An alignment gives each step a class; equal classes in a row are one, then blanks are left
    out (Graves et al., ICML 2006). `log_probs` (T, N, classes), from `log_softmax`; `targets`
    (N, S), padded with anything, or the labels of all sequences in one row; `input_lengths` and
    `target_lengths` (N,), integers. For one sequence (T, classes), (S,) and two numbers. The
    "mean" first divides each loss by its number of labels, at least 1, as PyTorch's.

    Labels without an alignment, because they need more steps than there are (equal neighbours
    need a blank between them), have loss inf and gradient NaN; with `zero_infinity` both are 0.
    The gradient is that of the formula, whether or not a step's probabilities sum to 1. Raises
    ShapeError for lengths or labels out of range and for the blank among the labels, GraphError
    for second derivatives.

    >>> x = tg.log_softmax(tg.zeros(3, 1, 2))  # 6 of 8 paths give "1", all but 000 and 101
    >>> round(tg.exp(-ctc_loss(x, tg.tensor([[1]]), [3], [1])).item(), 4)
    0.75
    """
    x, labels = as_tensor(log_probs), as_tensor(targets)
    steps, counts = as_tensor(input_lengths), as_tensor(target_lengths)
    single = x.ndim == 2
    if single:
        x, labels = ops.expand_dims(x, 1), ops.reshape(labels, shape=(1, -1))
        steps, counts = (ops.reshape(a, shape=(-1,)) for a in (steps, counts))
    loss = ctc_nll(x, labels, steps, counts, blank=blank, zero_infinity=zero_infinity)
    if reduction == "mean":
        loss = loss / ops.maximum(ops.astype(counts, dtype=loss.dtype), 1)
    loss = reduce("ctc_loss", loss, reduction, None)
    return loss[0] if single and reduction == "none" else loss


def ctc_decode(
    log_probs: Any, input_lengths: Any = None, blank: int = 0, beam: int | None = None
) -> list[Array]:
    """The labels of each sequence in log probabilities (T, N, classes), as arrays of integers.

    Without `beam`, the best class of each step, repeats merged and blanks removed. With it,
    the labels whose alignments together are most probable, of the `beam` best prefixes kept
    at each step (prefix search: Graves et al. 2006; Hannun et al. 2014). Raises ShapeError for
    lengths and classes out of range, NaN, and a `beam` that is no whole number from 1.

    >>> import numpy as np
    >>> p = np.array([[0.6, 0.4], [0.6, 0.4]])  # nothing: .36; "1": .64, in three ways
    >>> x = np.log(p)[:, None]
    >>> ctc_decode(x)[0].tolist(), ctc_decode(x, beam=2)[0].tolist()
    ([], [1])
    """
    x = as_tensor(log_probs).numpy()
    if x.ndim != 3:
        raise ShapeError(f"ctc_decode: log probabilities must be (T, N, classes), got {x.shape}")
    T, N, C = x.shape
    if not isinstance(blank, int | np.integer) or not 0 <= blank < C:
        raise ShapeError(f"ctc_decode: blank {blank!r} is none of {C} classes")
    if beam is not None:
        sizes("ctc_decode", beam=beam)
    steps = np.full(N, T) if input_lengths is None else as_tensor(input_lengths).numpy()
    if steps.shape != (N,):
        raise ShapeError(f"ctc_decode: input_lengths must be ({N},), got {steps.shape}")
    if steps.dtype.kind not in "iu" or (steps < 0).any() or (steps > T).any():
        raise ShapeError(
            f"ctc_decode: input_lengths must be whole numbers from 0 to {T}, the steps"
        )
    if np.isnan(x).any():
        raise ShapeError("ctc_decode: there is NaN among the log probabilities")
    rows = (x[:n, k].astype(np.float64) for k, n in enumerate(steps))
    if beam is None:
        return [_best_path(row, blank) for row in rows]
    return [_best_prefix(row, blank, beam) for row in rows]


def _best_path(x: Array, blank: int) -> Array:
    path = x.argmax(1)
    new = np.append(True, path[1:] != path[:-1])[: len(path)]
    return path[new & (path != blank)]


def _best_prefix(x: Array, blank: int, beam: int) -> Array:
    """Beginnings with the log of the sums over paths that end in a blank, and in their label."""
    none = -np.inf
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, none)}
    for row in x:
        sums: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [none, none])
        for prefix, (by_blank, by_label) in kept.items():
            both = np.logaddexp(by_blank, by_label)
            own = sums[prefix]
            own[0] = np.logaddexp(own[0], both + row[blank])
            if prefix:
                own[1] = np.logaddexp(own[1], by_label + row[prefix[-1]])
            for c in range(len(row)):
                if c != blank:
                    repeats = prefix[-1:] == (c,)  # a new one needs a blank before it
                    longer = sums[(*prefix, c)]
                    longer[1] = np.logaddexp(longer[1], (by_blank if repeats else both) + row[c])
        best = sorted(sums, key=lambda p: np.logaddexp.reduce(sums[p]), reverse=True)[:beam]
        kept = {p: (sums[p][0], sums[p][1]) for p in best}
    return np.array(next(iter(kept)), np.int64)
