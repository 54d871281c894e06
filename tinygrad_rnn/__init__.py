"""Recurrent networks as on the blackboard: write the loop, see every gradient, run it fast."""

import importlib
from typing import TYPE_CHECKING, Any

from . import dtypes, nn as nn, op as op, ops as ops, optim as optim, testing as testing
from .autodiff import grad as grad
from .creation import (
    arange as arange,
    asarray as asarray,
    empty as empty,
    empty_like as empty_like,
    eye as eye,
    from_dlpack as from_dlpack,
    full as full,
    full_like as full_like,
    linspace as linspace,
    logspace as logspace,
    ones as ones,
    ones_like as ones_like,
    tensor as tensor,
    zeros as zeros,
    zeros_like as zeros_like,
)
from .drawn import rand as rand, randn as randn
from .dtypes import *  # noqa: F403
from .errors import (
    AnomalyError as AnomalyError,
    AuditError as AuditError,
    CaptureError as CaptureError,
    CaptureWarning as CaptureWarning,
    CheckpointError as CheckpointError,
    CompilerWarning as CompilerWarning,
    DataError as DataError,
    DTypeError as DTypeError,
    GraphError as GraphError,
    InterchangeError as InterchangeError,
    RenderError as RenderError,
    ShapeError as ShapeError,
)
from .ops import *  # noqa: F403
from .states import load as load, save as save
from .switches import (
    detect_anomaly as detect_anomaly,
    no_grad as no_grad,
    scope as scope,
    step as step,
)
from .tensors import Tensor as Tensor
from .words import hint

if TYPE_CHECKING:
    from . import interop as interop, train as train, viz as viz
    from .compiler import (
        clear_jit_cache as clear_jit_cache,
        disable_jit as disable_jit,
        jit as jit,
        set_num_threads as set_num_threads,
    )

__all__ = [
    "AnomalyError", "AuditError", "CaptureError", "CaptureWarning", "CheckpointError",
    "CompilerWarning", "DTypeError", "DataError", "GraphError", "InterchangeError", "RenderError",
    "ShapeError", "Tensor", "arange", "asarray", "clear_jit_cache", "detect_anomaly", "disable_jit",
    "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "grad", "interop", "jit",
    "linspace", "load", "logspace", "nn", "no_grad", "ones", "ones_like", "op", "ops", "optim",
    "rand", "randn", "save", "scope", "set_num_threads", "step", "tensor", "testing", "train",
    "viz", "zeros", "zeros_like",
]  # fmt: skip
__all__ += dtypes.__all__
__all__ += ops.__all__
__version__ = "0.1.0"
_PACKAGES = ("interop", "train", "viz")
_COMPILER = ("clear_jit_cache", "disable_jit", "jit", "set_num_threads")


def __getattr__(name: str) -> Any:
    """What not everybody uses is loaded by whoever first asks for it."""
    if name in _PACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name in _COMPILER:
        from . import compiler

        globals().update({n: getattr(compiler, n) for n in _COMPILER})
        return globals()[name]
    raise AttributeError(hint(f"module 'tinygrad_rnn' has no attribute {name!r}", name))


def __dir__() -> list[str]:
    """What is meant for use; Python adds the files of the package to a module's attributes."""
    return [*__all__, "__doc__", "__version__"]
