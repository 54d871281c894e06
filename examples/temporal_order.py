"""Temporal order: in which order came two symbols in a hundred? With clipped gradients and without.

A net reads T symbols, all of them c, d, e or f but two, each A or B, and must say at the end
which it was: AA, AB, BA or BB (task 6a of Hochreiter and Schmidhuber, Neural Computation 9, 1997).
A tanh net, plain gradient descent, the norm clipped at 1, solved below 1 % of errors, as in
Pascanu, Mikolov and Bengio (ICML 2013); but for the start: theirs is sparse, an orthogonal
matrix gets there in minutes. Two ways to place the symbols are in use:

    pascanu  in [T/10, 2T/10) and in [5T/10, 6T/10); T symbols
    hs97     steps 10 to 20 and 50 to 60 of T to 1.1 T, between a start and an end symbol

    python examples/temporal_order.py [--places hs97] [--length T] [--resume] [--out FOLDER]
"""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import at_least, go, options, picture, smoothed, table, writable, written

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train

SYMBOLS, START, END = 8, 6, 7  # A, B, c, d, e, f and the two of hs97
CHECK = 500  # updates between two looks at the errors
PUBLISHED = [  # net, T, runs solved, series seen
    ("LSTM, H. & S. 1997", "100-110", "all", "31,390"),
    ("clipped, Omega, Pascanu et al. 2013", "50-200", "100 %", "up to 100,000,000"),
]


class Order(nn.Module):
    """A tanh net with an orthogonal recurrent matrix, and a linear read-out of its last state."""

    def __init__(self, generator: tg.Generator):
        self.net = nn.RNN(SYMBOLS, 50, recurrent_init="orthogonal", generator=generator)
        self.head = nn.Linear(50, 4, generator=generator)
        for p in (self.net.weight_ih_l0, self.head.weight):
            nn.init.normal_(p, std=0.1, generator=generator)
        for p in (self.net.bias_ih_l0, self.net.bias_hh_l0, self.head.bias):
            nn.init.zeros_(p)

    def forward(self, x: Any) -> Any:
        return self.head(self.net(x)[0][-1])


def batch(T: int, N: int, where: str, g: tg.Generator) -> tuple[tg.Tensor, tg.Tensor]:
    """One-hot series (T, N, 8) and classes (N,): 0 to 3 for AA, BA, AB and BB."""
    whole = T if where == "pascanu" else T + int(g.uniform(()) * (T // 10 + 1))
    x, rows = 2 + (g.uniform((whole, N)) * 4).astype(int), np.arange(N)
    width = max(1, T // 10)
    symbols = (g.uniform((2, N)) * 2).astype(int)
    for symbol, first in zip(symbols, (T // 10, T // 2), strict=True):
        x[first + (g.uniform((N,)) * width).astype(int), rows] = symbol
    if where == "hs97":
        x[0], x[-1] = START, END
    return tg.tensor(np.eye(SYMBOLS, dtype=np.float32)[x]), tg.tensor(symbols[0] + 2 * symbols[1])


def train_one(args: Any, seed: int, clip: float) -> dict[str, Any]:
    """Train until less than 1 % of 10,000 series are wrong, or to the last update."""
    g, start = tg.Generator(seed), time.perf_counter()
    model, data = Order(g), tg.Generator(seed + 1000)
    optimizer = optim.SGD(model.parameters(), lr=args.lr)
    N = 10 if args.quick else 1000
    test = [batch(args.length, N, args.places, tg.Generator(2000 + k)) for k in range(10)]

    def cross_entropy(x: Any, y: Any) -> Any:
        return nn.cross_entropy(model(x), y)

    loss_of, answers = (f if args.eager else tg.jit(f) for f in (cross_entropy, model))

    def wrong(parts: Any) -> float:
        with tg.no_grad():
            return float(np.mean([answers(x).numpy().argmax(1) != y.numpy() for x, y in parts]))

    run = train.Run(
        args.out / f"seed{seed}_clip{clip}.safetensors", args.updates, resume=args.resume,
        settings={"length": args.length, "places": args.places, "lr": args.lr},
        label=f"seed {seed}, clip {clip}", every=2000,
        model=model, optimizer=optimizer, data=data,
    )  # fmt: skip
    for update in run:
        loss = loss_of(*batch(args.length, 20, args.places, data))
        optimizer.zero_grad()
        loss.backward()
        norm = optim.clip_grad_norm_(optimizer.params, clip, error_if_nonfinite=False)
        run.log(norm=norm)
        if not math.isfinite(norm):
            run.finish()
            continue
        optimizer.step()
        if (update + 1) % CHECK == 0:
            run.log(wrong=wrong(test[:1]))
            if run.history["wrong"][-1] < 0.01 and wrong(test) < 0.01:
                run.finish()
    error, largest = wrong(test), max(run.history["norm"])
    found = {"solved": error < 0.01, "error": error, "updates": run.done, "largest": largest}
    return {**found, "seconds": time.perf_counter() - start, **run.history}


def draw(out: Path, results: dict[str, list[dict[str, Any]]]) -> None:
    """Share of wrong answers and gradient norms of every run, clipped in colour."""
    with picture(out / "temporal_order.png", nrows=2, sharex=True, figsize=(9, 6)) as axes:
        if axes is None:
            return
        for (label, runs), color in zip(results.items(), ("C0", "gray"), strict=True):
            for k, r in enumerate(runs):
                style = {"color": color, "lw": 1.2, "label": None if k else label}
                wrong = 100 * np.array(r.get("wrong", []))
                axes[0].plot(CHECK * np.arange(1, len(wrong) + 1), wrong, **style)
                axes[1].plot(*smoothed(r["norm"], 100), **style)
        axes[0].axhline(75, color="black", lw=1, ls=(0, (5, 3)), label="guessing")
        axes[0].set(ylabel="wrong of 1,000, %", title="Temporal order, a line a seed")
        axes[1].set(yscale="log", xlabel="update", ylabel="norm before clipping")
        axes[0].legend(frameon=False)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train all seeds with clipping and without, print the table, draw."""
    p = options(__doc__, "temporal_order")
    p.add_argument("--length", type=int, default=100, help="steps T")
    p.add_argument("--places", choices=["pascanu", "hs97"], default="pascanu")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--updates", type=int, default=30_000, help="of 20 series each, at most")
    p.add_argument("--lr", type=float, default=0.02)
    args = p.parse_args(argv)
    at_least(p, args, 10, "length")
    at_least(p, args, 1, "seeds")
    if args.quick:
        args.updates, args.length, args.seeds = min(args.updates, 20), min(args.length, 20), 1
    writable(args.out)
    seeds = range(args.seed, args.seed + args.seeds)
    clips = {"norm clipped at 1": 1.0, "not clipped": math.inf}
    results = {n: [train_one(args, seed, clip) for seed in seeds] for n, clip in clips.items()}
    rows = []
    for label, runs in results.items():
        seen = [20 * r["updates"] for r in runs if r["solved"]]
        series = f"{min(seen):,} to {max(seen):,}" if seen else f"{20 * args.updates:,} in vain"
        solved = f"{sum(r['solved'] for r in runs)} of {len(runs)}"
        numbers = [f"{max(r['largest'] for r in runs):.3g}", round(sum(r["seconds"] for r in runs))]
        rows.append([label, args.length, solved, series, *numbers])
    rows += [[*row, "", ""] for row in PUBLISHED]
    print(table(["net", "T", "solved", "series seen", "largest norm", "s"], rows))
    draw(args.out, results)
    return written(args.out / "temporal_order.json", {"options": vars(args), "nets": results})


if __name__ == "__main__":
    go(main)
