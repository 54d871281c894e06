"""Losses against PyTorch: values, gradients, reductions, masks, and logits that are large."""

import warnings

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn

F = torch.nn.functional


@pytest.mark.parametrize("level", [0.0, 1e4, -3e5])
def test_large_logits_keep_their_digits(level):
    """In float32: the same logits some levels up, whose differences are exact."""
    x, t = np.array([[0.0, 0.5, -2.0], [0.25, 0.25, 0.25]]), np.array([1, 2])
    exact = torch.log_softmax(torch.tensor(x), -1).numpy()
    high = tg.tensor((x + level).astype(np.float32))
    np.testing.assert_allclose(tg.log_softmax(high).numpy(), exact, rtol=1e-6)
    picked = -exact[[0, 1], t]
    np.testing.assert_allclose(
        nn.cross_entropy(high, t, reduction="none").numpy(), picked, rtol=1e-6
    )
    loop = tg.jit(lambda x: tg.stack([nn.cross_entropy(x * s, t) for s in (1.0, 1.0, 1.0, 1.0)]))
    np.testing.assert_allclose(loop(high).numpy(), [picked.mean()] * 4, rtol=1e-6)


def their_kl_div(x, t, **options):
    """PyTorch warns that its mean, over all values, is not the one by the book."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return F.kl_div(x, t, **options)


LOSSES = [
    (nn.mse_loss, F.mse_loss, {}),
    (nn.l1_loss, F.l1_loss, {}),
    (nn.huber_loss, F.huber_loss, {"delta": 0.6}),
    (nn.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, {}),
    (
        lambda x, t, **o: nn.binary_cross_entropy_with_logits(x, t, pos_weight=2.5, **o),
        lambda x, t, **o: F.binary_cross_entropy_with_logits(
            x, t, pos_weight=torch.tensor(2.5, dtype=torch.float64), **o),
        {},
    ),
    (
        lambda x, t, beta, **o: nn.smooth_l1_loss(x, t, beta, **o),
        lambda x, t, beta, **o: F.smooth_l1_loss(x, t, beta=beta, **o),
        {"beta": 0.7},
    ),
    (nn.poisson_nll_loss, F.poisson_nll_loss, {}),
    (
        lambda x, t, **o: nn.gaussian_nll_loss(x, t, 0.7, **o),
        lambda x, t, **o: F.gaussian_nll_loss(x, t, torch.full_like(x, 0.7), **o),
        {},
    ),
    (nn.kl_div, their_kl_div, {}),
    (
        lambda x, t, **o: nn.kl_div(x, t, log_target=True, **o),
        lambda x, t, **o: their_kl_div(x, t, log_target=True, **o),
        {},
    ),
]  # fmt: skip
BEHIND = [  # another function, which makes probabilities and rates
    (
        lambda x, t, **o: nn.binary_cross_entropy(tg.sigmoid(x), t, **o),
        lambda x, t, **o: F.binary_cross_entropy(torch.sigmoid(x), t, **o),
        {},
    ),
    (
        lambda x, t, **o: nn.poisson_nll_loss(tg.exp(x), t, log_input=False, **o),
        lambda x, t, **o: F.poisson_nll_loss(torch.exp(x), t, log_input=False, **o),
        {},
    ),
]  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"), [*LOSSES, *BEHIND], ids=lambda v: getattr(v, "__name__", "")
)
def test_losses(ours, theirs, options, reduction):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((4, 3)), rng.uniform(0, 1, (4, 3))
    X, Z = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    a = ours(X, tg.tensor(t), **options, reduction=reduction)
    b = theirs(Z, torch.tensor(t), **options, reduction=reduction)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(X.grad.numpy(), Z.grad.numpy(), rtol=1e-10, atol=1e-15)


MASKED = [
    *LOSSES,
    (lambda x, t, **o: nn.quantile_loss(x, t, 0.9, **o), lambda x, t: torch.mean(
        torch.maximum(0.9 * (t - x), -0.1 * (t - x))), {}),
]  # fmt: skip


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["target", "prediction", "both"])
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("k", range(len(MASKED)))
def test_what_is_masked_reaches_no_weight(k, jit, where, missing):
    """The gradient of a shared weight over what is there, whatever stands where nothing is."""
    ours, theirs, options = MASKED[k]
    rng = np.random.default_rng(0)
    x, t, w = rng.standard_normal((4, 3)), rng.uniform(0, 1, (4, 3)), np.array(0.7)
    mask = np.array([[True, False, True]] * 2 + [[False, True, True]] * 2)
    b = torch.tensor(w, requires_grad=True)
    keep = torch.tensor(mask)
    wanted = theirs(b * torch.tensor(x)[keep], torch.tensor(t)[keep], **options)
    wanted.backward()
    a, bias = tg.tensor(w, requires_grad=True), np.zeros((4, 3))
    if where != "target":  # behind the shared weight, where it is multiplied with nothing
        bias[~mask] = missing
    if where != "prediction":
        t[~mask] = missing
    call = (tg.jit if jit else lambda f: f)(
        lambda t, m, bias: ours(a * tg.tensor(x) + bias, t, **options, mask=m)
    )
    found = call(tg.tensor(t), tg.tensor(mask), tg.tensor(bias))
    found.backward()
    np.testing.assert_allclose(float(found), wanted.item(), rtol=1e-12)
    np.testing.assert_allclose(float(a.grad), b.grad.item(), rtol=1e-10)


def test_masked_rows_of_cross_entropy_reach_no_weight():
    rng = np.random.default_rng(0)
    x, t, mask = rng.standard_normal((5, 4)), rng.integers(0, 4, 5), np.arange(5) < 3
    b = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    wanted = F.cross_entropy(b * torch.tensor(x[:3]), torch.tensor(t[:3]))
    wanted.backward()
    bias = np.where(mask[:, None], 0, np.nan)
    for padding in (-100, -1, 99):  # class numbers that are none
        t[3:] = padding
        a = tg.tensor(np.array(0.7), requires_grad=True)
        found = nn.cross_entropy(a * tg.tensor(x) + bias, t, mask=mask)
        found.backward()
        np.testing.assert_allclose(float(found), wanted.item(), rtol=1e-12)
        np.testing.assert_allclose(float(a.grad), b.grad.item(), rtol=1e-10)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["classes", "probabilities", "log probabilities"])
def test_classes_smoothed_and_mixed(kind, smoothing, weighted, reduction):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    t[2] = -100
    w = rng.uniform(0.5, 2, 5) if weighted else None
    ours, theirs, options = nn.cross_entropy, F.cross_entropy, {"label_smoothing": smoothing}
    if kind == "probabilities":
        t = rng.dirichlet(np.ones(5), 6)
        t[1] = [0, 0, 1, 0, 0]
    if kind == "log probabilities":
        ours, theirs, options = nn.nll_loss, F.nll_loss, {}
    X, Z = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    a = ours(X, tg.tensor(t), weight=w, reduction=reduction, **options)
    w = None if w is None else torch.tensor(w)
    b = theirs(Z, torch.tensor(t), w, reduction=reduction, **options)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(X.grad.numpy(), Z.grad.numpy(), rtol=1e-10, atol=1e-15)


def test_the_mean_over_a_batch_and_the_cosine():
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((4, 3)), rng.dirichlet(np.ones(3), 4)
    t[0] = [0, 1, 0]
    found = nn.kl_div(tg.tensor(x), t, reduction="batchmean")
    wanted = F.kl_div(torch.tensor(x), torch.tensor(t), reduction="batchmean")
    np.testing.assert_allclose(float(found), wanted.item(), rtol=1e-12)
    x[1] = 0
    X, Z = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    a = nn.cosine_similarity(X, tg.tensor(t))
    b = F.cosine_similarity(Z, torch.tensor(t), -1)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12)
    rows = [0, 2, 3]  # of a zero vector the subgradient is a matter of taste
    np.testing.assert_allclose(X.grad.numpy()[rows], Z.grad.numpy()[rows], rtol=1e-10)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 3), (2, 3, 4, 5)])
def test_cross_entropy_with_the_classes_second(shape, reduction):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal(shape), rng.integers(0, 3, shape[:1] + shape[2:])
    t.flat[1] = -100
    w = rng.uniform(0.5, 2, 3)
    X, Z = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    a = nn.cross_entropy(X, t, weight=w, reduction=reduction, axis=1)
    b = F.cross_entropy(Z, torch.tensor(t), torch.tensor(w), reduction=reduction)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(X.grad.numpy(), Z.grad.numpy(), rtol=1e-10, atol=1e-15)
