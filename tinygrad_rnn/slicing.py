"""What `x[...]` and a loop over x give: slices, values by index, time steps."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from . import ops
from .conversion import index_key
from .errors import GraphError
from .op import local
from .reading import Readable


class _Step:
    """The time step that one loop over a Tensor has reached."""

    __slots__ = ("t",)
    t: int | None


class Sliceable(Readable):
    """An array whose parts are part of the graph, too."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Self:
        parts = key if isinstance(key, tuple) else (key,)
        key = parts if key is None else key  # a gradient without a key is not that of a slice
        basic = plain = True
        for part in parts:
            if part.__class__ is int or part.__class__ is slice or part is None or part is Ellipsis:
                continue
            basic, plain = basic and isinstance(part, np.integer), False
        if basic:
            if not plain:
                key = tuple([int(p) if isinstance(p, np.integer) else p for p in parts])
            return ops.index.apply((self,), {"key": key})
        recorder = local.now.recorder
        if recorder is not None:
            picked: Self = recorder.pick(self, index_key(parts))
            return picked
        key = [part.numpy() if isinstance(part, Readable) else part for part in index_key(parts)]
        return ops.gather(self, key=tuple(key))

    def __setitem__(self, key: Any, value: object) -> None:
        raise GraphError(
            "x[...] = value would change a tensor that the graph may have saved; "
            "build the new one with tg.where, tg.concat or tg.stack"
        )

    def __iter__(self) -> Iterator[Self]:
        return self._steps(range(len(self)))

    def __reversed__(self) -> Iterator[Self]:
        return self._steps(range(len(self) - 1, -1, -1))

    def _steps(self, order: range) -> Iterator[Self]:
        """Slices of the first axis; nodes made meanwhile are stamped with the step."""
        now, own = local.now, _Step()
        steps = now.steps  # those of a recording, which may be over when the loop is given up
        steps.append(own)  # loops may nest, and zip() runs several side by side
        try:
            for t in order:
                own.t = t
                if not now.step_held:
                    now.stamp = (t, now.stamp[1])
                yield self[t]
        finally:
            steps.remove(own)
            if steps is now.steps and not now.step_held:
                now.stamp = (now.steps[-1].t if now.steps else None, now.stamp[1])
