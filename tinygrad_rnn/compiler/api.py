"""`tg.jit`: a function as one node of the graph, with a compiled forward and backward."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .._record import versions_of
from .._tensor import Tensor, constant, count, to_array
from ..autodiff import _Switch
from ..errors import CaptureError, GraphError
from ..graph import Node
from ..op import Array, Deferred, local, primitive
from . import explain as words
from .capture import Symbol, Tape, trace
from .guards import Guards, is_module, modules_in, surroundings
from .ir import Value
from .program import Compiled


class disable_jit(_Switch):
    """Run jitted functions eagerly in this thread: `with disable_jit():` or `@disable_jit()`.

    >>> import tinygrad_rnn as tg
    >>> square = tg.jit(lambda x: x * x)
    >>> with tg.disable_jit():
    ...     square(tg.tensor(3.0)).item()
    9.0
    """

    name, value = "jit", False


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
    call: _Call = xs[0]
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


class _Call:
    """What one call leaves for its backward pass."""

    def __init__(self, entry: "Entry", saved: Any, held: Any):
        self.entry, self.saved, self.held = entry, saved, held

    def backward(self, cotangents: dict[int, Array], wanted: Sequence[bool]) -> list[Any]:
        """Gradients for the node's inputs, None where not wanted."""
        compiled = self.entry.compiled
        asked = tuple([k for k, w in zip(compiled.wanted, wanted, strict=True) if w])
        # an array of its own for each input: the sweep adds to it in place
        others = set(map(id, cotangents.values()))
        others.update(map(id, self.saved.values()))
        found: list[Any] = []
        for g in compiled.run_backward(self.saved, cotangents, asked):
            found.append(g if g is None or id(g) not in others else g.copy())
            others.add(id(g))
        grads = iter(found)
        return [next(grads) if w else None for w in wanted]


class Entry:
    """One captured program with its guards."""

    def __init__(self, fn: Callable[..., Any], values: Any, leaves: Any, shape: Any):
        started = time.perf_counter()
        now = local.now
        tape = Tape(now.grad)
        symbols = [
            tape.symbol(a.shape, a.dtype, a.requires_grad) if isinstance(a, Tensor) else a
            for a in leaves
        ]
        met = {id(m): m for m in modules_in([*values(), *leaves, getattr(fn, "__self__", fn)])}
        tape.modules.update(met)
        parts, new = iter(shape), iter(symbols)
        args, kwargs = _rebuilt(parts, new), _rebuilt(parts, new)
        result = trace(tape, fn, *args, **kwargs)
        outputs: list[Value] = []
        self.rebuild, self.fixed = _results(result, tape, outputs)
        arguments = [s.value for s in symbols if isinstance(s, Symbol)]
        self.n_arguments = len(arguments)
        self.lifted = [a for a, _ in tape.lifted.values()]
        inputs = arguments + [v for _, v in tape.lifted.values()]
        self.captured = time.perf_counter() - started
        self.compiled = Compiled(inputs, tape.instrs, outputs, now.grad)
        self.prepared = time.perf_counter() - started - self.captured
        program = self.compiled.program
        self.read = [k for k, v in enumerate(program.inputs) if id(v) in self.compiled.read_inputs]
        self.guards = Guards(values, tape.modules, self.lifted, list(tape.read_values.values()))

    def run(self, tensors: list[Tensor]) -> Any:
        """Call the program: results as the function would return them."""
        compiled = self.compiled
        inputs = tensors + self.lifted
        arrays = [a._array if isinstance(a, Tensor) else a for a in inputs]
        outputs, saved, held = compiled.run(arrays)
        results = [constant(y) for y in outputs]
        if compiled.differentiable and compiled.wanted and local.now.grad:
            self._node(results, inputs, saved, held)
        return self.rebuild(results)

    def _node(self, results: list[Tensor], inputs: list[Any], saved: Any, held: Any) -> None:
        """Put the call into the graph: one node, or one and a small one for each result."""
        compiled = self.compiled
        nodes = [inputs[k] if inputs[k]._node is None else inputs[k]._node for k in compiled.wanted]
        call = _Call(self, saved, held)
        read = [inputs[k] for k in self.read if isinstance(inputs[k], Tensor)]
        places = compiled.differentiable
        core = _make(jitted, nodes, {}, ((call,),), results[places[0]])
        core.versions = versions_of(read)
        if len(places) == 1:
            results[places[0]]._node = core
            return
        for k in places:
            results[k]._node = _make(jit_output, [core], {"place": k}, (), results[k])


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


def _results(result: Any, tape: Tape, outputs: list[Value]) -> tuple[Callable[..., Any], Any]:
    """How to build what the function returns from the program's outputs."""
    if isinstance(result, Symbol):
        value = tape.operand(jitted, result)
        outputs.append(value)
        k = len(outputs) - 1
        return (lambda ys: ys[k]), None
    if isinstance(result, Tensor) or result is None:
        return (lambda ys: result), None
    if isinstance(result, list | tuple):
        parts = [_results(r, tape, outputs)[0] for r in result]
        if hasattr(result, "_fields"):
            return (lambda ys: type(result)(*[p(ys) for p in parts])), None
        return (lambda ys: type(result)([p(ys) for p in parts])), None
    if isinstance(result, dict):
        named = {k: _results(r, tape, outputs)[0] for k, r in result.items()}
        return (lambda ys: {k: p(ys) for k, p in named.items()}), None
    raise CaptureError(
        f"tg.jit: the function returns a {type(result).__name__}, which would stay what it was at "
        "the first call; return tensors, in tuples, lists or dicts, and compute the rest outside"
    )


def _flatten(value: Any, leaves: list[Any], shape: list[Any]) -> None:
    """Collect the leaves of an argument, and what `_rebuilt` needs to put them together again."""
    if isinstance(value, Tensor):
        leaves.append(value)
        array = value._array
        needs = value._leaf or value._node is not None
        shape.append((array.shape, array.dtype.char, needs))
    elif isinstance(value, list | tuple):
        shape.append((type(value), len(value)))
        for v in value:
            _flatten(v, leaves, shape)
    elif type(value) is dict:
        shape.append((dict, tuple(value)))
        for v in value.values():
            _flatten(v, leaves, shape)
    elif isinstance(value, np.ndarray | np.generic):
        _flatten(constant(to_array(np.asarray(value))), leaves, shape)
    else:
        leaves.append(value)
        shape.append(_static(value))


def _rebuilt(shape: Iterator[Any], leaves: Iterator[Any]) -> Any:
    """The argument that `_flatten` took apart, with new leaves."""
    kind, parts = next(shape)[:2]
    if kind is dict:
        return {k: _rebuilt(shape, leaves) for k in parts}
    if not isinstance(kind, type) or not issubclass(kind, list | tuple):
        return next(leaves)
    values = [_rebuilt(shape, leaves) for _ in range(parts)]
    return kind(*values) if hasattr(kind, "_fields") else kind(values)


def _static(value: Any) -> Any:
    """The key of an argument that is no array: by value, a module by identity."""
    if is_module(value):
        return ("module", id(value))
    try:
        hash(value)
    except TypeError:
        raise CaptureError(
            f"tg.jit: an argument of type {type(value).__name__} can be neither traced nor "
            "compared; pass tensors, plain Python values, and tuples, lists and dicts of them"
        ) from None
    return (type(value), value)


class Jitted:
    """A function compiled by `tg.jit`; call it like the function."""

    def __init__(self, fn: Callable[..., Any]):
        functools.update_wrapper(self, fn, updated=())
        self.fn = fn
        self._values = surroundings(fn)
        self._entries: dict[Any, list[Entry]] = {}
        self._last: Entry | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        now = local.now
        if not now.jit or now.anomaly or now.recorder is not None:
            return self.fn(*args, **kwargs)
        leaves: list[Any] = []
        shape: list[Any] = [now.grad]
        _flatten(args, leaves, shape)
        _flatten(kwargs, leaves, shape)
        key = tuple(shape)
        for entry in self._entries.get(key, ()):
            if entry.guards.hold():
                break
        else:
            entry = self._capture(key, leaves)
        self._last = entry
        return entry.run([a for a in leaves if isinstance(a, Tensor)])

    def _capture(self, key: Any, leaves: list[Any]) -> Entry:
        entry = Entry(self.fn, self._values, leaves, key[1:])
        known = self._entries.setdefault(key, [])
        known.insert(0, entry)
        del known[8:]  # programs for the modes a training goes through; older ones are stale
        return entry

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @property
    def source(self) -> str:
        """Code of the kernels of the last call: forward, then backward."""
        return words.source(self._entry().compiled)

    def explain(self) -> str:
        """In words: the loops found, what was moved and fused, what is kept, bytes, seconds."""
        return words.explain(self._entry())

    def _entry(self) -> Entry:
        if self._last is None:
            raise CaptureError(
                f"{getattr(self, '__name__', 'a jitted function')} has not been called yet: its "
                "program depends on the arguments' shapes; call it once"
            )
        return self._last

    def __repr__(self) -> str:
        return f"<tg.jit {getattr(self, '__qualname__', self.fn)!r}>"


def jit(fn: Callable[..., Any]) -> Jitted:
    """Compile a function of tensors: its plain Python loop over time becomes one fused kernel.

    `fn` takes and returns tensors, also in tuples, lists and dicts, and may use any
    modules and tensors around it. The first call records it, finds the repeated step
    and compiles forward and backward (kept on disk); later calls only run them, also
    for another length or batch size. The result is part of the graph like any other:
    `loss.backward()`, optimisers and hooks work on. Modes, replaced parameters and
    closed-over Python values are looked at in every call; all other Python (a global
    list that grows, the value of a random module of Python) is frozen as recorded.

    Raises CaptureError, naming the line, for what cannot be recorded: a branch on a
    tensor's value, `.item()`, a NumPy function on a tensor, a result that is no tensor.

    >>> import tinygrad_rnn as tg
    >>> cell = tg.nn.GRUCell(3, 4)
    >>> @tg.jit
    ... def run(x):
    ...     h = tg.zeros(x.shape[1], 4)
    ...     for x_t in x:
    ...         h = cell(x_t, h)
    ...     return h.sum()
    >>> run(tg.ones(20, 2, 3)).backward()
    >>> cell.weight_hh.grad.shape
    (12, 4)
    """
    if isinstance(fn, Jitted):
        return fn
    if not callable(fn):
        raise CaptureError(f"tg.jit: expected a function or a module, got {type(fn).__name__}")
    return Jitted(fn)
