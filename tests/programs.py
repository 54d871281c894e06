"""What the tests of `tg.jit` ask of a jitted function's last program, and what they give it."""

from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.compiler.runtime.part import Interpreted


def series(*shape: int, dtype: str = "float64", grad: bool = True) -> Any:
    """An input, the same at every call."""
    return tg.tensor(
        np.random.default_rng(1).standard_normal(shape).astype(dtype), requires_grad=grad
    )


def leaf(*shape: int, seed: int = 0, grad: bool = True) -> Any:
    """A weight or an input of small numbers."""
    values = np.random.default_rng(seed).standard_normal(shape) / 2
    return tg.tensor(values, requires_grad=grad)


def loops(fast: Any) -> list[int]:
    """Steps of the loops of the last program."""
    program = fast._last.compiled.program
    return [item.count for item in program.items if hasattr(item, "count")]


def op_by_op(fast: Any) -> list[str]:
    """Why loops of the last program, forward and backward, have no kernel."""
    compiled = fast._last.compiled
    parts = [compiled.forward]
    if compiled.wanted:
        key = tuple(compiled.wanted), tuple(compiled.differentiable)
        parts.append(compiled.backward(*key).part)
    return [step.why for part in parts for step in part.steps if isinstance(step, Interpreted)]


def kernels(fast: Any) -> int:
    """How many loops of the last program run as generated kernels; none may be refused."""
    assert op_by_op(fast) == []
    return len(fast._last.compiled.forward.runners)
