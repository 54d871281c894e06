"""Eager against `tg.jit`: two runs of one program text that share no tensor.

Compared are values, dtypes, shapes, `requires_grad`, the gradient of every float tensor outside
and which of them are None, through `backward()`; that inputs stay as they are; all of it
again after every tensor outside has changed, with cotangents for some results only;
values under no_grad; and how many random numbers were drawn. Nothing is shared with
`tinygrad_rnn.testing`.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.compiler.runtime import threads
from tinygrad_rnn.compiler.runtime.part import Interpreted
from tinygrad_rnn.ops.random import default_generator

from .program import load

FINE = ("same", "unstable", "refused", "redrawn")  # what is no defect
# of the size of a tensor; float64 leaves 1e-13 or so, and float32, which is what tanh of
# whole numbers gives, a few of its last digits
TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
LARGE = 1e6


@dataclass
class Run:
    """What one program gave: named arrays, or None for a gradient that there is not."""

    found: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    log: list[str] = field(default_factory=list)
    loops: tuple[int, int] = (0, 0)  # compiled, and run op by op

    @property
    def alive(self) -> bool:
        """Whether some gradient is not zero."""
        return any(
            n.startswith("gradient") and v is not None and np.any(v) for n, v in self.found.items()
        )

    @property
    def usable(self) -> bool:
        """Whether comparing makes sense: no error, nothing that overflows."""
        numbers = [
            v for v in self.found.values() if isinstance(v, np.ndarray) and v.dtype.kind == "f"
        ]
        return self.error is None and all(
            np.isfinite(v).all() and np.abs(v).max(initial=0) < LARGE for v in numbers
        )


def leaves(value: Any) -> Iterator[Any]:
    """All tensors in nested containers."""
    if isinstance(value, tg.Tensor):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from leaves(v)
    elif isinstance(value, list | tuple):
        for v in value:
            yield from leaves(v)


def change(tensors: list[Any]) -> None:
    """Other values in every tensor outside, of the same kind."""
    for k, t in enumerate(tensors):
        old = t.detach().numpy()
        noise = np.random.default_rng((77, k)).uniform(-1, 1, t.shape)
        new = old[..., ::-1] if old.ndim and old.dtype.kind in "iu" else old
        if old.dtype.kind == "b":
            new = old ^ (noise > 0.5)
        elif old.dtype.kind == "f":
            new = 0.8 * old + 0.15 * noise
        t.assign_(np.ascontiguousarray(new) if old.ndim else new)


def shake(tensors: list[Any]) -> None:
    """Move every float tensor by the last digits only."""
    for k, t in enumerate(tensors):
        if t.dtype.kind == "f":
            noise = np.random.default_rng((88, k)).uniform(-1, 1, t.shape)
            t.assign_(t.detach().numpy() * (1 + 1e-13 * noise))


@contextmanager
def warned(log: list[str], overflow: str) -> Iterator[None]:
    """Collect what the library logs and warns of."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: log.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tinygrad_rnn")
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        with (
            np.errstate(over=overflow, divide="ignore", invalid="ignore"),
            warnings.catch_warnings(record=True) as told,
        ):
            warnings.simplefilter("always")
            yield
        numeric = (w for w in told if issubclass(w.category, RuntimeWarning))
        quiet = [w for w in numeric if not issubclass(w.category, tg.CompilerWarning)]
        log += [str(w.message) for w in told if w not in quiet]
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


@contextmanager
def shared_out(on: bool) -> Iterator[None]:
    """Share even the smallest batch out over two threads."""
    least, number = threads.LEAST_WORK, threads.num_threads()
    if on:
        threads.LEAST_WORK = 0
        tg.set_num_threads(2)
    try:
        yield
    finally:
        threads.LEAST_WORK = least
        if on:
            tg.set_num_threads(number)


def run(space: dict[str, Any], fn: Callable[..., Any], shaken: bool = False) -> Run:
    """Call `fn` twice with gradients and once without, on the tensors of `space`."""
    outside = list(leaves([space["args"], space["parameters"]]))
    result = Run()
    eager = not hasattr(fn, "explain")  # what overflows there may be NaN where nobody looks
    with warned(result.log, "raise" if eager else "ignore"):
        try:
            if shaken:
                shake(outside)
            for number in range(2):
                call(result.found, number, space["args"], outside, fn)
                change(outside)
            with tg.no_grad():
                call(result.found, 2, space["args"], outside, fn)
        except Exception as error:
            result.error = error
    if getattr(fn, "_last", None):
        steps = fn._last.compiled.forward.steps
        slow = sum(isinstance(s, Interpreted) for s in steps)
        result.loops = len(fn._last.compiled.forward.runners), slow
    return result


def call(found: dict[str, Any], number: int, args: Any, outside: list[Any], fn: Any) -> None:
    """One call and its backward; everything that it gives into `found`."""
    tg.manual_seed(number)
    before = [t.detach().numpy().copy() for t in outside]
    outputs = list(leaves(fn(*args)))
    found[f"draws {number}"] = np.array(default_generator.state[1])
    loss = None
    for k, y in enumerate(outputs):
        found[f"value {number}.{k}"] = y.detach().numpy().copy()
        # under no_grad eager code hands an outside tensor back as it is, which is no result
        own = number < 2 or not any(y is t for t in outside)
        found[f"requires_grad {number}.{k}"] = np.array(own and y.requires_grad)
        if y.requires_grad and (number == 0 or (k + number) % 2 or len(outputs) == 1):
            seed = np.random.default_rng((number, k)).uniform(0.5, 1.5, y.shape)
            part = (y * tg.tensor(seed.astype(y.dtype))).sum()
            loss = part if loss is None else loss + part
    if loss is not None and loss.requires_grad:
        loss.backward()
    for k, t in enumerate(outside):
        if t.dtype.kind == "f":
            found[f"gradient {number}.{k}"] = None if t.grad is None else t.grad.numpy().copy()
            t.grad = None
        found[f"input {number}.{k}"] = t.detach().numpy().copy()
        found[f"untouched {number}.{k}"] = np.array(np.array_equal(before[k], t.detach().numpy()))


def size(run: Run, name: str) -> float:
    """Largest value of all arrays of one kind: what differences are measured by."""
    kind = name.split(".")[0]
    arrays = [
        v
        for n, v in run.found.items()
        if n.startswith(kind) and v is not None and v.dtype.kind == "f"
    ]
    return max([float(np.abs(v).max(initial=0)) for v in arrays], default=0.0)


def unlike(a: Any, b: Any, scale: float) -> str:
    """In what `a` differs from the eager `b`; empty if in nothing."""
    if a is None or b is None:
        return "" if a is b else f"is {'None' if a is None else 'not None'} in the jit only"
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"is {a.dtype}{a.shape}, eager {b.dtype}{b.shape}"
    if b.dtype.kind != "f":
        return "" if np.array_equal(a, b) else f"is {a.tolist()}, eager {b.tolist()}"
    with np.errstate(invalid="ignore"):
        distance = np.abs(a - b)
    tolerance = TOLERANCE[b.dtype.name]
    limit = tolerance * np.abs(b).max(initial=0) + 1e-3 * tolerance * max(1, scale)
    if (distance <= limit).all():  # NaN is larger
        return ""
    at = tuple(
        int(i)
        for i in np.unravel_index(
            np.argmax(np.where(np.isnan(distance), np.inf, distance)), a.shape
        )
    )
    return f"is {a[at]:.9g}, eager {b[at]:.9g}{f' at {at}' if at else ''}"


def differences(wanted: Run, found: Run) -> list[tuple[str, str]]:
    """(name, what differs) of everything that the jit gave otherwise than eager code."""
    if found.error is not None:
        return [(f"raises {type(found.error).__name__}", str(found.error)[:300])]
    if found.found.keys() != wanted.found.keys():
        missing = sorted(found.found.keys() ^ wanted.found.keys())
        return [("results", f"{missing} in one of the two only")]
    result = []
    for name, b in wanted.found.items():
        said = unlike(found.found[name], b, size(wanted, name))
        if said:
            result.append((name, said))
    if found.log:
        result.append(("warning", found.log[0][:300]))
    return result


@dataclass
class Verdict:
    """Of one program: `kind` is same, redrawn, unstable, refused or what differs."""

    kind: str
    said: str = ""
    alive: bool = False
    loops: tuple[int, int] = (0, 0)


def judge(text: str, jit: Callable[[Any], Any] | None = None, shards: bool = False) -> Verdict:
    """Compare the two ways to run one program text."""
    try:
        space = load(text)
    except Exception as error:  # a shrunk program may be no Python at all
        return Verdict("redrawn", repr(error))
    wanted = run(space, space["program"])
    if not wanted.usable:
        return Verdict("redrawn", repr(wanted.error))
    space = load(text)
    with shared_out(shards):
        found = run(space, (jit or tg.jit)(space["program"]))
    different = differences(wanted, found)
    if not different:
        return Verdict("same", "", wanted.alive, found.loops)
    if isinstance(found.error, tg.CaptureError) and re.search(
        "<fuzz|the function returns", str(found.error)
    ):
        return Verdict("refused", str(found.error), wanted.alive)
    shaken = run(space := load(text), space["program"], shaken=True)
    if found.error is None and differences(wanted, shaken):
        return Verdict("unstable", "", wanted.alive)
    name, said = different[0]
    kind = name if name.startswith("raises") else name.split(" ")[0]
    kind += " None" if "in the jit only" in said else ""
    return Verdict(kind, f"{name} {said}", wanted.alive, found.loops)
