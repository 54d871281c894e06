"""Modules that hold others in a row or by name: Sequential, ModuleList, ModuleDict, ParameterList.

Plain lists and dicts in a module's attributes are searched for modules, too. What these
add is that they are modules themselves, with `parameters()`, `train()`, `state_dict()` and
so on, that they refuse what is none, and that PyTorch's code and state dicts work as they are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any

from ..errors import DTypeError, GraphError
from ..tensors import Tensor
from .module import Module, Parameter


class _Holder(Module):
    """What is held is known by its key alone: `0.weight`, as in PyTorch."""

    _items: Any

    def _named(self) -> Iterator[tuple[str, Any]]:
        for name, child in super()._named():
            yield name.removeprefix("_items."), child

    def _check(self, item: object) -> Any:
        if not isinstance(item, Module):
            raise DTypeError(f"{type(self).__name__}: holds modules, got {type(item).__name__}")
        return item

    def _put(self, items: Any) -> None:
        self._items = items  # so that each learns its name

    def __len__(self) -> int:
        return len(self._items)

    __hash__ = Module.__hash__  # equal is the same, whatever is held
    __eq__ = object.__eq__


class ModuleList(_Holder, MutableSequence[Any]):
    """A module of modules in a row; it does everything that a list does.

    >>> layers = ModuleList([tg.nn.Linear(3, 4)])
    >>> layers.append(tg.nn.Linear(4, 2))
    >>> list(layers.state_dict()), len(layers[:1])
    (['0.weight', '0.bias', '1.weight', '1.bias'], 1)
    """

    def __init__(self, items: Iterable[Any] = ()):
        self._put([self._check(item) for item in items])

    def __getitem__(self, key: Any) -> Any:
        return type(self)(self._items[key]) if isinstance(key, slice) else self._items[key]

    def __setitem__(self, key: Any, item: Any) -> None:
        items = list(self._items)
        items[key] = [self._check(i) for i in item] if isinstance(key, slice) else self._check(item)
        self._put(items)

    def __delitem__(self, key: Any) -> None:
        items = list(self._items)
        del items[key]
        self._put(items)

    def insert(self, index: int, value: object) -> None:
        """Put one in before the one at `index`."""
        items = list(self._items)
        items.insert(index, self._check(value))
        self._put(items)


class Sequential(ModuleList):
    """Apply modules and functions one after the other.

    The stages are `net[0]`, `net[1]`, ..., and their parameters `0.weight` and so on, as
    in PyTorch; a slice is a Sequential of the same stages.

    >>> net = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.tanh)
    >>> net(tg.ones(2, 3)).shape, len(net), list(net.state_dict())
    ((2, 4), 2, ['0.weight', '0.bias'])
    """

    def __init__(self, *stages: Callable[..., Any]):
        if not stages:
            raise GraphError("Sequential: needs at least one module or function")
        super().__init__(stages)

    def __getitem__(self, key: Any) -> Any:
        return Sequential(*self._items[key]) if isinstance(key, slice) else self._items[key]

    def _check(self, item: object) -> Any:
        if not callable(item):
            raise DTypeError(f"Sequential: {type(item).__name__} is no module and no function")
        return item

    def forward(self, x: Any) -> Any:
        for stage in self._items:
            x = stage(x)
        return x


class ModuleDict(_Holder, MutableMapping[str, Any]):
    """A module of modules by name; it does everything that a dict does.

    >>> cells = ModuleDict({"left": tg.nn.Linear(3, 4)})
    >>> cells["right"] = tg.nn.Linear(3, 4, bias=False)
    >>> list(cells.state_dict())
    ['left.weight', 'left.bias', 'right.weight']
    """

    def __init__(self, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()):
        self._put({key: self._check(item) for key, item in dict(items).items()})

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __setitem__(self, key: str, item: Any) -> None:
        self._put({**self._items, key: self._check(item)})

    def __delitem__(self, key: str) -> None:
        items = dict(self._items)
        del items[key]
        self._put(items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)


class ParameterList(ModuleList):
    """A module of parameters in a row; tensors and arrays become parameters.

    >>> ParameterList([tg.ones(2), [1.0, 2.0, 3.0]]).state_dict()["1"].tolist()
    [1.0, 2.0, 3.0]
    """

    def _check(self, item: object) -> Any:
        if isinstance(item, Parameter):
            return item
        if isinstance(item, Tensor) and item.node is not None:
            raise GraphError("ParameterList: a tensor that an op made is no parameter; detach it")
        return Parameter(item)
