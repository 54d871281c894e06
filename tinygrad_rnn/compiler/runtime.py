"""Calls kernels: memory from a pool, rows of the batch shared out over threads."""

import math
import os
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from ..op import Array
from . import cache
from .codegen import Kernel
from .interpret import Values
from .ir import Prev, Result, Value

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


class Pool:
    """Arrays that are free for use again, by size."""

    def __init__(self) -> None:
        self.free: dict[tuple[tuple[int, ...], Any], list[Array]] = {}

    def take(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array with any content, starting on a cache line."""
        waiting = self.free.get((shape, dtype))
        try:
            return waiting.pop() if waiting else aligned(shape, dtype)
        except IndexError:  # another thread took the last one
            return aligned(shape, dtype)

    def give(self, arrays: Sequence[Array]) -> None:
        """Take arrays back that nobody looks at any more."""
        for a in arrays:
            self.free.setdefault((a.shape, a.dtype), []).append(a)


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array that starts on a cache line: a vector load across two takes twice as long."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize * math.prod(shape)
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    y: Array = raw[start : start + size].view(dtype).reshape(shape)
    return y


class Held:
    """Pool arrays that return when the last holder lets go."""

    def __init__(self, pool: Pool):
        self.arrays: list[Array] = []
        weakref.finalize(self, pool.give, self.arrays)


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


class Runner:
    """One kernel with what must be worked out once."""

    def __init__(self, kernel: Kernel, pool: Pool, keep: set[int]):
        self.kernel, self.pool = kernel, pool
        self.ints = np.array(kernel.ints or [0], np.int64)
        self.numbers = np.array(kernel.numbers or [0.0], np.float64)
        self.keep = keep  # ids of results that a user may hold on to: never from the pool
        self.seconds = 0.0
        self.peak = 0
        homes = {argument: key for key, (argument, _, _) in kernel.homes.items()}
        self.firsts = self._firsts()
        self.owner = homes

    def _firsts(self) -> list[tuple[int, int, Any, bool]]:
        """(argument, row, what stands there before the first step, partial) of every state."""
        kernel, n = self.kernel, self.kernel.loop.count
        found: dict[tuple[int, int], Any] = {}
        sources = [(p.of, p.delay, p.first) for p in kernel.loop.params if isinstance(p, Prev)]
        sources += [
            (r.values[0], r.lag, r.first)
            for r in kernel.loop.results
            if r.kind == "stack" and r.lag
        ]
        for v, delay, first in sources:
            argument, kind, extra = kernel.homes[id(v)]
            for k, a in enumerate(first):
                executed = k - delay  # -1 is just before the first step
                t = n - 1 - executed if kernel.loop.reverse else executed
                if kind == "ring":
                    row = t % (extra + 1)
                else:
                    row = t if kernel.loop.reverse else t + extra
                if found.setdefault((argument, row), a) is not a and found[argument, row] != a:
                    raise ValueError("a state with two different beginnings")
        return [
            (argument, row, a, kernel.arguments[argument].kind == "sum")
            for (argument, row), a in found.items()
        ]

    def run(self, values: Values, held: Held) -> None:
        """Run the loop on `values` and add its results to them."""
        kernel = self.kernel
        shards = shards_of(kernel)
        shared: list[Any] = [None] * len(kernel.arguments)
        scratch: list[Array] = []
        for k, a in enumerate(kernel.arguments):
            if a.kind == "outer":
                shared[k] = _ready(values[id(a.value)])
            elif a.kind == "sum":
                shared[k] = np.zeros((len(shards), *a.shape), a.dtype)
            elif a.kind == "storage" and a.rows == "total":
                shared[k] = np.zeros(a.shape, a.dtype)
            elif a.kind == "storage":
                shared[k] = self._storage(k, a, held, scratch)
        for k, row, first, partial in self.firsts:
            target = shared[k][0, row : row + 1] if partial else shared[k][row : row + 1]
            target[...] = _first(first, values)
        jobs = []
        for number, (b0, b1) in enumerate(shards):
            arrays = list(shared)
            for k, a in enumerate(kernel.arguments):
                if a.kind == "scratch":
                    arrays[k] = self._scratch(a, b1 - b0, scratch)
            whole = b1 - b0 == kernel.batch
            jobs.append(
                (kernel.loop.count, kernel.block, b0, b1, whole, number, self.ints, self.numbers,
                 *arrays)
            )  # fmt: skip
        self.peak = sum(a.nbytes for a in scratch)
        self.seconds += _run_jobs(kernel.source, jobs)
        for r in kernel.loop.results:
            values[id(r.out)] = self._result(r, shared)
        self.pool.give(scratch)

    def _storage(self, k: int, a: Any, held: Held, scratch: list[Array]) -> Array:
        """Memory for steps: the user's if he gets to see it, the node's, or only this call's."""
        v = a.value
        stacks = [r for r in self.kernel.loop.results if r.kind == "stack" and r.values[0] is v]
        if any(id(r.out) in self.keep for r in stacks):
            return aligned(a.shape, a.dtype)
        array = self.pool.take(a.shape, a.dtype)
        (held.arrays if stacks else scratch).append(array)
        return array

    def _scratch(self, a: Any, rows: int, scratch: list[Array]) -> Array:
        shape = list(a.shape)
        if a.batch is not None:
            shape[a.batch] = rows
        array = self.pool.take(tuple(shape), a.dtype)
        scratch.append(array)
        return array

    def _result(self, r: Result, shared: list[Any]) -> Array:
        """A result out of the arrays that the kernel filled."""
        kernel, n = self.kernel, self.kernel.loop.count
        if r.kind in ("total", "product", "rows"):
            k = kernel.sums[id(r.out)]
            y = shared[k]
            if kernel.arguments[k].kind == "sum":
                state = kernel.states.get(id(r.out), "whole")
                y = y[0] if len(y) == 1 or state == "whole" else np.add.reduce(y, axis=0)
            return y
        argument, kind, extra = kernel.homes[id(r.values[0])]
        y = shared[argument]
        if kernel.arguments[argument].kind == "sum":
            y = y[0] if len(y) == 1 else np.add.reduce(y, axis=0)
        if r.kind == "final":
            t = r.lag if kernel.loop.reverse else n - 1 - r.lag
            if kind == "ring":
                row = t % (extra + 1)
            else:
                row = t if kernel.loop.reverse else t + extra
            return np.array(y[row])
        start = r.lag if kernel.loop.reverse else extra - r.lag
        return y[start : start + n]


def _first(a: Any, values: Values) -> Any:
    if a is None:
        return 0
    return values[id(a)] if isinstance(a, Value) else a


def _ready(a: Any) -> Array:
    """C-contiguous and writable, as the kernels' signatures have it; a number as one value."""
    if not a.ndim:
        return np.array(a).reshape(1)
    if a.flags.carray:
        return a
    return np.array(a, order="C")


def _run_jobs(source: str, jobs: list[tuple[Any, ...]]) -> float:
    """All shards, each on a thread; returns seconds of compiling."""
    if len(jobs) == 1:
        return cache.call(source, *jobs[0])
    if not _workers:
        _workers.append(ThreadPoolExecutor(max(1, _settings["threads"] - 1)))
    if not _blas:
        _blas.append(ThreadpoolController())
    kernel: Callable[..., Any] = cache.load(source)
    seconds = 0.0
    if not getattr(kernel, "signatures", True):  # compiled by the first, not by all at once
        seconds = cache.compile_for(source, jobs[0])
        kernel = cache.load(source)
    with _blas[0].limit(limits=1, user_api="blas"):
        waiting: list[Future[Any]] = [_workers[0].submit(kernel, *job) for job in jobs[1:]]
        kernel(*jobs[0])
        for future in waiting:
            future.result()
    return seconds
