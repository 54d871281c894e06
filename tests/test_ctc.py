"""CTC against the sum over every path, written out; decoding against every labelling."""

import itertools

import numpy as np
import pytest
import scipy.special

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.testing import gradcheck


def collapsed(path, blank):
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def labellings(x, blank):
    """The probability of every labelling of log probabilities (T, C), by every path."""
    found = {}
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        key = collapsed(path, blank)
        found[key] = found.get(key, 0.0) + np.exp(sum(x[t, c] for t, c in enumerate(path)))
    return found


def inputs(seed, T=5, N=2, C=3):
    x = 2 * np.random.default_rng(seed).standard_normal((T, N, C))
    return scipy.special.log_softmax(x, -1)


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_loss_and_gradient_are_those_of_the_sum_over_all_paths(blank):
    x, C = inputs(blank), 3
    a, b = (k for k in range(C) if k != blank)
    for labels in ((), (a,), (a, b), (a, a), (b, a, b), (a, a, a), (a, b, b, a)):
        row = np.array([[*labels, 7, 7][:5]] * 2)  # beyond its length anything may stand
        lengths, sizes = [5, 4], [len(labels)] * 2
        pairs = enumerate(lengths)
        p = [labellings(x[:T, n], blank).get(labels, 1.0) for n, T in pairs]  # 1: impossible
        leaf = tg.tensor(x, requires_grad=True)
        options = {"blank": blank, "reduction": "none", "zero_infinity": True}
        loss = nn.ctc_loss(leaf, tg.tensor(row), lengths, sizes, **options)
        np.testing.assert_allclose(loss.numpy(), -np.log(p), rtol=1e-12)
        # whatever x is, also where a step's probabilities do not sum to 1
        free = tg.tensor(x + 0.3 * np.arange(C), requires_grad=True)
        rest = row, lengths, sizes
        assert gradcheck(lambda z, r=rest, o=options: nn.ctc_loss(z, *r, **o), free)


def test_reductions_single_sequences_and_labels_in_one_row():
    x, labels, sizes = inputs(3), np.array([[1, 2, 2], [2, 0, 0]]), [3, 1]
    each = nn.ctc_loss(x, labels, [5, 5], sizes, reduction="none").numpy()
    np.testing.assert_allclose(nn.ctc_loss(x, labels, [5, 5], sizes).item(), np.mean(each / [3, 1]))
    total = nn.ctc_loss(x, np.array([1, 2, 2, 2]), [5, 5], sizes, reduction="sum")
    np.testing.assert_allclose(total.item(), each.sum())
    alone = nn.ctc_loss(x[:, 0], labels[0], 5, 3, reduction="none")
    assert alone.shape == ()
    np.testing.assert_allclose(alone.item(), each[0])
    empty = nn.ctc_loss(x, np.zeros((2, 0), int), [5, 0], [0, 0], reduction="none").numpy()
    np.testing.assert_allclose(empty, [-x[:, 0, 0].sum(), 0])


def test_long_sequences_in_float32_keep_their_digits():
    x = inputs(4, T=400, C=4)
    labels = 1 + np.random.default_rng(5).integers(0, 3, (2, 30))
    found = []
    for dtype in (np.float64, np.float32):
        leaf = tg.tensor(x.astype(dtype), requires_grad=True)
        loss = nn.ctc_loss(leaf, labels, [400, 390], [30, 28], reduction="sum")
        loss.backward()
        assert loss.dtype == leaf.grad.dtype == dtype
        found.append((loss.item(), leaf.grad.numpy()))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-6)
    np.testing.assert_allclose(found[1][1], found[0][1], atol=2e-5)
    shares = -found[0][1].sum(-1)  # an alignment is somewhere at every step
    np.testing.assert_allclose(shares[:390], 1, rtol=1e-10)
    np.testing.assert_allclose(shares[390:, 1], 0)


def test_impossible_labels_lose_infinity_unless_asked_and_nan_stays():
    x = inputs(6)
    x[2, 1, 0] = np.nan
    found = {}
    for zero in (False, True):
        leaf = tg.tensor(x[:3], requires_grad=True)
        options = {"reduction": "none", "zero_infinity": zero}
        loss = nn.ctc_loss(leaf, np.array([[1, 1, 2], [1, 2, 0]]), [3, 3], [3, 2], **options)
        loss.backward(np.ones(2))
        found[zero] = loss.numpy(), leaf.grad.numpy()
    assert found[False][0][0] == np.inf
    assert np.isnan(found[False][1][:, 0]).all()
    assert found[True][0][0] == 0
    assert not found[True][1][:, 0].any()
    for loss, gradient in found.values():
        assert np.isnan(loss[1])
        assert np.isnan(gradient[:, 1, 0]).any()
    x = np.log(np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), where=[[[False, True]], [[True, False]]],
               out=np.full((2, 1, 2), -np.inf))  # fmt: skip
    leaf = tg.tensor(x, requires_grad=True)
    loss = nn.ctc_loss(leaf, np.array([[1]]), [2], [1])
    loss.backward()
    assert loss.item() == 0
    assert leaf.grad.numpy().tolist() == [[[0, -1]], [[-1, 0]]]  # and not NaN, though x is -inf


def network(targets, sizes):
    """A shared weight, log probabilities of every step, and the loss."""
    rng = np.random.default_rng(7)
    w = nn.Parameter(rng.standard_normal((4, 4)) / 2)

    def loss(x, lengths, w=w):
        h, steps = x[0], []
        for x_t in x:
            h = tg.tanh(h @ w + x_t)
            steps.append(h)
        return nn.ctc_loss(tg.log_softmax(tg.stack(steps)), targets, lengths, sizes)

    return w, loss, tg.tensor(rng.standard_normal((6, 3, 4)))


def test_jitted_and_eager_agree_on_a_shared_weight():
    w, loss, x = network(tg.tensor([[1, 2, 2], [3, 1, 0], [0, 0, 0]]), tg.tensor([3, 2, 0]))
    fast, found = tg.jit(loss), []
    for lengths in ([6, 5, 4], [4, 6, 6]):
        for fn in (loss, fast):
            w.grad = None
            y = fn(x, tg.tensor(lengths))
            y.backward()
            found.append((y.item(), w.grad.numpy()))
        for a, b in zip(found[-2], found[-1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)
    with pytest.raises(tg.ShapeError, match="input_lengths must be from 0 to 6"):
        fast(x, tg.tensor([6, 7, 4]))
    assert gradcheck(lambda v: loss(x, tg.tensor([6, 5, 4]), v), w)


def test_in_a_loop_of_losses_under_jit():
    """Where the rule runs on symbols, as ops of a step."""
    x, labels = tg.tensor(inputs(8), requires_grad=True), tg.tensor([[1, 2], [2, 2]])

    def total(x):
        s = 0.0
        for k in range(5):
            s = s + nn.ctc_loss(x * (1.0 + k), labels, [5, 4], [2, 1])
        return s

    results = []
    for fn in (total, tg.jit(total)):
        x.grad = None
        y = fn(x)
        y.backward()
        results.append((y.item(), x.grad.numpy()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-9)


def test_second_derivatives_are_refused():
    x = tg.tensor(inputs(9), requires_grad=True)
    loss = nn.ctc_loss(x, np.array([[1], [2]]), [5, 5], [1, 1])
    (g,) = tg.grad(loss, [x], create_graph=True)
    assert np.isfinite(g.numpy()).all()
    with pytest.raises(tg.GraphError, match="ctc_loss: has no second derivative"):
        g.sum().backward()


I, F = np.array([[1, 2], [2, 1]]), [2, 2]
BAD = [
    (((5, 2, 3, 1), I, [5, 5], F), r"must be \(T, N, classes\)"),
    (((5, 2, 3), I, [5], F), r"input_lengths must be \(2,\)"),
    (((5, 2, 3), I, [5, 5], [2, 2, 2]), r"target_lengths must be \(2,\)"),
    (((5, 2, 3), I[:1], [5, 5], F), r"targets must be \(2, S\)"),
    (((5, 2, 3), I, [5, 6], F), "input_lengths must be from 0 to 5, .* got 6"),
    (((5, 2, 3), I, [-1, 5], F), "input_lengths must be from 0 to 5, .* got -1"),
    (((5, 2, 3), I, [5, 5], [2, 3]), "target_lengths must be from 0 to 2"),
    (((5, 2, 3), I + 1, [5, 5], F), "index 3 is out of range for classes of 3"),
    (((5, 2, 3), -I, [5, 5], F), "index -2 is out of range"),
    (((5, 2, 3), I - 1, [5, 5], F), "the targets hold 0, the blank"),
    (((5, 2, 3), I[0], [5, 5], F), "add up to 4, the targets are 2"),
    (((5, 2, 3), I, [5, 5], F, 3), "blank 3 is none of 3 classes"),
    (((5, 2, 3), I, [5, 5], F, -1), "blank -1 is none"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_what_does_not_fit_is_refused(arguments, message):
    shape, *rest = arguments
    with pytest.raises(tg.ShapeError, match=message):
        nn.ctc_loss(tg.zeros(*shape), *rest)


def test_other_refusals():
    x = tg.zeros(5, 2, 3)
    with pytest.raises(tg.DTypeError, match="targets must be integers, got float"):
        nn.ctc_loss(x, tg.zeros(2, 2), [5, 5], F)
    with pytest.raises(tg.ShapeError, match=r"blank 1\.5 is none of 3"):
        nn.ctc_loss(x, I, [5, 5], F, blank=1.5)
    with pytest.raises(ValueError, match="reduction must be"):
        nn.ctc_loss(x, I, [5, 5], F, reduction="batchmean")
    for options, message in (
        ({"blank": 3}, "blank 3 is none"),
        ({"blank": None}, "blank None is none"),
        ({"beam": 0}, "beam must be a whole number from 1"),
        ({"beam": 1.5}, "beam must be a whole number from 1"),
        ({"input_lengths": [5]}, r"input_lengths must be \(2,\)"),
        ({"input_lengths": [5, 6]}, "whole numbers from 0 to 5"),
        ({"input_lengths": [5.0, 5.0]}, "whole numbers from 0 to 5"),
    ):
        with pytest.raises(ValueError, match=message):
            nn.ctc_decode(x, **options)
    with pytest.raises(tg.ShapeError, match=r"must be \(T, N, classes\)"):
        nn.ctc_decode(x[0])
    with pytest.raises(tg.ShapeError, match="there is NaN among"):
        nn.ctc_decode(np.where(np.arange(3) == 1, np.nan, np.zeros((5, 2, 3))))


@pytest.mark.parametrize("seed", range(12))
def test_decoding_finds_the_best_path_and_the_best_labels(seed):
    blank, lengths = seed % 3, [5, seed % 5]
    x = inputs(seed) / (1 + seed % 2)  # flat ones have labels that no single path shows
    greedy = nn.ctc_decode(x, lengths, blank)
    searched = nn.ctc_decode(tg.tensor(x), lengths, blank, beam=300)  # as good as all
    for n, T in enumerate(lengths):
        path = x[:T, n].argmax(1)
        assert tuple(greedy[n]) == collapsed(path, blank)
        found = labellings(x[:T, n], blank)
        assert found[tuple(searched[n])] == pytest.approx(max(found.values()), rel=1e-12)
        assert searched[n].dtype == greedy[n].dtype == np.int64
