"""Forecasts that need no model: what a model must beat to be worth its name.

Each takes the history in time order and returns the next `horizon` values.
Hyndman and Athanasopoulos, Forecasting: Principles and Practice, section 5.2.
"""

import numpy as np

from ...errors import DataError
from ...op import Array


def _need(name: str, history: Array, n: int) -> None:
    if len(history) < n:
        raise DataError(f"{name}: needs at least {n} values of history, got {len(history)}")


def naive(history: Array, horizon: int) -> Array:
    """The last value, repeated.

    >>> naive(np.array([1.0, 3.0]), 2).tolist()
    [3.0, 3.0]
    """
    _need("naive", history, 1)
    return np.full(horizon, history[-1])


def drift(history: Array, horizon: int) -> Array:
    """The line from the first value through the last.

    >>> drift(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [4.0, 5.0]
    """
    _need("drift", history, 2)
    slope = (history[-1] - history[0]) / (len(history) - 1)
    return history[-1] + slope * np.arange(1, horizon + 1)


def seasonal_naive(history: Array, horizon: int, season: int) -> Array:
    """The last season, over and over."""
    _need("seasonal_naive", history, season)
    return np.resize(history[-season:], horizon)


def seasonal_growth(history: Array, horizon: int, season: int) -> Array:
    """The last season, times its growth over the one before, to a higher power each season."""
    _need("seasonal_growth", history, 2 * season)
    before, last = history[-2 * season : -season].sum(), history[-season:].sum()
    growth = last / before if before > 0 and last > 0 else 1.0
    return seasonal_naive(history, horizon, season) * growth ** (1 + np.arange(horizon) // season)


def all_baselines(history: Array, horizon: int, season: int) -> dict[str, Array]:
    """Every baseline by its name in the table."""
    return {
        "naive": naive(history, horizon),
        "drift": drift(history, horizon),
        "seasonal naive": seasonal_naive(history, horizon, season),
        "seasonal naive x growth": seasonal_growth(history, horizon, season),
    }
