"""Arrays that a kernel is given as a table of their ids.

Numba compiles anew for every list of shapes, and looking at an argument costs it 0.3 us;
a table is one argument. An array object is Python's object head, then what NumPy's C
interface calls PyArrayObject_fields, which compiled extensions rely on: data, nd,
dimensions, strides, base, descr, flags. Read in the kernel it costs nothing;
`a.ctypes.data` takes 1.6 us, and Adam has 48 arrays for 12 parameters.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, register_jitable

Array = np.ndarray[Any, Any]
_HEAD = object.__basicsize__


def ids(arrays: Sequence[Array]) -> Array:
    """The table."""
    return np.array(list(map(id, arrays)), np.uint64)


@intrinsic
def data(typingctx: Any, array: Any, like: Any) -> Any:
    """Pointer to the numbers, of `like`'s dtype, of the array with an id."""
    target = types.CPointer(like.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(target)
        place = builder.add(args[0], args[0].type(_HEAD))
        return builder.load(builder.inttoptr(place, kind.as_pointer()))

    return target(types.uint64, like), codegen


@intrinsic
def _word(typingctx: Any, address: Any, offset: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(types.int64)
        place = builder.add(args[0], args[1])
        return builder.load(builder.inttoptr(place, kind.as_pointer()))

    return types.int64(types.uint64, types.uint64), codegen


@register_jitable
def alike(a: int, b: int) -> bool:
    """Whether two arrays have the same shape."""
    axes = _word(a, np.uint64(_HEAD + 8)) & 0xFFFFFFFF
    if _word(b, np.uint64(_HEAD + 8)) & 0xFFFFFFFF != axes:
        return False
    p = np.uint64(_word(a, np.uint64(_HEAD + 16)))
    q = np.uint64(_word(b, np.uint64(_HEAD + 16)))
    same = 0
    for k in range(axes):
        same += _word(p, np.uint64(8 * k)) == _word(q, np.uint64(8 * k))
    return same == axes


@register_jitable
def writable(array: int) -> bool:
    """Whether an array may be written to."""
    return _word(array, np.uint64(_HEAD + 48)) & 0x400 != 0


@register_jitable
def size(array: int, model: int) -> int:
    """How many numbers an array has; -1 if not in C order, or of another dtype than `model`."""
    descr, flags = np.uint64(_HEAD + 40), np.uint64(_HEAD + 48)
    if _word(array, flags) & 1 == 0 or _word(array, descr) != _word(model, descr):
        return -1
    dims = np.uint64(_word(array, np.uint64(_HEAD + 16)))
    n = 1
    for k in range(_word(array, np.uint64(_HEAD + 8)) & 0xFFFFFFFF):
        n *= _word(dims, np.uint64(8 * k))
    return n
