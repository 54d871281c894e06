"""A forecaster as a person uses it: fit, predict, quantiles, save and load."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CheckpointError, DataError
from ...op import Array
from ...ops.random import Generator
from ...recording import constant
from ..checkpoint import load, save
from .conformal import conformal_margins
from .fitting import (
    Sizes,
    Way,
    check_options,
    mean_forecast,
    net_of,
    rows_of,
    scaled,
    scalings_of,
    trained,
    validated,
    ways_of,
)
from .outlook import Outlook
from .panel import One, comparable, continued, like, named, packed, panel, tail, unpacked
from .scaling import Scaling

# steps in a season by a pandas frequency's first letter
SEASONS = {"h": 24, "D": 7, "B": 5, "W": 52, "M": 12, "Q": 4}


class RecurrentForecaster:
    """Recurrent net that forecasts series with quantiles: fit, predict, save, load.

    `fit` takes targets, covariates known up to now (`past`) and beyond (`future`): arrays (T,) or
    (T, columns), pandas Series or DataFrames, or dicts of them by id, one model for all. With
    `calendar` the dates become covariates, too. The last tenth of the windows is for validation:
    there logarithms (of positive series) and the base of the forecast, the level, the last season
    or that and its growth, are chosen by mean absolute error (among all that can be, or among
    `transforms`: "level", "season", "growth", "log level" ...), and each band of quantiles
    the margin that makes it cover its share (`conformal_margins`). Then `members` nets are trained,
    on all windows if they are fewer than `refit`, and their forecasts averaged. `predict` gives
    the mean, `predict_quantiles` the quantiles in ascending order, of the `horizon` steps after
    what `fit` was given, or after `y`. `season` and `lookback` follow from the dates' frequency
    and three seasons. float32 within, float64 outside. Raises DataError for what does not fit.

    >>> months = np.arange(60.0)
    >>> model = RecurrentForecaster(3, season=4, lookback=8, updates=2, members=1)
    >>> model.fit(10 + months + np.sin(months * np.pi / 2)).predict().shape
    (3,)
    >>> model.predict_quantiles().shape
    (3, 5)
    """

    def __init__(
        self,
        horizon: int,
        *,
        season: int | None = None,
        lookback: int | None = None,
        quantiles: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        calendar: bool = False,
        transforms: Sequence[str] | None = None,
        cell: str = "lstm",
        hidden: int = 64,
        layers: int = 1,
        members: int = 3,
        updates: int | None = None,
        batch_size: int = 32,
        lr: float = 0.005,
        clip_norm: float = 1.0,
        refit: int = 2000,
        seed: int = 0,
        eager: bool = False,
    ):
        if not np.iterable(quantiles):
            raise DataError(
                f"quantiles must be a list of numbers between 0 and 1, got {quantiles!r}"
            )
        self.options: dict[str, Any] = {
            "horizon": horizon, "season": season, "lookback": lookback,
            "quantiles": [float(q) for q in quantiles], "calendar": calendar,
            "transforms": None if transforms is None else list(transforms), "cell": cell,
            "hidden": hidden, "layers": layers, "members": members, "updates": updates,
            "batch_size": batch_size, "lr": lr, "clip_norm": clip_norm, "refit": refit,
            "seed": seed, "eager": eager,
        }  # fmt: skip
        check_options(self.options)
        self.models: list[Outlook] = []
        self.scores: dict[str, float] = {}  # validation error of each way that was tried
        self.settings: dict[str, Any] = {}  # what was saved beside it

    def fit(
        self,
        y: Any,
        past: Any = None,
        future: Any = None,
        *,
        folder: str | os.PathLike[str] | None = None,
        resume: bool = False,
        progress: bool = False,
    ) -> "RecurrentForecaster":
        """Fit to all of y; checkpoints go to `folder`, and `resume` continues from them."""
        given, o = panel(y, past, future, self.options["calendar"]), self.options
        sizes = self.sizes = self._sized(given)
        where = None if folder is None else Path(folder)
        if where is not None:
            where.mkdir(parents=True, exist_ok=True)
        counts = {key: len(one.y) - sizes.length + 1 for key, one in given.items()}
        total = sum(counts.values())
        # validation begins where no window of training reaches into its targets
        cut = {k: len(given[k].y) - sizes.horizon - max(n // 10, 1) + 1 for k, n in counts.items()}
        updates = o["updates"] or int(np.clip(2 * total, 100, 1500))

        def nets(way: Way, upto: Mapping[str, int], members: range, n: int) -> list[Outlook]:
            rows = rows_of(given, scalings_of(given, way.log, upto), sizes, upto, after=False)
            name = f"{way}{' tried' * (n < updates)}{'' if upto is cut else ' on all'}"
            return [
                trained(
                    rows, sizes, way.base, o, seed=o["seed"] + m, updates=n, label=f"{name} {m}",
                    path=where and where / f"{name} {m}.safetensors".replace(" ", "_"),
                    resume=resume, progress=progress,
                )
                for m in members
            ]  # fmt: skip

        short = updates if total < o["refit"] else -(-updates // 3)
        way, first = self._chosen(given, cut, lambda way: nets(way, cut, range(1), short))
        self.log, self.base, self.scalings = *way, scalings_of(given, way.log, cut)
        first = first if short == updates else []
        self.models = first + nets(way, cut, range(len(first), o["members"]), updates)
        self.margins = self._margins(given, cut)
        if total < o["refit"]:
            whole = {key: len(one.y) for key, one in given.items()}
            self.scalings = scalings_of(given, way.log, whole)
            self.models = nets(way, whole, range(o["members"]), updates)
        self.many = isinstance(y, Mapping)
        self.last = {key: tail(one, sizes.lookback) for key, one in given.items()}
        return self

    def _chosen(
        self,
        given: Mapping[str, One],
        cut: Mapping[str, int],
        tried: Callable[[Way], list[Outlook]],
    ) -> tuple[Way, list[Outlook]]:
        """The way with the least error after the cut, and the net that was tried for it."""
        ways, nets = ways_of(given, self.sizes, self.options["transforms"]), {}
        self.scores = {}
        for way in ways if len(ways) > 1 else ():
            nets[way] = tried(way)
            scalings = scalings_of(given, way.log, cut)
            self.scores[str(way)], _, _ = validated(nets[way], given, scalings, self.sizes, cut)
        way = min(ways, key=lambda way: self.scores.get(str(way), 0.0))
        return way, nets.get(way, [])

    def _margins(self, given: Mapping[str, One], cut: Mapping[str, int]) -> Array:
        """What makes each band of quantiles cover its share after the cut."""
        _, z, truth = validated(self.models, given, self.scalings, self.sizes, cut)
        if len(z) < 100:  # too few for margins of each step by itself
            z, truth = z.reshape(-1, 1, *z.shape[2:]), truth.reshape(-1, 1, *truth.shape[2:])
        return conformal_margins(z[..., 1:], truth, self.options["quantiles"])

    def predict(self, y: Any = None, past: Any = None, future: Any = None) -> Any:
        """Forecast the mean of the next `horizon` steps, in the form y came in.

        Without y it goes on after what `fit` was given, and `future` is of the steps
        forecast; with y, `past` is of y's rows and `future` of those and the steps forecast.
        """
        return self._forecast(y, past, future, None)

    def predict_quantiles(self, y: Any = None, past: Any = None, future: Any = None) -> Any:
        """Forecast the quantiles, in ascending order on a new last axis or as columns."""
        return self._forecast(y, past, future, self.options["quantiles"])

    def _forecast(self, y: Any, past: Any, future: Any, quantiles: list[float] | None) -> Any:
        if not self.models:
            raise DataError("RecurrentForecaster: is not fitted; call fit, or load a file")
        s, calendar = self.sizes, self.options["calendar"]
        if y is None:
            futures = future if self.many else {"": future}
            if not isinstance(futures, Mapping | None):
                raise DataError("future must be a dict by id, as y was for fit")
            given = {
                key: continued(one, key, (futures or {}).get(key), calendar, s.horizon)
                for key, one in self.last.items()
            }
        else:
            given = panel(y, past, future, calendar, s.horizon)
            for key, one in given.items():
                comparable(self.last.get(key, next(iter(self.last.values()))), one, calendar)
        many = self.many if y is None else isinstance(y, Mapping)
        found = {}
        for key, one in given.items():
            forecast = self._one(key, one)
            found[key] = like(
                one, forecast[..., 0] if quantiles is None else forecast[..., 1:], quantiles
            )
        return found if many else found[""]

    def save(self, path: str | os.PathLike[str], settings: Mapping[str, Any] | None = None) -> Path:
        """Write all of it, the end of the series included, to one safetensors file.

        `settings` goes along, numbers and strings, and is `settings` of what `load` returns.
        """
        if not self.models:
            raise DataError("RecurrentForecaster: is not fitted; call fit before save")
        return save(
            path,
            keep=1,
            settings={
                "recurrent_forecaster": self.options, "sizes": self.sizes, "log": self.log,
                "base": self.base, "scores": self.scores, "margins": self.margins,
                "scalings": self.scalings, "many": self.many,
                "settings": dict(settings or {}),
                "last": {key: packed(one) for key, one in self.last.items()},
                "models": [model.state_dict() for model in self.models],
            },
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "RecurrentForecaster":
        """Read what `save` wrote; CheckpointError for any other file."""
        found = load(path, strict=False)
        if "recurrent_forecaster" not in found:
            raise CheckpointError(f"{path}: was not written by RecurrentForecaster.save")
        self = cls(**found["recurrent_forecaster"])
        season, lookback, horizon, channels = found["sizes"]
        self.sizes = Sizes(season, lookback, horizon, tuple(channels))
        self.log, self.base, self.many = found["log"], found["base"], found["many"]
        self.scores, self.margins = found["scores"], found["margins"]
        self.settings = found["settings"]
        self.scalings = {k: [Scaling(*s) for s in of] for k, of in found["scalings"].items()}
        self.last = {key: unpacked(one) for key, one in found["last"].items()}
        for state in found["models"]:
            model = net_of(self.sizes, self.options, self.base, Generator(0))
            model.load_state_dict(state)
            self.models.append(model.eval())
        return self

    def _sized(self, given: Mapping[str, One]) -> Sizes:
        """Season, lookback and channels, from the first series; all must be long enough."""
        o, first = self.options, next(iter(given.values()))
        freq = "" if first.index is None else first.index.freqstr
        season = o["season"] or (1 if freq.startswith(("min", "ms")) else SEASONS.get(freq[:1], 1))
        lookback = o["lookback"] or max(3 * season, 8)
        if lookback < season:
            raise DataError(f"a lookback of {lookback} does not reach back one season of {season}")
        needed = lookback + 2 * o["horizon"]
        for key, one in given.items():
            if len(one.y) < needed:
                raise DataError(
                    f"{named(key)} has {len(one.y)} values; a season of {season}, lookback "
                    f"{lookback} and horizon {o['horizon']} need {needed}; "
                    "take a shorter lookback or horizon"
                )
        widths = (first.y.shape[1], first.past.shape[1], first.future.shape[1])
        return Sizes(season, lookback, o["horizon"], widths)

    def _one(self, key: str, one: One) -> Array:
        """Mean and quantiles (horizon, targets, 1 + q) of what follows a series."""
        s, widths = self.sizes, (one.y.shape[1], one.past.shape[1], one.future.shape[1])
        if widths != s.channels:
            raise DataError(
                f"RecurrentForecaster: was fitted to {s.channels} columns (targets, past, future), "
                f"got {widths}"
            )
        if len(one.y) < s.lookback:
            raise DataError(
                f"RecurrentForecaster: reads {s.lookback} values to forecast, got {len(one.y)}"
            )
        if self.log and (one.y[-s.lookback :] <= 0).any():
            raise DataError(
                "RecurrentForecaster: was fitted to logarithms, which zeros and negative values "
                "have not; fit with transforms of those without, as ['level']"
            )
        n, scalings = len(one.y), self.scalings.get(key)
        if scalings is None:  # a series not seen in training is scaled by itself
            scalings = scalings_of({key: one}, self.log, {key: n})[key]
        window = np.zeros((s.length, sum(s.channels)), np.float32)
        window[: s.lookback] = scaled(tail(one, s.lookback), scalings)
        k = s.channels[0] + s.channels[1]
        for c, scaling in enumerate(scalings[k:]):
            window[s.lookback :, k + c] = scaling.apply(one.future[n : n + s.horizon, c])
        z = mean_forecast(self.models, constant(window[None]))[0]
        z[..., 1:] = np.sort(z[..., 1:] + self.margins, axis=-1)  # quantiles may not cross
        targets = scalings[: s.channels[0]]
        return np.stack([scaling.undo(z[:, c]) for c, scaling in enumerate(targets)], 1)
