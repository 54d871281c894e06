"""State dicts to and from PyTorch, as safetensors files."""

import os
from typing import Any

from .. import nn
from ..nn.cell import Cell
from ..nn.recurrent import Recurrent
from ..states import load, save
from .gates import model_or_refuse, refuse

Path = str | os.PathLike[str]
MISSING = ("layer_norm", "zoneout", "peepholes", "reset_after=False")


def to_pytorch(model: nn.Module, path: Path) -> None:
    """Write a model's state dict so that PyTorch's model of the same structure loads it.

    There: `model.load_state_dict(safetensors.torch.load_file(path))`. Names, shapes and gate
    orders are PyTorch's already; what this adds to `tg.save(path, model.state_dict())` is
    that layers which compute what PyTorch's of that name do not are refused. Raises
    InterchangeError naming layer and option, CheckpointError for a file that cannot be written.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/lstm.safetensors"
    >>> to_pytorch(nn.LSTM(3, 4, bidirectional=True), path)
    >>> from_pytorch(nn.LSTM(3, 4, bidirectional=True), path)
    """
    _check("to_pytorch", model)
    save(path, model.state_dict())


def from_pytorch(model: nn.Module, path: Path) -> None:
    """Load a safetensors file of PyTorch's state dict into a model of the same structure.

    Raises InterchangeError for layers that would compute something else with those weights,
    ShapeError listing what is missing, unexpected or of another shape.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/gru.safetensors"
    >>> tg.save(path, nn.GRU(3, 4).state_dict())  # as safetensors.torch.save_file does
    >>> from_pytorch(nn.GRU(3, 4), path)
    >>> from_pytorch(nn.GRU(3, 5), path)
    Traceback (most recent call last):
    tinygrad_rnn.errors.ShapeError: ...
    """
    _check("from_pytorch", model)
    model.load_state_dict(load(path))


def _check(who: str, model: Any) -> None:
    model_or_refuse(who, model)
    for path, module in model.named_modules():
        if isinstance(module, Recurrent | Cell):
            refuse(who, path or "the model", module, *MISSING)
