"""Switches that govern recording in this thread: no_grad, detect_anomaly, step, scope."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .op import local

F = TypeVar("F", bound=Callable[..., Any])


class Switch:
    """A setting of the current thread, as a context manager and as a decorator."""

    name: str
    value: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(getattr(local.now, self.name))
        setattr(local.now, self.name, self.value)

    def __exit__(self, *exc: object) -> None:
        setattr(local.now, self.name, self._before.pop())

    def __call__(self, fn: F) -> F:
        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return fn(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class grad_enabled(Switch):
    """Recording on or off."""

    name = "grad"

    def __init__(self, on: bool):
        super().__init__()
        self.value = on


class no_grad(Switch):
    """Record nothing in this thread: `with no_grad():` or `@no_grad()`.

    >>> w = tg.tensor([1.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = w * 2
    >>> y.requires_grad
    False
    """

    name, value = "grad", False


class detect_anomaly(Switch):
    """Raise AnomalyError at the first value or gradient that is not finite.

    The message names the op, the time step, the scope and the line of the
    user's code. Every result is looked at, so expect training to slow down
    by a third or more.

    >>> with tg.detect_anomaly(), tg.step(3):
    ...     y = tg.tensor([1.0, tg.nan]) * 2
    Traceback (most recent call last):
    tinygrad_rnn.errors.AnomalyError: detect_anomaly: mul, step 3 gives 1 of 2 values ...
    """

    name, value = "anomaly", True


@contextmanager
def step(t: int | None) -> Iterator[None]:
    """Stamp the nodes recorded inside with time step `t`, whatever is iterated there.

    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> with tg.step(3):
    ...     y = x * x
    >>> y.node.step
    3
    """
    now = local.now
    before, held = now.stamp[0], now.step_held
    now.stamp, now.step_held = (t, now.stamp[1]), True
    try:
        yield
    finally:
        now.stamp, now.step_held = (before, now.stamp[1]), held


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Put the nodes recorded inside under `name` in the path of modules.

    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> with tg.scope("encoder"), tg.scope("cell"):
    ...     y = x * x
    >>> y.node.scope
    'encoder.cell'
    """
    now = local.now
    before = now.stamp[1]
    path = f"{before}.{name}" if before and name else before or name
    now.stamp = (now.stamp[0], path)
    try:
        yield
    finally:
        now.stamp = (now.stamp[0], before)
