"""Windows, attention and memories."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

from . import B, Example, H, I, T, example, series, weights, zeros


@example
def sliding_windows() -> Example:
    W, U = weights((3 * I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for t in range(len(x) - 2):
            window = x[t : t + 3]  # (3, B, I)
            h = tg.tanh(window.permute_dims(1, 0, 2).reshape(B, 3 * I) @ W + h @ U)
        return h

    return run, [series(T + 2, B, I, grad=True)], [W, U]


@example
def moving_average() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for t in range(2, len(x)):
            h = tg.tanh(x[t - 2 : t + 1].mean(axis=0) @ W + h @ U)
        return h

    return run, [series(T + 2, B, I)], [W, U]


@example
def joined_windows() -> Example:
    W, U = weights((2 * I, H), (H, H))

    def run(x):
        h, before = zeros(B, H), zeros(B, I)
        for x_t in x:
            h = tg.tanh(tg.concat([before, x_t], axis=-1) @ W + h @ U)
            before = x_t
        return h

    return run, [series(T, B, I)], [W, U]


@example
def additive_attention() -> Example:
    Wa, Ua, va, Wd = weights((H, H), (H, H), (H,), (2 * H, H))

    def run(memory):  # (S, B, H)
        s, keys = zeros(B, H), memory @ Ua
        for _ in range(T):
            scores = (tg.tanh(keys + s @ Wa) * va).sum(axis=-1)  # (S, B)
            alpha = tg.softmax(scores, axis=0)
            context = (alpha[:, :, None] * memory).sum(axis=0)
            s = tg.tanh(tg.concat([context, s], axis=1) @ Wd)
        return s

    return run, [series(5, B, H, grad=True)], [Wa, Ua, va, Wd]


@example
def dot_product_attention_with_input_feeding() -> Example:
    E, W, U, C = weights((9, H), (2 * H, H), (H, H), (2 * H, H))
    targets = tg.tensor(np.random.default_rng(1).integers(0, 9, (T + 1, B)))

    def run(memory, targets):  # memory (B, S, H)
        h = fed = zeros(B, H)
        loss = 0.0
        for t in range(len(targets) - 1):
            h = tg.tanh(tg.concat([tg.embedding(targets[t], E), fed], axis=1) @ W + h @ U)
            alpha = tg.softmax((memory @ h[:, :, None])[:, :, 0], axis=1)
            context = (alpha[:, None, :] @ memory)[:, 0]
            fed = tg.tanh(tg.concat([context, h], axis=1) @ C)
            loss = loss + nn.cross_entropy(fed @ E.T, targets[t + 1])
        return loss

    return run, [series(B, 5, H, grad=True), targets], [E, W, U, C]


@example
def attention_over_the_past() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        past = [zeros(B, H)]
        for x_t in x:
            keys = tg.stack(past)  # one longer at every step
            alpha = tg.softmax((keys * past[-1]).sum(axis=-1, keepdims=True), axis=0)
            past.append(tg.tanh(x_t @ W + (alpha * keys).sum(axis=0) @ U))
        return past[-1]

    return run, [series(T, B, I)], [W, U]


@example
def self_attention_then_a_loop() -> Example:
    Q, K, U = weights((H, H), (H, H), (H, H))

    def run(x):  # (B, T, H)
        scores = tg.softmax((x @ Q) @ (x @ K).mT / 2.0, axis=-1)
        mixed, h = scores @ x, zeros(B, H)
        for t in range(T):
            h = tg.tanh(mixed[:, t] + h @ U)
        return h

    return run, [series(B, T, H, grad=True)], [Q, K, U]


@example
def memory_matrix() -> Example:
    W, V = weights((I, H), (I, H))

    def run(x):  # fast weights: M = 0.9 M + k v^T
        M, out = zeros(B, H, H), []
        for x_t in x:
            k, v = tg.softmax(x_t @ W), x_t @ V
            M = 0.9 * M + k[:, :, None] * v[:, None, :]
            out.append((M * k[:, :, None]).sum(axis=1))
        return tg.stack(out)

    return run, [series(T, B, I)], [W, V]


@example
def memory_slots() -> Example:
    Wk, We, Wv = weights((I, H), (I, H), (I, H))

    def run(x):
        M = zeros(5, H)
        for x_t in x:
            address = tg.softmax((x_t @ Wk) @ M.T, axis=-1)  # (B, 5)
            M = M * (1 - 0.1 * address.T @ tg.sigmoid(x_t @ We)) + address.T @ (x_t @ Wv)
        return M

    return run, [series(T, B, I)], [Wk, We, Wv]


@example
def rows_by_an_index_array() -> Example:
    W, U = weights((I, H), (H, H))
    order = np.array([2, 0, 1])

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            h = tg.tanh(x_t @ W + h[order] @ U)
        return h

    return run, [series(T, B, I)], [W, U]


@example
def last_step_of_each_row() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x, lengths):
        h, out = zeros(B, H), []
        for x_t in x:
            h = tg.tanh(x_t @ W + h @ U)
            out.append(h)
        return tg.stack(out)[lengths - 1, tg.arange(B)]

    return run, [series(T, B, I), tg.tensor(np.array([6, 2, 4]))], [W, U]
