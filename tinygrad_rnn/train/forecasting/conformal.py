"""Margins that give bands of quantiles their coverage: split conformal calibration."""

import math
from collections.abc import Sequence

import numpy as np

from ...errors import DataError
from ...op import Array


def conformal_margins(forecast: Array, truth: Array, quantiles: Sequence[float]) -> Array:
    """What to add to each quantile so that bands cover their share of what was not fitted.

    forecast (n, ..., q), truth (n, ...). The band from quantile p to 1 - p is widened on both
    sides by the ceil((n + 1)(1 - 2p))-th smallest of max(lower - truth, truth - upper), narrowed
    if that is negative: of exchangeable errors the next one lies in it with
    at least probability 1 - 2p, as long as n is large enough for that place to exist; else the
    extreme is taken (Romano, Patterson and Candes, NeurIPS 2019, theorem 1). A quantile without its
    mirror is moved by the ceil((n + 1) p)-th smallest of truth - forecast (theorem 2), the median
    not at all. Returns (..., q). Raises DataError for no errors or another number of quantiles.

    >>> conformal_margins(np.zeros((9, 1, 2)), np.arange(1.0, 10.0)[:, None], [0.1, 0.9]).tolist()
    [[-8.0, 8.0]]
    """
    n, levels = len(truth), list(quantiles)
    if forecast.shape != (*truth.shape, len(levels)) or not n:
        raise DataError(
            f"conformal_margins: forecasts must be {(*truth.shape, len(levels))} for truth "
            f"{truth.shape}, at least one row; got {forecast.shape}"
        )

    def smallest(errors: Array, share: float) -> Array:
        # (n + 1) share may miss a whole number by rounding
        rank = math.ceil(round((n + 1) * share, 9))
        return np.sort(errors, axis=0)[min(max(rank, 1), n) - 1]

    above = truth[..., None] - forecast
    margins = np.zeros_like(above[0])
    for k, p in enumerate(levels):
        mirror = [j for j, other in enumerate(levels) if math.isclose(other, 1 - p)]
        if not mirror:
            margins[..., k] = smallest(above[..., k], p)
        elif p < 0.5:
            out = np.maximum(-above[..., k], above[..., mirror[0]])
            margins[..., mirror[0]] = smallest(out, 1 - 2 * p)
            margins[..., k] = -margins[..., mirror[0]]
    return margins
