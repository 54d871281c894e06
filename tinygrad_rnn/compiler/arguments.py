"""Arguments taken apart into tensors and a key, and what the function returns put together."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Set
from typing import Any

import numpy as np

from .._tensor import Tensor, constant, to_array
from ..errors import CaptureError
from ..op import OPS
from .capture import Symbol, Tape
from .ir import Value
from .places import LARGE, PLAIN, SMALL_ARRAY

DICTS = (dict, OrderedDict)
Rebuild = Callable[[list[Tensor], list[Any]], Any]


def results(result: Any, tape: Tape, outputs: list[Value], around: Set[int]) -> Rebuild:
    """How to build what the function returns from the program's outputs and its inputs."""
    if isinstance(result, Symbol):
        outputs.append(tape.operand(OPS["jitted"], result))
        k = len(outputs) - 1
        return lambda ys, lifted: ys[k]
    if isinstance(result, Tensor):
        tape.lift(result)
        k = list(tape.lifted).index(id(result))
        if id(result) in around or result.requires_grad:
            return lambda ys, lifted: lifted[k]
        return lambda ys, lifted: constant(lifted[k]._array.copy())  # made inside: a new one
    if result is None:
        return lambda ys, lifted: None
    if isinstance(result, list | tuple):
        parts = [results(r, tape, outputs, around) for r in result]
        kind: Any = type(result)
        if hasattr(kind, "_fields"):
            return lambda ys, lifted: kind(*[p(ys, lifted) for p in parts])
        return lambda ys, lifted: kind([p(ys, lifted) for p in parts])
    if type(result) in DICTS:
        named = {k: results(r, tape, outputs, around) for k, r in result.items()}
        kind = type(result)
        return lambda ys, lifted: kind((k, p(ys, lifted)) for k, p in named.items())
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
    if isinstance(value, Tensor):
        leaves.append(value)
        array = value._array
        needs = value._leaf or value._node is not None
        shape.append((array.shape, array.dtype.char, needs))
    elif isinstance(value, list | tuple):
        shape.append((type(value), len(value)))
        for v in value:
            flatten(v, leaves, shape)
    elif type(value) is dict:
        shape.append((dict, tuple(value)))
        for v in value.values():
            flatten(v, leaves, shape)
    elif isinstance(value, np.ndarray):
        flatten(constant(to_array(value)), leaves, shape)
    else:
        leaves.append(value)
        shape.append(_static(value))


def rebuilt(shape: Iterator[Any], leaves: Iterator[Any]) -> Any:
    """The argument that `flatten` took apart, with new leaves."""
    kind, parts = next(shape)[:2]
    if kind is dict:
        return {k: rebuilt(shape, leaves) for k in parts}
    if not contains(kind):
        return next(leaves)
    values = [rebuilt(shape, leaves) for _ in range(parts)]
    return kind(*values) if hasattr(kind, "_fields") else kind(values)


def contains(kind: Any) -> bool:
    """Whether a part of a key, by its first item, is a container that was taken apart."""
    return kind is dict or (isinstance(kind, type) and issubclass(kind, list | tuple))


def _static(value: Any) -> Any:
    """The key of an argument that is no array: plain values by value, objects by identity."""
    kind = type(value)
    if kind is float:  # 0.0 is not -0.0, and NaN is NaN
        return kind, value.hex()
    if kind in (slice, range):
        return kind, _static(value.start), _static(value.stop), _static(value.step)
    if kind is complex:
        return kind, value.real.hex(), value.imag.hex()
    if kind in PLAIN:
        return kind, value
    if isinstance(value, np.generic) and kind is not np.object_:
        return kind, value.dtype.str, value.tobytes()
    if kind is bytearray and len(value) <= SMALL_ARRAY:
        return kind, bytes(value)
    if kind in (set, frozenset) and len(value) <= LARGE and PLAIN.issuperset(map(type, value)):
        return kind, *map(_static, value)  # in the order in which code goes through it
    return kind, id(value)
