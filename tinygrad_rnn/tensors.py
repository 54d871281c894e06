"""The Tensor: an array, and the node of the graph that made it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from . import ops
from .autodiff import backward
from .conversion import supported, to_array
from .errors import DTypeError, GraphError, ShapeError
from .hooks import register_hook, retain_grad
from .inputs import dtype_named
from .kernels import gemm
from .op import Op
from .recording import constant, record, record_each, results
from .slicing import Sliceable

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


_NO_ATTRS: dict[str, Any] = {}  # shared: an op without attributes needs no dict of its own


def _operator(op: Op) -> Callable[["Tensor", Any], "Tensor"]:
    """The method for an operator: straight to the recording, 0.5 us less than through the op."""

    def method(self: "Tensor", other: object) -> "Tensor":
        return record(self, op, (self, other), _NO_ATTRS)

    return method


def _reflected(op: Op) -> Callable[["Tensor", Any], "Tensor"]:
    def method(self: "Tensor", other: object) -> "Tensor":
        return record(self, op, (other, self), _NO_ATTRS)

    return method


def _unary(op: Op) -> Callable[["Tensor"], "Tensor"]:
    def method(self: "Tensor") -> "Tensor":
        return record(self, op, (self,), _NO_ATTRS)

    return method


def _method(function: Any) -> Callable[..., "Tensor"]:
    """An array function as a method."""

    def method(self: "Tensor", *args: Any, **attrs: Any) -> Any:
        return function(self, *args, **attrs)

    method.__name__, method.__doc__ = function.__name__, function.__doc__
    return method


def _several(function: Any) -> Callable[..., "Sequence[Tensor]"]:
    """An array function that returns several tensors, as a method."""
    return _method(function)  # type: ignore[return-value]


@results
class Tensor(Sliceable):
    """An array that remembers how it was computed, so that gradients can flow back.

    Made by `tinygrad_rnn.tensor` and by ops; the array itself is private.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 4.0]
    """

    __slots__ = ()
    __array_ufunc__ = None  # else `ndarray + Tensor` would drop the graph without a word
    __hash__ = object.__hash__

    __apply_op__, __apply_each__ = record, record_each

    grad: "Tensor | None"

    # the graph ----------------------------------------------------------------

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to the `.grad` of every leaf; `gradient` is the seed."""
        backward(self, gradient, retain_graph)

    def detach(self) -> "Tensor":
        """The same values, cut off from the graph (here truncated BPTT truncates)."""
        out = constant(self._array)
        out._version, out.label, out._name = self._version, ("detach",), self.name
        return out

    def assign_(self, value: object) -> "Tensor":
        """Overwrite the values of a leaf in place; shapes must be equal, dtype is kept."""
        if self._node is not None or self._array.base is not None or self.label == ("detach",):
            raise GraphError(
                "assign_: only a leaf that owns its values can be overwritten, this tensor "
                "shares another's; make a copy with tg.tensor(...)"
            )
        source = value._array if isinstance(value, Tensor) else supported(np.asanyarray(value))
        if source.shape != self.shape:
            raise ShapeError(f"assign_: the shape is {self.shape}, got values of {source.shape}")
        if source.dtype.kind not in "fiub":
            raise DTypeError(f"assign_: cannot store {source.dtype} values in {self.dtype}")
        self._array[...] = source
        self.bump_version()
        return self

    def bump_version(self) -> None:
        """Say that the values were written in place: graphs that saved them must not run."""
        if self._version is None:
            self._version = [0]
        self._version[0] += 1
        gemm.forget(self._array)

    register_hook, retain_grad = register_hook, retain_grad

    # operators ----------------------------------------------------------------

    __add__, __radd__ = _operator(ops.add), _reflected(ops.add)
    __sub__, __rsub__ = _operator(ops.sub), _reflected(ops.sub)
    __mul__, __rmul__ = _operator(ops.mul), _reflected(ops.mul)
    __truediv__, __rtruediv__ = _operator(ops.div), _reflected(ops.div)
    __floordiv__, __rfloordiv__ = _operator(ops.floor_divide), _reflected(ops.floor_divide)
    __mod__, __rmod__ = _operator(ops.remainder), _reflected(ops.remainder)
    __pow__, __rpow__ = _operator(ops.pow), _reflected(ops.pow)
    __matmul__, __rmatmul__ = _operator(ops.matmul), _reflected(ops.matmul)
    __and__, __rand__ = _operator(ops.bitwise_and), _reflected(ops.bitwise_and)
    __or__, __ror__ = _operator(ops.bitwise_or), _reflected(ops.bitwise_or)
    __xor__, __rxor__ = _operator(ops.bitwise_xor), _reflected(ops.bitwise_xor)
    __lshift__ = _operator(ops.bitwise_left_shift)
    __rlshift__ = _reflected(ops.bitwise_left_shift)
    __rshift__ = _operator(ops.bitwise_right_shift)
    __rrshift__ = _reflected(ops.bitwise_right_shift)
    __eq__, __ne__ = _operator(ops.eq), _operator(ops.ne)  # type: ignore[assignment]
    __lt__, __le__ = _operator(ops.lt), _operator(ops.le)
    __gt__, __ge__ = _operator(ops.gt), _operator(ops.ge)
    __neg__, __abs__ = _unary(ops.neg), _unary(ops.abs)

    def _in_place(self, other: object) -> Any:
        if self.requires_grad:
            raise GraphError(
                "in-place operators (x += y) do not work on a tensor of the graph, which may have "
                "saved it; write x = x + y, or assign_() for a leaf outside of training"
            )
        return NotImplemented  # a constant: Python goes on to x = x + y

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = __imod__ = _in_place
    __ipow__ = __imatmul__ = __iand__ = __ior__ = __ixor__ = _in_place
    __ilshift__ = __irshift__ = _in_place

    # array functions as methods -----------------------------------------------

    @property
    def T(self) -> "Tensor":
        """All axes in reverse order."""
        return ops.permute_dims(self, axes=tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> "Tensor":
        """The last two axes exchanged."""
        return ops.swapaxes(self, -1, -2)

    def __pos__(self) -> "Tensor":
        return self

    def __invert__(self) -> "Tensor":
        y: Tensor = ops.bitwise_invert(self)
        return y

    def reshape(self, *shape: Any) -> "Tensor":
        """The same values in another shape; one size may be -1."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
        return ops.reshape(self, shape=tuple(sizes))

    def permute_dims(self, *axes: Any) -> "Tensor":
        """The axes in another order."""
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], list | tuple) else axes
        return ops.permute_dims(self, axes=tuple(order))

    def flatten(self) -> "Tensor":
        """All values along one axis."""
        return self.reshape(self.size)

    def where(self, condition: object, other: object) -> "Tensor":
        """The values where the condition holds, elsewhere the other's."""
        return ops.where(condition, self, other)

    def float(self) -> "Tensor":
        """The values as float32."""
        return self.astype(_F32)

    def double(self) -> "Tensor":
        """The values as float64."""
        return self.astype(_F64)

    def astype(self, dtype: DTypeLike) -> "Tensor":
        """The values converted to another dtype; itself if it has that dtype."""
        dtype = dtype_named(dtype)
        return self if self.dtype == dtype else ops.astype(self, dtype=dtype)

    # array functions, under the same names ------------------------------------

    abs = _method(ops.abs)
    all = _method(ops.all)
    any = _method(ops.any)
    argmax = _method(ops.argmax)
    argmin = _method(ops.argmin)
    argsort = _method(ops.argsort)
    broadcast_to = _method(ops.broadcast_to)
    ceil = _method(ops.ceil)
    clip = _method(ops.clip)
    clone = _method(ops.clone)
    cos = _method(ops.cos)
    cumprod = _method(ops.cumprod)
    cumsum = _method(ops.cumsum)
    diagonal = _method(ops.diagonal)
    erf = _method(ops.erf)
    exp = _method(ops.exp)
    expand_dims = _method(ops.expand_dims)
    expm1 = _method(ops.expm1)
    flip = _method(ops.flip)
    floor = _method(ops.floor)
    gelu = _method(ops.gelu)
    isfinite = _method(ops.isfinite)
    isinf = _method(ops.isinf)
    isnan = _method(ops.isnan)
    log = _method(ops.log)
    log1p = _method(ops.log1p)
    log_softmax = _method(ops.log_softmax)
    logsumexp = _method(ops.logsumexp)
    masked_fill = _method(ops.masked_fill)
    matmul = _method(ops.matmul)
    max = _method(ops.max)
    mean = _method(ops.mean)
    min = _method(ops.min)
    moveaxis = _method(ops.moveaxis)
    multinomial = _method(ops.multinomial)
    nan_to_num = _method(ops.nan_to_num)
    norm = _method(ops.norm)
    prod = _method(ops.prod)
    relu = _method(ops.relu)
    repeat = _method(ops.repeat)
    roll = _method(ops.roll)
    round = _method(ops.round)
    sigmoid = _method(ops.sigmoid)
    sign = _method(ops.sign)
    silu = _method(ops.silu)
    sin = _method(ops.sin)
    softmax = _method(ops.softmax)
    softplus = _method(ops.softplus)
    sort = _method(ops.sort)
    sqrt = _method(ops.sqrt)
    square = _method(ops.square)
    squeeze = _method(ops.squeeze)
    std = _method(ops.std)
    sum = _method(ops.sum)
    swapaxes = _method(ops.swapaxes)
    take = _method(ops.take)
    take_along_axis = _method(ops.take_along_axis)
    tanh = _method(ops.tanh)
    tile = _method(ops.tile)
    trace = _method(ops.trace)
    tril = _method(ops.tril)
    triu = _method(ops.triu)
    trunc = _method(ops.trunc)
    var = _method(ops.var)
    chunk = _several(ops.chunk)
    split = _several(ops.split)
    unstack = _several(ops.unstack)
    topk = _several(ops.topk)


def as_tensor(value: object, dtype: DTypeLike | None = None) -> Tensor:
    """The Tensor itself, or a constant made of anything array-like."""
    return value if isinstance(value, Tensor) else constant(to_array(value, dtype))
