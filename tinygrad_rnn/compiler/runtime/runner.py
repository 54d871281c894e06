"""Calls kernels: arguments put together, results taken out."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ...errors import CompilerWarning, ShapeError
from ...kernels import ground
from ...op import Array
from ..codegen import Kernel
from ..ir import Carry, Result, Value, identity
from ..lowering.sharding import PARTIAL
from . import cache, interpret
from .interpret import Values
from .memory import HEAD, Arena, Held, Layout, aligned
from .threads import in_parallel, num_threads

_log = logging.getLogger(__name__)
_arenas: list[Arena] = []
TRANSPOSED = "transposed"  # in place of a row: the array lies there transposed


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
        self.failed = ""  # why the loop runs op by op
        self.firsts = self._firsts()
        self.shared = [(k, row) for k, row, _ in self.firsts if self._of_each_shard(k - HEAD)]
        self.results = [(id(r.out), *self._where(r)) for r in kernel.loop.results]
        self.layouts: dict[int, Layout] = {}
        self.call: Callable[..., Any] | None = None

    def _of_each_shard(self, argument: int) -> bool:
        """Whether every shard has its own copy of a carry."""
        a = self.kernel.arguments[argument]
        return a.kind == "sum" and self.kernel.states.get(id(a.value)) != PARTIAL

    @property
    def layout(self) -> Layout:
        """The memory for the number of threads that is set."""
        threads = num_threads()
        if threads not in self.layouts:
            self.layouts[threads] = Layout(self.kernel, self.keep, self.head, self.results, threads)
        return self.layouts[threads]

    def _firsts(self) -> list[tuple[int, Any, Any]]:
        """(argument, row, initial value) of every carry."""
        loop, found = self.kernel.loop, dict[Any, Any]()
        sources = [(p.of, p.delay, p.first) for p in loop.params if isinstance(p, Carry)]
        sources += [
            (r.values[0], r.lag, r.first) for r in loop.results if r.kind == "stack" and r.lag
        ]
        for v, delay, first in sources:
            argument = self.kernel.homes[id(v)][0]
            for k, a in enumerate(first):
                row = self._row(v, k - delay)  # -1 is just before the first step
                place = argument + HEAD, row
                known = identity(found.setdefault(place, a))
                assert known == identity(a), "a carry with two different initial values"
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
        if r.kind in ("total", "product", "row_sum"):
            k = kernel.sums[id(r.out)]
            whole = kernel.states.get(id(r.out), "whole") == "whole"
            rows = TRANSPOSED if id(r.out) in kernel.transposed else None
            return (
                k + HEAD,
                rows if r.out.ndim else 0,
                kernel.arguments[k].kind == "sum" and not whole,
            )
        v = r.values[0]
        k, _, extra = kernel.homes[id(v)]
        partial = kernel.states.get(id(v)) == PARTIAL
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
        chunk, kept, views = layout.take()
        held.chunks.append(chunk)
        try:
            arena = _arenas.pop()
        except IndexError:
            arena = Arena()
        try:
            computed = self._computed(layout, arena, kept, values)
            if computed is not None:
                values.update(views)
                first, sums = computed
                for result in layout.results:
                    self._collect(values, first, sums, *result)
                return
        finally:  # not before all is taken out of it: another thread may be waiting for it
            _arenas.append(arena)
        interpret.run_loop(self.kernel.loop, values)  # raises what eager code does, if it does
        if not self.failed:
            _log.warning("a kernel refused an index that its op allows; the loop ran op by op")

    def _computed(
        self, layout: Layout, arena: Arena, kept: list[list[Any]], values: Values
    ) -> tuple[list[Any], dict[int, list[Array]]] | None:
        """The first shard's arguments and all sums, after the call.

        None if it was given up at an index out of range, or the kernel refused by Numba.
        """
        work = arena.cut.get(layout) or arena.arrays(layout)
        calls = [k.copy() for k in kept]  # only what is kept may be kept alive
        first = calls[0]
        for k, a in work[0]:
            first[k] = a
        for k, key, shape in layout.outer:
            a = values[key]
            if a.shape != shape:  # the kernel trusts its sizes
                raise ShapeError(f"tg.jit: a value of shape {a.shape} in place of {shape}")
            first[k] = a if a.ndim and a.flags.carray else _ready(a)
        for k, shape, dtype in layout.zeros:
            first[k] = np.zeros(shape, dtype)
        sums: dict[int, list[Array]] = {}
        for k, shape, dtype in layout.sums:
            first[k] = np.zeros(shape, dtype)
            sums[k] = [first[k], *[np.zeros(shape, dtype) for _ in calls[1:]]]
        for k, shape, dtype in layout.own:
            first[k] = aligned(shape, dtype)
        for k, row, a in self.firsts:
            first[k][row] = 0 if a is None else values[id(a)] if a.__class__ is Value else a
        if self.call is None and not self._compile(tuple(first)):
            return None
        assert self.call is not None
        if len(calls) == 1:
            return (first, sums) if self.call(*first) else None
        return (first, sums) if self._share_out(layout, calls, work, sums) else None

    def _share_out(
        self, layout: Layout, calls: list[list[Any]], work: Any, sums: dict[int, list[Array]]
    ) -> bool:
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
            for k, row in self.shared:
                arguments[k][row] = calls[0][k][row]
        return all(in_parallel(self.call, calls, self.blas))

    def _compile(self, arguments: tuple[Any, ...]) -> bool:
        """Compile the kernel; if that fails the loop runs op by op, and slowly."""
        self.failed = ground.shaken()
        if self.failed:
            return False
        dtypes = {a.dtype for a in self.kernel.arguments}
        try:
            self.call, self.seconds = cache.ready(self.kernel.source, arguments, dtypes)
        except (numba.core.errors.NumbaError, SyntaxError) as error:  # a row's lines, perhaps
            self.failed = f"Numba refuses the kernel: {str(error).splitlines()[0]}"
            warnings.warn(
                f"tg.jit has a defect: {self.failed}. Results are right, but a loop runs op by "
                "op; please report it with the function",
                CompilerWarning,
                stacklevel=2,
            )
        return not self.failed

    def _collect(
        self,
        values: Values,
        arrays: list[Any],
        sums: dict[int, list[Array]],
        key: int,
        k: int,
        row: Any,
        partial: bool,
    ) -> None:
        """One result, out of the arrays that the kernel filled."""
        if k in sums:
            if partial and len(sums[k]) > 1:
                _add_up(sums[k])
            del sums[k]
        y = arrays[k]
        if row is TRANSPOSED:
            y = y.T  # a view: copies of 100 segments took 4 % of train.recompute; their sum is one
        elif row is not None:
            y = y[row] if row.__class__ is slice else np.array(y[row])
        values[key] = y if y.__class__ is np.ndarray else np.asarray(y)


def _add_up(parts: list[Array]) -> None:
    """Add all to the first; in a function, so that none is held on to after it."""
    for part in parts[1:]:
        np.add(parts[0], part, out=parts[0])


def _ready(a: Any) -> Array:
    """C-contiguous and writable, as the kernels' signatures have it; a number as one value."""
    if not a.ndim:
        return np.array(a).reshape(1)
    return np.array(a, order="C")
