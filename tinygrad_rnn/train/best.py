"""The best parameters met in training."""

import math
from collections.abc import Mapping
from typing import Any

from .. import nn


class Best:
    """Keep the parameters of the epoch with the lowest loss, for early stopping.

    `keep(loss, epoch)` after each epoch, `restore()` at the end; part of a checkpoint:
    `train.Run(..., best=best)`. `best.loss` and `best.epoch` are those of the best so far. A loss
    that is NaN is never the best.

    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> best = Best(model)
    >>> for epoch, loss in enumerate([0.5, 0.2, 0.3]):
    ...     _ = model.weight.assign_([[loss]])
    ...     since = epoch - best.keep(loss, epoch)
    >>> best.restore()
    >>> best.epoch, since, round(model.weight.item(), 2)
    (1, 1, 0.2)
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self.loss, self.epoch, self.state = math.inf, 0, model.state_dict()

    def keep(self, loss: float, epoch: int) -> int:
        """Take the parameters as they are if the loss is the lowest; the best epoch's number."""
        if loss < self.loss:
            self.loss, self.epoch, self.state = loss, epoch, self.model.state_dict()
        return self.epoch

    def restore(self) -> None:
        """Give the model the best parameters, or those it had at first."""
        self.model.load_state_dict(self.state)

    def state_dict(self) -> dict[str, Any]:
        """Loss, epoch and parameters."""
        return {"loss": self.loss, "epoch": self.epoch, "state": self.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over all of it."""
        self.loss, self.epoch, self.state = state["loss"], state["epoch"], state["state"]
