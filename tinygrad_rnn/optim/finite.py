"""Updates with a gradient that is not finite: left out, counted, and at last refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import AnomalyError
from .clip import _groups
from .optimizer import Optimizer
from .options import checked, count_or_0


class SkipNonFinite:
    """Take an optimiser's steps, but leave out and count those with a gradient that is not finite.

    `step()` steps and returns True if all gradients are finite; else it leaves the parameters
    and moments as they are, adds one to `skipped` and returns False. After more than `most` in a
    row it raises AnomalyError, which names the count and the gradients; `most=0` halts at the
    first. Clip before it with `clip_grad_norm_(..., error_if_nonfinite=False)`. It has a state
    dict, for checkpoints.

    >>> w = tg.tensor([1.0], requires_grad=True)
    >>> careful = SkipNonFinite(tg.optim.SGD([w], lr=0.5))
    >>> for factor in (1.0, float("inf"), 1.0):
    ...     w.grad = None
    ...     (w * factor).sum().backward()
    ...     _ = careful.step()
    >>> w.tolist(), careful.skipped
    ([0.0], 1)
    """

    def __init__(self, optimizer: Optimizer, most: int = 10):
        (self.most,) = checked("SkipNonFinite", {"most": count_or_0}, most=most)
        self.optimizer = optimizer
        self.skipped = self.in_a_row = 0

    def step(self) -> bool:
        """Step if all gradients are finite, and return whether it did."""
        # a norm too large for a float may be of finite gradients
        finite = np.isfinite(_groups(self.optimizer.params)[2])
        bad = [] if finite else self._bad()
        if not bad:
            self.in_a_row = 0
            self.optimizer.step()
            return True
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        if self.in_a_row > self.most:
            raise AnomalyError(
                f"SkipNonFinite: gradients were not finite {self.in_a_row} times in a row, "
                f"{self.skipped} in all; now those of {', '.join(bad[:4])}"
                f"{f' and {len(bad) - 4} more' if len(bad) > 4 else ''}. Find the first op with "
                "detect_anomaly(), clip (at each step: tg.clip_gradient) or lower the learning rate"
            )
        return False

    def _bad(self) -> list[str]:
        """The parameters whose gradients are not finite, by name or place."""
        return [
            repr(p.name) if p.name else f"parameter {k} of shape {p.shape}"
            for k, p in enumerate(self.optimizer.params)
            if p.grad is not None and not np.isfinite(p.grad._array).all()
        ]

    def state_dict(self) -> dict[str, Any]:
        """The counts."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the counts; ValueError for anything that is not one."""
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(f"SkipNonFinite: needs {' and '.join(own)}, got {list(state)}")
        checks = dict.fromkeys(own, count_or_0)
        self.skipped, self.in_a_row = checked(
            "SkipNonFinite", checks, skipped=state["skipped"], in_a_row=state["in_a_row"]
        )
