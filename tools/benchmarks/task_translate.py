"""The translator of `examples/translate.py`, with additive attention, always shown the truth."""

from collections.abc import Iterator
from typing import Any

import numpy as np

WORDS, PIECES, SIZE, HIDDEN, BATCH, T, S = 33, 113, 32, 96, 64, 12, 17


def batches() -> Iterator[tuple[Any, ...]]:
    """Words (T, N), lengths (N,), pieces fed and wanted (S, N)."""
    rng = np.random.default_rng(0)
    while True:
        pieces = rng.integers(0, PIECES, (S + 1, BATCH))
        yield (
            rng.integers(0, WORDS, (T, BATCH)),
            rng.integers(3, T + 1, BATCH),
            pieces[:-1],
            pieces[1:],
        )


def ours() -> tuple[Any, Any]:
    """The net, and its jitted loss."""
    import tinygrad_rnn as tg
    from tinygrad_rnn import nn

    class Translator(nn.Module):
        def __init__(self) -> None:
            self.words, self.pieces = nn.Embedding(WORDS, SIZE), nn.Embedding(PIECES, SIZE)
            self.encoder = nn.LSTM(SIZE, HIDDEN // 2, bidirectional=True)
            self.decoder = nn.LSTMCell(SIZE + HIDDEN, HIDDEN)
            self.attention = nn.Attention(HIDDEN, HIDDEN, "additive")
            self.join, self.out = nn.Linear(2 * HIDDEN, HIDDEN), nn.Linear(HIDDEN, PIECES)

        def forward(self, words: Any, lengths: Any, fed: Any, wanted: Any) -> Any:
            states, last = self.encoder(self.words(words), lengths=lengths)
            h, c = (tg.concat([s[0], s[1]], axis=1) for s in last)
            memory, seen, found = self.attention.prepare(states, lengths), tg.zeros_like(h), []
            for x in self.pieces(fed):
                h, c = self.decoder(tg.concat([x, seen], axis=1), (h, c))
                context, _ = self.attention(h, memory)
                seen = tg.tanh(self.join(tg.concat([context, h], axis=1)))
                found.append(seen)
            return nn.cross_entropy(self.out(tg.stack(found)), wanted)

    model = Translator()
    return model, tg.jit(model.forward)


def theirs() -> tuple[Any, Any]:
    """The same in PyTorch: packed sequences, the same loop."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W, self.U = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN, bias=False)
            self.v = nn.Parameter(torch.zeros(HIDDEN))

    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.pieces = nn.Embedding(WORDS, SIZE), nn.Embedding(PIECES, SIZE)
            self.encoder = nn.LSTM(SIZE, HIDDEN // 2, bidirectional=True)
            self.decoder = nn.LSTMCell(SIZE + HIDDEN, HIDDEN)
            self.attention = Attention()
            self.join, self.out = nn.Linear(2 * HIDDEN, HIDDEN), nn.Linear(HIDDEN, PIECES)

        def forward(self, words: Any, lengths: Any, fed: Any, wanted: Any) -> Any:
            packed = pack_padded_sequence(self.words(words), lengths, enforce_sorted=False)
            packed, last = self.encoder(packed)
            states = pad_packed_sequence(packed, total_length=T)[0]
            h, c = (torch.cat([s[0], s[1]], 1) for s in last)
            a, seen, found = self.attention, torch.zeros_like(h), []
            keys, beyond = a.U(states), torch.arange(T)[:, None] >= lengths
            for x in self.pieces(fed):
                h, c = self.decoder(torch.cat([x, seen], 1), (h, c))
                scores = torch.tanh(keys + a.W(h)) @ a.v
                weights = torch.softmax(scores.masked_fill(beyond, -torch.inf), 0)
                context = (weights[:, :, None] * states).sum(0)
                seen = torch.tanh(self.join(torch.cat([context, h], 1)))
                found.append(seen)
            logits = self.out(torch.stack(found))
            return cross_entropy(logits.flatten(0, 1), wanted.flatten())

    model = Translator()
    return model, model
