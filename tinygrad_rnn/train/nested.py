"""Carried states of any structure: tensors in tuples, lists and dicts."""

from collections.abc import Callable
from typing import Any

from .._tensor import Tensor


def map_tensors(fn: Callable[[Tensor], Any], tree: Any, who: str = "map_tensors") -> Any:
    """Apply `fn` to every tensor of a nested structure; None stays None.

    >>> import tinygrad_rnn as tg
    >>> map_tensors(lambda x: x.shape, {"h": tg.ones(2), "c": (tg.ones(3), None)})
    {'h': (2,), 'c': ((3,), None)}
    """
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        return fn(tree)
    if isinstance(tree, dict):
        return {k: map_tensors(fn, v, who) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        parts = [map_tensors(fn, v, who) for v in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    raise TypeError(
        f"{who}: a state must be a tensor, None, or tuples, lists and dicts of them; "
        f"got {type(tree).__name__}"
    )


def detach(state: Any) -> Any:
    """Cut a carried state off the graph: the same values, no way back.

    Tensors, also in tuples, lists, dicts and named tuples; None stays None. Raises
    TypeError for anything else.

    >>> import tinygrad_rnn as tg
    >>> h, c = detach((tg.ones(2, requires_grad=True) * 2, tg.zeros(2)))
    >>> h.requires_grad
    False
    """
    return map_tensors(lambda x: x.detach(), state, "detach")
