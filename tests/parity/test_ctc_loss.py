"""CTC beside PyTorch's, value and gradient, at the limits of lengths and labels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import tinygrad_rnn as tg
from tinygrad_rnn import nn

TOLERANCE = {"float64": 1e-9, "float32": 2e-4}


def drawn(rng, dtype):
    """Logits (T, N, C) and what goes with them: often impossible, repeated, empty, full."""
    T, N, C = (int(n) for n in rng.integers((1, 1, 2), (12, 4, 5)))
    S, blank = int(rng.integers(0, 8)), int(rng.integers(0, C))
    labels = rng.integers(0, C - 1, (N, S))
    labels += labels >= blank
    limits = rng.integers(0, 3)
    steps = rng.integers(0, T + 1, N) if limits == 0 else np.full(N, T)
    sizes = rng.integers(0, S + 1, N) if limits < 2 else np.full(N, S)
    return (3 * rng.standard_normal((T, N, C))).astype(dtype), labels, steps, sizes, blank


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_two_hundred_random_cases_agree(dtype):
    rng = np.random.default_rng(11)
    close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    seen = {"impossible": 0, "empty": 0, "repeats": 0, "no steps": 0}
    for k in range(200):
        z, labels, steps, sizes, blank = drawn(rng, dtype)
        options = {"reduction": ("none", "mean", "sum")[k % 3], "zero_infinity": k % 2 == 1}
        ours, theirs = tg.tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
        a = nn.ctc_loss(tg.log_softmax(ours), labels, steps, sizes, blank, **options)
        b = F.ctc_loss(
            theirs.log_softmax(-1), *map(torch.tensor, (labels, steps, sizes)), blank, **options
        )
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), **close, err_msg=f"case {k}")
        g = rng.standard_normal(a.shape).astype(dtype)
        a.backward(g)
        b.backward(torch.tensor(g))
        np.testing.assert_allclose(
            ours.grad.numpy(), theirs.grad.numpy(), **close, err_msg=f"case {k}"
        )
        pairs = [(row[:n], T) for row, n, T in zip(labels, sizes, steps, strict=True)]
        seen["impossible"] += any(len(r) + (r[1:] == r[:-1]).sum() > T for r, T in pairs)
        seen["repeats"] += any((r[1:] == r[:-1]).any() for r, _ in pairs)
        seen["empty"] += any(not len(r) for r, _ in pairs)
        seen["no steps"] += any(not T for _, T in pairs)
    assert min(seen.values()) >= 15, seen


def test_labels_in_one_row_and_single_sequences_agree():
    rng = np.random.default_rng(12)
    x = torch.tensor(rng.standard_normal((7, 3, 4))).log_softmax(-1)
    labels, steps, sizes = np.array([1, 2, 2, 3, 1, 1]), np.array([7, 6, 5]), np.array([3, 1, 2])
    wanted = F.ctc_loss(x, *map(torch.tensor, (labels, steps, sizes)))
    np.testing.assert_allclose(nn.ctc_loss(x.numpy(), labels, steps, sizes).item(), wanted.item())
    alone = F.ctc_loss(x[:, 0], torch.tensor(labels[:3]), torch.tensor(7), torch.tensor(3))
    found = nn.ctc_loss(x[:, 0].numpy(), labels[:3], 7, 3)
    np.testing.assert_allclose(found.item(), alone.item())
