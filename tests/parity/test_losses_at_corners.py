"""Losses at zeros, huge numbers, infinities and NaN: values and both gradients as PyTorch's.

Where ours are others, the reason stands beside it.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.testing import check_jit

F = torch.nn.functional
INF, NAN = np.inf, np.nan
ALL = [0.0, -0.0, 0.5, -1.5, 1e30, -1e30, 200.0, -200.0, INF, -INF, NAN]
SHARES = [0.0, 1.0, 0.3]
PROBABILITIES = [0.0, 1.0, 0.5, 1e-30, 1e-50, 1 - 1e-16]
COUNTS = [0.0, 1.0, 5.0, NAN, INF]
TWO = torch.tensor(2.0, dtype=torch.float64)
Cross = tuple[Callable[..., Any], Callable[..., Any], list[float], list[float]]
LOSSES: dict[str, Cross] = {
    "mse": (nn.mse_loss, F.mse_loss, ALL, ALL),
    "l1": (nn.l1_loss, F.l1_loss, ALL, ALL),
    "huber": (nn.huber_loss, F.huber_loss, ALL, ALL),
    "smooth l1": (nn.smooth_l1_loss, F.smooth_l1_loss, ALL, ALL),
    "logits": (
        nn.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits,
        ALL, [*SHARES, NAN],
    ),
    "logits weighted": (
        lambda x, t, **o: nn.binary_cross_entropy_with_logits(x, t, pos_weight=2.0, **o),
        lambda x, t, **o: F.binary_cross_entropy_with_logits(x, t, pos_weight=TWO, **o),
        ALL, [*SHARES, NAN],
    ),
    "probabilities": (
        nn.binary_cross_entropy, F.binary_cross_entropy, PROBABILITIES, SHARES
    ),
    "kl": (nn.kl_div, F.kl_div, ALL, [1.0, 0.3, NAN, INF]),
    "kl of logs": (
        lambda x, t, **o: nn.kl_div(x, t, log_target=True, **o),
        lambda x, t, **o: F.kl_div(x, t, log_target=True, **o),
        ALL, [0.0, -1.0, -INF, NAN],
    ),
    "poisson": (nn.poisson_nll_loss, F.poisson_nll_loss, ALL, COUNTS),
    "poisson rates": (
        lambda x, t, **o: nn.poisson_nll_loss(x, t, log_input=False, **o),
        lambda x, t, **o: F.poisson_nll_loss(x, t, log_input=False, **o),
        COUNTS, COUNTS,
    ),
    "gaussian": (
        lambda x, t, **o: nn.gaussian_nll_loss(x, t, 0.7, **o),
        lambda x, t, **o: F.gaussian_nll_loss(x, t, torch.full_like(x, 0.7), **o),
        ALL, ALL,
    ),
    "gaussian variances": (
        lambda x, v, **o: nn.gaussian_nll_loss(x, x.detach() * 0 + 1, v, **o),
        lambda x, v, **o: F.gaussian_nll_loss(x, x.detach() * 0 + 1, v, **o),
        ALL, [0.0, 1e-9, 1.0, INF, NAN],
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients(name: str) -> None:
    ours, theirs, xs, ts = LOSSES[name]
    pairs = np.array(list(itertools.product(xs, ts))).T
    X, T = (tg.tensor(v, requires_grad=True) for v in pairs)
    Z, U = (torch.tensor(v, requires_grad=True) for v in pairs)
    a, b = ours(X, T, reduction="none"), theirs(Z, U, reduction="none")
    a.sum().backward()
    b.sum().backward()
    for what, found, wanted in (
        ("value", a, b.detach()), ("gradient", X.grad, Z.grad), ("target's", T.grad, U.grad),
    ):  # fmt: skip
        found, wanted = found.numpy(), wanted.numpy()
        if (name, what) == ("probabilities", "target's"):
            continue  # PyTorch's is of the logarithms without their bound
        np.testing.assert_allclose(
            found, wanted, rtol=1e-8, atol=1e-13, err_msg=f"{what} of {pairs.T.tolist()}"
        )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["classes", "probabilities", "log probabilities"])
def test_classes(kind: str, smoothing: float) -> None:
    rows = np.array(list(itertools.product([0.0, -INF, INF, NAN, 1e30, 3.0], repeat=3)))
    for k in range(3):
        X, Z = tg.tensor(rows, requires_grad=True), torch.tensor(rows, requires_grad=True)
        t: Any = np.full(len(rows), k)
        options = {"reduction": "none", "label_smoothing": smoothing}
        ours, theirs = nn.cross_entropy, F.cross_entropy
        if kind == "probabilities":
            t = np.eye(3)[t]
        if kind == "log probabilities":
            ours, theirs, options = nn.nll_loss, F.nll_loss, {"reduction": "none"}
        a, b = ours(X, tg.tensor(t), **options), theirs(Z, torch.tensor(t), **options)
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-9, err_msg=str(k))
        a.sum().backward()
        b.sum().backward()
        np.testing.assert_allclose(X.grad.numpy(), Z.grad.numpy(), rtol=1e-9, err_msg=str(k))


def test_targets_without_probability_have_a_finite_gradient_here() -> None:
    """t log t has the slope -inf at 0, PyTorch gives NaN; here the limit of t log t stays out."""
    x, t = tg.tensor([-1.0, -2.0]), tg.tensor([0.0, 1.0], requires_grad=True)
    nn.kl_div(x, t, reduction="sum").backward()
    assert t.grad.tolist() == [1.0, 3.0]


def test_no_probability_is_refused() -> None:
    for x, t, what in ((1.5, 0.0, "probability"), (NAN, 0.0, "probability"), (0.5, -0.1, "target")):
        with pytest.raises(ValueError, match=f"a {what} that is not between 0 and 1"):
            nn.binary_cross_entropy(tg.tensor([x]), tg.tensor([t]))
    mask = np.array([True, False])
    found = nn.binary_cross_entropy(tg.tensor([0.5, 7.0]), tg.tensor([1.0, NAN]), mask=mask)
    assert found.item() == pytest.approx(np.log(2))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_compiled_it_is_nan_instead() -> None:
    fast = tg.jit(lambda x, t: nn.binary_cross_entropy(x, t, reduction="none"))
    found = fast(tg.tensor([-0.5, 1.5, 0.0, 1.0]), tg.tensor([1.0, 0.0, 1.0, 0.0])).numpy()
    np.testing.assert_array_equal(found, [NAN, NAN, 100, 100])
    x = tg.tensor(np.linspace(0.1, 0.9, 5), requires_grad=True)
    assert check_jit(fast, x, tg.tensor(np.linspace(0.0, 1.0, 5)))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("margin", [0.0, 0.4])
def test_cosine_embeddings(margin: float, reduction: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((8, 3)), rng.standard_normal((8, 3))
    a[3], b[4] = 0, a[4]
    t = np.array([1, -1] * 4)
    A, B = (tg.tensor(v, requires_grad=True) for v in (a, b))
    C, D = (torch.tensor(v, requires_grad=True) for v in (a, b))
    y = nn.cosine_embedding_loss(A, B, t, margin, reduction)
    z = F.cosine_embedding_loss(C, D, torch.tensor(t), margin, reduction=reduction)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10)
    y.sum().backward()
    z.sum().backward()
    for p, q in ((A, C), (B, D)):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-8, atol=1e-12)
    fast = tg.jit(lambda a, b: nn.cosine_embedding_loss(a, b, tg.tensor(t), margin))
    assert check_jit(fast, A, B)
    mask = np.arange(8) != 3
    a[3] = NAN
    masked = nn.cosine_embedding_loss(tg.tensor(a), B, t, margin, reduction, mask)
    assert np.isfinite(masked.numpy()).all()
    with pytest.raises(tg.ShapeError, match="features"):
        nn.cosine_embedding_loss(A, B, t[:3])
