"""The net of `RecurrentForecaster`: a window with its covariates to mean and quantiles."""

from collections.abc import Sequence
from typing import Any

from ... import nn, ops
from ...ops.random import Generator
from ...tensors import Tensor
from ..reader import CELLS

BASES = ("level", "season", "growth")


class Outlook(nn.Module):
    """Window (N, lookback + horizon, channels) to forecast (N, horizon, targets, 1 + quantiles).

    Channels are the targets, then covariates known in the past only, then `future` ones, known
    throughout. The net reads the first `lookback` steps, the window's level, the mean of its last
    `season` targets, taken off; of the last `horizon` steps it reads the `future` channels alone.
    It forecasts what comes on top of `base`: of the level, of the last season repeated
    ("season"), or of that plus what the level grew by since the season before ("growth").
    The first forecast is the mean, the others are the quantiles. A step's own covariates go
    through a small net shared by all steps (Wen et al., 2017, arXiv:1711.11053).

    >>> Outlook("gru", (1, 0, 2), season=4, lookback=8, horizon=3)(tg.zeros(5, 11, 3)).shape
    (5, 3, 1, 4)
    """

    def __init__(
        self,
        cell: str,
        channels: tuple[int, int, int],
        season: int,
        lookback: int,
        horizon: int,
        hidden: int = 32,
        layers: int = 1,
        quantiles: int = 3,
        base: str = "level",
        generator: Generator | None = None,
    ):
        self.targets, self.past, self.future = channels
        self.season, self.lookback, self.horizon = season, lookback, horizon
        self.outputs, self.base = 1 + quantiles, base
        width = self.targets * self.outputs
        self.net = CELLS[cell](
            sum(channels), hidden, layers, recurrent_init="orthogonal", generator=generator
        )
        self.head = nn.Linear(hidden, horizon * width, generator=generator)
        # at first the forecast is the base: a net that has learnt nothing repeats the last season
        for p in self.head.parameters():
            nn.init.zeros_(p)
        if self.future:
            self.context = nn.Linear(hidden, hidden, generator=generator)
            self.local = nn.Linear(self.future, hidden, bias=False, generator=generator)
            self.step = nn.Linear(hidden, width, generator=generator)

    def forward(self, x: Any) -> Tensor:
        k, seen = self.targets, x[:, : self.lookback]
        target = seen[:, :, :k]
        level = ops.mean(target[:, -self.season :], axis=1, keepdims=True)
        inputs = ops.concat([target - level, seen[:, :, k:]], axis=2)
        states, _ = self.net(ops.permute_dims(inputs, (1, 0, 2)))
        last = states[-1]
        y = ops.reshape(self.head(last), (-1, self.horizon, k * self.outputs))
        if self.future:
            known = self.local(x[:, self.lookback :, k + self.past :])
            y = y + self.step(ops.tanh(known + ops.expand_dims(self.context(last), 1)))
        y = ops.reshape(y, (-1, self.horizon, k, self.outputs))
        out: Tensor = ops.expand_dims(self._on(target, level), -1) + y
        return out

    def _on(self, target: Any, level: Any) -> Any:
        """What the forecast comes on top of, (N, 1 or horizon, targets)."""
        if self.base == "level":
            return level
        s = self.season
        seasons = [target[:, -s:]] * -(-self.horizon // s)
        y = ops.concat(seasons, axis=1)[:, : self.horizon]
        if self.base == "growth":
            y = y + level - ops.mean(target[:, -2 * s : -s], axis=1, keepdims=True)
        return y


def outlook_loss(y: Tensor, target: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Squared error of the mean plus the pinball loss of the quantiles.

    y (N, horizon, targets, 1 + quantiles), target (N, horizon, targets).
    """
    total: Tensor = nn.mse_loss(y[..., 0], target)
    return total + nn.quantile_loss(y[..., 1:], target, list(quantiles))
