"""Checkpoints of training: everything a run needs to go on bit for bit, in one file."""

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn
from ..errors import CheckpointError
from ..ops.random import Generator, default_generator
from ..storage import older, read, write
from .nested import map_leaves

_KINDS, _RANDOM, _SETTINGS = "kinds", "random", "settings"


def save(
    path: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    keep: int = 2,
    **parts: Any,
) -> Path:
    """Write all that a training run needs to go on bit for bit to one safetensors file.

    A part is anything with `state_dict()` and `load_state_dict()`, or a generator of random
    numbers, tg's or NumPy's. The state of the default generator, and of those that modules of the
    parts hold, goes along by itself. `settings` is what else the run needs: numbers, strings,
    arrays, tensors, and dicts, lists and tuples of them; named tuples come back as plain ones, so
    `train.Scaling(*found["scaling"])`. The file is there whole or not at all
    (temporary file, fsync, rename); the `keep - 1` before it stay as `run.1.safetensors` and so
    on. Call it between updates: gradients are not kept. Raises CheckpointError, the
    files untouched, for what cannot be stored or written.

    >>> import tempfile
    >>> model = tg.nn.LSTM(2, 3)
    >>> optimizer = tg.optim.Adam(model.parameters())
    >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> _ = save(path, model=model, optimizer=optimizer, settings={"epoch": 7})
    >>> load(path, model=model, optimizer=optimizer)
    {'epoch': 7}
    """
    where = f"train.save {os.fspath(path)}"
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
        raise CheckpointError(f"{where}: keep must be a whole number from 1, got {keep!r}")
    if settings is not None and not isinstance(settings, Mapping):
        raise CheckpointError(f"{where}: settings must be a dict, got {type(settings).__name__}")
    _check_parts(where, parts)
    tree: dict[str, Any] = {name: _state(part) for name, part in parts.items()}
    tree[_SETTINGS] = dict(settings or {})
    tree[_KINDS] = {name: type(part).__name__ for name, part in parts.items()}
    tree[_RANDOM] = {name: _state(g) for name, g in _generators(parts)}
    return write(path, tree, "train.save", keep)


def load(path: str | os.PathLike[str], *, strict: bool = True, **parts: Any) -> dict[str, Any]:
    """Take over what `save` wrote, all or nothing; returns the settings.

    The parts must be those of the file, made as they were in the run that saved it: names,
    shapes and dtypes, the kind of optimiser and its groups are compared before anything is
    touched. With `strict=False` parts of the file may be left out, and random states stay as
    they are: `load(path, strict=False, model=model)` takes the weights alone. Where the
    newest file is missing or damaged the one before it is taken, with a RuntimeWarning that names
    both. Raises CheckpointError, with all parts as they were, for anything that does not fit.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.safetensors"
    >>> _ = save(path, model=tg.nn.GRU(2, 3))
    >>> load(path, model=tg.nn.LSTM(2, 3))
    Traceback (most recent call last):
    tinygrad_rnn.errors.CheckpointError: train.load ...: nothing was loaded; ...
    """
    where = f"train.load {os.fspath(path)}"
    _check_parts(where, parts)
    tree = _newest(Path(path))
    if not isinstance(tree, dict) or not all(
        isinstance(tree.get(k), dict) for k in (_KINDS, _RANDOM, _SETTINGS)
    ):
        raise CheckpointError(f"{where}: was not written by train.save; tg.load may read it")
    wrong = _misfits(tree, parts, strict)
    if strict:
        generators = dict(_generators(parts))
        states = {name: _state(g) for name, g in generators.items()}
        wrong += _differences(_RANDOM, states, tree[_RANDOM])
    if wrong:
        raise CheckpointError(
            f"{where}: nothing was loaded; make the parts as in the run that saved it\n  "
            + "\n  ".join(wrong[:20])
        )
    jobs = [(name, part, tree.get(name)) for name, part in parts.items()]
    if strict:
        jobs += [(f"{_RANDOM}.{n}", g, tree[_RANDOM][n]) for n, g in generators.items()]
    _take_over(where, jobs)
    settings: dict[str, Any] = tree[_SETTINGS]
    return settings


# parts --------------------------------------------------------------------------------------


def _check_parts(where: str, parts: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        if name in (_KINDS, _RANDOM):
            raise CheckpointError(f"{where}: a part may not be called {name!r}; rename it")
        if not isinstance(part, Generator | np.random.Generator) and not (
            hasattr(part, "state_dict") and hasattr(part, "load_state_dict")
        ):
            raise CheckpointError(
                f"{where}: {name} is a {type(part).__name__}; a part needs state_dict() and "
                "load_state_dict(), what has none goes into settings={...}"
            )


def _state(part: Any) -> Any:
    if isinstance(part, Generator):
        return list(part.state)
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return part.state_dict()


def _load(part: Any, state: Any) -> None:
    if isinstance(part, Generator):
        seed, counter = state
        if not (type(seed) is type(counter) is int and 0 <= seed < 2**64 and counter >= 0):
            raise ValueError(f"the state of a generator is (seed, counter), got {state!r:.80}")
        part.state = seed, counter
    elif isinstance(part, np.random.Generator):
        part.bit_generator.state = state
    else:
        part.load_state_dict(state)


def _generators(parts: Mapping[str, Any]) -> Iterator[tuple[str, Generator]]:
    """The default generator, and those that modules hold, each once, by path."""
    seen = {id(default_generator), *(id(p) for p in parts.values())}
    yield "default", default_generator
    for part_name, part in parts.items():
        for path, module in part.named_modules(part_name) if isinstance(part, nn.Module) else ():
            for name, value in vars(module).items():
                if isinstance(value, Generator) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}", value


def _take_over(where: str, jobs: list[tuple[str, Any, Any]]) -> None:
    """Load a state into every part; if one refuses, all are as they were."""
    before = [map_leaves(_copied, _state(part)) for _, part, _ in jobs]
    for k, (name, part, state) in enumerate(jobs):
        try:
            _load(part, state)
        except BaseException as error:
            for (_, changed, _), old in zip(jobs[: k + 1], before, strict=False):
                with contextlib.suppress(Exception):  # it stops again where it stopped before
                    _load(changed, old)
            if not isinstance(error, Exception):
                raise
            raise CheckpointError(
                f"{where}: nothing was loaded; {name} refuses its state: {error!r:.300}"
            ) from error


def _copied(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


# what fits ----------------------------------------------------------------------------------


def _misfits(tree: Mapping[str, Any], parts: Mapping[str, Any], strict: bool) -> list[str]:
    """What stands against taking over the parts, a line each."""
    kinds = tree[_KINDS]
    wrong = [f"missing: the file has no {name}" for name in parts if name not in kinds]
    if strict:
        left = [name for name in kinds if name not in parts]
        wrong += [
            f"left out: the file has {n}, a {kinds[n]} (strict=False leaves it)" for n in left
        ]
    for name, part in parts.items():
        if name not in kinds:
            continue
        kind = type(part).__name__
        if kind != kinds[name] and not isinstance(part, nn.Module):
            wrong.append(f"{name}: {kind} here, {kinds[name]} there")
        elif isinstance(part, nn.Module):  # optimisers look for themselves, before they load
            wrong += _differences(name, _state(part), tree.get(name))
    return wrong


def _differences(path: str, here: Any, there: Any) -> Iterator[str]:
    """Names, lengths, shapes and dtypes in which two states differ."""
    if isinstance(here, dict) and isinstance(there, dict):
        for key in [*here, *(k for k in there if k not in here)]:
            where = f"{path}.{key}"
            if key not in there:
                yield f"{where}: {_described(here[key])} here, missing there"
            elif key not in here:
                yield f"{where}: missing here, {_described(there[key])} there"
            else:
                yield from _differences(where, here[key], there[key])
    elif isinstance(here, list | tuple) and isinstance(there, list | tuple):
        if len(here) != len(there):
            yield f"{path}: {len(here)} items here, {len(there)} there"
        else:
            for k, (a, b) in enumerate(zip(here, there, strict=True)):
                yield from _differences(f"{path}.{k}", a, b)
    elif _described(here) != _described(there):
        yield f"{path}: {_described(here)} here, {_described(there)} there"


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    if value is None or isinstance(value, bool | int | float | np.generic):
        return "a number"  # None: a number not known yet
    return f"a {type(value).__name__}"


# files --------------------------------------------------------------------------------------


def files(path: Path) -> list[Path]:
    """The checkpoint and those kept before it, newest first; only those that exist."""
    path = Path(os.path.realpath(path))
    numbers = sorted(
        int(middle)
        for p in path.parent.glob("*")
        if p.name.startswith(f"{path.stem}.") and p.name.endswith(path.suffix)
        if (middle := p.name[len(path.stem) + 1 : len(p.name) - len(path.suffix)]).isdecimal()
    )
    return [p for p in (path, *(older(path, k) for k in numbers)) if p.exists()]


def _newest(path: Path) -> Any:
    """The tree of the newest file that is whole."""
    troubles = [] if path.exists() else [f"train.load {path}: does not exist"]
    for candidate in files(path):
        try:
            tree = read(candidate, "train.load")
        except CheckpointError as error:
            troubles.append(str(error))
            continue
        if troubles:
            warnings.warn(
                f"{'; '.join(troubles)}; going on from {candidate}, which was saved before",
                RuntimeWarning,
                stacklevel=3,
            )
        return tree
    raise CheckpointError(f"{'; '.join(troubles)}; there is no whole file saved before it")
