"""What functions made of ops take as ops do: `dim` is told to be `axis`, lists become arrays."""

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..errors import ShapeError
from ..op import Traced

_ARRAYS = ("x", "a", "b", "W", "indices")  # what parameters are called that are one array each


def worded(functions: dict[str, Any]) -> dict[str, Any]:
    """Those that are plain functions of arrays or with an axis, each such that it takes lists."""
    plain = [(name, f) for name, f in functions.items() if isinstance(f, FunctionType)]
    named = {"axis", "arrays", *_ARRAYS}
    taking = [(n, f) for n, f in plain if named.intersection(inspect.signature(f).parameters)]
    return {name: _call(f, _arrays(f)) for name, f in taking}


def takes_axis(function: Any) -> Callable[..., Any]:
    """The function, such that `dim` raises naming axis."""
    return _call(function, 0)


def _arrays(function: Any) -> int | None:
    """How many of the arguments given by place are arrays; None for all."""
    first, *more = inspect.signature(function).parameters.values()
    if first.kind is first.VAR_POSITIONAL:
        return None
    return (first.name == "arrays") + sum(p.name in _ARRAYS for p in (first, *more))


def _call(function: Any, arrays: int | None) -> Callable[..., Any]:
    several = next(iter(inspect.signature(function).parameters)) == "arrays" and arrays is not None

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if "dim" in options:
            known = inspect.signature(function).parameters.values()
            takes = inspect.Signature([p.replace(annotation=p.empty) for p in known])
            raise TypeError(f"{function.__qualname__}{takes}: unknown dim; write axis")
        for a in args[:arrays]:
            if a.__class__ is list or a.__class__ is tuple:
                turn = _each if several else _array
                args = (*[turn(function, a) for a in args[:arrays]], *args[arrays or len(args) :])
                break
        return function(*args, **options)

    return call


def _array(function: Any, a: Any, dtype: DTypeLike | None = None) -> Any:
    """A list of numbers as an array."""
    if a.__class__ is not list and a.__class__ is not tuple:
        return a
    if any(isinstance(v, Traced) for v in a):
        return a  # some functions take those
    try:
        return np.asarray(a, dtype)
    except ValueError as error:
        raise ShapeError(f"{function.__name__}: rows of different lengths ({error})") from None


def _each(function: Any, a: Any) -> Any:
    """A list of arrays; those that are lists of numbers take the others' float dtype."""
    if a.__class__ is not list and a.__class__ is not tuple:
        return a
    ours = [v.dtype for v in a if isinstance(v, Traced | np.ndarray)]  # type: ignore[union-attr]
    dtype = next((d for d in ours if d.kind == "f"), None)
    return [v if hasattr(v, "shape") else _array(function, [v], dtype)[0] for v in a]
