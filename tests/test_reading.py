"""The examples on texts: n-grams against sums written out, files that are refused, small runs."""

import hashlib
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import train

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import _ngram
import _reviews
import _texts
import char_lm
import sentiment

TEXT = "".join(f'a {"big" if k % 3 else "red"} cat ({k}) "sat"\non a mat; ' for k in range(90))


def test_ngrams_add_up_to_one() -> None:
    alphabet = sorted(set(TEXT))
    model = _ngram.KneserNey(TEXT[:600], 4, len(alphabet))
    for learning in (False, True):  # as trained, and with more counted
        for context in ("", "a", "zz", " ca", "big", "xyz", "a c"):
            p = np.array([model.probabilities(context, w) for w in alphabet])
            assert p.shape[1] == len(context) + 1
            np.testing.assert_allclose(p.sum(0), 1, rtol=1e-12)
            assert (p > 0).all()
        model.bits(TEXT[600:900], TEXT[:600], learning)
    assert learning


def test_an_ngram_is_the_formulas() -> None:
    """Two characters by equations 21 to 26, written out on a text with counts of all sizes."""
    rng = np.random.default_rng(1)
    text = "".join(rng.choice(list("abcdef"), 90, p=[0.35, 0.25, 0.15, 0.1, 0.1, 0.05]))
    seen = Counter(text[k : k + 2] for k in range(89))
    followed = Counter(pair[1] for pair in seen)  # how many different characters before w

    def discounts(counts: Any) -> list[float]:
        n = [sum(c == k for c in counts) for k in range(5)]
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
        found = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else k / 2 for k in (1, 2, 3)]
        return [0.0, *(min(max(d, 0.1), k) for k, d in enumerate(found, 1))]

    d2, d1 = discounts(seen.values()), discounts(followed.values())
    model = _ngram.KneserNey(text, 2, 6)
    for w in "abcdef":
        taken = sum(d1[min(c, 3)] for c in followed.values())
        lower = (followed[w] - d1[min(followed[w], 3)] + taken / 6) / sum(followed.values())
        for a in "abcd":
            of_a = {pair: c for pair, c in seen.items() if pair[0] == a}
            taken = sum(d2[min(c, 3)] for c in of_a.values())
            c = seen[a + w]
            expected = (c - d2[min(c, 3)] + taken * lower) / sum(of_a.values())
            assert model.probabilities(a, w)[1] == pytest.approx(expected, rel=1e-12)


def test_an_ngram_that_learns_on_has_the_counts_of_the_whole() -> None:
    model, whole = (_ngram.KneserNey(t, 3, 60) for t in (TEXT[:300], TEXT[:900]))
    model.bits(TEXT[300:900], TEXT[:300], learning=True)
    for mine, theirs in zip(model.seen, whole.seen, strict=True):
        assert +mine.counts == +theirs.counts
    for mine, theirs in zip(model.preceded[:-1], whole.preceded[:-1], strict=True):
        assert +mine.counts == +theirs.counts
        assert {c: v[0] for c, v in mine.contexts.items()} == {
            c: v[0] for c, v in theirs.contexts.items()
        }


def test_bits_of_a_text_are_its_code_length() -> None:
    model = _ngram.KneserNey(TEXT[:600], 3, 60)
    for n, bits in enumerate(model.bits(TEXT[600:650], TEXT[:600])):
        total = 0.0
        for k in range(600, 650):
            total -= math.log2(model.probabilities(TEXT[k - 2 : k], TEXT[k])[n])
        assert bits == pytest.approx(total / 50)
    assert 0 < _ngram.lzma_bits(TEXT[900:], TEXT[:900]) < 1  # it repeats itself


def test_char_lm_learns_writes_and_resumes_to_the_same_bits(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mine.txt").write_text(TEXT)
    arguments = ["--text", str(tmp_path / "mine.txt"), "--quick", "--eager", "--hidden", "8"]
    arguments += ["--temperature", "1", "--length", "20", "--out", str(tmp_path / "out")]
    result = char_lm.main(arguments)
    lines = capsys.readouterr().out
    for row in ("all characters alike", "-gram, learning on", "lzma", "GRU, learning on"):
        assert row in lines
    assert set(result["units"]) == set(_texts.FEATURES)
    for name in ("char_lm.png", "units.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5000
    again = char_lm.main([*arguments, "--resume"])
    assert (again["ours"], again["history"]) == (result["ours"], result["history"])
    (tmp_path / "mine.txt").write_text(TEXT + "more")
    with pytest.raises(tg.CheckpointError, match="digest"):
        char_lm.main([*arguments, "--resume"])
    (tmp_path / "mine.txt").write_text("short")
    with pytest.raises(tg.DataError, match="5 characters; needs at least 2000"):
        char_lm.main(arguments)


def test_a_text_without_lines_is_written_and_drawn(tmp_path: Path) -> None:
    args, text = char_lm.arguments(["--quick", "--hidden", "8"]), TEXT[:900].replace("\n", "\t")
    words = train.Vocabulary.build([text])
    model = char_lm.CharLM(len(words), args, tg.Generator(0))
    with tg.disable_jit():
        assert len(char_lm.sample(model, words, 20, 1.0, 0)) == 20
        assert set(_texts.units(model, words, text, tmp_path)) == set(_texts.FEATURES)
    assert (tmp_path / "units.png").stat().st_size > 5000


def test_bits_are_the_mean_loss_and_learning_is_forgotten() -> None:
    args = char_lm.arguments(["--quick", "--hidden", "8"])
    words = train.Vocabulary.build([TEXT])
    ids, model = words.encode(TEXT[:101]), char_lm.CharLM(len(words), args, tg.Generator(0))

    def loss_of(part: Any, state: Any) -> tuple[Any, Any]:
        logits, state = model(part[0], state)
        return tg.nn.cross_entropy(logits, part[1]), state

    model.eval()
    logits, _ = model(tg.tensor(ids[:-1, None]), None)
    p = tg.softmax(logits).numpy()[np.arange(100), 0, ids[1:]]
    expected = -np.log2(p).mean()
    assert char_lm.bits(model, loss_of, ids) == pytest.approx(expected, rel=1e-5)
    assert char_lm.bits(model, loss_of, ids, lr=0.5) < 0.98 * expected
    assert char_lm.bits(model, loss_of, ids) == pytest.approx(expected, rel=1e-5)


def test_features_of_characters() -> None:
    found = _texts.features('a "bc"(d)\nxy')
    assert found["inside quotes"].tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert found["inside brackets"].tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert found["position in the word"].tolist() == [1, 0, 0, 1, 2, 0, 0, 1, 0, 0, 1, 2]
    assert found["position in the line"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]


def reviews(path: Path, n: int = 160) -> list[str]:
    """Sentences that one word decides."""
    rng = np.random.default_rng(0)
    rows = ["text,rating"]
    for k in range(n):
        around = " ".join(rng.choice(["the", "film", "and", "actors", "story"], 4))
        rows.append(f'"{around} {("bad", "good")[k % 2]} {around[:4]}{k // 4}",{2 * (k % 2) - 1}')
    path.write_text("\n".join(rows))
    return rows


def test_sentiment_learns_the_word_that_decides_and_resumes(tmp_path: Path, capsys: Any) -> None:
    reviews(tmp_path / "mine.csv")
    arguments = ["--data", str(tmp_path / "mine.csv"), "--eager", "--seeds", "1", "--epochs", "3"]
    arguments += ["--lr", "0.02", "--hidden", "8", "--batch", "16", "--out", str(tmp_path / "out")]
    result = sentiment.main(arguments)
    assert "LSTM, both ways" in capsys.readouterr().out
    assert (
        result["ours"][0]["accuracy"]
        == result["judged"]["bag of words, ridge regression"]["accuracy"]
        == 1
    )
    effect = result["effect"]
    assert effect["as told"] == 1
    assert effect["by the first"] > 5 * effect["by another"]
    for name in ("sentiment.png", "sentences.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5000
    again = sentiment.main([*arguments, "--resume"])
    assert (again["ours"], again["history"]) == (result["ours"], result["history"])


def test_texts_alike_stay_on_one_side() -> None:
    texts = [[f"w{k // 3}", "."] if k % 2 else [f"w{k // 3}"] for k in range(300)]
    rows = sentiment.split(texts)
    sides = [{texts[row][0] for row in part} for part in rows]
    assert sorted(np.concatenate(rows)) == list(range(300))
    assert not (sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2])
    assert len(rows.test) == 60


BAD = {
    "no column": ("text,stars\na b,1\n", "no column 'rating' among text, stars"),
    "no number": ("text,rating\na b,1\nc,good\n", "row 2 has no words or no finite rating"),
    "no words": ("text,rating\n,1\n", "row 1 has no words"),
    "infinite": ("text,rating\na b,inf\n", "row 1 has no words or no finite"),
    "one kind": ("text,rating\n" + "a b,1\n" * 60, "60 rows, 60 of them above 0; needs"),
    "few": ("text,rating\na,1\nb,-1\n", "2 rows, 1 of them"),
    "empty": ("", "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_files_that_are_refused(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(tg.DataError, match=message):
        sentiment.main(["--data", str(tmp_path / "mine.csv"), "--out", str(tmp_path)])


def test_without_a_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: Any) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution\n")
    monkeypatch.setattr(_reviews.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(tg.DataError, match=r"cannot be fetched .*No matching.*--data"):
        _reviews.rated(tmp_path / "cache")
    (tmp_path / f"{_reviews.NAME}.tar.gz").write_bytes(b"something else")
    with pytest.raises(tg.DataError, match=r"is not .* as published"):
        _reviews.rated(tmp_path)
    assert len(_reviews.SHA256) == len(hashlib.sha256().hexdigest())


def test_words_are_small_and_marks_apart() -> None:
    assert _reviews.words("It\u2019s ''GREAT'', isn't it?") == [
        "it's", '"', "great", '"', ",", "isn't", "it", "?",
    ]  # fmt: skip
