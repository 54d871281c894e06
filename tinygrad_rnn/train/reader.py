"""A recurrent net that reads a sequence and gives numbers for the whole of it."""

from typing import Any

import numpy as np

from .. import nn, ops
from ..errors import ShapeError
from ..ops.random import Generator
from ..recording import constant
from ..tensors import Tensor

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}

POOLINGS = ("last", "mean", "max")


class Reader(nn.Module):
    """Sequences (T, N, F) to numbers (N, outputs): a recurrent net, one state of it, a linear head.

    `pooling` says which state: that after the "last" step (of the reverse direction, the first),
    or each unit's "mean" or "max" over the steps. `lengths` (N,) are of ragged batches; what
    stands beyond them counts nowhere.

    >>> Reader("gru", 3, 2, hidden=4, pooling="mean")(tg.zeros(7, 5, 3), tg.tensor([7] * 5)).shape
    (5, 2)
    """

    def __init__(
        self,
        cell: str,
        features: int,
        outputs: int,
        hidden: int = 32,
        layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        generator: Generator | None = None,
    ):
        if cell not in CELLS:
            raise ShapeError(f"Reader: cell must be one of {', '.join(CELLS)}, got {cell!r}")
        if pooling not in POOLINGS:
            said = ", ".join(POOLINGS)
            raise ShapeError(f"Reader: pooling must be one of {said}, got {pooling!r}")
        self.pooling = pooling
        self.net = CELLS[cell](
            features, hidden, layers, bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0, recurrent_init="orthogonal",
            generator=generator,
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout, generator=generator)
        self.head = nn.Linear(hidden * (1 + bidirectional), outputs, generator=generator)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        states, last = self.net(x, lengths=lengths)
        y: Tensor = self.head(self.dropout(self._pooled(states, last, lengths)))
        return y

    def _pooled(self, states: Tensor, last: Any, lengths: Tensor | None) -> Any:
        if self.pooling == "last":
            h = last[0] if isinstance(last, tuple) else last
            return ops.concat([h[-2], h[-1]], axis=1) if self.net.bidirectional else h[-1]
        if self.pooling == "max":
            if lengths is not None:  # states are 0 beyond a sequence, which may be the largest
                steps = constant(np.arange(len(states))[:, None, None])
                inside = ops.lt(steps, ops.reshape(lengths, shape=(-1, 1)))
                states = ops.where(inside, states, -2)  # h is from -1 to 1
            return ops.max(states, axis=0)
        if lengths is None:
            return ops.mean(states, axis=0)
        counts = ops.astype(ops.reshape(lengths, shape=(-1, 1)), dtype=states.dtype)
        return ops.sum(states, axis=0) / counts
