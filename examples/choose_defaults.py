"""Choose the forecaster's defaults by rolling-origin validation on the years before the last.

    python examples/choose_defaults.py            # ten minutes on two cores

For each of four origins the model is trained on what came before and judged on
the year after; the last year of the series, the test of `forecast.py`, is never
looked at. Prints the table in examples/choose_defaults.md, best setting first.
"""

import argparse
import itertools
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"  # the work is spread over processes

import numpy as np
from tqdm import tqdm

from tinygrad_rnn.train import baselines, metrics, read_csv
from tinygrad_rnn.train.experiment import Setting, train_one

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


def main() -> None:
    """Print the table."""
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--workers", type=int, default=os.cpu_count())
    args = p.parse_args()
    values = read_csv(HERE / "data" / "airline.csv").values
    histories = [values[: len(values) - 12 * k] for k in range(ORIGINS, 0, -1)]
    grid = [dict(zip(GRID, c, strict=True)) for c in itertools.product(*GRID.values())]
    jobs = [(h, g, seed) for g in grid for h in histories for seed in range(SEEDS)]
    with ProcessPoolExecutor(args.workers) as pool:
        found = list(tqdm(pool.map(error, jobs), total=len(jobs), desc="models", disable=None))
    errors = np.array(found).reshape(len(grid), ORIGINS, SEEDS)
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


if __name__ == "__main__":
    main()
