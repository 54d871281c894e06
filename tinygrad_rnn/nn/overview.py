"""`nn.summary`: what a model is made of, and which shapes come out of its parts."""

import copy
from typing import Any, NamedTuple

from ..creation import tensor
from ..errors import GraphError
from ..ops.random import default_generator
from ..switches import no_grad
from ..tensors import Tensor
from .hooks import none_yet
from .module import Module


class Row(NamedTuple):
    """One module: its path, class, output shapes in the order of its calls, and what it holds."""

    name: str
    kind: str
    outputs: list[Any]
    parameters: int
    trained: int
    bytes: int  # of parameters and buffers


class Summary(NamedTuple):
    """A row for each module, the model first; printed, a table."""

    rows: list[Row]

    @property
    def parameters(self) -> int:
        """The number of parameters, shared ones once."""
        return sum(row.parameters for row in self.rows)

    @property
    def trained(self) -> int:
        """The number of those that require a gradient."""
        return sum(row.trained for row in self.rows)

    @property
    def bytes(self) -> int:
        """The bytes of all parameters and buffers."""
        return sum(row.bytes for row in self.rows)

    def __repr__(self) -> str:
        head = ("name", "module", "output", "parameters", "bytes")
        cells = [head]
        for r in self.rows:
            cells.append((r.name, r.kind, _words(r.outputs), f"{r.parameters:,}", f"{r.bytes:,}"))
        cells.append(("total", "", "", f"{self.parameters:,}", f"{self.bytes:,}"))
        widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
        lines = []
        for row in cells:
            left = [cell.ljust(w) for cell, w in zip(row[:3], widths[:3], strict=True)]
            right = [cell.rjust(w) for cell, w in zip(row[3:], widths[3:], strict=True)]
            lines.append("  ".join([*left, *right]).rstrip())
        if self.trained < self.parameters:
            lines.append(f"{self.trained:,} of the parameters are trained")
        return "\n".join(lines)


def summary(model: Module, *inputs: Any, **named: Any) -> Summary:
    """List a model's modules with their output shapes, parameters and bytes.

    The model is called once with the inputs (arrays or tensors), if there are any: a copy of
    it, without gradients and hooks, after which the default random numbers go on where they
    were. So neither state nor training changes. A parameter counts where it is met first.

    >>> net = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.Tanh(), tg.nn.Linear(4, 2))
    >>> print(summary(net, tg.ones(5, 3)))
    name   module      output  parameters  bytes
           Sequential  (5, 2)           0      0
    0      Linear      (5, 4)          16     64
    1      Tanh        (5, 4)           0      0
    2      Linear      (5, 2)          10     40
    total                              26    104
    """
    if not isinstance(model, Module):
        raise GraphError(f"summary: expected a module, got {type(model).__name__}")
    twin: Module = copy.deepcopy(model, _detached(model))
    outputs: dict[str, list[Any]] = {}
    for path, module in twin.named_modules():
        seen = outputs.setdefault(path, [])
        hooks = module.__dict__["_hooked"] = none_yet()
        hooks["after"][0] = lambda _, args, y, seen=seen: seen.append(_shapes(y))
    if inputs or named:
        state = default_generator.state
        try:
            with no_grad():
                twin(*map(_given, inputs), **{key: _given(v) for key, v in named.items()})
        finally:
            default_generator.state = state
    counted: set[int] = set()
    return Summary([_row(path, m, outputs[path], counted) for path, m in model.named_modules()])


def _given(value: object) -> Any:
    return tensor(value) if hasattr(value, "__array__") and not isinstance(value, Tensor) else value


def _row(path: str, module: Module, outputs: list[Any], counted: set[int]) -> Row:
    own = [p for _, p in module._named() if isinstance(p, Tensor)]
    new = {id(t): t for t in [*own, *[b for _, b in module._own_buffers()]] if id(t) not in counted}
    counted.update(new)
    parameters = [p for p in own if new.pop(id(p), None) is not None]
    return Row(
        path,
        type(module).__name__,
        outputs,
        sum(p.size for p in parameters),
        sum(p.size for p in parameters if p.requires_grad),
        sum(t.size * t.dtype.itemsize for t in [*parameters, *new.values()]),
    )


def _detached(model: Module) -> dict[int, Any]:
    """For `deepcopy`: what stands for tensors of a graph, which a module may keep as its state."""
    known: dict[int, Any] = {}
    for _, module in model.named_modules():
        for value in vars(module).values():
            for part in value if isinstance(value, tuple | list) else (value,):
                if isinstance(part, Tensor) and part.node is not None:
                    known[id(part)] = part.detach()
    return known


def _shapes(y: Any) -> Any:
    """The output with shapes in the places of tensors."""
    if isinstance(y, Tensor):
        return y.shape
    if isinstance(y, tuple | list):
        return tuple([_shapes(part) for part in y])
    if isinstance(y, dict):
        return {key: _shapes(part) for key, part in y.items()}
    return type(y).__name__


def _words(outputs: list[Any]) -> str:
    if not outputs:
        return "-"
    first = str(outputs[0])
    if len(outputs) == 1:
        return first
    same = all(y == outputs[0] for y in outputs)
    return f"{len(outputs)} x {first}" + ("" if same else " and others")
