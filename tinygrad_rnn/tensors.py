"""The Tensor: an array, and the node of the graph that made it."""

import itertools
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import ops
from .conversion import index_key as index_key, supported, to_array as to_array
from .errors import DTypeError, GraphError, ShapeError
from .graph import Node
from .hooks import register_hook, retain_grad
from .kernels import gemm
from .op import Array, Traced, local
from .ops.names import on_cpu
from .words import OF_TENSORS, hint

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
count = itertools.count(1).__next__  # atomic under the interpreter's lock


class _Step:
    """The time step that one loop over a Tensor has reached."""

    __slots__ = ("t",)
    t: int | None


class Tensor(Traced):
    """An array that remembers how it was computed, so that gradients can flow back.

    Made by `tinygrad_rnn.tensor` and by ops; the array itself is private.

    >>> import tinygrad_rnn as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 4.0]
    """

    __slots__ = (
        "__weakref__", "_array", "_hooks", "_leaf", "_name", "_node", "_version", "grad", "label",
    )  # fmt: skip
    __array_ufunc__ = None  # else `ndarray + Tensor` would drop the graph without a word
    __hash__ = object.__hash__

    _array: Array
    _node: Node | None
    _leaf: bool  # a leaf that requires a gradient
    _version: list[int] | None  # shared by all views of one array; raised at each write
    grad: "Tensor | None"
    _name: str | None
    label: Any  # ("index", base, key) of a slice without a node, or ("detach",)

    def __init__(self, array: Array, requires_grad: bool = False, name: str | None = None):
        self._array, self._node, self._leaf = supported(np.asanyarray(array)), None, False
        self._version, self.grad, self._name, self.label = [0], None, name, None
        self._hooks: dict[int, Any] | None = None
        self.requires_grad = requires_grad

    # what it is ---------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._array.ndim

    @property
    def size(self) -> int:
        """Number of values."""
        return self._array.size

    @property
    def device(self) -> str:
        """Where the values are: always on the processor."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> "Tensor":
        """The tensor itself, since there is one device."""
        on_cpu("to_device", device)
        return self

    @property
    def node(self) -> Node | None:
        """The op call that made it, None for leaves and constants."""
        return self._node

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it; settable on leaves of a float dtype."""
        return self._leaf or self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None:
            raise GraphError(
                "requires_grad: this tensor was computed by an op and follows its inputs; "
                "use .detach() to cut it off"
            )
        if value and self._array.dtype.kind != "f":
            raise DTypeError(
                f"requires_grad: only float tensors have gradients, this one is {self.dtype}; "
                "convert it with .astype('float32')"
            )
        if value and not self._leaf and local.now.recorder is not None:
            local.now.recorder.leaves.append(self)
        self._leaf = bool(value)

    @property
    def name(self) -> str | None:
        """What diagrams and error messages call it; settable, also on what an op made."""
        return self._name

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value
        if self._node is not None:  # the graph keeps nodes, not tensors
            self._node.extra = {**(self._node.extra or {}), "name": value}

    # values out ---------------------------------------------------------------

    def _values(self) -> Array:
        """The array, for someone who looks at the values: a recording must know of it."""
        recorder = local.now.recorder
        if recorder is not None:
            recorder.read(self)
        return self._array

    def numpy(self) -> Array:
        """The values as a read-only view."""
        view = self._values().view()
        view.flags.writeable = False
        return view

    def item(self) -> float | int | bool:
        """The one value as a Python number."""
        if self._values().size != 1:
            raise ShapeError(f"item: needs exactly one value, the shape is {self.shape}")
        value: float | int | bool = self._array.item()
        return value

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._values().tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise GraphError(
                "a tensor that requires a gradient was given to NumPy, which would drop the "
                "graph; use .detach().numpy(), or an op of tinygrad_rnn (tg.stack for a list)"
            )
        return np.array(self._values(), dtype=dtype)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return sys.modules[__package__]

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:  # fmt: skip
        if self.requires_grad:
            raise GraphError(
                "a tensor that requires a gradient was given to another library by DLPack, which "
                "would drop the graph; give .detach() of it"
            )
        old = max_version is None or max_version[0] < 1
        if old and copy is not False:  # a protocol that cannot say that the values are read-only
            return self._values().copy().__dlpack__(stream=stream, dl_device=dl_device)
        return self.numpy().__dlpack__(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
        )

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(hint(f"a tensor has no attribute {name!r}", name, OF_TENSORS))

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise DTypeError(f"only an integer tensor can be an index, this one is {self.dtype}")
        return int(self.item())

    def __bool__(self) -> bool:
        if self._values().size != 1:
            raise ShapeError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; reduce it first, "
                "or look at .numpy()"
            )
        return bool(self._array.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise ShapeError("len: a tensor without axes has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        values = np.array2string(self._array, separator=", ", prefix="tensor(", threshold=100)
        words = [values, str(self.dtype)]
        if self._node is not None:
            words.append(f"node={self._node.op.name}")
        elif self._leaf:
            words.append("requires_grad=True" + ("" if self.grad is None else ", has grad"))
        if self.name:
            words.append(f"name={self.name!r}")
        return f"tensor({', '.join(words)})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __copy__(self) -> "Tensor":
        return self.__deepcopy__({})  # two tensors that share an array would share its version

    def __deepcopy__(self, memo: dict[int, Any]) -> "Tensor":
        if self._node is not None:
            raise GraphError("a tensor of the graph cannot be copied; copy .detach() of it")
        twin = self.__class__.__new__(self.__class__)
        Tensor.__init__(twin, self._array.copy(), self._leaf, self.name)
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> Any:
        if self._node is not None:
            raise GraphError("a tensor of the graph cannot be pickled; pickle .detach() of it")
        return _rebuild, (self.__class__, self._array, self._leaf, self.name)

    # the graph ----------------------------------------------------------------

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to the `.grad` of every leaf; `gradient` is the seed."""
        from .autodiff import backward  # one floor, two files: autodiff needs this class

        backward(self, gradient, retain_graph)

    def detach(self) -> "Tensor":
        """The same values, cut off from the graph (here truncated BPTT truncates)."""
        out = constant(self._array)
        out._version, out.label, out._name = self._version, ("detach",), self.name
        return out

    def assign_(self, value: Any) -> "Tensor":
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

    # indexing -----------------------------------------------------------------

    def __getitem__(self, key: Any) -> "Tensor":
        parts = key if isinstance(key, tuple) else (key,)
        key = parts if key is None else key  # a gradient without a key is not that of a slice
        basic = plain = True
        for part in parts:
            if part.__class__ is int or part.__class__ is slice or part is None or part is Ellipsis:
                continue
            basic, plain = basic and isinstance(part, np.integer), False
        if basic:
            if not plain:
                key = tuple([int(p) if isinstance(p, np.integer) else p for p in parts])
            return ops.index.apply((self,), {"key": key})
        recorder = local.now.recorder
        if recorder is not None:
            picked: Tensor = recorder.pick(self, index_key(parts))
            return picked
        key = [part.numpy() if isinstance(part, Tensor) else part for part in index_key(parts)]
        return ops.gather(self, key=tuple(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise GraphError(
            "x[...] = value would change a tensor that the graph may have saved; "
            "build the new one with tg.where, tg.concat or tg.stack"
        )

    def __iter__(self) -> Iterator["Tensor"]:
        return self._steps(range(len(self)))

    def __reversed__(self) -> Iterator["Tensor"]:
        return self._steps(range(len(self) - 1, -1, -1))

    def _steps(self, order: range) -> Iterator["Tensor"]:
        """Slices of the first axis; nodes made meanwhile are stamped with the step."""
        now, own = local.now, _Step()
        steps = now.steps  # those of a recording, which may be over when the loop is given up
        steps.append(own)  # loops may nest, and zip() runs several side by side
        try:
            for t in order:
                own.t = t
                if not now.step_held:
                    now.stamp = (t, now.stamp[1])
                yield self[t]
        finally:
            steps.remove(own)
            if steps is now.steps and not now.step_held:
                now.stamp = (now.steps[-1].t if now.steps else None, now.stamp[1])

    # operators: below, from the ops; here what mypy must know of them ----------

    if TYPE_CHECKING:

        def _binary(self, other: Any) -> "Tensor": ...
        def _unary(self) -> "Tensor": ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _binary
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _binary
        __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary
        __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = _binary
        __lshift__ = __rshift__ = __rlshift__ = __rrshift__ = _binary
        __neg__ = __abs__ = _unary

        def __getattr__(self, name: str) -> Any: ...  # the array functions as methods

    def _in_place(self, other: Any) -> Any:
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

    def where(self, condition: Any, other: Any) -> "Tensor":
        """The values where the condition holds, elsewhere the other's."""
        return ops.where(condition, self, other)

    def float(self) -> "Tensor":
        """The values as float32."""
        return self.astype(_F32)

    def double(self) -> "Tensor":
        """The values as float64."""
        return self.astype(_F64)

    def astype(self, dtype: Any) -> "Tensor":
        """The values converted to another dtype; itself if it has that dtype."""
        return self if self.dtype == np.dtype(dtype) else ops.astype(self, dtype=np.dtype(dtype))


def _rebuild(cls: type[Tensor], array: Array, leaf: bool, name: str | None) -> Tensor:
    out = cls.__new__(cls)
    Tensor.__init__(out, array, leaf, name)
    return out


def as_tensor(value: Any, dtype: Any = None) -> Tensor:
    """The Tensor itself, or a constant made of anything array-like."""
    return value if isinstance(value, Tensor) else constant(to_array(value, dtype))


def constant(array: Array) -> Tensor:
    """Wrap an array that nobody else will write to, without copying it."""
    out = Tensor.__new__(Tensor)
    out._array, out._node, out._leaf = array, None, False
    out._version = out.grad = out._name = out.label = out._hooks = None
    return out
