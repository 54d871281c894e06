"""Normal beat or infarction: 200 heartbeats of 96 samples, 100 for training (ECG200, UCR archive).

Beside the nets: one nearest neighbour (Euclidean distance, dynamic time warping) and logistic
regression. A seed is an ensemble of --members nets. Settings were chosen on folds of the training
beats (TRIED, below), the test beats used once; --validate judges on four other folds of training.

    python examples/heartbeat.py [--validate] [--draw] [--resume] [--out FOLDER]
"""

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import at_least, diagrams, go, options, picture, table, writable, written

import tinygrad_rnn as tg
from tinygrad_rnn import nn, train

FILE = Path(__file__).parent / "data" / "ecg200.csv"
NAMES = ("normal", "infarction")
TRIED = [  # wrong of 100 training beats held out, single nets; two splits, in 4 and in 5 folds
    ("1-NN, Euclid", 11, 11),
    ("GRU, largest states: chosen", 11, 10),
    ("the same, 64 units", 14, 10),
    ("the same, shifted twice as far", 15, 8),
    ("the same, the time as a second input", 16, 10),
    ("the same, 8 samples a step", 15, 12),
    ("mean states, 8 samples a step, more noise", 13, 14),
    ("last state, 4 samples a step", 18, 13),
    ("LSTM, last state, 8 samples every 4", 16, 12),
]
PUBLISHED = {"1-NN, Euclid": ".88", "1-NN, time warping": ".77"}  # UCR archive


def read(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Beats (100, 96) for "train" or "test", and 1 for an infarction."""
    with open(FILE, newline="") as file:
        rows = [row for row in csv.reader(file) if row[0] == part]
    return np.array([row[2:] for row in rows], float), np.array([row[1] for row in rows], int)


def folds(y: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(Training, held-out) row numbers, each class spread evenly."""
    fold = np.empty(len(y), int)
    for c in np.unique(y):
        fold[y == c] = np.arange((y == c).sum()) % k
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def varied(x: np.ndarray, g: tg.Generator) -> np.ndarray:
    """A batch (T, N, 1) of beats a little larger or smaller, shifted, and with noise."""
    T, N, _ = x.shape
    x = x * (1 + np.float32(0.1) * g.normal((1, N, 1))) + np.float32(0.1) * g.normal(x.shape)
    shift = np.rint(1.5 * g.normal((N,))).astype(int)
    return x[np.clip(np.arange(T)[:, None] - shift, 0, T - 1), np.arange(N)]


def warped(a: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Squared distances of a (n,) to all of B (N, m) by dynamic time warping, without a window.

    D[i, j] = (a_i - b_j)^2 + min(D[i-1, j], D[i, j-1], D[i-1, j-1]), one antidiagonal at a time.
    """
    n, m = len(a), B.shape[1]
    D = np.full((n + 1, m + 1, len(B)), np.inf)
    D[0, 0] = 0
    for k in range(2, n + m + 1):
        i = np.arange(max(1, k - m), min(n, k - 1) + 1)
        j = k - i
        before = np.minimum(np.minimum(D[i - 1, j], D[i, j - 1]), D[i - 1, j - 1])
        D[i, j] = (a[i - 1, None] - B.T[j - 1]) ** 2 + before
    return D[n, m]


def nearest(known: Any, judged: Any, distances: Any) -> float:
    """Accuracy of the nearest training beat's class."""
    found = [known[1][distances(x, known[0]).argmin()] for x in judged[0]]
    return float(np.mean(np.array(found) == judged[1]))


def logistic(known: Any, judged: Any) -> float:
    """Accuracy of logistic regression on the 96 samples."""
    from sklearn.linear_model import LogisticRegression

    return float(LogisticRegression(max_iter=5000).fit(*known).score(*judged))


def baselines(known: Any, judged: Any) -> dict[str, float]:
    """What a net has to beat."""
    return {
        "always normal": float((judged[1] == 0).mean()),
        "logistic regression": logistic(known, judged),
        "1-NN, Euclid": nearest(known, judged, lambda a, B: ((a - B) ** 2).sum(1)),
        "1-NN, time warping": nearest(known, judged, warped),
    }


def nets(args: Any, seed: int, known: Any, tag: str) -> list[Any]:
    """The members of one seed's ensemble, trained."""
    found = []
    for k in range(args.members):
        net = train.SequenceClassifier(
            args.cell, args.hidden, bidirectional=True, pooling="max", dropout=0.3,
            epochs=args.epochs, batch_size=25, lr=1e-2, weight_decay=0.01, augment=varied,
            random_state=100 * seed + k, eager=args.eager,
        )  # fmt: skip
        path = args.out / f"{tag}{seed}_{k}.safetensors"
        found.append(net.fit(*known, checkpoint=path, resume=args.resume, progress=True))
    return found


def judge(args: Any, known: Any, judged: Any, tag: str = "net") -> dict[str, Any]:
    """Accuracy of each seed's ensemble and of each net alone; the first seed's nets."""
    together, alone, first = [], [], []
    for seed in range(args.seed, args.seed + args.seeds):
        members = nets(args, seed, known, tag)
        p = [net.predict_proba(judged[0]) for net in members]
        together.append(float((np.mean(p, axis=0).argmax(1) == judged[1]).mean()))
        alone += [float((q.argmax(1) == judged[1]).mean()) for q in p]
        first = first or members
    return {"together": together, "alone": alone, "nets": first}


def gradients(members: list[Any], X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log odds of an infarction (N,), and their gradient by each sample (N, 96), of all nets."""
    odds, slopes = np.zeros(len(X)), np.zeros(X.shape)
    for net in members:
        x = tg.tensor(((X - net.mean_) / net.scale_).T[:, :, None], requires_grad=True)
        y = net.net_(x)
        z = y[:, 1] - y[:, 0]
        z.sum().backward()
        assert x.grad is not None
        odds += z.numpy() / len(members)
        slopes += x.grad.numpy()[:, :, 0].T / net.scale_ / len(members)
    return odds, slopes


def draw(out: Path, members: list[Any], judged: Any) -> None:
    """Where in a beat the gradient looks: two beats of each class, and the mean of all."""
    odds, slopes = gradients(members, judged[0])
    order = np.argsort(odds)
    sure = [order[judged[1][order] == 0][:2], order[judged[1][order] == 1][-2:]]
    wrong = np.flatnonzero((odds > 0) != judged[1])[:2]
    shown = np.concatenate([*sure, wrong])
    with picture(out / "heartbeat.png", nrows=2, ncols=3, figsize=(11, 5.6), sharex=True,
                 sharey=True) as axes:  # fmt: skip
        if axes is None:
            return
        top = np.quantile(np.abs(slopes[shown]), 0.98)  # the largest alone would bleach all
        for ax, k in zip(axes.T.ravel(), shown, strict=False):
            t = np.arange(judged[0].shape[1])
            ax.plot(t, judged[0][k], color="0.6", lw=1)
            dots = ax.scatter(t, judged[0][k], c=slopes[k], s=22, cmap="coolwarm", vmin=-top,
                              vmax=top, edgecolors="0.3", linewidths=0.3)  # fmt: skip
            said = f"{1 / (1 + np.exp(-odds[k])):.2f}"
            wrongly = ", taken wrongly" if k in wrong else ""
            ax.set_title(f"{NAMES[judged[1][k]]}{wrongly}; p(infarction) = {said}", fontsize=10)
        for ax in axes[-1]:
            ax.set_xlabel("sample")
        figure = axes[0, 0].figure
        figure.colorbar(dots, ax=axes, label="gradient of the log odds of an infarction")
        figure.suptitle("Where the nets look: red, higher here would speak for an infarction")
    with picture(out / "where.png", figsize=(9, 4)) as ax:
        for c, color, style in ((0, "tab:blue", "-"), (1, "tab:red", "--")):
            ax.plot(judged[0][judged[1] == c].mean(0), color=color, ls=style, label=NAMES[c])
        other = ax.twinx()
        other.fill_between(np.arange(slopes.shape[1]), np.abs(slopes).mean(0), color="0.8", lw=0)
        other.set(ylabel="mean |gradient|", ylim=(0, None))
        ax.set(zorder=1, facecolor="none", xlabel="sample", ylabel="mean beat")
        ax.set_title("Mean beats, and where the answer hangs on them")
        ax.legend(frameon=False)


def draw_graph(out: Path, member: Any, X: np.ndarray, y: np.ndarray) -> None:
    """One net's graph over a beat, first and last steps, and the gradient's way back."""
    x = tg.tensor(((X[:1] - member.mean_) / member.scale_).T[:, :, None], name="beat")
    loss = nn.cross_entropy(member.net_(x), tg.tensor(y[:1]))
    print("written:", *diagrams(out, loss, level="gate"))


def report(args: Any, simple: dict[str, float], results: list[dict[str, Any]]) -> str:
    """Mean accuracy, and its spread over the seeds."""
    rows: list[tuple[Any, ...]] = [
        (name, f"{value:.3f}", "" if args.validate else PUBLISHED.get(name, ""))
        for name, value in simple.items()
    ]
    for name, key in (("single nets", "alone"), (f"{args.members} nets together", "together")):
        each = np.mean([r[key] for r in results], axis=0)  # by seed, or by net; over the folds
        rows.append((f"{args.cell.upper()}, {name}", f"{each.mean():.3f} +- {each.std():.3f}", ""))
    return table(["accuracy", "here", "published"], rows)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train all nets, print the table, draw."""
    p = options(__doc__, "heartbeat")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--members", type=int, default=5, help="nets of one seed")
    p.add_argument("--cell", choices=["rnn", "gru", "lstm"], default="gru")
    p.add_argument("--hidden", type=int, default=32)
    p.add_argument("--epochs", type=int, default=60)
    p.add_argument("--validate", action="store_true", help="four folds of the training beats")
    p.add_argument("--draw", action="store_true", help="draw a net's graph and gradients")
    args = p.parse_args(argv)
    at_least(p, args, 1, "seeds", "members", "epochs")
    if args.quick:
        args.seeds, args.members, args.epochs, args.hidden = 1, 2, 2, 4
    writable(args.out)
    started, (X, y) = time.perf_counter(), read("train")
    judged = tuple(a[:20] for a in read("test")) if args.quick else read("test")
    pairs: list[Any] = [((X, y), judged)]
    if args.validate:
        pairs = [((X[a], y[a]), (X[b], y[b])) for a, b in folds(y, 4)]
    each = [baselines(*pair) for pair in pairs]
    simple = {name: float(np.mean([e[name] for e in each])) for name in each[0]}
    results = [judge(args, *pair, tag=f"fold{k}_" if args.validate else "net")
               for k, pair in enumerate(pairs)]  # fmt: skip
    print(report(args, simple, results))
    if not args.validate:
        if np.mean(results[0]["together"]) < max(simple.values()):
            print("short of the best of the others; what was tried, on training beats held out:")
            print(table(["wrong of 100", "4 folds", "5 folds"], TRIED))
        draw(args.out, results[0]["nets"], pairs[0][1])
        if args.draw:
            draw_graph(args.out, results[0]["nets"][0], *pairs[0][1])
    figures = [{k: v for k, v in r.items() if k != "nets"} for r in results]
    return written(args.out / "heartbeat.json", {
        "options": vars(args), "baselines": simple, "nets": figures,
        "seconds": time.perf_counter() - started,
    })  # fmt: skip


if __name__ == "__main__":
    go(main)
