"""Learning-rate schedules, PyTorch's by name, arguments and numbers.

A schedule sets the rate of each parameter group, when made and at every `step()`. Those
that multiply start from the rate as it is, so that several can be combined.
"""

from .base import LRScheduler as LRScheduler
from .combined import ChainedScheduler as ChainedScheduler, SequentialLR as SequentialLR
from .cosine import (
    CosineAnnealingLR as CosineAnnealingLR,
    CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts,
)
from .cycles import CyclicLR as CyclicLR, OneCycleLR as OneCycleLR
from .factors import (
    ConstantLR as ConstantLR,
    ExponentialLR as ExponentialLR,
    LambdaLR as LambdaLR,
    LinearLR as LinearLR,
    LinearWarmup as LinearWarmup,
    MultiStepLR as MultiStepLR,
    StepLR as StepLR,
)
from .plateau import ReduceLROnPlateau as ReduceLROnPlateau
