"""The model of `examples/char_lm.py`: a GRU whose state is carried from chunk to chunk."""

from collections.abc import Iterator
from typing import Any

import numpy as np

SYMBOLS, SIZE, HIDDEN, LANES, STEPS = 100, 64, 320, 16, 64


def batches() -> Iterator[tuple[Any, ...]]:
    """Symbols (T, N) that were read, and those that follow."""
    rng = np.random.default_rng(0)
    while True:
        text = rng.integers(0, SYMBOLS, (STEPS + 1, LANES))
        yield text[:-1], text[1:]


def ours() -> tuple[Any, Any]:
    """The module, and the loss of a chunk, jitted."""
    import tinygrad_rnn as tg
    from tinygrad_rnn import nn

    class CharLM(nn.Module):
        def __init__(self) -> None:
            self.table = nn.Embedding(SYMBOLS, SIZE)
            self.net = nn.GRU(SIZE, HIDDEN)
            self.out = nn.Linear(HIDDEN, SYMBOLS)

        def forward(self, x: Any, y: Any, state: Any) -> Any:
            states, state = self.net(self.table(x), state)
            return nn.cross_entropy(self.out(states), y), state

    model, zeros = CharLM(), tg.zeros(1, LANES, HIDDEN)
    run, carried = tg.jit(model.forward), [zeros]

    def loss(x: Any, y: Any) -> Any:
        value, h = run(x, y, carried[0])
        carried[0] = h.detach()
        return value

    return model, loss


def theirs() -> tuple[Any, Any]:
    """The same in PyTorch."""
    import torch
    from torch import nn

    class CharLM(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(SYMBOLS, SIZE)
            self.net = nn.GRU(SIZE, HIDDEN)
            self.out = nn.Linear(HIDDEN, SYMBOLS)

        def forward(self, x: Any, y: Any, state: Any) -> Any:
            states, state = self.net(self.table(x), state)
            logits = self.out(states)
            return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten()), state

    model, zeros = CharLM(), torch.zeros(1, LANES, HIDDEN)
    carried = [zeros]

    def loss(x: Any, y: Any) -> Any:
        value, h = model(x, y, carried[0])
        carried[0] = h.detach()
        return value

    return model, loss
