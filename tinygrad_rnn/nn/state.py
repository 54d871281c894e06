"""State dicts: every parameter and buffer of a module under its paths, out and in."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import DTypeError, GraphError, ShapeError
from ..op import Array
from ..tensors import Tensor


class Held(NamedTuple):
    """A parameter or a buffer, and the attribute of which module it is."""

    owner: Any
    name: str
    tensor: Tensor


def every_name(module: object) -> dict[str, Held]:
    """What a state dict holds by path: a shared parameter under each of its paths."""
    return dict(_walk(module, ()))


def _walk(module: Any, above: tuple[int, ...]) -> Iterator[tuple[str, Held]]:
    inside = list(module._named())
    below = [(name, child) for name, child in inside if not isinstance(child, Tensor)]
    yield from ((n, Held(module, n, p)) for n, p in inside if isinstance(p, Tensor))
    yield from ((n, Held(module, n, b)) for n, b in module._own_buffers(kept=True))
    above = (*above, id(module))
    for name, child in below:
        if id(child) not in above:
            yield from ((f"{name}.{n}", held) for n, held in _walk(child, above))


def load(module: object, state: Mapping[str, Any], strict: bool) -> None:
    """Write values into a module's parameters and buffers, all or none."""
    own = every_name(module)
    arrays = {name: _as_array(name, v) for name, v in state.items()}
    given: dict[int, str] = {}  # by tensor: the path that its value comes from
    problems = []
    for name, (_, _, p) in own.items():
        if name not in arrays:
            continue
        first = given.setdefault(id(p), name)
        if arrays[name].shape != p.shape:
            problems.append(f"shape: {name} is {p.shape} here, {arrays[name].shape} there")
        elif not np.array_equal(arrays[first], arrays[name], equal_nan=True):
            problems.append(f"shared: {first} and {name} are one here, of two values there")
    if strict:
        lost = [(n, held.tensor) for n, held in own.items() if id(held.tensor) not in given]
        problems += [f"missing: {name} {p.shape}" for name, p in lost]
        problems += [f"unexpected: {n} {a.shape}" for n, a in arrays.items() if n not in own]
    if problems:
        listing = "\n  ".join(problems)
        raise ShapeError(
            f"load_state_dict: nothing was loaded into {type(module).__name__}\n  {listing}"
        )
    for name in given.values():
        owner, key, tensor = own[name]
        try:
            tensor.assign_(arrays[name])
        except GraphError:  # a buffer that an op made, or that shares another's values
            setattr(owner, key, Tensor(arrays[name].astype(tensor.dtype)))


def _as_array(name: str, value: Any) -> Array:
    if isinstance(value, Tensor):
        return value.numpy()
    if hasattr(value, "detach"):  # a PyTorch tensor, without importing PyTorch
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    array = np.asarray(value)
    if array.dtype.name in ("float16", "bfloat16"):  # the latter is ml_dtypes' and JAX's
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"load_state_dict: {name} holds {array.dtype} values, not numbers")
    return array
