"""Threads: the rows of a batch are shared out over them."""

import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from ..codegen import Kernel
from ..ir import Instr, Value
from ..lowering.table import lowering, weighing

# products and pointwise work of a loop below which a second thread costs more than it brings
LEAST_WORK = 20_000_000
# OpenBLAS spreads a product with more multiplications than this over threads of its own
_LEAST_SPREAD = {"matrices": 262_144, "vector": 9_216}
_settings = {"threads": os.cpu_count() or 1}


def set_num_threads(n: int) -> None:
    """Let compiled functions use up to n threads (default: the cores of the machine).

    The rows of a batch are shared out over them; the same n gives the same bits. With 1, BLAS
    has one thread, too, while such a function runs. Calls that are running in other threads go
    on with what they began with.

    >>> tg.set_num_threads(1)
    >>> num_threads()
    1
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"set_num_threads: n must be a whole number from 1, got {n!r}")
    _settings["threads"] = n


def num_threads() -> int:
    """How many threads compiled loops may use."""
    return _settings["threads"]


def shards_of(kernel: Kernel, threads: int) -> list[tuple[int, int]]:
    """First and last row of each thread's part of the batch."""
    n = threads if kernel.split and work(kernel) >= LEAST_WORK else 1
    n = max(1, min(n, kernel.batch))
    size = -(-kernel.batch // n)
    if size >= 8:
        size = -(-size // 4) * 4  # whole tiles of rows
    return [(b, min(kernel.batch, b + size)) for b in range(0, kernel.batch, size or 1)] or [(0, 0)]


def work(kernel: Kernel) -> int:
    """Multiplications of all products, and ten for each pointwise value, over all steps."""
    total = 0
    for instr in kernel.loop.body:
        size = math.prod(instr.out.shape)
        if weighing(instr.op):
            left = instr.array()
            total += size * left.shape[-1]
        else:
            total += 10 * size
    for r in kernel.loop.results:
        if r.kind == "product":
            total += math.prod(r.out.shape) * r.values[0].shape[0]
    return total * kernel.loop.count


def spread(item: Instr | Kernel) -> int:
    """Multiplications that OpenBLAS might spread over threads of its own; 0 if it does not."""
    if not isinstance(item, Instr):  # float32 has our tiles
        total = work(item) if any(a.dtype == np.float64 for a in item.arguments) else 0
        return total if total > _LEAST_SPREAD["matrices"] else 0
    product = lowering(item.op).product
    if product is None:
        return 0
    lefts = item.inputs[::2] if product.left_transposed else item.inputs[:1]
    shape = item.out.shape
    columns = shape[-1] if item.array(1).ndim > 1 else 1
    total = columns * sum(math.prod(a.shape) for a in lefts if isinstance(a, Value))
    vector = math.prod(shape) == max(shape, default=1)
    return total if total > _LEAST_SPREAD["vector" if vector else "matrices"] else 0


class _Pool:
    """Threads for all shards but the first, and BLAS held to one thread while they work."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.workers: dict[int, ThreadPoolExecutor] = {}  # the one pool, by its size
        self.blas: ThreadpoolController | None = None
        self.limit: Any = None
        self.holders = 0  # calls that need the limit: the first sets it, the last lifts it

    def submit(self, call: Callable[..., Any], job: list[Any]) -> Future[Any]:
        """Start one job."""
        size = max(1, num_threads() - 1)
        try:
            with self.lock:  # a pool of another size ends once it has done what it was given
                if size not in self.workers:
                    self.workers = {size: _started(size)}
                return self.workers[size].submit(call, *job)
        except RuntimeError:  # no thread to be had: a limit of the system, the process is ending
            done: Future[Any] = Future()
            done.set_result(call(*job))
            return done

    @contextmanager
    def one_blas_thread(self) -> Iterator[None]:
        """Only where it is used: set back to two, OpenBLAS' own threads spin and take a core."""
        with self.lock:
            if not self.holders:
                self.blas = self.blas or _all_blas()
                self.limit = self.blas.limit(limits=1, user_api="blas")
            self.holders += 1
        try:
            yield
        finally:
            with self.lock:
                self.holders -= 1
                if not self.holders:
                    self.limit.restore_original_limits()


def _all_blas() -> ThreadpoolController:
    import scipy.linalg.cython_blas  # noqa: F401  # kernels call this one; found once loaded

    return ThreadpoolController()


def _started(size: int) -> ThreadPoolExecutor:
    """Threads that all run already: handing out a job can then not fail half-way."""
    pool, all_here = ThreadPoolExecutor(size), threading.Barrier(size + 1)
    try:
        for _ in range(size):
            pool.submit(all_here.wait)
        all_here.wait()
    except RuntimeError:
        all_here.abort()
        raise
    return pool


_pools = [_Pool()]
if hasattr(os, "register_at_fork"):
    # threads do not live on in a forked child, and what they held stays locked there
    os.register_at_fork(after_in_child=lambda: _pools.__setitem__(0, _Pool()))


def in_parallel(call: Callable[..., Any], jobs: list[list[Any]], blas: bool) -> list[Any]:
    """What all shards give, run at once, the first on this thread; BLAS gets one thread in each."""
    pool, waiting = _pools[0], list[Future[Any]]()
    with pool.one_blas_thread() if blas else nullcontext():
        try:
            for job in jobs[1:]:
                waiting.append(pool.submit(call, job))
            own = call(*jobs[0])
        finally:  # whatever happens: they write to memory that others will use
            wait(waiting)
        return [own, *(future.result() for future in waiting)]


def on_one_thread(call: Callable[..., None], multiplications: int, *args: Any) -> None:
    """Call it; BLAS gets one thread unless there is work for more, of those that are allowed.

    What waits for OpenBLAS' threads spins: a character model that reads one row took twelve times
    as long as its work on cores that others used.
    """
    if multiplications and (num_threads() == 1 or multiplications < LEAST_WORK):
        with _pools[0].one_blas_thread():
            call(*args)
    else:
        call(*args)
