"""Slow and obvious NumPy: the recurrences with one loop a time step and a row."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_step(x, h, W, U, b, d, relu=False):
    """One row of h' = f(W x + b + U h + d)."""
    a = W @ x + b + U @ h + d
    return np.maximum(a, 0) if relu else np.tanh(a)


def lstm_step(x, state, W, U, b, d):
    """One row of (h', c')."""
    h, c = state
    i, f, g, o = np.split(W @ x + b + U @ h + d, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x, h, W, U, b, d, reset_after=True):
    """One row of h'."""
    H = len(h)
    ar, az, an = np.split(W @ x + b, 3)
    r, z = (sigmoid(v) for v in np.split(np.concatenate([ar, az]) + U[: 2 * H] @ h + d[: 2 * H], 2))
    inner = r * (U[2 * H :] @ h + d[2 * H :]) if reset_after else U[2 * H :] @ (r * h) + d[2 * H :]
    return (1 - z) * np.tanh(an + inner) + z * h


def run(step, x, state, weights, reverse=False, **options):
    """Outputs and final state of one sequence x (T, I), one row."""
    order = range(len(x))[::-1] if reverse else range(len(x))
    out = [None] * len(x)
    for t in order:
        state = step(x[t], state, *weights, **options)
        out[t] = state[0] if isinstance(state, tuple) else state
    return np.array(out), state
