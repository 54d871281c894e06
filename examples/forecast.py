"""Forecast a real series with a recurrent net, and compare it honestly.

    python examples/forecast.py                        # airline passengers, 3 seeds
    python examples/forecast.py --data sunspots --cell gru
    python examples/forecast.py --data mine.csv --column sales --date-column month --season 12

Prints two tables in the series' own units with every baseline beside the model: of one test
period never seen in training, and of `train.RecurrentForecaster` over many origins beside ETS and
Theta, with quantiles. Draws the forecasts and the training, writes every figure to a JSON.
To forecast what comes after a file's end: python -m tinygrad_rnn.forecast fit FILE --horizon N
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import diagrams, go, options, writable

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import DataError
from tinygrad_rnn.forecast import table as rolling_table
from tinygrad_rnn.train import Judgement, RecurrentForecaster, judge_rolling, read_table
from tinygrad_rnn.train.forecasting.dated import labels
from tinygrad_rnn.train.forecasting.experiment import (
    Setting,
    Trained,
    baseline_forecasts,
    check,
    judge,
    train_one,
)

HERE = Path(__file__).parent
# chosen by rolling-origin validation on years before the last: examples/choose_defaults.py
DATA: dict[str, dict[str, Any]] = {
    "airline": {
        "season": 12,
        "lookback": 36,
        "horizon": 12,
        "test": 12,
        "log": True,
        "cell": "lstm",
        "hidden": 64,
        "lr": 0.02,
    },
    "sunspots": {"season": 11, "lookback": 33, "horizon": 11, "test": 33, "log": False},
}
# over many origins; chosen on the twelve of which every forecast ends before 1959-02
ROLLING: dict[str, dict[str, Any]] = {"airline": {"transforms": ["log growth"]}}
REFIT = {"airline"}  # learnt anew at each origin: 17.4 there, 19.5 without
DATES = {"airline": "month", "sunspots": "year"}


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = options(__doc__, "forecast")
    p.add_argument("--data", default="airline", help="airline, sunspots or a CSV file")
    p.add_argument("--column", help="column of numbers in the CSV (default: the last)")
    p.add_argument("--date-column", help="column of dates (default: the first there is)")
    p.add_argument("--gaps", choices=["error", "interpolate"], default="error")
    p.add_argument("--season", type=int, help="steps in a season")
    p.add_argument("--lookback", type=int, help="steps the net reads")
    p.add_argument("--horizon", type=int, help="steps forecast at once")
    p.add_argument("--cell", choices=["rnn", "lstm", "gru"])
    p.add_argument("--hidden", type=int)
    p.add_argument("--layers", type=int)
    p.add_argument("--epochs", type=int)
    p.add_argument("--batch-size", type=int)
    p.add_argument("--lr", type=float)
    p.add_argument("--clip-norm", type=float)
    p.add_argument("--init", choices=["uniform", "orthogonal", "identity"])
    p.add_argument("--patience", type=int, help="epochs without progress before stopping")
    p.add_argument("--seeds", type=int, default=3, help="how many models to train")
    p.add_argument("--origins", type=int, default=12, help="of the second table; 0: none")
    p.add_argument("--draw", action="store_true", help="draw the model's graph and gradients")
    return p.parse_args(argv)


class Series(NamedTuple):
    """Values in time order, a label for each, and the column they came from."""

    values: np.ndarray
    labels: list[str]
    name: str


def read(args: argparse.Namespace) -> Series:
    """The shipped series, or a person's own."""
    path = HERE / "data" / f"{args.data}.csv" if args.data in DATA else args.data
    dates = DATES.get(args.data, args.date_column)
    table = read_table(path, args.column, date_column=dates, gaps=args.gaps)
    for note in table.notes:
        print(f"note: {note}")
    [(name, column)] = table.frame.items()
    return Series(column.to_numpy(), labels(column.index), name)


def setting(args: argparse.Namespace, values: np.ndarray) -> Setting:
    """The data set's defaults, overruled by the command line."""
    chosen: dict[str, Any] = dict(DATA.get(args.data, {}))
    if not chosen:
        season = args.season or 1
        horizon = args.horizon or max(season, 1)
        chosen = {
            "season": season,
            "lookback": args.lookback or max(2 * season, 8),
            "horizon": horizon,
            "test": horizon,
            "log": bool((values > 0).all()),
        }
    for name in Setting._fields:
        value = getattr(args, name, None)
        if value is not None:
            chosen[name] = value
    if args.horizon and args.data in DATA:
        chosen["test"] = max(chosen["test"], args.horizon)
    if args.quick:
        chosen["epochs"] = min(chosen.get("epochs", 5), 5)
    return Setting(**chosen)


def table(result: dict[str, Any]) -> str:
    """The measures as text, the model first with its spread over seeds."""
    names = ["MAE", "RMSE", "MASE", "sMAPE", "skill"]
    lines = [f"{'':26}" + "".join(f"{n:>16}" for n in names)]
    for k, (name, row) in enumerate(result["rows"].items()):
        cells = []
        for n in names:
            text = f"{row[n]:.2f}"
            if k == 0 and n in result["spread"]:
                text += f" +- {result['spread'][n]:.2f}"
            cells.append(f"{text:>16}")
        lines.append(f"{name:26}" + "".join(cells))
    return "\n".join(lines)


def verdict(result: dict[str, Any], model: str, seeds: int) -> str:
    """One plain sentence: does it beat the best baseline?"""
    best, ours = result["best_baseline"], result["rows"][model]["MAE"]
    theirs = result["rows"][best]["MAE"]
    does = "beats" if ours < theirs else "does not beat"
    text = (
        f"Over {seeds} seed{'s' * (seeds > 1)} the {model} {does} the best baseline, {best}: "
        f"MAE {ours:.1f} against {theirs:.1f}."
    )
    if result["persistence"]:
        text += (
            "\nWarning: the forecast follows the previous values more closely than the true ones;"
            "\nit is mere persistence (lag test)."
        )
    return text


def rolling(args: argparse.Namespace, series: Series, s: Setting) -> Judgement | None:
    """Forecasts from the last origins, a step apart, by a model that saw nothing beyond.

    Quantiles of its own, and its transforms chosen on validation. None where the series is short.
    """
    room = len(series.values) - s.lookback - 3 * s.horizon + 1
    origins = min(2 if args.quick else args.origins, room)
    if origins < 1:
        return None
    quick = {"updates": 5, "members": 1} if args.quick else {}
    model = RecurrentForecaster(
        s.horizon, season=s.season, lookback=s.lookback, cell=s.cell, hidden=args.hidden or 64,
        seed=args.seed, eager=args.eager, **ROLLING.get(args.data, {}), **quick,
    )  # fmt: skip
    return judge_rolling(
        model, series.values, origins=origins, classic=not args.quick, progress=True,
        refit=args.data in REFIT, folder=args.out / "rolling", resume=args.resume,
    )  # fmt: skip


def draw_rolling(out: Path, series: Series, judged: Judgement, s: Setting) -> Path:
    """The last forecast with its bands, and the error of every origin."""
    from matplotlib.figure import Figure

    name, n, t = s.cell.upper(), len(series.values), np.arange(len(series.values))
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    top, low = figure.subplots(2, 1)
    shown, h = t[n - min(n, 4 * s.season + s.horizon) :], s.horizon
    top.plot(shown, series.values[shown], color="black", lw=1.6, label="truth")
    bands = judged.quantiles[name][0, -1]
    for k, shade in ((0, "#d3e4f3"), (len(judged.levels) // 4, "#a3c8e6")):
        share = f"{judged.levels[-1 - k] - judged.levels[k]:.0%} band"
        top.fill_between(t[n - h :], bands[:, k], bands[:, -1 - k], color=shade, lw=0, label=share)
    top.plot(t[n - h :], judged.forecasts[name][0, -1], color="tab:blue", lw=2, label=name)
    ticks = shown[:: max(1, len(shown) // 8)]
    top.set_xticks(ticks, [series.labels[k] for k in ticks])
    top.set(title="Forecast from the last origin, with quantiles", ylabel=series.name)
    origins = np.arange(judged.truth.shape[1])
    styles = {name: ("tab:blue", "o-"), "ETS": ("tab:orange", "s--"), "Theta": ("tab:green", "^:")}
    if judged.best not in styles:
        styles[judged.best] = ("gray", "x-.")
    for what in (name for name in styles if name in judged.forecasts):
        color, style = styles[what]
        low.plot(origins, judged.losses(what), style, color=color, ms=4, label=what)
    last = [series.labels[n - h - len(origins) + k] for k in origins]
    low.set_xticks(origins, last, rotation=0 if len(origins) < 13 else 90)
    low.set(title="Mean absolute error of each origin, by its last known step", ylim=(0, None))
    for ax in (top, low):
        ax.legend(ncols=5, frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(out / "rolling.png", dpi=120)
    return out / "rolling.png"


def draw(out: Path, series: Any, s: Setting, models: list[Trained]) -> list[Path]:
    """The series with all forecasts, and the training curves with the gradient norm."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    n, shown = len(series.values), min(len(series.values), s.test + 4 * s.season + s.lookback)
    t = np.arange(n)
    figure, ax = plt.subplots(figsize=(10, 4.5), layout="constrained")
    ax.plot(t[n - shown :], series.values[n - shown :], color="black", lw=1.6, label="truth")
    for (name, forecast), style in zip(
        baseline_forecasts(series.values, s).items(), [":", "-.", "--", (0, (5, 1))], strict=True
    ):
        ax.plot(t[n - s.test :], forecast, ls=style, lw=1.1, color="gray", label=name)
    for m in models:
        ax.plot(t[n - s.test :], m.forecast, color="tab:blue", lw=0.8, alpha=0.5)
    mean = np.mean([m.forecast for m in models], axis=0)
    ax.plot(t[n - s.test :], mean, color="tab:blue", lw=2, marker="o", ms=3, label=s.cell.upper())
    ax.axvspan(n - s.test - 0.5, n - 0.5, color="tab:blue", alpha=0.06, lw=0)
    ticks = t[n - shown :: max(1, shown // 10)]
    ax.set_xticks(ticks, [series.labels[k] for k in ticks])
    ax.set(title=f"Forecast of the last {s.test} steps, never seen in training", ylabel=series.name)
    ax.legend(ncols=2, frameon=False)
    figure.savefig(out / "forecast.png", dpi=120)

    figure, (top, low) = plt.subplots(2, 1, figsize=(10, 5.5), sharex=True, layout="constrained")
    for m in models:
        epochs = np.arange(1, len(m.fit.history) + 1)
        (line,) = top.plot(epochs, [e.train_loss for e in m.fit.history], lw=1, alpha=0.7)
        color = line.get_color()
        top.plot(epochs, [e.val_loss for e in m.fit.history], lw=1.4, ls="--", color=color)
        top.axvline(m.fit.best_epoch + 1, color=color, lw=0.8, ls=":")
        low.plot(epochs, [e.grad_norm for e in m.fit.history], lw=1, color=color)
    top.set(yscale="log", ylabel="loss", title="Training (solid) and validation (dashed) loss")
    low.axhline(s.clip_norm, color="black", lw=0.8, ls="--")
    low.set(yscale="log", ylabel="gradient norm", xlabel="epoch (dotted: the best, which is kept)")
    figure.savefig(out / "training.png", dpi=120)
    plt.close("all")
    return [out / "forecast.png", out / "training.png"]


def draw_graph(out: Path, trained: Trained) -> list[Path]:
    """The trained model's graph, unrolled and rolled up, and the gradient flowing through it."""
    x, y = trained.validation
    loss = nn.mse_loss(trained.model(tg.tensor(x, name="series")), tg.tensor(y))
    return diagrams(out, loss, rolled=True)


def train_all(args: argparse.Namespace, values: np.ndarray, s: Setting) -> list[Trained]:
    """One model a seed; Ctrl-C keeps the best so far and ends the list."""
    models = []
    for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
        file = args.out / f"seed{seed}.safetensors"
        models.append(train_one(values, s, seed, checkpoint=file, resume=args.resume))
        if models[-1].fit.interrupted:
            print(
                "interrupted: the best model so far is judged; --resume trains on", file=sys.stderr
            )
            break
    return models


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Run the experiment; returns what it writes to the JSON."""
    args = arguments(argv)
    start = time.perf_counter()
    if args.seeds < 1:
        raise DataError(f"--seeds must be at least 1, got {args.seeds}")
    series = read(args)
    s = setting(args, series.values)
    check(series.values, s)
    writable(args.out)
    print(f"{series.name}: {len(series.values)} values, {series.labels[0]} to {series.labels[-1]}")
    models = train_all(args, series.values, s)
    result = judge(series.values, s, models)
    print(table(result))
    print(verdict(result, s.cell.upper(), len(models)))
    judged = rolling(args, series, s)
    if judged is not None:
        print(f"\nOver many origins:\n{rolling_table(judged)}")
        result["rolling"] = judged.rows()
    result |= {
        "setting": s._asdict(),
        "data": str(args.data),
        "forecasts": {m.seed: m.forecast.tolist() for m in models},
        "epochs": {m.seed: [e._asdict() for e in m.fit.history] for m in models},
        "best_epoch": {m.seed: m.fit.best_epoch for m in models},
        "seconds": time.perf_counter() - start,
    }
    written = [args.out / "forecast.json"]
    written[0].write_text(json.dumps(result, indent=1))
    try:
        written += draw(args.out, series, s, models)
        if judged is not None:
            written.append(draw_rolling(args.out, series, judged, s))
    except ImportError:
        print("no pictures: they need matplotlib, pip install 'tinygrad_rnn[examples]'")
    if args.draw:
        written += draw_graph(args.out, models[0])
    print(f"{result['seconds']:.0f} s; written: {', '.join(map(str, written))}")
    return result


if __name__ == "__main__":
    go(main)
