"""`grad` as autograd has it, by `tinygrad_rnn.grad`; nested calls make graphs of graphs."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tinygrad_rnn as tg

Containers = list | tuple


def leaf(value: Any) -> Any:
    """A tensor of its own for each number or float array in containers."""
    if isinstance(value, Containers):
        return type(value)([leaf(v) for v in value])
    if isinstance(value, tg.Tensor):
        return tg.clone(value)  # so that only what passes through here is differentiated
    array = np.asarray(value, getattr(value, "dtype", np.float64))
    return tg.tensor(array, requires_grad=True) if array.dtype.kind == "f" else value


def tensors(value: Any) -> Iterator[tg.Tensor]:
    """The tensors in containers, one after the other."""
    if isinstance(value, tg.Tensor):
        yield value
    elif isinstance(value, Containers):
        for v in value:
            yield from tensors(v)


def grad(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The gradient of a function of one value, by one argument."""

    def gradient(*args: Any, **options: Any) -> Any:
        x = leaf(args[argnum])
        y = function(*args[:argnum], x, *args[argnum + 1 :], **options)
        if not isinstance(y, tg.Tensor) or not y.requires_grad:
            return np.zeros(x.shape)
        g = tg.grad(y, x, create_graph=True)
        return g if any(True for _ in tensors(args)) else g.detach().numpy()

    return gradient
