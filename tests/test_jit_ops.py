"""Ops on a state within a loop: each has code, forward and backward, and agrees with eager."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from programs import op_by_op

import tinygrad_rnn as tg
from tinygrad_rnn.testing import check_jit

T, B, H = 6, 3, 4

# each of a state h (B, H) and keys K (B, 5, H); groups share a kernel, so that compiling takes seconds and not minutes
OPS: dict[str, list[Callable[[Any, Any], Any]]] = {
    "softmax": [
        lambda h, K: tg.softmax(h, axis=0),
        lambda h, K: (tg.softmax(K * h[:, None, :], axis=2) * K).sum(axis=1),
        lambda h, K: (tg.softmax(K * tg.expand_dims(h, 1), axis=1) * K).sum(axis=1),
        lambda h, K: tg.log_softmax(h, axis=0),
        lambda h, K: h * tg.softmax(h.sum(axis=0), axis=0),
        lambda h, K: tg.log_softmax(K * h[:, None], axis=-2).mean(axis=1),
    ],
    "reductions": [
        lambda h, K: h - tg.logsumexp(h, axis=1, keepdims=True),
        lambda h, K: h - tg.logsumexp(h),
        lambda h, K: h / (1 + tg.norm(h)),
        lambda h, K: h * tg.minimum(1.0, 0.5 / tg.norm(h, axis=1, keepdims=True)),
        lambda h, K: tg.cumsum(h, axis=1) - tg.cumsum(h, axis=0),
    ],
    "extremes": [
        lambda h, K: h - tg.max(h, axis=1, keepdims=True),
        lambda h, K: h * tg.min(h, axis=0),
        lambda h, K: h / (2 + tg.max(h) - tg.min(h)),
        lambda h, K: (K * h[:, None]).max(axis=1),
        lambda h, K: tg.where(tg.any(h > 0.1, axis=1, keepdims=True), h, 0.5 * h),
        lambda h, K: tg.where(tg.all(K * h[:, None] < 0.3, axis=1), h, K[:, 0]),
        lambda h, K: tg.where(tg.all(tg.floor(h) + 1), h, 2 * h),
    ],
    "shapes": [
        lambda h, K: tg.tanh(h.reshape(B, 2, 2)).reshape(B, H),
        lambda h, K: h.reshape(-1)[::-1].reshape(B, H),
        lambda h, K: h.T.reshape(B, H),
        lambda h, K: h[:, :2].reshape(-1).sum() * h,
        lambda h, K: h[:1, :1].reshape(()) * h,
        lambda h, K: tg.squeeze(h[:, None, :], axis=1),
        lambda h, K: tg.stack([h, h * h]).mean(axis=0),
        lambda h, K: tg.stack([h, 2 * h], axis=-1).sum(axis=2),
    ],
    "slices": [
        lambda h, K: tg.flip(h, axis=1) + tg.flip(h, axis=0),
        lambda h, K: tg.concat([h[:, ::2], h[:, 1::2]], axis=1),
        lambda h, K: h[::-1, ::-1],
        lambda h, K: h[:, 0:1] * h + h[-1] + h[0, -2],
        lambda h, K: (h[:, :, None] * K[:, None, 0]).sum(axis=1),
    ],
}
ORDER, TABLE, COLUMNS = np.array([2, 0, -1, 1]), np.array([1, 2, 0]), np.array([[0, 3]] * B)
OPS["lookups"] = [
    lambda h, K: tg.take(h, ORDER, axis=1) + tg.take(h, TABLE, axis=0),
    lambda h, K: h[:, ORDER] * h[TABLE[0]],
    lambda h, K: tg.take(K, np.array([[0, 4], [0, 0]]), axis=1).sum(axis=(1, 2)) * h,
    lambda h, K: h * tg.take_along_axis(h, COLUMNS, axis=1).sum(axis=1, keepdims=True),
    lambda h, K: h - tg.take_along_axis(h, np.array([[0, 1, -1, 2]]), axis=0),
    lambda h, K: h * tg.take(h.sum(axis=0), np.array(-1), axis=0),
]


def leaf(dtype: str, *shape: int) -> Any:
    values = np.random.default_rng(len(shape)).standard_normal(shape) / 2
    return tg.tensor(values.astype(dtype), requires_grad=True)


@pytest.mark.parametrize(
    ("group", "dtype"), [*((group, "float64") for group in OPS), ("extremes", "float32")]
)
def test_ops_of_a_state(group: str, dtype: str) -> None:
    def loop(x: Any, W: Any, K: Any) -> Any:
        h, out = x[0] * 0.1, []
        for t in range(1, T):
            total = x[t] @ W
            for f in OPS[group]:
                total = total + f(h, K) * 0.3
            h = tg.tanh(total)
            out.append(h)
        return tg.stack(out)

    arguments = leaf(dtype, T, B, H), leaf(dtype, H, H), leaf(dtype, B, 5, H)
    fast = tg.jit(loop)
    assert check_jit(fast, *arguments)
    fast(*arguments)
    assert not op_by_op(fast)
