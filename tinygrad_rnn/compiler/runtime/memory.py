"""A kernel's memory: what is kept for the backward pass, sums, and work space."""

import math
import weakref
from collections import defaultdict
from typing import Any

import numpy as np

from ...op import Array
from ..codegen import Kernel
from .interpret import Values
from .threads import shards_of

HEAD = 7  # arguments of a kernel before its arrays


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array that starts on a cache line: a vector load across two takes twice as long."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize * math.prod(shape)
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    y: Array = raw[start : start + size].view(dtype).reshape(shape)
    return y


class Chunk:
    """Memory for what is kept, and how the layouts that have used it cut it up."""

    __slots__ = ("__weakref__", "cuts", "raw")

    def __init__(self, size: int) -> None:
        self.raw = aligned((size,), np.uint8)
        self.cuts: weakref.WeakKeyDictionary[Layout, tuple[list[list[Any]], Values]] = (
            weakref.WeakKeyDictionary()
        )


# Chunks that nobody uses, by the power of two of their size. All layouts share them: a pool for
# each kept 3 MB for every length of a sentence that ever came.
_free: defaultdict[int, list[Chunk]] = defaultdict(list)


def take_chunk(size: int) -> Chunk:
    """A free chunk of at least `size` bytes, or a new one; too small a one of its class goes."""
    home = _free[size.bit_length()]
    while True:
        try:
            chunk = home.pop()
        except IndexError:
            return Chunk(size)
        if chunk.raw.size >= size:
            return chunk


class Held:
    """Memory of a forward pass: it goes back for use again when the last holder lets go."""

    __slots__ = ("chunks",)

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []

    def __del__(self) -> None:
        for chunk in self.chunks:
            _free[chunk.raw.size.bit_length()].append(chunk)


class Arena:
    """Work space that all kernels use, one after the other: as large as the largest needs."""

    def __init__(self) -> None:
        self.raw = np.empty(0, np.uint8)
        self.cut: weakref.WeakKeyDictionary[Layout, list[list[tuple[int, Array]]]] = (
            weakref.WeakKeyDictionary()
        )

    def arrays(self, layout: "Layout") -> list[list[tuple[int, Array]]]:
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
                at += _lines(shape, dtype)
        return found


class Layout:
    """A kernel's calls for one way of sharing the batch out.

    What a backward pass will read lies in one chunk of memory, with complete lists of
    arguments, one for each shard: a call fills in only the rest (12 us in place of 40 for
    an LSTM's thirty arrays). With them come those results that are views of the chunk.
    """

    def __init__(
        self,
        kernel: Kernel,
        keep: set[int],
        head: tuple[Array, Array],
        results: list[Any],
        threads: int,
    ):
        self.kernel, self.head = kernel, head
        self.shards = shards_of(kernel, threads)
        self.outer: list[tuple[int, int, Any]] = []  # (argument, id of the value, shape)
        self.own: list[tuple[int, Any, Any]] = []  # made anew: somebody may hold on to it
        self.zeros: list[tuple[int, Any, Any]] = []
        self.sums: list[tuple[int, Any, Any]] = []  # zeros for each shard
        self.pooled: list[tuple[int, Any, Any]] = []
        self.work: list[list[tuple[int, Any, Any]]] = [[] for _ in self.shards]
        self._sort(keep)
        pooled = {k for k, _, _ in self.pooled}
        # results that are views of what is kept, and those to be taken out of every call
        self.views = [r for r in results if r[1] in pooled and isinstance(r[2], slice)]
        self.results = [r for r in results if r not in self.views]
        self.work_bytes = sum(_lines(s, d) for one in self.work for _, s, d in one)
        self.kept_bytes = sum(_lines(s, d) for _, s, d in self.pooled)
        common = [k for k, _, _ in self.outer]
        common += [k for k, _, _ in self.own + self.zeros]
        self.common = common + [one[0] for one in self.work[0][: self._ring_count()]]

    def _sort(self, keep: set[int]) -> None:
        """Which of the kernel's arguments come from where."""
        kernel = self.kernel
        stacks = [r for r in kernel.loop.results if r.kind == "stack"]
        stacked = {id(r.values[0]) for r in stacks}
        escaping = {id(r.values[0]) for r in stacks if id(r.out) in keep}
        for number, a in enumerate(kernel.arguments):
            k = number + HEAD
            if a.kind == "outer":
                self.outer.append((k, id(a.value), a.shape))
            elif a.kind == "sum":
                self.sums.append((k, a.shape or (1,), a.dtype))
            elif a.kind == "storage" and a.steps == "total":
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

    def _ring_count(self) -> int:
        """How many of the first shard's work arrays are the whole batch's."""
        return sum(self.kernel.arguments[k - HEAD].kind == "storage" for k, _, _ in self.work[0])

    def take(self) -> tuple[Chunk, list[list[Any]], Values]:
        """A chunk, arguments for each shard with all but what is kept left open, results in it."""
        chunk = take_chunk(self.kept_bytes)
        cut = chunk.cuts.get(self)
        if cut is None:
            cut = chunk.cuts[self] = self._made(chunk.raw)
        return chunk, *cut

    def _made(self, raw: Array) -> tuple[list[list[Any]], Values]:
        kernel, calls = self.kernel, list[list[Any]]()
        shared, start = {}, 0
        for k, shape, dtype in self.pooled:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            shared[k] = raw[start : start + size].view(dtype).reshape(shape)
            start += _lines(shape, dtype)
        for b0, b1 in self.shards:
            head = [kernel.loop.count, kernel.block, b0, b1, b1 - b0 == kernel.batch, *self.head]
            arguments = head + [None] * len(kernel.arguments)
            for k, a in shared.items():
                arguments[k] = a
            calls.append(arguments)
        return calls, {key: shared[k][row] for key, k, row, _ in self.views}


def _lines(shape: tuple[int, ...], dtype: Any) -> int:
    """Bytes of an array in whole cache lines."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return -(-size // 64) * 64
