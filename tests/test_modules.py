"""What modules hold and how they are called: containers, buffers, hooks, retained gradients."""

import copy
import pickle
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.testing import check_jit


def test_plain_names_are_the_users() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            self._hooks, self._buffers, self.hooks, self.buffer = [1], [2], [3], [4]
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.layer(x)

    model = Own()
    assert model(tg.ones(1, 2)).shape == (1, 2)
    assert model._hooks == [1]
    assert len(model.state_dict()) == 2
    assert model.buffers() == []


def test_a_list_of_modules_does_what_lists_do() -> None:
    a, b, c = (nn.Linear(2, 2) for _ in range(3))
    layers = nn.ModuleList([a])
    layers.append(c)
    layers.insert(1, b)
    assert list(layers) == [a, b, c]
    assert layers[-1] is c
    assert isinstance(layers[1:], nn.ModuleList)
    assert [n for n, _ in layers.named_parameters()][::2] == ["0.weight", "1.weight", "2.weight"]
    assert [n for n, _ in layers.named_children()] == ["0", "1", "2"]
    layers[0] = c
    del layers[1]
    assert list(layers) == [c, c]
    assert len(layers.parameters()) == 2
    assert layers.pop() is c
    layers += [b]
    assert (len(layers), c in layers, a in layers) == (2, True, False)
    layers.eval()
    assert not c.training
    assert layers != nn.ModuleList(list(layers))
    assert len({layers, nn.ModuleDict()}) == 2
    for bad in (lambda: layers.append(tg.tanh), lambda: nn.ModuleList([3])):
        with pytest.raises(tg.DTypeError, match="ModuleList: holds modules, got"):
            bad()
    assert len(layers) == 2  # nothing half done


def test_a_dict_of_modules_does_what_dicts_do() -> None:
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    cells = nn.ModuleDict({"a": a})
    cells.update(b=b)
    assert list(cells.items()) == [("a", a), ("b", b)]
    assert cells.pop("a") is a
    assert ("a" in cells, "b" in cells, len(cells)) == (False, True, 1)
    assert list(cells.state_dict()) == ["b.weight", "b.bias"]
    with pytest.raises(KeyError):
        del cells["a"]
    with pytest.raises(tg.DTypeError, match="ModuleDict: holds modules, got float"):
        cells["c"] = 1.0


def test_a_list_of_parameters_trains() -> None:
    weights = nn.ParameterList([tg.ones(2), nn.Parameter([1.0])])
    weights.append(np.ones(3, np.float32))
    assert [n for n, _ in weights.named_parameters()] == ["0", "1", "2"]
    sum((w * w).sum() for w in weights).backward()
    assert weights[2].grad.tolist() == [2, 2, 2]
    with pytest.raises(tg.GraphError, match="an op made"):
        weights.append(weights[0] * 2)


class Stack(nn.Module):
    def __init__(self) -> None:
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.heads = nn.ModuleDict({"out": nn.Linear(3, 1)})
        self.scales = nn.ParameterList([tg.tensor(2.0), tg.tensor(3.0)])
        self.register_buffer("shift", [0.5, 0.0, -0.5])

    def forward(self, x: Any) -> Any:
        for layer, scale in zip(self.layers, self.scales, strict=True):
            x = tg.tanh(layer(x + self.shift) * scale)
        return self.heads["out"](x)


def test_containers_under_jit_and_their_changes_are_seen() -> None:
    model = Stack()
    fast = tg.jit(model)
    x = tg.randn(4, 3)
    assert check_jit(fast, x, parameters=model.parameters())
    changes: list[Any] = [
        lambda: model.layers.__setitem__(0, nn.Linear(3, 3)),
        lambda: (model.layers.append(nn.Linear(3, 3)), model.scales.append(tg.tensor(0.5))),
        lambda: model.heads.update(out=nn.Linear(3, 2)),
        lambda: setattr(model, "shift", tg.ones(3)),
        lambda: model.shift.assign_([0.0, 5.0, 0.0]),
    ]
    for change in changes:
        before = model(x).numpy()
        change()
        now = model(x).numpy()
        assert before.shape != now.shape or not np.allclose(before, now)
        np.testing.assert_allclose(fast(x).numpy(), now, rtol=1e-5, atol=1e-6)


def test_walks_over_modules() -> None:
    model = Stack()
    assert [n for n, _ in model.named_children()] == ["layers", "heads", "scales"]
    assert model.children()[0] is model.layers
    paths = ["", "layers", "layers.0", "layers.1", "heads", "heads.out", "scales"]
    assert [n for n, _ in model.named_modules()] == paths
    seen: list[Any] = []
    assert model.apply(seen.append) is model
    assert seen[-1] is model  # from below, as in PyTorch
    assert seen[0] is model.layers[0]
    assert len(seen) == len(paths)
    assert model.requires_grad_(False) is model
    assert not model(tg.ones(2, 3)).requires_grad
    assert all(p.requires_grad for p in model.requires_grad_().parameters())


def test_buffers_are_state_and_not_trained() -> None:
    model = Stack()
    model.register_buffer("steps", np.array(3))
    model.register_buffer("scratch", [1.0], persistent=False)
    model.register_buffer("later", None)
    assert [n for n, _ in model.named_buffers()] == ["shift", "steps", "scratch"]
    assert len(model.buffers()) == 3
    assert not any(p is b for p in model.parameters() for b in model.buffers())
    state = model.state_dict()
    assert {"shift", "steps"} <= state.keys()
    assert not {"scratch", "later"} & state.keys()
    twin = Stack()
    twin.register_buffer("steps", np.array(0))
    kept = twin.shift
    twin.steps = twin.steps + 1  # assigned anew: made by an op
    model.shift.assign_([1.0, 2.0, 3.0])
    twin.load_state_dict(model.state_dict())
    assert twin.shift is kept
    assert (twin.shift.tolist(), twin.steps.item()) == ([1, 2, 3], 3)
    twin.register_buffer("part", twin.shift[:2])  # shares the values of another
    model.register_buffer("part", [7.0, 8.0])
    twin.load_state_dict(model.state_dict())
    assert (twin.part.tolist(), twin.shift.tolist()) == ([7, 8], [1, 2, 3])
    twin.mean = twin.shift * 2
    twin.register_buffer("view", twin.shift[1:])
    assert twin.state_dict()["view"].tolist() == [2, 3]
    assert "mean" not in twin.state_dict()
    wide = model.astype("float64")
    assert (wide.shift.dtype, wide.steps.dtype) == (np.float64, np.int64)
    assert wide(tg.ones(1, 3, dtype="float64")).dtype == np.float64
    model.later = tg.ones(2)
    assert "later" in model.state_dict()
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert list(copied.state_dict()) == list(model.state_dict())
    with pytest.raises(tg.ShapeError, match=r"missing: shift \(3,\)"):
        model.load_state_dict({n: v for n, v in model.state_dict().items() if n != "shift"})


def test_buffers_that_cannot_be() -> None:
    model = Stack()
    for name, value, match in (
        ("layers", [1.0], "has an attribute 'layers' already"),
        ("forward", [1.0], "has an attribute 'forward' already"),
        ("a.b", [1.0], "cannot be the name"),
        ("w", nn.Parameter([1.0]), "w is a Parameter"),
    ):
        with pytest.raises(tg.GraphError, match=match):
            model.register_buffer(name, value)
    assert model.state_dict().keys() == Stack().state_dict().keys()


def test_forward_hooks_see_and_change() -> None:
    layer, said = nn.Linear(3, 2), []
    before = layer.register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    layer.register_forward_pre_hook(lambda m, args: args[0] + 1)
    after = layer.register_forward_hook(lambda m, args, y: said.append(args[0].tolist()))
    layer.register_forward_hook(lambda m, args, y: y * 3)
    x = tg.randn(4, 3)
    wanted = layer.forward(x * 2 + 1) * 3
    np.testing.assert_array_equal(layer(x).numpy(), wanted.numpy())
    assert said == [(x * 2 + 1).tolist()]
    before.remove()
    after()
    after.remove()  # twice is once
    np.testing.assert_array_equal(layer(x).numpy(), (layer.forward(x + 1) * 3).numpy())
    assert len(said) == 1


def test_forward_hooks_are_traced_and_looked_at() -> None:
    cell = nn.RNNCell(2, 3)
    run = tg.jit(lambda x: nn.unroll(cell, x, tg.zeros(2, 3))[0])
    x = tg.randn(4, 2, 2)
    run(x)
    handle = cell.register_forward_hook(lambda m, args, h: h * 0.5)
    wanted = nn.unroll(cell, x, tg.zeros(2, 3))[0].numpy()
    np.testing.assert_allclose(run(x).numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert check_jit(run, x, parameters=cell.parameters())
    assert "4 steps" in run.explain()
    more = cell.register_forward_pre_hook(lambda m, args: (args[0] + 1, args[1]))
    wanted = nn.unroll(cell, x, tg.zeros(2, 3))[0].numpy()
    np.testing.assert_allclose(run(x).numpy(), wanted, rtol=1e-5, atol=1e-6)
    handle.remove()
    more.remove()
    wanted = nn.unroll(cell, x, tg.zeros(2, 3))[0].numpy()
    np.testing.assert_allclose(run(x).numpy(), wanted, rtol=1e-5, atol=1e-6)
    kept: list[Any] = []
    cell.register_forward_hook(lambda m, args, h: kept.append(h))
    with pytest.raises(tg.CaptureError, match="would keep a traced tensor"):
        run(x)


class Two(nn.Module):
    """Two tensors in, two out, of which each may go unused."""

    def forward(self, a: Any, scale: float, b: Any) -> Any:
        return a * scale + b, {"b": [b * b]}


@pytest.mark.parametrize("used", [("a",), ("b",), ("a", "b")])
def test_backward_hooks_see_all_gradients_at_once(used: tuple[str, ...]) -> None:
    module, seen = Two(), []
    module.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a, b = (tg.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    y, more = module(a, 5.0, b)
    z = more["b"][0]
    loss = sum({"a": y * 7, "b": z * 11}[u] for u in used) + a * 100  # not through the module
    loss.backward(retain_graph=True)
    wanted_y, wanted_z = (7.0 if "a" in used else None), (11.0 if "b" in used else None)
    ((gi, go),) = seen
    values = [None if g is None else g.item() for g in (*gi, *go)]
    grad_a = 35.0 if "a" in used else None
    grad_b = sum([7.0 * ("a" in used), 66.0 * ("b" in used)])
    assert values == [grad_a, grad_b, wanted_y, wanted_z]
    loss.backward()
    assert len(seen) == 2
    assert seen[1][1] == () or len(seen[1][1]) == 2
    assert b.grad is not None
    assert b.grad.item() == 2 * grad_b


def test_backward_hooks_change_and_are_refused() -> None:
    module = Two()
    handle = module.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10, None))
    a, b = (tg.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    y, _ = module(a, 5.0, b)
    y.backward()
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.item(), b.grad.item()) == (50, 1)  # None changes nothing
    handle.remove()
    module.register_full_backward_hook(lambda m, gi, go: gi[:1])
    with pytest.raises(tg.GraphError, match="backward hook of Two: must return None or 2"):
        module(a, 5.0, b)[0].backward()
    fast = tg.jit(lambda a: module(a, 5.0, b)[0])
    with pytest.raises(tg.CaptureError, match="hook"):
        fast(a)
    with tg.no_grad():
        assert module(a, 5.0, b)[0].item() == 13


def test_a_backward_hook_of_constants_sees_what_comes() -> None:
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].tolist())))
    layer(tg.ones(1, 2)).backward()
    assert seen == [((None,), [[1.0]])]


def test_retained_gradients() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)  # the retained one has seen it all the same
    z = (y * y).sum()
    tg.grad(z, x, retain_graph=True)
    assert y.grad is None
    z.backward(retain_graph=True)
    assert y.grad.tolist() == [40, 80]
    z.backward()
    assert y.grad.tolist() == [80, 160]
    x.retain_grad()  # a leaf's is kept anyway
    with pytest.raises(tg.GraphError, match="retain_grad: this tensor does not require"):
        tg.ones(2).retain_grad()
    h, states = tg.zeros(2), []
    for _ in range(3):
        h = tg.tanh(h + x)
        h.retain_grad()
        states.append(h)
    h[0].backward()
    assert all(s.grad.shape == (2,) for s in states)
    fast = tg.jit(lambda x: (x * 3, (x * 3).sum()))
    _, b = fast(x)
    b.retain_grad()
    (b * 2).backward()
    assert b.grad.item() == 2
    with pytest.raises(tg.CaptureError, match="retain_grad on a traced tensor"):
        tg.jit(lambda x: (x * 2).retain_grad())(x)


def test_state_dicts_of_half_numbers_become_the_module_s() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    layer = nn.Linear(3, 2)
    for half in (np.float16, ml_dtypes.bfloat16):
        state = {"weight": np.full((2, 3), 1.5, half), "bias": np.array([0.25, 3], half)}
        layer.load_state_dict(state)
        assert layer.weight.dtype == np.float32
        assert layer.bias.tolist() == [0.25, 3]


def test_every_name_of_nn_is_on_its_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "modules.md").read_text()
    listed = page.replace("`", " ").replace(",", " ").replace("(", " ").split()
    public = {n for n, v in vars(nn).items() if n[0] != "_" and not isinstance(v, types.ModuleType)}
    assert public - set(listed) == set()
    assert all(hasattr(nn.Module, n) for n in listed if n.startswith("register_"))
