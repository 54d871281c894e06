"""Models of our layers to ONNX files."""

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from .. import nn
from ..compiler import disable_jit
from ..errors import InterchangeError
from ..graph import Node
from ..nn.cell import Cell
from ..nn.recurrent import Recurrent
from ..op import Array
from ..switches import grad_enabled, no_grad
from ..tensors import Tensor
from .gates import model_or_refuse
from .onnx_graph import OnnxGraph, onnx_package
from .onnx_layers import LAYERS
from .onnx_ops import emit

OPSET, IR = 22, 10  # the newest version of RNN, LSTM and GRU, and what came with it
STEPS, ROWS = 7, 3  # of the example where none is given


def to_onnx(model: nn.Module, path: str | os.PathLike[str], *inputs: Tensor) -> None:
    """Write a model as an ONNX file (opset 22) that computes what it does in evaluation mode.

    Its forward is run once on `inputs`, examples of what it takes (needed unless the first layer
    determines them), and each layer becomes the node of its kind: Embedding, Linear, LayerNorm, the
    activations, RNN, LSTM and GRU of any layers and directions, with initial states and with
    `lengths` that are an input; between them there may be indexing, concat, stack, reshape,
    products, sums and means. All axes are free but the last of
    floats and the first of states. Inputs are named as
    forward names them, outputs `output`, `output_1` and so on, tuples in order. The file is
    checked by `onnx.checker`, and run by onnxruntime on other sizes and numbers, twice, before
    it is written. Raises InterchangeError naming the layer, the option or op that has no place
    there, and where the graph depends on sizes or values: a number computed from a shape, a branch
    that goes another way on those numbers.

    >>> import tempfile
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> to_onnx(net, tempfile.mkdtemp() + "/net.onnx")
    """
    onnx = onnx_package("to_onnx")
    model_or_refuse("to_onnx", model)
    _refuse_cells(model)
    examples = list(inputs) or [_example(model)]
    for x in examples:
        if not isinstance(x, Tensor) or not x.ndim:
            raise InterchangeError(f"to_onnx: inputs must be tensors with axes, got {x!r:.60}")
    training = [(m, m.training) for m in model.modules()]
    model.eval()
    try:
        with disable_jit(), grad_enabled(True):
            made = _recorded(onnx, model, examples)
            for sign in (1, -3):  # a branch that the one takes, the other may not
                others = zip(made.graph.input, examples, strict=True)
                _verify(made, model, [_other(*p, sign) for p in others])
    finally:
        for module, mode in training:
            module.training = mode
    with open(path, "wb") as file:
        file.write(made.SerializeToString())


def _refuse_cells(model: nn.Module) -> None:
    known = ", ".join(sorted(kind.__name__ for kind in LAYERS))
    for path, module in model.named_modules():
        own = isinstance(module, Recurrent | Cell) and type(module) not in LAYERS
        if own:
            raise InterchangeError(
                f"to_onnx: {path or 'the model'} is a {type(module).__name__}, a loop that "
                f"ONNX has no node for; layers that have one: {known}"
            )
    for name, p in model.named_parameters():
        if p.dtype != np.float32:
            raise InterchangeError(
                f"to_onnx: {name} is {p.dtype}; onnxruntime has recurrent nodes in float32 alone, "
                "use model.astype('float32')"
            )


def _example(model: nn.Module) -> Tensor:
    """What the first layer takes."""
    first = next((m for m in model.modules() if type(m) in LAYERS), None)
    if isinstance(first, nn.Embedding):
        return Tensor(np.arange(STEPS * ROWS).reshape(STEPS, ROWS) % len(first.weight))
    if isinstance(first, Recurrent):
        shape = (ROWS, STEPS) if first.batch_first else (STEPS, ROWS)
        return Tensor(np.ones((*shape, first.input_size), np.float32))
    if isinstance(first, nn.Linear | nn.LayerNorm):
        return Tensor(np.ones((ROWS, first.weight.shape[-1]), np.float32))
    raise InterchangeError(
        "to_onnx: give an example of what the model takes, to_onnx(model, path, example)"
    )


def _other(info: Any, x: Tensor, times: float) -> Tensor:
    """Other numbers, in two more rows along every free axis."""
    rng, a = np.random.default_rng(x.ndim), x.numpy()
    dims = info.type.tensor_type.shape.dim
    shape = tuple([d.dim_value or n + 2 for d, n in zip(dims, a.shape, strict=True)])
    if a.dtype.kind in "iu":
        return Tensor(rng.integers(a.min(), a.max() + 1, shape).astype(a.dtype))
    return Tensor((times * rng.normal(size=shape)).astype(a.dtype))


def _recorded(onnx: Any, model: nn.Module, examples: list[Tensor]) -> Any:
    """The ONNX model of one run."""
    g = OnnxGraph(onnx)
    given = [Tensor(x.numpy().copy(), requires_grad=x.dtype.kind == "f") for x in examples]
    names = _input_names(model, len(given))
    for x, name in zip(given, names, strict=True):
        g.call(x, name)
    with _layers_noted(g, model):
        outputs = _flat(model(*given))
    found = [_value(g, y) for y in outputs]
    labels = ["output" + (f"_{k}" if k else "") for k in range(len(found))]
    for name, label in zip(found, labels, strict=True):
        g.nodes.append(onnx.helper.make_node("Identity", [name], [label]))
    nodes = g.needed(labels)
    info, kind = onnx.helper.make_tensor_value_info, onnx.helper.np_dtype_to_tensor_dtype
    inside = [info(n, kind(x.dtype), _axes(g, n, x)) for n, x in zip(names, given, strict=True)]
    out = [
        info(n, kind(y.dtype), [f"{n}_{k}" for k in range(y.ndim)])
        for n, y in zip(labels, outputs, strict=True)
    ]
    constants = [onnx.numpy_helper.from_array(a, n) for n, a in g.constants.items()]
    graph = onnx.helper.make_graph(nodes, type(model).__name__, inside, out, constants)
    opset = [onnx.helper.make_opsetid("", OPSET)]
    made = onnx.helper.make_model(
        graph, opset_imports=opset, ir_version=IR, producer_name="tinygrad_rnn"
    )
    onnx.checker.check_model(made, full_check=True)
    return made


def _axes(g: OnnxGraph, name: str, x: Tensor) -> list[str | int]:
    """Names of the free axes, sizes of the others."""
    first = 1 if name in g.fixed else 0
    last = x.ndim if x.dtype.kind in "iu" else x.ndim - 1
    return [f"{name}_{k}" if first <= k < last else n for k, n in enumerate(x.shape)]


def _input_names(model: nn.Module, n: int) -> list[str]:
    """As forward calls its arguments."""
    parameters = inspect.signature(model.forward).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:n] if n <= len(names) else [f"input_{k}" for k in range(n)]


def _flat(y: Any) -> list[Tensor]:
    if isinstance(y, Tensor):
        return [y]
    if isinstance(y, tuple | list):
        return [t for part in y for t in _flat(part)]
    raise InterchangeError(
        f"to_onnx: forward must return tensors, or tuples of them, got {type(y).__name__}"
    )


@contextmanager
def _layers_noted(g: OnnxGraph, model: nn.Module) -> Iterator[None]:
    """Inside it every layer that ONNX has a node for adds that node, and returns a new leaf."""
    noted = [(m, path or "the model") for path, m in model.named_modules() if type(m) in LAYERS]
    for module, path in noted:
        vars(module)["forward"] = partial(_noted, g, module, path)
    try:
        yield
    finally:
        for module, _ in noted:
            del vars(module)["forward"]


def _noted(g: OnnxGraph, module: Any, path: str, *args: Any, **kwargs: Any) -> Any:
    for x in [*args, *kwargs.values()]:
        for part in x if isinstance(x, tuple) else (x,):
            if isinstance(part, Tensor):
                _value(g, part)
    names = LAYERS[type(module)](g, module, path, *args, **kwargs)
    with no_grad():
        y = type(module).forward(module, *args, **kwargs)
    found = iter([names] if isinstance(names, str) else names)

    def leaf(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple([leaf(p) for p in part])
        fresh = Tensor(part.numpy(), requires_grad=True)
        g.call(fresh, next(found))
        return fresh

    return leaf(y)


def _value(g: OnnxGraph, tensor: Tensor) -> str:
    """The name of a tensor; what was done since the last layer is added first."""
    waiting, between = [tensor._node], dict[int, Node]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node) and node.seq not in between and node.seq not in g.names:
            between[node.seq] = node
            waiting += node.inputs
    for seq in sorted(between):
        node = between[seq]
        g.names[seq] = emit(g, node)
        g.kept.append(node)
    return g.name_of(tensor)


def _verify(made: Any, model: nn.Module, inputs: list[Tensor]) -> None:
    """Raise unless onnxruntime computes what the model does."""
    try:
        import onnxruntime
    except ImportError:
        raise InterchangeError(
            "to_onnx needs the package onnxruntime: pip install 'tinygrad_rnn[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is told below
    try:
        session = onnxruntime.InferenceSession(
            made.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        with no_grad():
            expected = [y.numpy() for y in _flat(model(*inputs))]
        names = [x.name for x in made.graph.input]
        fed = {n: x.numpy() for n, x in zip(names, inputs, strict=True)}
        given = {x.name for x in session.get_inputs()}
        found = session.run(None, {n: a for n, a in fed.items() if n in given})
    except (InterchangeError, ImportError):
        raise
    except Exception as error:
        raise InterchangeError(
            f"to_onnx: what was recorded does not run on inputs of other sizes, "
            f"{[x.shape for x in inputs]}; is a number or a start state made of a shape, or an "
            f"axis fixed? {error}"
        ) from error
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-4, atol=1e-5):
            raise InterchangeError(
                f"to_onnx: output {k} on inputs of other sizes and numbers is not the model's, "
                f"{_apart(a, b)}; its forward branches on a value, keeps a number made of a shape "
                "or of an input, or draws at random"
            )


def _apart(a: Array, b: Array) -> str:
    if a.shape != b.shape:
        return f"of shape {a.shape} for {b.shape}"
    return f"up to {float(np.abs(a - b).max()):.3g} apart"
