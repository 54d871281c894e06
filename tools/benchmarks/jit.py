"""A training pass of RNN, LSTM, GRU and a cell of one's own: `tg.jit` beside its peers.

Every library runs in a process of its own, pinned to as many cores as it has
threads, and takes its turn in each round.
"""

import argparse
import math
import os
import tempfile
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from .contenders import CONTENDERS
from .eager import SIZES, agree
from .timing import Worker, interleave_workers, medians, ratios

CELLS = ("RNN", "LSTM", "GRU", "Custom")
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3, "Custom": 2}
PEERS = ("torch.nn", "torch loop", "jax scan")


def products(cell: str, T: int, B: int, I: int, H: int) -> int:
    """Multiplications of a pass, forward and backward: x needs no gradient."""
    G = GATES[cell] * H
    return T * B * G * (2 * I + 3 * H)


def matrix_rate(threads: int) -> Any:
    """A run that multiplies two large matrices: the machine's limit in this minute."""
    from .contenders import pin

    pin(threads)
    a = np.ones((1024, 1024), "float32")

    def run() -> list[np.ndarray]:
        a @ a
        return []

    return run


def compile_seconds(cell: str, size: tuple[int, ...]) -> dict[str, float]:
    """Seconds of the first pass in a fresh process, with an empty cache and with a warm one."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYGRAD_RNN_CACHE"] = folder
        for name in ("cold", "warm"):
            worker = Worker(_first_pass)
            found[name] = float(worker.make(cell, *size)[0])
            worker.stop()
        del os.environ["TINYGRAD_RNN_CACHE"]
    return found


def _first_pass(cell: str, *size: int) -> Any:
    from .contenders import jitted

    run = jitted(1, cell, *size)

    def first() -> list[float]:
        before = time.perf_counter()
        run()
        return [time.perf_counter() - before]

    return first


def one_row(
    cell: str, size: tuple[int, ...], threads: int, workers: dict[str, Worker], args: Any
) -> dict[str, Any]:
    """Times of all contenders at one size, and their gradients compared."""
    here = {}
    found = {}
    for name, worker in workers.items():
        if name == "torch.nn" and cell == "Custom":
            continue
        if name == "limit":
            worker.make(threads)
        else:
            found[name] = worker.make(threads, cell, *size)
        here[name] = worker
    error = agree(found)
    times = interleave_workers(here, args.rounds, args.seconds)
    ms, ratio = medians(times), ratios(times, "ours")
    best = min(PEERS, key=lambda p: ratio.get(p, math.inf))
    rate = 2 * 1024**3 / (ms["limit"] * 1e6)  # GFLOP/s
    flops = 2 * products(cell, *size)
    return {
        "cell": cell,
        "T,B,I,H": size,
        "threads": threads,
        "gradient_error": error,
        "ms": ms,
        "ratio": ratio,
        "best": best,
        "to_best": ratio[best],
        "limit_gflops": rate,
        "share_of_limit": flops / (ms["ours"] * 1e6) / rate,
    }


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time every row; returns one record a row."""
    sizes = [SIZES[int(k)] for k in args.sizes.split(",")]
    rows = []
    todo = [
        (threads, size, cell)
        for threads in map(int, args.threads.split(","))
        for size in sizes
        for cell in args.cells.split(",")
    ]
    bar = tqdm(todo, desc="rows", disable=None)
    workers: dict[str, Worker] = {}
    for place, (threads, size, cell) in enumerate(bar):
        if place == 0 or threads != todo[place - 1][0]:
            for worker in workers.values():
                worker.stop()
            os.environ.update(
                {n: str(threads) for n in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
            )
            workers = {name: Worker(make) for name, make in CONTENDERS.items()}
            workers["limit"] = Worker(matrix_rate)
        rows.append(one_row(cell, size, threads, workers, args))
        if args.compile:
            rows[-1]["compile_seconds"] = compile_seconds(cell, size)
    for worker in workers.values():
        worker.stop()
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: milliseconds of each, how many times as long the best peer takes."""
    names = list(CONTENDERS)
    head = ["threads", "cell", "T, B, I, H", *names, "best peer / ours", "of limit", "compile s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        ms = [f"{r['ms'][n]:.2f}" if n in r["ms"] else "" for n in names]
        size = ", ".join(map(str, r["T,B,I,H"]))
        seconds = r.get("compile_seconds")
        text = f"{seconds['cold']:.1f} / {seconds['warm']:.2f}" if seconds else ""
        cells = [str(r["threads"]), r["cell"], size, *ms, f"{r['to_best']:.2f}"]
        cells += [f"{100 * r['share_of_limit']:.0f} %", text]
        lines.append("| " + " | ".join(cells) + " |")
    for threads in sorted({r["threads"] for r in rows}):
        some = [math.log(r["to_best"]) for r in rows if r["threads"] == threads]
        mean = math.exp(sum(some) / len(some))
        lines.append(f"\nGeometric mean to the best peer, {threads} thread(s): {mean:.2f}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench jit`."""
    parser.add_argument("--cells", default=",".join(CELLS), help="RNN,LSTM,GRU,Custom")
    parser.add_argument("--sizes", default="0,1,2,3,4", help="rows of the table of sizes")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=12, help="at most this long a row")
    parser.add_argument("--compile", action="store_true", help="also time compiling, cold and warm")
