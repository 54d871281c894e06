"""Filters, dynamics and dynamic programming: recurrences that are no networks."""

import numpy as np

import tinygrad_rnn as tg

from . import B, Example, H, I, T, example, series, weights, zeros


@example
def filter_of_second_order() -> Example:
    a, b = weights((2,), (3,))

    def run(x):  # one series, plain numbers
        y1 = y2 = x1 = x2 = 0.0
        out = []
        for x0 in x:
            y0 = b[0] * x0 + b[1] * x1 + b[2] * x2 - 0.5 * (a[0] * y1 + a[1] * y2)
            x2, x1, y2, y1 = x1, x0, y1, y0
            out.append(y0)
        return tg.stack(out)

    return run, [series(2 * T, grad=True)], [a, b]


@example
def exponential_smoothing() -> Example:
    alpha, level = weights((), ())

    def run(x):
        smooth, error = level, 0.0
        for x_t in x:
            error = error + (x_t - smooth) ** 2
            smooth = smooth + tg.sigmoid(alpha) * (x_t - smooth)
        return error / len(x), smooth

    return run, [series(2 * T)], [alpha, level]


@example
def kalman_filter() -> Example:
    A, q, c = weights((2, 2), (2,), (2,))

    def run(z):
        mean, cov = zeros(2), tg.eye(2, dtype="float64")
        loss = 0.0
        for z_t in z:
            mean, cov = A @ mean, A @ cov @ A.T + q[:, None] * q
            s = c @ cov @ c + 1.0
            gain = cov @ c / s
            error = z_t - c @ mean
            mean, cov = mean + gain * error, cov - tg.outer(gain, c @ cov)
            loss = loss + error * error / s + tg.log(s)
        return loss

    return run, [series(T)], [A, q, c]


@example
def runge_kutta() -> Example:
    (W,) = weights((H, H))

    def slope(y):
        return tg.tanh(y @ W) - 0.5 * y

    def run(y, dt=0.1):
        for _ in range(T):
            k1 = slope(y)
            k2 = slope(y + dt / 2 * k1)
            k3 = slope(y + dt / 2 * k2)
            k4 = slope(y + dt * k3)
            y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y

    return run, [series(B, H, grad=True)], [W]


@example
def hidden_markov_model() -> Example:
    moves, emits = weights((H, H), (H, 5))
    seen = tg.tensor(np.random.default_rng(0).integers(0, 5, (T, B)))

    def run(seen):
        log_a, log_b = tg.log_softmax(moves, axis=1), tg.log_softmax(emits, axis=1)
        alpha = tg.take(log_b.T, seen[0], axis=0)  # (B, H)
        for t in range(1, len(seen)):
            alpha = tg.logsumexp(alpha[:, :, None] + log_a, axis=1) + tg.take(
                log_b.T, seen[t], axis=0
            )
        return tg.logsumexp(alpha, axis=1).sum()

    return run, [seen], [moves, emits]


@example
def best_path() -> Example:
    (moves,) = weights((H, H))

    def run(scores):
        best = scores[0]
        for s_t in scores[1:]:
            best = tg.max(best[:, :, None] + moves, axis=1) + s_t
        return tg.max(best, axis=1).sum()

    return run, [series(T, B, H, grad=True)], [moves]


@example
def cellular_automaton() -> Example:
    (k,) = weights((3,))

    def run(u):
        for _ in range(T):
            left = tg.concat([u[:, -1:], u[:, :-1]], axis=1)
            right = tg.concat([u[:, 1:], u[:, :1]], axis=1)
            u = tg.tanh(k[0] * left + k[1] * u + k[2] * right)
        return u

    return run, [series(B, 5, grad=True)], [k]


@example
def gated_linear_recurrence() -> Example:
    Wf, Wx = weights((I, H), (I, H))

    def run(x):
        f, v = tg.sigmoid(x @ Wf), x @ Wx  # all steps at once
        h, out = zeros(B, H), []
        for f_t, v_t in zip(f, v, strict=True):
            h = f_t * h + (1 - f_t) * v_t
            out.append(h)
        return tg.stack(out).mean(axis=0)

    return run, [series(T, B, I)], [Wf, Wx]


@example
def oscillators() -> Example:
    omega, W = weights((H,), (I, H))

    def run(x):
        y = z = zeros(B, H)
        for x_t in x:
            z = z + 0.1 * (tg.tanh(x_t @ W + y) - omega**2 * y - 0.2 * z)
            y = y + 0.1 * z
        return y, z

    return run, [series(T, B, I)], [omega, W]


@example
def fibonacci_of_states() -> Example:
    (W,) = weights((H, H))

    def run(h):
        a, b = h, tg.tanh(h @ W)
        for _ in range(T):
            a, b = b, tg.tanh(a + b @ W)
        return b

    return run, [series(B, H, grad=True)], [W]


@example
def two_directions_joined() -> Example:
    W, U, V = weights((I, H), (H, H), (H, H))

    def scan(steps, R):
        h, out = zeros(B, H), []
        for x_t in steps:
            h = tg.tanh(x_t @ W + h @ R)
            out.append(h)
        return out

    def run(x):
        there, back = scan(x, U), scan(reversed(x), V)[::-1]
        return tg.stack([tg.concat([a, b], axis=1) for a, b in zip(there, back, strict=True)])

    return run, [series(T, B, I)], [W, U, V]


@example
def cumulative_sum_in_each_step() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            gate = tg.cumsum(tg.softmax(h @ U, axis=1), axis=1)  # ordered neurons
            h = gate * h + (1 - gate) * tg.tanh(x_t @ W)
        return h

    return run, [series(T, B, I)], [W, U]
