"""Eager plain loops, forward and backward: ours beside PyTorch, autograd and MyGrad."""

import argparse
from typing import Any

import numpy as np
from tqdm import tqdm

from .loops import GATES, LIBRARIES
from .timing import Worker, interleave_workers, medians, ratios

SIZES = [
    (100, 1, 1, 16),
    (100, 8, 1, 32),
    (1000, 16, 1, 64),
    (100, 32, 64, 128),
    (64, 64, 256, 512),
]


def agree(found: dict[str, list[np.ndarray]]) -> float:
    """Largest difference between ours and each peer's gradients, relative to their norm."""
    worst = 0.0
    for name, grads in found.items():
        for a, b in zip(found["ours"], grads, strict=True):
            scale = max(float(np.linalg.norm(b)), 1e-30)
            worst = max(worst, float(np.linalg.norm(np.asarray(a) - np.asarray(b))) / scale)
        if worst > 1e-3:
            raise SystemExit(f"ours and {name} compute different gradients: {worst:.1e}")
    return worst


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time every row; returns one record a row."""
    names = args.only.split(",") if args.only else list(LIBRARIES)
    sizes = [SIZES[int(k)] for k in args.sizes.split(",")]
    todo = [(size, cell) for size in sizes for cell in args.cells.split(",")]
    workers = {name: Worker(LIBRARIES[name]) for name in names}
    rows = []
    for size, cell in tqdm(todo, desc="rows", disable=None):
        error = agree({name: w.make(cell, *size) for name, w in workers.items()})
        times = interleave_workers(workers, args.rounds, args.seconds)
        row = {"cell": cell, "T,B,I,H": size, "gradient_error": error}
        rows.append(row | {"ms": medians(times), "ratio": ratios(times, "ours")})
    for worker in workers.values():
        worker.stop()
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: milliseconds, and how many times as long each peer takes."""
    names = list(rows[0]["ms"])
    head = ["cell", "T, B, I, H", *names, *(f"{n} / ours" for n in names[1:])]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        ms = [f"{r['ms'][n]:.2f}" for n in names]
        ratios = [f"{r['ratio'][n]:.2f}" for n in names[1:]]
        size = ", ".join(map(str, r["T,B,I,H"]))
        lines.append("| " + " | ".join([r["cell"], size, *ms, *ratios]) + " |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench eager`."""
    parser.add_argument("--only", help="libraries, comma-separated: ours,torch,autograd,mygrad")
    parser.add_argument("--cells", default=",".join(GATES), help="RNN,LSTM,GRU")
    parser.add_argument("--sizes", default="0,1,2,3,4", help="rows of the table of sizes")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=20, help="at most this long a row")
