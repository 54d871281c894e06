"""The order of gates in each library, and the options of a layer that others lack."""

from typing import Any

import numpy as np

from .. import nn
from ..errors import InterchangeError, kind
from ..nn.cell import Cell
from ..op import Array

# ours, and PyTorch's, are i f g o and r z n; places of ours in the order of the others
ONNX = {nn.RNN: (0,), nn.LSTM: (0, 3, 1, 2), nn.GRU: (1, 0, 2)}  # i o f c, z r h
KERAS = {nn.RNN: (0,), nn.LSTM: (0, 1, 2, 3), nn.GRU: (1, 0, 2)}  # i f c o, z r h


def in_order(rows: Array, order: tuple[int, ...]) -> Array:
    """Blocks of rows, one a gate, in another order."""
    blocks = np.split(rows, len(order))
    return np.concatenate([blocks[k] for k in order])


def back_in_order(rows: Array, order: tuple[int, ...]) -> Array:
    """The inverse of `in_order`."""
    return in_order(rows, tuple(np.argsort(order).tolist()))


def halves(cell: Any) -> tuple[Array, Array, Array, Array]:
    """W_ih, W_hh and the two biases of a cell, zeros where it has none."""
    W, U = cell.weight_ih.numpy(), cell.weight_hh.numpy()
    zero = np.zeros(len(W), W.dtype)
    b, c = (getattr(p, "numpy", lambda: zero)() for p in (cell.bias_ih, cell.bias_hh))
    return W, U, b, c


def model_or_refuse(who: str, model: object) -> None:
    """Raise unless it is a module of ours."""
    if not isinstance(model, nn.Module):
        raise InterchangeError(f"{who}: expected a model of tg.nn, a Module, got {kind(model)}")


def refuse(who: str, layer: str, module: Any, *options: str) -> None:
    """Raise for options of a recurrent layer, or a cell, that others do not have."""
    cell = module if isinstance(module, Cell) else next(iter(module._cells.values()))
    found = {
        "layer_norm": cell.gain_ih is not None,
        "zoneout": any(cell.zoneout),
        "proj_size": cell.output_size != cell.hidden_size,
        "peepholes": getattr(cell, "peephole", None) is not None,
        "reset_after=False": not getattr(cell, "reset_after", True),
        "num_layers": getattr(module, "num_layers", 1) > 1,
    }
    for option in options:
        if found[option]:
            raise InterchangeError(
                f"{who}: {layer} ({type(module).__name__}) has {option}, which cannot be carried"
            )
