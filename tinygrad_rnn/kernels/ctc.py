"""Connectionist temporal classification: sums over all alignments, in the log domain.

The labels l of a sequence stand between blanks, _ l1 _ l2 _ ... : places 0, 1, 2 ... A path
goes from place s at one step to s or s + 1 at the next, or to s + 2 from one label to another
one. All is float64: over 1,000 steps the sums reach the thousands, where float32 has three
digits left of a probability. Loops over places are branch-free, with two places of -inf beside
them, so that LLVM vectorises them: forward and backward of 32 sequences of 100 steps and 20
labels take 3.4 ms, and 13 with one loop that branches.
"""

from typing import Any

import numpy as np

from . import scalar
from .flags import jit

Array = np.ndarray[Any, Any]
NONE = -np.inf
LOG_2 = 0.6931471805599453


@jit
def _log(u: Any) -> Any:
    """log u for u from 1 to 3, within 3e-16 and 0 at 1: 2 atanh z, z = (v - 1) / (v + 1)."""
    high = u > 1.5
    v = 0.5 * u if high else u  # .75 to 1.5, so that |z| is at most .2
    z = (v - 1.0) / (v + 1.0)
    q = z * z  # written out: around a loop of its own the loop over places is not vectorised
    y = 2 / 17 + q * (2 / 19 + q * (2 / 21))  # the next would be 2 * .2^23 / 23 = 7e-18
    y = 2 / 9 + q * (2 / 11 + q * (2 / 13 + q * (2 / 15 + q * y)))
    y = 2 + q * (2 / 3 + q * (2 / 5 + q * (2 / 7 + q * y)))
    return z * y + (LOG_2 if high else 0.0)


def _step_in_numpy(
    stay: Array, one: Array, two: Array, skip: Array, work: Array, out: Array
) -> None:
    with np.errstate(invalid="ignore"):  # of NaN, which compiled code takes in silence
        out[:] = np.logaddexp(np.logaddexp(stay, one), two + skip)


@jit(twin=_step_in_numpy)
def _step(stay: Array, one: Array, two: Array, skip: Array, work: Array, out: Array) -> None:
    """out = log(e^stay + e^one + e^(two + skip)), in loops small enough to be inlined whole."""
    m, u = work[0], work[1]
    for s in range(len(out)):
        c = two[s] + skip[s]
        high = one[s] if one[s] > stay[s] else stay[s]
        m[s] = c if c > high else high
    for s in range(len(out)):
        u[s] = scalar.exp(stay[s] - m[s]) + scalar.exp(one[s] - m[s])
    for s in range(len(out)):
        u[s] += scalar.exp(two[s] + skip[s] - m[s])
    for s in range(len(out)):
        y = m[s] + _log(u[s])
        out[s] = stay[s] + one[s] + (two[s] + skip[s]) if m[s] == NONE else y  # -inf, or NaN


@jit
def _places(x: Array, labels: Array, blank: int, out: Array) -> None:
    """One step's log probabilities at each place."""
    out[0] = x[blank]
    for k in range(len(labels)):
        out[2 * k + 1] = x[labels[k]]
        out[2 * k + 2] = x[blank]


@jit
def _skips(labels: Array, out: Array) -> None:
    """0 where a path may come from two places before, -inf where it may not."""
    out[:] = NONE
    for k in range(1, len(labels)):
        if labels[k] != labels[k - 1]:
            out[2 * k + 1] = 0.0


@jit
def _forward(x: Array, labels: Array, blank: int, work: Array, alpha: Array) -> Any:
    """alpha[t, s + 2]: log of the sum over beginnings of paths to place s; the log of all."""
    T, L = len(x), 2 * len(labels) + 1
    e, skip = work[0], work[1]
    _skips(labels, skip)
    alpha[:, :2] = NONE
    before = alpha[0]  # place 0, so that the first step is at 0 or 1
    before[2 : L + 2] = NONE
    before[2] = 0.0
    for t in range(T):
        now = alpha[t + 1]
        _places(x[t], labels, blank, e)
        _step(before[2 : L + 2], before[1 : L + 1], before[:L], skip[:L], work[2:], now[2 : L + 2])
        for s in range(L):
            now[s + 2] += e[s]
        before = now
    _step(before[L + 1 : L + 2], before[L : L + 1], before[:1], skip[:1], work[2:], e[:1])
    return e[0]


@jit
def nll(
    x: Array, labels: Array, steps: Array, sizes: Array, blank: int, alpha: Array, out: Array
) -> None:
    """-log p(labels[n, : sizes[n]] | x[n, : steps[n]]) of log probabilities x (N, T, C)."""
    work = np.empty((4, alpha.shape[1]))
    for n in range(len(x)):
        out[n] = -_forward(x[n, : steps[n]], labels[n, : sizes[n]], blank, work, alpha)


@jit
def _occupied(x: Array, labels: Array, blank: int, work: Array, alpha: Array, out: Array) -> Any:
    """Shares of one sequence, added to `out` (T, C); False if there is no alignment."""
    L = 2 * len(labels) + 1
    total = _forward(x, labels, blank, work, alpha)
    if total == NONE:
        return False
    e, skip, beta, share = work[0], work[1], work[4], work[5]
    beta[:] = NONE  # log of the sum over ends of paths from place s, without step t
    beta[max(0, L - 2) : L] = 0.0
    for t in range(len(x) - 1, -1, -1):
        a = alpha[t + 1]
        for s in range(L):
            share[s] = scalar.exp(a[s + 2] + beta[s] - total)
        out[t, blank] += share[0]
        for k in range(len(labels)):
            out[t, labels[k]] += share[2 * k + 1]
            out[t, blank] += share[2 * k + 2]
        _places(x[t], labels, blank, e)
        for s in range(L):
            e[s] += beta[s]
        e[L : L + 2] = NONE
        _step(e[:L], e[1 : L + 1], e[2 : L + 2], skip[2 : L + 2], work[2:], beta[:L])
    return True


@jit
def occupancy(
    x: Array,
    labels: Array,
    steps: Array,
    sizes: Array,
    blank: int,
    alpha: Array,
    out: Array,
    none: Any,
) -> None:
    """Share of all alignments, by probability, at class c at step t; `none` where there is none."""
    work = np.empty((6, alpha.shape[1]))
    for n in range(len(x)):
        T = steps[n]
        out[n] = 0
        if not _occupied(x[n, :T], labels[n, : sizes[n]], blank, work, alpha, out[n]):
            out[n, :T] = none
