"""A forecaster judged over many origins, beside forecasts that cost nothing."""

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from ...errors import DataError, kind
from ...op import Array
from .. import metrics
from .baselines import all_baselines, drift, naive
from .classic import ETS, MOST, theta
from .panel import One, named, panel
from .recurrent_forecaster import RecurrentForecaster


class Judgement(NamedTuple):
    """Forecasts of every series from every origin, beside the truth; errors by `rows`."""

    truth: Array  # (cases, origins, horizon); a case is a target of a series
    forecasts: dict[str, Array]  # the model first
    quantiles: dict[str, Array]  # (cases, origins, horizon, q)
    levels: list[float]
    scales: Array  # (cases,): in-sample error of the seasonal naive forecast, 0 replaced
    overlap: int  # origins whose forecasts share steps with one origin's
    notes: list[str]

    def losses(self, name: str) -> Array:
        """Mean absolute error of each origin; over the scales if there are several cases."""
        errors = np.abs(self.forecasts[name] - self.truth).mean(axis=2)
        return (errors if len(errors) == 1 else errors / self.scales[:, None]).mean(axis=0)

    @property
    def best(self) -> str:
        """The baseline with the least error."""
        return min(list(self.forecasts)[1:], key=lambda name: self.losses(name).mean())

    def rows(self) -> dict[str, dict[str, float]]:
        """Measures by name, mean and spread over origins; `p` against the best baseline."""
        found = {}
        for name, forecast in self.forecasts.items():
            losses, errors = self.losses(name), np.abs(forecast - self.truth)
            row = {
                "MAE": float(errors.mean()),
                "spread": float(errors.mean(axis=(0, 2)).std()),
                "RMSE": metrics.rmse(forecast, self.truth),
                "MASE": float((errors.mean(axis=(1, 2)) / self.scales).mean()),
                "WQL": float("nan"), "wide": float("nan"), "half": float("nan"),
            }  # fmt: skip
            if name in self.quantiles:
                q = self.quantiles[name]
                row["WQL"] = metrics.weighted_quantile_loss(q, self.truth, self.levels)
                row["wide"] = metrics.coverage(q[..., 0], q[..., -1], self.truth)
                k = len(self.levels) // 4
                row["half"] = metrics.coverage(q[..., k], q[..., -1 - k], self.truth)
            row["p"] = float("nan")
            if name != self.best:
                row["p"] = metrics.diebold_mariano(losses, self.losses(self.best), self.overlap)
            found[name] = row
        return found


def judge_rolling(
    model: RecurrentForecaster, y: Any, past: Any = None, future: Any = None, *, origins: int = 12,
    step: int = 1, refit: bool = False, classic: bool = True, progress: bool = False,
    folder: str | os.PathLike[str] | None = None, resume: bool = False,
) -> Judgement:  # fmt: skip
    """Fit on what lies before the first of `origins`, forecast from each, `step` apart.

    The last forecast ends with the series. With `refit` the model is fitted anew at every origin,
    as ETS and Theta always are (not with `classic` False). Checkpoints go to `folder`.
    Raises DataError where too little is left to learn from.

    >>> from tinygrad_rnn import train
    >>> model = train.RecurrentForecaster(3, season=4, lookback=8, updates=2, members=1)
    >>> y = np.arange(60.0) + np.tile([0.0, 5.0, 0.0, -5.0], 15)
    >>> judged = judge_rolling(model, y, origins=2, classic=False)
    >>> judged.best, judged.truth.shape
    ('seasonal naive x growth', (1, 2, 3))
    """
    for what, value in (("origins", origins), ("step", step)):
        if not isinstance(value, int | np.integer) or value < 1:
            raise DataError(f"judge_rolling: {what} must be a whole number from 1, got {value!r}")
    if not isinstance(model, RecurrentForecaster):
        raise DataError(f"judge_rolling: model must be a RecurrentForecaster, got {kind(model)}")
    h = model.options["horizon"]
    whole = panel(y, past, future, model.options["calendar"])
    backs = _backs(whole, h, origins, step)
    truth, means, bands = [], dict[str, list[Any]](), dict[str, list[Any]]()
    smoothers: dict[Any, ETS] | None = {} if classic else None
    for i, back in enumerate(tqdm(backs, "origins", leave=False, disable=not progress or None)):
        before = _cut(y, back)
        if i == 0 or refit:
            own = None if folder is None else Path(folder) / f"origin_{i}"
            shown = progress and not refit
            model.fit(before, past, future, progress=shown, folder=own, resume=resume)
        ours, quantiles = (
            _by_key(f(before, past, future)) for f in (model.predict, model.predict_quantiles)
        )
        found = _beside(model, whole, back, ours, quantiles, smoothers)
        truth.append(found.pop("truth"))
        for what, cases in found.items():
            (bands if what.endswith(" q") else means).setdefault(what, []).append(cases)
    first, season = [one.y[: len(one.y) - backs[0]] for one in whole.values()], model.sizes.season
    read = classic and any(len(one.y) > MOST for one in whole.values())
    return Judgement(
        np.swapaxes(truth, 0, 1),
        {what: np.swapaxes(y_hat, 0, 1) for what, y_hat in means.items()},
        {what[:-2]: np.swapaxes(q, 0, 1) for what, q in bands.items()},
        model.options["quantiles"],
        np.concatenate([_scales(y, season) for y in first]),
        -(-h // step),
        [f"ETS and Theta read the last {MOST:,} values"] if read else [],
    )


def _backs(whole: Mapping[str, One], h: int, origins: int, step: int) -> list[int]:
    """How many values lie after each origin; DataError for a series that is too short."""
    backs = [h + step * k for k in reversed(range(origins))]
    for key, one in whole.items():
        if len(one.y) <= backs[0]:
            raise DataError(
                f"judge_rolling: {named(key)} has {len(one.y)} values; {origins} origins "
                f"{step} apart and a horizon of {h} take {backs[0]}"
            )
    return backs


def _beside(
    model: RecurrentForecaster, whole: Mapping[str, One], back: int, ours: Any, quantiles: Any,
    smoothers: dict[Any, ETS] | None,
) -> dict[str, list[Any]]:  # fmt: skip
    """From one origin the truth and all forecasts by name, quantiles by name and " q"."""
    h, name, levels = (model.options[k] for k in ("horizon", "cell", "quantiles"))
    name, season = name.upper(), model.sizes.season
    found = defaultdict[str, list[Any]](list)
    for key, one in whole.items():
        n = len(one.y) - back
        forecast = np.reshape(np.asarray(ours[key]), (h, -1))
        band = np.reshape(np.asarray(quantiles[key]), (h, -1, len(levels)))
        for c, history in enumerate(one.y[:n].T):
            found["truth"].append(one.y[n : n + h, c])
            found[name].append(forecast[:, c])
            found[f"{name} q"].append(band[:, c])
            for what, y_hat in _simple(history, h, season).items():
                found[what].append(y_hat)
            if smoothers is not None:
                smoother = smoothers.setdefault((key, c), ETS(season, levels))
                mean, q = smoother(history, h)
                found["ETS"].append(mean)
                found["ETS q"].append(q)
                found["Theta"].append(theta(history, h, season))
    return found


def _simple(history: Array, horizon: int, season: int) -> dict[str, Array]:
    if season > 1 and len(history) >= 2 * season:
        return all_baselines(history, horizon, season)
    return {"naive": naive(history, horizon), "drift": drift(history, horizon)}


def _scales(first: Array, season: int) -> Array:
    """Error (targets,) of the seasonal naive forecast in (T, targets), what MASE divides by."""
    lag = season if len(first) > season else 1
    scale, moved = (np.abs(first[k:] - first[:-k]).mean(axis=0) for k in (lag, 1))
    # a series that repeats its season to the last bit is measured by its steps
    return np.where(scale > 0, scale, np.where(moved > 0, moved, 1.0))


def _cut(y: Any, back: int) -> Any:
    if isinstance(y, Mapping):
        return {key: _cut(one, back) for key, one in y.items()}
    return y.iloc[: len(y) - back] if hasattr(y, "iloc") else y[: len(y) - back]


def _by_key(forecast: Any) -> Any:
    return forecast if isinstance(forecast, Mapping) else {"": forecast}
