"""A jitted function as a part of a larger graph, of training and of modules."""

from typing import Any

import numpy as np
import pytest
from programs import series

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.testing import check_jit

T, B, I, H = 7, 3, 2, 4


def jitted_square() -> tuple[Any, Any, Any]:
    w = series(H, H)
    fast = tg.jit(lambda x: (tg.tanh(x @ w), (x @ w).sum()))
    return fast, w, series(B, H)


def test_backward_through_more_than_the_jitted_part() -> None:
    fast, w, x = jitted_square()
    y, total = fast(tg.sin(x))
    (y.sum() * total).backward()
    found = w.grad.numpy(), x.grad.numpy()
    w.grad = x.grad = None
    with tg.disable_jit():
        y, total = fast(tg.sin(x))
    (y.sum() * total).backward()
    for a, b in zip(found, (w.grad.numpy(), x.grad.numpy()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_outside_of_loops_a_gradient_is_that_of_eager_code_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(5, 40), nn.LayerNorm(40), nn.Linear(40, 30))
    x = tg.tensor(rng.normal(size=(6, 5)).astype("f"), requires_grad=True)
    target = tg.tensor(rng.integers(0, 30, 6))

    def loss(x: Any) -> Any:
        return nn.cross_entropy(tg.tanh(net(tg.sigmoid(x))), target)

    fast, found = tg.jit(loss), []
    for fn in (loss, fast):
        net.zero_grad()
        x.grad = None
        fn(x).backward()
        found.append([t.grad.numpy() for t in (x, *net.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert "softmax_cross_entropy_vjp_x [6, 30]: its eager kernel" in fast.explain()


def test_a_second_backward_needs_retain_graph() -> None:
    fast, w, x = jitted_square()
    loss = fast(x)[1]
    loss.backward(retain_graph=True)
    once = w.grad.numpy().copy()
    loss.backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * once)
    with pytest.raises(GraphError, match="retain_graph=True"):
        loss.backward()


def test_two_forwards_before_one_backward() -> None:
    net = nn.GRU(I, H).astype("float64")
    fast = tg.jit(lambda x: net(x)[0].sum())
    a, b = series(T, B, I), tg.tensor(np.ones((T, B, I)), requires_grad=True)
    (fast(a) * 2 + fast(b)).backward()
    found = [p.grad.numpy() for p in net.parameters()]
    net.zero_grad()
    with tg.disable_jit():
        (fast(a) * 2 + fast(b)).backward()
    for x, p in zip(found, net.parameters(), strict=True):
        np.testing.assert_allclose(x, p.grad.numpy(), rtol=1e-11)


def test_results_are_never_overwritten() -> None:
    net = nn.GRU(I, H)
    fast = tg.jit(lambda x: tg.swapaxes(net(x)[0], 0, 1))
    first = fast(series(T, B, I, dtype="float32"))
    copy = first.numpy().copy()
    for _ in range(3):
        fast(series(T, B, I, dtype="float32") * 2).sum().backward()
    np.testing.assert_array_equal(first.numpy(), copy)


def test_grad_of_some_inputs_and_some_results() -> None:
    fast, w, x = jitted_square()
    y, total = fast(x)
    assert tg.grad(total, x).shape == x.shape
    y, total = fast(x)
    with tg.disable_jit():
        expected = tg.grad(fast(x)[0].sum(), w)
    np.testing.assert_allclose(tg.grad(y.sum(), w).numpy(), expected.numpy(), rtol=1e-12)
    assert w.grad is None


def test_hooks_on_inputs_and_results() -> None:
    fast, _, x = jitted_square()
    seen: list[float] = []
    y = tg.sin(x)
    y.register_hook(lambda g: seen.append(float(g.sum())))
    out = fast(y)[1]
    out.register_hook(lambda g: g * 2)
    out.backward()
    doubled = x.grad.numpy().copy()
    x.grad = None
    fast(tg.sin(x))[1].backward()
    np.testing.assert_allclose(doubled, 2 * x.grad.numpy(), rtol=1e-12)
    assert len(seen) == 1


def test_a_changed_parameter_is_noticed() -> None:
    fast, w, x = jitted_square()
    loss = fast(x)[1]
    w.assign_(w.numpy() + 1)
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


def test_higher_derivatives_point_to_disable_jit() -> None:
    fast, _, x = jitted_square()
    with pytest.raises(GraphError, match="disable_jit"):
        tg.grad(fast(x)[1], x, create_graph=True)


def test_no_grad_compiles_the_forward_only() -> None:
    fast, _, x = jitted_square()
    with tg.no_grad():
        y, _ = fast(x)
    assert not y.requires_grad
    assert fast._last.compiled.saved == []
    assert "backward" not in fast.explain().split("memory")[0]


def test_training_goes_as_it_does_eagerly() -> None:
    losses = []
    for compiled in (False, True):
        net = nn.LSTM(I, H, generator=tg.Generator(0)).astype("float64")
        opt = optim.Adam(net.parameters(), lr=0.05)
        loss_fn: Any = lambda x, net=net: (net(x)[0] ** 2).mean()  # noqa: E731
        fn = tg.jit(loss_fn) if compiled else loss_fn
        for _ in range(8):
            opt.zero_grad()
            loss = fn(series(T, B, I, grad=False))
            loss.backward()
            optim.clip_grad_norm_(net.parameters(), 0.1)
            opt.step()
        losses.append(float(loss))
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_anomaly_mode_and_nested_functions_run_eagerly() -> None:
    inner = tg.jit(lambda x: tg.log(x))
    outer = tg.jit(lambda x: inner(x) * 2)
    assert outer(tg.tensor([1.0])).item() == 0
    with tg.detect_anomaly(), pytest.raises(tg.AnomalyError, match="log"):
        inner(tg.tensor([-1.0], requires_grad=True))


def test_methods_and_modules_can_be_jitted() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(np.array([2.0]))

        @tg.jit
        def forward(self, x: Any) -> Any:
            return x * self.w

    a, b = Net(), Net()
    b.w.assign_(np.array([5.0]))
    x = tg.tensor(np.array([1.0]))
    assert (a(x).item(), b(x).item()) == (2, 5)
    linear = nn.Linear(2, 3)
    fast = tg.jit(linear)
    assert check_jit(fast, series(4, 2, dtype="float32"), parameters=linear.parameters())
