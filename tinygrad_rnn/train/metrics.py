"""Measures of a forecast, all in one place with their definitions."""

import math

import numpy as np

from ..errors import DataError
from ..op import Array


def mae(forecast: Array, truth: Array) -> float:
    """Mean absolute error, in the units of the series."""
    return float(np.mean(np.abs(forecast - truth)))


def rmse(forecast: Array, truth: Array) -> float:
    """Root of the mean squared error, in the units of the series."""
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))


def mase(forecast: Array, truth: Array, history: Array, season: int) -> float:
    """MAE over the in-sample MAE of the seasonal naive forecast: Hyndman and Koehler (2006).

    Below 1: better than repeating the last season was within the history.
    """
    if len(history) <= season:
        raise DataError(f"mase: needs more than one season ({season}) of history")
    scale = float(np.mean(np.abs(history[season:] - history[:-season])))
    return mae(forecast, truth) / scale if scale > 0 else math.inf


def smape(forecast: Array, truth: Array) -> float:
    """200 mean(|f - y| / (|f| + |y|)), per cent; 0/0 counts as 0 (M4 competition)."""
    total = np.abs(forecast) + np.abs(truth)
    parts = np.abs(forecast - truth) / np.where(total > 0, total, 1)
    return float(200 * np.mean(parts))


def skill(error: float, reference: float) -> float:
    """1 - error / reference: 1 is perfect, 0 no better than the reference, below 0 worse."""
    return 1 - error / reference if reference > 0 else -math.inf


def is_persistence(forecast: Array, truth: Array, previous: Array) -> bool:
    """Whether a forecast follows the previous values more closely than the true ones.

    The lag test: corr(forecast_t, y_{t-1}) > corr(forecast_t, y_t), where
    `previous` holds y_{t-1}. A forecast that merely repeats what it saw last does.
    """
    if len(truth) < 3:
        return False
    now, before = _correlation(forecast, truth), _correlation(forecast, previous)
    return before > now + 1e-9


def _correlation(a: Array, b: Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def report(forecast: Array, truth: Array, history: Array, season: int) -> dict[str, float]:
    """MAE, RMSE, MASE and sMAPE by name."""
    return {
        "MAE": mae(forecast, truth),
        "RMSE": rmse(forecast, truth),
        "MASE": mase(forecast, truth, history, season),
        "sMAPE": smape(forecast, truth),
    }
