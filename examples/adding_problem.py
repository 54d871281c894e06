"""The adding problem: add two marked numbers of a hundred, with gates and without.

A net reads T pairs (number, mark), two of which are marked, and must give the sum of their
numbers (Hochreiter and Schmidhuber, Neural Computation 9, 1997). Numbers are uniform in [0, 1];
to say 1 always has a mean squared error of 1/6. Three ways to place the marks are in use, and
figures of one do not hold for another:

    first   one in the first 10 steps, one in the first half: Hochreiter and Schmidhuber 1997
    halves  one in each half: Arjovsky, Shah and Bengio, ICML 2016 (the default)
    any     any two: Bai, Kolter and Koltun 2018

    python examples/adding_problem.py [--marks first] [--length T] [--resume] [--out FOLDER]
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import (
    adding,
    at_least,
    descend,
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

BASELINE = 1 / 6
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
WRONG = 0.08  # the .04 of 1997 on this scale: there numbers are in [-1, 1], sums scaled by 1/4
PUBLISHED = [  # (net, T, marks, series seen, mean squared error, share wrong)
    ("LSTM, H. & S. 1997", 100, "first", "74,000", "", 1 / 2560),
    ("LSTM, H. & S. 1997", 500, "first", "209,000", "", 0 / 2560),
    ("RNN, Bai et al. 2018", 600, "any", "", 0.177, None),
    ("LSTM, Bai et al. 2018", 600, "any", "", 0.164, None),
    ("GRU, Bai et al. 2018", 600, "any", "", 5.3e-5, None),
]


class Adder(nn.Module):
    """A recurrent net, and a linear read-out of its last state."""

    def __init__(self, cell: str, hidden: int, generator: tg.Generator):
        gates = {"forget_bias": 1.0} if cell == "lstm" else {}
        self.net = CELLS[cell](2, hidden, generator=generator, **gates)
        self.head = nn.Linear(hidden, 1, generator=generator)

    def forward(self, x: Any) -> Any:
        return self.head(self.net(x)[0][-1])[:, 0]


def places(T: int, N: int, marks: str, g: tg.Generator) -> tuple[Any, Any]:
    """Two different steps for each of N series."""
    u = g.uniform((2, N), np.float64)
    if marks == "halves":
        return (u[0] * (T // 2)).astype(int), T // 2 + (u[1] * (T - T // 2)).astype(int)
    first = (u[0] * (min(10, T) if marks == "first" else T)).astype(int)
    last = T // 2 if marks == "first" else T
    second = (u[1] * (last - 1)).astype(int)
    return first, second + (second >= first)  # any but the first


def batch(T: int, N: int, marks: str, g: tg.Generator) -> tuple[tg.Tensor, tg.Tensor]:
    """Series (T, N, 2) of numbers and marks, and the sums (N,)."""
    return adding(g.uniform((T, N)), places(T, N, marks, g))


def train_one(args: Any, cell: str) -> dict[str, Any]:
    """Train one net; its losses, and its error on 2,560 new series."""
    g, start = tg.Generator(args.seed), time.perf_counter()
    model, data = Adder(cell, args.hidden, g), tg.Generator(args.seed + 1000)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.updates)

    def squared_error(x: Any, y: Any) -> Any:
        return nn.mse_loss(model(x), y)

    loss_of = squared_error if args.eager else tg.jit(squared_error)
    names = ("length", "marks", "hidden", "updates", "lr", "seed")
    run = train.Run(
        args.out / f"{cell}.safetensors", args.updates, resume=args.resume, label=cell,
        settings={n: getattr(args, n) for n in names},
        model=model, optimizer=optimizer, schedule=schedule, data=data,
    )  # fmt: skip
    for _ in run:
        loss = loss_of(*batch(args.length, 50, args.marks, data))
        norm = descend(loss, optimizer, schedule)
        run.log(loss=loss.item(), norm=norm)
    with tg.no_grad():
        x, y = batch(args.length, 2560, args.marks, tg.Generator(args.seed + 2000))
        error = np.abs(model(x).numpy() - y.numpy())
    test, wrong = float((error**2).mean()), float((error > WRONG).mean())
    return {"test": test, "wrong": wrong, "seconds": time.perf_counter() - start, **run.history}


def draw(out: Path, results: dict[str, Any]) -> None:
    """The losses of all nets beside what a constant reaches, and the clipped gradients' norms."""
    with picture(out / "adding_problem.png", nrows=2, sharex=True, figsize=(9, 6)) as axes:
        if axes is None:
            return
        for (name, r), style in zip(results.items(), ["-", "--", "-."], strict=False):
            for ax, what in zip(axes, ("loss", "norm"), strict=True):
                ax.plot(*smoothed(r[what]), ls=style, lw=1.4, label=name)
        axes[0].axhline(BASELINE, color="black", lw=1, ls=(0, (5, 3)), label="always saying 1")
        axes[0].set(yscale="log", ylabel="mean squared error", title="The adding problem")
        axes[1].axhline(1.0, color="black", lw=1, ls=(0, (5, 3)), label="clipped here")
        axes[1].set(yscale="log", ylabel="gradient norm", xlabel="update")
        for ax in axes:
            ax.legend(frameon=False)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train all nets, print the table, draw."""
    p = options(__doc__, "adding_problem")
    p.add_argument("--length", type=int, default=100, help="steps T")
    p.add_argument("--marks", choices=["first", "halves", "any"], default="halves")
    p.add_argument("--hidden", type=int, default=64)
    p.add_argument("--updates", type=int, default=4000, help="of 50 series each")
    p.add_argument("--lr", type=float, default=5e-3, help="at first; it falls to 0 as a cosine")
    p.add_argument("--nets", nargs="+", choices=list(CELLS), default=["gru", "lstm", "rnn"])
    args = p.parse_args(argv)
    at_least(p, args, 4, "length")
    if args.quick:
        args.updates, args.length = min(args.updates, 20), min(args.length, 20)
    writable(args.out)
    results = {cell: train_one(args, cell) for cell in args.nets}
    rows = [("always saying 1", args.length, args.marks, "", f"{BASELINE:.4f}", "", "")]
    for name, r in results.items():
        seen, wrong = f"{50 * args.updates:,}", f"{100 * r['wrong']:.2f} %"
        error, seconds = f"{r['test']:.2g}", f"{r['seconds']:.0f}"
        rows.append((name, args.length, args.marks, seen, error, wrong, seconds))
    for name, T, marks, seen, error, wrong in PUBLISHED:
        wrong = "" if wrong is None else f"{100 * wrong:.2f} %"
        rows.append((name, T, marks, seen, error and f"{error:.2g}", wrong, ""))
    print(table(["net", "T", "marks", "series seen", "squared error", "wrong", "s"], rows))
    draw(args.out, results)
    figures = {"options": vars(args), "baseline": BASELINE, "nets": results}
    return written(args.out / "adding_problem.json", figures)


if __name__ == "__main__":
    go(main)
