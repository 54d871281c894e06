"""Hooks of tensors and modules: what is called when a gradient or a module's turn comes."""

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import GraphError

_count = itertools.count().__next__  # atomic under the interpreter's lock


class Handle:
    """Takes a hook away again: `handle.remove()`, as in PyTorch, or `handle()`."""

    def __init__(self, hooks: dict[int, Any], hook: Callable[..., Any]):
        self._hooks, self._key = hooks, _count()
        hooks[self._key] = hook

    def remove(self) -> None:
        """The hook is not called any more; a second time does nothing."""
        self._hooks.pop(self._key, None)

    __call__ = remove


def register_hook(self: Any, hook: Callable[[Any], Any]) -> Handle:
    """Call `hook(gradient)` when this tensor's gradient is complete.

    What it returns, unless None, takes the gradient's place. Returns a handle whose
    `remove()` takes the hook away.
    """
    if not self.requires_grad:
        raise GraphError("register_hook: this tensor does not require a gradient")
    if self._node is None:
        if self._hooks is None:
            self._hooks = {}
        return Handle(self._hooks, hook)
    if self._node.extra is None:
        self._node.extra = {}
    return Handle(self._node.extra.setdefault("hooks", {}), hook)


def retain_grad(self: Any) -> None:
    """Let `backward()` add this tensor's gradient to its `.grad`, as if it were a leaf.

    The gradient is the one that all hooks have seen. `tg.grad` leaves it alone, as every
    other `.grad`. Raises GraphError for a tensor that does not require a gradient.

    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> y.retain_grad()
    >>> (2 * y).backward()
    >>> y.grad.item(), x.grad.item()
    (2.0, 12.0)
    """
    if not self.requires_grad:
        raise GraphError("retain_grad: this tensor does not require a gradient")
    if self._node is not None:  # which must not keep the tensor alive
        self._node.extra = {**(self._node.extra or {}), "retain": weakref.ref(self)}


def run_hooks(hooks: dict[int, Any], g: Any, lift: Callable[[Any, Any], Any], graph: bool) -> Any:
    """Show `g` to each hook in turn; what a hook returns takes its place."""
    for hook in tuple(hooks.values()):
        seen = g if graph else lift(g, None)
        changed = hook(seen)
        if changed is not None:
            if getattr(changed, "shape", None) != g.shape or changed.dtype != g.dtype:
                raise GraphError(
                    f"gradient hook: must return None or a tensor of shape {g.shape} and dtype "
                    f"{g.dtype}, got {getattr(changed, 'shape', type(changed).__name__)}"
                )
            g = changed if graph else np.array(changed.numpy())
    return g
