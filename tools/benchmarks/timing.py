"""Interleaved timing: every contender gets its turn in each round, so that a noisy
neighbour hits all alike; medians over the rounds."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def interleave(
    contenders: dict[str, Callable[[], Any]], rounds: int, seconds: float
) -> dict[str, float]:
    """Median milliseconds of each, over at most `rounds` rounds or `seconds`."""
    for run in contenders.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    start = time.perf_counter()
    for _ in range(rounds):
        for name, run in contenders.items():
            before = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - before)
        if time.perf_counter() - start > seconds:
            break
    return {name: 1e3 * statistics.median(ts) for name, ts in times.items()}
