"""Subgradients, losses, initialisers' bounds and optimisers against PyTorch."""

import warnings

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim

F = torch.nn.functional
TIES = [
    ("abs", tg.abs, torch.abs, [[0.0, -0.0, 2.0]]),
    ("relu", tg.relu, torch.relu, [[0.0, -1.0, 1.0]]),
    ("maximum", tg.maximum, torch.maximum, [[1.0, 2.0], [1.0, 3.0]]),
    ("minimum", tg.minimum, torch.minimum, [[1.0, 2.0], [1.0, 3.0]]),
    ("clip", lambda x: tg.clip(x, -1.0, 1.0), lambda x: torch.clamp(x, -1, 1), [[-1.0, 1.0, 3.0]]),
    (
        "clip's bounds",
        tg.clip,
        lambda x, low, high: torch.clamp(x, low, high),
        [[-2.0, -1.0, 0.5, 1.0, 3.0, 2.0], [-1.0], [1.0, 1.0, 1.0, 1.0, 1.0, -3.0]],
    ),
    ("amax", lambda x: tg.max(x, axis=0), lambda x: torch.amax(x, 0), [[2.0, 2.0, 1.0]]),
    ("amin", lambda x: tg.min(x, axis=0), lambda x: torch.amin(x, 0), [[2.0, 1.0, 1.0]]),
    ("std of a constant", tg.std, lambda x: torch.std(x, correction=0), [[3.0, 3.0, 3.0]]),
    *[
        (f"{name} with {k} zeros", ours, theirs, [[0.0] * k + [2.0, 0.5, -3.0]])
        for k in range(3)
        for name, ours, theirs in (
            ("prod", tg.prod, torch.prod),
            ("cumprod", lambda x: tg.cumprod(x, axis=0), lambda x: torch.cumprod(x, 0)),
        )
    ],
    ("atan2 at the origin", tg.atan2, torch.atan2, [[0.0, 1.0], [0.0, 0.0]]),
    ("hypot at the origin", tg.hypot, torch.hypot, [[0.0, 1.0], [0.0, 0.0]]),
    (
        "sort with ties",
        lambda x: tg.sort(x, axis=0),
        lambda x: torch.sort(x, stable=True)[0],
        [[2.0, 1.0, 2.0]],
    ),
    ("norm", tg.norm, torch.linalg.vector_norm, [[0.0, 0.0]]),
    ("x**0", lambda x: x**0, lambda x: x**0, [[0.0, 2.0]]),
    ("0**x", lambda x: 0.0**x, lambda x: 0.0**x, [[0.0, 2.0]]),
    ("x**3 at 0", lambda x: x**3, lambda x: x**3, [[0.0, -2.0]]),
    ("x**x", tg.pow, torch.pow, [[0.0, 1.5], [2.0, 0.0]]),
    ("sqrt at 0", tg.sqrt, torch.sqrt, [[0.0, 4.0]]),
    ("softmax of -inf", tg.softmax, lambda x: torch.softmax(x, -1), [[-np.inf, 0.0, 1.0]]),
]


@pytest.mark.parametrize(("name", "ours", "theirs", "inputs"), TIES, ids=[t[0] for t in TIES])
def test_subgradients(name, ours, theirs, inputs):
    a = [tg.tensor(np.array(x), requires_grad=True) for x in inputs]
    b = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    with np.errstate(all="ignore"):
        y, z = ours(*a), theirs(*b)
        (y * y + 2 * y).sum().backward()
        (z * z + 2 * z).sum().backward()
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)


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
def test_cross_entropy(reduction, weighted):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    t[2] = -100
    w = rng.uniform(0.5, 2, 5) if weighted else None
    X, Z = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    a = nn.cross_entropy(X, tg.tensor(t), weight=w, reduction=reduction)
    b = F.cross_entropy(
        Z, torch.tensor(t), torch.tensor(w) if weighted else None, reduction=reduction
    )
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(X.grad.numpy(), Z.grad.numpy(), rtol=1e-10, atol=1e-15)


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


def test_second_derivatives_of_a_product_with_zeros():
    for row in ([0.0, 2.0, 3.0], [0.0, 0.0, 3.0]):
        for ours, theirs in (
            (tg.prod, torch.prod),
            (lambda x: tg.cumprod(x, axis=0).sum(), lambda x: torch.cumprod(x, 0).sum()),
        ):
            a = tg.tensor(np.array(row), requires_grad=True)
            b = torch.tensor(row, dtype=torch.float64, requires_grad=True)
            first = tg.grad(ours(a), a, create_graph=True)
            (one,) = torch.autograd.grad(theirs(b), b, create_graph=True)
            (first * first).sum().backward()
            (one * one).sum().backward()
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12)


OPTIMISERS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.01, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.2}),
]


@pytest.mark.parametrize(("name", "options"), OPTIMISERS)
def test_optimisers(name, options):
    start = np.linspace(-1, 2, 7)
    w, v = tg.tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    a, b = getattr(optim, name)([w], **options), getattr(torch.optim, name)([v], **options)
    for _ in range(8):
        a.zero_grad()
        b.zero_grad()
        (w**4 + w).sum().backward()
        (v**4 + v).sum().backward()
        optim.clip_grad_value_([w], 3.0)
        torch.nn.utils.clip_grad_value_([v], 3.0)
        a.step()
        b.step()
    np.testing.assert_allclose(w.numpy(), v.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize(("name", "options"), OPTIMISERS)
def test_optimisers_where_gradients_come_and_go(name, options):
    """Each parameter is counted by itself: frozen at first, now and then, in every step."""
    used = [(1, 1, 1, 1, 1, 1), (0, 0, 0, 1, 1, 1), (1, 0, 1, 0, 1, 1), (0, 0, 0, 0, 0, 1)]
    start = np.random.default_rng(0).standard_normal((len(used), 3))
    ours = [tg.tensor(row, requires_grad=True) for row in start]
    theirs = [torch.tensor(row, requires_grad=True) for row in start]
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for t in range(6):
        for parameters, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            sum(((p**3).sum() for p, u in zip(parameters, used, strict=True) if u[t])).backward()
            optimizer.step()
        again = getattr(optim, name)(ours, **options)  # the counts are part of the state
        again.load_state_dict(a.state_dict())
        a = again
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-10)


def test_layers_without_recurrence():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4))
    for ours, theirs in (
        (nn.Linear(4, 5), torch.nn.Linear(4, 5)),
        (nn.LayerNorm(4), torch.nn.LayerNorm(4)),
    ):
        theirs, ours = theirs.double(), ours.astype("float64")
        ours.load_state_dict(theirs.state_dict())
        X, Z = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        (ours(X) ** 3).sum().backward()
        (theirs(Z) ** 3).sum().backward()
        np.testing.assert_allclose(X.grad.numpy(), Z.grad.numpy(), rtol=1e-9, atol=1e-12)
        for name, p in ours.named_parameters():
            wanted = dict(theirs.named_parameters())[name].grad.numpy()
            np.testing.assert_allclose(p.grad.numpy(), wanted, rtol=1e-9, atol=1e-12)
    table = torch.nn.Embedding(5, 3)
    own = nn.Embedding(5, 3)
    own.load_state_dict(table.state_dict())
    ids = np.array([[0, 4], [4, 4]])
    (own(tg.tensor(ids)) ** 2).sum().backward()
    (table(torch.tensor(ids)) ** 2).sum().backward()
    np.testing.assert_allclose(own.weight.grad.numpy(), table.weight.grad.numpy(), rtol=1e-6)


class Tied(torch.nn.Module):
    """A language model whose table is its read-out, and one layer used under two names."""

    def __init__(self):
        super().__init__()
        self.table, self.out = torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5)
        self.out.weight = self.table.weight
        self.first = self.second = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh())

    def forward(self, i):
        return self.out(self.second(self.first(self.table(i))))


class OwnTied(nn.Module):
    def __init__(self):
        self.table, self.out = nn.Embedding(5, 3), nn.Linear(3, 5)
        self.out.weight = self.table.weight
        self.first = self.second = nn.Sequential(nn.Linear(3, 3), tg.tanh)

    forward = Tied.forward


def test_tied_weights_go_by_all_their_names():
    theirs, ours = Tied(), OwnTied()
    state = theirs.state_dict()
    ours.load_state_dict(state)
    assert sorted(ours.state_dict()) == sorted(state)
    assert len(ours.parameters()) == len(list(theirs.parameters()))
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    i = np.array([0, 4, 4])
    a, b = ours(tg.tensor(i)), theirs(torch.tensor(i))
    np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-5)
    (a * a).sum().backward()
    (b * b).sum().backward()
    np.testing.assert_allclose(ours.table.weight.grad, theirs.table.weight.grad, rtol=1e-4)
    one = {k: v for k, v in state.items() if not k.startswith(("second", "out.weight"))}
    ours.load_state_dict(one)  # one of the names is enough
    with pytest.raises(tg.ShapeError, match=r"shared: table\.weight and out\.weight are one here"):
        ours.load_state_dict({**state, "out.weight": torch.zeros(5, 3)})
    with pytest.raises(tg.ShapeError, match=r"missing: table\.weight"):
        ours.load_state_dict({"first.0.weight": state["first.0.weight"]})
