"""Trainings in which something changes between calls: the jit follows as eager code does.

A program yields losses, gradients and parameters as they come; it runs once with functions as
they are and once jitted. `corpus` has functions that are called alike, `traps` one value that
changes; here whole trainings are compared, every gradient in every call.
"""

import contextlib
import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from programs import leaf, series

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.kernels.flags import DISABLED

T, B, I, H = 6, 3, 2, 4
Jit, Values = Callable[[Any], Any], Iterator[Any]
PROGRAMS: dict[str, Callable[[Jit], Values]] = {}


def program(fn: Callable[[Jit], Values]) -> Callable[[Jit], Values]:
    PROGRAMS[fn.__name__] = fn
    return fn


def values(*tensors: Any) -> Values:
    for t in tensors:
        yield None if t is None else t.detach().numpy().copy()


def step(loss: Any, parameters: Any, *, rate: float = 0.1) -> Values:
    """Loss and gradients, then a step of gradient descent."""
    for p in parameters:
        p.grad = None
    if loss.requires_grad:
        loss.backward()
    yield from values(loss, *[p.grad for p in parameters])
    for p in parameters:
        if p.grad is not None:
            p.assign_(p.detach().numpy() - rate * p.grad.numpy())


def x(k: int = 0, length: int = T, width: int = I) -> Any:
    """Another input for every k."""
    return series(length, B, width, grad=False) * (1 + 0.1 * k)


def made(module: Any) -> Any:
    return module.astype("float64")


def zeros(*shape: int) -> Any:
    return tg.zeros(*shape, dtype="float64")


@program
def two_optimisers_in_turn(jit: Jit) -> Values:
    maker, critic = made(nn.GRU(I, H)), made(nn.Linear(H, 1))
    optimisers = [optim.Adam(maker.parameters(), lr=0.05), optim.SGD(critic.parameters(), lr=0.1)]
    losses = [
        jit(lambda x: -critic(maker(x)[0]).mean()),
        jit(lambda x: (critic(maker(x)[0].detach()) ** 2).mean()),
    ]
    parameters = [*maker.parameters(), *critic.parameters()]
    for k in range(6):
        yield from step(losses[k % 2](x(k)), parameters, rate=0.0)
        optimisers[k % 2].step()
        yield from values(*parameters)


@program
def layers_frozen_and_thawed(jit: Jit) -> Values:
    net = made(nn.LSTM(I, H, 2))
    parameters = list(net.parameters())
    loss = jit(lambda x: (net(x)[0] ** 2).mean())
    for k in range(6):
        for j, p in enumerate(parameters):
            p.requires_grad = not ((k in (1, 2) and j < 4) or (k == 4 and j % 2))
        inputs = tg.tensor(x(k).numpy(), requires_grad=k % 2 == 1)
        yield from step(loss(inputs), parameters)
        yield from values(inputs.grad)


@program
def states_loaded_and_models_copied(jit: Jit) -> Values:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.rnn = nn.GRU(I, H)
            self.run = jit(self.forward)

        def forward(self, x: Any) -> Any:
            return (self.rnn(x)[0] ** 2).mean()

    first, second = made(Net()), made(Net())
    yield from step(first.run(x()), first.parameters())
    first.load_state_dict(second.state_dict())
    yield from step(first.run(x()), first.parameters())
    copied = copy.deepcopy(first)
    for net in (copied, first, copied, second):
        yield from step(net.run(x()), net.parameters())
    yield from values(*first.parameters(), *copied.parameters())


@program
def a_teacher_that_follows(jit: Jit) -> Values:
    student = made(nn.GRU(I, H))
    teacher = copy.deepcopy(student)
    for p in teacher.parameters():
        p.requires_grad = False

    def loss(x: Any) -> Any:
        with tg.no_grad():
            wanted = 1.1 * teacher(x)[0]
        return nn.mse_loss(student(x)[0], wanted)

    fast = jit(loss)
    for k in range(4):
        yield from step(fast(x(k)), student.parameters(), rate=1.0)
        for p, q in zip(teacher.parameters(), student.parameters(), strict=True):
            p.assign_(0.9 * p.numpy() + 0.1 * q.detach().numpy())


@program
def dropout_on_and_off(jit: Jit) -> Values:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.cell, self.drop = nn.GRUCell(I, H), nn.Dropout(0.5)

        def forward(self, x: Any) -> Any:
            h = zeros(B, H)
            for x_t in x:
                h = self.drop(self.cell(x_t, h))
            return h.sum()

    net = made(Net())
    fast = jit(net)
    changes: list[Callable[[], Any]] = [
        lambda: None,
        net.eval,
        net.train,
        lambda: setattr(net.drop, "p", 0.2),
        net.drop.eval,
    ]
    for k, change in enumerate(changes):
        change()
        yield from step(fast(x(k)), net.parameters())


@program
def tasks_that_come_and_go(jit: Jit) -> Values:
    rnn, label, level = made(nn.LSTM(I, H)), made(nn.Linear(H, 3)), made(nn.Linear(H, 1))

    def losses(x: Any, tasks: Any) -> Any:
        y, (h, _) = rnn(x)
        found = {}
        if "label" in tasks:
            found["label"] = nn.cross_entropy(label(h[0]), tg.arange(3))
        if "level" in tasks:
            found["level"] = (level(y) ** 2).mean()
        return found

    fast, weights = jit(losses), {"label": 1.0, "level": 0.5}
    parameters = [*rnn.parameters(), *label.parameters(), *level.parameters()]
    for k, tasks in enumerate([("label", "level"), ("label",), ("level",), ("label", "level")]):
        found = fast(x(k), tasks)
        yield from step(sum(weights[n] * y for n, y in found.items()), parameters)
        weights["level"] *= 0.5


@program
def a_penalty_on_gradients(jit: Jit) -> Values:
    W, U = leaf(I, H), leaf(H, H, seed=1)

    def critic(x: Any) -> Any:
        h = zeros(B, H)
        for x_t in x:
            h = tg.tanh(x_t @ W + h @ U)
        return h.sum()

    fast, penalty = jit(critic), jit(lambda g: (g * g).sum())
    for k in range(3):
        inputs = tg.tensor(x(k).numpy(), requires_grad=True)
        with tg.disable_jit():
            slope = tg.grad(critic(inputs), [inputs], create_graph=True)[0]
        yield from step(fast(inputs.detach()) + penalty(slope), [W, U])


@program
def layers_replaced_reordered_tied(jit: Jit) -> Values:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.ins, self.layers = nn.Linear(I, H), [nn.Linear(H, H), nn.Linear(H, H)]
            self.depth = 2

        def forward(self, x: Any) -> Any:
            h = zeros(B, H)
            for x_t in x:
                for layer in self.layers[: self.depth]:
                    h = tg.tanh(layer(h + self.ins(x_t)))
            return h.mean()

    net = made(Net())
    fast, layers = jit(net), net.layers
    changes: list[Callable[[], Any]] = [
        lambda: None,
        lambda: setattr(net, "depth", 1),
        lambda: layers.reverse(),
        lambda: (layers.append(made(nn.Linear(H, H))), setattr(net, "depth", 3)),
        lambda: setattr(layers[0], "weight", layers[1].weight),
        lambda: setattr(layers[0], "weight", nn.Parameter(np.eye(H))),
    ]
    for k, change in enumerate(changes):
        change()
        yield from step(fast(x(k)), net.parameters())


@program
def sampling_by_schedule(jit: Jit) -> Values:
    cell, out, coin = made(nn.GRUCell(I, H)), made(nn.Linear(H, I)), random.Random(3)

    def loss(x: Any, given: Any, weight: float) -> Any:
        h, y, total = zeros(B, H), x[0], 0.0
        for t in range(1, len(x)):
            h = cell(y, h)
            guess = out(h)
            total = total + weight * ((guess - x[t]) ** 2).mean()
            y = x[t] if given[t] else guess
        return total

    fast = jit(loss)
    for k in range(4):
        given = [coin.random() < 0.6 for _ in range(T)]
        yield from step(fast(x(k), given, 0.9**k), [*cell.parameters(), *out.parameters()])


@program
def warm_up_without_gradient_and_cuts(jit: Jit) -> Values:
    cell = made(nn.LSTMCell(I, H))

    def loss(x: Any, state: Any, warm: int, cut: int) -> Any:
        total = 0.0
        for t, x_t in enumerate(x):
            if cut and t % cut == 0:
                state = tuple(s.detach() for s in state)
            with tg.no_grad() if t < warm else contextlib.nullcontext():
                state = cell(x_t, state)
            total = total + state[0].sum()
        return total, state

    fast, state = jit(loss), (zeros(B, H), zeros(B, H))
    for k, (warm, cut) in enumerate([(0, 0), (2, 0), (0, 3), (2, 2), (0, 0)]):
        y, state = fast(x(k, 5 + k % 2), state, warm, cut)
        yield from step(y, cell.parameters())
        state = tuple(s.detach() for s in state)


@program
def sentences_by_their_parse(jit: Jit) -> Values:
    W = leaf(2 * H, H)

    def read(x: Any, actions: str) -> Any:
        waiting, stack = list(x)[::-1], []
        for action in actions:
            if action == "s":
                stack.append(waiting.pop())
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(tg.tanh(tg.concat([left, right], axis=1) @ W))
        return stack[-1].sum()

    fast = jit(read)
    for k, actions in enumerate(["ssrsrsr", "sssrrsr", "ssrssrr", "ssrsrsr"]):
        yield from step(fast(x(k, 4, H), actions), [W])


def test_every_program_changes_what_it_yields() -> None:
    for name, run in PROGRAMS.items():
        found = list(run(lambda fn: fn))
        assert len({a.tobytes() for a in found if a is not None}) > 3, name


@pytest.mark.parametrize(
    "name", [n if DISABLED else pytest.param(n, marks=pytest.mark.long) for n in PROGRAMS]
)
def test_jit_follows(name: str) -> None:
    both = []
    for jit in (lambda fn: fn, tg.jit):
        tg.manual_seed(1)
        both.append(list(PROGRAMS[name](jit)))
    for wanted, found in zip(*both, strict=True):
        assert (found is None) == (wanted is None)
        if wanted is not None:
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9, strict=True)
