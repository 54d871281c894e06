"""One honest forecasting experiment: train on the past, judge on what came after."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError
from ...op import Array
from ...ops.random import Generator
from ...recording import constant
from ...switches import no_grad
from ..loop import Fit, fit
from ..metrics import is_persistence, report, skill
from .baselines import all_baselines
from .forecaster import Forecaster
from .scaling import Scaling
from .series import split, windows


class Setting(NamedTuple):
    """What the experiment is run with; sizes are in steps of the series."""

    season: int
    lookback: int
    horizon: int
    test: int
    log: bool
    cell: str = "lstm"
    hidden: int = 16
    layers: int = 1
    init: str = "orthogonal"
    epochs: int = 200
    batch_size: int = 32
    lr: float = 1e-2
    clip_norm: float = 1.0
    patience: int = 50
    eager: bool = False


class Trained(NamedTuple):
    """One model: its seed, how its training went, its forecast, and what it was validated on."""

    seed: int
    fit: Fit
    forecast: Array
    model: Forecaster
    validation: tuple[Array, Array]  # a window (1, lookback) and what came after it, scaled


def check(values: Array, s: Setting) -> None:
    """Raise DataError unless the series is long enough and fits the setting."""
    for name in ("season", "lookback", "horizon", "hidden", "layers", "epochs", "batch_size"):
        if getattr(s, name) < 1:
            raise DataError(
                f"--{name.replace('_', '-')} must be at least 1, got {getattr(s, name)}"
            )
    for name in ("lr", "clip_norm"):
        if not 0 < getattr(s, name) < float("inf"):
            raise DataError(f"--{name.replace('_', '-')} must be positive, got {getattr(s, name)}")
    if s.lookback < s.season:
        raise DataError(f"a lookback of {s.lookback} does not reach back one season of {s.season}")
    if not np.isfinite(values).all():
        raise DataError("the series holds NaN or infinite values; fill or cut them")
    needed = s.lookback + 2 * s.horizon + s.test + s.season
    if len(values) < needed:
        raise DataError(
            f"the series has {len(values)} values; a season of {s.season}, lookback {s.lookback}, "
            f"horizon {s.horizon} and test period of {s.test} need {needed}"
        )


def origins(n: int, s: Setting) -> range:
    """Where forecasts start: the test period is covered in blocks of `horizon`."""
    return range(n - s.test, n, s.horizon)


def train_one(
    values: Array,
    s: Setting,
    seed: int,
    progress: bool = True,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Trained:
    """Train one model on all but validation and test periods, and forecast the test period.

    The scaling is fitted on the training period; the `horizon` values after it,
    never seen in training, decide when to stop.
    """
    parts = split(values, s.horizon, s.test)
    scaling = Scaling.fit(parts.train, s.log)
    n = len(parts.train)
    z = scaling.apply(values[: len(values) - s.test]).astype(np.float32)
    x, y = windows(z[:n], s.lookback, s.horizon)
    model = Forecaster(s.cell, s.season, s.horizon, s.hidden, s.layers, s.init, Generator(seed))
    validation = z[None, n - s.lookback : n], z[None, n:]
    done = fit(
        model,
        (x, y),
        validation,
        epochs=s.epochs,
        batch_size=s.batch_size,
        lr=s.lr,
        clip_norm=s.clip_norm,
        patience=s.patience,
        seed=seed,
        progress=progress,
        label=f"{s.cell} seed {seed}",
        eager=s.eager,
        checkpoint=checkpoint,
        resume=resume,
    )
    return Trained(seed, done, predict(model, scaling, values, s), model, validation)


def predict(model: Forecaster, scaling: Scaling, values: Array, s: Setting) -> Array:
    """Forecast of the test period, block by block, from true values before each block."""
    blocks = []
    for start in origins(len(values), s):
        window = scaling.apply(values[start - s.lookback : start]).astype(np.float32)
        with no_grad():
            blocks.append(scaling.undo(model(constant(window[None])).numpy()[0]))
    return np.concatenate(blocks)[: s.test]


def baseline_forecasts(values: Array, s: Setting) -> dict[str, Array]:
    """Each baseline's forecast of the test period, from the same origins."""
    found: dict[str, list[Array]] = {}
    for start in origins(len(values), s):
        for name, forecast in all_baselines(values[:start], s.horizon, s.season).items():
            found.setdefault(name, []).append(forecast)
    return {name: np.concatenate(blocks)[: s.test] for name, blocks in found.items()}


def judge(values: Array, s: Setting, models: list[Trained]) -> dict[str, Any]:
    """Measures of the models, mean and spread over seeds, and of every baseline.

    Also the skill of each against the best baseline by MAE, and whether the mean
    forecast is mere persistence.
    """
    history, truth = values[: len(values) - s.test], values[len(values) - s.test :]
    rows: dict[str, Any] = {
        name: report(forecast, truth, history, s.season)
        for name, forecast in baseline_forecasts(values, s).items()
    }
    best = min(rows, key=lambda name: rows[name]["MAE"])
    each = [report(m.forecast, truth, history, s.season) for m in models]
    model = {k: float(np.mean([r[k] for r in each])) for k in each[0]}
    spread = {k: float(np.std([r[k] for r in each])) for k in each[0]}
    rows = {s.cell.upper(): model, **rows}
    for row in rows.values():
        row["skill"] = skill(row["MAE"], rows[best]["MAE"])
    forecast = np.mean([m.forecast for m in models], axis=0)
    return {
        "rows": rows,
        "spread": spread,
        "best_baseline": best,
        "persistence": is_persistence(forecast, truth, values[len(values) - s.test - 1 : -1]),
        "each_seed": {m.seed: r for m, r in zip(models, each, strict=True)},
    }
