"""Choose the forecaster's defaults by rolling-origin validation on the years before the last.

    python examples/choose_defaults.py [--resume] [--out FOLDER]   # ten minutes on two cores

For each of four origins the model is trained on what came before and judged on
the year after; the last year of the series, the test of `forecast.py`, is never
looked at. Prints the table in examples/choose_defaults.md, best setting first.
"""

import itertools
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"  # the work is spread over processes

import numpy as np
from _common import go, options, writable, written

from tinygrad_rnn.train import Run, baselines, metrics, read_table
from tinygrad_rnn.train.forecasting.experiment import Setting, train_one

HERE = Path(__file__).parent
GRID = {
    "cell": ["lstm", "gru", "rnn"],
    "hidden": [16, 32, 64],
    "lookback": [24, 36],
    "lr": [0.01, 0.02],
}
ORIGINS, SEEDS = 4, 3


def setting(**chosen: Any) -> Setting:
    """The airline's setting with some values replaced."""
    return Setting(season=12, horizon=12, test=12, log=True, **chosen)


def error(job: tuple[np.ndarray, dict[str, Any], int]) -> float:
    """MAE of one model on the year after its history."""
    values, chosen, seed = job
    s = setting(**chosen)
    found = train_one(values, s, seed, progress=False)
    return metrics.mae(found.forecast, values[-s.test :])


def undisturbed() -> None:
    """Leave Ctrl-C to the parent: a training cut short would count as a whole one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def trained(jobs: list[Any], args: Any) -> list[float]:
    """The error of every job, from the checkpoint what was done before."""
    run = Run(
        args.out / "choose_defaults.safetensors", len(jobs), resume=args.resume, every=4,
        settings={"grid": GRID, "seed": args.seed, "quick": args.quick}, label="models",
    )  # fmt: skip
    pool = ProcessPoolExecutor(args.workers, initializer=undisturbed)
    try:
        results = pool.map(error, jobs[run.done :])
        for _ in run:
            run.log(error=next(results))
    finally:
        pool.shutdown(cancel_futures=True)
    return run.history["error"]


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Print the table."""
    p = options(__doc__, "choose_defaults")
    p.add_argument("--workers", type=int, default=os.cpu_count())
    args = p.parse_args(argv)
    writable(args.out)
    values = read_table(HERE / "data" / "airline.csv").frame["passengers"].to_numpy()
    histories = [values[: len(values) - 12 * k] for k in range(ORIGINS, 0, -1)]
    grid = [dict(zip(GRID, c, strict=True)) for c in itertools.product(*GRID.values())]
    how: dict[str, Any] = {"eager": args.eager}
    if args.quick:
        grid, how = grid[:1], {**how, "epochs": 2}
    seeds = range(args.seed, args.seed + SEEDS)
    jobs = [(h, {**g, **how}, seed) for g in grid for h in histories for seed in seeds]
    errors = np.array(trained(jobs, args)).reshape(len(grid), ORIGINS, SEEDS)
    print("| " + " | ".join([*GRID, "mean MAE", "sd over seeds", "MAE of each year"]) + " |")
    print("|" + "---|" * (len(GRID) + 3))
    for k in np.argsort(errors.mean(axis=(1, 2))):
        years = " ".join(f"{e:.1f}" for e in errors[k].mean(axis=1))
        cells = [*map(str, grid[k].values()), f"{errors[k].mean():.2f}"]
        spread = f"{errors[k].mean(axis=0).std():.2f}"
        print("| " + " | ".join([*cells, spread, years]) + " |")
    for name in baselines.all_baselines(values[:-12], 12, 12):
        each = [
            metrics.mae(baselines.all_baselines(h[:-12], 12, 12)[name], h[-12:]) for h in histories
        ]
        years = " ".join(f"{e:.1f}" for e in each)
        print(f"| {name} |" + " |" * (len(GRID) - 1) + f" {np.mean(each):.2f} | | {years} |")
    figures = {"options": vars(args), "grid": grid, "errors": errors.tolist()}
    return written(args.out / "choose_defaults.json", figures)


if __name__ == "__main__":
    go(main)
