"""One captured program, and a call of it as a node of the graph."""

import gc
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np

from ..errors import GraphError
from ..graph import Node, count
from ..op import Array, local, primitive
from ..recording import constant, versions_of
from ..rules import Deferred
from ..tensors import Tensor
from .arguments import static
from .compiled import Compiled
from .names import names_of
from .recorded import Recorded
from .relocate import relocated


@primitive(  # type: ignore[untyped-decorator]
    shape=lambda *xs: ()
)
def jitted(*xs: Any) -> Any:
    """A call of a jitted function; made by `tg.jit` only."""
    raise GraphError("jitted: an op of tg.jit's own")


def _no_graph(g: Any, xs: Any) -> Any:
    raise GraphError(
        "create_graph=True: a jitted function has first derivatives only; compute this under "
        "tg.disable_jit()"
    )


def _jitted_kernel(g: Any, xs: Any, *, wanted: Sequence[bool]) -> list[Any]:
    call: Call = xs[0]
    cotangents = g if isinstance(g, dict) else {call.entry.compiled.differentiable[0]: g}
    return call.backward(cotangents, wanted)


@jitted.vjp(kernel=_jitted_kernel)  # type: ignore[untyped-decorator]
def jitted_vjp(g: Any, xs: Any, *, wanted: Any) -> Any:
    return _no_graph(g, xs)


jitted.selective = True


@primitive(  # type: ignore[untyped-decorator]
    shape=lambda x, *, place: ()
)
def jit_output(x: Any, *, place: int) -> Any:
    """One of several results of a jitted function; made by `tg.jit` only."""
    raise GraphError("jit_output: an op of tg.jit's own")


@primitive(  # type: ignore[untyped-decorator]
    shape=lambda *xs, shape, keys: ()
)
def gathered(*xs: Any, shape: Any, keys: Any) -> Any:
    """Cotangents of several results together, by place."""
    return dict(zip(keys, xs, strict=True))


@jit_output.vjp  # type: ignore[untyped-decorator]
def jit_output_vjp(g: Any, *, place: int) -> Any:
    return Deferred(gathered, (g,), place)


class Call:
    """What one call leaves for its backward pass."""

    def __init__(self, entry: "Entry", saved: Any, held: Any):
        self.entry, self.saved, self.held = entry, saved, held
        self.check: Callable[..., None] | None = None  # compares with eager gradients

    def backward(self, cotangents: dict[int, Array], wanted: Sequence[bool]) -> list[Any]:
        """Gradients for the node's inputs, None where not wanted."""
        compiled = self.entry.compiled
        asked = tuple([k for k, w in zip(compiled.wanted, wanted, strict=True) if w])
        found = compiled.run_backward(self.saved, cotangents, asked)
        others = {*map(id, cotangents.values()), *map(id, self.saved.values())}
        if len({*map(id, found), *others}) < len(found) + len(others):
            # an array of its own for each input: the sweep adds to it in place
            for k, g in enumerate(found):
                if g is not None and id(g) in others:
                    found[k] = g.copy()
                others.add(id(g))
        results = found
        if len(found) < len(wanted):
            grads = iter(found)
            results = [next(grads) if w else None for w in wanted]
        if self.check is not None:
            self.check(cotangents, wanted, results)
        return results


_seeding = [threading.RLock()]  # one thread at a time; a forked child has a lock of its own
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _seeding.__setitem__(0, threading.RLock()))


@contextmanager
def uncollected() -> Iterator[None]:
    """Let Python's collector rest: most of what a recording makes is gone after it.

    What it finds alive in the middle counts as old and sets it off over all there is: of sentences
    of ever new lengths a fifth of the whole training went there.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


class Entry:
    """One captured program with its guards."""

    def __init__(
        self, fn: Callable[..., Any], leaves: Any, shape: Any, varying: Collection[int] = ()
    ):
        self.used = count()  # a number that grows, of the last change to this program
        with uncollected():
            self._record(fn, leaves, shape, varying)

    def _record(self, fn: Callable[..., Any], leaves: Any, shape: Any, varying: Any) -> None:
        started = time.perf_counter()
        try:
            recorded = Recorded(fn, leaves, shape, varying)
        except Exception:
            if not varying:
                raise
            recorded = Recorded(fn, leaves, shape)  # the floats by value; an error is raised anew
        self.floats = recorded.floats
        tape = recorded.tape
        self.captured = time.perf_counter() - started
        self.rebuild, self.guards = recorded.rebuild, recorded.guards
        self.frozen, self.moments = recorded.watch.frozen, recorded.watch.moments_read()
        self.codes = list(recorded.watch.around.ran.values())  # to name lines in warnings
        self.kind: Any = None  # the key with classes in place of objects
        self.twin = False  # another entry's program for other objects
        self.seeded = tape.seeded
        self.leaves = recorded.leaves  # places of lifted ones that each call makes anew
        self.held = [a for a in leaves if not isinstance(a, Tensor)]  # known by their ids
        self.plain = not self.held  # whether all leaves of its arguments are tensors
        self.compiled = Compiled(recorded.inputs, tape.instrs, recorded.outputs, local.now.grad)
        self.prepared = time.perf_counter() - started - self.captured
        program = self.compiled.program
        self.read = [k for k, v in enumerate(program.inputs) if id(v) in self.compiled.watched]

    def moved_to(self, leaves: Sequence[Any]) -> "Entry | None":
        """The same program for other objects among the arguments; None if it may be another."""
        held = [a for a in leaves if not isinstance(a, Tensor)]
        if any(names_of(code).identity for code in self.codes):
            return None
        objects = [k for k, a in enumerate(held) if static(a)[-1] == id(a)]
        guards = relocated(self.guards, [self.held[k] for k in objects], [held[k] for k in objects])
        if guards is None:
            return None
        twin = copy(self)
        twin.guards, twin.held, twin.twin = guards, held, True
        return twin

    def run(
        self,
        tensors: list[Tensor],
        lifted: list[Any],
        floats: Sequence[Array],
        calls: list[Call] | None = None,
    ) -> Any:
        """Call the program: results as the function would return them.

        `lifted` are the inputs that its guards found. What the backward pass will use is added
        to `calls`.
        """
        compiled = self.compiled
        if self.leaves:
            lifted = [_anew(a) if k in self.leaves else a for k, a in enumerate(lifted)]
        inputs = [*tensors, *lifted, *floats]
        arrays = [a._array for a in tensors]
        arrays += [a._array if isinstance(a, Tensor) else a for a in lifted]
        arrays += floats
        if self.seeded:
            with _seeding[0]:
                outputs, saved, held = self._seeded(arrays)
        else:
            outputs, saved, held = compiled.run(arrays)
        results = [constant(y) for y in outputs]
        for k, place in compiled.shared:
            _share_version(results[k], inputs[place] if place >= 0 else results[~place])
        if compiled.differentiable and compiled.wanted and local.now.grad:
            call = self._node(results, inputs, saved, held)
            if calls is not None:
                calls.append(call)
        return self.rebuild(results, inputs)

    def _seeded(self, arrays: list[Array]) -> Any:
        """Run a program that starts generators anew, in which others stand in for them."""
        for _, stand_in, state in self.seeded:
            stand_in.state = state
        found = self.compiled.run(arrays)
        for generator, stand_in, _ in self.seeded:
            generator.state = stand_in.state
        return found

    def _node(self, results: list[Tensor], inputs: list[Any], saved: Any, held: Any) -> Call:
        """Put the call into the graph: one node, or one and a small one for each result."""
        compiled = self.compiled
        nodes = [inputs[k] if inputs[k]._node is None else inputs[k]._node for k in compiled.wanted]
        call = Call(self, saved, held)
        read = [inputs[k] for k in self.read if isinstance(inputs[k], Tensor)]
        places = compiled.differentiable
        core = _make(jitted, nodes, {}, ((call,),), results[places[0]])
        core.versions = versions_of(read)
        if len(places) == 1:
            results[places[0]]._node = core
            return call
        for k in places:
            results[k]._node = _make(jit_output, [core], {"place": k}, (), results[k])
        return call


def _anew(leaf: Tensor) -> Tensor:
    """A leaf as the function would make it: the gradients of two calls are not added up."""
    twin = copy(leaf)
    twin._hooks = leaf._hooks and dict(leaf._hooks)
    return twin


def _make(op: Any, inputs: list[Any], attrs: Any, saved: Any, like: Tensor) -> Node:
    node = Node()
    node.op, node.inputs, node.attrs, node.plan, node.saved = (
        op,
        tuple(inputs),
        attrs,
        op.plan(1),
        saved,
    )
    node.versions, node.extra, node.seq, node.stamp = None, None, count(), local.now.stamp
    node.shape, node.dtype = like._array.shape, like._array.dtype
    return node


def _share_version(y: Tensor, x: Any) -> None:
    """Let a result that is a view be written to, and noticed to be, as eager execution has it."""
    if not isinstance(x, Tensor):
        if np.may_share_memory(y._array, x):  # an array of the user's
            y._array = y._array.copy()
    elif np.may_share_memory(y._array, x._array):
        if x._version is None and x._node is None:
            x._version = [0]
        y._version = x._version
        if y._array.base is None:
            y.label = ("detach",)  # assign_ must not overwrite x
