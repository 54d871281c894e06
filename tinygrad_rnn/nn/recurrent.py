"""RNN, LSTM and GRU over whole sequences: layers, directions, ragged batches.

Plain loops over the cells of `cells.py`; backpropagation through time emerges
when `backward()` walks the graph that the loop leaves behind.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor, as_tensor, constant
from ..autodiff import scope, step
from ..errors import DTypeError, ShapeError
from ..op import local
from ..ops.random import Generator
from . import init
from .cells import Cell, GRUCell, LSTMCell, RNNCell
from .layers import sizes
from .module import Module, Parameter


def unroll(
    cell: Any, x: Tensor, state: Any, masks: Sequence[Any] | None = None, reverse: bool = False
) -> tuple[Tensor, Any]:
    """Run a cell over x (T, N, I): the outputs (T, N, H) and the last state.

    `cell(x_t, state)` returns the new state, a tensor or a tuple of which the first
    is the output. `masks` are T booleans (N, 1), None
    where all rows are live; elsewhere a row keeps its state and puts out 0.
    """
    T = x.shape[0]
    outputs: list[Any] = [None] * T
    order = range(T - 1, -1, -1) if reverse else range(T)
    for t, x_t in zip(order, reversed(x) if reverse else x, strict=True):
        new = cell(x_t, state)
        live = None if masks is None else masks[t]
        if live is not None:
            with scope(cell.__dict__.get("_scope", "")):  # the state is the cell's, masked too
                new = _where(live, new, state)
        h = new[0] if isinstance(new, tuple) else new
        outputs[t] = h if live is None else ops.where(live, h, 0)
        state = new
    return ops.stack(outputs), state


def _where(live: Any, new: Any, old: Any) -> Any:
    if isinstance(new, tuple):
        return tuple([_where(live, a, b) for a, b in zip(new, old, strict=True)])
    kept = ops.where(live, new, old)
    kept.name = new.name
    return kept


def inside(x: Tensor, lengths: Tensor) -> tuple[Tensor, list[Any]]:
    """x (T, N, I) with 0 beyond each sequence, and by step the rows (N, 1) that are inside one.

    None for a row of masks where surely all are. What stands in the padding, NaN too, would
    else reach the weights as 0 * NaN. Made with ops, and of a recording for all steps alike:
    so it holds for any lengths.
    """
    T = x.shape[0]
    column = ops.reshape(lengths, shape=(-1, 1))
    live = ops.lt(constant(np.arange(T)[:, None, None]), column)
    live.name = "mask"  # as diagrams call it
    shortest = 0 if local.now.recorder is not None else int(lengths.numpy().min())
    if shortest < T:
        x = ops.where(live, x, 0)
    return x, [None if t < shortest else live[t] for t in range(T)]


class Recurrent(Module):
    """What RNN, LSTM and GRU share; see `LSTM` for shapes and options."""

    cell: type[Cell]
    _cells: dict[str, Cell]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        recurrent_init: str | None = None,
        generator: Generator | None = None,
        **options: Any,
    ):
        name = type(self).__name__
        sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= dropout < 1:
            raise ShapeError(f"{name}: dropout must be in [0, 1), got {dropout}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.generator = bidirectional, generator
        self._directions = ("", "_reverse") if bidirectional else ("",)
        self.__dict__["_cells"] = {}  # the parameters are known by PyTorch's flat names
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * len(self._directions)
            for suffix in self._directions:
                cell = self.cell(width, hidden_size, bias, generator=generator, **options)
                _recurrent_init(name, cell.weight_hh, recurrent_init, generator)
                self._adopt(f"l{layer}{suffix}", cell)

    def _adopt(self, key: str, cell: Cell) -> None:
        """Show a cell's parameters as weight_ih_l0 ..., the names of PyTorch's state dict."""
        self.__dict__["_cells"][key] = cell
        cell.__dict__["_scope"] = key
        for name, p in cell._named():
            p.name = None
            setattr(self, f"{name}_{key}", p)

    def _named(self) -> Iterator[tuple[str, Any]]:
        """The parameters under those names, and not once more inside the cells."""
        yield from ((name, p) for name, p in super()._named() if isinstance(p, Parameter))

    def __setattr__(self, key: str, value: Any) -> None:
        """Give a replaced parameter to the cell that uses it, too."""
        super().__setattr__(key, value)
        name, _, cell = key.partition("_l")
        if isinstance(value, Parameter) and f"l{cell}" in self.__dict__.get("_cells", {}):
            object.__setattr__(self._cells[f"l{cell}"], name, value)

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """Return outputs (T, N, D H) and the final state; see the class."""
        x, masks = self._check_input(x, lengths)
        states = self._initial(state, x.shape[1])
        last: list[Any] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = ops.dropout(x, self.dropout, self.training, self.generator)
            outputs = []
            for d, suffix in enumerate(self._directions):
                start = states[layer * len(self._directions) + d]
                y, end = unroll(self._cells[f"l{layer}{suffix}"], x, start, masks, bool(suffix))
                outputs.append(y)
                last.append(end)
            x = outputs[0] if len(outputs) == 1 else ops.concat(outputs, axis=2)
        with step(None):
            y = ops.swapaxes(x, 0, 1) if self.batch_first else x
            return y, self._stacked(last)

    def _stacked(self, last: list[Any]) -> Any:
        if len(self.cell.states) == 1:
            return ops.stack(last)
        return tuple([ops.stack(list(s)) for s in zip(*last, strict=True)])

    def _check_input(self, x: Any, lengths: Any) -> tuple[Tensor, Any]:
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise DTypeError(f"{name}: x must be a Tensor, got {type(x).__name__}; use tg.tensor")
        axes = "(N, T, {})" if self.batch_first else "(T, N, {})"
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ShapeError(f"{name}: x must be {axes.format(self.input_size)}, got {x.shape}")
        if self.batch_first:
            x = ops.swapaxes(x, 0, 1)
        T, N, _ = x.shape
        if not T or not N:
            what = "time step" if not T else "sequence in the batch"
            raise ShapeError(f"{name}: needs at least one {what}, got x of shape {x.shape}")
        dtype = self._cells["l0"].weight_hh.dtype
        if x.dtype != dtype:
            raise DTypeError(f"{name}: x is {x.dtype}, the weights {dtype}; convert with .astype")
        if lengths is None:
            return x, None
        with step(None):
            return inside(x, _check_lengths(name, lengths, T, N))

    def _initial(self, state: Any, N: int) -> list[Any]:
        """One start state for each layer and direction."""
        cells = list(self._cells.values())
        if state is None:
            return [cell.initial_state(N) for cell in cells]
        name, letters = type(self).__name__, self.cell.states
        parts = state if isinstance(state, tuple) else (state,)
        if len(parts) != len(letters):
            words = " and ".join(f"{s}0" for s in letters)
            raise ShapeError(f"{name}: the initial state is {words}, got {len(parts)} tensors")
        wanted = (len(cells), N, self.hidden_size)
        for letter, s in zip(letters, parts, strict=True):
            if s.shape != wanted:
                raise ShapeError(
                    f"{name}: {letter}0 must be {wanted}, layers x directions first (also with "
                    f"batch_first), got {s.shape}"
                )
        split = [ops.unstack(s) for s in parts]
        return split[0] if len(split) == 1 else list(zip(*split, strict=True))


def _check_lengths(name: str, lengths: Any, T: int, N: int) -> Tensor:
    known = as_tensor(lengths)
    if known.dtype.kind not in "iu":
        raise DTypeError(f"{name}: lengths must be integers, got {known.dtype}")
    if known.shape != (N,):
        raise ShapeError(f"{name}: lengths must be ({N},), one a sequence, got {known.shape}")
    if local.now.recorder is None:  # else the numbers may be others at the next call
        array = known.numpy()
        if array.min() < 1 or array.max() > T:
            bad = int(array.min() if array.min() < 1 else array.max())
            raise ShapeError(f"{name}: lengths must be from 1 to {T}, the steps of x; got {bad}")
    return known


def _recurrent_init(
    name: str, weight: Parameter, how: str | None, generator: Generator | None
) -> None:
    if how == "orthogonal":
        init.recurrent_orthogonal_(weight, generator=generator)
    elif how == "identity":
        init.identity_(weight)
    elif how is not None:
        raise ValueError(f"{name}: recurrent_init must be 'orthogonal', 'identity' or None")


class RNN(Recurrent):
    """Elman network over sequences, tanh or relu: shapes and options as in `LSTM`.

    `recurrent_init="identity"` with `nonlinearity="relu"` is the IRNN of Le, Jaitly
    and Hinton (2015). Returns (output, h_n).

    >>> import tinygrad_rnn as tg
    >>> y, h = RNN(3, 4, nonlinearity="relu", recurrent_init="identity")(tg.ones(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """

    cell = RNNCell


class LSTM(Recurrent):
    """Long short-term memory over sequences: `nn.LSTM(I, H)(x, (h0, c0), lengths)`.

    x is (T, N, I), or (N, T, I) with batch_first; output (T, N, D H) likewise, D = 2
    if bidirectional. h0, c0, h_n and c_n are (layers D, N, H), whatever batch_first
    says. Parameters have PyTorch's names (weight_ih_l0, weight_hh_l0, bias_ih_l0,
    bias_hh_l0, ..., weight_ih_l0_reverse), so a PyTorch state dict loads by name.

    `lengths` (N,), whole numbers from 1 to T in a list, an array or a tensor, are the true
    lengths in a padded batch, in any order: steps beyond them put out 0 and change no
    state, the final states are those at each true end, and the reverse direction starts
    there. Give a function under `tg.jit` a tensor of them: one recording then serves
    them all, where a list of numbers is part of the recording and each other one is
    recorded anew. A recording cannot refuse a length: below 1 a sequence never begins
    (outputs 0, the states as they were), above T it has T steps.

    `dropout` acts between layers, in
    training. `forget_bias` sets the forget gate's bias at the start;
    `recurrent_init` "orthogonal" (Saxe et al. 2014) or "identity" fills the
    recurrent weight gate by gate. Float32 unless `.astype("float64")`.

    Raises ShapeError or DTypeError for inputs, states or lengths that do not fit.
    Hochreiter and Schmidhuber, Neural Computation 9 (1997).

    >>> import tinygrad_rnn as tg
    >>> y, (h, c) = LSTM(3, 4, num_layers=2)(tg.ones(5, 2, 3), lengths=[5, 3])
    >>> y.shape, h.shape, y[4, 1].tolist()
    ((5, 2, 4), (2, 2, 4), [0.0, 0.0, 0.0, 0.0])
    """

    cell = LSTMCell


class GRU(Recurrent):
    """Gated recurrent unit over sequences: shapes and options as in `LSTM`.

    `reset_after=False` is the form of Cho et al. (2014), True PyTorch's. Returns
    (output, h_n).

    >>> import tinygrad_rnn as tg
    >>> y, h = GRU(3, 4, bidirectional=True)(tg.ones(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 8), (2, 2, 4))
    """

    cell = GRUCell
