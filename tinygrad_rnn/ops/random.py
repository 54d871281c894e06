"""Random ops: every number is a function of (seed, draw number, place in the array).

A `Generator` holds two whole numbers, its seed and how many draws it has made;
that is its whole state. Draws are numbered when they run, in program order.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..errors import CaptureError, DTypeError, ShapeError
from ..kernels import philox
from ..op import Array, Spec, local, primitive
from .shape import one_axis

__all__ = ["Generator", "dropout", "get_rng_state", "manual_seed", "multinomial", "set_rng_state"]


class Generator:
    """Source of random numbers with the state (seed, counter).

    >>> a, b = Generator(0), Generator(0)
    >>> bool((a.uniform((3,)) == b.uniform((3,))).all())
    True
    """

    def __init__(self, seed: int = 0):
        self.seed, self.counter = 0, 0
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> "Generator":
        """Start again from `seed`, a whole number from 0 to 2^64 - 1."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise DTypeError(f"manual_seed: the seed must be an int, got {seed!r}")
        if not 0 <= seed < 2**64:
            raise ShapeError(f"manual_seed: the seed must be from 0 to 2^64 - 1, got {seed}")
        self.state = int(seed), 0
        return self

    @property
    def state(self) -> tuple[int, int]:
        """(seed, counter): assign it to return to that point."""
        _not_recorded("the state of a generator is read")
        return self.seed, self.counter

    @state.setter
    def state(self, value: tuple[int, int]) -> None:
        recorder = local.now.recorder
        if recorder is None:
            self._note()
            self.seed, self.counter = value
        else:  # at this place in every call
            recorder.seeds(self, value)

    def key(self) -> Array:
        """Number the next draw: the array [seed, counter]."""
        _not_recorded("random numbers are drawn for their values")
        self._note()
        key = np.array([self.seed, self.counter], np.uint64)
        self.counter += 1
        return key

    def _note(self) -> None:
        """Where it stands, for a segment that will draw the same again in the backward pass."""
        drawn = local.now.drawn
        if drawn is not None:
            drawn.setdefault(self, (getattr(self, "seed", 0), getattr(self, "counter", 0)))

    def uniform(self, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Array:
        """Draw an array of uniform numbers in [0, 1)."""
        return philox.uniform(self.key(), tuple(shape), dtype)

    def normal(self, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Array:
        """Draw an array of standard normal numbers."""
        return philox.normal(self.key(), tuple(shape), dtype)

    def permutation(self, n: int) -> Array:
        """Draw an order of n things."""
        return np.argsort(self.uniform((n,), np.float64), kind="stable")


def _not_recorded(what: str) -> None:
    if local.now.recorder is not None:
        raise CaptureError(
            f"tg.jit: {what} inside the jitted function, where they would be the same in every "
            "call; use tg.rand, tg.randn or tg.dropout, and make modules and the like outside"
        )


default_generator = Generator(0)


def manual_seed(seed: int) -> Generator:
    """Start the default generator again from `seed`.

    >>> _ = tg.manual_seed(0)
    >>> a = tg.rand(3)
    >>> _ = tg.manual_seed(0)
    >>> (a == tg.rand(3)).all().item()
    True
    """
    return default_generator.manual_seed(seed)


def get_rng_state() -> Array:
    """Return where the default generator stands: [seed, draws made], two numbers in uint64.

    That is the whole state: save it with a model, give it to `set_rng_state`, and every
    random number after is the same to the bit, dropout in jitted loops included.

    >>> state = tg.get_rng_state()
    >>> first = tg.rand(3)
    >>> tg.set_rng_state(state)
    >>> bool((tg.rand(3) == first).all())
    True
    """
    return np.array(default_generator.state, np.uint64)


def set_rng_state(state: Any) -> None:
    """Take the default generator back to where it stood at `get_rng_state`.

    Raises ShapeError for what is not two whole numbers from 0 to 2^64 - 1.

    >>> state = tg.get_rng_state()
    >>> first = tg.rand(3)
    >>> tg.set_rng_state(state)
    >>> bool((tg.rand(3) == first).all())
    True
    """
    if local.now.recorder is not None:
        raise CaptureError(
            "tg.jit: set_rng_state inside the jitted function, where it would set what it was "
            "recorded with; call it before, or tg.manual_seed inside, which seeds every call"
        )
    numbers = state.tolist() if hasattr(state, "tolist") else state
    if (
        not isinstance(numbers, list | tuple)
        or len(numbers) != 2
        or not all(isinstance(n, int | np.integer) and 0 <= n < 2**64 for n in numbers)
    ):
        raise ShapeError(f"set_rng_state: needs [seed, draws] of get_rng_state, got {state!r:.80}")
    seed, counter = numbers
    default_generator.state = int(seed), int(counter)


@primitive(shape=lambda *, generator: (2,), dtype=np.uint64)
def draw(*, generator):
    """Number the next draw of a generator: [seed, counter], taken when it runs."""
    return generator.key()


def _drawn(key: Spec, *, shape: tuple[int, ...], dtype: DTypeLike) -> tuple[int, ...]:
    return shape


@primitive(shape=_drawn, free=["key"])
def uniform(key, *, shape, dtype):
    """Uniform numbers in [0, 1) of one draw."""
    return philox.uniform(key, shape, dtype)


@primitive(shape=_drawn, free=["key"])
def normal(key, *, shape, dtype):
    """Standard normal numbers of one draw."""
    return philox.normal(key, shape, dtype)


@primitive(shape=lambda x, key, *, p: x.shape, free=["key"], floats=True)
def drop(x, key, *, p):
    """y = x / (1 - p) where the draw's uniform number is at least p, else 0."""
    keep = philox.uniform(key, x.shape, np.float32) >= np.float32(p)
    return np.where(keep, x * x.dtype.type(1 / (1 - p)), x.dtype.type(0))


@drop.vjp
def drop_vjp_x(g, key, *, p):
    return drop(g, key, p=p)  # the same mask, drawn again


def _sampled(p: Spec, key: Spec, *, num_samples: int, replacement: bool) -> tuple[int, ...]:
    return (*p.shape[:-1], num_samples)


@primitive(shape=_sampled, free=["key"], floats=True, dtype=np.int64)
def sample(p, key, *, num_samples, replacement):
    """Class numbers of one draw, of rows p of weights; made by `multinomial`."""
    rows = p.reshape(-1, p.shape[-1]).astype(np.float64)
    _check_weights(rows, 1 if replacement else num_samples)
    if replacement:
        u = philox.uniform(key, (len(rows), num_samples), np.float64)
        total = np.cumsum(rows, axis=1)
        last = p.shape[-1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=1)  # u * total may round up
        y = [
            np.minimum(np.searchsorted(t, v * t[-1], "right"), k)
            for t, v, k in zip(total, u, last, strict=True)
        ]
    else:  # the first of exponential clocks of rates p (Efraimidis and Spirakis 2006)
        u = philox.uniform(key, rows.shape, np.float64)
        wait = np.where(rows > 0, -np.log1p(-u), np.inf) / np.where(rows > 0, rows, 1)
        y = np.argsort(wait, axis=1, kind="stable")[:, :num_samples]
    return np.asarray(y, np.int64).reshape(*p.shape[:-1], num_samples)


def _check_weights(rows: Any, least: int) -> None:
    """Raise unless every row has weights, `least` of them above 0."""
    if not (np.isfinite(rows).all() and (rows >= 0).all()):
        raise ShapeError("multinomial: weights must be finite and not below 0")
    few = int((rows > 0).sum(axis=1).min(initial=least))
    if few < least:
        raise ShapeError(f"multinomial: {least} wanted of a row with {few} weights above 0")


def multinomial(
    p: Any, num_samples: int, replacement: bool = False, generator: Generator | None = None
) -> Any:
    """Draw class numbers (..., num_samples) with probabilities p (..., classes), without gradient.

    Rows of p need not add up to 1. Without replacement the numbers of a row differ. Works
    under `tg.jit`, each call with draws of its own; a loop with it runs op by op.

    Raises ShapeError for weights that are negative, not finite, or fewer above 0 than samples.

    >>> sorted(tg.multinomial(tg.tensor([0.2, 0.0, 0.8]), 2).tolist())
    [0, 2]
    """
    whole = isinstance(num_samples, int | np.integer) and not isinstance(num_samples, bool)
    if not whole or num_samples < 1:
        raise ShapeError(f"multinomial: num_samples must be an int from 1, got {num_samples!r}")
    if not getattr(p, "shape", ()) or not p.shape[-1]:
        raise ShapeError(f"multinomial: p must be (..., classes), got {getattr(p, 'shape', p)}")
    if not replacement and num_samples > p.shape[-1]:
        raise ShapeError(
            f"multinomial: {num_samples} of {p.shape[-1]} classes need replacement=True"
        )
    key = draw(generator=generator or default_generator)
    return sample(p, key, num_samples=int(num_samples), replacement=bool(replacement))


def dropout(
    x: Any,
    p: float = 0.5,
    training: bool = True,
    generator: Generator | None = None,
    axis: int | None = None,
) -> Any:
    """Set each value to 0 with probability p and scale the others by 1 / (1 - p).

    Srivastava et al., JMLR 15 (2014). The mask is not stored: the backward pass
    draws it again from (seed, draw number). Outside of training x is returned. One mask for
    all slices along `axis`, if given: for axis 0 of a series (T, N, F) the same in all steps.

    >>> y = tg.dropout(tg.ones(1000), 0.5, generator=tg.Generator(0))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    if not 0 <= p < 1:
        raise ShapeError(f"dropout: p must be in [0, 1), got {p}")
    if not training or p == 0:
        return x
    key = draw(generator=generator or default_generator)
    if axis is None:
        return drop(x, key, p=float(p))
    sizes = list(x.shape)
    sizes[one_axis("dropout", axis, x.ndim)] = 1
    return x * drop(np.ones(sizes, x.dtype), key, p=float(p))
