"""Products over named axes: tensordot, vecdot, einsum; made of permutations and `matmul`."""

import math
from collections.abc import Sequence
from typing import Any

from ..errors import ShapeError
from .arrange import diagonal, moveaxis
from .linalg import matmul
from .logic import astype
from .reduce import sum
from .shape import one_axis, permute_dims, reshape

__all__ = ["einsum", "tensordot", "vecdot"]


def vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    """Sum of products along one axis, as long in both; the other axes broadcast.

    Of the dtype of a product: integers are not widened, as they are in a sum.
    """
    n, m = (x.shape[one_axis("vecdot", axis, x.ndim)] for x in (a, b))
    if n != m:
        raise ShapeError(f"vecdot: axis {axis} has {n} values in a and {m} in b")
    products = a * b
    y = sum(products, axis=axis)
    return y if y.dtype == products.dtype else astype(y, dtype=products.dtype)


def tensordot(a: Any, b: Any, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Any:
    """Sum of products over the last axes of a and the first of b, or over pairs of axes."""
    if isinstance(axes, int):
        over = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        over = tuple(axes[0]), tuple(axes[1])
    pairs = zip(over, (a, b), strict=True)
    left, right = ([one_axis("tensordot", k, x.ndim) for k in ks] for ks, x in pairs)
    sizes = [a.shape[k] for k in left]
    if sizes != [b.shape[k] for k in right]:
        raise ShapeError(f"tensordot: axes {over} of {a.shape} and {b.shape} do not match")
    a, b = moveaxis(a, left, range(-len(left), 0)), moveaxis(b, right, range(len(right)))
    lead, rest, n = a.shape[: a.ndim - len(left)], b.shape[len(right) :], math.prod(sizes)
    y = matmul(reshape(a, shape=(math.prod(lead), n)), reshape(b, shape=(n, math.prod(rest))))
    return reshape(y, shape=(*lead, *rest))


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sum of products over the letters that the result lacks: `einsum("ij,jk->ik", a, b)`.

    Each operand has a letter an axis; a letter twice in one operand is its diagonal,
    "..." stands for all other axes. Without "->" the result has the letters that occur
    once, in order of the alphabet. Operands are multiplied from left to right.
    """
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
