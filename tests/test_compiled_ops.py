"""Every elementwise op inside a loop that is compiled: what eager code gives, all in one kernel."""

import numpy as np
import pytest
from cases import BINARY, UNARY, draw

import tinygrad_rnn as tg
from tinygrad_rnn.op import OPS
from tinygrad_rnn.testing import check_jit

SCALED = {"unit": 0.4, "positive": 0.4, "real": 1.0, "above 1": 0.4}


def argument(z, domain):
    """A number of the op's domain made of one between -1 and 1."""
    shift = {"positive": 1.0, "above 1": 2.0}.get(domain, 0.0)
    return z * SCALED[domain] + shift


def of_one(x, W):
    """A state that each step is sent through every op of one input."""
    h, seen = tg.zeros(x.shape[1], W.shape[0], dtype=x.dtype), []
    for x_t in x:
        z = tg.tanh(x_t + h @ W)
        parts = [OPS[name](argument(z, domain)) for name, (_, domain) in UNARY.items()]
        for p in parts[1:]:
            parts[0] = parts[0] + 0.3 * p
        h = tg.sin(parts[0])
        seen.append(h)
    return (tg.stack(seen) ** 2).sum()


def of_two(x, W):
    """The same for ops of two inputs."""
    h, seen = tg.zeros(x.shape[1], W.shape[0], dtype=x.dtype), []
    for x_t in x:
        z, w = tg.tanh(x_t + h @ W), 1.5 + 0.2 * tg.sin(x_t)
        parts = [OPS[name](argument(z, domain), w) for name, (_, domain) in BINARY.items()]
        for p in parts[1:]:
            parts[0] = parts[0] + 0.3 * p
        h = tg.sin(parts[0])
        seen.append(h)
    return (tg.stack(seen) ** 2).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", [of_one, of_two])
def test_all_in_one_loop(function, dtype):
    rng = np.random.default_rng(0)
    x = tg.tensor(draw(rng, (5, 2, 3), "real").astype(dtype), requires_grad=True)
    W = tg.tensor((0.3 * draw(rng, (3, 3), "real")).astype(dtype), requires_grad=True)
    fast = tg.jit(function)
    assert check_jit(fast, x, W, tol=1e-4 if dtype == np.float32 else 1e-11)
    fast(x, W).backward()
    assert "op by op" not in fast.explain()
