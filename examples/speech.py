"""Who speaks: nine men saying two Japanese vowels, alone and joined without a mark between them.

An utterance is 7 to 29 frames of 12 LPC cepstrum coefficients; 270 are for training, 370 for
test (Kudo, Toyama and Shimbo, Pattern Recognition Letters 20, 1999). First the speaker of each:
a bidirectional net over a ragged batch. Then two to five utterances are joined, and a net learns
from the order of the speakers alone, by `nn.ctc_loss`, who speaks when: nobody tells it where
one ends and the next begins.

    python examples/speech.py [--cell lstm] [--validate] [--draw] [--resume] [--out FOLDER]

All settings were chosen on thirds of the training utterances held out, as with --validate.
"""

import csv
import gzip
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import (
    at_least,
    descend,
    diagrams,
    go,
    options,
    picture,
    smoothed,
    table,
    writable,
    written,
)

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train

FILE = Path(__file__).parent / "data" / "japanese_vowels.csv.gz"
PUBLISHED = [  # accuracy on the 370 test utterances
    ("published: Kudo et al. 1999", "94.1 %"),
    ("published: hidden Markov models, there", "96.2 %"),
    ("published: later nets", "98 to 99 %"),
]
BATCH, MOST = 16, 5


class Part(NamedTuple):
    """Utterances (T_n, 12), and the speaker, 1 to 9, of each."""

    X: list[np.ndarray]
    y: np.ndarray


def read(part: str) -> Part:
    """The utterances for "train" or "test"."""
    frames: dict[int, list[list[float]]] = {}
    speakers: dict[int, int] = {}
    with gzip.open(FILE, "rt", newline="") as file:
        for row in csv.reader(file):
            if row[0] == part:
                frames.setdefault(int(row[1]), []).append([float(c) for c in row[4:]])
                speakers[int(row[1])] = int(row[2])
    return Part([np.array(f) for f in frames.values()], np.array(list(speakers.values())))


def parts(validate: bool) -> tuple[Part, Part]:
    """What is trained on and what is judged: with `validate`, every third training utterance."""
    known = read("train")
    if not validate:
        return known, read("test")
    third = np.arange(len(known.y)) % 3 == 0
    return tuple(
        Part([x for x, k in zip(known.X, keep, strict=True) if k], known.y[keep])
        for keep in (~third, third)
    )  # type: ignore[return-value]


def noisy(x: np.ndarray, g: tg.Generator) -> np.ndarray:
    """A batch with a fifth of each coefficient's deviation added as noise."""
    return x + np.float32(0.2) * g.normal(x.shape)


def classify(args: Any, known: Part, judged: Part) -> dict[str, Any]:
    """One net a seed: each one's probabilities of the judged utterances, and what they come to."""
    runs = []
    for seed in range(args.seed, args.seed + args.seeds):
        net = train.SequenceClassifier(
            args.cell, args.hidden, bidirectional=True, pooling="mean", dropout=0.3,
            epochs=args.epochs, batch_size=30, lr=1e-2, weight_decay=0.01, augment=noisy,
            random_state=seed, eager=args.eager,
        )  # fmt: skip
        path = args.out / f"speaker{seed}.safetensors"
        net.fit(known.X, known.y, checkpoint=path, resume=args.resume, progress=True)
        p = net.predict_proba(judged.X)
        right = float((p.argmax(1) + 1 == judged.y).mean())
        runs.append({"p": p, "accuracy": right, "loss": net.loss_curve_, "net": net})
    return {"runs": runs, "p": np.mean([r["p"] for r in runs], axis=0)}


def logistic(known: Part, judged: Part) -> float:
    """Accuracy of logistic regression on each coefficient's mean and deviation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = [np.array([np.r_[x.mean(0), x.std(0)] for x in p.X]) for p in (known, judged)]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(model.fit(features[0], known.y).score(features[1], judged.y))


class Listener(nn.Module):
    """Joined speech (T, N, 12) to log probabilities (T, N, 10) of nobody new, 0, and the nine."""

    def __init__(self, cell: str, hidden: int, generator: tg.Generator):
        net = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.net = net(12, hidden, bidirectional=True, generator=generator)
        self.dropout = nn.Dropout(0.3, generator=generator)
        self.out = nn.Linear(2 * hidden, 10, generator=generator)

    def forward(self, x: Any, lengths: Any) -> Any:
        states, _ = self.net(x, lengths=lengths)
        return tg.log_softmax(self.out(self.dropout(states)))


class Joined(NamedTuple):
    """N times two to five utterances in a row, and who spoke; what `nn.ctc_loss` takes."""

    x: np.ndarray  # (T, N, 12)
    speakers: np.ndarray  # (N, 5), padded
    lengths: np.ndarray  # (N,) frames
    counts: np.ndarray  # (N,) utterances
    ends: list[np.ndarray]  # where each utterance ends: for the picture alone


def joined(part: Part, n: int, g: tg.Generator, longest: int) -> Joined:
    """N rows of utterances drawn at random, the same speaker twice in a row among them."""
    counts = 2 + (g.uniform((n,)) * (MOST - 1)).astype(int)
    which = (g.uniform((n, MOST)) * len(part.X)).astype(int)
    rows = [[part.X[k] for k in w[:c]] for w, c in zip(which, counts, strict=True)]
    ends = [np.cumsum([len(x) for x in row]) for row in rows]
    x = np.zeros((longest, n, 12), np.float32)  # always as long: compiled once
    for k, row in enumerate(rows):
        x[: ends[k][-1], k] = np.concatenate(row)
    return Joined(x, part.y[which], np.array([e[-1] for e in ends]), counts, ends)


def listen(args: Any, known: Part, judged: Part) -> dict[str, Any]:
    """Train on joined utterances; errors in those of the judged ones."""
    g, data = tg.Generator(args.seed), tg.Generator(args.seed + 1000)
    frames = np.concatenate(known.X)
    mean, scale = frames.mean(0), frames.std(0)
    known, judged = (Part([(x - mean) / scale for x in p.X], p.y) for p in (known, judged))
    model = Listener(args.cell, args.hidden, g)
    optimizer = optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.updates)

    def loss_of(x: Any, speakers: Any, lengths: Any, counts: Any) -> Any:
        return nn.ctc_loss(model(x, lengths), speakers, lengths, counts)

    pass_ = loss_of if args.eager else tg.jit(loss_of)
    longest = MOST * max(len(x) for x in [*known.X, *judged.X])
    names = ("cell", "hidden", "updates", "seed", "validate")
    run = train.Run(
        args.out / "listener.safetensors", args.updates, resume=args.resume, label="joined",
        settings={n: getattr(args, n) for n in names},
        model=model, optimizer=optimizer, schedule=schedule, generator=g, data=data,
    )  # fmt: skip
    for _ in run:
        batch = joined(known, BATCH, data, longest)
        x = noisy(batch.x, data).astype(np.float32)
        loss = pass_(*map(tg.tensor, (x, *batch[1:4])))
        norm = descend(loss, optimizer, schedule)
        run.log(loss=loss.item(), norm=norm)
    model.eval()
    test = joined(judged, args.rows, tg.Generator(args.seed + 2000), longest)
    with tg.no_grad():
        y = model(tg.tensor(test.x), tg.tensor(test.lengths)).numpy()
    wanted = [row[:n].tolist() for row, n in zip(test.speakers, test.counts, strict=True)]
    errors = {}
    for name, beam in (("best path", None), ("prefix search, 10 wide", 10)):
        found = nn.ctc_decode(y, test.lengths, beam=beam)
        pairs = list(zip(found, wanted, strict=True))
        wrong = sum(train.metrics.edit_distance(list(f), w) for f, w in pairs)
        whole = float(np.mean([list(f) == w for f, w in pairs]))
        errors[name] = {"label errors": wrong / sum(map(len, wanted)), "whole": whole}
    return {"errors": errors, "y": y, "test": test, "model": model, **run.history}


def draw(out: Path, judged: Part, speakers: dict[str, Any], spoken: dict[str, Any]) -> None:
    """Who was taken for whom; when the listener hears whom; both losses."""
    counts = np.zeros((9, 9), int)
    np.add.at(counts, (judged.y - 1, speakers["p"].argmax(1)), 1)
    with picture(out / "confusion.png", figsize=(6, 5.4)) as ax:
        if ax is None:
            return
        ax.imshow(counts, cmap="Blues", norm="symlog", vmin=0)
        for (i, j), n in np.ndenumerate(counts):
            if n:
                ax.text(j, i, n, ha="center", va="center", color="white" if n > 9 else "black")
        ax.set(title="Speakers, by all nets together", xlabel="taken for", ylabel="speaker")
        ax.set_xticks(range(9), range(1, 10))
        ax.set_yticks(range(9), range(1, 10))
    test = spoken["test"]
    k = int(np.argmax(test.counts == MOST))  # the first of five utterances
    T, p = test.lengths[k], np.exp(spoken["y"][: test.lengths[k], k])
    with picture(out / "alignment.png", figsize=(10, 3.8)) as ax:
        image = ax.imshow(p.T, aspect="auto", cmap="viridis", vmin=0, vmax=1)
        ax.figure.colorbar(image, label="probability")
        for start, end, who in zip(
            [0, *test.ends[k]], test.ends[k], test.speakers[k], strict=False
        ):
            ax.axvline(end - 0.5, color="white", lw=1)
            ax.plot([start - 0.3, end - 0.7], [who + 0.4] * 2, color="tab:red", lw=2)
        ax.set(
            title="Five utterances joined: who is heard when (red: who spoke, never shown)",
            xlabel="frame", ylabel="speaker", xlim=(-0.5, T - 0.5),
        )  # fmt: skip
        ax.set_yticks(range(10), ["blank", *range(1, 10)])
    with picture(out / "training.png", ncols=2, figsize=(9, 3.6)) as axes:
        for r in speakers["runs"]:
            axes[0].plot(np.arange(1, len(r["loss"]) + 1), r["loss"], color="tab:blue", lw=0.9)
        axes[0].set(yscale="log", xlabel="epoch", ylabel="cross entropy", title="Speakers")
        axes[1].plot(*smoothed(spoken["loss"], 100), color="tab:blue")
        axes[1].set(yscale="log", xlabel="update", ylabel="CTC loss a label", title="Joined")


def draw_graph(out: Path, model: Listener, judged: Part) -> None:
    """The listener unrolled over one short utterance, and the gradient's way back."""
    k = int(np.argmin([len(x) for x in judged.X]))
    x = tg.tensor(judged.X[k][:, None].astype(np.float32), name="frames")
    y = model(x, tg.tensor([len(x)]))
    loss = nn.ctc_loss(y, tg.tensor(judged.y[k : k + 1, None]), [len(x)], [1])
    print("written:", *diagrams(out, loss, level="gate", steps="all"))


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train all nets, print the tables, draw."""
    p = options(__doc__, "speech")
    p.add_argument("--seeds", type=int, default=5, help="nets for the single utterances")
    p.add_argument("--cell", choices=["gru", "lstm"], default="gru")
    p.add_argument("--hidden", type=int, default=64)
    p.add_argument("--epochs", type=int, default=60)
    p.add_argument("--updates", type=int, default=1000, help=f"of {BATCH} joined rows each")
    p.add_argument("--rows", type=int, default=200, help="joined rows that are judged")
    p.add_argument("--validate", action="store_true", help="judge on training data held out")
    p.add_argument("--draw", action="store_true", help="draw the listener's graph and gradients")
    args = p.parse_args(argv)
    at_least(p, args, 1, "seeds", "epochs", "updates", "rows")
    if args.quick:
        args.seeds, args.epochs, args.updates, args.hidden, args.rows = 1, 2, 4, 8, 20
    writable(args.out)
    started = time.perf_counter()
    known, judged = parts(args.validate)
    speakers, n = classify(args, known, judged), len(judged.y)
    spoken = listen(args, known, judged)
    each = [r["accuracy"] for r in speakers["runs"]]
    rows: list[tuple[Any, ...]] = [] if args.validate else list(PUBLISHED)
    rows.append(
        ("logistic regression on means, deviations", f"{100 * logistic(known, judged):.1f} %")
    )
    spread = f"{100 * np.mean(each):.1f} +- {100 * np.std(each):.1f} %"
    rows.append((f"bidirectional {args.cell.upper()}, {args.seeds} seeds", spread))
    together = float((speakers["p"].argmax(1) + 1 == judged.y).mean())
    rows.append(("their mean probability", f"{100 * together:.1f} %"))
    print(table([f"who speaks, of {n} utterances", "right"], rows))
    lines = [
        (name, f"{100 * e['label errors']:.2f} %", f"{100 * e['whole']:.1f} %")
        for name, e in spoken["errors"].items()
    ]
    print(table([f"{args.rows} joined rows, 2 to 5 each", "label errors", "all right"], lines))
    draw(args.out, judged, speakers, spoken)
    if args.draw:
        draw_graph(args.out, spoken["model"], judged)
    return written(args.out / "speech.json", {
        "options": vars(args), "accuracy": each, "together": together,
        "joined": spoken["errors"], "loss": spoken["loss"],
        "seconds": time.perf_counter() - started,
    })  # fmt: skip


if __name__ == "__main__":
    go(main)
