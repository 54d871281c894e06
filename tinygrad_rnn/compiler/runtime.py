"""Calls kernels: memory from a pool, rows of the batch shared out over threads."""

import logging
import math
import os
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numba
import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from ..op import Array
from . import cache, interpret
from .codegen import Kernel
from .interpret import Values
from .ir import Prev, Result, Value

# products and pointwise work of a loop below which a second thread costs more than it brings
LEAST_WORK = 20_000_000
_log = logging.getLogger(__name__)
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


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array that starts on a cache line: a vector load across two takes twice as long."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize * math.prod(shape)
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    y: Array = raw[start : start + size].view(dtype).reshape(shape)
    return y


class Held:
    """Memory of a forward pass: it goes back for use again when the last holder lets go."""

    __slots__ = ("sets",)

    def __init__(self) -> None:
        self.sets: list[tuple[list[Any], Any]] = []  # (where it goes, the memory)

    def __del__(self) -> None:
        for home, memory in self.sets:
            home.append(memory)


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


class _Arena:
    """Work space that all kernels use, one after the other: as large as the largest needs."""

    def __init__(self) -> None:
        self.raw = np.empty(0, np.uint8)
        self.cut: weakref.WeakKeyDictionary[_Layout, list[list[tuple[int, Array]]]] = (
            weakref.WeakKeyDictionary()
        )

    def arrays(self, layout: "_Layout") -> list[list[tuple[int, Array]]]:
        """The work arrays of a layout, for each shard: (argument, array)."""
        if layout.work_bytes > self.raw.size:
            self.cut.clear()
            self.raw = np.empty(0, np.uint8)  # the old one goes before the new one comes
            self.raw = aligned((layout.work_bytes,), np.uint8)
        at = 0
        found: list[list[tuple[int, Array]]] = []
        self.cut[layout] = found
        for wanted in layout.work:
            found.append([])
            for k, shape, dtype in wanted:
                size = math.prod(shape) * np.dtype(dtype).itemsize
                found[-1].append((k, self.raw[at : at + size].view(dtype).reshape(shape)))
                at += -(-size // 64) * 64
        return found


_arenas: list[_Arena] = []


class _Layout:
    """A kernel's calls for one way of sharing the batch out, and memory that is free for them.

    What a backward pass will read is kept in complete lists of arguments, one for each
    shard: a call fills in only the rest (12 us in place of 40 for an LSTM's thirty arrays).
    With them come those results of the loop that are views of what is kept.
    """

    def __init__(
        self, kernel: Kernel, keep: set[int], head: tuple[Array, Array], results: list[Any]
    ):
        self.kernel, self.head, self.results = kernel, head, results
        self.shards = shards_of(kernel)
        self.outer: list[tuple[int, int]] = []  # (argument, id of the value)
        self.own: list[tuple[int, Any, Any]] = []  # made anew: somebody may hold on to it
        self.zeros: list[tuple[int, Any, Any]] = []
        self.sums: list[tuple[int, Any, Any]] = []  # zeros for each shard
        self.pooled: list[tuple[int, Any, Any]] = []
        self.work: list[list[tuple[int, Any, Any]]] = [[] for _ in self.shards]
        self.free: list[tuple[list[list[Any]], Values]] = []
        stacks = [r for r in kernel.loop.results if r.kind == "stack"]
        stacked = {id(r.values[0]) for r in stacks}
        escaping = {id(r.values[0]) for r in stacks if id(r.out) in keep}
        for number, a in enumerate(kernel.arguments):
            k = number + HEAD
            if a.kind == "outer":
                self.outer.append((k, id(a.value)))
            elif a.kind == "sum":
                self.sums.append((k, a.shape or (1,), a.dtype))
            elif a.kind == "storage" and a.rows == "total":
                self.zeros.append((k, a.shape, a.dtype))
            elif a.kind == "storage" and id(a.value) not in stacked:
                self.work[0].append((k, a.shape, a.dtype))
            elif a.kind == "storage":
                kind = self.own if id(a.value) in escaping else self.pooled
                kind.append((k, a.shape, a.dtype))
            else:
                for shard, (b0, b1) in enumerate(self.shards):
                    shape = tuple([b1 - b0 if i == a.batch else n for i, n in enumerate(a.shape)])
                    self.work[shard].append((k, shape, a.dtype))
        sizes = [math.prod(s) * np.dtype(d).itemsize for one in self.work for _, s, d in one]
        self.work_bytes = sum(-(-size // 64) * 64 for size in sizes)
        common = [k for k, _ in self.outer]
        common += [k for k, _, _ in self.own + self.zeros]
        self.common = common + [one[0] for one in self.work[0][: self._ring_count()]]

    def _ring_count(self) -> int:
        """How many of the first shard's work arrays are the whole batch's."""
        return sum(self.kernel.arguments[k - HEAD].kind == "storage" for k, _, _ in self.work[0])

    def take(self) -> tuple[list[list[Any]], Values]:
        """Arguments for each shard, with all but what is kept left open; results in them."""
        try:
            return self.free.pop()
        except IndexError:
            return self._made()

    def _made(self) -> tuple[list[list[Any]], Values]:
        kernel, calls = self.kernel, list[list[Any]]()
        shared = {k: aligned(shape, dtype) for k, shape, dtype in self.pooled}
        for b0, b1 in self.shards:
            head = [kernel.loop.count, kernel.block, b0, b1, b1 - b0 == kernel.batch, *self.head]
            arguments = head + [None] * len(kernel.arguments)
            for k, a in shared.items():
                arguments[k] = a
            calls.append(arguments)
        views = {
            key: shared[k][row]
            for key, k, row, partial in self.results
            if k in shared and isinstance(row, slice) and not partial
        }
        return calls, views


HEAD = 7  # arguments before the arrays
TURNED = "turned"  # in place of a row: the array lies there transposed


class Runner:
    """One kernel with all that can be worked out once: below H = 32 Python decides the speed."""

    def __init__(self, kernel: Kernel, keep: set[int]):
        self.kernel, self.keep = kernel, keep
        self.head = (
            np.array(kernel.ints or [0], np.int64),
            np.array(kernel.numbers or [0.0], np.float64),
        )
        self.seconds = 0.0
        self.blas = any(a.dtype == np.float64 for a in kernel.arguments)  # float32 has our tiles
        self.failed = ""  # why Numba refused it
        self.firsts = self._firsts()
        self.results = [(id(r.out), *self._where(r)) for r in kernel.loop.results]
        self.layouts: dict[int, _Layout] = {}
        self.call: Callable[..., Any] | None = None

    @property
    def layout(self) -> _Layout:
        """The memory for the number of threads that is set."""
        threads = _settings["threads"]
        if threads not in self.layouts:
            self.layouts[threads] = _Layout(self.kernel, self.keep, self.head, self.results)
        return self.layouts[threads]

    def _firsts(self) -> list[tuple[int, Any, Any]]:
        """(argument, row, what stands there before the first step) of every state."""
        loop, found = self.kernel.loop, dict[Any, Any]()
        sources = [(p.of, p.delay, p.first) for p in loop.params if isinstance(p, Prev)]
        sources += [
            (r.values[0], r.lag, r.first) for r in loop.results if r.kind == "stack" and r.lag
        ]
        for v, delay, first in sources:
            argument = self.kernel.homes[id(v)][0]
            for k, a in enumerate(first):
                row = self._row(v, k - delay)  # -1 is just before the first step
                place = argument + HEAD, row
                if place in found and not _same(found[place], a):
                    raise ValueError("a state with two different beginnings")
                found[place] = a
        return [(argument, row, a) for (argument, row), a in found.items()]

    def _row(self, v: Value, executed: int) -> int:
        """Where a value of the k-th executed step lies in its memory."""
        loop, (_, kind, extra) = self.kernel.loop, self.kernel.homes[id(v)]
        t = loop.count - 1 - executed if loop.reverse else executed
        if kind == "ring":
            return t % (extra + 1)
        return t if loop.reverse else t + extra

    def _where(self, r: Result) -> tuple[int, Any, bool]:
        """(argument, row or rows, whether shards are to be added) of a result."""
        kernel = self.kernel
        if r.kind in ("total", "product", "rows"):
            k = kernel.sums[id(r.out)]
            whole = kernel.states.get(id(r.out), "whole") == "whole"
            turned = TURNED if id(r.out) in kernel.flipped else None
            return (
                k + HEAD,
                turned if r.out.ndim else 0,
                kernel.arguments[k].kind == "sum" and not whole,
            )
        v = r.values[0]
        k, _, extra = kernel.homes[id(v)]
        partial = kernel.arguments[k].kind == "sum"
        if r.kind == "final":
            return k + HEAD, self._row(v, kernel.loop.count - 1 - r.lag), partial
        start = r.lag if kernel.loop.reverse else extra - r.lag
        return k + HEAD, slice(start, start + kernel.loop.count), partial

    def run(self, values: Values, held: Held) -> None:
        """Run the loop on `values` and add its results to them."""
        if self.failed:
            interpret.run_loop(self.kernel.loop, values)
            return
        layout = self.layout
        kept, views = taken = layout.take()
        held.sets.append((layout.free, taken))
        try:
            arena = _arenas.pop()
        except IndexError:
            arena = _Arena()
        work = arena.cut.get(layout) or arena.arrays(layout)
        calls = [k.copy() for k in kept]  # only what is kept may be kept alive
        first = calls[0]
        for k, a in work[0]:
            first[k] = a
        for k, key in layout.outer:
            a = values[key]
            first[k] = a if a.ndim and a.flags.carray else _ready(a)
        for k, shape, dtype in layout.zeros:
            first[k] = np.zeros(shape, dtype)
        sums: dict[int, list[Array]] = {}
        for k, shape, dtype in layout.sums:
            sums[k] = [np.zeros(shape, dtype) for _ in calls]
            first[k] = sums[k][0]
        for k, shape, dtype in layout.own:
            first[k] = aligned(shape, dtype)
        for k, row, a in self.firsts:
            first[k][row] = 0 if a is None else values[id(a)] if a.__class__ is Value else a
        if self.call is None and not self._compile(tuple(first)):
            interpret.run_loop(self.kernel.loop, values)
            return
        assert self.call is not None
        if len(calls) == 1:
            self.call(*first)
        else:
            self._share_out(layout, calls, work, sums)
            del calls[1:]  # `_collect` holds the last reference to each sum
        _arenas.append(arena)
        self._collect(values, first, sums, views)

    def _share_out(
        self, layout: _Layout, calls: list[list[Any]], work: Any, sums: dict[int, list[Array]]
    ) -> None:
        """All shards at once: those after the first get what is common, and sums of their own."""
        assert self.call is not None
        for number in range(1, len(calls)):
            arguments = calls[number]
            for k in layout.common:
                arguments[k] = calls[0][k]
            for k, a in work[number]:
                arguments[k] = a
            for k, parts in sums.items():
                arguments[k] = parts[number]
        _in_parallel(self.call, calls, self.blas)

    def _compile(self, arguments: tuple[Any, ...]) -> bool:
        """Compile the kernel; if Numba refuses it the loop runs op by op, and slowly."""
        dtypes = {a.dtype for a in self.kernel.arguments}
        try:
            self.call, self.seconds = cache.ready(self.kernel.source, arguments, dtypes)
        except numba.core.errors.NumbaError as error:
            self.failed = str(error).splitlines()[0]
            _log.warning("a generated kernel does not compile, running op by op: %s", self.failed)
        return not self.failed

    def _collect(
        self, values: Values, arrays: list[Any], sums: dict[int, list[Array]], views: Values
    ) -> None:
        """Results out of the arrays that the kernel filled."""
        values.update(views)
        for key, k, row, partial in self.results:
            if key in views:
                continue
            y = arrays[k]
            if k in sums:
                parts = sums.pop(k)
                if partial and len(parts) > 1:
                    _add_up(parts)
                parts.clear()
            if row is TURNED:
                arrays[k] = None  # gone as soon as it is turned
                y = np.array(y.T, order="C")
            elif row is not None:
                y = y[row] if row.__class__ is slice else np.array(y[row])
            values[key] = y if y.__class__ is np.ndarray else np.asarray(y)


def _add_up(parts: list[Array]) -> None:
    """Add all to the first."""
    for part in parts[1:]:
        np.add(parts[0], part, out=parts[0])


def _same(a: Any, b: Any) -> bool:
    return a is b or (not isinstance(a, Value) and not isinstance(b, Value) and a == b)


def _ready(a: Any) -> Array:
    """C-contiguous and writable, as the kernels' signatures have it; a number as one value."""
    if not a.ndim:
        return np.array(a).reshape(1)
    if a.flags.carray:
        return a
    return np.array(a, order="C")


def _in_parallel(call: Callable[..., Any], jobs: list[list[Any]], blas: bool) -> None:
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
