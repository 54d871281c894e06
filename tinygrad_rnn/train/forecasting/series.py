"""Series cut in time order."""

from typing import NamedTuple

import numpy as np

from ...errors import DataError
from ...op import Array


class Split(NamedTuple):
    """A series cut in time order: to learn from, to stop by, to be judged on."""

    train: Array
    val: Array
    test: Array


def split(values: Array, val: int, test: int) -> Split:
    """Cut the last `test` values off, and the `val` before them; the rest is for training.

    >>> [len(part) for part in split(np.arange(10.0), 2, 3)]
    [5, 2, 3]
    """
    n = len(values) - val - test
    if val < 1 or test < 1 or n < 1:
        raise DataError(
            f"split: {len(values)} values cannot be cut into training, {val} for validation and "
            f"{test} for the test"
        )
    return Split(values[:n], values[n : n + val], values[n + val :])


def windows(values: Array, lookback: int, horizon: int) -> tuple[Array, Array]:
    """All pairs of `lookback` values and the `horizon` that follow: (n, lookback), (n, horizon).

    >>> x, y = windows(np.arange(5.0), 3, 1)
    >>> x.tolist(), y.tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0], [4.0]])
    """
    if lookback < 1 or horizon < 1:
        raise DataError(f"windows: lookback {lookback} and horizon {horizon} must be at least 1")
    if len(values) < lookback + horizon:
        raise DataError(
            f"windows: a series of {len(values)} values is shorter than one window of "
            f"{lookback} + {horizon}; use a shorter lookback or horizon"
        )
    both = np.lib.stride_tricks.sliding_window_view(values, lookback + horizon)
    return both[:, :lookback].copy(), both[:, lookback:].copy()
