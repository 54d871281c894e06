"""Copy memory: repeat ten symbols after a long wait, with an orthogonal net and with gates.

A net reads 10 of 8 symbols, T - 1 blanks, a signal and 10 blanks, and must then say the ten
(Hochreiter and Schmidhuber 1997, in the form of Arjovsky, Shah and Bengio, ICML 2016). Without
memory the best is a guess: cross entropy 10 ln 8 / (T + 20) a step. The orthogonal net is a loop of
our own that never shrinks its state: every update leads its matrix back to the orthogonal ones.

    python examples/copy_memory.py [--delay T] [--resume] [--quick] [--out FOLDER]
"""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import descend, go, options, picture, smoothed, table, writable, written

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train

SYMBOLS, LENGTH = 8, 10
GUESSING = LENGTH * math.log(SYMBOLS)  # cross entropy of a whole series, without memory
# Bai, Kolter and Koltun 2018: 10 symbols of 8, T = 1000
PUBLISHED = {"LSTM": 0.0204, "GRU": 0.0197, "RNN": 0.0202, "TCN": 3.5e-5}


class Orthogonal(nn.Module):
    """z = W x + U h,  h' = sign(z) relu(|z| + b): Arjovsky's modReLU over a real orthogonal U."""

    def __init__(self, inputs: int, hidden: int, generator: tg.Generator):
        self.hidden = hidden
        self.W = nn.Linear(inputs, hidden, bias=False, generator=generator)
        self.U = nn.Linear(hidden, hidden, bias=False, generator=generator)
        nn.init.orthogonal_(self.U.weight, generator=generator)
        self.b = nn.Parameter(np.zeros(hidden, np.float32))

    def forward(self, x: Any) -> Any:
        h, states = tg.zeros(x.shape[1], self.hidden), []
        for x_t in x:
            z = self.W(x_t) + self.U(h)
            h = tg.sign(z) * tg.relu(tg.abs(z) + self.b)
            states.append(h)
        return tg.stack(states), h

    def project(self) -> None:
        """One step of Newton and Schulz towards the nearest orthogonal matrix."""
        U = self.U.weight.numpy()
        self.U.weight.assign_(1.5 * U - 0.5 * U @ U.T @ U)


class Copier(nn.Module):
    """A recurrent net and a linear read-out at every step."""

    def __init__(self, name: str, generator: tg.Generator):
        kinds = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM, "orthogonal": Orthogonal}
        hidden = 96 if name in ("rnn", "orthogonal") else 64
        self.net = kinds[name](SYMBOLS + 2, hidden, generator=generator)
        self.head = nn.Linear(hidden, SYMBOLS + 1, generator=generator)

    def forward(self, x: Any) -> Any:
        return self.head(self.net(x)[0])


# cosine to 0 from these rates; tried for each: 3e-4, 1e-3, 5e-3 over 8,000 updates at T = 50
RATES = {"rnn": 1e-3, "gru": 5e-3, "lstm": 5e-3, "orthogonal": 1e-3}


def batch(T: int, N: int, g: tg.Generator) -> tuple[tg.Tensor, tg.Tensor]:
    """One-hot inputs (T + 20, N, 10) and the symbols to say (T + 20, N), 0 for nothing."""
    symbols = 1 + (g.uniform((LENGTH, N)) * SYMBOLS).astype(int)
    x, y = np.zeros((2, T + 2 * LENGTH, N), int)
    x[:LENGTH], x[T + LENGTH - 1], y[-LENGTH:] = symbols, SYMBOLS + 1, symbols
    return tg.tensor(np.eye(SYMBOLS + 2, dtype=np.float32)[x]), tg.tensor(y)


def train_one(args: Any, name: str) -> dict[str, Any]:
    """Train one net; its losses, and its cross entropy and accuracy on 1,000 new series."""
    g, start = tg.Generator(args.seed), time.perf_counter()
    model, data = Copier(name, g), tg.Generator(args.seed + 1000)
    optimizer = optim.Adam(model.parameters(), lr=RATES[name])
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.updates)

    def mean_loss(x: Any, y: Any) -> Any:
        return nn.cross_entropy(model(x).reshape(-1, SYMBOLS + 1), y.reshape(-1))

    loss_of = mean_loss if args.eager else tg.jit(mean_loss)
    run = train.Run(
        args.out / f"{name}.safetensors", args.updates, resume=args.resume, label=name,
        settings={"delay": args.delay, "updates": args.updates, "seed": args.seed},
        model=model, optimizer=optimizer, schedule=schedule, data=data,
    )  # fmt: skip
    for _ in run:
        loss = loss_of(*batch(args.delay, 20, data))
        norm = descend(loss, optimizer, schedule)
        if name == "orthogonal":
            model.net.project()
        run.log(loss=loss.item(), norm=norm)
    with tg.no_grad():
        x, y = batch(args.delay, 1000, tg.Generator(args.seed + 2000))
        said = model(x)
        test = nn.cross_entropy(said.reshape(-1, SYMBOLS + 1), y.reshape(-1)).item()
    right = float((said.numpy()[-LENGTH:].argmax(-1) == y.numpy()[-LENGTH:]).mean())
    return {"test": test, "right": right, "seconds": time.perf_counter() - start, **run.history}


def draw(out: Path, results: dict[str, Any], baseline: float) -> None:
    """The losses of all nets, and what a net without memory reaches at best."""
    with picture(out / "copy_memory.png") as ax:
        if ax is None:
            return
        for (name, r), ls in zip(results.items(), ["-", "--", "-.", ":"], strict=False):
            ax.plot(*smoothed(r["loss"]), ls=ls, label=name)
        ax.axhline(baseline, color="black", lw=1, ls=(0, (5, 3)), label="without memory")
        ax.set(yscale="log", xlabel="update", ylabel="cross entropy a step", title="Copy memory")
        ax.legend(frameon=False)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train all nets, print the table, draw."""
    p = options(__doc__, "copy_memory")
    p.add_argument("--delay", type=int, default=50, help="steps T between reading and saying")
    p.add_argument("--updates", type=int, default=12_000, help="of 20 series each")
    p.add_argument("--nets", nargs="+", choices=list(RATES), default=list(RATES)[::-1])
    args = p.parse_args(argv)
    if args.quick:
        args.updates, args.delay = min(args.updates, 20), min(args.delay, 10)
    writable(args.out)
    results = {name: train_one(args, name) for name in args.nets}
    baseline = GUESSING / (args.delay + 2 * LENGTH)
    rows = [("without memory", args.delay, f"{baseline:.3g}", "1", "12.5 %", "")]
    for name, r in results.items():
        share, right = f"{r['test'] / baseline:.2g}", f"{100 * r['right']:.1f} %"
        rows.append((name, args.delay, f"{r['test']:.3g}", share, right, f"{r['seconds']:.0f}"))
    for name, loss in PUBLISHED.items():
        share = f"{loss * 1020 / GUESSING:.2g}"
        rows.append((f"{name}, Bai et al. 2018", 1000, f"{loss:.3g}", share, "", ""))
    print(table(["net", "T", "cross entropy", "of guessing", "symbols right", "s"], rows))
    draw(args.out, results, baseline)
    result = {"options": vars(args), "guessing": baseline, "nets": results}
    return written(args.out / "copy_memory.json", result)


if __name__ == "__main__":
    go(main)
