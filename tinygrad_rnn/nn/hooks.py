"""Hooks around a module's `forward`: before it, after it, and where its gradients pass."""

from collections.abc import Callable
from typing import Any

from .. import ops
from ..errors import GraphError
from ..tensors import Tensor

Hooks = dict[str, dict[int, Callable[..., Any]]]  # plain, so that jitted functions see changes


def none_yet() -> Hooks:
    """Where the hooks of one module go, each kind in the order of registration."""
    return {"before": {}, "after": {}, "backward": {}}


def around(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a module's `forward` with everything that is hooked to it."""
    hooks: Hooks = module._hooked
    for hook in tuple(hooks["before"].values()):
        changed = hook(module, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
    backward = tuple(hooks["backward"].values())
    crossing = _Crossing(module, backward) if backward else None
    if crossing is not None:
        args = crossing.enter(args)
    y = module.forward(*args, **kwargs)
    for hook in tuple(hooks["after"].values()):
        changed = hook(module, args, y)
        y = y if changed is None else changed
    return y if crossing is None else crossing.leave(y)


class _Crossing:
    """One call of a module, for the gradients that will come back through it."""

    def __init__(self, module: object, hooks: tuple[Callable[..., Any], ...]):
        self.module, self.hooks = module, hooks
        self.grad_output: tuple[Any, ...] = ()
        self.through = False  # whether gradients pass on to the inputs

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, the gradients of which are those through this module alone."""
        tensors = [a for a in args if isinstance(a, Tensor)]
        self.through = any(a.requires_grad for a in tensors)
        met = iter(meeting(tensors, self._on_inputs))
        return tuple([next(met) if isinstance(a, Tensor) else a for a in args])

    def leave(self, y: Any) -> Any:
        """The output, whose gradients are those that the hooks are shown."""
        tensors: list[Tensor] = []
        _map(y, tensors.append)
        met = iter(meeting(tensors, self._on_outputs))
        return _map(y, lambda _: next(met))

    def _on_outputs(self, grads: tuple[Any, ...]) -> None:
        self.grad_output = grads
        if not self.through:
            self._on_inputs((None,))

    def _on_inputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...] | None:
        grad_output = self.grad_output
        given = grads
        for hook in self.hooks:
            changed = hook(self.module, grads, grad_output)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
            if len(grads) != len(given):
                raise GraphError(
                    f"backward hook of {type(self.module).__name__}: must return None or "
                    f"{len(given)} gradients, one for each tensor among the arguments, got "
                    f"{len(grads)}"
                )
        return None if grads is given else grads


def _map(y: Any, fn: Callable[[Tensor], Any]) -> Any:
    """The same tuples, named or not, lists and dicts with `fn` of each tensor."""
    if isinstance(y, Tensor):
        return fn(y)
    if isinstance(y, tuple | list):
        parts = [_map(part, fn) for part in y]
        return type(y)(*parts) if hasattr(y, "_fields") else type(y)(parts)
    if isinstance(y, dict):
        return {key: _map(part, fn) for key, part in y.items()}
    return y


def meeting(tensors: list[Tensor], meet: Callable[[tuple[Any, ...]], Any]) -> list[Any]:
    """The same values, of which `meet` sees all gradients together and may change them.

    Each passes two identities. The sweep goes from later nodes to earlier ones: when the
    first gradient comes to the earlier row, all that ever will have left the later one.
    """
    arrived: dict[int, Any] = {}
    changed: dict[int, Any] = {}

    def comes(k: int) -> Callable[[Any], None]:
        def comes_k(g: Any) -> None:
            arrived[k] = g

        return comes_k

    def leaves(k: int) -> Callable[[Any], Any]:
        def leaves_k(_: Any) -> Any:
            if arrived:
                grads = tuple([arrived.get(i) for i in range(len(tensors))])
                arrived.clear()
                changed.update(enumerate(meet(grads) or ()))
            return changed.pop(k, None)

        return leaves_k

    rows = list(tensors)
    for hook_of in (leaves, comes):
        rows = [ops.clone(t) if t.requires_grad else t for t in rows]
        for k, t in enumerate(rows):
            if t.requires_grad:
                t.register_hook(hook_of(k))
    return rows
