"""Recurrent cells: one time step each, as on the blackboard.

A cell is called with the input of one step (N, I) and its state, and returns
the new state. Weights have PyTorch's names, shapes and gate order: weight_ih
(G H, I), weight_hh (G H, H), bias_ih and bias_hh (G H,), all starting uniform
within 1 / sqrt(H).
"""

import math
from typing import Any

import numpy as np

from .. import ops
from .._creation import zeros
from .._tensor import Tensor
from ..errors import DTypeError, ShapeError
from ..ops.random import Generator
from . import init
from .layers import sizes
from .module import Module, Parameter


class Cell(Module):
    """What the three cells share: their weights, zero states and checks."""

    gates: int
    states: tuple[str, ...] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        generator: Generator | None = None,
    ):
        sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        rows, bound = self.gates * hidden_size, 1 / math.sqrt(hidden_size)

        def weight(*shape: int) -> Parameter:
            return init.uniform_(Parameter(np.empty(shape, "f")), -bound, bound, generator)

        self.weight_ih, self.weight_hh = weight(rows, input_size), weight(rows, hidden_size)
        self.bias_ih: Any = weight(rows) if bias else 0
        self.bias_hh: Any = weight(rows) if bias else 0

    def initial_state(self, batch: int) -> Any:
        """Zeros (N, H): h, or (h, c) for the LSTM."""
        state = [zeros(batch, self.hidden_size, dtype=self.weight_hh.dtype) for _ in self.states]
        return state[0] if len(state) == 1 else tuple(state)

    def check(self, x: Any, state: Any) -> Any:
        """Raise unless the step's input and the state fit; make a zero state for None."""
        name, H = type(self).__name__, self.hidden_size
        if not isinstance(x, Tensor):
            raise DTypeError(f"{name}: x must be a Tensor, got {type(x).__name__}; use tg.tensor")
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
            if s.shape != (x.shape[0], H):
                raise ShapeError(
                    f"{name}: state {letter} must be ({x.shape[0]}, {H}), got {s.shape}"
                )
        return state

    def affine(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """W_ih x + b_ih and W_hh h + b_hh, all gates in one."""
        return (
            ops.linear(x, self.weight_ih, self.bias_ih),
            ops.linear(h, self.weight_hh, self.bias_hh),
        )


class RNNCell(Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu in place of tanh.

    Elman, Finding structure in time, Cognitive Science 14 (1990). Raises
    ShapeError for an input or state that does not fit.

    >>> import tinygrad_rnn as tg
    >>> RNNCell(3, 4)(tg.ones(2, 3)).shape
    (2, 4)
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        generator: Generator | None = None,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}"
            )
        super().__init__(input_size, hidden_size, bias, generator)
        self.nonlinearity = nonlinearity

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        h = self.check(x, h)
        a, b = self.affine(x, h)
        y: Tensor = ops.tanh(a + b) if self.nonlinearity == "tanh" else ops.relu(a + b)
        y.name = "h"  # as diagrams call it
        return y


class LSTMCell(Cell):
    """i, f, g, o = gates of W_ih x + b_ih + W_hh h + b_hh; c' = f c + i g; h' = o tanh(c').

    i, f, o through sigmoid, g through tanh. Hochreiter and Schmidhuber, Neural
    Computation 9 (1997), with the forget gate of Gers et al. (2000).
    `forget_bias` is the sum of the forget gate's two biases at the start (None:
    as drawn); Jozefowicz et al., ICML 2015, advise 1.

    >>> import tinygrad_rnn as tg
    >>> h, c = LSTMCell(3, 4)(tg.ones(2, 3))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    gates, states = 4, ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        forget_bias: float | None = None,
        generator: Generator | None = None,
    ):
        super().__init__(input_size, hidden_size, bias, generator)
        if forget_bias is not None:
            if not bias:
                raise ValueError("LSTMCell: forget_bias needs bias=True")
            for p, value in ((self.bias_ih, forget_bias), (self.bias_hh, 0.0)):
                b = p.numpy().copy()
                b[hidden_size : 2 * hidden_size] = value
                p.assign_(b)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        h, c = self.check(x, state)
        a, b = self.affine(x, h)
        i, f, g, o = (a + b).chunk(4, axis=1)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        c = f * c + i * g
        h = o * ops.tanh(c)
        i.name, f.name, g.name, o.name, h.name, c.name = "i", "f", "g", "o", "h", "c"
        return h, c


class GRUCell(Cell):
    """r, z through sigmoid; h' = (1 - z) n + z h.

    With reset_after (PyTorch, cuDNN): n = tanh(W_in x + b_in + r (W_hn h + b_hn)).
    Without, as in Cho et al., EMNLP 2014: n = tanh(W_in x + b_in + W_hn (r h) + b_hn).

    >>> import tinygrad_rnn as tg
    >>> GRUCell(3, 4)(tg.ones(2, 3)).shape
    (2, 4)
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        reset_after: bool = True,
        generator: Generator | None = None,
    ):
        super().__init__(input_size, hidden_size, bias, generator)
        self.reset_after = reset_after

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        h = self.check(x, h)
        if not self.reset_after:
            return self._reset_before(x, h)
        a, b = self.affine(x, h)
        (ar, az, an), (br, bz, bn) = a.chunk(3, axis=1), b.chunk(3, axis=1)
        r, z = ops.sigmoid(ar + br), ops.sigmoid(az + bz)
        n = ops.tanh(an + r * bn)
        y: Tensor = (1 - z) * n + z * h
        r.name, z.name, n.name, y.name = "r", "z", "n", "h"
        return y

    def _reset_before(self, x: Tensor, h: Tensor) -> Tensor:
        H = self.hidden_size
        W, b = self.weight_hh, self.bias_hh
        ar, az, an = ops.linear(x, self.weight_ih, self.bias_ih).chunk(3, axis=1)
        d, e = (b[: 2 * H], b[2 * H :]) if isinstance(b, Tensor) else (0, 0)
        br, bz = ops.linear(h, W[: 2 * H], d).chunk(2, axis=1)
        r, z = ops.sigmoid(ar + br), ops.sigmoid(az + bz)
        n = ops.tanh(an + ops.linear(r * h, W[2 * H :], e))
        y: Tensor = (1 - z) * n + z * h
        r.name, z.name, n.name, y.name = "r", "z", "n", "h"
        return y
