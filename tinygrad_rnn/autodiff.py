"""Gradients of recorded computations: into the leaves, or handed back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import CaptureError, DTypeError, GraphError, ShapeError, user_line
from .graph import Node, Variable, key_of, leading_to
from .hooks import run_hooks
from .op import local
from .recording import constant
from .sweep import Sweep
from .switches import grad_enabled


def _lift(array: Any, source: Any) -> Any:
    """The Tensor that stands for a saved array: part of the graph if its source is."""
    if isinstance(source, Variable) or not isinstance(array, np.ndarray | np.generic):
        return source if isinstance(source, Variable) else array
    out = constant(np.asarray(array))
    out._node = source
    return out


def _seed(output: Variable, gradient: Any, who: str) -> Variable:
    if local.now.recorder is not None:
        raise CaptureError(
            f"{who} was called inside a jitted function (at {user_line()}); call it "
            "on what that function returns"
        )
    if not output.requires_grad:
        raise GraphError(
            f"{who}: the output does not depend on anything that requires a gradient; set "
            "requires_grad=True on an input, and look for no_grad() or detach() on the way"
        )
    if gradient is None:
        if output.size != 1:
            raise GraphError(
                f"{who}: the output has shape {output.shape}; only a single value has a gradient "
                "without a seed: reduce it with .sum() or .mean(), or pass gradient="
            )
        # a third of the time of np.ones
        return constant(np.array(1, output.dtype).reshape(output.shape))
    seed = (
        gradient if isinstance(gradient, Variable) else constant(np.array(gradient, output.dtype))
    )
    if seed.shape != output.shape:
        raise ShapeError(
            f"{who}: the seed has shape {seed.shape}, the output {output.shape}; they must be equal"
        )
    if seed.dtype != output.dtype:
        raise DTypeError(f"{who}: the seed is {seed.dtype}, the output {output.dtype}")
    return seed


def _root(t: Variable) -> Any:
    return t._node if t._node is not None else t


def backward(output: Variable, gradient: Any = None, retain_graph: bool = False) -> None:
    """Add the gradient of `output` to the `.grad` of every leaf it depends on.

    Saved values are dropped as the sweep passes, unless `retain_graph`. If it
    raises, no `.grad` has changed. Raises GraphError for an output without a
    graph, one freed before, or a saved tensor changed in place; ShapeError and
    DTypeError for a seed that does not fit.
    """
    seed = _seed(output, gradient, "backward")
    watch = local.now.watch
    if watch is not None:
        watch = watch.start(output)
    sweep = Sweep(_lift, retain_graph, create_graph=False, watch=watch)
    with grad_enabled(False):
        sweep.run([(_root(output), seed._array)])
        # a leaf frozen since the graph was recorded keeps its gradient, as in PyTorch
        totals = [t for t in sweep.leaves() if t[0].requires_grad]
        if watch is not None:
            watch.end(totals)
        for k in [k for k, (leaf, _, _) in enumerate(totals) if leaf._hooks]:
            leaf, g, _ = totals[k]
            totals[k] = leaf, run_hooks(leaf._hooks, g, _lift, False), False
    totals.reverse()
    while totals:  # each gone as soon as it is copied: of all together memory would go twice
        leaf, g, owned = totals.pop()
        if leaf.grad is not None:
            g, owned = leaf.grad._array + g, True
        # an array that nobody else holds, in C order
        leaf.grad = constant(g if owned and g.flags.carray else np.array(g, order="C"))
    for reference, g in sweep.retained:
        tensor = reference()
        if tensor is not None:
            tensor.grad = constant(np.array(g if tensor.grad is None else tensor.grad._array + g))


def grad(
    outputs: Variable | Sequence[Variable],
    inputs: Variable | Sequence[Variable],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> Any:
    """Return the gradients of `outputs` with respect to `inputs`, leaving every `.grad` alone.

    With `create_graph` the gradients are part of the graph and can be
    differentiated again, to any order. Returns one Tensor for one input, else a
    tuple; None for an input that outputs do not depend on, if `allow_unused`.

    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> first = tg.grad(x ** 3, x, create_graph=True)
    >>> tg.grad(first, x).item()
    12.0
    """
    outs = [outputs] if isinstance(outputs, Variable) else list(outputs)
    ins = [inputs] if isinstance(inputs, Variable) else list(inputs)
    if grad_outputs is None or isinstance(outputs, Variable):
        grad_outputs = [grad_outputs] * len(outs)
    if len(grad_outputs) != len(outs):
        raise ShapeError(f"grad: {len(outs)} outputs but {len(grad_outputs)} grad_outputs")
    for t in ins:
        if not t.requires_grad:
            raise GraphError("grad: an input does not require a gradient; set requires_grad=True")
    seeds = [_seed(o, g, "grad") for o, g in zip(outs, grad_outputs, strict=True)]
    targets = [_root(t) for t in ins]
    keys = {key_of(t) for t in targets}
    wanted = frozenset(t.seq for t in targets if isinstance(t, Node))
    sweep = Sweep(
        _lift,
        create_graph if retain_graph is None else retain_graph,
        create_graph,
        leading_to([_root(o) for o in outs], keys),
        wanted,
    )
    with grad_enabled(create_graph):
        first = [s if create_graph else s._array for s in seeds]
        sweep.run(zip((_root(o) for o in outs), first, strict=True))
        found = {-id(leaf): g for leaf, g, _ in sweep.leaves()} | sweep.found
        results = []
        for t, target in zip(ins, targets, strict=True):
            g = found.get(key_of(target))
            if g is not None and t._node is None and t._hooks:
                g = run_hooks(t._hooks, g, _lift, create_graph)
            if g is None and not allow_unused:
                raise GraphError(
                    f"grad: the outputs do not depend on an input of shape {t.shape}; pass "
                    "allow_unused=True to get None for it"
                )
            results.append(g if g is None or create_graph else constant(np.array(g, order="C")))
    return results[0] if isinstance(inputs, Variable) else tuple(results)
