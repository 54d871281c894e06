"""NumPy's names: of plain arrays NumPy's own functions, of tensors ours.

NAMES says what of ours a name of NumPy's is. A name that is not there raises AttributeError.
"""

import builtins
from typing import Any

import numpy as onp

from autograd.numpy import random as random
from autograd.numpy.names import NAMES
from autograd.operators import tensors

__version__ = onp.__version__


def _deep(value: Any) -> bool:
    return any(True for _ in tensors(value))


class _Function:
    """A function that looks whether tensors are among its arguments."""

    def __init__(self, name: str):
        self.name = self.__name__ = name

    def __call__(self, *args: Any, **options: Any) -> Any:
        if _deep(args) or _deep(list(options.values())):
            if self.name not in NAMES:
                raise AttributeError(f"tinygrad_rnn has no {self.name}")
            return NAMES[self.name](*args, **options)
        own = getattr(onp, self.name, None)
        return (own or NAMES[self.name])(*args, **options)

    def __getitem__(self, key: Any) -> Any:
        return getattr(onp, self.name)[key]


def __getattr__(name: str) -> Any:
    own = getattr(onp, name, None)
    if (isinstance(own, type) and name not in NAMES) or isinstance(
        own, builtins.float | builtins.str
    ):
        return own
    if own is None and name not in NAMES:
        raise AttributeError(f"neither NumPy nor tinygrad_rnn has {name}")
    return _Function(name)
