"""Data and carried states of any structure: arrays in tuples, lists and dicts."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ..recording import constant
from ..tensors import Tensor


def map_leaves(fn: Callable[[Any], Any], tree: Any) -> Any:
    """Apply `fn` to all that is no tuple, list or dict; the structure stays, and its types.

    >>> map_leaves(len, {"a": "xyz", "b": ("x", ["", "yz"])})
    {'a': 3, 'b': (1, [0, 2])}
    """
    if isinstance(tree, dict):
        return like(tree, {k: map_leaves(fn, v) for k, v in tree.items()})
    if isinstance(tree, list | tuple):
        return like(tree, [map_leaves(fn, v) for v in tree])
    return fn(tree)


def like(tree: Any, parts: Any) -> Any:
    """`parts`, a dict or a list, in a container of the type that `tree` is.

    >>> from collections import OrderedDict
    >>> like(OrderedDict(a=1), {"a": 2})
    OrderedDict([('a', 2)])
    """
    if type(tree) is dict:
        return parts
    if isinstance(tree, dict):
        made = copy.copy(tree)  # a defaultdict has its factory, too
        for k, v in parts.items():
            made[k] = v
        return made
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def leaves(tree: Any) -> list[Any]:
    """All that is no tuple, list, dict or None, in order.

    >>> leaves({"a": "xyz", "b": ("x", [None, "yz"])})
    ['xyz', 'x', 'yz']
    """
    found: list[Any] = []
    map_leaves(found.append, tree)
    return [leaf for leaf in found if leaf is not None]


def steps_of(data: object, who: str) -> int:
    """The number of steps, the same in all arrays."""
    lengths = set()
    for leaf in leaves(data) or [None]:
        if not isinstance(leaf, Tensor | np.ndarray) or not leaf.ndim:
            raise TypeError(
                f"{who}: data must be an array or tensor with the steps first, or tuples and dicts "
                f"of such; got {type(leaf).__name__}"
            )
        lengths.add(leaf.shape[0])
    if len(lengths) != 1:
        raise ValueError(
            f"{who}: the parts of data have {', '.join(map(str, sorted(lengths)))} steps; "
            "all must have as many"
        )
    return lengths.pop()


def cut(data: object, a: int, b: int) -> Any:
    """Steps a to b of everything, as tensors."""

    def part(leaf: Any) -> Any:
        if leaf is None or isinstance(leaf, Tensor):
            return None if leaf is None else leaf[a:b]
        return constant(np.array(leaf[a:b], order="C"))

    return map_leaves(part, data)


def detach(state: Any) -> Any:
    """Cut a carried state off the graph: the same values, no way back.

    Tensors, also in tuples, named tuples, lists and dicts (ordered ones stay so); None stays
    None. Raises TypeError for anything else.

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
        "detach: a state must be a tensor, None, or tuples, named tuples, lists and dicts of "
        f"them; got {type(part).__name__}"
    )
