"""Booleans and integers bit by bit, elementwise; without gradient."""

import operator
from typing import Any

import numpy as np

from ..errors import DTypeError
from ..op import Spec, elementwise, pointwise, primitive
from .logic import logical_not

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor",
]  # fmt: skip


@pointwise(kernel=operator.and_)
def bitwise_and(a, b):
    """`a & b` of booleans or integers, elementwise, bit by bit.

    >>> tg.bitwise_and(tg.tensor([6, 5]), 3)
    tensor([2, 1], int64)
    """
    return a & b


@pointwise(kernel=operator.or_)
def bitwise_or(a, b):
    """`a | b` of booleans or integers, elementwise, bit by bit.

    >>> tg.bitwise_or(tg.tensor([6, 5]), 3)
    tensor([7, 7], int64)
    """
    return a | b


@pointwise(kernel=operator.xor)
def bitwise_xor(a, b):
    """`a ^ b` of booleans or integers, elementwise, bit by bit.

    >>> tg.bitwise_xor(tg.tensor([6, 5]), 3)
    tensor([5, 6], int64)
    """
    return a ^ b


@pointwise(kernel=np.invert)
def invert_bits(x):
    """All bits of integers turned over."""
    return ~x


def bitwise_invert(x: Any) -> Any:
    """`~x` of booleans or integers, elementwise: false for true, or all bits turned over.

    >>> tg.bitwise_invert(tg.tensor([0, 6])), tg.bitwise_invert(tg.tensor([True]))
    (tensor([-1, -7], int64), tensor([False], bool))
    """
    return logical_not(x) if x.dtype == bool else invert_bits(x)


# no scalar rules: compiled, a shift by the width of the type or more is whatever the machine
# makes of it, where NumPy has 0 or -1
def _shifted(name: str) -> Any:
    fits = elementwise(name)

    def shape(a: Spec, b: Spec) -> tuple[int, ...]:
        if "f" in a.dtype.kind + b.dtype.kind:
            raise DTypeError(f"{name}: expected integers, got {a.dtype} and {b.dtype}")
        return fits(a, b)

    return shape


@primitive(shape=_shifted("bitwise_left_shift"))
def bitwise_left_shift(a, b):
    """`a << b` of integers, elementwise; 0 for shifts from the width of the type on.

    >>> tg.bitwise_left_shift(tg.tensor([1, 3]), tg.tensor([4, 64]))
    tensor([16,  0], int64)
    """
    return np.left_shift(a, b)


@primitive(shape=_shifted("bitwise_right_shift"))
def bitwise_right_shift(a, b):
    """`a >> b` of integers, elementwise, the sign kept; 0 or -1 for shifts that leave nothing.

    >>> tg.bitwise_right_shift(tg.tensor([16, -3]), tg.tensor([2, 64]))
    tensor([ 4, -1], int64)
    """
    return np.right_shift(a, b)
