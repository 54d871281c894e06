"""Recurrent networks as on the blackboard: write the loop, see every gradient, run it fast."""

from . import nn as nn, ops as ops, optim as optim, testing as testing
from ._creation import (
    arange as arange,
    empty as empty,
    eye as eye,
    full as full,
    full_like as full_like,
    ones as ones,
    ones_like as ones_like,
    rand as rand,
    randn as randn,
    tensor as tensor,
    zeros as zeros,
    zeros_like as zeros_like,
)
from ._tensor import Tensor as Tensor
from .autodiff import (
    detect_anomaly as detect_anomaly,
    grad as grad,
    no_grad as no_grad,
    scope as scope,
    step as step,
)
from .errors import (
    AnomalyError as AnomalyError,
    DataError as DataError,
    DTypeError as DTypeError,
    GraphError as GraphError,
    ShapeError as ShapeError,
)
from .ops import *  # noqa: F403
from .ops import abs as abs, max as max, min as min, pow as pow, sum as sum

__version__ = "0.1.0"
