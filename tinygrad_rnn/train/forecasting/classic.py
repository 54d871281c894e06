"""ETS and Theta of statsmodels: what a forecaster must be measured against."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import DataError
from ...op import Array

MOST = 1000  # values that are read: both look back exponentially less, and more take minutes
DRAWS = 500


def _statsmodels() -> None:
    try:
        import statsmodels  # noqa: F401
    except ImportError:
        raise ImportError(
            "ETS and Theta come from statsmodels: pip install 'tinygrad_rnn[forecast]'"
        ) from None


class ETS:
    """Exponential smoothing whose form is chosen by AICc when it is first fitted.

    Hyndman, Koehler, Snyder and Grose (2002): error and season additive or, for positive series,
    multiplicative, trend none, additive or damped, without the unstable additive error with a
    multiplicative season; seasons longer than 24 steps are left out, as in R's `ets`. The last
    1,000 values are read.

    >>> mean, quantiles = ETS(1, [0.5])(np.arange(20.0), 2)
    >>> mean.round(1).tolist(), quantiles.shape
    ([20.0, 21.0], (2, 1))
    """

    def __init__(self, season: int, quantiles: Sequence[float]):
        _statsmodels()
        self.season, self.quantiles = season, list(quantiles)
        self.form: dict[str, Any] | None = None

    def _fit(self, y: Array, form: dict[str, Any]) -> Any:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        period = self.season if form["seasonal"] else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence; the best of what is found is taken
            return ETSModel(y, seasonal_periods=period, **form).fit(disp=False, maxiter=200)

    def _forms(self, y: Array) -> list[dict[str, Any]]:
        positive = bool((y > 0).all())
        seasonal = 1 < self.season <= 24 and len(y) >= 2 * self.season + 5
        return [
            {"error": error, "trend": trend, "damped_trend": damped, "seasonal": season}
            for error in (["add", "mul"] if positive else ["add"])
            for trend, damped in ((None, False), ("add", False), ("add", True))
            for season in [None, "add", "mul"][: 1 + seasonal * (1 + positive)]
            if not (error == "add" and season == "mul")
        ]  # fmt: skip

    def __call__(self, history: Array, horizon: int) -> tuple[Array, Array]:
        """Mean (horizon,) and quantiles (horizon, q), of 500 simulated paths."""
        y = np.asarray(history[-MOST:], np.float64)
        if self.form is None:
            fits = []
            for form in self._forms(y):
                try:
                    fits.append((float(self._fit(y, form).aicc), form))
                except (ValueError, np.linalg.LinAlgError, ZeroDivisionError):
                    continue  # a form with as many parameters as values
            fits = [f for f in fits if np.isfinite(f[0])]
            if not fits:
                raise DataError(f"ETS: no form can be fitted to {len(y)} values")
            self.form = min(fits, key=lambda f: f[0])[1]
        found = self._fit(y, self.form)
        # errors of our own, since the name of the seed's argument has changed
        normal = np.random.default_rng(0).normal(size=(horizon, DRAWS)) * np.sqrt(found.scale)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            paths = found.simulate(horizon, anchor="end", repetitions=DRAWS, random_errors=normal)
        paths = np.reshape(np.asarray(paths), (horizon, -1))
        quantiles = np.quantile(paths, self.quantiles, axis=1).T
        return np.asarray(found.forecast(horizon)), quantiles


def theta(history: Array, horizon: int, season: int) -> Array:
    """Theta method (Assimakopoulos and Nikolopoulos, 2000), deseasonalised if that is called for.

    >>> theta(np.arange(1.0, 30.0), 2, 1).shape
    (2,)
    """
    _statsmodels()
    from statsmodels.tsa.forecasting.theta import ThetaModel

    y = np.asarray(history[-MOST:], np.float64)
    seasonal = season > 1 and len(y) >= 2 * season
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ThetaModel(
            y, period=season if seasonal else None, deseasonalize=seasonal,
            method="auto" if (y > 0).all() else "additive",
        )  # fmt: skip
        return np.asarray(model.fit().forecast(horizon))
