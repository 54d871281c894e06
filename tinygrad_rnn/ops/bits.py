"""Booleans and integers bit by bit, elementwise; without gradient."""

import operator
from typing import Any

import numpy as np

from ..op import elementwise, pointwise, primitive
from .logic import logical_not

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor",
]  # fmt: skip


@pointwise(kernel=operator.and_)
def bitwise_and(a, b):
    """`a & b` of booleans or integers, elementwise, bit by bit."""
    return a & b


@pointwise(kernel=operator.or_)
def bitwise_or(a, b):
    """`a | b` of booleans or integers, elementwise, bit by bit."""
    return a | b


@pointwise(kernel=operator.xor)
def bitwise_xor(a, b):
    """`a ^ b` of booleans or integers, elementwise, bit by bit."""
    return a ^ b


@pointwise(kernel=np.invert)
def invert_bits(x):
    """All bits of integers turned over."""
    return ~x


def bitwise_invert(x: Any) -> Any:
    """`~x` of booleans or integers, elementwise: false for true, or all bits turned over."""
    return logical_not(x) if x.dtype == bool else invert_bits(x)


# no scalar rules: compiled, a shift by the width of the type or more is whatever the machine
# makes of it, where NumPy has 0 or -1
@primitive(shape=elementwise("bitwise_left_shift"))
def bitwise_left_shift(a, b):
    """`a << b` of integers, elementwise; 0 for shifts from the width of the type on."""
    return np.left_shift(a, b)


@primitive(shape=elementwise("bitwise_right_shift"))
def bitwise_right_shift(a, b):
    """`a >> b` of integers, elementwise, the sign kept; 0 or -1 for shifts that leave nothing."""
    return np.right_shift(a, b)
