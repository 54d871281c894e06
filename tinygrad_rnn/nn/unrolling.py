"""A cell over a whole series: a plain loop over time, ragged batches included."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..op import local
from ..recording import constant
from ..switches import scope
from ..tensors import Tensor
from .reparametrized import computed_once


def unroll(
    cell: Any,
    x: Tensor,
    state: Any,
    masks: Sequence[Any] | None = None,
    reverse: bool = False,
    **given: Any,
) -> tuple[Tensor, Any]:
    """Run a cell over x (T, N, I): the outputs (T, N, H) and the last state.

    `cell(x_t, state)` returns the new state, a tensor or a tuple of which the first
    is the output. `masks` are T booleans (N, 1), None
    where all rows are live; elsewhere a row keeps its state and puts out 0. What else is
    `given` by name goes to the cell at every step.

    >>> cell = tg.nn.GRUCell(3, 4)
    >>> states, last = tg.nn.unroll(cell, tg.ones(7, 2, 3), tg.zeros(2, 4))
    >>> states.shape, last.shape
    ((7, 2, 4), (2, 4))
    """
    T = x.shape[0]
    outputs: list[Any] = [None] * T
    order = range(T - 1, -1, -1) if reverse else range(T)
    with computed_once(cell):
        for t, x_t in zip(order, reversed(x) if reverse else x, strict=True):
            new = cell(x_t, state, **given)
            live = None if masks is None else masks[t]
            if live is not None:
                with scope(cell.__dict__.get("_scope", "")):  # the state is the cell's, masked too
                    new = _where(live, new, state)
            h = new[0] if isinstance(new, tuple) else new
            outputs[t] = h if live is None else ops.where(live, h, 0)
            state = new
    return ops.stack(outputs), state


def _where(live: Any, new: Any, old: Any) -> Any:
    if isinstance(new, tuple):
        return tuple([_where(live, a, b) for a, b in zip(new, old, strict=True)])
    kept = ops.where(live, new, old)
    kept.name = new.name
    return kept


def inside(x: Tensor, lengths: Tensor) -> tuple[Tensor, list[Any]]:
    """x (T, N, I) with 0 beyond each sequence, and by step the rows (N, 1) that are inside one.

    None for a row of masks where surely all are. What stands in the padding, NaN too, would
    else reach the weights as 0 * NaN. Made with ops, and of a recording for all steps alike:
    so it holds for any lengths.
    """
    T = x.shape[0]
    column = ops.reshape(lengths, shape=(-1, 1))
    live = ops.lt(constant(np.arange(T)[:, None, None]), column)
    live.name = "mask"  # as diagrams call it
    shortest = 0 if local.now.recorder is not None else int(lengths.numpy().min())
    if shortest < T:
        x = ops.where(live, x, 0)
    return x, [None if t < shortest else live[t] for t in range(T)]
