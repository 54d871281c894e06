"""Interleaved timing: every contender gets its turn in each round, so that a noisy
neighbour hits all alike; medians over the rounds, of times and of the ratios within
a round.

Libraries are timed each in a process of its own, as their users run them: loaded
together they pay for one another (a full pass of Python's garbage collector goes
through the 400,000 objects that PyTorch leaves at import).
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

Times = dict[str, list[float]]


def medians(times: Times) -> dict[str, float]:
    """Median milliseconds of each."""
    return {name: 1e3 * statistics.median(ts) for name, ts in times.items()}


def ratios(times: Times, to: str) -> dict[str, float]:
    """How many times as long as `to` each of the others takes: the median over rounds."""
    return {
        name: statistics.median(a / b for a, b in zip(ts, times[to], strict=True))
        for name, ts in times.items()
        if name != to
    }


def interleave(contenders: Mapping[str, Callable[[], Any]], rounds: int, seconds: float) -> Times:
    """Seconds of each, over at most `rounds` rounds or `seconds`."""
    for run in contenders.values():
        run()
    return rounds_of({name: _stopwatch(run) for name, run in contenders.items()}, rounds, seconds)


def _stopwatch(run: Callable[[], Any]) -> Callable[[], float]:
    def timed() -> float:
        before = time.perf_counter()
        run()
        return time.perf_counter() - before

    return timed


def rounds_of(timed: Mapping[str, Callable[[], float]], rounds: int, seconds: float) -> Times:
    times: dict[str, list[float]] = {name: [] for name in timed}
    start = time.perf_counter()
    for _ in range(rounds):
        for name, run in timed.items():
            times[name].append(run())
        if time.perf_counter() - start > seconds:
            break
    return times


def _serve(pipe: Connection, make: Callable[..., Callable[[], Any]]) -> None:
    """In the worker: build what is asked for, then run and time it on demand."""
    run: Callable[[], Any] = dict
    while True:
        order, *arguments = pipe.recv()
        if order == "stop":
            return
        if order == "make":
            run = make(*arguments)
            pipe.send(run())
        else:
            pipe.send(_turn(run))


def _turn(run: Callable[[], Any]) -> float:
    """Seconds of a run, the mean over 20 ms of them after one to warm up.

    A training runs the same step again and again. Alone between two other processes'
    turns, a step of 0.2 ms takes 0.7: it finds its code and data gone from the cache.
    """
    timed = _stopwatch(run)
    if timed() > 0.02:
        return timed()
    found = [timed()]
    while sum(found) < 0.02:
        found.append(timed())
    return sum(found) / len(found)


class Worker:
    """A process that runs one library's contenders."""

    def __init__(self, make: Callable[..., Any]):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, make), daemon=True)
        self.process.start()

    def make(self, *arguments: Any) -> Any:
        """Build `make(*arguments)` there, run it once and return its result."""
        self.pipe.send(("make", *arguments))
        return self.pipe.recv()

    def time(self) -> float:
        """Seconds of a run."""
        self.pipe.send(("run",))
        return self.pipe.recv()

    def stop(self) -> None:
        """End the process."""
        self.pipe.send(("stop",))
        self.process.join()


def interleave_workers(workers: dict[str, Worker], rounds: int, seconds: float) -> Times:
    """Seconds of what each worker has built; one round to warm up."""
    for worker in workers.values():
        worker.time()
    return rounds_of({name: w.time for name, w in workers.items()}, rounds, seconds)
