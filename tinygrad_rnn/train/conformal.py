"""Margins that give quantiles their coverage: split conformal calibration."""

import math
from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from ..op import Array


def conformal_margins(forecast: Array, truth: Array, quantiles: Sequence[float]) -> Array:
    """What to add to each quantile so that it covers its share of what it was not fitted on.

    forecast (n, ..., q), truth (n, ...); the margin of quantile p is the ceil((n + 1) p)-th
    smallest of truth - forecast, for p below a half the floor((n + 1) p)-th: of exchangeable
    errors the next one lies below with probability at least (at most) p, as long as n is large
    enough for that place to exist; else the extreme error is taken. Split conformal prediction of
    each quantile by itself: Romano, Patterson and Candes (NeurIPS 2019), theorem 2. Returns
    (..., q), dtype of the errors. Raises DataError for no errors or another number of quantiles.

    >>> conformal_margins(np.zeros((9, 1)), np.arange(1.0, 10.0), [0.8]).tolist()
    [8.0]
    """
    n = len(truth)
    if forecast.shape != (*truth.shape, len(quantiles)) or not n:
        raise DataError(
            f"conformal_margins: forecasts must be {(*truth.shape, len(quantiles))} for truth "
            f"{truth.shape}, at least one row; got {forecast.shape}"
        )
    errors = np.sort(truth[..., None] - forecast, axis=0)
    margins = np.empty_like(errors[0])
    for k, p in enumerate(quantiles):
        # (n + 1) p may miss a whole number by rounding
        place = round((n + 1) * p, 9)
        rank = math.ceil(place) if p >= 0.5 else math.floor(place)
        margins[..., k] = errors[min(max(rank, 1), n) - 1, ..., k]
    return margins
