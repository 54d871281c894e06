"""How much was a film liked? A bidirectional LSTM reads sentences, and shows by which words.

The net rates a sentence as people did (-4 to 4, the mean of twenty), trained on the ratings;
above 0 is praise. Beside it, on the same split: the lexicon VADER's own score (Hutto and
Gilbert, ICWSM 2014) and bags of words and pairs. A sentence's words are coloured by gradient
times embedding: what moved the verdict, and which way.

    python examples/sentiment.py [--data FILE.csv] [--seeds N] [--resume] [--draw] [--out FOLDER]

The sentences are fetched by pip, once (`_reviews.py`). A CSV of yours needs columns text and
rating.
"""

import argparse
import hashlib
import time
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import at_least, descend, diagrams, go, options, shares, table, writable, written
from _reviews import cache, lexicon, own, rated, words
from _texts import draw_sentences, draw_training, moved, spread

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train

SPECIALS = {"pad": "<pad>", "unk": "<unk>"}
PATIENCE = 4  # epochs without progress before stopping


class Split(NamedTuple):
    """Rows for training, validation and test."""

    train: Any
    validation: Any
    test: Any


class Rater(nn.Module):
    """Embedding, bidirectional LSTM, largest and mean state of the true steps, one number."""

    def __init__(self, vocabulary: train.Vocabulary, args: argparse.Namespace, g: tg.Generator):
        size, H = args.embedding, args.hidden
        self.table = nn.Embedding(len(vocabulary), size, generator=g)
        nn.init.normal_(self.table.weight, std=0.1, generator=g)
        self.net = nn.LSTM(size, H, bidirectional=True, generator=g)
        self.out = nn.Linear(4 * H, 1, generator=g)
        self.drop = nn.Dropout(args.dropout, g)

    def forward(self, x: Any, lengths: Any) -> Any:
        return self.rate(self.table(x), lengths)

    def rate(self, embedded: Any, lengths: Any) -> Any:
        """Ratings (N,) of embedded words (T, N, E)."""
        states, _ = self.net(self.drop(embedded), lengths=lengths)
        inside = tg.arange(len(embedded))[:, None, None] < lengths[:, None]
        most = tg.where(inside, states, -1.0).max(axis=0)  # a state is in (-1, 1)
        mean = states.sum(axis=0) / lengths.astype("float32")[:, None]
        return self.out(self.drop(tg.concat([most, mean], axis=1)))[:, 0]


class Judge:
    """A trained net as a function of rows, in ratings' units; `scale` is their spread."""

    def __init__(self, model: Rater, ids: list[Any], scale: float):
        self.model, self.ids, self.scale = model, ids, scale
        self._rate = tg.jit(model.forward)

    def __call__(self, rows: Any) -> Any:
        """Ratings (N,) of rows."""
        self.model.eval()
        found = np.zeros(len(rows))
        order = np.argsort([len(self.ids[row]) for row in rows], kind="stable")
        with tg.no_grad():
            for k in range(0, len(rows), 256):
                part = order[k : k + 256]
                batch = train.padded([self.ids[rows[j]] for j in part], multiple=16)
                found[part] = self._rate(*map(tg.tensor, batch)).numpy()
        return found * self.scale

    def of(self, ids: list[Any]) -> "Judge":
        """The same net as a judge of other texts."""
        return Judge(self.model, ids, self.scale)

    def gradient(self, row: int) -> Any:
        """Gradient times embedding of each word (T,): how far it moves the rating."""
        self.model.eval()
        with tg.disable_jit():
            embedded = self.model.table(self.ids[row][:, None])
            rating = self.model.rate(embedded, tg.tensor([len(embedded)])).sum()
            (g,) = tg.grad(rating, [embedded])
        return (g * embedded).sum(axis=2).numpy()[:, 0] * self.scale


class Trained(NamedTuple):
    """A net as a judge, what was noted of each epoch, and the best epoch, which is kept."""

    judge: Judge
    history: dict[str, list[float]]
    best: int


def split(texts: list[list[str]]) -> Split:
    """A fifth for the test, a tenth for validation; those of the same words stay together."""
    alike: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        alike.setdefault(" ".join(w for w in text if w[0].isalnum()), []).append(row)
    groups = list(alike.values())
    order = np.random.default_rng(0).permutation(len(groups))
    a, b = int(0.2 * len(order)), int(0.3 * len(order))
    parts = (order[b:], order[a:b], order[:a])
    return Split(*(np.array([row for k in part for row in groups[k]]) for part in parts))


def train_one(args: Any, ids: list[Any], ratings: Any, rows: Split, seed: int) -> Trained:
    """Train one net on the ratings, and go back to its best epoch on validation."""
    g = tg.Generator(seed)
    model, scale = Rater(args.vocabulary, args, g), float(ratings[rows.train].std())
    optimizer = optim.AdamW(model.parameters(), lr=args.lr)
    updates = args.epochs * -(-len(rows.train) // args.batch)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)

    def error(x: Any, lengths: Any, target: Any) -> Any:
        return nn.mse_loss(model(x, lengths), target)

    error_of, best = tg.jit(error), train.Best(model)
    judge = Judge(model, ids, scale)
    names = ("embedding", "hidden", "dropout", "forget", "batch", "epochs", "lr", "digest")
    run = train.Run(
        args.out / f"seed{seed}.safetensors", args.epochs, resume=args.resume, every=1,
        settings={n: getattr(args, n) for n in names} | {"seed": seed}, label=f"seed {seed}",
        model=model, optimizer=optimizer, schedule=schedule, generator=g, best=best,
    )  # fmt: skip
    lengths = [len(ids[row]) for row in rows.train]
    for epoch in run:
        model.train()
        losses = []
        for part in train.bucketed(lengths, args.batch, g):
            batch = rows.train[part]
            x, n = train.padded([ids[row] for row in batch], args.vocabulary.pad, multiple=8)
            x = np.where(g.uniform(x.shape) < args.forget, args.vocabulary.unk, x)
            target = (ratings[batch] / scale).astype("f")
            loss = error_of(tg.tensor(x), tg.tensor(n), tg.tensor(target))
            descend(loss, optimizer, schedule)
            losses.append(loss.item())
        held_out = np.square(judge(rows.validation) - ratings[rows.validation]).mean() / scale**2
        run.log(train=np.mean(losses), validation=held_out)
        if epoch - best.keep(held_out, epoch) >= PATIENCE:
            run.finish()
    best.restore()
    return Trained(judge, run.history, best.epoch)


def bags(texts: Any, ratings: Any, rows: Split) -> dict[str, Any]:
    """Bags of words and pairs, as tf-idf, in two linear models; the strength by validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge

    bag = TfidfVectorizer(analyzer=words_and_pairs, sublinear_tf=True)
    x = [bag.fit_transform(texts[rows.train])] + [bag.transform(texts[r]) for r in rows[1:]]
    y = [ratings[part] for part in rows]
    logistic = [
        LogisticRegression(C=C, max_iter=1000).fit(x[0], y[0] > 0) for C in (1, 3, 10, 30, 100)
    ]
    ridge = [Ridge(alpha=alpha).fit(x[0], y[0]) for alpha in (0.1, 0.3, 1, 3)]
    one = max(logistic, key=lambda m: m.score(x[1], y[1] > 0))
    other = max(ridge, key=lambda m: m.score(x[1], y[1]))
    return {
        "bag of words, logistic regression": one.decision_function(x[2]),
        "bag of words, ridge regression": other.predict(x[2]),
    }


def words_and_pairs(text: str) -> list[str]:
    """Words, and neighbours joined."""
    single = words(text)
    return single + [f"{a} {b}" for a, b in pairwise(single)]


def measures(found: Any, truth: Any) -> dict[str, float]:
    """Accuracy and F1 of praise (above 0), and the correlation with the ratings."""
    from sklearn.metrics import accuracy_score, f1_score

    return {
        "accuracy": accuracy_score(truth > 0, found > 0),
        "F1": f1_score(truth > 0, found > 0),
        "correlation": float(np.corrcoef(found, truth)[0, 1]) if np.ptp(found) else 0.0,
    }


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = options(__doc__, "sentiment")
    p.add_argument("--data", type=Path, help="a CSV with columns text and rating")
    p.add_argument("--cache", type=Path, default=cache(), help="folder of what pip fetches")
    p.add_argument("--seeds", type=int, default=3, help="how many nets to train")
    p.add_argument("--embedding", type=int, default=50)
    p.add_argument("--hidden", type=int, default=64)
    p.add_argument("--dropout", type=float, default=0.5)
    p.add_argument("--forget", type=float, default=0.15, help="share of words read as unknown")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--epochs", type=int, default=12, help="at most")
    p.add_argument("--lr", type=float, default=4e-3, help="at first; it falls to 0 as a cosine")
    p.add_argument("--draw", action="store_true", help="draw the model's graph and gradients")
    args = p.parse_args(argv)
    at_least(p, args, 1, "seeds", "embedding", "hidden", "batch", "epochs")
    shares(p, args, "dropout", "forget")
    if args.quick:
        args.epochs, args.seeds, args.hidden = min(args.epochs, 2), 1, min(args.hidden, 16)
    return args


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train, judge beside the others, draw."""
    args = arguments(argv)
    with tg.disable_jit() if args.eager else nullcontext():
        return study(args)


def study(args: argparse.Namespace) -> dict[str, Any]:
    """All of it, and what is written to the JSON."""
    start = time.perf_counter()
    writable(args.out)
    read, found = own(args.data) if args.data else rated(args.cache)
    if args.quick:
        read, found = read[:: len(read) // 300 or 1], found[:: len(read) // 300 or 1]
    texts, ratings, tokens = np.array(read), np.array(found), [words(text) for text in read]
    rows = split(tokens)
    args.vocabulary = train.Vocabulary.build(
        [tokens[row] for row in rows.train], min_count=2, **SPECIALS
    )
    args.digest = hashlib.sha256(repr((read, found)).encode()).hexdigest()[:16]
    ids, truth = [args.vocabulary.encode(t) for t in tokens], ratings[rows.test]
    print(
        f"{len(texts):,} sentences, {len(rows.test):,} of them the test; {len(args.vocabulary):,} "
        "words seen twice or more in training"
    )
    models = [
        train_one(args, ids, ratings, rows, seed)
        for seed in range(args.seed, args.seed + args.seeds)
    ]
    judged = {"always praise": measures(np.ones(len(truth)), truth)}
    if args.data is None:
        judge = lexicon(args.cache)
        judged["lexicon VADER"] = measures(np.array([judge(t) for t in texts[rows.test]]), truth)
    judged |= {name: measures(y, truth) for name, y in bags(texts, ratings, rows).items()}
    ours = [measures(m.judge(rows.test), truth) for m in models]
    columns = ("accuracy", "F1", "correlation")
    table_rows = [(name, *(f"{m[c]:.3f}" for c in columns)) for name, m in judged.items()]
    table_rows.append(("LSTM, both ways", *(spread([m[c] for m in ours]) for c in columns)))
    print(table(["rating", *columns], table_rows))
    effect = moved(models[0].judge, rows.validation[:100], args.vocabulary.unk)
    print(
        f"The word with the largest gradient, read as unknown, moves the rating by "
        f"{effect['by the first']:.2f}, and in {100 * effect['as told']:.0f} % the way it says; "
        f"a middling word moves it by {effect['by another']:.2f}."
    )
    draw_training(args.out, models)
    draw_sentences(args.out, models[0].judge, rows.test, tokens, ratings)
    if args.draw:
        x, target = ids[rows.validation[0]][:8, None], ratings[rows.validation[:1]].astype("f")
        rating = models[0].judge.model(x, tg.tensor([len(x)]))
        loss = nn.mse_loss(rating, tg.tensor(target))
        print("written:", *diagrams(args.out, loss, rolled=True))
    print(f"{time.perf_counter() - start:.0f} s")
    figures = {"options": vars(args), "judged": judged, "ours": ours, "effect": effect}
    return written(args.out / "sentiment.json", figures | {"history": [m.history for m in models]})


if __name__ == "__main__":
    go(main)
