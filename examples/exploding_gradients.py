"""Exploding gradients: a run that ends in NaN, and the same run clipped in four ways.

The adding problem (add two marked numbers of T = 40; to say 1 always has an error of 1/6) with a
tanh net whose recurrent matrix is orthogonal times 1.3, and SGD with momentum. As long as the
states are small a gradient grows by up to 1.3 a step; one large update saturates the states, the
read-out's errors grow from update to update, and the run ends in numbers that are not finite. A
tenth of the learning rate would be another cure. Here all is equal but what is clipped:

    none        nothing: the run ends where a gradient is not finite
    skip        updates with such a gradient are left out and counted (optim.SkipNonFinite)
    value       every number of the whole gradient within +-c (Mikolov 2012)
    norm        the whole gradient at most of norm c (Pascanu, Mikolov and Bengio, ICML 2013)
    step value  within the graph, each number of the gradient of the output and of the state at
                every step within +-c (tg.clip_gradient; Graves, arXiv:1308.0850)
    step norm   the same with each sample's gradient at most of norm c

    python examples/exploding_gradients.py [--lr LR] [--resume] [--out FOLDER]
"""

import math
from typing import Any

import numpy as np
from _common import adding, at_least, go, options, picture, smoothed, table, writable, written

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train

BASELINE = 1 / 6  # of always saying 1
BOUNDS = {"none": 0, "skip": 0, "value": 2e-3, "norm": 0.1, "step value": 1e-3, "step norm": 1e-3}
LINES = dict(zip(BOUNDS, ("-", "-", "--", "-", ":", "-."), strict=True))


class Adder(nn.Module):
    """h' = tanh(W x + U h + b) and a read-out of the last state, clipped at each step if asked."""

    def __init__(self, hidden: int, how: str, generator: tg.Generator):
        self.cell = nn.RNNCell(2, hidden, generator=generator)
        self.head = nn.Linear(hidden, 1, generator=generator)
        nn.init.orthogonal_(self.cell.weight_hh, 1.3, generator)
        nn.init.normal_(self.cell.weight_ih, 0.0, 0.3, generator)
        self.clip = {how.split()[-1]: BOUNDS[how]} if how.startswith("step") else {}

    def bounded(self, x: Any) -> Any:
        return tg.clip_gradient(x, **self.clip) if self.clip else x

    def forward(self, x: Any, y: Any) -> Any:
        h = tg.zeros(x.shape[1], self.cell.hidden_size)
        for x_t in x:
            h = self.bounded(self.cell(x_t, h))
        return nn.mse_loss(self.bounded(self.head(h))[:, 0], y)


def batch(T: int, N: int, g: tg.Generator) -> tuple[tg.Tensor, tg.Tensor]:
    """Series (T, N, 2) of numbers and marks, one mark in each half, and the sums (N,)."""
    numbers, u = g.uniform((T, N)), g.uniform((2, N))
    return adding(numbers, [k * (T // 2) + (u[k] * (T // 2)).astype(int) for k in range(2)])


def train_one(args: Any, how: str) -> dict[str, Any]:
    """Train one net one way; its losses and norms, and how it ended."""
    model = Adder(args.hidden, how, tg.Generator(args.seed))
    data = tg.Generator(args.seed + 1000)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    careful = optim.SkipNonFinite(optimizer, most=20 if how == "skip" else 0)
    loss_of = model if args.eager else tg.jit(model)
    names = ("length", "hidden", "updates", "lr", "seed")
    run = train.Run(
        args.out / f"{how.replace(' ', '_')}.safetensors", args.updates, resume=args.resume,
        label=f"{how:10}", settings={n: getattr(args, n) for n in names},
        model=model, optimizer=optimizer, data=data, careful=careful,
    )  # fmt: skip
    for _ in run:
        loss = loss_of(*batch(args.length, 50, data))
        optimizer.zero_grad()
        loss.backward()
        bound = BOUNDS["norm"] if how == "norm" else math.inf
        norm = optim.clip_grad_norm_(optimizer.params, bound, error_if_nonfinite=False)
        if how == "value":
            optim.clip_grad_value_(optimizer.params, BOUNDS["value"])
        run.log(loss=loss.item(), norm=norm)
        try:
            careful.step()
        except tg.AnomalyError:
            run.finish()
    with tg.no_grad():
        test = model(*batch(args.length, 2560, tg.Generator(args.seed + 2000))).item()
    ended = len(run.history["loss"]) < args.updates or not math.isfinite(test)
    return {"test": test, "skipped": careful.skipped, "ended": ended, **run.history}


def draw(args: Any, results: dict[str, Any]) -> None:
    """Gradient norms and losses of all runs; a cross where one ended."""
    with picture(
        args.out / "exploding_gradients.png", nrows=2, sharex=True, figsize=(9, 6.5)
    ) as axes:
        if axes is None:
            return
        for k, (how, r) in enumerate(results.items()):
            for ax, what in zip(axes, ("norm", "loss"), strict=True):
                n, y = smoothed(r[what], 400)
                wide = 4.0 if how == "none" else 1.2  # to be seen under "skip", the same so far
                ax.plot(n, y, lw=wide, ls=LINES[how], color=f"C{k}", label=how)
                if r["ended"]:
                    last = np.flatnonzero(np.isfinite(y))[-1]
                    top = min(y[last], 20) if what == "loss" else y[last]
                    ax.plot(n[last], top, "X", ms=8 + wide, color=f"C{k}")
        axes[0].set(xscale="log", yscale="log", ylabel="gradient norm before clipping")
        axes[1].set(yscale="log", ylim=(3e-3, 30), ylabel="mean squared error", xlabel="update")
        axes[1].axhline(BASELINE, color="black", lw=1, ls=(0, (5, 3)), label="always saying 1")
        axes[0].set_title("The same run, its gradient clipped in several ways; X: not finite")
        axes[1].legend(frameon=False, ncols=4, fontsize=8)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train all ways, print the table, draw."""
    p = options(__doc__, "exploding_gradients")
    p.add_argument("--length", type=int, default=40, help="steps T")
    p.add_argument("--hidden", type=int, default=64)
    p.add_argument("--updates", type=int, default=4000, help="of 50 series each")
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--ways", nargs="+", choices=list(BOUNDS), default=list(BOUNDS))
    args = p.parse_args(argv)
    at_least(p, args, 4, "length")
    if args.quick:
        args.updates, args.length = min(args.updates, 20), min(args.length, 20)
    writable(args.out)
    with np.errstate(all="ignore"):  # overflow is what this is about
        results = {how: train_one(args, how) for how in args.ways}
    rows = [("always saying 1", "", "", "", "", f"{BASELINE:.4f}")]
    for how, r in results.items():
        norms = np.asarray(r["norm"])
        largest = norms[np.isfinite(norms)].max(initial=0)
        end = f"ended at {len(norms) - 1}" if r["ended"] else "to the end"
        test = f"{r['test']:.4f}" if math.isfinite(r["test"]) else "not finite"
        rows.append((how, BOUNDS[how] or "", f"{largest:.2g}", r["skipped"], end, test))
    print(table(["clipped", "at", "largest norm", "not finite", "run", "squared error"], rows))
    draw(args, results)
    return written(args.out / "exploding_gradients.json", {"options": vars(args), "ways": results})


if __name__ == "__main__":
    go(main)
