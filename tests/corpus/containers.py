"""Where states, inputs and weights are kept."""

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

from . import B, Example, H, I, T, example, module, series, weights, zeros


@example
def dictionary_of_states() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        state = {"h": zeros(B, H), "c": zeros(B, H)}
        for x_t in x:
            c = 0.9 * state["c"] + tg.tanh(x_t @ W)
            state = {"h": tg.tanh(state["h"] @ U + c), "c": c}
        return state

    return run, [series(T, B, I)], [W, U]


@example
def named_tuple_of_states() -> Example:
    class State(NamedTuple):
        h: Any
        c: Any

    W, U = weights((I, H), (H, H))

    def step(x_t, s):
        c = s.c + x_t @ W
        return s._replace(h=tg.tanh(s.h @ U + c), c=c)

    def run(x):
        s = State(zeros(B, H), zeros(B, H))
        for x_t in x:
            s = step(x_t, s)
        return s

    return run, [series(T, B, I)], [W, U]


@example
def dataclass_of_states() -> Example:
    @dataclasses.dataclass
    class State:
        h: Any
        n: int = 0

    W, U = weights((I, H), (H, H))

    def run(x):
        s = State(zeros(B, H))
        for x_t in x:
            s.h = tg.tanh(x_t @ W + s.h @ U)
            s.n += 1
        return s.h / s.n

    return run, [series(T, B, I)], [W, U]


@example
def class_with_a_step() -> Example:
    class Cell:
        def __init__(self):
            self.W, self.U, self.b = weights((I, H), (H, H), (H,))

        def __call__(self, x_t, h):
            return tg.tanh(x_t @ self.W + h @ self.U + self.b)

        def run(self, x):
            h = zeros(B, H)
            for x_t in x:
                h = self(x_t, h)
            return h

    cell = Cell()
    return cell.run, [series(T, B, I)], [cell.W, cell.U, cell.b]


@example
def list_of_cells() -> Example:
    cells = module(lambda: nn.Sequential(nn.GRUCell(I, H), nn.GRUCell(H, H), nn.GRUCell(H, H)))
    stages = list(cells.stages) if hasattr(cells, "stages") else list(cells)

    def run(x):
        hs = [zeros(B, H) for _ in stages]
        for x_t in x:
            for k, cell in enumerate(stages):
                x_t = hs[k] = cell(x_t, hs[k])
        return tg.stack(hs)

    return run, [series(T, B, I)], list(cells.parameters())


@example
def dictionary_of_weights() -> Example:
    names = "ifgo"
    W = dict(zip(names, weights(*[(I, H)] * 4), strict=True))
    U = dict(zip(names, weights(*[(H, H)] * 4), strict=True))

    def run(x):
        h = c = zeros(B, H)
        for x_t in x:
            z = {k: x_t @ W[k] + h @ U[k] for k in names}
            c = tg.sigmoid(z["f"]) * c + tg.sigmoid(z["i"]) * tg.tanh(z["g"])
            h = tg.sigmoid(z["o"]) * tg.tanh(c)
        return h

    return run, [series(T, B, I)], [*W.values(), *U.values()]


@example
def factory_of_cells() -> Example:
    def make(f, scale):
        W, U = weights((I, H), (H, H))
        return (lambda x_t, h: scale * f(x_t @ W + h @ U)), [W, U]

    cell, params = make(tg.sin, 0.7)

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            h = cell(x_t, h)
        return h

    return run, [series(T, B, I)], params


@example
def partial_of_a_cell() -> Example:
    W, U = weights((I, H), (H, H))

    def cell(W, U, x_t, h, leak=0.1):
        return (1 - leak) * h + leak * tg.tanh(x_t @ W + h @ U)

    step = functools.partial(cell, W, U, leak=0.3)

    def run(x):
        return functools.reduce(lambda h, x_t: step(x_t, h), x, zeros(B, H))

    return run, [series(T, B, I)], [W, U]


@example
def list_of_inputs() -> Example:
    Wx, Ws = weights((I, H), (H, H))

    def run(xs):
        S = zeros(B, H)
        for x in xs:
            S = tg.tanh(x @ Wx + S @ Ws)
        return S

    return run, [[series(B, I, grad=True) for _ in range(T)]], [Wx, Ws]


@example
def list_of_weights_one_a_step() -> Example:
    Ws = weights(*[(H, H)] * T)

    def run(h):
        for W in Ws:
            h = h + tg.tanh(h @ W)
        return h

    return run, [series(B, H)], Ws


@example
def batch_in_a_dictionary() -> Example:
    W, U = weights((I, H), (H, H))

    def run(batch):
        h = zeros(B, H)
        for x_t, m_t in zip(batch["x"], batch["mask"], strict=True):
            h = m_t * tg.tanh(x_t @ W + h @ U) + (1 - m_t) * h
        return h

    mask = tg.tensor(np.tril(np.ones((T, B)))[:, :, None])
    return run, [{"x": series(T, B, I), "mask": mask}], [W, U]


@example
def arrays_of_numpy() -> Example:
    W, U = weights((I, H), (H, H))
    time_constants = np.linspace(0.1, 0.9, H)

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            h = h + time_constants * (tg.tanh(x_t @ W + h @ U) - h)
        return h

    return run, [np.random.default_rng(0).standard_normal((T, B, I))], [W, U]


@example
def batch_first() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h, out = zeros(B, H), []
        for t in range(x.shape[1]):
            h = tg.tanh(x[:, t] @ W + h @ U)
            out.append(h)
        return tg.stack(out, axis=1)

    return run, [series(B, T, I, grad=True)], [W, U]


@example
def unstacked_inputs() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for x_t in tg.unstack(tg.tanh(x), axis=1):
            h = tg.tanh(x_t @ W + h @ U)
        return h

    return run, [series(B, T, I, grad=True)], [W, U]


@example
def states_that_leave_by_a_list() -> Example:
    W, U = weights((I, H), (H, H))
    kept = []

    def run(x):
        h = zeros(B, H)
        kept.clear()
        for x_t in x:
            h = tg.tanh(x_t @ W + h @ U)
            kept.append(h)
        return kept[-1] + kept[0]

    return run, [series(T, B, I)], [W, U]
