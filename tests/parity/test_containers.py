"""Modules side by side with PyTorch's: names, walks, buffers, hooks, half numbers."""

from typing import Any

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def model_of(lib: Any, base: Any, tensor: Any) -> Any:
    """One class for both libraries; a layer that is used twice, buffers, all containers."""

    class Net(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = lib.ModuleList([lib.Linear(3, 3), lib.Linear(3, 3)])
            self.layers.append(self.layers[0])
            self.by_name = lib.ModuleDict(
                {"seq": lib.Sequential(lib.Linear(3, 2), lib.Linear(2, 2))}
            )
            self.gains = lib.ParameterList([lib.Parameter(tensor([1.0, 2.0, 3.0]))])
            self.register_buffer("shift", tensor([0.1, 0.2, 0.3]))
            self.register_buffer("scratch", tensor([0.0]), persistent=False)

        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                x = layer(x) * self.gains[0] + self.shift
            return self.by_name["seq"](x)

    return Net()


def both() -> tuple[Any, Any]:
    torch.manual_seed(0)
    theirs = model_of(torch.nn, torch.nn.Module, torch.tensor)
    ours = model_of(nn, nn.Module, tg.tensor)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_names_walks_and_values() -> None:
    ours, theirs = both()
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for walk in ("named_modules", "named_parameters", "named_buffers", "named_children"):
        found, wanted = (sorted(n for n, _ in getattr(m, walk)()) for m in (ours, theirs))
        assert found == wanted, walk
    order: tuple[list[str], list[str]] = [], []
    for model, names in zip((ours, theirs), order, strict=True):
        model.apply(lambda m, names=names: names.append(type(m).__name__))
    assert order[0] == order[1]
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("f")
    y, z = ours(tg.tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-5)
    (y * y).sum().backward()
    (z * z).sum().backward()
    for (_, p), (name, q) in zip(
        sorted(ours.named_parameters()), sorted(theirs.named_parameters()), strict=True
    ):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, err_msg=name)


def test_hooks() -> None:
    """The same hooks, in the same order, on the same calls; what they see and what they change."""
    said: tuple[list[Any], list[Any]] = [], []
    grads = []
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("f")
    for model, said_here, tensor in zip(both(), said, (tg.tensor, torch.tensor), strict=True):

        def say(what: str, *arrays: Any, said: Any = said_here) -> None:
            said.append(what)
            said += [None if a is None else np.array(a.detach().numpy()) for a in arrays]

        seq, first = model.by_name["seq"], model.layers[0]
        seq.register_forward_pre_hook(lambda m, args, say=say: say("pre", *args))
        seq.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
        seq.register_forward_hook(lambda m, args, y, say=say: say("after", *args, y))
        first.register_forward_hook(lambda m, args, y: y + 1)
        first.register_full_backward_hook(lambda m, gi, go, say=say: say("first", *gi, *go))
        first.register_full_backward_hook(lambda m, gi, go: (gi[0] * 3,))
        seq.register_full_backward_hook(lambda m, gi, go, say=say: say("seq", *gi, *go))
        model.register_full_backward_hook(lambda m, gi, go, say=say: say("model", *gi, *go))
        z = tensor(x)
        z.requires_grad = True
        y = model(z)
        y.retain_grad()
        (y * y).sum().backward()
        grads.append([*[p.grad for _, p in sorted(model.named_parameters())], y.grad, z.grad])
    assert len(said[0]) == len(said[1])
    for found, wanted in zip(*said, strict=True):
        if isinstance(wanted, str):
            assert found == wanted
        else:
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    for p, q in zip(*grads, strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_state_dicts_of_other_dtypes(dtype: Any) -> None:
    ours, theirs = both()
    state = {name: value.to(dtype) for name, value in theirs.state_dict().items()}
    ours.load_state_dict(state)
    for name, value in ours.state_dict().items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, state[name].float().numpy())
