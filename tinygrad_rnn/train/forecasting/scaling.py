"""Scaling fitted on training data only, and undone on the forecast."""

from typing import NamedTuple

import numpy as np

from ...errors import DataError
from ...op import Array


class Scaling(NamedTuple):
    """z = (f(y) - mean) / std with f the logarithm or nothing."""

    mean: float
    std: float
    log: bool

    @classmethod
    def fit(cls, train: Array, log: bool = False) -> "Scaling":
        """Mean and standard deviation of the training values, of their logarithms if `log`.

        >>> Scaling.fit(np.array([1.0, 3.0])).apply(np.array([2.0])).tolist()
        [0.0]
        """
        if log and (train <= 0).any():
            raise DataError("Scaling: logarithms need positive values; use log=False")
        f = np.log(train) if log else train
        std = float(np.std(f))
        if np.ptp(train) == 0 or not std > 0:  # 90 logarithms of 3 deviate by 4e-16
            raise DataError("Scaling: the training values are all equal; there is nothing to learn")
        return cls(float(np.mean(f)), std, log)

    def apply(self, y: Array) -> Array:
        """Scale values of the original units."""
        return ((np.log(y) if self.log else y) - self.mean) / self.std

    def undo(self, z: Array) -> Array:
        """Bring scaled values back to the original units."""
        y = np.asarray(z, np.float64) * self.std + self.mean
        return np.exp(y) if self.log else y
