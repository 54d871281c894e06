"""The forecaster of `examples/forecast.py` over many origins: mean and five quantiles of a year."""

from collections.abc import Iterator
from typing import Any

import numpy as np

BATCH, LOOKBACK, HORIZON, SEASON, HIDDEN = 32, 36, 12, 12, 64
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def batches() -> Iterator[tuple[Any, ...]]:
    """Windows (N, 48, 1) of a year's wave with noise, and the last twelve steps of each."""
    rng = np.random.default_rng(0)
    t = np.arange(LOOKBACK + HORIZON)
    while True:
        wave = np.sin((t + rng.integers(0, SEASON, (BATCH, 1))) * 2 * np.pi / SEASON)
        x = (wave + t / 50 + rng.normal(size=wave.shape) / 5).astype("f")[:, :, None]
        yield x, np.ascontiguousarray(x[:, LOOKBACK:])


def ours() -> tuple[Any, Any]:
    """`Outlook`, its loss jitted as in `RecurrentForecaster`."""
    import tinygrad_rnn as tg
    from tinygrad_rnn.train.forecasting.outlook import Outlook, outlook_loss

    model = Outlook(
        "lstm",
        (1, 0, 0),
        SEASON,
        LOOKBACK,
        HORIZON,
        HIDDEN,
        quantiles=len(QUANTILES),
        base="growth",
    )
    return model, tg.jit(lambda x, y: outlook_loss(model(x), y, QUANTILES))


def theirs() -> tuple[Any, Any]:
    """The same in PyTorch, with its fused LSTM."""
    import torch

    class Outlook(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.LSTM(1, HIDDEN)
            self.head = torch.nn.Linear(HIDDEN, HORIZON * (1 + len(QUANTILES)))

        def forward(self, x: Any) -> Any:
            seen = x[:, :LOOKBACK]
            level = seen[:, -SEASON:].mean(1, keepdim=True)
            states, _ = self.net((seen - level).permute(1, 0, 2))
            y = self.head(states[-1]).reshape(-1, HORIZON, 1, 1 + len(QUANTILES))
            base = seen[:, -SEASON:] + level - seen[:, -2 * SEASON : -SEASON].mean(1, keepdim=True)
            return base[..., None] + y

    model, qs = Outlook(), torch.tensor(QUANTILES)

    def loss(x: Any, target: Any) -> Any:
        y = model(x)
        d = target[..., None] - y[..., 1:]
        mean = torch.nn.functional.mse_loss(y[..., 0], target)
        return mean + torch.maximum(qs * d, (qs - 1) * d).mean()

    return model, loss
