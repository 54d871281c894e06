"""Ways to walk over the steps."""

import functools
import itertools
from collections import deque

import tinygrad_rnn as tg

from . import B, Example, H, I, T, example, series, weights, zeros


@example
def for_each_step() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            h = tg.tanh(x_t @ W + h @ U)
        return h

    return run, [series(T, B, I)], [W, U]


@example
def for_t_in_range() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        hs = []
        for t in range(x.shape[0]):
            h = tg.tanh(x[t] @ W + h @ U)
            hs.append(h)
        return tg.stack(hs)

    return run, [series(T, B, I)], [W, U]


@example
def enumerate_with_decay() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h, loss = zeros(B, H), 0.0
        for t, x_t in enumerate(x):
            h = tg.tanh(x_t @ W + h @ U)
            loss = loss + 0.9**t * (h * h).mean()
        return loss

    return run, [series(T, B, I)], [W, U]


@example
def zip_with_targets() -> Example:
    W, U, V = weights((I, H), (H, H), (H, I))

    def run(x, y):
        h, total = zeros(B, H), 0
        for x_t, y_t in zip(x, y, strict=True):
            h = tg.tanh(x_t @ W + h @ U)
            total = total + ((h @ V - y_t) ** 2).sum()
        return total / len(x)

    return run, [series(T, B, I), series(T, B, I)], [W, U, V]


@example
def while_loop() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        t = 0
        while t < len(x):
            h = tg.tanh(x[t] @ W + h @ U)
            t += 1
        return h.sum()

    return run, [series(T, B, I)], [W, U]


@example
def backwards_in_time() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h, out = zeros(B, H), []
        for x_t in reversed(x):
            h = tg.tanh(x_t @ W + h @ U)
            out.insert(0, h)
        return tg.stack(out)

    return run, [series(T, B, I, grad=True)], [W, U]


@example
def reduce_over_steps() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        return functools.reduce(lambda h, x_t: tg.tanh(x_t @ W + h @ U), x, zeros(B, H))

    return run, [series(T, B, I)], [W, U]


@example
def accumulate() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        steps = itertools.accumulate(
            x, lambda h, x_t: tg.tanh(x_t @ W + h @ U), initial=zeros(B, H)
        )
        return tg.stack(list(steps)[1:], axis=1)

    return run, [series(T, B, I)], [W, U]


@example
def recursion() -> Example:
    W, U = weights((I, H), (H, H))

    def state(x, t):
        if t < 0:
            return zeros(B, H)
        return tg.tanh(x[t] @ W + state(x, t - 1) @ U)

    return lambda x: state(x, len(x) - 1), [series(T, B, I)], [W, U]


@example
def generator() -> Example:
    W, U = weights((I, H), (H, H))

    def states(x):
        h = zeros(B, H)
        for x_t in x:
            h = tg.tanh(x_t @ W + h @ U)
            yield h

    return lambda x: sum(h.sum() for h in states(x)), [series(T, B, I)], [W, U]


@example
def walrus_in_a_comprehension() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        return tg.stack([h := tg.tanh(x_t @ W + h @ U) for x_t in x])

    return run, [series(T, B, I)], [W, U]


@example
def pairs_of_neighbours() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for now, after in itertools.pairwise(x):
            h = tg.sigmoid((after - now) @ W + h @ U)
        return h

    return run, [series(T, B, I)], [W, U]


@example
def iter_and_next() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        steps = iter(x)
        h = tg.tanh(next(steps) @ W)
        for x_t in steps:
            h = tg.tanh(x_t @ W + h @ U)
        return h

    return run, [series(T, B, I)], [W, U]


@example
def delays_in_a_deque() -> Example:
    W, U, V = weights((I, H), (H, H), (H, H))

    def run(x):
        past = deque([zeros(B, H)] * 3, maxlen=3)
        for x_t in x:
            past.append(tg.tanh(x_t @ W + past[-1] @ U + past[0] @ V))
        return past[-1] + past[0]

    return run, [series(T, B, I)], [W, U, V]


@example
def steps_of_two() -> Example:
    W, U = weights((2 * I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for t in range(0, len(x), 2):
            h = tg.tanh(tg.concat([x[t], x[t + 1]], axis=1) @ W + h @ U)
        return h

    return run, [series(T + 2, B, I)], [W, U]
