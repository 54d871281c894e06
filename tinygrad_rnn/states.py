"""Public names for states on disk: one safetensors file, written whole or not at all."""

import os
from typing import Any

from .errors import CheckpointError


def save(path: str | os.PathLike[str], state: Any) -> None:
    """Write a state dict to one safetensors file, whole or not at all.

    A state is what `state_dict()` of modules, optimisers and schedules gives, or dicts,
    lists and tuples of such, of tensors, arrays, numbers, strings and None. Arrays stand in
    the file under their names, so that any program that knows safetensors reads a model's
    state dict. A digest covers every byte. `train.save` keeps a whole training run. Raises
    CheckpointError, a file that was there before untouched, for what cannot be stored or
    written.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> model = tg.nn.Linear(3, 2)
    >>> tg.save(path, model.state_dict())
    >>> twin = tg.nn.Linear(3, 2)
    >>> twin.load_state_dict(tg.load(path))
    """
    from .storage import write  # safetensors is loaded by whoever saves or loads

    if not isinstance(path, str | os.PathLike):
        raise CheckpointError(
            f"tg.save: the path comes first, tg.save(path, state); got a {type(path).__name__}"
        )
    if hasattr(state, "state_dict"):
        raise CheckpointError(
            f"tg.save: got a {type(state).__name__}; save its state, tg.save(path, x.state_dict())"
        )
    write(path, state, "tg.save")


def load(path: str | os.PathLike[str]) -> Any:
    """Read what `save` wrote, or another program's safetensors file, as a dict of arrays.

    PyTorch's bfloat16, which NumPy does not have, becomes float32, to which it is exact.
    Nothing in a file is ever executed. Raises CheckpointError for a file that is missing, cut,
    changed in any bit since `save`, or no safetensors file.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/state.safetensors"
    >>> tg.save(path, {"epoch": 3, "W": tg.ones(2)})
    >>> tg.load(path)
    {'epoch': 3, 'W': array([1., 1.], dtype=float32)}
    """
    from .storage import read

    if not isinstance(path, str | os.PathLike):
        raise CheckpointError(f"tg.load: needs a path, got a {type(path).__name__}")
    return read(path, "tg.load", foreign=True)
