"""Measures of a forecast, and of sequences of symbols, with their definitions."""

import math
from collections.abc import Sequence
from typing import Any

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


def edit_distance(a: Sequence[Any], b: Sequence[Any]) -> int:
    """Fewest insertions, deletions and substitutions that turn a into b (Levenshtein 1966).

    >>> edit_distance("kitten", "sitting"), edit_distance([], [1, 2])
    (3, 2)
    """
    row = list(range(len(b) + 1))  # from the beginning of a that was read to those of b
    for i, x in enumerate(a, 1):
        left = i
        for j, y in enumerate(b, 1):
            new = min(row[j] + 1, left + 1, row[j - 1] + (x != y))
            row[j - 1], left = left, new
        row[-1] = left
    return row[-1]


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


def coverage(lower: Array, upper: Array, truth: Array) -> float:
    """The share of true values that lie between two quantiles, bounds included."""
    return float(np.mean((lower <= truth) & (truth <= upper)))


def weighted_quantile_loss(forecast: Array, truth: Array, quantiles: Sequence[float]) -> float:
    """2 sum(pinball) / sum(|y|), mean over the quantiles: forecast (..., q), truth (...).

    Times mean(|y|) it approximates the continuous ranked probability score (Gneiting and Raftery
    2007) by those quantiles; the weight is that of Salinas et al. 2020.

    >>> weighted_quantile_loss(np.array([[1.0, 3.0]]), np.array([2.0]), [0.5, 0.5])
    0.5
    """
    q, d = np.asarray(quantiles), truth[..., None] - forecast
    total = float(np.abs(truth).sum()) * len(q)
    loss = 2 * float(np.maximum(q * d, (q - 1) * d).sum())
    return loss / total if total > 0 else math.inf


def diebold_mariano(a: Array, b: Array, horizon: int = 1) -> float:
    """Two-sided p-value of the hypothesis that losses a and b (n,) have equal means.

    Losses of forecasts `horizon` steps ahead are correlated over horizon - 1 lags: Diebold and
    Mariano (1995), with the small-sample factor and Student's t of Harvey, Leybourne and
    Newbold (1997). NaN for fewer than 2 horizon losses, of which so many lags say nothing (12
    origins of a year in monthly steps gave p = .002 by a variance near 0), and where
    the estimated variance is not positive.

    >>> round(diebold_mariano(np.array([1.0, 2, 3, 2]), np.array([2.0, 2, 4, 4])), 3)
    0.092
    """
    from scipy import stats  # half a second to import: only who needs it pays

    d = np.asarray(a, np.float64) - b
    n, h = len(d), horizon
    centred = d - d.mean()
    lags = [float(centred[k:] @ centred[: n - k]) / n for k in range(min(h, n))]
    variance = (lags[0] + 2 * sum(lags[1:])) / n
    factor = (n + 1 - 2 * h + h * (h - 1) / n) / n
    if n < 2 * h or n < 2 or not variance > 0:
        return math.nan
    return float(2 * stats.t.sf(abs(d.mean()) / math.sqrt(variance) * math.sqrt(factor), n - 1))


def report(forecast: Array, truth: Array, history: Array, season: int) -> dict[str, float]:
    """MAE, RMSE, MASE and sMAPE by name."""
    return {
        "MAE": mae(forecast, truth),
        "RMSE": rmse(forecast, truth),
        "MASE": mase(forecast, truth, history, season),
        "sMAPE": smape(forecast, truth),
    }
