"""The model of `examples/speech.py` on joined utterances: bidirectional GRU, lengths, CTC."""

from collections.abc import Iterator
from typing import Any

import numpy as np

FEATURES, HIDDEN, SPEAKERS, ROWS, MOST, LONGEST = 12, 48, 9, 16, 5, 145


def batches() -> Iterator[tuple[Any, ...]]:
    """Frames (T, N, 12), speakers (N, 5), frames and utterances of each row."""
    rng = np.random.default_rng(0)
    while True:
        counts = rng.integers(2, MOST + 1, ROWS)
        lengths = np.minimum(counts * rng.integers(10, 20, ROWS), LONGEST)
        x = rng.standard_normal((LONGEST, ROWS, FEATURES)).astype("f")
        yield x, rng.integers(1, SPEAKERS + 1, (ROWS, MOST)), lengths, counts


def ours() -> tuple[Any, Any]:
    """The module, and the loss of a batch, jitted."""
    import tinygrad_rnn as tg
    from tinygrad_rnn import nn

    class Listener(nn.Module):
        def __init__(self) -> None:
            self.net = nn.GRU(FEATURES, HIDDEN, bidirectional=True)
            self.out = nn.Linear(2 * HIDDEN, SPEAKERS + 1)

        def forward(self, x: Any, speakers: Any, lengths: Any, counts: Any) -> Any:
            states, _ = self.net(x, lengths=lengths)
            return nn.ctc_loss(tg.log_softmax(self.out(states)), speakers, lengths, counts)

    model = Listener()
    return model, tg.jit(model.forward)


def theirs() -> tuple[Any, Any]:
    """The same in PyTorch, its sequences packed."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class Listener(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.GRU(FEATURES, HIDDEN, bidirectional=True)
            self.out = nn.Linear(2 * HIDDEN, SPEAKERS + 1)

        def forward(self, x: Any, speakers: Any, lengths: Any, counts: Any) -> Any:
            packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
            states, _ = pad_packed_sequence(self.net(packed)[0])
            y = torch.log_softmax(self.out(states), -1)
            return nn.functional.ctc_loss(y, speakers, lengths, counts)

    model = Listener()
    return model, model
