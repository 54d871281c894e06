"""Truncated backpropagation through time: a long stream in windows that bound the memory."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

from tqdm import tqdm

from ..compiler import disable_jit
from ..errors import CaptureError, GraphError, user_line
from ..graph import Node, count
from ..op import local
from ..optim import options
from ..switches import no_grad
from ..tensors import Tensor
from .nested import cut, detach, steps_of

Run = Callable[[Any, Any], tuple[Tensor, Any]]


class Window(NamedTuple):
    """One window of `tbptt`: its loss, and the steps that the gradient of it reaches."""

    loss: Tensor  # of the steps from `fresh` on
    state: Any  # after the last step, detached
    first: int  # the first step that the gradient reaches
    fresh: int  # the first step whose loss counts
    end: int  # the step after the last


def tbptt(
    run: Run, data: object, state: Any, k1: int, k2: int | None = None, progress: bool = False
) -> Iterator[Window]:
    """Go through a stream in windows: every `k1` steps a loss whose gradient reaches back `k2`.

    BPTT(k2; k1) of Williams and Peng (Neural Computation 2, 1990): the loss of steps t - k1
    to t, with every path older than step t - k2 cut. k1 = k2, the default, is training in
    chunks, where the loss of a chunk's j-th step reaches back j steps only; k1 = 1 gives
    every loss the same k2 steps; a shorter chunk at the end starts where a whole one would.

    `run(part, state)` does the steps of `part` and returns their loss and the new state; it may
    be a jitted function. `data` is an array or tensor with the steps first, or a tuple or
    dict of such; `state` a tensor, tuples, lists and dicts of them, or None. Call
    `backward()` on each window's loss and update the parameters before the next one.

    Steps older than the window live on as one detached state, so memory depends on k2 and not on
    the stream; with k1 < k2 the k2 - k1 steps before the new ones run once more, with
    the parameters as they are now. Raises ValueError for k1 > k2 and for parts of
    different lengths, GraphError where the loss still links to an earlier window
    (a state kept in a module, say), naming what was kept and the steps it reaches;
    CaptureError inside a jitted function, which cannot update between windows: jit `run`.

    >>> cell = tg.nn.GRUCell(1, 4)
    >>> def run(x, h):
    ...     loss = 0.0
    ...     for x_t in x:
    ...         h = cell(x_t, h)
    ...         loss = loss + (h * h).sum()
    ...     return loss, h
    >>> for window in tbptt(run, tg.ones(10, 2, 1), tg.zeros(2, 4), k1=4):
    ...     cell.zero_grad()
    ...     window.loss.backward()
    ...     print(window.first, window.end)
    0 4
    4 8
    8 10
    """
    if local.now.recorder is not None:
        raise CaptureError(
            f"train.tbptt inside a jitted function (at {user_line()}): its windows would be one "
            "program, with no update between them; call it outside, on a jitted run: "
            "tbptt(tg.jit(run), data, state, k1)"
        )
    checks = {"k1": options.count, "k2": options.count}
    k1, k2 = options.checked("tbptt", checks, k1=k1, k2=k1 if k2 is None else k2)
    if k1 > k2:
        raise ValueError(
            f"tbptt: k1={k1} is more than k2={k2}: the losses of the first {k1 - k2} of every {k1} "
            "steps would train nothing; k2 must be at least k1"
        )
    return _windows(run, data, detach(state), k1, k2, progress)


def _windows(
    run: Run, data: object, start: Any, k1: int, k2: int, progress: bool
) -> Iterator[Window]:
    steps = steps_of(data, "tbptt")
    history = _History()
    first, at_end = 0, start  # `start` is the state before step `first`
    bar = tqdm(total=steps, desc="tbptt", unit="step", disable=None if progress else True)
    with bar:
        for fresh in range(0, steps, k1):
            end = min(fresh + k1, steps)
            then = max(first, fresh + k1 - k2)
            if then == fresh:
                start = at_end
            elif then > first:
                with no_grad():
                    start = detach(_checked(run(cut(data, first, then), start))[1])
            first = then
            history.open()
            state = start
            if fresh > first:
                # at the beginning each window is longer than the one before: were they recorded,
                # each would cost more than to run it eagerly
                with disable_jit() if fresh + k1 < k2 else nullcontext():
                    state = _checked(run(cut(data, first, fresh), state))[1]
            loss, state = _checked(run(cut(data, fresh, end), state))
            at_end = detach(state)
            del state
            history.close(loss, first, end)
            yield Window(loss, at_end, first, fresh, end)
            del loss
            bar.update(end - fresh)


def _checked(result: Any) -> tuple[Tensor, Any]:
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Tensor):
        raise TypeError(
            "tbptt: run(part, state) must return (loss, state), the loss a tensor of one value; "
            f"got {type(result).__name__}"
        )
    return result


class _History:
    """Which nodes the last windows made, to find a loss that links back to one."""

    def __init__(self) -> None:
        self.began = self.opened = count()
        self.past: deque[tuple[int, int, int]] = deque(maxlen=512)  # (first node, first step, end)

    def open(self) -> None:
        """A window begins: nodes made from now on are its own."""
        self.opened = count()

    def close(self, loss: Tensor, first: int, end: int) -> None:
        """Raise if the window's loss leads to a node of an earlier window."""
        old = _older(loss, self.began, self.opened)
        if old is not None:
            kept, oldest = old
            name = (kept.extra or {}).get("name")
            what, made = self._steps(kept), self._steps(oldest)
            through = "" if what == made else f", which reaches back to {made}"
            raise GraphError(
                f"tbptt: the loss of steps {first} to {end - 1} still links to "
                f"{repr(name) if name else 'a state'} of {what} "
                f"(made by {kept.op.name}{kept.place()}){through}; take the state from the second "
                "argument of `run`, or detach what you keep"
            )
        self.past.append((self.opened, first, end))

    def _steps(self, node: Node) -> str:
        """The steps of the window that made a node."""
        for opened, first, end in reversed(self.past):
            if opened <= node.seq:
                return f"steps {first} to {end - 1}"
        return f"a step before {self.past[0][1]}"


def _older(loss: Tensor, since: int, opened: int) -> tuple[Node, Node] | None:
    """Of the nodes between the two numbers that the loss leads to the newest and the oldest.

    Nodes are visited newest first, and each once: the newest is what was kept, the
    oldest shows how far back it reaches.
    """
    kept: Node | None = None
    heap: list[tuple[int, Node]] = []
    seen: set[int] = set()

    def visit(p: Any) -> None:
        if isinstance(p, Node) and p.seq >= since and p.seq not in seen:
            seen.add(p.seq)
            heapq.heappush(heap, (-p.seq, p))

    visit(loss.node)
    while heap:
        _, node = heapq.heappop(heap)
        if node.seq < opened:
            kept, oldest = kept or node, node
        for p in node.inputs:
            visit(p)
    return None if kept is None else (kept, oldest)
