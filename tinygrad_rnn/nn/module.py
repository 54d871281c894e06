"""Module: parameters, buffers, submodules, hooks and modes."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from ..conversion import to_array
from ..errors import DTypeError, GraphError
from ..hooks import Handle
from ..inputs import dtype_named
from ..op import Array, local
from ..tensors import Tensor, as_tensor
from ..words import OF_MODULES, hint
from .hooks import Hooks, around, none_yet
from .state import every_name, load

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A Tensor that a Module trains: a leaf that requires a gradient.

    >>> Parameter([1.0, 2.0]).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: object, requires_grad: bool = True, name: str | None = None):
        super().__init__(to_array(data), requires_grad, name)


def _children(value: object, name: str) -> Iterator[tuple[str, Any]]:
    """Modules and parameters in `value`, also inside lists, tuples and dicts."""
    if isinstance(value, Module | Parameter):
        yield name, value
    elif isinstance(value, list | tuple):
        for k, item in enumerate(value):
            yield from _children(item, f"{name}.{k}")
    elif isinstance(value, dict):
        for k, item in value.items():
            yield from _children(item, f"{name}.{k}")


class Module:
    """Base of everything with parameters; assign parameters and modules as attributes.

    Lists, tuples and dicts of modules and parameters are searched too, and named
    by their keys: `self.cells = [a, b]` gives `cells.0.weight_ih` and so on.

    >>> class Affine(tg.nn.Module):
    ...     def __init__(self):
    ...         self.w, self.b = tg.nn.Parameter([2.0]), tg.nn.Parameter([1.0])
    ...     def forward(self, x):
    ...         return self.w * x + self.b
    >>> Affine()(3.0).tolist()
    [7.0]
    """

    training = True
    _scope = ""
    _buffer_names: Mapping[str, bool] = MappingProxyType({})  # by name, whether state dicts have it
    _hooked: Hooks | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass says how."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        now = local.now
        before = now.stamp[1]
        name = self._scope or type(self).__name__
        now.stamp = (now.stamp[0], f"{before}.{name}" if before else name)
        if now.recorder is not None:
            now.recorder.meet(self)
        try:
            if self._hooked is not None:
                return around(self, args, kwargs)
            return self.forward(*args, **kwargs)
        finally:
            now.stamp = (now.stamp[0], before)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            computed = self.__dict__.get("parametrizations", {}).get(name)
            if computed is not None:
                return computed()
            words = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(hint(words, name, OF_MODULES))

    def __setattr__(self, key: str, value: object) -> None:
        if key in self.__dict__.get("parametrizations", ()):
            raise GraphError(
                f"{key} of {type(self).__name__} is computed (weight_norm); write to what it is "
                "computed from, or use nn.remove_weight_norm first"
            )
        for name, child in _children(value, key):
            if isinstance(child, Module):
                child.__dict__["_scope"] = name
            elif child.name is None:
                child.name = name
        object.__setattr__(self, key, value)

    def _places(self, name: str) -> list[tuple["Module", str]]:
        """Whose attribute a parameter is, and under which name."""
        return [(self, name)]

    # what is inside -------------------------------------------------------------

    def _named(self) -> Iterator[tuple[str, Any]]:
        for key, value in list(vars(self).items()):
            yield from _children(value, key)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, each once, with its path."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            below = [(n, m) for n, m in module._named() if isinstance(m, Module)]
            stack += [(f"{path}.{n}" if path else n, m) for n, m in reversed(below)]

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths; a shared one once, under its first."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, p in module._named():
                if isinstance(p, Parameter) and id(p) not in seen:
                    seen.add(id(p))
                    yield (f"{path}.{name}" if path else name), p

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their paths; a shared one once, under its first."""
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, b in module._own_buffers():
                if id(b) not in seen:
                    seen.add(id(b))
                    yield (f"{path}.{name}" if path else name), b

    def _own_buffers(self, kept: bool = False) -> Iterator[tuple[str, Tensor]]:
        """The buffers of this module itself; of those that state dicts hold if `kept`."""
        for name, persistent in self._buffer_names.items():
            if (persistent or not kept) and isinstance(vars(self).get(name), Tensor):
                yield name, vars(self)[name]

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules directly below, each once, with their names: `cells.0` in a list."""
        seen: set[int] = set()
        for name, child in self._named():
            if isinstance(child, Module) and id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def modules(self) -> list["Module"]:
        """This module and all below it, each once."""
        return [module for _, module in self.named_modules()]

    def children(self) -> list["Module"]:
        """The modules directly below, each once."""
        return [child for _, child in self.named_children()]

    def parameters(self) -> list[Parameter]:
        """All parameters, each once."""
        return [p for _, p in self.named_parameters()]

    def buffers(self) -> list[Tensor]:
        """All buffers, each once."""
        return [b for _, b in self.named_buffers()]

    def register_buffer(self, name: str, value: object, persistent: bool = True) -> None:
        """Set an attribute that is part of the state but not trained, such as a running mean.

        `state_dict` has it, unless `persistent` is False, and `astype` converts it. Assign
        another tensor to the attribute, and that is the buffer; None leaves it empty.

        >>> m = Module()
        >>> m.register_buffer("mean", [0.0, 0.0])
        >>> list(m.state_dict()), m.parameters()
        (['mean'], [])
        """
        if not name.isidentifier():
            raise GraphError(f"register_buffer: {name!r} cannot be the name of an attribute")
        if name not in self._buffer_names and hasattr(self, name):
            raise GraphError(f"register_buffer: the module has an attribute {name!r} already")
        if isinstance(value, Parameter):
            raise GraphError(f"register_buffer: {name} is a Parameter; assign it as an attribute")
        self.__dict__["_buffer_names"] = {**self._buffer_names, name: persistent}
        setattr(self, name, value if value is None else as_tensor(value))

    def apply(self: M, fn: Callable[["Module"], Any]) -> M:
        """Call `fn` with every module below, then with this one: to initialise, for instance."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def requires_grad_(self: M, mode: bool = True) -> M:
        """Train all parameters, or, with False, freeze them."""
        for p in self.parameters():
            p.requires_grad = mode
        return self

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters():
            p.grad = None

    # modes ------------------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        """Switch this module and all below it to training (dropout on) or not."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Switch to evaluation: dropout off."""
        return self.train(False)

    def astype(self: M, dtype: DTypeLike) -> M:
        """Convert parameters, in place, and buffers to a float dtype; gradients are dropped."""
        dtype = dtype_named(dtype)
        if dtype not in (np.float32, np.float64):
            raise DTypeError(f"astype: parameters are float32 or float64, got {dtype}")
        for p in self.parameters():
            p._array, p.grad = p._array.astype(dtype), None
            p.bump_version()
        for _, module in self.named_modules():
            for name, b in module._own_buffers():
                if b.dtype.kind == "f":
                    setattr(module, name, b.astype(dtype))
        return self

    # hooks --------------------------------------------------------------------------

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call `hook(module, args)` before `forward`; what it returns takes their place.

        `args` are the positional arguments, a tuple; a single value stands for a tuple of
        one. Returns a handle whose `remove()` takes the hook away.
        """
        return Handle(self._own_hooks()["before"], hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call `hook(module, args, output)` after `forward`; what it returns takes its place.

        >>> layer, seen = tg.nn.Linear(3, 2), []
        >>> handle = layer.register_forward_hook(lambda m, args, y: seen.append(y.shape))
        >>> y = layer(tg.ones(5, 3))
        >>> handle.remove()
        >>> seen
        [(5, 2)]
        """
        return Handle(self._own_hooks()["after"], hook)

    def register_full_backward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of its inputs are there.

        Both are tuples over the tensors among the positional arguments and in the output
        (a tensor, or tuples and lists of them), None where there is no gradient. What the
        hook returns, a tuple of the length of `grad_input` or a tensor, takes its place.
        """
        return Handle(self._own_hooks()["backward"], hook)

    def _own_hooks(self) -> Hooks:
        if self._hooked is None:
            self.__dict__["_hooked"] = none_yet()
        hooks: Hooks = self.__dict__["_hooked"]
        return hooks

    # state dicts --------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers as arrays, by path; a shared one under each."""
        return {path: t.numpy().copy() for path, (_, _, t) in every_name(self).items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Take over values by path, from arrays, Tensors or PyTorch tensors; all or nothing.

        Raises ShapeError with a list of what is missing, unexpected, of another shape, or
        not one value for a parameter that is shared; with `strict=False` nothing need be
        there. Of a shared parameter's paths one is enough. Dtypes stay the module's; half
        and bfloat16 values become them.
        """
        load(self, state, strict)

    def __repr__(self) -> str:
        count = sum(p.size for p in self.parameters())
        return f"{type(self).__name__}({count:,} parameters)"
