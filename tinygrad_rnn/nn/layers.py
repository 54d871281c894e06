"""Layers without recurrence: Linear, Embedding, Dropout, LayerNorm."""

import math
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from ..errors import ShapeError
from ..ops.random import Generator
from . import init
from .module import Module, Parameter


def sizes(layer: str, **numbers: Any) -> None:
    """Raise unless every size is a whole number of at least 1."""
    for name, n in numbers.items():
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ShapeError(f"{layer}: {name} must be a whole number from 1, got {n!r}")


class Linear(Module):
    """Affine map y = x W^T + b over the last axis: (..., in) to (..., out).

    `weight` (out, in) and `bias` (out,) start uniform within 1 / sqrt(in), as in
    PyTorch.

    >>> import tinygrad_rnn as tg
    >>> Linear(3, 2)(tg.ones(5, 3)).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        generator: Generator | None = None,
    ):
        sizes("Linear", in_features=in_features, out_features=out_features)
        bound = 1 / math.sqrt(in_features)
        shape = (out_features, in_features)
        self.weight = init.uniform_(Parameter(np.empty(shape, "f")), -bound, bound, generator)
        self.bias = None
        if bias:
            empty = Parameter(np.empty(out_features, "f"))
            self.bias = init.uniform_(empty, -bound, bound, generator)

    def forward(self, x: Any) -> Tensor:
        return ops.linear(x, self.weight, 0 if self.bias is None else self.bias)


class Embedding(Module):
    """Table of vectors, looked up by whole numbers: (...) to (..., dim).

    `weight` (num, dim) starts normal(0, 1), as in PyTorch. Raises ShapeError for
    an index outside [0, num), DTypeError for indices that are not integers.

    >>> import tinygrad_rnn as tg
    >>> Embedding(10, 4)(tg.tensor([[1, 2, 1]])).shape
    (1, 3, 4)
    """

    def __init__(self, num_embeddings: int, dim: int, generator: Generator | None = None):
        sizes("Embedding", num_embeddings=num_embeddings, dim=dim)
        self.weight = init.normal_(
            Parameter(np.empty((num_embeddings, dim), "f")), generator=generator
        )

    def forward(self, indices: Any) -> Tensor:
        return ops.embedding(indices, self.weight)


class Dropout(Module):
    """Set values to 0 with probability p in training, and scale the others by 1 / (1 - p)."""

    def __init__(self, p: float = 0.5, generator: Generator | None = None):
        if not 0 <= p < 1:
            raise ShapeError(f"Dropout: p must be in [0, 1), got {p}")
        self.p, self.generator = p, generator

    def forward(self, x: Any) -> Any:
        return ops.dropout(x, self.p, self.training, self.generator)


class LayerNorm(Module):
    """y = weight (x - mean) / sqrt(var + eps) + bias over the last axis.

    Ba, Kiros and Hinton 2016, arXiv 1607.06450.

    >>> import tinygrad_rnn as tg
    >>> float(LayerNorm(4)(tg.arange(4.0)).sum()) < 1e-5
    True
    """

    def __init__(self, size: int, eps: float = 1e-5):
        sizes("LayerNorm", size=size)
        self.weight, self.bias = Parameter(np.ones(size, "f")), Parameter(np.zeros(size, "f"))
        self.eps = eps

    def forward(self, x: Any) -> Tensor:
        if x.shape[-1:] != self.weight.shape:
            raise ShapeError(
                f"LayerNorm: the last axis must be {self.weight.shape[0]}, got shape {x.shape}"
            )
        y: Tensor = ops.normalize(x, eps=self.eps) * self.weight + self.bias
        return y
