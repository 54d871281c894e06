"""Forecast a file of your own: fit, judge, save, and go on beyond its end.

    python -m tinygrad_rnn.forecast fit DATA.csv --column load --horizon 24 --calendar
    python -m tinygrad_rnn.forecast predict --model forecast.safetensors -o future.csv

`fit` judges a net over rolling origins beside naive forecasts, ETS and Theta, then learns from the
whole file, saves the model and writes the forecast of what comes after it, with quantiles, as CSV
and picture. `predict` does so again later, from new data.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CheckpointError, DataError
from .train.forecasting.cells import pandas
from .train.forecasting.dated import labels
from .train.forecasting.panel import panel, tail
from .train.forecasting.recurrent_forecaster import RecurrentForecaster
from .train.forecasting.rolling_origins import Judgement, judge_rolling
from .train.forecasting.table import read_table

READING = ("date_column", "id_column", "gaps", "separator", "decimal", "date_format", "timezone")
MODEL: dict[str, type] = {
    "season": int, "lookback": int, "cell": str, "hidden": int, "layers": int,
    "members": int, "updates": int, "lr": float, "seed": int,
}  # fmt: skip


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line of `fit` and of `predict`."""
    p = argparse.ArgumentParser(
        prog="python -m tinygrad_rnn.forecast", description=__doc__.split("\n")[0]
    )
    commands = p.add_subparsers(dest="command", required=True)
    fit = commands.add_parser(
        "fit", help="learn from a CSV file, be judged, forecast beyond its end"
    )
    _data_options(fit)
    _model_options(fit)
    fit.add_argument("--eager", action="store_true", help="without tg.jit")
    fit.add_argument(
        "--resume", action="store_true", help="go on from the checkpoints beside --model"
    )
    fit.add_argument(
        "--model", type=Path, default=Path("forecast.safetensors"), help="file to write"
    )
    predict = commands.add_parser("predict", help="forecast with a saved model")
    predict.add_argument("--model", type=Path, required=True)
    predict.add_argument(
        "--data", type=Path, help="CSV of the same columns (default: after what it was fitted to)"
    )
    for command in (fit, predict):
        command.add_argument(
            "-o", "--out", type=Path, default=Path("future.csv"), help="CSV to write, PNG beside"
        )
    return p.parse_args(argv)


def _data_options(fit: argparse.ArgumentParser) -> None:
    """What is in the file, and how it is written."""
    fit.add_argument("data", type=Path, help="CSV file with a header line")
    fit.add_argument(
        "--column", action="append", help="target (default: the last of numbers); again for more"
    )
    fit.add_argument("--past", action="append", default=[], help="column known up to now only")
    fit.add_argument(
        "--future", action="append", default=[], help="column known beyond, too: its rows go on"
    )
    fit.add_argument(
        "--calendar", action="store_true", help="hour, weekday, day of the year as inputs"
    )
    fit.add_argument("--date-column", help="default: the first that holds dates")
    fit.add_argument("--id-column", help="column that tells several series apart")
    fit.add_argument("--gaps", choices=["error", "interpolate"], default="error")
    fit.add_argument("--separator")
    fit.add_argument("--decimal", choices=[".", ","])
    fit.add_argument("--date-format", help="as of strptime, %%d/%%m/%%Y")
    fit.add_argument(
        "--timezone", help="of dates without one, or to turn those with one into: Europe/Berlin"
    )


def _model_options(fit: argparse.ArgumentParser) -> None:
    """What is forecast, by which net, and how it is judged."""
    fit.add_argument("--horizon", type=int, required=True, help="steps to forecast")
    fit.add_argument("--quantiles", default="0.05,0.25,0.5,0.75,0.95")
    for name, kind in MODEL.items():
        fit.add_argument(f"--{name}", type=kind, help="default: RecurrentForecaster's")
    fit.add_argument("--origins", type=int, default=12, help="forecasts to be judged by; 0: none")
    fit.add_argument(
        "--step", type=int, help="steps between origins (default: horizon, or 1 if short)"
    )
    fit.add_argument("--refit", action="store_true", help="learn anew at every origin")


def read(path: Path, how: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Targets, past and future covariates of a file, as RecurrentForecaster takes them."""
    others = [*how["past"], *how["future"]]
    options = {name: how[name] for name in READING}
    columns = how["column"]
    if columns is None and others:
        raise DataError("with --past or --future name the target, too: --column")
    table = read_table(path, columns and [*columns, *others], future=how["future"], **options)
    for note in table.notes:
        print(f"note: {note}")
    y, past, future = {}, {}, {}
    for key, frame in table.frames.items():
        names = [c for c in frame.columns if c not in others]
        known = frame[[*names, *how["past"]]].dropna().index
        y[key], past[key] = frame.loc[known, names], frame.loc[known, how["past"]]
        future[key] = frame[how["future"]]
        if hasattr(known, "freq"):  # lost where rows were taken
            y[key] = y[key].asfreq(frame.index.freq)
        if len(names) == 1:
            y[key] = y[key][names[0]]
    found = [part if how["id_column"] else part[""] for part in (y, past, future)]
    return found[0], found[1] if how["past"] else None, found[2] if how["future"] else None


def table(judged: Judgement) -> str:
    """The judgement as text, the best baseline marked."""
    heads = ["", "MAE", "spread", "RMSE", "MASE", "WQL", "cover", "half", "p"]
    lines = [heads]
    for name, row in judged.rows().items():
        cells = [f"{row[k]:.4g}" for k in ("MAE", "spread", "RMSE")]
        cells += [f"{row[k]:.3f}" for k in ("MASE", "WQL", "wide", "half", "p")]
        mark = " *" if name == judged.best else ""
        lines.append([name + mark, *(c.replace("nan", "-") for c in cells)])
    widths = [max(len(line[k]) for line in lines) for k in range(len(heads))]
    text = [
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    ]
    _, origins, steps = judged.truth.shape
    levels, k = judged.levels, len(judged.levels) // 4
    text.append(
        f"{origins} origins, {steps} steps each; spread over origins; cover: share within the "
        f"quantiles {levels[0]:g} to {levels[-1]:g} ({levels[-1] - levels[0]:.0%} is right), half: "
        f"{levels[k]:g} to {levels[-1 - k]:g}; p: Diebold-Mariano against the best baseline (*)"
    )
    if judged.overlap > 1:
        text[-1] += f", - where {judged.overlap} forecasts overlap and origins are too few"
    return "\n".join([*text, *(f"note: {note}" for note in judged.notes)])


def written(model: RecurrentForecaster, y: Any, past: Any, future: Any, out: Path) -> list[Path]:
    """The forecast after y (None: after what was fitted) as CSV, and as a picture beside it."""
    pd = pandas()
    mean, quantiles = model.predict(y, past, future), model.predict_quantiles(y, past, future)
    many = isinstance(mean, dict)
    parts = []
    for key in mean if many else [""]:
        m, q = (mean[key], quantiles[key]) if many else (mean, quantiles)
        m = m.to_frame() if m.ndim == 1 else m
        for c, name in enumerate(m.columns):
            band = q if q.columns.nlevels == 1 else q[name]
            part = band.set_axis([f"q{p:g}" for p in model.options["quantiles"]], axis=1)
            part.insert(0, "mean", m.iloc[:, c])
            part.insert(0, "column", name)
            if many:
                part.insert(0, "id", key)
            part.insert(0, "date", labels(m.index))
            parts.append(part)
    pd.concat(parts).to_csv(out, index=False)
    files = [out]
    try:
        files.append(picture(parts, model, y, out.with_suffix(".png")))
    except ImportError:
        print("no picture: it needs matplotlib, pip install 'tinygrad_rnn[examples]'")
    return files


def picture(parts: list[Any], model: RecurrentForecaster, y: Any, path: Path) -> Path:
    """What came before and the forecast with its bands, six series at most."""
    from matplotlib.figure import Figure

    given = model.last if y is None else panel(y)
    shown, qs = parts[:6], model.options["quantiles"]
    figure = Figure(figsize=(10, 1.2 + 3.2 * len(shown)), layout="constrained")
    for ax, part in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
        key, name = part["id"].iloc[0] if "id" in part else "", part["column"].iloc[0]
        one = tail(given[key], max(model.sizes.lookback, 3 * model.sizes.horizon))
        before = one.y[:, one.form.names.index(name)]
        known = one.index if one.index is not None else part.index[0] + np.arange(-len(before), 0)
        ax.plot(known, before, color="black", lw=1.2, label="known")
        # from the last known value on, so that nothing seems to be missing between
        t = [known[-1], *part.index]
        for k in range(len(qs) // 2):
            low, high = ([before[-1], *part[f"q{q:g}"]] for q in (qs[k], qs[-1 - k]))
            shade = 0.85 - 0.5 * k / (len(qs) // 2)  # the narrower, the darker
            ax.fill_between(t, low, high, lw=0, color=(shade, (1 + shade) / 2, 0.97),
                            label=f"{qs[-1 - k] - qs[k]:.0%}")  # fmt: skip
        ax.plot(t, [before[-1], *part["mean"]], color="tab:blue", lw=1.8, label="forecast")
        ax.set(ylabel=f"{key} {name}".strip())
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0.01)
    figure.axes[0].legend(ncols=5, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    figure.savefig(path, dpi=120)
    return path


def fit(args: argparse.Namespace) -> None:
    """Judge, learn from everything, save, forecast."""
    start = time.perf_counter()
    how = {n: getattr(args, n) for n in (*READING, "column", "past", "future")}
    y, past, future = read(args.data, how)
    try:
        quantiles = [float(q) for q in args.quantiles.split(",")]
    except ValueError:
        raise DataError(
            f"--quantiles: numbers between 0 and 1 with commas, got {args.quantiles!r}"
        ) from None
    options = {n: getattr(args, n) for n in MODEL if getattr(args, n) is not None}
    options |= {"quantiles": quantiles, "calendar": args.calendar, "eager": args.eager}
    folder = args.model.with_suffix("")
    for path in (args.model, args.out):
        path.parent.mkdir(parents=True, exist_ok=True)
    n = min(map(len, y.values())) if isinstance(y, dict) else len(y)
    print(f"{args.data}: {len(y) if isinstance(y, dict) else 1} series, {n} rows")
    if args.origins:
        far = args.origins * args.horizon <= n // 4
        step = args.step or (args.horizon if far else 1)
        judged = judge_rolling(
            RecurrentForecaster(args.horizon, **options), y, past, future, origins=args.origins,
            step=step, refit=args.refit, progress=True, resume=args.resume,
            folder=folder / "judged",
        )  # fmt: skip
        print(table(judged))
    model = RecurrentForecaster(args.horizon, **options)
    model.fit(y, past, future, folder=folder / "whole", resume=args.resume, progress=True)
    how["column"] = how["column"] or list(next(iter(model.last.values())).form.names)
    print(f"on validation chosen: {'logarithms, ' * model.log}on top of the {model.base}")
    files = [model.save(args.model, settings=how)]
    try:
        files += written(model, y, past, future, args.out)
    except DataError as error:
        if not args.future:
            raise
        print(f"no forecast yet: {error}; give the rows to come with predict --data")
    print(f"{time.perf_counter() - start:.0f} s; written: {', '.join(map(str, files))}")


def predict(args: argparse.Namespace) -> None:
    """Forecast after the file, or after what the model was fitted to."""
    model = RecurrentForecaster.load(args.model)
    if not model.settings:
        raise DataError(f"{args.model}: was not written by tinygrad_rnn.forecast fit")
    y, past, future = read(args.data, model.settings) if args.data else (None, None, None)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"written: {', '.join(map(str, written(model, y, past, future, args.out)))}")


def main(argv: list[str] | None = None) -> None:
    """Run a command; what a person can put right is one line."""
    args = arguments(argv)
    command: Callable[[argparse.Namespace], None] = {"fit": fit, "predict": predict}[args.command]
    try:
        command(args)
    except (DataError, CheckpointError, ImportError, OSError) as error:
        sys.exit(f"forecast {args.command}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"forecast {args.command}: stopped; --resume goes on from the last checkpoint")


if __name__ == "__main__":
    main()
