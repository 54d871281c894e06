"""Threads: the rows of a batch are shared out over them."""

import math
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from .codegen import Kernel
from .ir import Value

# products and pointwise work of a loop below which a second thread costs more than it brings
LEAST_WORK = 20_000_000
_settings = {"threads": os.cpu_count() or 1}
_workers: list[ThreadPoolExecutor] = []
_blas: list[ThreadpoolController] = []


def set_num_threads(n: int) -> None:
    """Let compiled loops use up to n threads (default: the cores of the machine).

    The rows of a batch are shared out over them; the same n gives the same bits.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"set_num_threads: n must be a whole number from 1, got {n!r}")
    _settings["threads"] = n
    while _workers:
        _workers.pop().shutdown(wait=False)


def num_threads() -> int:
    """How many threads compiled loops may use."""
    return _settings["threads"]


def shards_of(kernel: Kernel) -> list[tuple[int, int]]:
    """First and last row of each thread's part of the batch."""
    n = _settings["threads"] if kernel.split and work(kernel) >= LEAST_WORK else 1
    n = min(n, kernel.batch)
    size = -(-kernel.batch // n)
    if size >= 8:
        size = -(-size // 4) * 4  # whole tiles of rows
    return [(b, min(kernel.batch, b + size)) for b in range(0, kernel.batch, size)]


def work(kernel: Kernel) -> int:
    """Multiplications of all products, and ten for each pointwise value, over all steps."""
    total = 0
    for instr in kernel.loop.body:
        size = math.prod(instr.out.shape)
        if instr.op.name in ("matmul", "linear"):
            left = instr.inputs[0]
            assert isinstance(left, Value)
            total += size * left.shape[-1]
        else:
            total += 10 * size
    for r in kernel.loop.results:
        if r.kind == "product":
            total += math.prod(r.out.shape) * r.values[0].shape[0]
    return total * kernel.loop.count


def in_parallel(call: Callable[..., Any], jobs: list[list[Any]], blas: bool) -> None:
    """All shards at once, the first on this thread; BLAS gets one thread in each.

    Only where it is used: set back to two, OpenBLAS' own threads spin and take a core.
    """
    if not _workers:
        _workers.append(ThreadPoolExecutor(max(1, _settings["threads"] - 1)))
    if blas and not _blas:
        _blas.append(ThreadpoolController())
    limit = _blas[0].limit(limits=1, user_api="blas") if blas else nullcontext()
    with limit:
        waiting: list[Future[Any]] = [_workers[0].submit(call, *job) for job in jobs[1:]]
        call(*jobs[0])
        for future in waiting:
            future.result()
