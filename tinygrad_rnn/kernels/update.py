"""Optimisers' updates and gradient clipping: one call over all parameters.

Twelve parameters cost one call in place of some hundred NumPy calls: Adam on
310,000 floats 265 us against 720, their norm 54 against 153. A rule is written on one
number of each array and holds for whole arrays too, which is how it runs under
NUMBA_DISABLE_JIT.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import carray
from numba.extending import register_jitable

from ._arrays import data, ids
from ._jit import DISABLED, jit

Array = np.ndarray[Any, Any]


@register_jitable
def sgd(p: Any, g: Any, m: Any, v: Any, h: Any) -> Any:
    """m = mu m + g; p = p - lr m, or - lr (g + mu m) with Nesterov; g with weight decay."""
    lr, decay, mu, nesterov, rest = h[0], h[1], h[2], h[3], h[4]
    g = g + decay * p
    m = mu * m + g
    return p - lr * (nesterov * (g + mu * m) + rest * m), m, v


@register_jitable
def rmsprop(p: Any, g: Any, m: Any, v: Any, h: Any) -> Any:
    """v = a v + (1 - a) g^2; p = p - lr g / (sqrt v + eps)."""
    lr, decay, a, rest, eps = h[0], h[1], h[2], h[3], h[4]
    g = g + decay * p
    v = a * v + rest * (g * g)
    return p - lr * (g / (np.sqrt(v) + eps)), m, v


@register_jitable
def adagrad(p: Any, g: Any, m: Any, v: Any, h: Any) -> Any:
    """v = v + g^2; p = p - lr g / (sqrt v + eps)."""
    lr, decay, eps = h[0], h[1], h[2]
    g = g + decay * p
    v = v + g * g
    return p - lr * (g / (np.sqrt(v) + eps)), m, v


@register_jitable
def adam(p: Any, g: Any, m: Any, v: Any, h: Any) -> Any:
    """Moments m and v of g; p = p (1 - lr d) - lr m^ / (sqrt v^ + eps), ^ without bias.

    `decay` is added to the gradient (Adam), `keep` = 1 - lr d scales p (AdamW).
    """
    step, decay, keep, a, rest_a, b, rest_b, root, eps = (
        h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8],
    )  # fmt: skip
    g = g + decay * p
    m = a * m + rest_a * g
    v = b * v + rest_b * (g * g)
    return p * keep - step * (m / (np.sqrt(v) * root + eps)), m, v


@register_jitable
def _views(table: Any, k: Any, n: Any, h: Any) -> Any:
    return (
        carray(data(table[k, 0], h), n),
        carray(data(table[k, 1], h), n),
        carray(data(table[k, 2], h), n),
        carray(data(table[k, 3], h), n),
    )


@jit
def _run_sgd(table: Array, sizes: Array, h: Array) -> None:
    for k in range(sizes.size):
        p, g, m, v = _views(table, k, sizes[k], h)
        for i in range(p.size):
            p[i], m[i], v[i] = sgd(p[i], g[i], m[i], v[i], h)


@jit
def _run_rmsprop(table: Array, sizes: Array, h: Array) -> None:
    for k in range(sizes.size):
        p, g, m, v = _views(table, k, sizes[k], h)
        for i in range(p.size):
            p[i], m[i], v[i] = rmsprop(p[i], g[i], m[i], v[i], h)


@jit
def _run_adagrad(table: Array, sizes: Array, h: Array) -> None:
    for k in range(sizes.size):
        p, g, m, v = _views(table, k, sizes[k], h)
        for i in range(p.size):
            p[i], m[i], v[i] = adagrad(p[i], g[i], m[i], v[i], h)


@jit
def _run_adam(table: Array, sizes: Array, h: Array) -> None:
    for k in range(sizes.size):
        p, g, m, v = _views(table, k, sizes[k], h)
        for i in range(p.size):
            p[i], m[i], v[i] = adam(p[i], g[i], m[i], v[i], h)


# four loops alike: each is plain code of this file, which is what Numba keeps on disk
_LOOPS = {sgd: _run_sgd, rmsprop: _run_rmsprop, adagrad: _run_adagrad, adam: _run_adam}


def apply(rule: Callable[..., Any], arrays: Sequence[Sequence[Array]], h: Sequence[float]) -> None:
    """Update in place with one rule: `arrays` are (p, g, m, v) a parameter, all C order

    and of one dtype; `h` the rule's numbers, brought to that dtype.
    """
    if not arrays:
        return
    numbers = np.array(h, arrays[0][0].dtype)
    if DISABLED:
        for p, g, m, v in arrays:
            p[...], m[...], v[...] = rule(p, g, m, v, numbers)
        return
    table = ids([a for row in arrays for a in row]).reshape(-1, 4)
    sizes = np.array([row[0].size for row in arrays], np.int64)
    _LOOPS[rule](table, sizes, numbers)


@jit(reassoc=True)
def _sum_of_squares(table: Array, sizes: Array, like: Array) -> float:
    total = 0.0
    for k in range(sizes.size):
        g = carray(data(table[k], like), sizes[k])
        for i in range(g.size):
            total += np.float64(g[i]) * np.float64(g[i])
    return total


@jit
def _limit(table: Array, sizes: Array, factor: Array, bound: Any) -> None:
    """Scale by factor[0], then clip to [-bound, bound]; NaN stays NaN."""
    for k in range(sizes.size):
        g = carray(data(table[k], factor), sizes[k])
        for i in range(g.size):
            x = g[i] * factor[0]
            x = bound if x > bound else x
            g[i] = -bound if x < -bound else x


def norm(grads: Sequence[Array]) -> float:
    """Euclidean norm of all numbers together, summed in float64."""
    if DISABLED or not grads:
        return float(np.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in grads)))
    table = ids(grads)
    sizes = np.array([g.size for g in grads], np.int64)
    return float(np.sqrt(_sum_of_squares(table, sizes, np.empty(1, grads[0].dtype))))


def limit(grads: Sequence[Array], factor: float = 1.0, bound: float = np.inf) -> None:
    """Scale all numbers by `factor` and clip them to [-bound, bound], in place."""
    if DISABLED or not grads:
        for g in grads:
            np.clip(g * g.dtype.type(factor), -bound, bound, out=g)
        return
    dtype = grads[0].dtype
    table = ids(grads)
    sizes = np.array([g.size for g in grads], np.int64)
    _limit(table, sizes, np.array([factor], dtype), dtype.type(bound))
