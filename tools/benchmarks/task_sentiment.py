"""The model of `examples/sentiment.py`: an LSTM reads sentences of every length both ways."""

from collections.abc import Iterator
from typing import Any

import numpy as np

WORDS, SIZE, HIDDEN, BATCH = 8000, 50, 64, 64


def batches() -> Iterator[tuple[Any, ...]]:
    """Words (T, N) of sentences alike in length, their lengths (N,), and ratings (N,)."""
    rng = np.random.default_rng(0)
    while True:
        steps = 8 * int(rng.integers(1, 6))
        lengths = rng.integers(steps - 7, steps + 1, BATCH)
        yield rng.integers(0, WORDS, (steps, BATCH)), lengths, rng.normal(size=BATCH).astype("f")


def ours() -> tuple[Any, Any]:
    """The module, and the loss of a batch, jitted."""
    import tinygrad_rnn as tg
    from tinygrad_rnn import nn

    class Rater(nn.Module):
        def __init__(self) -> None:
            self.table = nn.Embedding(WORDS, SIZE)
            self.net = nn.LSTM(SIZE, HIDDEN, bidirectional=True)
            self.out = nn.Linear(4 * HIDDEN, 1)

        def forward(self, x: Any, lengths: Any, target: Any) -> Any:
            states, _ = self.net(self.table(x), lengths=lengths)
            inside = tg.arange(len(x))[:, None, None] < lengths[:, None]
            most = tg.where(inside, states, -1.0).max(axis=0)
            mean = states.sum(axis=0) / lengths.astype("float32")[:, None]
            return nn.mse_loss(self.out(tg.concat([most, mean], axis=1))[:, 0], target)

    model = Rater()
    return model, tg.jit(model.forward)


def theirs() -> tuple[Any, Any]:
    """The same in PyTorch, its sequences packed."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class Rater(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(WORDS, SIZE)
            self.net = nn.LSTM(SIZE, HIDDEN, bidirectional=True)
            self.out = nn.Linear(4 * HIDDEN, 1)

        def forward(self, x: Any, lengths: Any, target: Any) -> Any:
            packed = pack_padded_sequence(self.table(x), lengths, enforce_sorted=False)
            states = pad_packed_sequence(self.net(packed)[0], total_length=len(x))[0]
            inside = torch.arange(len(x))[:, None, None] < lengths[:, None]
            most = torch.where(inside, states, -1.0).amax(0)
            mean = states.sum(0) / lengths[:, None]
            rating = self.out(torch.cat([most, mean], 1))[:, 0]
            return nn.functional.mse_loss(rating, target)

    model = Rater()
    return model, model
