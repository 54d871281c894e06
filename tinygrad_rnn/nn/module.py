"""Module: parameters, submodules, modes and state dicts."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from .._tensor import Tensor, to_array
from ..errors import DTypeError, GraphError, ShapeError
from ..op import Array, local

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A Tensor that a Module trains: a leaf that requires a gradient.

    >>> Parameter([1.0, 2.0]).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, name: str | None = None):
        super().__init__(to_array(data), requires_grad, name)


def _children(value: Any, name: str) -> Iterator[tuple[str, Any]]:
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

    >>> import tinygrad_rnn as tg
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
            return self.forward(*args, **kwargs)
        finally:
            now.stamp = (now.stamp[0], before)

    def __setattr__(self, key: str, value: Any) -> None:
        for name, child in _children(value, key):
            if isinstance(child, Module):
                child.__dict__["_scope"] = name
            elif child.name is None:
                child.name = name
        object.__setattr__(self, key, value)

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

    def _every_name(self, above: tuple[int, ...] = ()) -> Iterator[tuple[str, Parameter]]:
        """All paths to all parameters: a shared one under each, as in PyTorch's state dicts."""
        inside = list(self._named())
        yield from ((name, p) for name, p in inside if isinstance(p, Parameter))
        above = (*above, id(self))
        for name, module in inside:
            if isinstance(module, Module) and id(module) not in above:
                yield from ((f"{name}.{n}", p) for n, p in module._every_name(above))

    def parameters(self) -> list[Parameter]:
        """All parameters, each once."""
        return [p for _, p in self.named_parameters()]

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

    def astype(self: M, dtype: Any) -> M:
        """Convert all parameters in place to float32 or float64; gradients are dropped."""
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise DTypeError(f"astype: parameters are float32 or float64, got {dtype}")
        for p in self.parameters():
            p._array, p.grad = p._array.astype(dtype), None
            p.bump_version()
        return self

    # state dicts --------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters as arrays, by path; a shared one under each of its paths."""
        return {name: p.numpy().copy() for name, p in self._every_name()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Take over values by path, from arrays, Tensors or PyTorch tensors; all or nothing.

        Raises ShapeError with a list of what is missing, unexpected, of another shape, or
        not one value for a parameter that is shared; with `strict=False` nothing need be
        there. Of a shared parameter's paths one is enough. Dtypes stay the module's.
        """
        own: dict[str, Parameter] = dict(self._every_name())
        arrays = {name: _as_array(name, v) for name, v in state.items()}
        given: dict[int, str] = {}  # by parameter: the path that its value comes from
        problems = []
        for name, p in own.items():
            if name not in arrays:
                continue
            first = given.setdefault(id(p), name)
            if arrays[name].shape != p.shape:
                problems.append(f"shape: {name} is {p.shape} here, {arrays[name].shape} there")
            elif not np.array_equal(arrays[first], arrays[name], equal_nan=True):
                problems.append(f"shared: {first} and {name} are one here, of two values there")
        if strict:
            lost = [(n, p) for n, p in own.items() if id(p) not in given]
            problems += [f"missing: {name} {p.shape}" for name, p in lost]
            problems += [f"unexpected: {n} {a.shape}" for n, a in arrays.items() if n not in own]
        if problems:
            listing = "\n  ".join(problems)
            raise ShapeError(
                f"load_state_dict: nothing was loaded into {type(self).__name__}\n  {listing}"
            )
        for name in given.values():
            own[name].assign_(arrays[name])

    def __repr__(self) -> str:
        count = sum(p.size for p in self.parameters())
        return f"{type(self).__name__}({count:,} parameters)"


def _as_array(name: str, value: Any) -> Array:
    if isinstance(value, Tensor):
        return value.numpy()
    if hasattr(value, "detach"):  # a PyTorch tensor, without importing PyTorch
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"load_state_dict: {name} holds {array.dtype} values, not numbers")
    return array


class Sequential(Module):
    """Apply modules and functions one after the other.

    The stages are `net[0]`, `net[1]`, ..., and their parameters `0.weight` and so on, as
    in PyTorch; a slice is a Sequential of the same stages.

    >>> import tinygrad_rnn as tg
    >>> net = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.tanh)
    >>> net(tg.ones(2, 3)).shape, len(net), list(net.state_dict())
    ((2, 4), 2, ['0.weight', '0.bias'])
    """

    def __init__(self, *stages: Callable[..., Any]):
        if not stages:
            raise GraphError("Sequential: needs at least one module or function")
        self.stages = list(stages)

    def _named(self) -> Iterator[tuple[str, Any]]:
        for name, child in super()._named():
            yield name.removeprefix("stages."), child

    def __len__(self) -> int:
        return len(self.stages)

    def __getitem__(self, key: int | slice) -> Any:
        return Sequential(*self.stages[key]) if isinstance(key, slice) else self.stages[key]

    def forward(self, x: Any) -> Any:
        for stage in self.stages:
            x = stage(x)
        return x
