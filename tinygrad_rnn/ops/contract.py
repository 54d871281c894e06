"""Products over named axes: tensordot, vecdot, einsum, dot and its like.

Made of permutations and `matmul`.
"""

import math
import string
from typing import Any

import numpy as np

from ..errors import ShapeError
from .arrange import Axes, each_axis, moveaxis
from .diagonals import diagonal
from .indexing import unstack
from .linalg import matmul
from .logic import astype
from .pointwise import mul
from .reduce import sum
from .shape import one_axis, permute_dims, reshape, stack

__all__ = ["cross", "dot", "einsum", "inner", "kron", "tensordot", "vecdot"]


def vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    """Sum of products along one axis, as long in both; the other axes broadcast.

    Of the dtype of a product: integers are not widened, as they are in a sum.

    >>> tg.vecdot(tg.ones(5, 3), tg.ones(5, 3)).shape
    (5,)
    """
    n, m = (x.shape[one_axis("vecdot", axis, x.ndim)] for x in (a, b))
    if n != m:
        raise ShapeError(f"vecdot: axis {axis} has {n} values in a and {m} in b")
    products = a * b
    y = sum(products, axis=axis)
    return y if y.dtype == products.dtype else astype(y, dtype=products.dtype)


def tensordot(a: Any, b: Any, axes: int | tuple[Axes, Axes] = 2) -> Any:
    """Sum of products over the last axes of a and the first of b, or over pairs of axes.

    `axes` is how many, or two lists of as many axes, or one axis of each.

    >>> tg.tensordot(tg.ones(2, 3, 4), tg.ones(3, 4, 5)).shape
    (2, 5)
    """
    if isinstance(axes, int):
        over = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        over = each_axis(axes[0]), each_axis(axes[1])
    pairs = zip(over, (a, b), strict=True)
    left, right = ([one_axis("tensordot", k, x.ndim) for k in ks] for ks, x in pairs)
    sizes = [a.shape[k] for k in left]
    if sizes != [b.shape[k] for k in right]:
        raise ShapeError(f"tensordot: axes {over} of {a.shape} and {b.shape} do not match")
    a, b = moveaxis(a, left, range(-len(left), 0)), moveaxis(b, right, range(len(right)))
    lead, rest, n = a.shape[: a.ndim - len(left)], b.shape[len(right) :], math.prod(sizes)
    y = matmul(reshape(a, shape=(math.prod(lead), n)), reshape(b, shape=(n, math.prod(rest))))
    return reshape(y, shape=(*lead, *rest))


def dot(a: Any, b: Any) -> Any:
    """Sum of products over the last axis of a and the second to last of b, or the only one.

    Of vectors a number, of matrices `a @ b`; a single value multiplies. Unlike `matmul`, the
    other axes do not broadcast: (2, 3, n) and (4, n, 5) give (2, 3, 4, 5).

    >>> tg.dot(tg.tensor([1, 2]), tg.tensor([3, 4])).item()
    11
    """
    if not np.ndim(a) or not np.ndim(b):
        return mul(a, b)
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


def inner(a: Any, b: Any) -> Any:
    """Sum of products over the last axes: (2, n) and (3, n) give (2, 3); a value multiplies.

    >>> tg.inner(tg.ones(2, 4), tg.ones(3, 4)).shape
    (2, 3)
    """
    if not np.ndim(a) or not np.ndim(b):
        return mul(a, b)
    return tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))


def kron(a: Any, b: Any) -> Any:
    """Kronecker product: a block of b for each value of a, times that value.

    y[i p + k, j q + l] = a[i, j] b[k, l] for b of shape (p, q).

    >>> tg.kron(tg.tensor([1, 10]), tg.tensor([1, 2])).tolist()
    [1, 2, 10, 20]
    """
    n = max(a.ndim, b.ndim)
    rows = (1,) * (n - a.ndim) + tuple(a.shape), (1,) * (n - b.ndim) + tuple(b.shape)
    pairs = list(zip(*rows, strict=True))
    left = reshape(a, shape=tuple(k for p, _ in pairs for k in (p, 1)))
    right = reshape(b, shape=tuple(k for _, q in pairs for k in (1, q)))
    return reshape(left * right, shape=tuple(p * q for p, q in pairs))


def cross(a: Any, b: Any, axis: int = -1) -> Any:
    """Cross product of vectors of three along one axis: y = (a1 b2 - a2 b1, ...).

    Raises ShapeError unless both have three places there; the other axes broadcast.

    >>> tg.cross(tg.tensor([1, 0, 0]), tg.tensor([0, 1, 0])).tolist()
    [0, 0, 1]
    """
    for x in (a, b):
        if x.shape[one_axis("cross", axis, x.ndim)] != 3:
            raise ShapeError(f"cross: axis {axis} must have 3 places, got shape {x.shape}")
    u, v = unstack(a, axis=axis), unstack(b, axis=axis)
    parts = [u[i] * v[j] - u[j] * v[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return stack(*parts, axis=axis)


def einsum(subscripts: Any, *operands: Any) -> Any:
    """Sum of products over the letters that the result lacks: `einsum("ij,jk->ik", a, b)`.

    Each operand has a letter an axis; a letter twice in one operand is its diagonal,
    "..." stands for all other axes. Without "->" the result has the letters that occur
    once, in order of the alphabet. Operands are multiplied from left to right.

    Without a text first, each operand is followed by its axes as numbers, and the result's may
    come last: `einsum(a, [0, 1], b, [1, 2], [0, 2])`.

    >>> tg.einsum('bi,bj->bij', tg.ones(4, 2), tg.ones(4, 3)).shape
    (4, 2, 3)
    """
    if not isinstance(subscripts, str):
        subscripts, operands = _numbered((subscripts, *operands))
    inputs, output = _letters(subscripts, [x.ndim for x in operands])
    terms = [_without_repeats(x, names) for x, names in zip(operands, inputs, strict=True)]
    sizes: dict[str, int] = {}
    for x, names in terms:
        for name, n in zip(names, x.shape, strict=True):
            if sizes.setdefault(name, n) != n:
                raise ShapeError(f"einsum: {subscripts}: {name!r} is {sizes[name]} and {n}")
    x, names = terms[0]
    for k, (y, others) in enumerate(terms[1:], 1):
        needed = set(output).union(*[letters for _, letters in terms[k + 1 :]])
        x, names = _product(x, names, y, others, needed, sizes)
    x, names = _summed(x, names, set(output))
    return permute_dims(x, axes=tuple(names.index(c) for c in output))


def _numbered(args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Operands and the text for axes that are given as numbers."""
    lists = [*args[1::2], *args[-1:]] if len(args) % 2 else args[1::2]
    names = ["".join("..." if k is Ellipsis else _letter(k) for k in ks) for ks in lists]
    if len(args) % 2:
        return ",".join(names[:-1]) + "->" + names[-1], args[:-1:2]
    return ",".join(names), args[::2]


def _letter(k: Any) -> str:
    letters = string.ascii_uppercase + string.ascii_lowercase  # their order is that of numbers
    if not isinstance(k, int | np.integer) or not 0 <= k < len(letters):
        raise ShapeError(f"einsum: an axis is a number from 0 to {len(letters) - 1}, got {k!r}")
    return letters[k]


def _letters(subscripts: str, axes: list[int]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, "..." written out in Greek ones."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(axes):
        raise ShapeError(f"einsum: {subscripts!r} has {len(inputs)} terms for {len(axes)} operands")
    extra = [n - len(s.replace("...", "")) for s, n in zip(inputs, axes, strict=True)]
    spare = "".join(chr(c) for c in range(0x3B1, 0x3B1 + max([0, *extra])))  # Greek letters
    full = []
    for s, n, rest in zip(inputs, axes, extra, strict=True):
        if rest < 0 or (rest and "..." not in s):
            raise ShapeError(f"einsum: {s!r} names {n - rest} axes of an operand of {n}")
        full.append(s.replace("...", spare[len(spare) - rest :]))
    if not arrow:
        once = {c for c in "".join(full) if "".join(full).count(c) == 1}
        return full, spare + "".join(sorted(once - set(spare)))
    output = output.replace("...", spare)
    unknown = set(output) - set("".join(full))
    if unknown or len(set(output)) != len(output):
        raise ShapeError(
            f"einsum: the result of {subscripts!r} names an axis that is not there, or twice"
        )
    return full, output


def _without_repeats(x: Any, names: str) -> tuple[Any, str]:
    for c in sorted(set(names)):
        while names.count(c) > 1:
            i = names.index(c)
            j = names.index(c, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ShapeError(f"einsum: {c!r} is {x.shape[i]} and {x.shape[j]}")
            x = diagonal(x, axis1=i, axis2=j)
            names = names[:i] + names[i + 1 : j] + names[j + 1 :] + c
    return x, names


def _summed(x: Any, names: str, needed: set[str]) -> tuple[Any, str]:
    """Sum over the letters that nothing asks for any more."""
    gone = tuple(k for k, c in enumerate(names) if c not in needed)
    return (sum(x, axis=gone) if gone else x), "".join(c for c in names if c in needed)


def _product(
    a: Any, left: str, b: Any, right: str, needed: set[str], sizes: dict[str, int]
) -> tuple[Any, str]:
    """One product of matrices: shared letters that are needed are its batch, others summed over."""
    a, left = _summed(a, left, needed | set(right))
    b, right = _summed(b, right, needed | set(left))
    batch = [c for c in left if c in right and c in needed]
    inner = [c for c in left if c in right and c not in needed]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]

    def matrix(x: Any, names: str, *groups: list[str]) -> Any:
        x = permute_dims(x, axes=tuple(names.index(c) for group in groups for c in group))
        return reshape(x, shape=tuple(math.prod(sizes[c] for c in g) for g in groups))

    y = matmul(matrix(a, left, batch, rows, inner), matrix(b, right, batch, inner, columns))
    order = batch + rows + columns
    return reshape(y, shape=tuple(sizes[c] for c in order)), "".join(order)
