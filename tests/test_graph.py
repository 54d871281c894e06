"""The graph: sweeping, freeing, versions, hooks, switches, depth, memory."""

import gc
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.graph import Node


def leaf(*values, **options):
    return tg.tensor(np.array(values, np.float64), requires_grad=True, **options)


def test_gradients_add_up_over_uses_and_over_backwards():
    x = leaf(3.0)
    y = x * x + x + x
    y.sum().backward()
    assert x.grad.tolist() == [8.0]
    (x * x).sum().backward()
    assert x.grad.tolist() == [14.0]


def test_a_shared_weight_collects_every_step():
    W = leaf(0.5)
    s = tg.tensor(np.array([1.0]))
    states = []
    for _ in range(4):
        s = W * s
        states.append(s)
    tg.concat(states).sum().backward()  # w + w^2 + w^3 + w^4
    np.testing.assert_allclose(W.grad.numpy(), [1 + 2 * 0.5 + 3 * 0.25 + 4 * 0.125])


@pytest.mark.parametrize("run", [lambda f: f, tg.jit], ids=["eager", "jit"])
def test_a_leaf_frozen_after_recording_gets_no_gradient(run):
    """As in PyTorch, whose leaves look again when the gradient arrives."""
    w, h = leaf(2.0), leaf(3.0)
    y = run(lambda x: (x * w).sum())(h)
    w.requires_grad = False
    y.backward()
    assert w.grad is None
    assert h.grad.tolist() == [2.0]


def test_gradients_never_share_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = np.ones(2)
    (a + b).backward(seed)
    arrays = [a.grad._array, b.grad._array, seed]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(arrays) for q in arrays[:i])
    c = leaf(1.0, 2.0)
    c.reshape(2, 1).backward(np.ones((2, 1)))
    tg.optim.clip_grad_norm_([c], 0.5)
    assert seed.tolist() == [1.0, 1.0]


def test_slices_cost_what_they_hold_not_what_they_are_cut_from():
    x = tg.tensor(np.zeros((2000, 500)), requires_grad=True)
    parts = [x[t] * 1.0 for t in range(2000)]
    loss = tg.stack(parts).sum()
    tracemalloc.start()
    loss.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * x.numpy().nbytes  # one gradient a slice would take 2,000 times that
    assert (x.grad.numpy() == 1).all()


def test_a_freed_graph_says_so_and_retain_graph_keeps_it():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [8.0]
    with pytest.raises(tg.GraphError, match="retain_graph=True"):
        y.backward()
    assert x.grad.tolist() == [8.0]
    z = (x + x)[0]
    z.backward()
    with pytest.raises(tg.GraphError, match="retain_graph=True"):
        z.backward()


def test_saved_arrays_go_as_the_sweep_passes():
    x = leaf(*range(10))
    y = tg.exp(x)
    loss = (y * y).sum()
    saved = weakref.ref(y._array)
    del y
    assert saved() is not None
    loss.backward()
    assert saved() is None
    assert loss.node.op.name == "sum"  # the structure stays


def train_once():
    cell = nn.LSTMCell(3, 4)
    state = cell.initial_state(2)
    for x_t in tg.randn(20, 2, 3):
        state = cell(x_t, state)
    loss = (state[0] * state[1]).sum()
    loss.backward()
    optimiser = tg.optim.Adam(cell.parameters())
    tg.optim.clip_grad_norm_(cell.parameters(), 1.0)
    optimiser.step()
    return weakref.ref(loss._array)


def test_reference_counting_frees_everything():
    train_once()  # kernels load and caches fill: Numba leaves cycles of its own
    gc.collect()
    gc.disable()
    try:
        assert train_once()() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_resident_memory_is_flat_over_a_hundred_iterations():
    model = nn.GRU(2, 8)
    x = tg.randn(30, 4, 2)

    def once():
        model.zero_grad()
        (model(x)[0] ** 2).mean().backward()

    for _ in range(5):
        once()
    tracemalloc.start()
    once()
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(100):
        once()
    last = tracemalloc.get_traced_memory()[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last - first < 0.5 * (peak - first)  # half an iteration's memory in a hundred of them


class Chain:
    """h = tanh(w h + u), T times, forward and backward."""

    def __init__(self, T):
        self.T, self.w, self.u = T, leaf(0.7), leaf(0.1)

    def run(self):
        h = tg.tensor(np.array([0.5]))
        for _ in range(self.T):
            h = tg.tanh(self.w * h + self.u)
        h.sum().backward()

    def check(self):
        h, dw, du = 0.5, 0.0, 0.0
        for _ in range(self.T):
            new = np.tanh(0.7 * h + 0.1)
            dw, du = (1 - new * new) * (h + 0.7 * dw), (1 - new * new) * (1 + 0.7 * du)
            h = new
        np.testing.assert_allclose([self.w.grad.item(), self.u.grad.item()], [dw, du], rtol=1e-9)


def test_a_hundred_thousand_steps_with_recursion_limit_200():
    chain = Chain(100_000)
    limit = sys.getrecursionlimit()
    depth = len(__import__("inspect").stack(0))
    sys.setrecursionlimit(depth + 200)
    try:
        chain.run()
    finally:
        sys.setrecursionlimit(limit)
    chain.check()


def test_a_hundred_thousand_steps_in_a_thread_with_half_a_megabyte_of_stack():
    chain = Chain(100_000)
    errors = []

    def work():
        try:
            chain.run()
        except BaseException as error:
            errors.append(error)

    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert not errors
    chain.check()


def test_derivatives_of_any_order():
    x = leaf(0.3)
    d = tg.sin(x).sum()
    for k in range(1, 7):
        (d,) = tg.grad(d, [x], create_graph=True)
        np.testing.assert_allclose(d.item(), np.sin(0.3 + k * np.pi / 2), rtol=1e-12)
        d = d.sum()


def test_second_derivative_through_a_recurrent_net_with_slices():
    cell, x = nn.GRUCell(2, 3).astype("float64"), leaf(*np.linspace(-1, 1, 12)).detach()
    x = tg.tensor(x.numpy().reshape(3, 2, 2), requires_grad=True)

    def loss(x):
        h = None
        for x_t in x:
            h = cell(x_t, h)
        return (h * h).sum()

    assert tg.testing.gradgradcheck(loss, x, fast=True)


def test_grad_leaves_dot_grad_alone_and_reaches_intermediates():
    x, other = leaf(2.0), leaf(1.0)
    h = x * x
    loss = (h * h).sum() + (other * 3).sum()
    gx, gh = tg.grad(loss, [x, h], retain_graph=True)
    assert (gx.item(), gh.item()) == (32.0, 8.0)
    assert x.grad is None
    assert tg.grad(loss, h, retain_graph=True).item() == 8.0
    part = h[0]
    assert tg.grad((part * 5).sum(), part).item() == 5.0
    unused = leaf(1.0)
    assert tg.grad(loss, [unused], allow_unused=True, retain_graph=True) == (None,)
    with pytest.raises(tg.GraphError, match="allow_unused"):
        tg.grad(loss, unused)


def test_grad_outputs_seed_several_outputs():
    x = leaf(1.0, 2.0)
    g = tg.grad([x * 2, x * x], x, [np.array([1.0, 10.0]), tg.tensor(np.array([3.0, 1.0]))])
    assert g.tolist() == [2 + 6.0, 20 + 4.0]


def test_hooks_see_and_change_whole_gradients():
    x, seen = leaf(1.0), []
    h = x * 2
    remove = h.register_hook(lambda g: seen.append(("h", g.tolist())))
    x.register_hook(lambda g: g * 10)
    (h * 3 + h * 4).sum().backward(retain_graph=True)
    assert seen == [("h", [7.0])]  # once, with the sum of both uses
    assert x.grad.tolist() == [140.0]
    remove()
    (h * 1).sum().backward()
    assert len(seen) == 1
    part = (x * 1)[0:1]
    part.register_hook(lambda g: g * 0)
    x.grad = None
    (part * 5).sum().backward()
    assert x.grad.tolist() == [0.0]


def test_changed_after_saved():
    w, x = leaf(1.0, name="w"), leaf(2.0)
    loss = (w * x).sum()
    w.assign_([5.0])
    with pytest.raises(tg.GraphError, match=r"'w' of shape \(1,\), saved by mul"):
        loss.backward()
    view = tg.tensor(np.ones((2, 3)), requires_grad=True)
    loss = tg.square(view.T).sum()  # saves view.T, which shares view's memory
    tg.optim.SGD([view], lr=0.1).step()  # no gradient yet: nothing is written
    loss.backward(retain_graph=True)
    tg.optim.SGD([view], lr=0.1).step()
    with pytest.raises(tg.GraphError, match="changed in place"):
        loss.backward()
    c = tg.tensor(np.ones((3, 1)))
    loss = (c[1] * x).sum()
    c.assign_(np.zeros((3, 1)))
    with pytest.raises(tg.GraphError, match="changed in place"):
        loss.backward()


def test_no_grad_records_nothing_and_is_a_matter_of_the_thread():
    x = leaf(1.0)
    other = []
    with tg.no_grad():
        assert not (x * 2).requires_grad
        thread = threading.Thread(target=lambda: other.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert other == [True]

    @tg.no_grad()
    def run():
        return (x * 2).requires_grad

    assert not run()
    assert (x * 2).requires_grad


def test_anomaly_names_op_step_scope_and_line():
    x = leaf(1.0, 0.0)
    with tg.detect_anomaly(), np.errstate(all="ignore"):
        with pytest.raises(
            tg.AnomalyError, match=r"log, step 3, scope 'cell' gives 1 of 2.*test_graph"
        ):
            with tg.step(3), tg.scope("cell"):
                tg.log(x)
        with tg.step(5):
            y = tg.sqrt(x * 1)
        with pytest.raises(tg.AnomalyError, match=r"backward pass of sqrt, step 5.*test_graph.py"):
            y.sum().backward()
        with pytest.raises(tg.AnomalyError, match="its input 0 was already so"):
            tg.tensor([float("nan")]) * 2
    assert tg.log(x + 1).requires_grad


def test_steps_and_scopes_are_stamped():
    x = tg.tensor(np.ones((3, 2)), requires_grad=True)
    steps = [(x_t * 1).node.step for x_t in x]
    assert steps == [0, 1, 2]
    assert [(x_t * 1).node.step for x_t in reversed(x)] == [2, 1, 0]
    assert (x * 1).node.step is None
    with tg.step(7):
        assert [(x_t * 1).node.step for x_t in x] == [7, 7, 7]  # by hand wins
    for _ in x:
        break
    for a, b in zip(x[1:], x, strict=False):  # the longer one is cut off
        assert (a * b).node.step == (b * 1).node.step
    nested = []
    for x_t in x:
        for part in x_t:
            nested.append((part * 1).node.step)
        nested.append((x_t * 1).node.step)
    assert nested == [0, 1, 0, 0, 1, 1, 0, 1, 2]
    assert (x * 1).node.step is None
    model = nn.LSTM(2, 3, num_layers=2)
    y, _ = model(tg.ones(4, 1, 2))
    found = {(n.scope, n.step) for n in ancestors(y) if n.op.name == "tanh"}
    assert found == {(f"LSTM.l{layer}", t) for layer in (0, 1) for t in range(4)}
    assert y.node.step is None


def ancestors(t):
    """All nodes a tensor was computed from."""
    seen, stack = {}, [t.node]
    while stack:
        node = stack.pop()
        if node.seq not in seen:
            seen[node.seq] = node
            stack += [p for p in node.inputs if isinstance(p, Node)]
    return seen.values()


def test_detach_cuts_and_slices_of_constants_leave_a_label():
    x = leaf(3.0)
    h = x * x
    assert not h.detach().requires_grad
    assert h.detach().label == ("detach",)
    (h.detach() * x).sum().backward()
    assert x.grad.tolist() == [9.0]
    series = tg.ones(4, 2)
    part = series[2]
    assert part.label == ("index", series, 2)


def test_threads_train_side_by_side():
    results = {}

    def work(place, seed):
        g = tg.Generator(seed)
        w = tg.tensor(g.normal((4, 4), np.float64), requires_grad=True)
        for _ in range(50):
            w.grad = None
            tg.tanh(w @ w).sum().backward()
            w.assign_(w.numpy() - 0.01 * w.grad.numpy())
        results[place] = w.numpy().copy()

    threads = [threading.Thread(target=work, args=(k, k % 2)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[1], results[3])
    assert not np.array_equal(results[0], results[1])


def test_repr_len_iteration_and_conversions():
    x = tg.tensor([[1.0, 2.0]], requires_grad=True, name="x")
    assert "float32" in repr(x)
    assert "requires_grad=True" in repr(x)
    assert "name='x'" in repr(x)
    assert "node=mul" in repr(x * 2)
    assert len(x) == 1
    assert [t.tolist() for t in x] == [[1.0, 2.0]]
    assert float(x[0, 1]) == 2.0
    assert int(tg.tensor(3)) == 3
    assert [10, 20, 30][tg.tensor(1)] == 20
    assert bool(tg.tensor(0.0)) is False
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 1
    assert hash(x) == hash(x)
    y = x.detach()
    y += 1  # a constant: rebinding, not writing
    assert x.tolist() == [[1.0, 2.0]]
