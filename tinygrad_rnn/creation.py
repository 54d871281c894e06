"""Making tensors: from values, and constant ones; `drawn.py` has random ones."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .conversion import to_array
from .errors import DTypeError, ShapeError
from .inputs import DType, dtype_named
from .ops import stack
from .ops.names import on_cpu
from .tensors import Tensor

Shape = int | Sequence[int]
DTypeArg = DTypeLike | None
Device = str | None


def tensor(
    data: object, dtype: DTypeArg = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Copy `data` into a Tensor; arrays keep their dtype, Python floats give float32.

    Raises ShapeError for ragged rows, DTypeError for values that are no numbers.

    >>> tensor([1.5, 2.5]).dtype
    dtype('float32')
    """
    return Tensor(to_array(data, dtype), requires_grad, name)


def _supported(dtype: DTypeLike) -> DType:
    dtype = dtype_named(dtype)
    if dtype.kind not in "iub" and dtype not in (np.float32, np.float64):
        raise DTypeError(f"dtype {dtype} is not supported; use float32, float64, integers or bool")
    return dtype


def shape_of(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or in a list; ShapeError for what is no whole number from 0."""
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0 for n in sizes):
        raise ShapeError(f"a shape is made of whole numbers from 0, got {tuple(sizes)}")
    return tuple(int(n) for n in sizes)


def asarray(
    obj: object, dtype: DTypeArg = None, device: Device = None, copy: bool | None = None
) -> Tensor:
    """Make a Tensor of anything array-like; a Tensor of that dtype is itself, unless copied.

    Lists may hold tensors, too: they are stacked, in the graph, and numbers among them take
    their dtype. Other arrays are always copied, since a Tensor's values are its own:
    copy=False raises ValueError for them.

    >>> x = tensor(2.0, requires_grad=True)
    >>> asarray([[x, 1.0], [0.0, x * x]])
    tensor([[2., 1.],
            [0., 4.]], float32, node=stack)
    """
    on_cpu("asarray", device)
    inside = next((x for x in _tensors(obj) if x.dtype.kind == "f"), None)
    if inside is not None:
        obj, copy = _stacked(obj, inside.dtype), copy or None
    if isinstance(obj, Tensor):
        same = obj if dtype is None else obj.astype(_supported(dtype))
        if copy is False and same is not obj:
            raise ValueError(f"asarray: a tensor of {obj.dtype} must be copied to be {dtype}")
        return same.clone() if copy and same is obj else same
    if copy is False:
        raise ValueError("asarray: a tensor's values are its own, so they are copied; leave copy")
    return tensor(obj, dtype)


def _tensors(values: Any) -> Iterator[Tensor]:
    """The tensors in nested lists."""
    for v in values if isinstance(values, list | tuple) else ():
        yield from [v] if isinstance(v, Tensor) else _tensors(v)


def _stacked(values: Any, dtype: DType) -> Tensor:
    if isinstance(values, list | tuple):
        return stack([_stacked(v, dtype) for v in values], axis=0)
    if isinstance(values, Tensor):
        return values
    return tensor(values, None if hasattr(values, "dtype") else dtype)


def from_dlpack(x: Any, device: Device = None, copy: bool | None = None) -> Tensor:
    """Make a Tensor of another library's array by DLPack; unless copy is True, it shares memory.

    The Tensor cannot be written to, but it changes if the other library writes.

    >>> a = np.zeros(2)
    >>> x = tg.from_dlpack(a)
    >>> a[0] = 7.0
    >>> x
    tensor([7., 0.], float64)
    """
    on_cpu("from_dlpack", device)
    if not hasattr(x, "__dlpack__"):
        raise DTypeError(f"from_dlpack: {type(x).__name__} has no __dlpack__; use tg.tensor")
    array = np.from_dlpack(x).view()
    if copy:
        return Tensor(array.copy())
    array.flags.writeable = False
    return Tensor(array)


def full(
    shape: Shape, fill_value: float, dtype: DTypeArg = None, requires_grad: bool = False,
    device: Device = None,
) -> Tensor:  # fmt: skip
    """Make a Tensor filled with one value.

    >>> tg.full((2, 2), 7).tolist()
    [[7, 7], [7, 7]]
    """
    on_cpu("full", device)
    sizes = shape_of((shape,))
    if dtype is None:
        dtype = np.float32 if isinstance(fill_value, float) else None
    else:
        dtype = dtype_named(dtype)
    return Tensor(np.full(sizes, fill_value, dtype), requires_grad)


def zeros(
    *shape: Any, dtype: DTypeArg = None, requires_grad: bool = False, device: Device = None
) -> Tensor:
    """Make a Tensor of zeros: zeros(2, 3) or zeros((2, 3)); float32 by default.

    >>> tg.zeros(2, 3).shape, tg.zeros((2, 3), dtype=tg.int32).dtype
    ((2, 3), dtype('int32'))
    """
    return _made(np.zeros, "zeros", shape, dtype, requires_grad, device)


def ones(
    *shape: Any, dtype: DTypeArg = None, requires_grad: bool = False, device: Device = None
) -> Tensor:
    """Make a Tensor of ones: ones(2, 3) or ones((2, 3)); float32 by default.

    >>> tg.ones(2, 3).shape, tg.ones(2, dtype=tg.int32)
    ((2, 3), tensor([1, 1], int32))
    """
    return _made(np.ones, "ones", shape, dtype, requires_grad, device)


def empty(
    *shape: Any, dtype: DTypeArg = None, requires_grad: bool = False, device: Device = None
) -> Tensor:
    """Make a Tensor whose values are not set; float32 if nothing is said.

    >>> tg.empty(2, 3).shape, tg.empty(2).dtype
    ((2, 3), dtype('float32'))
    """
    return _made(np.empty, "empty", shape, dtype, requires_grad, device)


def _made(
    make: Any, name: str, shape: Any, dtype: DTypeArg, requires_grad: bool, device: Device
) -> Tensor:
    on_cpu(name, device)
    return Tensor(make(shape_of(shape), _supported(dtype or np.float32)), requires_grad)


def zeros_like(x: Any, dtype: DTypeArg = None, device: Device = None) -> Tensor:
    """Zeros with the shape of `x`, and its dtype if none is given.

    >>> tg.zeros_like(tg.tensor([1, 2]))
    tensor([0, 0], int64)
    """
    return full_like(x, 0, dtype, device)


def ones_like(x: Any, dtype: DTypeArg = None, device: Device = None) -> Tensor:
    """Ones with the shape of `x`, and its dtype if none is given.

    >>> tg.ones_like(tg.tensor([[1.5, 2.5]]), dtype=tg.int32)
    tensor([[1, 1]], int32)
    """
    return full_like(x, 1, dtype, device)


def empty_like(x: Any, dtype: DTypeArg = None, device: Device = None) -> Tensor:
    """Values that are not set, with the shape of `x`, and its dtype if none is given.

    >>> tg.empty_like(tg.ones(2, 3)).shape
    (2, 3)
    """
    on_cpu("empty_like", device)
    like = x if isinstance(x, Tensor | np.ndarray) else to_array(x)
    return Tensor(np.empty(like.shape, _supported(dtype or like.dtype)))


def full_like(x: Any, fill_value: float, dtype: DTypeArg = None, device: Device = None) -> Tensor:
    """One value with the shape of `x`, and its dtype if none is given.

    >>> tg.full_like(tg.tensor([1, 2]), 7)
    tensor([7, 7], int64)
    """
    on_cpu("full_like", device)
    like = x if isinstance(x, Tensor | np.ndarray) else to_array(x)
    return Tensor(np.full(like.shape, fill_value, _supported(dtype or like.dtype)))


def eye(
    n: int, m: int | None = None, k: int = 0, dtype: DTypeArg = None, device: Device = None
) -> Tensor:
    """Make a matrix of n rows and m (or n) columns, with ones on diagonal k; float32.

    >>> tg.eye(2, 3, k=1).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    on_cpu("eye", device)
    n, m = shape_of((n, n if m is None else m))
    return Tensor(np.eye(n, m, k, dtype=_supported(dtype or np.float32)))


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: DTypeArg = None,
    device: Device = None,
) -> Tensor:
    """Make the numbers from start up to stop, which is left out; a single argument is stop.

    >>> tg.arange(4).tolist(), tg.arange(1.0, 2.0, 0.5).tolist()
    ([0, 1, 2, 3], [1.0, 1.5])
    """
    on_cpu("arange", device)
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ValueError("arange: step must not be 0")
    numbers = np.arange(start, stop, step)
    if dtype is None and numbers.dtype.kind == "f":
        dtype = np.float32
    return Tensor(to_array(numbers, dtype))


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, dtype: DTypeArg = None,
    device: Device = None,
) -> Tensor:  # fmt: skip
    """Make `num` evenly spaced numbers from start to stop; `endpoint=False` leaves stop out.

    >>> tg.linspace(0.0, 1.0, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    on_cpu("linspace", device)
    (n,) = shape_of((num,))
    dtype = _supported(dtype or np.float32)
    return Tensor(np.linspace(start, stop, n, endpoint=endpoint, dtype=dtype))


def logspace(
    start: float, stop: float, num: int, base: float = 10.0, dtype: DTypeLike = np.float32
) -> Tensor:
    """Make `num` numbers in equal ratios from base^start to base^stop.

    >>> tg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.], float32)
    """
    (n,) = shape_of((num,))
    return Tensor(np.logspace(start, stop, n, base=base).astype(_supported(dtype)))
