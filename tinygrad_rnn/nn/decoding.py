"""Beam search: the most probable sequences that a decoder emits step by step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..errors import DTypeError, ShapeError, kind
from ..op import Array
from ..recording import constant
from ..switches import no_grad
from ..tensors import Tensor
from .layers import sizes

Step = Callable[[Tensor, Any], tuple[Any, Any]]


class Hypothesis(NamedTuple):
    """A sequence that was found: its symbols without start and end, and what it is worth."""

    tokens: list[int]
    log_prob: float
    score: float  # log_prob by length, what hypotheses are ordered by
    ended: bool  # with the end symbol; False where `max_length` came first


def beam_search(
    step: Step,
    state: Any,
    start: Any,
    end: int,
    *,
    width: int = 1,
    max_length: int = 100,
    length_penalty: float = 0.0,
) -> list[list[Hypothesis]]:
    """Find the most probable sequences of a decoder, best first, for each of its sources.

    `step(symbols (B width,), state)` returns log probabilities (B width, V) of the next symbol,
    and the new state: a tensor or nested tuples of tensors, B width rows first. Rows b width to
    (b + 1) width - 1 are the hypotheses of source b, so what a source alone decides, such as
    the memory of `Attention`, stays in place; `tg.repeat(x, width, axis=...)` makes it, and the
    first state. `start` (B,) are the first symbols. A hypothesis of L symbols, its end among
    them, is worth log p / ((5 + L) / 6)^length_penalty: 0 favours short ones, .6 to 1 is usual
    (Wu et al. 2016, arXiv 1609.08144). Of each step's continuations the best `width` may end,
    and the best `width` others go on, until nothing open could be worth more than the `width`
    that ended. A width of 1 without penalty is greedy, one of V^max_length misses nothing.
    Raises ShapeError for log probabilities of another shape, or NaN in them.

    >>> after = tg.log(tg.tensor([[0.1, 0.6, 0.3], [0.5, 0.1, 0.4], [1.0, 1e-9, 1e-9]]))
    >>> def step(symbols, state):  # a Markov chain: 0 ends
    ...     return tg.take(after, symbols), state
    >>> [best] = beam_search(step, (), start=[1], end=0, width=2)
    >>> [(h.tokens, round(2.718281828**h.log_prob, 3)) for h in best]
    [([], 0.5), ([2], 0.4)]
    """
    sizes("beam_search", width=width, max_length=max_length)
    if not length_penalty >= 0:
        raise ShapeError(f"beam_search: length_penalty must be 0 or more, got {length_penalty}")
    if not isinstance(end, int | np.integer):
        raise ShapeError(f"beam_search: end must be the number of a symbol, got {end!r:.80}")
    first = np.asarray(start)
    if first.ndim != 1 or not len(first) or first.dtype.kind not in "iu":
        raise ShapeError(f"beam_search: start must be the first symbols (B,), got {start!r}")
    B = len(first)
    beams = [_Beam(width, end, length_penalty, max_length) for _ in range(B)]
    symbols = np.repeat(first, width)
    with no_grad():
        for length in range(1, max_length + 1):
            log_probs, state = _two(step(constant(symbols), state))
            table = _checked(log_probs, B * width, end).reshape(B, width, -1)
            chosen = [beam.advance(rows, length) for beam, rows in zip(beams, table, strict=True)]
            if all(beam.done for beam in beams):
                break
            symbols = np.concatenate([symbol for _, symbol in chosen])
            rows = np.concatenate([b * width + row for b, (row, _) in enumerate(chosen)])
            state = _taken(state, constant(rows), B * width)
    return [beam.best() for beam in beams]


class _Beam:
    """The hypotheses of one source: `width` open ones, the best of those that ended."""

    def __init__(self, width: int, end: int, penalty: float, max_length: int):
        self.width, self.end, self.penalty, self.max_length = width, end, penalty, max_length
        self.open: list[list[int]] = [[]] * width
        self.log_probs = np.full(width, -np.inf)
        self.log_probs[0] = 0.0  # all are the same at first: one of them goes on
        self.ended: list[Hypothesis] = []
        self.done = False

    def _score(self, log_prob: float, length: int) -> float:
        return log_prob / ((5 + length) / 6) ** self.penalty

    def advance(self, log_probs: Array, length: int) -> tuple[Array, Array]:
        """Which rows go on, and with which symbols."""
        if self.done:
            return np.arange(self.width), np.zeros(self.width, int)
        total = self.log_probs[:, None] + log_probs.astype(np.float64)
        ranked = np.argsort(-total, axis=None, kind="stable")
        for at in ranked[: self.width]:  # an end must be among the best, as an open one must
            row, symbol = divmod(int(at), total.shape[1])
            value = float(total[row, symbol])
            if symbol == self.end and value > -np.inf:
                score = self._score(value, length)
                self.ended.append(Hypothesis(self.open[row], value, score, True))
        self.ended = sorted(self.ended, key=lambda h: -h.score)[: self.width]
        total[:, self.end] = -np.inf
        best = ranked[ranked % total.shape[1] != self.end][: self.width]
        best = np.pad(best, (0, self.width - len(best)), mode="edge")  # fewer symbols than width
        rows, symbols = np.divmod(best, total.shape[1])
        self.log_probs = total[rows, symbols]
        self.log_probs[total.shape[0] * (total.shape[1] - 1) :] = -np.inf
        self.open = [[*self.open[r], int(s)] for r, s in zip(rows, symbols, strict=True)]
        # the best that an open one can come to: no symbol costs anything from here on
        ahead = self._score(float(self.log_probs.max()), self.max_length)
        enough = len(self.ended) == self.width and self.ended[-1].score >= ahead
        self.done = enough or self.log_probs.max() == -np.inf
        return rows, symbols

    def best(self) -> list[Hypothesis]:
        """Those that ended, best first; then open ones up to the width."""
        rest = [
            Hypothesis(tokens, float(p), float(self._score(float(p), len(tokens))), False)
            for tokens, p in zip(self.open, self.log_probs, strict=True)
            if p > -np.inf
        ]
        return (self.ended + sorted(rest, key=lambda h: -h.score))[: self.width]


def _two(found: Any) -> tuple[Any, Any]:
    if not isinstance(found, tuple) or len(found) != 2:
        raise DTypeError(
            f"beam_search: step must return (log probabilities, new state), got {kind(found)}"
        )
    return found


def _checked(log_probs: Any, rows: int, end: int) -> Array:
    values = log_probs.numpy() if isinstance(log_probs, Tensor) else np.asarray(log_probs)
    if values.ndim != 2 or len(values) != rows or not 0 <= end < values.shape[1]:
        raise ShapeError(
            f"beam_search: step must return log probabilities ({rows}, V), sources x width first, "
            f"with V above the end symbol {end}; got {values.shape}"
        )
    if np.isnan(values).any():
        raise ShapeError("beam_search: step returned NaN among the log probabilities")
    return values


def _taken(state: Any, rows: Tensor, n: int) -> Any:
    if isinstance(state, tuple | list):
        return tuple([_taken(s, rows, n) for s in state])
    if not isinstance(state, Tensor) or state.shape[:1] != (n,):
        found = state.shape if isinstance(state, Tensor) else kind(state)
        raise ShapeError(
            f"beam_search: states must be tensors of {n} rows, sources x width, got {found}; what "
            "does not change from step to step is no state"
        )
    return ops.take(state, rows)
