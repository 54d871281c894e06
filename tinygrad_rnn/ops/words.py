"""PyTorch's `dim` is called `axis` here: functions made of ops say so, as ops do."""

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any


def worded(functions: dict[str, Any]) -> dict[str, Any]:
    """Those that are plain functions with an axis, each such that `dim` raises naming axis."""
    plain = [(name, f) for name, f in functions.items() if isinstance(f, FunctionType)]
    return {name: takes_axis(f) for name, f in plain if "axis" in f.__code__.co_varnames}


def takes_axis(function: Any) -> Callable[..., Any]:
    """The function, such that `dim` raises naming axis."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if "dim" in options:
            takes = f"{function.__qualname__}{inspect.signature(function)}"
            raise TypeError(f"{takes}: unknown dim; write axis")
        return function(*args, **options)

    return call
