"""The model of `examples/heartbeat.py`: a bidirectional GRU, each unit's largest state, a class."""

from collections.abc import Iterator
from typing import Any

import numpy as np

STEPS, ROWS, HIDDEN = 96, 25, 32


def batches() -> Iterator[tuple[Any, ...]]:
    """Beats (T, N, 1) and their classes."""
    rng = np.random.default_rng(0)
    while True:
        yield rng.standard_normal((STEPS, ROWS, 1)).astype("f"), rng.integers(0, 2, ROWS)


def ours() -> tuple[Any, Any]:
    """The module, and the loss of a batch, jitted."""
    import tinygrad_rnn as tg
    from tinygrad_rnn import nn, train

    model = train.Reader("gru", 1, 2, HIDDEN, bidirectional=True, pooling="max")
    return model, tg.jit(lambda x, y: nn.cross_entropy(model(x), y))


def theirs() -> tuple[Any, Any]:
    """The same in PyTorch."""
    from torch import nn

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.GRU(1, HIDDEN, bidirectional=True)
            self.head = nn.Linear(2 * HIDDEN, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.net(x)[0].amax(0))

    model = Reader()
    return model, lambda x, y: nn.functional.cross_entropy(model(x), y)
