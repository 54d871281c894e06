"""A film of training: the norms |dL/dh_t| by step, at every n-th call of backward()."""

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from ...errors import GraphError
from ...graph import Node
from ...op import Array, local
from ..flow.gate import Kept
from ..graph.building import collect
from ..graph.graph import nodes_below
from .heat import Heatmap, of_norms

_BASELINE = 32  # calls of backward() whose time apart is the usual one


class Frame(NamedTuple):
    """What one call of backward() sent to the states: steps and norms by name."""

    update: int  # which call it was, from 0
    norms: dict[str, tuple[Array, Array]]


class Film:
    """Frames of one state after the other; filled inside `with viz.film() as film:`.

    `.arrays` has the numbers by name of a state: "update" (F,), "step" (T,) and "norm"
    (F, T), NaN where a frame has no such step or no path leads there.

    >>> net, x = tg.nn.RNN(3, 4), tg.ones(6, 2, 3)
    >>> with tg.viz.film(every=1, share=None) as film:
    ...     (net(x)[0] ** 2).mean().backward()
    >>> film.arrays["RNN.l0.h"]["step"].tolist()
    [0, 1, 2, 3, 4, 5]
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    @property
    def arrays(self) -> dict[str, dict[str, Array]]:
        """The numbers of all frames."""
        names = dict.fromkeys(name for frame in self.frames for name in frame.norms)
        return {name: self._of(name) for name in names}

    def _of(self, name: str) -> dict[str, Array]:
        frames = [f for f in self.frames if name in f.norms]
        steps = np.unique(np.concatenate([f.norms[name][0] for f in frames]))
        norms = np.full((len(frames), len(steps)), np.nan)
        for row, frame in zip(norms, frames, strict=True):
            found, norm = frame.norms[name]
            row[np.searchsorted(steps, found)] = norm
        return {"update": np.array([f.update for f in frames]), "step": steps, "norm": norms}

    def heatmap(self) -> Heatmap:
        """Updates by steps for every state, the first update at the bottom.

        Raises GraphError where no frame was taken, or none had states.
        """
        if not (arrays := self.arrays):
            raise GraphError(
                "viz.film: nothing was recorded; call loss.backward() inside the block, with "
                'states carried from step to step (their names: h.name = "h")'
            )
        title = f"{len(self.frames)} frames of updates 0 to {self.frames[-1].update}"
        return of_norms(arrays, "update", "update", "L", title)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the map of updates by steps as .svg, .png or .pdf."""
        return self.heatmap().save(path)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if not self.frames:
            return {"text/plain": repr(self)}
        return self.heatmap()._repr_mimebundle_()

    def __repr__(self) -> str:
        return f"<Film: {len(self.frames)} frames>"


@contextmanager
def film(every: int = 10, share: float | None = 0.05) -> Iterator[Film]:
    """Keep the norms |dL/dh_t| of every `every`-th backward() inside, to show them over training.

    Each is the norm of a state's whole gradient, as a hook on it would see it. Eager code
    pays a percent or two. A function under `tg.jit` has no states to be seen, so it runs
    eagerly from the end of the call of backward() before a frame to the end of the frame's
    own, with the same numbers up to rounding. After the first update, which is always a
    frame, frames are left out as long as one more would cost above `share` of the CPU time
    passed (None: none is). So a film of compiled training has fewer frames, at multiples of
    `every` all the same.

    >>> net, x = tg.nn.RNN(3, 4), tg.ones(6, 2, 3)
    >>> with film(every=2, share=None) as seen:
    ...     for _ in range(5):
    ...         (net(x)[0] ** 2).mean().backward()
    >>> seen.arrays["RNN.l0.h"]["norm"].shape, seen.arrays["RNN.l0.h"]["update"].tolist()
    ((3, 6), [0, 2, 4])
    """
    if not isinstance(every, int) or every < 1:
        raise GraphError(f"viz.film: every must be a whole number above 0, got {every!r:.40}")
    found, now = Film(), local.now
    watch, jit = now.watch, now.jit
    now.watch = _Camera(found, every, share)
    try:
        yield found
    finally:
        now.watch, now.jit = watch, jit


class _Off:
    """False, as the switch of the jit, and remembers whether a jitted function asked."""

    asked = False

    def __bool__(self) -> bool:
        self.asked = True
        return False


class _Camera:
    """Counts calls of backward(), and looks at those that are to be frames.

    Times are CPU seconds, in which other programs do not count.
    """

    def __init__(self, found: Film, every: int, share: float | None):
        self.found, self.every, self.share = found, every, share
        self.update = 0  # the call to come
        self.armed = False  # whether it will be a frame
        self.jit: Any = local.now.jit  # the switch outside the film
        self.begun = self.last = time.process_time()
        self.usual: list[float] = []  # seconds from one call without a frame to the next
        self.spent = 0.0  # seconds on all frames
        self.eager: list[float] = []  # seconds of frames that ran compiled functions eagerly
        self.arm()

    def arm(self) -> None:
        """Decide whether the call to come is a frame, before its forward pass."""
        due = self.update % self.every == 0
        self.armed = due and (self.share is None or self._within(self.share))
        self.off = _Off()
        local.now.jit = self.off if self.jit and self.armed else self.jit  # type: ignore[assignment]

    def _within(self, share: float) -> bool:
        """Whether one more frame like those before is within the share; the first always is."""
        frames = len(self.found.frames)
        if not frames:
            return True
        usual = median(self.usual) if self.usual else 0.0
        cost = self.spent + sum(max(0.0, taken - usual) for taken in self.eager)
        return cost * (1 + 1 / frames) <= share * (time.process_time() - self.begun)

    def start(self, output: Any) -> "_Shot | None":
        """A call of backward() begins: what is to watch it."""
        if self.armed:
            return _Shot(self, output)
        self.usual = [*self.usual[1 - _BASELINE :], time.process_time() - self.last]
        self._count()
        return None

    def taken(self, norms: dict[str, tuple[Array, Array]], spent: float) -> None:
        """A frame is done, on which the camera itself spent so long."""
        self.found.frames.append(Frame(self.update, norms))
        self.spent += spent
        if self.off.asked:
            self.eager.append(time.process_time() - self.last - spent)
        self._count()

    def _count(self) -> None:
        """A call is over."""
        self.last = time.process_time()
        self.update += 1
        self.arm()


class _Shot(Kept):
    """Takes the norms of the states' gradients in one sweep."""

    def __init__(self, camera: _Camera, output: Any):
        clock = time.process_time()
        self.camera, self.states = camera, states_below(output)
        super().__init__(key for members in self.states.values() for _, key in members)
        self.spent = time.process_time() - clock

    def end(self, leaves: Any) -> None:
        """The sweep is over."""
        clock = time.process_time()
        found = {}
        for name, members in self.states.items():
            ordered = sorted(members)
            norms = [_norm(self.gradients.get(key)) for _, key in ordered]
            found[name] = np.array([t for t, _ in ordered]), np.array(norms)
        self.camera.taken(found, self.spent + time.process_time() - clock)


def _norm(g: Array | None) -> float:
    """The Euclidean norm, whose squares may leave the dtype's range; NaN of nothing.

    In plain NumPy: loading a kernel would cost a short training a tenth of its time.
    """
    if g is None:
        return math.nan
    largest = float(np.abs(g).max(initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    wide = (g / g.dtype.type(largest)).astype(np.float64).reshape(-1)
    return largest * math.sqrt(float(wide @ wide))


def states_below(output: Any) -> Mapping[str, Sequence[tuple[int, int]]]:
    """The carried states by name: (step, key). Where all are named no graph is made for it.

    Of an LSTM of 100 steps 0.7 ms, not 17: a frame is to cost a few percent of its update.
    """
    if output.node is None:
        return {}
    nodes = nodes_below(output.node)
    if any(node.op.name == "jitted" for node in nodes):
        return {}
    named = _named_states(nodes)
    if named is not None:
        return named
    states = collect(output, "viz.film").states
    return {name: [(t, v.key) for t, v in members] for name, members in states.items()}


def _named_states(nodes: Sequence[Node]) -> dict[str, list[tuple[int, int]]] | None:
    """Named nodes that a node of another step reads, and their like in the other steps.

    None where no node has a step, or one without a name is carried too.
    """
    alike: dict[str, dict[int, int]] = {}  # the last of a name in each step
    carried: dict[str, dict[int, int]] = {}
    for node in nodes:
        step = node.stamp[0]
        if step is None:
            continue
        if path := _path(node):
            alike.setdefault(path, {})[step] = node.seq
        for p in node.inputs:
            if p.__class__ is Node and p.stamp[0] not in (None, step):
                if path := _path(p):
                    carried.setdefault(path, {})[p.stamp[0]] = p.seq
                elif math.prod(p.shape) > 1:
                    return None
    found = {name: alike[name] | members for name, members in carried.items()}
    many = {name: list(members.items()) for name, members in found.items() if len(members) > 1}
    return many or None


def _path(node: Node) -> str:
    """Its name behind that of the module; empty without a name."""
    name: str = (node.extra or {}).get("name") or ""
    return f"{node.scope}.{name}" if name and node.scope else name
