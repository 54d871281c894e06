"""Arguments taken apart into tensors and a key, and what the function returns put together."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from itertools import repeat
from operator import is_
from typing import Any

import numpy as np

from ..conversion import to_array
from ..errors import CaptureError
from ..op import OPS
from ..recording import constant
from ..tensors import Tensor
from .capture import Symbol, Tape
from .ir import Value
from .places import LARGE, PLAIN, SMALL_ARRAY

DICTS = (dict, OrderedDict)
ALIKE = "alike"  # begins the part of a key that stands for several tensors of one kind
_TENSORS = {Tensor}
Rebuild = Callable[[list[Tensor], list[Any]], Any]


def results(
    result: Any, tape: Tape, arguments: list[Symbol], outputs: list[Value], around: Set[int]
) -> Rebuild:
    """How to build what the function returns from the program's outputs and its inputs."""
    if isinstance(result, Symbol):
        for k, symbol in enumerate(arguments):
            if symbol is result:  # as it came
                return lambda ys, inputs, k=k: inputs[k]  # type: ignore[misc]
        outputs.append(tape.operand(OPS["jitted"], result))
        place = len(outputs) - 1
        return lambda ys, inputs: ys[place]
    if isinstance(result, Tensor):
        tape.lift(result)
        k = len(arguments) + list(tape.lifted).index(id(result))
        if id(result) in around or result.requires_grad:
            return lambda ys, inputs: inputs[k]
        return lambda ys, inputs: constant(inputs[k]._array.copy())  # made inside: a new one
    if result is None:
        return lambda ys, inputs: None
    if isinstance(result, list | tuple):
        parts = [results(r, tape, arguments, outputs, around) for r in result]
        kind: Any = type(result)
        if hasattr(kind, "_fields"):
            return lambda ys, inputs: kind(*[p(ys, inputs) for p in parts])
        return lambda ys, inputs: kind([p(ys, inputs) for p in parts])
    if type(result) in DICTS:
        named = {k: results(r, tape, arguments, outputs, around) for k, r in result.items()}
        kind = type(result)
        return lambda ys, inputs: kind((k, p(ys, inputs)) for k, p in named.items())
    raise CaptureError(
        f"tg.jit: the function returns a {type(result).__name__}, which would stay what it was at "
        "the first call; return tensors, in tuples, lists or dicts, and compute the rest outside"
    )


def pairs(
    where: str, places: Any, found: Any, wanted: Any
) -> Iterator[tuple[str, Any, Tensor, Tensor]]:
    """The tensors of two results of one structure, with their names and places."""
    if isinstance(found, Tensor):
        yield where, places, found, wanted
    elif isinstance(found, dict):
        for k, y in found.items():
            yield from pairs(f"{where}[{k!r}]", places[k], y, wanted[k])
    elif found is not None:
        for k, y in enumerate(found):
            yield from pairs(f"{where}[{k}]", places[k], y, wanted[k])


def flatten(value: Any, leaves: list[Any], shape: list[Any]) -> None:
    """Collect the leaves of an argument, and what `rebuilt` needs to put them together again."""
    kind = type(value)
    if isinstance(value, Tensor):
        leaves.append(value)
        array = value._array
        needs = value._leaf or value._node is not None
        shape.append((array.shape, array.dtype.char, needs))
    elif kind is tuple or kind is list or (isinstance(value, tuple) and contains(kind)):
        shape.append((kind, len(value)))
        if len(value) > 1 and {*map(type, value)} == _TENSORS:
            leaves += value
            shape += _kinds(value)
            return
        for v in value:
            flatten(v, leaves, shape)
    elif kind is dict:
        shape.append((dict, tuple(value)))
        for v in value.values():
            flatten(v, leaves, shape)
    elif isinstance(value, np.ndarray):
        flatten(constant(to_array(value)), leaves, shape)
    else:
        leaves.append(value)
        shape.append(static(value))


def _kinds(tensors: Sequence[Tensor]) -> list[Any]:
    """The parts of a key for a list of inputs: one for all, where they are of one kind.

    .1 us a tensor; a part for each took .2, hashing and comparing them not counted.
    """
    like = tensors[0]
    shape, dtype, leaf = like._array.shape, like._array.dtype, like._leaf
    for v in tensors:
        a = v._array
        if a.shape != shape or a.dtype is not dtype or v._leaf is not leaf or v._node is not None:
            break
    else:
        return [(ALIKE, len(tensors), (shape, dtype.char, leaf))]
    kinds = [(v._array.shape, v._array.dtype.char, v.requires_grad) for v in tensors]
    return [(ALIKE, len(kinds), kinds[0])] if kinds.count(kinds[0]) == len(kinds) else kinds


def each(key: Iterable[Any]) -> Iterator[Any]:
    """The parts of a key, one for every leaf and container."""
    for part in key:
        if part[0] is ALIKE:
            yield from repeat(part[2], part[1])
        else:
            yield part


def rebuilt(shape: Iterator[Any], leaves: Iterator[Any], made: list[Any]) -> Any:
    """The argument that `flatten` took apart, with new leaves.

    What code can write to in it is added to `made`, in the order of the parts.
    """
    kind, parts = next(shape)[:2]
    if not contains(kind):
        leaf = next(leaves)
        made.append(leaf if type(leaf) in (set, bytearray) else None)
        return leaf
    place = len(made)
    made.append(None)
    values = [rebuilt(shape, leaves, made) for _ in range(len(parts) if kind is dict else parts)]
    if kind is dict:
        made[place] = dict(zip(parts, values, strict=True))
    else:
        made[place] = kind(*values) if hasattr(kind, "_fields") else kind(values)
    return made[place]


def contents(made: list[Any]) -> list[list[Any]]:
    """What is in the containers that `rebuilt` made and code can write to."""
    some = [c if isinstance(c, list | dict | set | bytearray) else () for c in made]
    return [[*c, *c.values()] if isinstance(c, dict) else list(c) for c in some]


def written(made: list[Any], before: list[list[Any]]) -> int | None:
    """Which part of the arguments has been written to since."""
    for k, (now, items) in enumerate(zip(contents(made), before, strict=True)):
        if len(now) != len(items) or not all(map(is_, now, items)):
            return k
    return None


def contains(kind: Any) -> bool:
    """Whether a part of a key, by its first item, is a container that was taken apart."""
    if not isinstance(kind, type):
        return False
    return kind in (list, tuple, dict) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


def static(value: Any) -> Any:
    """The key of an argument that is no array: plain values by value, objects by identity."""
    kind = type(value)
    if kind is float:  # 0.0 is not -0.0, and NaN is NaN
        return kind, value.hex()
    if kind in (slice, range):
        return kind, static(value.start), static(value.stop), static(value.step)
    if kind is complex:
        return kind, value.real.hex(), value.imag.hex()
    if kind in PLAIN:
        return kind, value
    if isinstance(value, np.generic) and kind is not np.object_:
        return kind, value.dtype.str, value.tobytes()
    if kind is bytearray and len(value) <= SMALL_ARRAY:
        return kind, bytes(value)
    if kind in (set, frozenset) and len(value) <= LARGE and PLAIN.issuperset(map(type, value)):
        return kind, *map(static, value)  # in the order in which code goes through it
    return kind, id(value)


def paths(shape: Any, fn: Callable[..., Any]) -> list[str]:
    """What the user calls each part of a key, `key[1:]`: the name of an argument, state['h'][0]."""
    parts, found = iter(shape), []

    def walk(path: str) -> None:
        found.append(path)
        kind, inner = next(parts)[:2]
        if not contains(kind):
            return
        fields = getattr(kind, "_fields", None)
        for k in inner if kind is dict else range(inner):
            walk(f"{path}.{fields[k]}" if fields else f"{path}[{k!r}]")

    names, first = _parameters(fn), next(parts)
    found.append("")
    for _ in range(first[1]):
        walk(next(names))
    found.append("")
    for name in next(parts)[1]:
        walk(name)
    return found


def _parameters(fn: Callable[..., Any]) -> Iterator[str]:
    """Names for as many arguments as may come by place."""
    number = 0
    try:
        parameters = inspect.signature(getattr(fn, "forward", fn)).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    for p in parameters:
        if p.kind is p.VAR_POSITIONAL:
            yield from (f"{p.name}[{k}]" for k in range(1 << 30))
        number += 1
        yield p.name
    yield from (f"number {k}" for k in range(number, 1 << 30))
