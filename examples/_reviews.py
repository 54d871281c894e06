"""Sentences of film reviews with ratings by people, and the lexicon that they were gathered for.

Hutto and Gilbert, VADER, ICWSM 2014: 10,605 sentences from rottentomatoes.com, each rated from
-4 to 4 by twenty people or more. They come in the source distribution of the package
vaderSentiment 3.3.2 (MIT), which pip fetches into a cache; nothing of it is part of this one.
"""

import hashlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tinygrad_rnn.errors import DataError

NAME = "vaderSentiment-3.3.2"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = f"{NAME}/additional_resources/hutto_ICWSM_2014.tar.gz"
RATED = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
CODE = ("vaderSentiment.py", "vader_lexicon.txt", "emoji_utf8_lexicon.txt")


def cache() -> Path:
    """The folder that the distribution is kept in."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinygrad_rnn"


def fetched(folder: Path) -> Path:
    """The distribution's file, fetched by pip where it is not there yet.

    Raises DataError where it cannot be fetched, or is not the one we know.
    """
    path = folder / f"{NAME}.tar.gz"
    if not path.exists():
        print(f"fetching {NAME} into {folder}, once")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            wanted = Path(temporary) / "wanted.txt"
            wanted.write_text(f"{NAME.replace('-', '==')} --hash=sha256:{SHA256}\n")
            command = [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                "--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", wanted,
                "-d", temporary,
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
                raise DataError(
                    f"{NAME} cannot be fetched ({reason}); connect to the network once, put its "
                    f"source distribution at {path}, or give a file of your own with --data"
                )
            (Path(temporary) / path.name).replace(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise DataError(f"{path} is not {NAME} as published (its SHA-256 differs); remove it")
    return path


def rated(folder: Path) -> tuple[list[str], list[float]]:
    """The sentences, and the mean of the ratings of each."""
    with tarfile.open(fetched(folder)) as outer:
        inner = io.BytesIO(outer.extractfile(INNER).read())  # type: ignore[union-attr]
    with tarfile.open(fileobj=inner) as archive:
        text = archive.extractfile(RATED).read().decode()  # type: ignore[union-attr]
    rows = [line.split("\t") for line in text.splitlines()]
    return [row[2] for row in rows], [float(row[1]) for row in rows]


def lexicon(folder: Path) -> Any:
    """The lexicon's own judge of a sentence, -1 to 1: its code, from the cache."""
    home = folder / NAME
    with tarfile.open(fetched(folder)) as archive:
        for name in CODE:
            home.mkdir(exist_ok=True)
            member = archive.extractfile(f"{NAME}/vaderSentiment/{name}")
            (home / name).write_bytes(member.read())  # type: ignore[union-attr]
    spec = importlib.util.spec_from_file_location("vaderSentiment", home / CODE[0])
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    analyzer = module.SentimentIntensityAnalyzer()
    return lambda text: analyzer.polarity_scores(text)["compound"]


def own(path: Path) -> tuple[list[str], list[float]]:
    """Texts and ratings of a person's own CSV with columns `text` and `rating`."""
    try:
        import pandas
    except ImportError:
        raise DataError("--data needs pandas: pip install 'tinygrad_rnn[forecast]'") from None
    try:
        frame = pandas.read_csv(path, dtype={"text": str}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"--data {path}: cannot be read ({error})") from None
    for name in ("text", "rating"):
        if name not in frame:
            raise DataError(
                f"--data {path}: no column {name!r} among {', '.join(map(str, frame))}; "
                "needs text, and rating: a number above 0 for praise"
            )
    rating = pandas.to_numeric(frame["rating"], errors="coerce")
    texts = list(frame["text"])
    bad = [k for k, t in enumerate(texts) if not words(t) or not abs(rating[k]) < float("inf")]
    if bad:
        raise DataError(
            f"--data {path}: row {bad[0] + 1} has no words or no finite rating "
            f"({texts[bad[0]]!r:.60}, {str(frame['rating'][bad[0]])!r})"
        )
    if len(frame) < 50 or len(set(rating > 0)) < 2:
        raise DataError(
            f"--data {path}: {len(frame)} rows, {int((rating > 0).sum())} of them above 0; needs "
            "at least 50, of both kinds"
        )
    return texts, [float(r) for r in rating]


def words(text: str) -> list[str]:
    """Words in small letters, and each mark by itself."""
    plain = text.lower().replace("\u2019", "'").replace("''", '"')
    return re.findall(r"\w+(?:'\w+)*|[^\w\s]", plain)
