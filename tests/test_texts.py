"""Vocabularies, padded batches and buckets, against loops written out."""

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import train
from tinygrad_rnn.errors import DataError

FOUR = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("abcd", max_size=6), min_size=1, max_size=6), st.integers(1, 3))
def test_a_vocabulary_holds_the_most_frequent_first(texts: list[str], least: int) -> None:
    n = Counter("".join(texts))
    expected = [t for t in sorted(n, key=lambda t: (-n[t], t)) if n[t] >= least]
    if not expected:
        with pytest.raises(DataError, match="none comes"):
            train.Vocabulary.build(texts, min_count=least, **FOUR)
        return
    v = train.Vocabulary.build(texts, min_count=least, max_size=3, **FOUR)
    assert v.tokens == [*FOUR.values(), *expected[:3]]
    assert (v.pad, v.unk, v.bos, v.eos) == (0, 1, 2, 3)
    for text in texts:
        kept = [t if t in expected[:3] else "<unk>" for t in text]
        numbers = v.encode(text)
        assert (numbers.dtype, v.decode(numbers)) == (np.int64, kept)
        assert v.decode([v.bos, *numbers, v.eos, 4, v.pad]) == kept
        assert v.decode(tg.tensor([0, *numbers, 0])) == kept


def test_a_vocabulary_of_anything_that_hashes() -> None:
    v = train.Vocabulary([("a", 1), 7, "x"])
    assert (v.pad, v.unk, v.bos, v.eos, len(v)) == (None, None, None, None, 3)
    assert v.decode(v.encode(["x", 7, ("a", 1)])) == ["x", 7, ("a", 1)]
    assert v == train.Vocabulary([("a", 1), 7, "x"]) != train.Vocabulary([("a", 1), 7], pad="x")
    assert (7 in v, 8 in v, v.decode([]), v.decode(tg.tensor(v.encode([])))) == (
        True,
        False,
        [],
        [],
    )
    assert train.Vocabulary.build([[1, "a"], ["a"]], unk=0).tokens == [0, "a", 1]
    assert repr(train.Vocabulary("ab", eos=".")) == "Vocabulary(3 tokens, eos='.')"


BAD = {
    "twice": (lambda: train.Vocabulary("aba"), "the token 'a' comes twice$"),
    "special": (lambda: train.Vocabulary.build(["a", "b"], pad="a"), "twice, once as pad="),
    "two specials": (lambda: train.Vocabulary("a", pad="_", unk="_"), "twice, once as pad="),
    "nothing": (lambda: train.Vocabulary.build([""]), "of 0 different tokens"),
    "unknown": (lambda: train.Vocabulary("ab").encode("abc"), "token 'c' is not known; .* unk="),
    "too large": (lambda: train.Vocabulary("ab").decode([0, 2]), "from 0 to 1, got .0, 2."),
    "negative": (lambda: train.Vocabulary("ab").decode([-1]), "from 0 to 1"),
    "floats": (lambda: train.Vocabulary("ab").decode([0.0]), "whole numbers"),
    "no numbers": (lambda: train.Vocabulary("ab").decode(None), "whole numbers .* got None"),
    "a batch": (lambda: train.Vocabulary("ab").decode(np.zeros((2, 2), int)), "whole numbers"),
    "no sequences": (lambda: train.padded([]), "no sequences"),
    "an empty one": (lambda: train.padded([[1], []]), "sequence 1 has no steps"),
    "a number": (lambda: train.padded([[1], 2]), r"sequence 1 has no steps .* \(\)"),
    "dtypes": (lambda: train.padded([[1], [1.0]]), "sequence 1 has .* float"),
    "features": (lambda: train.padded([np.ones((2, 3)), np.ones((2, 4))]), r"shape \(4,\)"),
    "words": (lambda: train.padded([[1], ["a"]]), "sequence 1 makes no array .* train.Vocabulary"),
    "half of 1": (lambda: train.padded([[1], [2, 3]], 0.5), "one number that int64 holds, .* got 0.5"),
    "NaN": (lambda: train.padded([[1], [2, 3]], np.nan), "one number that int64 holds, .* got nan"),
    "300": (lambda: train.padded([np.zeros(1, "u1")], 300), "one number that uint8 holds"),
    "None": (lambda: train.padded([[1]], None), "one number that int64 holds"),
    "sequences": (lambda: train.bucketed([[1, 2], [1]], 2, tg.Generator()), "lengths must be"),
    "a seed": (lambda: train.bucketed([1, 2], 2, 0), "generator must be a tg.Generator, got 0"),
    "no lengths": (lambda: list(train.bucketed([], 2, tg.Generator())), "lengths must be"),
    "length 0": (lambda: train.bucketed([1, 0], 2, tg.Generator()), "lengths must be"),
    "odd lengths": (lambda: train.bucketed([1.5], 2, tg.Generator()), "lengths must be"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(DataError, match=message):
        call()


def test_what_is_no_sequence_is_refused() -> None:
    with pytest.raises(TypeError, match="a text goes in a list"):
        train.Vocabulary.build("abc")
    with pytest.raises(TypeError, match="expected sequences of hashable tokens"):
        train.Vocabulary.build([1, 2])
    with pytest.raises(TypeError, match="Vocabulary: expected hashable tokens"):
        train.Vocabulary([["a"]])
    with pytest.raises(TypeError, match="expected a sequence of tokens, got NoneType"):
        train.Vocabulary("abc").encode(None)
    with pytest.raises(TypeError, match="one sequence is encoded at a time"):
        train.Vocabulary("abc").encode([["a"]])
    with pytest.raises(ValueError, match="multiple must be"):
        train.padded([[1]], multiple=0)
    for name in ("size", "pool"):
        with pytest.raises(ValueError, match=f"{name} must be"):
            train.bucketed([1, 2], **{"size": 2, "generator": tg.Generator(), name: 0})


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.sampled_from(["f", "d", "i8", "?"]))
def test_batches_are_padded(lengths: list[int], dtype: str) -> None:
    rng = np.random.default_rng(len(lengths))
    sequences = [rng.integers(0, 2, (n, 2)).astype(dtype) for n in lengths]
    batch, found = train.padded(sequences, value=1)
    assert (batch.dtype, batch.shape) == (dtype, (max(lengths), len(lengths), 2))
    assert found.tolist() == lengths
    for n, s in enumerate(sequences):
        for t in range(len(batch)):
            assert batch[t, n].tolist() == (s[t].tolist() if t < len(s) else [1, 1])
    again, _ = train.padded([tg.tensor(s) for s in sequences], 1, multiple=3)
    assert len(again) in {k for k in range(len(batch), len(batch) + 3) if k % 3 == 0}
    np.testing.assert_array_equal(again[: len(batch)], batch)
    assert (again[len(batch) :] == 1).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 7), st.integers(1, 9))
def test_buckets_hold_each_row_once(lengths: list[int], size: int, pool: int) -> None:
    g = tg.Generator(3)
    batches = [b.tolist() for b in train.bucketed(np.array(lengths), size, g, pool)]
    assert sorted(n for b in batches for n in b) == list(range(len(lengths)))
    assert sorted(map(len, batches))[1:] == [size] * (len(batches) - 1)
    again = [b.tolist() for b in train.bucketed(lengths, size, tg.Generator(3), pool)]
    assert again == batches
    if pool * size >= len(lengths):  # one pool: the batches' ranges of lengths do not overlap
        ranges = sorted((min(v), max(v)) for v in ([lengths[n] for n in b] for b in batches))
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ranges))


def test_padding_changes_no_sequence() -> None:
    """Encoded, padded and run by lengths, sentences end in the states they have alone."""
    tg.manual_seed(0)
    texts = ["to be", "or", "not to be"]
    v: Any = train.Vocabulary.build(texts, pad="_")
    table, net = tg.nn.Embedding(len(v), 4), tg.nn.GRU(4, 5, bidirectional=True)
    batch, lengths = train.padded([v.encode(t) for t in texts], v.pad)
    _, h = net(table(batch), lengths=lengths)
    (h * h).sum().backward()
    shared, net.weight_hh_l0.grad = net.weight_hh_l0.grad.numpy(), None
    total = 0.0
    for n, t in enumerate(texts):
        _, alone = net(table(v.encode(t)[:, None]))
        np.testing.assert_allclose(h.numpy()[:, n], alone.numpy()[:, 0], atol=1e-6)
        total = total + (alone * alone).sum()
    total.backward()
    np.testing.assert_allclose(shared, net.weight_hh_l0.grad.numpy(), rtol=1e-4, atol=1e-6)
