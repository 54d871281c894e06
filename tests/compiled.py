"""A loop under tg.jit that must have code, against the same loop run eagerly."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.testing import check_jit


def compiles_to_the_same(loop, x, W, rtol):
    """Assert that no part runs op by op, and that the shared weight's gradient is eager code's."""
    fast = tg.jit(loop)
    assert check_jit(fast, x, W)
    fast(x, W).backward()
    assert "op by op" not in fast.explain()
    eager = tg.tensor(W.numpy(), requires_grad=True)
    loop(x.detach(), eager).backward()
    np.testing.assert_allclose(W.grad.numpy(), eager.grad.numpy(), rtol=rtol)
