"""Time a step of a long chain, forward and backward: flat in the number of steps."""

import argparse
import gc
import sys
import time
from typing import Any

LENGTHS = (1_000, 10_000, 100_000)


def once(T: int) -> float:
    """Microseconds a step of h = tanh(w h + u), T times, forward and backward."""
    import tinygrad_rnn as tg

    w, u = tg.tensor([0.7], requires_grad=True), tg.tensor([0.1], requires_grad=True)
    h = tg.tensor([0.5])
    start = time.perf_counter()
    for _ in range(T):
        h = tg.tanh(w * h + u)
    h.sum().backward()
    return 1e6 * (time.perf_counter() - start) / T


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The least time of a few repeats at each length, garbage collector on."""
    assert gc.isenabled()
    once(1_000)
    sys.setrecursionlimit(200)
    best = {T: min(once(T) for _ in range(args.repeats)) for T in LENGTHS}
    return [{"steps": T, "us a step": us, "ratio": us / best[1_000]} for T, us in best.items()]


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| steps | us a step | to 1,000 steps |", "|---|---|---|"]
    lines += [f"| {r['steps']:,} | {r['us a step']:.1f} | {r['ratio']:.2f} |" for r in rows]
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench depth`."""
    parser.add_argument("--repeats", type=int, default=3)
