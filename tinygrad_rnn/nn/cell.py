"""What all recurrent cells share: weights, zero states, checks, normalisation, zoneout."""

import math
from typing import Any

import numpy as np

from .. import ops
from ..creation import zeros
from ..errors import DTypeError, ShapeError, kind
from ..ops.random import Generator
from ..tensors import Tensor
from . import init
from .layers import sizes
from .module import Module, Parameter


class Cell(Module):
    """One step of a recurrent network: `state = cell(x, state)`, with PyTorch's parameters.

    x is (N, I) and states are (N, H); a single row (I,) with states (H,) will do. Options
    of every cell: `layer_norm` normalises W_ih x and W_hh h over all gates together, each
    with a gain (gain_ih, gain_hh), before the biases are added (Ba, Kiros and Hinton 2016).
    `zoneout`, a probability for all states or one for each, lets a unit keep its old value
    in training and takes the mean of both cases in evaluation (Krueger et al., ICLR 2017).
    `recurrent_mask` multiplies h on its way into the recurrent product: drawn once a
    sequence by `tg.dropout(tg.ones(N, H), p)` it is the dropout of Gal and Ghahramani,
    NeurIPS 2016.
    """

    gates: int
    states: tuple[str, ...] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        generator: Generator | None = None,
        layer_norm: bool = False,
        zoneout: float | tuple[float, ...] = 0.0,
        proj_size: int = 0,
    ):
        name = type(self).__name__
        sizes(name, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.output_size = proj_size or hidden_size
        self.generator = generator
        rows = self.gates * hidden_size
        self.weight_ih, self.weight_hh = (
            self._weight(rows, n) for n in (input_size, self.output_size)
        )
        self.bias_ih: Any = self._weight(rows) if bias else 0
        self.bias_hh: Any = self._weight(rows) if bias else 0
        self.gain_ih: Any = Parameter(np.ones(rows, "f")) if layer_norm else None
        self.gain_hh: Any = Parameter(np.ones(rows, "f")) if layer_norm else None
        given = zoneout if isinstance(zoneout, tuple | list) else (zoneout,) * len(self.states)
        self.zoneout: tuple[float, ...] = tuple(given)
        if len(self.zoneout) != len(self.states) or not all(0 <= p < 1 for p in self.zoneout):
            letters = " and ".join(self.states)
            raise ShapeError(f"{name}: zoneout must be in [0, 1), for {letters}; got {zoneout}")

    def _weight(self, *shape: int) -> Parameter:
        bound = 1 / math.sqrt(self.hidden_size)
        return init.uniform_(Parameter(np.empty(shape, "f")), -bound, bound, self.generator)

    def step(self, x: Tensor, state: Any, recurrent_mask: Any) -> Any:
        """The new state of a batch; every cell says how."""
        raise NotImplementedError(f"{type(self).__name__} must define step(x, state, mask)")

    def forward(self, x: Tensor, state: Any = None, recurrent_mask: Any = None) -> Any:
        if isinstance(x, Tensor) and x.ndim == 1:
            return self._row(x, state, recurrent_mask)
        old = self._check(x, state)
        new = self.step(x, old, recurrent_mask)
        return self._zoned(new, old) if any(self.zoneout) else new

    def _row(self, x: Tensor, state: Any, mask: Any) -> Any:
        """A single row, as PyTorch takes it."""
        if state is not None:
            state = tuple([s[None] for s in state]) if isinstance(state, tuple) else state[None]
        new = self.forward(x[None], state, mask)
        return tuple([s[0] for s in new]) if isinstance(new, tuple) else new[0]

    def _zoned(self, new: Any, old: Any) -> Any:
        if not isinstance(new, tuple):
            return self._zone(self.zoneout[0], new, old)
        return tuple([self._zone(*z) for z in zip(self.zoneout, new, old, strict=True)])

    def _zone(self, p: float, new: Tensor, old: Any) -> Tensor:
        if not p:
            return new
        change = ops.dropout(new - old, p, self.training, self.generator)
        y: Tensor = old + (1 - p) * change  # dropout scales what it lets through
        y.name = new.name
        return y

    @property
    def dtype(self) -> Any:
        """Dtype of the parameters."""
        known = vars(self).get("weight_hh")  # unless it is computed: 0.1 us, and 5 below
        return known.dtype if known is not None else self.parameters()[0].dtype

    def width(self, letter: str) -> int:
        """The size of a state: only h is projected."""
        return self.output_size if letter == "h" else self.hidden_size

    def initial_state(self, batch: int) -> Any:
        """Zeros (N, H): h, or (h, c) for the LSTM."""
        state = [zeros(batch, self.width(s), dtype=self.dtype) for s in self.states]
        return state[0] if len(state) == 1 else tuple(state)

    def _check(self, x: Any, state: Any) -> Any:
        """Raise unless the step's input and the state fit; make a zero state for None."""
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise DTypeError(f"{name}: x must be a Tensor, got {kind(x)}; use tg.tensor")
        if x.ndim != 2 or x.shape[1] != self.input_size:
            raise ShapeError(
                f"{name}: x must be (N, {self.input_size}), one step of the series; got {x.shape}"
            )
        if state is None:
            return self.initial_state(x.shape[0])
        parts = state if isinstance(state, tuple) else (state,)
        if len(parts) != len(self.states):
            wanted = " and ".join(self.states)
            raise ShapeError(f"{name}: the state is {wanted}, got {len(parts)} tensors")
        for letter, s in zip(self.states, parts, strict=True):
            if s.shape != (x.shape[0], self.width(letter)):
                wanted = f"({x.shape[0]}, {self.width(letter)})"
                raise ShapeError(f"{name}: state {letter} must be {wanted}, got {s.shape}")
        return state

    def both(self, x: Tensor, h: Tensor, mask: Any) -> tuple[Tensor, Tensor]:
        """W_ih x + b_ih and W_hh h + b_hh, all gates in one."""
        h = h if mask is None else h * mask
        return (
            self.affine(x, self.weight_ih, self.bias_ih, self.gain_ih),
            self.affine(h, self.weight_hh, self.bias_hh, self.gain_hh),
        )

    def affine(self, x: Tensor, W: Tensor, b: Any, gain: Any) -> Tensor:
        """W x + b; with a gain LN(W x) gain + b."""
        if gain is None:
            return ops.linear(x, W, b)
        return self.normalized(ops.linear(x, W, 0)) * gain + b

    def normalized(self, y: Tensor) -> Tensor:
        """Mean 0 and variance 1 over all gates of a row."""
        return ops.normalize(y)
