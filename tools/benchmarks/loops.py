"""The plain recurrent loop, written once for every library that can run it.

Each cell takes the library's own names through a small table of functions, so
that ours, PyTorch, autograd and MyGrad run the same recurrence on the same
numbers: forward, mean squared error on all states, backward.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def weights(cell: str, I: int, H: int) -> list[np.ndarray]:
    """W_ih, W_hh, b_ih, b_hh, uniform in +-1 / sqrt(H), the same at every call."""
    rng, G = np.random.default_rng(0), GATES[cell] * H
    shapes = [(G, I), (G, H), (G,), (G,)]
    return [rng.uniform(-1, 1, s).astype("float32") / np.float32(np.sqrt(H)) for s in shapes]


def data(T: int, B: int, I: int) -> np.ndarray:
    """Input series (T, B, I)."""
    return np.random.default_rng(1).standard_normal((T, B, I)).astype("float32")


def states(f: SimpleNamespace, cell: str, x: Any, w: Any, h: Any, c: Any) -> list[Any]:
    """Hidden states of every step, by the formulas of the textbook."""
    W, U, b, d = w
    out = []
    for x_t in x:
        if cell == "RNN":
            h = f.tanh(f.linear(x_t, W, b) + f.linear(h, U, d))
        elif cell == "LSTM":
            i, k, g, o = f.chunk(f.linear(x_t, W, b) + f.linear(h, U, d), 4)
            c = f.sigmoid(k) * c + f.sigmoid(i) * f.tanh(g)
            h = f.sigmoid(o) * f.tanh(c)
        else:
            xr, xz, xn = f.chunk(f.linear(x_t, W, b), 3)
            hr, hz, hn = f.chunk(f.linear(h, U, d), 3)
            r, z = f.sigmoid(xr + hr), f.sigmoid(xz + hz)
            n = f.tanh(xn + r * hn)
            h = (1 - z) * n + z * h
        out.append(h)
    return out


def ours(cell: str, T: int, B: int, I: int, H: int) -> Callable[[], list[np.ndarray]]:
    """One training pass of ours; returns the weight gradients."""
    import tinygrad_rnn as tg

    f = SimpleNamespace(
        tanh=tg.tanh, sigmoid=tg.sigmoid, linear=tg.linear, chunk=lambda x, n: tg.chunk(x, n, 1)
    )
    w = [tg.tensor(a, requires_grad=True) for a in weights(cell, I, H)]
    x, zero = tg.tensor(data(T, B, I)), tg.zeros(B, H)

    def run() -> list[np.ndarray]:
        for p in w:
            p.grad = None
        (tg.stack(states(f, cell, x, w, zero, zero)) ** 2).mean().backward()
        return [p.grad.numpy() for p in w]

    return run


def pytorch(cell: str, T: int, B: int, I: int, H: int) -> Callable[[], list[np.ndarray]]:
    """The same in PyTorch's eager mode."""
    import torch

    torch.set_num_threads(1)
    f = SimpleNamespace(
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        linear=torch.nn.functional.linear,
        chunk=lambda x, n: x.chunk(n, 1),
    )
    w = [torch.tensor(a, requires_grad=True) for a in weights(cell, I, H)]
    x, zero = torch.tensor(data(T, B, I)), torch.zeros(B, H)

    def run() -> list[np.ndarray]:
        for p in w:
            p.grad = None
        (torch.stack(states(f, cell, x, w, zero, zero)) ** 2).mean().backward()
        return [p.grad.numpy() for p in w]

    return run


def autograd(cell: str, T: int, B: int, I: int, H: int) -> Callable[[], list[np.ndarray]]:
    """The same in HIPS autograd."""
    import autograd.numpy as anp
    from autograd import grad

    f = SimpleNamespace(
        tanh=anp.tanh,
        sigmoid=lambda x: 0.5 * (anp.tanh(0.5 * x) + 1),
        linear=lambda x, W, b: anp.dot(x, W.T) + b,
        chunk=lambda x, n: [x[:, k * H : (k + 1) * H] for k in range(n)],
    )
    x, zero = data(T, B, I), np.zeros((B, H), "float32")
    slope = grad(lambda w: anp.mean(anp.stack(states(f, cell, x, w, zero, zero)) ** 2))
    w = weights(cell, I, H)
    return lambda: list(slope(w))


def mygrad(cell: str, T: int, B: int, I: int, H: int) -> Callable[[], list[np.ndarray]]:
    """The same in MyGrad."""
    import mygrad as mg

    f = SimpleNamespace(
        tanh=mg.tanh,
        sigmoid=lambda x: 0.5 * (mg.tanh(0.5 * x) + 1),
        linear=lambda x, W, b: mg.matmul(x, W.T) + b,
        chunk=lambda x, n: [x[:, k * H : (k + 1) * H] for k in range(n)],
    )
    w = [mg.tensor(a) for a in weights(cell, I, H)]
    x, zero = data(T, B, I), np.zeros((B, H), "float32")

    def run() -> list[np.ndarray]:
        mg.mean(mg.stack(states(f, cell, x, w, zero, zero)) ** 2).backward()
        return [p.grad for p in w]

    return run


LIBRARIES = {"ours": ours, "torch": pytorch, "autograd": autograd, "mygrad": mygrad}
