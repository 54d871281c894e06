"""Recurrent cells: one time step each, as on the blackboard.

A cell is called with the input of one step (N, I) and its state, and returns
the new state. Weights have PyTorch's names, shapes and gate order: weight_ih
(G H, I), weight_hh (G H, H), bias_ih and bias_hh (G H,), all starting uniform
within 1 / sqrt(H).
"""

from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..ops.random import Generator
from ..tensors import Tensor
from .cell import Cell
from .module import Parameter


class RNNCell(Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu in place of tanh.

    Elman, Finding structure in time, Cognitive Science 14 (1990). Options as in `LSTMCell`.
    Raises ShapeError for an input or state that does not fit.

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
        *,
        layer_norm: bool = False,
        zoneout: float = 0.0,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}"
            )
        super().__init__(input_size, hidden_size, bias, generator, layer_norm, zoneout)
        self.nonlinearity = nonlinearity

    def step(self, x: Tensor, h: Tensor, recurrent_mask: Any) -> Tensor:
        a, b = self.both(x, h, recurrent_mask)
        y: Tensor = ops.tanh(a + b) if self.nonlinearity == "tanh" else ops.relu(a + b)
        y.name = "h"  # as diagrams call it
        return y


class LSTMCell(Cell):
    """i, f, g, o = gates of W_ih x + b_ih + W_hh h + b_hh; c' = f c + i g; h' = o tanh(c').

    i, f, o through sigmoid, g through tanh. Hochreiter and Schmidhuber, Neural
    Computation 9 (1997), with the forget gate of Gers et al. (2000).
    `forget_bias` is the sum of the forget gate's two biases at the start (None:
    as drawn); Jozefowicz et al., ICML 2015, advise 1.

    `proj_size` P makes h' = weight_hr (o tanh(c')), (N, P), with weight_hr (P, H), as in
    PyTorch. `peepholes` let gates see c: i and f add p_i c and p_f c, o adds p_o c', with
    `peephole` (3 H,) = p_i, p_o, p_f in the order of ONNX's input P (Gers and Schmidhuber
    2000). `layer_norm` normalises W_ih x, W_hh h and the c' in h' = o tanh(LN(c') gain_c +
    bias_c); `zoneout` p, or a pair for h and c, keeps units as they were: see `Cell`.

    >>> h, c = LSTMCell(3, 4, proj_size=2, layer_norm=True)(tg.ones(5, 3))
    >>> h.shape, c.shape
    ((5, 2), (5, 4))
    """

    gates, states = 4, ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        forget_bias: float | None = None,
        generator: Generator | None = None,
        *,
        proj_size: int = 0,
        peepholes: bool = False,
        layer_norm: bool = False,
        zoneout: float | tuple[float, float] = 0.0,
    ):
        if not isinstance(proj_size, int | np.integer) or not 0 <= proj_size < hidden_size:
            raise ShapeError(
                "LSTMCell: proj_size must be a whole number from 0 (none) to hidden_size - 1, "
                f"got {proj_size!r}"
            )
        super().__init__(input_size, hidden_size, bias, generator, layer_norm, zoneout, proj_size)
        self.weight_hr = self._weight(proj_size, hidden_size) if proj_size else None
        self.peephole = self._weight(3 * hidden_size) if peepholes else None
        self.gain_c = Parameter(np.ones(hidden_size, "f")) if layer_norm else None
        self.bias_c: Any = Parameter(np.zeros(hidden_size, "f")) if layer_norm and bias else 0
        if forget_bias is not None:
            if not bias:
                raise ValueError("LSTMCell: forget_bias needs bias=True")
            for p, value in ((self.bias_ih, forget_bias), (self.bias_hh, 0.0)):
                b = p.numpy().copy()
                b[hidden_size : 2 * hidden_size] = value
                p.assign_(b)

    def step(
        self, x: Tensor, state: tuple[Tensor, Tensor], recurrent_mask: Any
    ) -> tuple[Tensor, Tensor]:
        h, c = state
        a, b = self.both(x, h, recurrent_mask)
        i, f, g, o = (a + b).chunk(4, axis=1)
        if self.peephole is not None:
            p_i, p_o, p_f = self.peephole.chunk(3)
            i, f = i + p_i * c, f + p_f * c
        i, f, g = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g)
        c = f * c + i * g
        o = ops.sigmoid(o if self.peephole is None else o + p_o * c)
        shown = c if self.gain_c is None else ops.normalize(c) * self.gain_c + self.bias_c
        h = o * ops.tanh(shown)
        if self.weight_hr is not None:
            h = ops.linear(h, self.weight_hr, 0)
        i.name, f.name, g.name, o.name, h.name, c.name = "i", "f", "g", "o", "h", "c"
        return h, c


class GRUCell(Cell):
    """r, z through sigmoid; h' = (1 - z) n + z h.

    With reset_after (PyTorch, cuDNN): n = tanh(W_in x + b_in + r (W_hn h + b_hn)).
    Without, as in Cho et al., EMNLP 2014: n = tanh(W_in x + b_in + W_hn (r h) + b_hn).
    With `layer_norm` the rows of r and z are normalised together, those of n by
    themselves. Options as in `LSTMCell`.

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
        *,
        layer_norm: bool = False,
        zoneout: float = 0.0,
    ):
        super().__init__(input_size, hidden_size, bias, generator, layer_norm, zoneout)
        self.reset_after = reset_after

    def step(self, x: Tensor, h: Tensor, recurrent_mask: Any) -> Tensor:
        if not self.reset_after:
            return self._reset_before(x, h, recurrent_mask)
        a, b = self.both(x, h, recurrent_mask)
        (ar, az, an), (br, bz, bn) = a.chunk(3, axis=1), b.chunk(3, axis=1)
        r, z = ops.sigmoid(ar + br), ops.sigmoid(az + bz)
        n = ops.tanh(an + r * bn)
        return self._mixed(r, z, n, h)

    def _reset_before(self, x: Tensor, h: Tensor, mask: Any) -> Tensor:
        k, seen = 2 * self.hidden_size, h if mask is None else h * mask
        parts = self.weight_hh, self.bias_hh, self.gain_hh
        gates, new = (
            [p[rows] if isinstance(p, Tensor) else p for p in parts]
            for rows in (slice(k), slice(k, None))
        )
        a = self.affine(x, self.weight_ih, self.bias_ih, self.gain_ih)
        ar, az, an = a.chunk(3, axis=1)
        br, bz = self.affine(seen, *gates).chunk(2, axis=1)
        r, z = ops.sigmoid(ar + br), ops.sigmoid(az + bz)
        n = ops.tanh(an + self.affine(r * seen, *new))
        return self._mixed(r, z, n, h)

    def _mixed(self, r: Tensor, z: Tensor, n: Tensor, h: Tensor) -> Tensor:
        y: Tensor = (1 - z) * n + z * h
        r.name, z.name, n.name, y.name = "r", "z", "n", "h"
        return y

    def normalized(self, y: Tensor) -> Tensor:
        """The rows of r and z together, those of n by themselves."""
        k = 2 * self.hidden_size
        if y.shape[1] <= k:
            return ops.normalize(y)
        return ops.concat([ops.normalize(y[:, :k]), ops.normalize(y[:, k:])], axis=1)
