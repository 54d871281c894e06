"""Attention: at every step of a decoder, a weighted mean of an encoder's states."""

from typing import Any, NamedTuple

from .. import ops
from ..creation import arange
from ..errors import DTypeError, ShapeError, kind
from ..ops.random import Generator
from ..tensors import Tensor
from .layers import Linear, sizes
from .module import Module, Parameter
from .recurrent import check_lengths


class Memory(NamedTuple):
    """States, their keys, and their mask, as `Attention.prepare` makes them once per batch."""

    states: Tensor  # (T, N, K)
    keys: Tensor  # (T, N, K), or (T, N, A) for additive scores
    live: Tensor | None  # (T, N)


class Attention(Module):
    """context = sum_t w_t s_t, w = softmax_t(score(q, s_t)) over the states s of other steps.

    With `score="dot"` q . s_t (Luong et al., EMNLP 2015; both of one size), with "additive"
    v . tanh(W q + U s_t) through `size` units (Bahdanau et al., ICLR 2015; by
    default query_size). States are time-major (T, N, memory_size), as `nn.LSTM` returns them:
    `prepare(states, lengths)` once, with the `lengths` (N,) of a padded batch, then
    `attention(query, memory)` at each step, which takes (N, query_size) and returns the context
    (N, memory_size) and the weights (T, N), 0 beyond each sequence. Under `tg.jit` a loop of
    such steps is one kernel. Raises ShapeError for sizes and lengths that do not fit.

    >>> states, (h, c) = tg.nn.LSTM(3, 4)(tg.randn(5, 2, 3), lengths=[5, 2])
    >>> attention = Attention(4, 4, score="additive")
    >>> memory = attention.prepare(states, lengths=[5, 2])
    >>> context, weights = attention(h[0], memory)
    >>> context.shape, weights[2:, 1].tolist(), bool(abs(weights.sum(axis=0) - 1).max() < 1e-6)
    ((2, 4), [0.0, 0.0, 0.0], True)
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        score: str = "dot",
        size: int | None = None,
        generator: Generator | None = None,
    ):
        sizes("Attention", query_size=query_size, memory_size=memory_size)
        if score not in ("dot", "additive"):
            raise ValueError(f"Attention: score must be 'dot' or 'additive', got {score!r}")
        self.query_size, self.memory_size, self.score = query_size, memory_size, score
        if score == "dot":
            if size is not None:
                raise ShapeError("Attention: size is of additive scores; 'dot' has no units")
            if query_size != memory_size:
                raise ShapeError(
                    f"Attention: score='dot' needs queries and states of one size, got {query_size}"
                    f" and {memory_size}; use score='additive'"
                )
            return
        size = query_size if size is None else size
        self.W = Linear(query_size, size, generator=generator)
        self.U = Linear(memory_size, size, bias=False, generator=generator)
        self.v = Parameter(Linear(size, 1, generator=generator).weight.numpy()[0])

    def prepare(self, states: Tensor, lengths: Any = None) -> Memory:
        """What the steps of one batch share: states (T, N, K), `lengths` (N,) as of `nn.LSTM`."""
        if not hasattr(states, "ndim"):
            raise DTypeError(f"Attention: states must be a tensor, got {kind(states)}")
        if states.ndim != 3 or states.shape[2] != self.memory_size:
            raise ShapeError(
                f"Attention: states must be (T, N, {self.memory_size}), got {states.shape}"
            )
        T, N, _ = states.shape
        if not T or not N:
            raise ShapeError(f"Attention: there must be states to look at, got {states.shape}")
        keys = self.U(states) if self.score == "additive" else states
        if lengths is None:
            return Memory(states, keys, None)
        known = check_lengths("Attention", lengths, T, N)
        return Memory(states, keys, ops.lt(arange(T).reshape(T, 1), known))

    def forward(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        if not isinstance(memory, Memory) or not hasattr(query, "shape"):
            raise DTypeError(
                f"Attention: expected a query and what prepare(states) returns, got {kind(query)} "
                f"and {kind(memory)}"
            )
        states, keys, live = memory
        T, N, _ = states.shape
        if query.shape != (N, self.query_size):
            raise ShapeError(
                f"Attention: the query must be {(N, self.query_size)}, got {query.shape}"
            )
        if self.score == "dot":
            scores = ops.sum(keys * query, axis=2)
        else:  # a product by v would be of three axes, which no compiled loop has
            scores = ops.sum(ops.tanh(keys + self.W(query)) * self.v, axis=2)
        if live is not None:  # e^-inf is 0
            scores = ops.where(live, scores, -float("inf"))
        weights = ops.softmax(scores, axis=0)
        context = ops.sum(ops.reshape(weights, shape=(T, N, 1)) * states, axis=0)
        return context, weights
