"""Gradient checkpointing of plain loops: states at borders are kept, the steps run twice."""

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..errors import CaptureError, ShapeError, user_line
from ..op import local
from ..optim.options import checked, count
from ..tensors import Tensor
from .nested import cut, leaves, like, steps_of
from .segment import Segment


def recompute(
    run: Callable[[Any, Any], tuple[Any, Any]],
    data: object,
    state: Any = None,
    length: int | None = None,
    segments: int | None = None,
) -> tuple[Any, Any]:
    """Return `run(data, state)`, keeping only a few states for the backward pass.

    The steps run in segments of `length`, or in `segments` of them; by default of about
    sqrt(T) steps. Only the states at the borders are kept; the backward pass runs one
    segment after the other again, last first. So memory goes with T / length + length
    instead of T, at the price of one more forward pass (Chen et al., arXiv:1604.06174;
    Gruslys et al., NeurIPS 2016, for recurrent nets).

    `run(part, state)` does the steps of `part`, as in `tbptt`, and returns outputs and the
    new state; it may be a layer or a jitted function. Outputs are tensors, also in tuples,
    lists and dicts: those of a single value (0-d) are added up over the segments, so let them
    be sums and not means; all others have the steps first and are joined. `data` is an array
    or tensor with the steps first, or a tuple or dict of such.

    Gradients are those of the whole loop to the last bit where that runs op by op: dropout
    draws the same masks again, parameters may be closed over, inputs and states may
    require gradients. First derivatives only. Raises GraphError in the backward pass if
    `run` does something else the second time, or something was written to since; CaptureError
    inside a jitted function, which would keep all steps: jit `run` instead.

    >>> lstm = tg.nn.LSTM(1, 8)
    >>> y, (h, c) = recompute(lstm, tg.ones(100, 2, 1))
    >>> y.sum().backward()
    >>> y.shape, lstm.weight_hh_l0.grad.shape
    ((100, 2, 8), (32, 8))
    """
    if local.now.recorder is not None:
        raise CaptureError(
            f"train.recompute inside a jitted function (at {user_line()}): its one program would "
            "keep all steps; call it outside, on a jitted run: recompute(tg.jit(run), data, state)"
        )
    if getattr(run, "bidirectional", False):
        raise ValueError(
            "recompute: a bidirectional layer needs all steps at once, not segment after segment"
        )
    steps = steps_of(data, "recompute")
    size = _length(steps, length, segments)
    found = []
    for a in range(0, steps, size):
        b = min(a + size, steps)
        outputs, state = _segment(run, cut(data, a, b), state)
        _check_shapes(outputs, b - a)
        found.append(outputs)
    return _joined(found), state


def _length(steps: int, length: int | None, segments: int | None) -> int:
    """Steps of one segment."""
    for name, n in (("length", length), ("segments", segments)):
        if n is not None:
            checked("recompute", {name: count}, **{name: n})
    if length is not None and segments is not None:
        raise ValueError("recompute: give length or segments, not both")
    if not steps:
        raise ValueError("recompute: data has no steps")
    return length or math.ceil(steps / (segments or math.sqrt(steps)))


def _segment(run: Callable[[Any, Any], Any], part: Any, state: Any) -> tuple[Any, Any]:
    def checked(part: Any, state: Any) -> tuple[Any, Any]:
        result = run(part, state)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                "recompute: run(part, state) must return (outputs, state), got "
                f"{type(result).__name__}"
            )
        for leaf in leaves(result):
            if not isinstance(leaf, Tensor):
                raise TypeError(
                    "recompute: outputs and states must be tensors, None, or tuples, named tuples, "
                    f"lists and dicts of them; got {type(leaf).__name__}"
                )
        return result

    if not local.now.grad or local.now.watch is not None:  # watched: all of it is to be seen
        return checked(part, state)
    return Segment(checked, part, state).first()


def _check_shapes(outputs: Any, steps: int) -> None:
    for y in leaves(outputs):
        if y.ndim and y.shape[0] != steps:
            raise ShapeError(
                f"recompute: an output of shape {y.shape} for a segment of {steps} steps; outputs "
                "have the steps first, or are single values that are added up: reduce it with "
                ".sum()"
            )


def _joined(parts: list[Any]) -> Any:
    """The outputs of all segments in one."""
    first = parts[0]
    if isinstance(first, dict):
        return like(first, {k: _joined([p[k] for p in parts]) for k in first})
    if isinstance(first, list | tuple):
        return like(first, [_joined(list(p)) for p in zip(*parts, strict=True)])
    if first is None or len(parts) == 1:
        return first
    if first.ndim:
        return ops.concat(*parts, axis=0)
    total = first
    for part in parts[1:]:
        total = total + part
    return total
