"""Python's control flow in and around the loop."""

import contextlib
import random

import tinygrad_rnn as tg

from . import B, Example, H, I, T, example, series, weights, zeros


@example
def skip_odd_steps() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for t, x_t in enumerate(x):
            if t % 2:
                continue
            h = tg.tanh(x_t @ W + h @ U)
        return h

    return run, [series(2 * T, B, I)], [W, U]


@example
def stop_after_some_steps() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x, last=4):
        h = zeros(B, H)
        for t, x_t in enumerate(x):
            if t > last:
                break
            h = tg.tanh(x_t @ W + h @ U)
        return h

    return run, [series(T, B, I), 4], [W, U]


@example
def clockwork() -> Example:
    W, U, V = weights((I, H), (H, H), (H, H))

    def run(x):
        fast = slow = zeros(B, H)
        for t in range(len(x)):
            fast = tg.tanh(x[t] @ W + fast @ U + slow)
            if t % 2 == 0:
                slow = tg.tanh(fast @ V)
        return fast, slow

    return run, [series(2 * T, B, I)], [W, U, V]


@example
def no_state_at_first() -> Example:
    W, U = weights((I, H), (H, H))

    def cell(x_t, h=None):
        a = x_t @ W
        if h is not None:
            a = a + h @ U
        return tg.tanh(a)

    def run(x):
        h = None
        for x_t in x:
            h = cell(x_t, h)
        return h

    return run, [series(T, B, I)], [W, U]


@example
def burn_in_without_gradient() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for t, x_t in enumerate(x):
            with tg.no_grad() if t < 3 else contextlib.nullcontext():
                h = tg.tanh(x_t @ W + h @ U)
        return h

    return run, [series(2 * T, B, I)], [W, U]


@example
def truncated_every_third() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h, loss = zeros(B, H), 0.0
        for t, x_t in enumerate(x):
            if t and t % 3 == 0:
                h = h.detach()
            h = tg.tanh(x_t @ W + h @ U)
            loss = loss + (h**2).mean()
        return loss

    return run, [series(2 * T, B, I)], [W, U]


@example
def inner_iterations() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            drive = x_t @ W
            for _ in range(3):  # settle
                h = h + 0.5 * (tg.tanh(drive + h @ U) - h)
        return h

    return run, [series(T, B, I)], [W, U]


@example
def match_statement() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x, kind):
        h = zeros(B, H)
        for x_t in x:
            match kind:
                case "tanh":
                    h = tg.tanh(x_t @ W + h @ U)
                case "relu":
                    h = tg.relu(x_t @ W + h @ U)
        return h

    return run, [series(T, B, I), "relu"], [W, U]


@example
def masked_teacher_forcing() -> Example:
    W, U, V = weights((I, H), (H, H), (H, I))

    def run(y, forced):
        h, fed, out = zeros(B, H), zeros(B, I), []
        for t in range(len(y)):
            h = tg.tanh(fed @ W + h @ U)
            out.append(h @ V)
            fed = tg.where(forced[t], y[t], out[-1])
        return tg.stack(out)

    forced = tg.tensor([[[True]] * B, [[False]] * B] * (T // 2))
    return run, [series(T, B, I), forced], [W, U, V]


@example
def teacher_forcing_by_flags() -> Example:
    W, U, V = weights((I, H), (H, H), (H, I))

    def run(y, flags):
        h, fed, loss = zeros(B, H), zeros(B, I), 0.0
        for y_t, flag in zip(y, flags, strict=True):
            h = tg.tanh(fed @ W + h @ U)
            guess = h @ V
            loss = loss + tg.abs(guess - y_t).sum()
            fed = y_t if flag else guess
        return loss

    return run, [series(T, B, I), (True, False, True, True, False, True)], [W, U, V]


@example
def branch_on_a_value() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            h = tg.tanh(x_t @ W + h @ U)
            if h.sum() > 0:
                h = -h
        return h

    return run, [series(T, B, I)], [W, U]


@example
def until_it_settles() -> Example:
    (W,) = weights((H, H))

    def run(h):
        change = 1.0
        while change > 1e-3:
            new = tg.tanh(h @ W * 0.2)
            change = float(tg.norm(new - h))
            h = new
        return h

    return run, [series(B, H)], [W]


@example
def greedy_decoding() -> Example:
    E, U, V = weights((5, H), (H, H), (H, 5))

    def run(h):
        token, tokens = 0, []
        for _ in range(T):
            h = tg.tanh(E[token] + h @ U)
            scores = (h @ V).sum(axis=0).numpy()
            token = int(scores.argmax())
            tokens.append(token)
        return h

    return run, [series(B, H)], [E, U, V]


@example
def dice_of_python() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        dice = random.Random(3)
        h = zeros(B, H)
        for x_t in x:
            if dice.random() < 0.5:
                h = tg.tanh(x_t @ W + h @ U)
        return h

    return run, [series(2 * T, B, I)], [W, U]
