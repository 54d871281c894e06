"""Batches of sequences that differ in length."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..conversion import to_array
from ..errors import DataError, DTypeError, ShapeError
from ..op import Array
from ..ops.random import Generator
from ..optim.options import checked, count
from ..tensors import Tensor


def padded(sequences: Sequence[Any], value: object = 0, multiple: int = 1) -> tuple[Array, Array]:
    """Stack N sequences (T_n, ...) side by side, time-major, short ones filled with `value`.

    Returns the batch (T, N, ...), T the longest rounded up to a `multiple`, in the sequences'
    dtype, and their lengths (N,), int64, which recurrent layers take as `lengths=`. Where a
    loss is masked step by step, `np.arange(T)[:, None] < lengths` is True within the
    sequences. A jitted function is recorded once for each T, so a multiple of 8 saves
    seven recordings of eight. Raises DataError for no sequences, an empty one, and those that
    differ in dtype or in anything but their first axis.

    >>> batch, lengths = padded([[1, 2, 3], [4]], value=-1)
    >>> batch.tolist(), lengths.tolist()
    ([[1, 4], [2, -1], [3, -1]], [3, 1])
    """
    checked("padded", {"multiple": count}, multiple=multiple)
    arrays = [_array(n, s) for n, s in enumerate(sequences)]
    if not arrays:
        raise DataError("padded: there are no sequences")
    first = arrays[0]
    for n, a in enumerate(arrays):
        if not a.ndim or not len(a):
            raise DataError(f"padded: sequence {n} has no steps (its shape is {a.shape})")
        if (a.shape[1:], a.dtype) != (first.shape[1:], first.dtype):
            raise DataError(
                f"padded: sequence {n} has steps of shape {a.shape[1:]} and dtype {a.dtype}, "
                f"sequence 0 of {first.shape[1:]} and {first.dtype}; all must be alike"
            )
    if not _holds(first.dtype, value):
        raise DataError(
            f"padded: value must be one number that {first.dtype} holds, as the sequences' dtype "
            f"is, got {value!r:.80}"
        )
    lengths = np.array([len(a) for a in arrays], dtype=np.int64)
    steps = -(-lengths.max() // multiple) * multiple
    batch = np.full((steps, len(arrays), *first.shape[1:]), value, first.dtype)
    for n, a in enumerate(arrays):
        batch[: len(a), n] = a
    return batch, lengths


def _array(n: int, sequence: Any) -> Array:
    try:
        return sequence.numpy() if isinstance(sequence, Tensor) else to_array(sequence)
    except (DTypeError, ShapeError) as error:
        raise DataError(
            f"padded: sequence {n} makes no array of numbers ({error}); tokens are numbered by "
            "train.Vocabulary"
        ) from None


def _holds(dtype: Any, value: Any) -> bool:
    if np.ndim(value) or not isinstance(value, int | float | np.number | np.bool):
        return False
    if dtype.kind == "f":
        return True
    try:
        return bool(dtype.type(value) == value)
    except (OverflowError, ValueError):  # 300 in uint8, NaN in integers
        return False


def bucketed(
    lengths: Sequence[int] | Array, size: int, generator: Generator, pool: int = 50
) -> Iterator[Array]:
    """Yield the row numbers of shuffled batches of `size` sequences of similar lengths.

    The rows are shuffled, then sorted by length within pools of `pool` batches; the batches
    come in a random order. Each row comes once; one batch may be smaller. Little is padded
    then, and little is sorted: with `pool=1` batches are at random, with one pool of all rows
    each has one length only. The same generator state gives the same batches. Raises
    DataError for lengths that are not a list of whole numbers from 1.

    >>> lengths = [5, 1, 5, 1, 3, 3]
    >>> sorted(sorted(lengths[n] for n in rows) for rows in bucketed(lengths, 2, tg.Generator(0)))
    [[1, 1], [3, 3], [5, 5]]
    """
    checked("bucketed", {"size": count, "pool": count}, size=size, pool=pool)
    try:
        a = np.asarray(lengths)
    except ValueError:  # of the sequences themselves
        a = np.empty(0)
    if not hasattr(generator, "permutation"):
        raise DataError(f"bucketed: generator must be a tg.Generator, got {generator!r:.80}")
    if a.ndim != 1 or not len(a) or a.dtype.kind not in "iu" or a.min() < 1:
        raise DataError(
            f"bucketed: lengths must be whole numbers from 1 (N,), got {lengths!r:.100}"
        )
    return _bucketed(a, size, generator, pool)


def _bucketed(lengths: Array, size: int, generator: Generator, pool: int) -> Iterator[Array]:
    order, batches = generator.permutation(len(lengths)), []
    for start in range(0, len(order), size * pool):
        rows = order[start : start + size * pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[k : k + size] for k in range(0, len(rows), size)]
    for k in generator.permutation(len(batches)):
        yield batches[k]
