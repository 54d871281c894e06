"""What a tensor hands out: its values as NumPy's, Python's and other libraries' objects."""

import sys
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import DTypeLike

from .errors import DTypeError, GraphError, ShapeError
from .graph import Variable
from .op import Array, local
from .ops.names import on_cpu
from .words import OF_TENSORS, hint


class Readable(Variable):
    """A Variable whose values can be read, printed, copied and given to others."""

    __slots__ = ()

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

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
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

    def __copy__(self) -> Self:
        return self.__deepcopy__({})  # two tensors that share an array would share its version

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if self._node is not None:
            raise GraphError("a tensor of the graph cannot be copied; copy .detach() of it")
        twin = self.__class__.__new__(self.__class__)
        Variable.__init__(twin, self._array.copy(), self._leaf, self.name)
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> Any:
        if self._node is not None:
            raise GraphError("a tensor of the graph cannot be pickled; pickle .detach() of it")
        return _rebuild, (self.__class__, self._array, self._leaf, self.name)

    @property
    def device(self) -> str:
        """Where the values are: always on the processor."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Self:
        """The tensor itself, since there is one device."""
        on_cpu("to_device", device)
        return self


def _rebuild(cls: type[Readable], array: Array, leaf: bool, name: str | None) -> Readable:
    out = cls.__new__(cls)
    Variable.__init__(out, array, leaf, name)
    return out
