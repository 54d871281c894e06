"""What RNN, LSTM and GRU are made of: cells in layers and directions, over whole sequences.

Plain loops over the cells of `cells.py`; backpropagation through time emerges
when `backward()` walks the graph that the loop leaves behind.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import ops
from ..errors import DTypeError, ShapeError, kind
from ..op import primitive
from ..ops.random import Generator
from ..switches import step
from ..tensors import Tensor, as_tensor
from . import init
from .cell import Cell
from .layers import sizes
from .module import Module, Parameter
from .unrolling import inside, unroll


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
        *,
        variational: bool = False,
        recurrent_dropout: float = 0.0,
        **options: Any,
    ):
        name = type(self).__name__
        sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for what, p in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= p < 1:
                raise ShapeError(f"{name}: {what} must be in [0, 1), got {p}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.generator = bidirectional, generator
        self.variational, self.recurrent_dropout = variational, recurrent_dropout
        self._directions = ("", "_reverse") if bidirectional else ("",)
        self._check_options(options)
        self.__dict__["_cells"] = {}  # the parameters are known by PyTorch's flat names
        for layer in range(num_layers):
            for suffix in self._directions:
                cell = self.cell(input_size, hidden_size, bias, generator=generator, **options)
                _recurrent_init(name, cell, recurrent_init, generator)
                self._adopt(f"l{layer}{suffix}", cell)
            input_size = cell.output_size * len(self._directions)

    def _check_options(self, options: dict[str, Any]) -> None:
        """Raise for an option that neither the layer nor its cell has, naming the layer."""
        common = ("input_size", "hidden_size", "bias", "generator")
        takes = inspect.signature(self.cell).parameters
        known = [n for n in takes if n not in common]
        unknown = sorted(options.keys() - set(known))
        any_other = inspect.Parameter.VAR_KEYWORD in [p.kind for p in takes.values()]
        if unknown and not any_other:  # a cell of one's own may hand **options on
            name = type(self).__name__
            raise TypeError(
                f"{name}: unknown {', '.join(unknown)}; options of its cell are {', '.join(known)}"
            )

    def _adopt(self, key: str, cell: Cell) -> None:
        """Show a cell's parameters as weight_ih_l0 ..., the names of PyTorch's state dict."""
        self.__dict__["_cells"][key] = cell
        cell.__dict__["_scope"] = key
        for name, p in cell._named():
            p.name = None
            setattr(self, f"{name}_{key}", p)

    def _named(self) -> Iterator[tuple[str, Any]]:
        """The parameters under those names, and not once more inside the cells."""
        yield from ((name, p) for name, p in super()._named() if not name.startswith("_cells."))

    def _places(self, name: str) -> list[tuple[Module, str]]:
        own, _, cell = name.partition("_l")
        inside = self._cells.get(f"l{cell}")
        return [(self, name), *([] if inside is None else [(inside, own)])]

    def __setattr__(self, key: str, value: object) -> None:
        """Give a replaced parameter to the cell that uses it, too, and the mode to all."""
        super().__setattr__(key, value)
        if key == "training":
            for below in self.__dict__.get("_cells", {}).values():
                below.training = value
        name, _, cell = key.partition("_l")
        if isinstance(value, Parameter) and f"l{cell}" in self.__dict__.get("_cells", {}):
            object.__setattr__(self._cells[f"l{cell}"], name, value)

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """Return outputs (T, N, D H) and the final state; see the class."""
        if isinstance(x, Tensor) and x.ndim == 2:
            return self._single(x, state, lengths)
        x, masks = self._check_input(x, lengths)
        states = iter(self._initial(state, x.shape[1]))
        last: list[Any] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                axis = 0 if self.variational else None
                x = ops.dropout(x, self.dropout, self.training, self.generator, axis)
            outputs = []
            for suffix in self._directions:
                cell = self._cells[f"l{layer}{suffix}"]
                kept = self._recurrent_mask(cell, x)
                y, end = unroll(cell, x, next(states), masks, bool(suffix), **kept)
                outputs.append(y)
                last.append(end)
            x = outputs[0] if len(outputs) == 1 else ops.concat(outputs, axis=2)
        with step(None):
            y = ops.swapaxes(x, 0, 1) if self.batch_first else x
            return y, self._stacked(last)

    def _single(self, x: Tensor, state: Any, lengths: Any) -> tuple[Tensor, Any]:
        """One sequence (T, I) without a batch axis, as PyTorch takes it."""
        name, axis = type(self).__name__, 0 if self.batch_first else 1
        if lengths is not None:
            raise ShapeError(f"{name}: lengths need a batch, x of three axes; got {x.shape}")
        parts = state if isinstance(state, tuple) else () if state is None else (state,)
        for letter, s in zip(self.cell.states, parts, strict=False):
            if s.ndim != 2:
                raise ShapeError(
                    f"{name}: for a single sequence, x {x.shape}, {letter}0 must be (layers x "
                    f"directions, size), got {s.shape}"
                )
        wide = tuple([ops.expand_dims(s, 1) for s in parts])
        start = wide if isinstance(state, tuple) else wide[0] if wide else None
        y, last = self.forward(ops.expand_dims(x, axis), start)
        if isinstance(last, tuple):
            return ops.squeeze(y, axis), tuple([ops.squeeze(s, 1) for s in last])
        return ops.squeeze(y, axis), ops.squeeze(last, 1)

    def _recurrent_mask(self, cell: Cell, x: Tensor) -> dict[str, Any]:
        """What h is multiplied with on its way back into the cell, drawn once a sequence."""
        if not self.recurrent_dropout or not self.training:
            return {}
        ones = np.ones((x.shape[1], cell.output_size), x.dtype)
        mask = ops.dropout(ones, self.recurrent_dropout, True, self.generator)
        return {"recurrent_mask": mask}

    def _stacked(self, last: list[Any]) -> Any:
        if len(self.cell.states) == 1:
            return ops.stack(last)
        return tuple([ops.stack(list(s)) for s in zip(*last, strict=True)])

    def _check_input(self, x: Any, lengths: Any) -> tuple[Tensor, Any]:
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise DTypeError(f"{name}: x must be a Tensor, got {kind(x)}; use tg.tensor")
        axes = "(N, T, {})" if self.batch_first else "(T, N, {})"
        if x.ndim != 3 or x.shape[2] != self.input_size:
            raise ShapeError(f"{name}: x must be {axes.format(self.input_size)}, got {x.shape}")
        if self.batch_first:
            x = ops.swapaxes(x, 0, 1)
        T, N, _ = x.shape
        if not T or not N:
            what = "time step" if not T else "sequence in the batch"
            raise ShapeError(f"{name}: needs at least one {what}, got x of shape {x.shape}")
        dtype = self._cells["l0"].dtype
        if x.dtype != dtype:
            raise DTypeError(f"{name}: x is {x.dtype}, the weights {dtype}; convert with .astype")
        if lengths is None:
            return x, None
        with step(None):
            return inside(x, check_lengths(name, lengths, T, N))

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
        for letter, s in zip(letters, parts, strict=True):
            wanted = (len(cells), N, cells[0].width(letter))
            if s.shape != wanted:
                raise ShapeError(
                    f"{name}: {letter}0 must be {wanted}, layers x directions first (also with "
                    f"batch_first), got {s.shape}"
                )
        split = [ops.unstack(s) for s in parts]
        return list(split[0]) if len(split) == 1 else list(zip(*split, strict=True))


def check_lengths(name: str, lengths: Any, T: int, N: int) -> Tensor:
    known = as_tensor(lengths)
    if known.dtype.kind not in "iu":
        raise DTypeError(f"{name}: lengths must be integers, got {known.dtype}")
    if known.shape != (N,):
        raise ShapeError(f"{name}: lengths must be ({N},), one a sequence, got {known.shape}")
    return lengths_within(known, name=name, steps=T)


@primitive(  # type: ignore[untyped-decorator]
    shape=lambda x, *, name, steps: x.shape
)
def lengths_within(x: Any, *, name: str, steps: int) -> Any:
    """Lengths as they are; ShapeError unless each is from 1 to `steps`, also under `tg.jit`."""
    if x.size and (x.min() < 1 or x.max() > steps):
        bad = int(x.min() if x.min() < 1 else x.max())
        raise ShapeError(f"{name}: lengths must be from 1 to {steps}, the steps of x; got {bad}")
    return x


def _recurrent_init(name: str, cell: Cell, how: str | None, generator: Generator | None) -> None:
    if how not in ("orthogonal", "identity", None):
        raise ValueError(
            f"{name}: recurrent_init must be 'orthogonal', 'identity' or None, got {how!r}"
        )
    if how and cell.output_size != cell.hidden_size:
        raise ShapeError(f"{name}: recurrent_init is for square blocks, and proj_size makes none")
    if how == "orthogonal":
        init.recurrent_orthogonal_(cell.weight_hh, generator=generator)
    elif how == "identity":
        init.identity_(cell.weight_hh)
