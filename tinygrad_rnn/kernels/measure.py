"""Four figures of an array in one pass: what is noted of each gradient on its way."""

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit

Array = np.ndarray[Any, Any]


class Measured(NamedTuple):
    """Euclidean norm, largest absolute value, share of zeros, how many are not finite."""

    norm: float
    largest: float
    zeros: float
    bad: int


def _plain(x: Array) -> tuple[float, float, int, int]:
    wide = np.abs(x.astype(np.float64))
    finite = np.isfinite(wide)
    largest = float(wide.max(initial=0.0)) if finite.all() else float("nan")
    return float(np.sum(wide * wide)), largest, int((wide == 0).sum()), int((~finite).sum())


@jit(twin=_plain)
def _pass(x: Array) -> tuple[float, float, int, int]:
    total, largest, zeros, bad = 0.0, 0.0, 0, 0
    for i in range(x.size):
        a = abs(np.float64(x[i]))
        total += a * a
        largest = max(largest, a)
        zeros += a == 0
        bad += not a < np.inf
    return total, np.nan if bad else largest, zeros, bad


def measure(x: Array) -> Measured:
    """The figures of one array, summed in float64; a norm is NaN or infinite where a value is.

    >>> measure(np.array([3.0, 0.0, -4.0, 0.0]))
    Measured(norm=5.0, largest=4.0, zeros=0.5, bad=0)
    """
    total, largest, zeros, bad = _pass(np.ascontiguousarray(x).reshape(-1))
    return Measured(float(np.sqrt(total)), float(largest), zeros / max(x.size, 1), int(bad))
