"""Draws of class numbers: their distribution, what they refuse, and under the compiler."""

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.stats

import tinygrad_rnn as tg

P = np.array([[0.1, 0.0, 0.6, 0.3], [2.0, 1.0, 1.0, 0.0]])


def test_frequencies_with_replacement() -> None:
    n = 20_000
    drawn = tg.multinomial(tg.tensor(P), n, replacement=True).numpy()
    assert (drawn.shape, drawn.dtype) == ((2, n), np.int64)
    for row, p in zip(drawn, P / P.sum(axis=1, keepdims=True), strict=True):
        counts = np.bincount(row, minlength=4)
        assert not counts[p == 0].any()
        assert scipy.stats.chisquare(counts[p > 0], n * p[p > 0]).pvalue > 1e-3
    first, second = drawn[:, : n // 2], drawn[:, n // 2 :]
    assert abs(np.corrcoef(first[0], second[0])[0, 1]) < 0.05


def test_frequencies_without_replacement() -> None:
    """The pairs against their probabilities: p_i p_j / (1 - p_i)."""
    n, p = 20_000, np.array([0.5, 0.2, 0.3])
    drawn = tg.multinomial(tg.tensor(np.tile(p, (n, 1))), 2).numpy()
    pairs = list(itertools.permutations(range(3), 2))
    counts = [int(((drawn[:, 0] == i) & (drawn[:, 1] == j)).sum()) for i, j in pairs]
    wanted = [n * p[i] * p[j] / (1 - p[i]) for i, j in pairs]
    assert sum(counts) == n
    assert scipy.stats.chisquare(counts, wanted).pvalue > 1e-3
    all_of = tg.multinomial(tg.tensor([0.0, 3.0, 1.0, 1.0]), 3).numpy()
    assert sorted(all_of) == [1, 2, 3]


def test_shapes_generators_and_seeds() -> None:
    p = tg.ones(2, 3, 5)
    assert tg.multinomial(p, 4).shape == (2, 3, 4)
    assert p.multinomial(np.int64(1)).shape == (2, 3, 1)
    assert tg.multinomial(tg.tensor([1, 0, 0]), 2, replacement=True).tolist() == [0, 0]
    assert tg.multinomial(tg.ones(0, 5), 2).shape == (0, 2)
    a, b = (tg.multinomial(p, 4, generator=tg.Generator(1)).tolist() for _ in range(2))
    assert a == b != tg.multinomial(p, 4, generator=tg.Generator(2)).tolist()
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    assert not tg.multinomial(w, 1).requires_grad


REFUSED: list[tuple[Any, Any, str]] = [
    ([1.0, -1.0], {}, "must be finite and not below 0"),
    ([1.0, np.nan], {}, "must be finite and not below 0"),
    ([1.0, np.inf], {}, "must be finite and not below 0"),
    ([0.0, 0.0], {"replacement": True}, "1 wanted of a row with 0 weights above 0"),
    ([[1.0, 1.0], [0.0, 1.0]], {"num_samples": 2}, "2 wanted of a row with 1"),
    ([1.0, 1.0], {"num_samples": 3}, "3 of 2 classes need replacement=True"),
    ([1.0, 1.0], {"num_samples": 0}, "num_samples must be an int from 1, got 0"),
    ([1.0, 1.0], {"num_samples": 1.0}, "num_samples must be an int from 1, got 1.0"),
    (1.0, {}, r"p must be \(..., classes\), got \(\)"),
]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("p", "options", "match"), REFUSED)
def test_what_cannot_be_drawn_from(p: Any, options: dict[str, Any], match: str, jit: bool) -> None:
    call = lambda p: tg.multinomial(p, **{"num_samples": 1, **options})  # noqa: E731
    with pytest.raises(tg.ShapeError, match=match):
        (tg.jit(call) if jit else call)(tg.tensor(p))


def test_a_model_that_is_fed_what_it_drew() -> None:
    """Under tg.jit the draws are eager code's, anew in each call."""
    W = tg.tensor(np.eye(5) * 2 + 0.1)

    def sentence(start: Any) -> Any:
        words = [start]
        for _ in range(3):
            words.append(tg.multinomial(tg.softmax(tg.take(W, words[-1])), 1).squeeze(-1))
        return tg.stack(words)

    fast, start = tg.jit(sentence), tg.tensor([0, 3, 4])
    runs = {}
    for name, call in (("eager", sentence), ("jit", fast)):
        tg.manual_seed(5)
        runs[name] = [call(start).tolist() for _ in range(3)]
    assert runs["jit"] == runs["eager"]
    assert runs["jit"][0] != runs["jit"][1]


def test_masked_fill() -> None:
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    mask = tg.tensor([True, False])
    y = x.masked_fill(mask, -np.inf)
    assert y.tolist() == [[-np.inf, 2.0], [-np.inf, 4.0]]
    tg.masked_fill(x, mask, 9).sum().backward()
    assert x.grad.tolist() == [[0, 1], [0, 1]]
    assert tg.masked_fill(tg.tensor([1, 2]), mask, 7).tolist() == [7, 2]
    for bad in (2.5, np.float64(2.5), tg.tensor(2.5)):
        with pytest.raises(tg.DTypeError, match="masked_fill: x is int64, the value a float"):
            tg.masked_fill(tg.tensor([1, 2]), mask, bad)
    with pytest.raises(tg.DTypeError, match="condition must be boolean"):
        x.masked_fill(tg.ones(2), 0.0)
