"""Layers without recurrence: Linear, Bilinear, Embedding, Dropout, LayerNorm, Flatten."""

import math
from typing import Any

import numpy as np

from .. import ops
from ..errors import ShapeError
from ..ops.random import Generator
from ..ops.shape import one_axis
from ..tensors import Tensor, as_tensor
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


class Bilinear(Module):
    """Form y_o = x1^T W_o x2 + b_o over the last axes: (..., in1), (..., in2) to (..., out).

    `weight` (out, in1, in2) and `bias` (out,) start uniform within 1 / sqrt(in1), as in
    PyTorch.

    >>> Bilinear(3, 4, 2)(tg.ones(5, 3), tg.ones(5, 4)).shape
    (5, 2)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        generator: Generator | None = None,
    ):
        shape = (out_features, in1_features, in2_features)
        sizes("Bilinear", out_features=shape[0], in1_features=shape[1], in2_features=shape[2])
        bound = 1 / math.sqrt(in1_features)
        self.weight = init.uniform_(Parameter(np.empty(shape, "f")), -bound, bound, generator)
        self.bias = None
        if bias:
            empty = Parameter(np.empty(out_features, "f"))
            self.bias = init.uniform_(empty, -bound, bound, generator)

    def forward(self, x1: Any, x2: Any) -> Tensor:
        wanted = self.weight.shape[1:]
        if (x1.shape[-1:], x2.shape[-1:]) != (wanted[:1], wanted[1:]) or (
            x1.shape[:-1] != x2.shape[:-1]
        ):
            raise ShapeError(
                f"Bilinear: must be (..., {wanted[0]}) and (..., {wanted[1]}) of the same other "
                f"axes, got {x1.shape} and {x2.shape}"
            )
        y: Tensor = ops.einsum("...i,oij,...j->...o", x1, self.weight, x2)
        return y if self.bias is None else y + self.bias


class Embedding(Module):
    """Table of vectors, looked up by whole numbers: (...) to (..., dim).

    `weight` (num, dim) starts normal(0, 1), as in PyTorch. The row `padding_idx`, counted
    from the end if negative, starts as zeros and gets no gradient. Raises ShapeError for
    an index outside [0, num), DTypeError for indices that are not integers.

    >>> table = Embedding(10, 4, padding_idx=0)
    >>> table(tg.tensor([[1, 0, 1]])).sum().backward()
    >>> table.weight.grad[:2, 0].tolist()
    [0.0, 2.0]
    """

    def __init__(
        self,
        num_embeddings: int,
        dim: int,
        padding_idx: int | None = None,
        generator: Generator | None = None,
    ):
        sizes("Embedding", num_embeddings=num_embeddings, dim=dim)
        table = init.normal_(Parameter(np.empty((num_embeddings, dim), "f")), generator=generator)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ShapeError(
                    f"Embedding: no row {padding_idx} for padding_idx among {num_embeddings}"
                )
            padding_idx %= num_embeddings
            values = table.numpy().copy()
            values[padding_idx] = 0
            table.assign_(values)
        self.padding_idx, self.weight = padding_idx, table

    def forward(self, indices: Any) -> Tensor:
        y: Tensor = ops.embedding(indices, self.weight)
        if self.padding_idx is None:
            return y
        padding = ops.expand_dims(ops.eq(as_tensor(indices), self.padding_idx), -1)
        kept: Tensor = ops.where(padding, y.detach(), y)
        return kept


class Dropout(Module):
    """Set values to 0 with probability p in training, and scale the others by 1 / (1 - p).

    One mask for all slices along `axis`, if given: `Dropout(0.3, axis=0)` on a series
    (T, N, F) is the same in all steps (Gal and Ghahramani, NeurIPS 2016).

    >>> y = Dropout(0.5, axis=0)(tg.ones(3, 1, 8))
    >>> bool((y == y[0]).all())
    True
    """

    def __init__(self, p: float = 0.5, generator: Generator | None = None, axis: int | None = None):
        if not 0 <= p < 1:
            raise ShapeError(f"Dropout: p must be in [0, 1), got {p}")
        self.p, self.generator, self.axis = p, generator, axis

    def forward(self, x: Any) -> Any:
        return ops.dropout(x, self.p, self.training, self.generator, self.axis)


class LayerNorm(Module):
    """y = weight (x - mean) / sqrt(var + eps) + bias over the last axis.

    Ba, Kiros and Hinton 2016, arXiv 1607.06450.

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


class Flatten(Module):
    """Join the axes from `start_axis` to `end_axis`, both included, into one.

    >>> Flatten()(tg.ones(5, 2, 3)).shape
    (5, 6)
    """

    def __init__(self, start_axis: int = 1, end_axis: int = -1):
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, x: Any) -> Tensor:
        first, last = (one_axis("Flatten", k, x.ndim) for k in (self.start_axis, self.end_axis))
        if first > last:
            raise ShapeError(f"Flatten: no axes from {first} to {last} of {x.ndim}")
        joined = math.prod(x.shape[first : last + 1])
        y: Tensor = ops.reshape(x, shape=(*x.shape[:first], joined, *x.shape[last + 1 :]))
        return y
