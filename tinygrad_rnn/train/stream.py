"""Stateful batches: one long stream read in parallel lanes, chunk after chunk."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..conversion import to_array
from ..errors import DataError
from ..op import Array
from ..optim.options import checked, count
from ..tensors import Tensor
from .nested import cut, map_leaves, steps_of


class StreamBatches:
    """A long stream in `lanes` parallel pieces, `steps` at a time, so that states carry over.

    Of T samples lane n has those from n L to (n + 1) L - 1, with L = T // lanes; the last
    T - lanes L (`dropped`) are left out, and nothing is padded. A chunk (steps, lanes, ...) goes
    on where the one before it ended, row by row, so the state after one is the state before
    the next; the last of a pass may be shorter. Row n of the state belongs to lane n, which in
    the next pass begins anew: take a fresh state then.

    `data` is an array or tensor with the samples first, or a tuple or dict of such, or of None,
    which stays None: for the next symbol `(text[:-1], text[1:])`. `for chunk in stream:` gives
    the rest of this pass, `stream.take()` the next chunk, pass after pass; `stream.data` is all
    of it as (L, lanes, ...), for `train.tbptt`. `state_dict()` holds the position, for
    `train.save`. Raises DataError for a stream shorter than its lanes, ValueError for numbers
    that are not counts.

    >>> import numpy as np
    >>> stream = StreamBatches(np.arange(11), lanes=2, steps=3)
    >>> [chunk.tolist() for chunk in stream]
    [[[0, 5], [1, 6], [2, 7]], [[3, 8], [4, 9]]]
    >>> stream.dropped, stream.passes
    (1, 1)
    """

    def __init__(self, data: object, lanes: int, steps: int):
        checks = {"lanes": count, "steps": count}
        self.lanes, self.steps = checked("StreamBatches", checks, lanes=lanes, steps=steps)
        samples = steps_of(data, "StreamBatches")
        if samples < lanes:
            raise DataError(f"StreamBatches: {samples} samples cannot fill {lanes} lanes")
        self.length = samples // self.lanes
        self.dropped = samples - self.lanes * self.length
        self.data = map_leaves(self._in_lanes, data)
        self.position = self.passes = 0  # the next chunk's first step; passes completed

    def _in_lanes(self, leaf: Any) -> Array | None:
        """(T, ...) as (L, lanes, ...), a view that nobody writes to; None stays None."""
        if leaf is None:
            return None
        a = leaf.numpy() if isinstance(leaf, Tensor) else to_array(leaf)
        lanes = a[: self.lanes * self.length].reshape(self.lanes, self.length, *a.shape[1:])
        view: Array = lanes.swapaxes(0, 1)
        view.flags.writeable = False
        return view

    def take(self) -> Any:
        """The next chunk; after a pass's last one the next pass begins."""
        a, b = self.position, min(self.position + self.steps, self.length)
        if b < self.length:
            self.position = b
        else:
            self.position, self.passes = 0, self.passes + 1
        return cut(self.data, a, b)

    def __iter__(self) -> Iterator[Any]:
        now = self.passes
        while self.passes == now:
            yield self.take()

    def __len__(self) -> int:
        """Chunks of a pass."""
        return -(-self.length // self.steps)

    def __repr__(self) -> str:
        return (
            f"StreamBatches({self.lanes} lanes of {self.length:,} samples, {len(self):,} chunks of "
            f"{self.steps}; the last {self.dropped} samples dropped)"
        )

    def state_dict(self) -> dict[str, int]:
        """The position, and the shape that it is one of."""
        names = ("position", "passes", "lanes", "steps", "length")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there; raises ValueError for the position in another stream."""
        own = self.state_dict()
        if state.keys() != own.keys() or any(
            isinstance(v, bool) or not isinstance(v, int) or v < 0 for v in state.values()
        ):
            raise ValueError(f"StreamBatches: expected counts {', '.join(own)}, got {state!r:.200}")
        for name in ("lanes", "steps", "length"):
            if state[name] != own[name]:
                raise ValueError(f"StreamBatches: {name} is {own[name]} here, {state[name]} there")
        if state["position"] % self.steps or state["position"] >= self.length:
            raise ValueError(f"StreamBatches: no chunk begins at step {state['position']}")
        self.position, self.passes = state["position"], state["passes"]
