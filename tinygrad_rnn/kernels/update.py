"""Optimisers' updates and gradient clipping: one call over all parameters.

Twelve parameters cost one call in place of some hundred NumPy calls: Adam on
310,000 floats takes 65 us, their norm 54 against 153. A rule is written on one
number of each array and holds for whole arrays too, which is how it runs under
NUMBA_DISABLE_JIT:

    rule(p, g, *moments, h) -> (p, *moments)

with h a tuple of up to 8 numbers, of which it takes as many as it names. What all
optimisers share comes before it: g is turned about to ascend, the decay added to g, or
p shrunk by it.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter, is_
from typing import Any
from zlib import crc32

import numpy as np
from numba import carray
from numba.extending import register_jitable

from .flags import DISABLED, jit
from .tables import addresses, data, table

Array = np.ndarray[Any, Any]
Row = Sequence[float]  # numbers that a rule needs besides the arrays
Updated = tuple[float, ...]  # the parameter and its moments, after a rule
Rule = Callable[..., Updated]
_shape, _carray = attrgetter("shape"), attrgetter("flags.carray")


@register_jitable
def _row(table: Any, row: Any, k: Any, h: Any) -> Any:
    return carray(data(table[row, k], h), int(table[0, k]))


@register_jitable
def _numbers(h: Any, k: Any) -> Any:
    """The numbers of parameter k; h has a row for all or one for each.

    First the sign of g, the decay added to g, and what p is multiplied by; then the rule's,
    the last of them repeated, since Numba must know how long a tuple is.
    """
    own = h[min(k, h.shape[0] - 1)]
    n = own.size - 1
    return own[0], own[1], own[2], (
        own[min(3, n)], own[min(4, n)], own[min(5, n)], own[min(6, n)],
        own[min(7, n)], own[min(8, n)], own[min(9, n)], own[min(10, n)],
    )  # fmt: skip


# one loop for each number of moments: a moment that is not there would be read and written, and
# where it is an alias of g, as it once was, nothing vectorises (SGD on 310,000 floats: 370 us)


def _no_moment(rule: Any) -> Any:
    def loop(table: Any, h: Any) -> None:
        for k in range(table.shape[1]):
            p, g = _row(table, 1, k, h), _row(table, 2, k, h)
            sign, decay, keep, own = _numbers(h, k)
            for i in range(p.size):
                (p[i],) = rule(keep * p[i], sign * g[i] + decay * p[i], own)

    return loop


def _one_moment(rule: Any) -> Any:
    def loop(table: Any, h: Any) -> None:
        for k in range(table.shape[1]):
            p, g, a = _row(table, 1, k, h), _row(table, 2, k, h), _row(table, 3, k, h)
            sign, decay, keep, own = _numbers(h, k)
            for i in range(p.size):
                p[i], a[i] = rule(keep * p[i], sign * g[i] + decay * p[i], a[i], own)

    return loop


def _two_moments(rule: Any) -> Any:
    def loop(table: Any, h: Any) -> None:
        for k in range(table.shape[1]):
            p, g = _row(table, 1, k, h), _row(table, 2, k, h)
            a, b = _row(table, 3, k, h), _row(table, 4, k, h)
            sign, decay, keep, own = _numbers(h, k)
            for i in range(p.size):
                x, d = keep * p[i], sign * g[i] + decay * p[i]
                p[i], a[i], b[i] = rule(x, d, a[i], b[i], own)

    return loop


def _three_moments(rule: Any) -> Any:
    def loop(table: Any, h: Any) -> None:
        for k in range(table.shape[1]):
            p, g = _row(table, 1, k, h), _row(table, 2, k, h)
            a, b, c = _row(table, 3, k, h), _row(table, 4, k, h), _row(table, 5, k, h)
            sign, decay, keep, own = _numbers(h, k)
            for i in range(p.size):
                x, d = keep * p[i], sign * g[i] + decay * p[i]
                p[i], a[i], b[i], c[i] = rule(x, d, a[i], b[i], c[i], own)

    return loop


_LOOPS = (_no_moment, _one_moment, _two_moments, _three_moments)


@cache
def _compiled(rule: Rule, moments: int) -> Any:
    """The loop of a rule. Numba keeps it on disk under its name, which tells the rule's code too:
    of files it looks at this one alone, and a rule stands beside its optimiser."""
    loop = _LOOPS[moments](register_jitable(rule))
    code = rule.__code__
    told = crc32(repr((code.co_code, code.co_consts, code.co_names)).encode())
    loop.__qualname__ = f"{rule.__module__}.{rule.__qualname__}.{told:08x}"
    return jit(loop)


class Update:
    """A rule's update of many parameters, in one call.

    The addresses of parameters and moments are kept from call to call with the arrays that
    they belong to: those of gradients are new ones.
    """

    def __init__(self, rule: Rule):
        self.rule = rule
        self.known: list[Array] = []
        self.shapes: list[tuple[int, ...]] = []
        self.table = np.empty((0, 0), np.uint64)  # sizes; addresses of p, g and the moments

    def __reduce__(self) -> Any:
        return Update, (self.rule,)  # a copy has arrays of its own: no address goes with it

    def fits(self, p: list[Array], g: list[Array], moments: list[list[Array]]) -> bool:
        """Get ready for `run`: whether one call can take all these.

        They must have one dtype, C order, and the shape of their parameter, and may be
        written to.
        """
        known = sum(moments, p)
        if len(known) != len(self.known) or not all(map(is_, known, self.known)):
            if not self._meet(p, moments):
                return False
            self.known = known
        now = addresses(g, p[0].dtype)
        if now is None or list(map(_shape, g)) != self.shapes:
            return False
        self.table[2] = now
        return all(map(_carray, p))

    def run(
        self,
        p: list[Array],
        g: list[Array],
        moments: list[list[Array]],
        h: Sequence[Sequence[float]],
    ) -> None:
        """Update in place, with a row of numbers h for all or one for each, what `fits` saw."""
        numbers = np.array(h, p[0].dtype)
        if not DISABLED:
            _compiled(self.rule, len(moments))(self.table, numbers)
            return
        for k, arrays in enumerate(zip(p, g, *moments, strict=True)):
            sign, decay, keep, *own = numbers[min(k, len(numbers) - 1)]
            x, d, *others = arrays
            new = self.rule(keep * x, sign * d + decay * x, *others, tuple(own))
            for old, value in zip((x, *others), new, strict=True):
                old[...] = value

    def _meet(self, p: list[Array], moments: list[list[Array]]) -> bool:
        """Note the addresses of parameters and moments; False if they do not fit."""
        self.known = []
        self.shapes = [a.shape for a in p]
        self.table = np.zeros((3 + len(moments), len(p)), np.uint64)
        self.table[0] = [a.size for a in p]
        for row, arrays in zip((1, *range(3, 3 + len(moments))), (p, *moments), strict=True):
            found = addresses(arrays, p[0].dtype)
            if found is None or [a.shape for a in arrays] != self.shapes:
                return False
            self.table[row] = found
        return True


@jit(reassoc=True)
def _sum_of_squares(table: Array, like: Array) -> float:
    total = 0.0
    for k in range(table.shape[1]):
        g = carray(data(table[0, k], like), int(table[1, k]))
        for i in range(g.size):
            total += np.float64(g[i]) * np.float64(g[i])
    return total


@jit
def _limit(table: Array, factor: Array, bound: Any) -> None:
    """Scale by factor[0], then clip to [-bound, bound]; NaN stays NaN."""
    for k in range(table.shape[1]):
        g = carray(data(table[0, k], factor), int(table[1, k]))
        for i in range(g.size):
            x = g[i] * factor[0]
            x = bound if x > bound else x
            g[i] = -bound if x < -bound else x


def norm(grads: Sequence[Array]) -> float | None:
    """Euclidean norm of all numbers together, summed in float64.

    None for arrays that `limit` could not take: they must be in C order, writable, of one dtype.
    """
    if not grads:
        return 0.0
    places = table(grads)
    if places is None:
        return None
    if DISABLED:
        return float(np.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in grads)))
    return math.sqrt(_sum_of_squares(places, np.empty(1, grads[0].dtype)))


def limit(grads: Sequence[Array], factor: float = 1.0, bound: float = np.inf) -> None:
    """Scale all numbers by `factor` and clip them to [-bound, bound], in place.

    The arrays are such that `norm` has measured them.
    """
    if DISABLED or not grads:
        for g in grads:
            np.clip(g * g.dtype.type(factor), -bound, bound, out=g)
        return
    dtype = grads[0].dtype
    _limit(table(grads), np.array([factor], dtype), dtype.type(bound))
