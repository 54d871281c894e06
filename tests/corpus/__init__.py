"""Sixty loops, each written in another way: what people write who never saw this code.

A function here makes one: `(function, arguments, parameters)`, in float64, with new tensors of the
same values at every call.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg

Example = tuple[Callable[..., Any], list[Any], list[Any]]
EXAMPLES: dict[str, Callable[[], Example]] = {}
T, B, I, H = 6, 3, 2, 4


def example(make: Callable[[], Example]) -> Callable[[], Example]:
    """Add to the corpus."""
    EXAMPLES[make.__name__.strip("_")] = make
    return make


def weights(*shapes: tuple[int, ...]) -> list[Any]:
    """A parameter of each shape."""
    rng = np.random.default_rng(len(shapes))
    return [tg.tensor(0.6 * rng.standard_normal(s), requires_grad=True) for s in shapes]


def series(*shape: int, grad: bool = False) -> Any:
    """An input."""
    return tg.tensor(np.random.default_rng(7).standard_normal(shape), requires_grad=grad)


def zeros(*shape: int) -> Any:
    """A state."""
    return tg.zeros(*shape, dtype="float64")


def module(made: Any) -> Any:
    """A module in float64, the same at every call."""
    tg.manual_seed(1)
    return made().astype("float64")


from . import attention, containers, control, layers, signals, walks  # noqa: E402, F401
