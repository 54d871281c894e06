"""The audit of a jitted function: calls that run eagerly too, and must agree.

Guards see what Python code names; what it reads by other ways (a file, a long list, a
library's own state) can go stale unseen. The audit sees it, wherever it comes from.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..autodiff import grad
from ..errors import AuditError
from ..op import Array
from ..ops.random import Generator, default_generator
from ..tensors import Tensor
from .arguments import pairs
from .entry import Call, Entry
from .ir import Loop

# of the largest value (of any gradient, for gradients), and at least
_TOLERANCE = {"float32": (1e-4, 1e-6), "float64": (1e-8, 1e-12)}


def audited(entry: Entry, fn: Callable[..., Any], args: Any, kwargs: Any, *given: Any) -> Any:
    """The results of a compiled call, compared with those of `fn`; AuditError if they differ.

    `fn` runs eagerly; that call draws the same random numbers and leaves no trace: generators are
    where the compiled call left them, Python's and NumPy's where they were.
    """
    generators = _generators(entry)
    before = [g.state for g in generators]
    calls: list[Call] = []
    results = entry.run(given[0], given[1], given[2], calls)
    after = [g.state for g in generators]
    for g, state in zip(generators, before, strict=True):
        g.state = state
    inputs = [a for several in given for a in several]
    with _outside_random_unmoved(), _leaves([t for t in inputs if isinstance(t, Tensor)]):
        eager = fn(*args, **kwargs)
    drawn = [g.state for g in generators]
    for g, state in zip(generators, after, strict=True):
        g.state = state
    places = entry.rebuild(list(range(len(entry.compiled.output_ids))), inputs)  # type: ignore[arg-type]
    outputs: dict[int, Tensor] = {}
    for where, place, y, wanted in pairs("result", places, results, eager):
        _compare(where, y._array, wanted._array, _largest(wanted))
        if isinstance(place, int):
            outputs[place] = wanted
    if drawn != after:
        raise AuditError(
            f"tg.jit audit: the random generators are at {after} after the compiled call, at "
            f"{drawn} after the eager one"
        )
    for call in calls:
        call.check = _Gradients(entry, outputs, inputs, [given[1][k] for k in entry.leaves])
    return results


class _Gradients:
    """The eager graph of a call, to compare the gradients of its backward pass."""

    def __init__(
        self, entry: Entry, outputs: dict[int, Tensor], inputs: list[Any], own: list[Tensor]
    ):
        self.outputs = outputs
        self.own = {id(t) for t in own}  # made by each call for itself, so not in the eager graph
        self.inputs = [inputs[k] for k in entry.compiled.wanted]

    def __call__(
        self, cotangents: dict[int, Array], wanted: Sequence[bool], found: list[Any]
    ) -> None:
        """Compare; None stands for a gradient of zeros."""
        asked = [t for t, w in zip(self.inputs, wanted, strict=True) if w]
        places = [k for k in cotangents if self.outputs[k].requires_grad]
        eager: Any = [None] * len(asked)
        if places and asked:
            outputs = [self.outputs[k] for k in places]
            seeds = [cotangents[k] for k in places]
            with _leaves(asked):
                eager = grad(outputs, asked, seeds, retain_graph=True, allow_unused=True)
        grads = [g for g, w in zip(found, wanted, strict=True) if w]
        largest = max([_largest(g) for g in eager if g is not None], default=0)
        for k, (t, g, e) in enumerate(zip(asked, grads, eager, strict=True)):
            if id(t) in self.own:
                continue
            zeros = np.zeros(t.shape, t.dtype)
            where = f"the gradient of {t.name or f'input {k}'} {list(t.shape)}"
            _compare(where, zeros if g is None else g, zeros if e is None else e._array, largest)


def _compare(where: str, found: Array, wanted: Array, largest: float) -> None:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        raise AuditError(
            f"tg.jit audit: {where} is {found.dtype}{list(found.shape)} compiled, "
            f"{wanted.dtype}{list(wanted.shape)} eager"
        )
    rtol, atol = _TOLERANCE.get(str(found.dtype), (0, 0))
    with np.errstate(invalid="ignore"):
        near = np.abs(_finite(found) - _finite(wanted)) <= atol + rtol * largest
    same = (found == wanted) | ((found != found) & (wanted != wanted))
    bad = ~(same | (near & np.isfinite(found) & np.isfinite(wanted)))
    if bad.any():
        at = tuple([int(i) for i in np.argwhere(bad)[0]])
        raise AuditError(
            f"tg.jit audit: {where} is {found[at]} compiled and {wanted[at]} eagerly at {at}; "
            f"{int(bad.sum())} of {bad.size} differ. Something that the recording read has changed "
            "unseen (explain() lists what was frozen): pass it as an argument"
        )


def _largest(t: Tensor) -> float:
    return float(np.abs(_finite(t._array)).max(initial=0))


def _finite(a: Array) -> Array:
    return np.where(np.isfinite(a), a, 0).astype(np.float64) if a.size else np.zeros(a.shape)


def _generators(entry: Entry) -> list[Generator]:
    """The default generator, and all that the program draws from or starts again."""
    found = [default_generator, *[g for g, _, _ in entry.seeded]]
    for item in entry.compiled.program.items:
        for instr in item.body if isinstance(item, Loop) else [item]:
            found += instr.attrs.get("generators", ())
            found += [instr.attrs["generator"]] if "generator" in instr.attrs else []
    stand_ins = [id(s) for _, s, _ in entry.seeded]
    return list({id(g): g for g in found if id(g) not in stand_ins}.values())


@contextmanager
def _leaves(tensors: list[Tensor]) -> Iterator[None]:
    """Let tensors be leaves without hooks, so that what computed them is no part of the graph."""
    each = {id(t): t for t in tensors}.values()
    before = [(t, t._node, t._leaf, t._hooks) for t in each]
    for t in each:
        t._leaf, t._node, t._hooks = t.requires_grad, None, None
    try:
        yield
    finally:
        for t, node, leaf, hooks in before:
            t._node, t._leaf, t._hooks = node, leaf, hooks


@contextmanager
def _outside_random_unmoved() -> Iterator[None]:
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 (others draw from it)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
