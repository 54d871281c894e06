"""Data and carried states of any structure: arrays in tuples, lists and dicts."""

from collections.abc import Callable
from typing import Any

from .._tensor import Tensor


def map_leaves(fn: Callable[[Any], Any], tree: Any) -> Any:
    """Apply `fn` to all that is no tuple, list or dict; the structure stays.

    >>> map_leaves(len, {"a": "xyz", "b": ("x", ["", "yz"])})
    {'a': 3, 'b': (1, [0, 2])}
    """
    if isinstance(tree, dict):
        return {k: map_leaves(fn, v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        parts = [map_leaves(fn, v) for v in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return fn(tree)


def detach(state: Any) -> Any:
    """Cut a carried state off the graph: the same values, no way back.

    Tensors, also in tuples, lists, dicts and named tuples; None stays None. Raises
    TypeError for anything else.

    >>> import tinygrad_rnn as tg
    >>> h, c = detach((tg.ones(2, requires_grad=True) * 2, tg.zeros(2)))
    >>> h.requires_grad
    False
    """
    return map_leaves(_detached, state)


def _detached(part: Any) -> Any:
    if part is None:
        return None
    if isinstance(part, Tensor):
        return part.detach()
    raise TypeError(
        "detach: a state must be a tensor, None, or tuples, lists and dicts of them; "
        f"got {type(part).__name__}"
    )
