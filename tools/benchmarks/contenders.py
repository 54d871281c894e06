"""The loop of `loops.py` compiled or fused: ours with `tg.jit`, `torch.nn`, JAX's `lax.scan`.

"Custom" is a cell that nobody ships fused: the minimal gated unit of Zhou et al.
(2016) with a peephole on its gate, f = sigmoid(W_f x + U_f h + p h), n = tanh(W_n x
+ U_n (f h)), h' = h + f (n - h), written with separate matrices as in a paper.
"""

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .loops import data, states, weights

Run = Callable[[], list[np.ndarray]]


def pin(threads: int) -> None:
    """Keep this process on as many cores as it may have threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def own_weights(I: int, H: int) -> list[np.ndarray]:
    """W_f, U_f, p, b_f, W_n, U_n, b_n of the custom cell."""
    rng = np.random.default_rng(0)
    shapes = [(I, H), (H, H), (H,), (H,), (I, H), (H, H), (H,)]
    return [(rng.uniform(-1, 1, s) / np.sqrt(H)).astype("float32") for s in shapes]


def own_cell(f: SimpleNamespace, x: Any, h: Any, w: Any) -> Any:
    """One step of the custom cell in any library."""
    Wf, Uf, p, bf, Wn, Un, bn = w
    gate = f.sigmoid(x @ Wf + h @ Uf + p * h + bf)
    n = f.tanh(x @ Wn + (gate * h) @ Un + bn)
    return h + gate * (n - h)


def all_states(f: SimpleNamespace, cell: str, x: Any, w: Any, zero: Any) -> list[Any]:
    """States of every step of any of the four cells."""
    if cell != "Custom":
        return states(f, cell, x, w, zero, zero)
    out, h = [], zero
    for x_t in x:
        h = own_cell(f, x_t, h, w)
        out.append(h)
    return out


def initial(cell: str, I: int, H: int) -> list[np.ndarray]:
    """Weights of any of the four cells."""
    return own_weights(I, H) if cell == "Custom" else weights(cell, I, H)


def _ours(compiled: bool, threads: int, cell: str, T: int, B: int, I: int, H: int) -> Run:
    import tinygrad_rnn as tg

    pin(threads)
    tg.set_num_threads(threads)
    f = SimpleNamespace(
        tanh=tg.tanh, sigmoid=tg.sigmoid, linear=tg.linear, chunk=lambda x, n: tg.chunk(x, n, 1)
    )
    w = [tg.tensor(a, requires_grad=True) for a in initial(cell, I, H)]
    x, zero = tg.tensor(data(T, B, I)), tg.zeros(B, H)

    def loss(x: Any) -> Any:
        return (tg.stack(all_states(f, cell, x, w, zero)) ** 2).mean()

    fast = tg.jit(loss) if compiled else loss

    def run() -> list[np.ndarray]:
        for p in w:
            p.grad = None
        fast(x).backward()
        return [p.grad.numpy() for p in w]

    return run


def jitted(threads: int, cell: str, *size: int) -> Run:
    """Our plain loop under `tg.jit`."""
    return _ours(True, threads, cell, *size)


def eager(threads: int, cell: str, *size: int) -> Run:
    """Our plain loop, eager."""
    return _ours(False, threads, cell, *size)


def torch_fused(threads: int, cell: str, T: int, B: int, I: int, H: int) -> Run | None:
    """torch.nn.RNN, LSTM and GRU; there is none for a cell of one's own."""
    if cell == "Custom":
        return None
    import torch

    pin(threads)
    torch.set_num_threads(threads)
    m = getattr(torch.nn, cell)(I, H)
    with torch.no_grad():
        for p, a in zip(m.parameters(), weights(cell, I, H), strict=True):
            p.copy_(torch.tensor(a))
    x = torch.tensor(data(T, B, I))

    def run() -> list[np.ndarray]:
        m.zero_grad()
        (m(x)[0] ** 2).mean().backward()
        return [p.grad.numpy() for p in m.parameters()]

    return run


def torch_loop(threads: int, cell: str, T: int, B: int, I: int, H: int) -> Run:
    """PyTorch's plain loop, eager."""
    import torch

    pin(threads)
    torch.set_num_threads(threads)
    f = SimpleNamespace(
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        linear=torch.nn.functional.linear,
        chunk=lambda x, n: x.chunk(n, 1),
    )
    w = [torch.tensor(a, requires_grad=True) for a in initial(cell, I, H)]
    x, zero = torch.tensor(data(T, B, I)), torch.zeros(B, H)

    def run() -> list[np.ndarray]:
        for p in w:
            p.grad = None
        (torch.stack(all_states(f, cell, x, w, zero)) ** 2).mean().backward()
        return [p.grad.numpy() for p in w]

    return run


def jax_scan(threads: int, cell: str, T: int, B: int, I: int, H: int) -> Run:
    """JAX, jit and lax.scan."""
    pin(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax
    import jax.numpy as jnp

    f = SimpleNamespace(
        tanh=jnp.tanh,
        sigmoid=jax.nn.sigmoid,
        linear=lambda x, W, b: x @ W.T + b,
        chunk=lambda x, n: jnp.split(x, n, 1),
    )
    w = [jnp.array(a) for a in initial(cell, I, H)]
    x, zero = jnp.array(data(T, B, I)), jnp.zeros((B, H))

    def step(w: Any, carry: Any, x_t: Any) -> Any:
        h, c = carry
        if cell == "Custom":
            h = own_cell(f, x_t, h, w)
        elif cell == "LSTM":  # its cell state must be carried, so it is written out here
            i, k, g, o = f.chunk(f.linear(x_t, w[0], w[2]) + f.linear(h, w[1], w[3]), 4)
            c = f.sigmoid(k) * c + f.sigmoid(i) * f.tanh(g)
            h = f.sigmoid(o) * f.tanh(c)
        else:
            h = states(f, cell, [x_t], w, h, c)[0]
        return (h, c), h

    def loss(w: Any) -> Any:
        _, hs = jax.lax.scan(lambda carry, x_t: step(w, carry, x_t), (zero, zero), x)
        return (hs**2).mean()

    slope = jax.jit(jax.value_and_grad(loss))

    def run() -> list[np.ndarray]:
        return [np.asarray(g) for g in slope(w)[1]]

    return run


CONTENDERS: dict[str, Callable[..., Run | None]] = {
    "ours": jitted,
    "eager": eager,
    "torch.nn": torch_fused,
    "torch loop": torch_loop,
    "jax scan": jax_scan,
}
