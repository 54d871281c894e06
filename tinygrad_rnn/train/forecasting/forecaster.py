"""A recurrent forecaster: reads a window, gives the next values all at once."""

from typing import Any

from ... import nn, ops
from ...errors import ShapeError
from ...ops.random import Generator
from ...tensors import Tensor
from ..reader import CELLS


class Forecaster(nn.Module):
    """Window (N, lookback) to forecast (N, horizon): a recurrent net and a linear head.

    The window's level, the mean of its last `season` values, is taken off before
    and added after, so that the net sees shapes and not heights, and goes on where
    a growing series has never been (Kim et al., ICLR 2022, normalise alike).

    >>> Forecaster("lstm", season=4, horizon=3, hidden=8)(tg.zeros(2, 12)).shape
    (2, 3)
    """

    def __init__(
        self,
        cell: str,
        season: int,
        horizon: int,
        hidden: int = 16,
        layers: int = 1,
        init: str = "orthogonal",
        generator: Generator | None = None,
    ):
        if cell not in CELLS:
            raise ShapeError(f"Forecaster: cell must be one of {', '.join(CELLS)}, got {cell!r}")
        how = {"uniform": None, "orthogonal": "orthogonal", "identity": "identity"}
        if init not in how:
            raise ShapeError(f"Forecaster: init must be one of {', '.join(how)}, got {init!r}")
        self.season = season
        self.net = CELLS[cell](1, hidden, layers, recurrent_init=how[init], generator=generator)
        self.head = nn.Linear(hidden, horizon, generator=generator)

    def forward(self, x: Any) -> Tensor:
        level = ops.mean(x[:, -self.season :], axis=1, keepdims=True)
        steps = ops.expand_dims((x - level).T, 2)  # (lookback, N, 1)
        states, _ = self.net(steps)
        y: Tensor = level + self.head(states[-1])
        return y
