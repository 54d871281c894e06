"""Products of every rank in a loop, and places of extremes: loops with code, eager's numbers."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.kernels.flags import DISABLED
from tinygrad_rnn.testing import check_jit


def places(h, **attrs):
    return 0.1 * tg.argmax(h, **attrs).astype(h.dtype) + 0.2 * tg.argmin(h, **attrs).astype(h.dtype)


def with_nan(h):
    """Of a row with NaN, the first is the place of both extremes."""
    both = tg.concat([h, h[:, ::-1]], axis=1)
    return tg.where(both > 0, both, float("nan"))


STEPS = {  # of an input, a weight and a state: shapes of these
    "vector by vector": (lambda x, W, h: h * (x @ h) + W @ h, (4,), (4, 4), (4,)),
    "stack by matrix": (lambda x, W, h: x + h @ W, (2, 3, 4), (4, 4), (2, 3, 4)),
    "stack by vector": (lambda x, W, h: x * (h @ W)[..., None] + h, (2, 3, 4), (4,), (2, 3, 4)),
    "matrix by stack": (lambda x, W, h: (h @ W).mean(axis=0) + x, (3, 4), (2, 4, 4), (3, 4)),
    "vector by stack": (lambda x, W, h: (h @ W).sum(axis=0) + x, (4,), (2, 4, 4), (4,)),
    "stack of one": (lambda x, W, h: x @ h + W, (1, 4, 4), (4, 4), (3, 4, 4)),
    "broadcast batches": (lambda x, W, h: x @ h + h @ W, (2, 1, 4, 4), (1, 3, 4, 4), (2, 3, 4, 4)),
    "five axes in all": (lambda x, W, h: h @ W + x, (2, 3, 2, 4), (4, 4), (2, 3, 2, 4)),
    "gates": (
        lambda x, W, h: tg.sigmoid(h @ W) * tg.tanh(x @ W + h @ W.T),
        (2, 3, 4),
        (4, 4),
        (2, 3, 4),
    ),
    "joined": (lambda x, W, h: tg.concat([x, h], axis=2) @ W, (2, 3, 4), (8, 4), (2, 3, 4)),
    "linear": (
        lambda x, W, h: tg.linear(h, W, W[0]) * tg.linear(x, W.T, 0),
        (2, 3, 4),
        (4, 4),
        (2, 3, 4),
    ),
    "linear of a vector": (lambda x, W, h: tg.linear(h, W, W[0]) + x, (4,), (4, 4), (4,)),
    "attention": (
        lambda x, W, h: tg.softmax(h @ W.mT, axis=-1) @ W + x,
        (2, 2, 3, 4),
        (2, 2, 5, 4),
        (2, 2, 3, 4),
    ),
    "rows by argmax": (lambda x, W, h: W[tg.argmax(h, axis=1)] + x + h, (3, 4), (4, 4), (3, 4)),
    "a row by argmin": (lambda x, W, h: W[tg.argmin(h, axis=0)] + x + h, (4,), (4, 4), (4,)),
    "places of all": (lambda x, W, h: places(h) + x + h @ W, (3, 4), (4, 4), (3, 4)),
    "places down": (lambda x, W, h: places(h, axis=0) + x + h @ W, (3, 4), (4, 4), (3, 4)),
    "places kept": (
        lambda x, W, h: places(h, axis=1, keepdims=True) + x + h @ W,
        (2, 3, 4),
        (4, 4),
        (2, 3, 4),
    ),
    "places of NaN": (
        lambda x, W, h: places(with_nan(h), axis=1, keepdims=True) + x + h @ W,
        (3, 4),
        (4, 4),
        (3, 4),
    ),
}
COMPILED = ("five axes in all", "places of NaN")  # some two seconds each; the others with --long


@pytest.mark.parametrize(
    "name", [n if DISABLED or n in COMPILED else pytest.param(n, marks=pytest.mark.long) for n in STEPS]
)  # fmt: skip
def test_loop_has_code_and_eager_numbers(name):
    step, *shapes = STEPS[name]
    rng = np.random.default_rng(0)
    shapes[0] = (6, *shapes[0])
    x, W, h0 = [tg.tensor(0.5 * rng.normal(size=s), requires_grad=True) for s in shapes]

    def loss(x, W, h):
        states = []
        for x_t in x:
            h = tg.tanh(step(x_t, W, h))
            states.append(h)
        return (tg.stack(states) ** 2).sum()

    fast = tg.jit(loss)
    assert check_jit(fast, x, W, h0, tol=1e-12)
    fast(x, W, h0).backward()
    assert "op by op" not in fast.explain()
