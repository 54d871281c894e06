"""Weights that are computed from others at each use: weight normalisation."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import ops
from ..errors import GraphError
from ..op import local
from ..ops.shape import one_axis
from ..tensors import Tensor
from .module import Module, Parameter


class _Held(threading.local):
    """Weights computed for a loop that is under way in this thread, and in which recording."""

    def __init__(self) -> None:
        self.weights: dict[int, tuple[Any, Tensor]] = {}


_held = _Held()


class WeightNorm(Module):
    """W = g v / |v|, the norm over all axes but one: Salimans and Kingma, NeurIPS 2016.

    g is `original0` and v `original1`, as in PyTorch's parametrizations.
    """

    def __init__(self, weight: Tensor, axis: int | None):
        kept = None if axis is None else one_axis("weight_norm", axis, weight.ndim)
        self.axes = tuple([k for k in range(weight.ndim) if k != kept])
        v = weight.numpy()
        g = np.sqrt(np.sum(v * v, axis=self.axes, keepdims=kept is not None))
        self.original0 = Parameter(g, weight.requires_grad)
        self.original1 = Parameter(v, weight.requires_grad)

    def forward(self) -> Tensor:
        recorder, known = _held.weights.get(id(self), (None, None))
        if known is not None and recorder is local.now.recorder:
            return known
        g, v = self.original0, self.original1
        norm = ops.sqrt(ops.sum(v * v, axis=self.axes, keepdims=True))
        y: Tensor = v * (g / norm)
        return y


def weight_norm(module: Module, name: str = "weight", axis: int | None = 0) -> Module:
    """Split a module's weight into lengths and directions, which are trained in its place.

    W = g v / |v|, with a length g for each slice along `axis`, or one for all if it is None.
    State dicts hold g and v as PyTorch's do (`parametrizations.weight.original0` and
    `original1`); W is computed at each use, by `nn.unroll` and the layers once a sequence.
    Make the optimiser afterwards. Returns the module.

    Raises GraphError if the module has no such parameter, ShapeError for a wrong axis.

    >>> lstm = weight_norm(tg.nn.LSTM(3, 4), "weight_hh_l0")
    >>> sorted(n for n in lstm.state_dict() if "hh" in n)[1:]
    ['parametrizations.weight_hh_l0.original0', 'parametrizations.weight_hh_l0.original1']
    """
    weight = vars(module).get(name)
    if not isinstance(weight, Parameter):
        raise GraphError(f"weight_norm: {type(module).__name__} has no parameter {name!r}")
    computed = WeightNorm(weight, axis)
    for owner, key in module._places(name):
        del owner.__dict__[key]
        owner.parametrizations = {**vars(owner).get("parametrizations", {}), key: computed}
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Undo `weight_norm`: the weight is again a parameter, with its present values.

    >>> cell = tg.nn.weight_norm(tg.nn.GRUCell(3, 4), "weight_hh")
    >>> "weight_hh" in tg.nn.remove_weight_norm(cell, "weight_hh").state_dict()
    True
    """
    computed = vars(module).get("parametrizations", {}).get(name)
    if computed is None:
        raise GraphError(f"remove_weight_norm: {name!r} of {type(module).__name__} has none")
    weight = Parameter(computed().numpy(), computed.original1.requires_grad)
    for owner, key in module._places(name):
        rest = {k: v for k, v in vars(owner).pop("parametrizations").items() if k != key}
        if rest:
            owner.parametrizations = rest
        setattr(owner, key, weight)
    return module


@contextmanager
def computed_once(cell: Any) -> Iterator[None]:
    """Compute the weights in a cell now, and use these until the end: for many steps."""
    modules = cell.modules() if isinstance(cell, Module) else []
    before, recorder = _held.weights, local.now.recorder
    computed = {id(m): (recorder, m()) for m in modules if isinstance(m, WeightNorm)}
    _held.weights = {**before, **computed}
    try:
        yield
    finally:
        _held.weights = before
