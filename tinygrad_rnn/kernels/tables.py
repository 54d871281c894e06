"""Arrays that a kernel is given as a table of their addresses and sizes.

Numba compiles anew for every list of shapes, and looking at an argument costs it 0.3 us;
a table is one argument, and Adam has 48 arrays for 12 parameters. An address is had
through the buffer protocol, which takes 0.4 us; `a.ctypes.data` and NumPy's array
interface take 1.1.
"""

from collections.abc import Sequence
from ctypes import addressof, c_char
from operator import attrgetter
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing import Signature
from numba.extending import intrinsic

Array = np.ndarray[Any, Any]
_buffer: Any = c_char.from_buffer
_dtype = attrgetter("dtype")


def addresses(arrays: Sequence[Array], dtype: Any) -> list[int] | None:
    """Where the numbers of each lie, good for as long as the array lives.

    None unless a kernel may work on all as rows of numbers: one dtype, C order, writable.
    """
    if list(map(_dtype, arrays)).count(dtype) < len(arrays):
        return None
    try:
        return list(map(addressof, map(_buffer, arrays)))
    except ValueError:  # what is empty has no address
        full = [a if a.size else np.empty(1, dtype) for a in arrays]
        return addresses(full, dtype)
    except TypeError:  # read-only, or in another order
        return None


def table(arrays: Sequence[Array]) -> Array | None:
    """Addresses and sizes, a column an array; None if there are no addresses."""
    found = addresses(arrays, arrays[0].dtype)
    return None if found is None else np.array([found, [a.size for a in arrays]], np.uint64)


@intrinsic
def data(typingctx: Any, address: Any, like: Any) -> Any:
    """Pointer to the numbers, of `like`'s dtype, at an address."""
    target = types.CPointer(like.dtype)

    def codegen(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, args: Sequence[ir.Value]
    ) -> ir.Value:
        return builder.inttoptr(args[0], context.get_value_type(target))

    return target(types.uint64, like), codegen
