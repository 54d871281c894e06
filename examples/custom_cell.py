"""A recurrent cell of your own in ten lines: gradient check, then training.

The cell is a bank of driven, damped, coupled oscillators (the coRNN of Rusch and
Mishra, ICLR 2021), which no framework ships. Positions y and velocities z:

    z' = z + dt (tanh(W x + U y + b) - gamma y - eps z),   y' = y + dt z'

It learns the adding problem: a series of numbers in [0, 1] of which two are marked;
the answer is their sum. Saying 1 every time has a mean squared error of 1/6.

    python examples/custom_cell.py [--resume] [--quick] [--out FOLDER]
"""

from pathlib import Path
from typing import Any

import numpy as np
from _common import adding, descend, go, options, picture, writable, written

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train as training
from tinygrad_rnn.testing import gradcheck

ALWAYS_ONE = 1 / 6


class Oscillators(nn.Module):
    """State (y, z), positions and velocities; all of the cell is here."""

    def __init__(self, inputs: int, hidden: int):
        self.W, self.U = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
        self.dt, self.gamma, self.eps = 0.3, 1.0, 0.5

    def forward(self, x: Any, state: Any) -> Any:
        y, z = state
        z = z + self.dt * (tg.tanh(self.W(x) + self.U(y)) - self.gamma * y - self.eps * z)
        return y + self.dt * z, z


class Adder(nn.Module):
    """The cell over a series (T, N, 2), then a linear read-out of the last position."""

    def __init__(self, hidden: int):
        self.hidden = hidden
        self.cell, self.head = Oscillators(2, hidden), nn.Linear(hidden, 1)

    def forward(self, series: Any) -> Any:
        rest = tg.zeros(series.shape[1], self.hidden, dtype=series.dtype)
        state = (rest, rest)
        for x in series:
            state = self.cell(x, state)
        return self.head(state[0])[:, 0]


def batch(T: int, N: int, g: tg.Generator) -> tuple[tg.Tensor, tg.Tensor]:
    """Series (T, N, 2) of numbers and marks, one mark in each half, and sums (N,)."""
    numbers = g.uniform((T, N))
    first = (g.uniform((N,)) * (T // 2)).astype(int)
    second = T // 2 + (g.uniform((N,)) * (T - T // 2)).astype(int)
    return adding(numbers, (first, second))


def check() -> None:
    """The gradients of the whole loop, shared weights included, by finite differences."""
    model = Adder(3).astype("float64")
    x = tg.tensor(tg.randn(4, 2, 2, dtype=np.float64).numpy(), requires_grad=True)
    gradcheck(model, x)
    weight = model.cell.U.weight
    values = tg.tensor(weight.numpy(), requires_grad=True)

    def through_the_shared_weight(w: Any) -> Any:
        model.cell.U.weight = w
        return model(x)

    gradcheck(through_the_shared_weight, values)


def train(args: Any) -> list[float]:
    """Mean squared error of every update's fresh batch."""
    g, model = tg.Generator(args.seed), Adder(args.hidden)
    optimizer = optim.Adam(model.parameters(), lr=2e-2)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.updates)

    def squared_error(series: Any, sums: Any) -> Any:
        return nn.mse_loss(model(series), sums)

    loss_of = squared_error if args.eager else tg.jit(squared_error)
    run = training.Run(
        args.out / "custom_cell.safetensors", args.updates, resume=args.resume,
        settings={n: getattr(args, n) for n in ("length", "updates", "hidden", "seed")},
        model=model, optimizer=optimizer, schedule=schedule, data=g,
    )  # fmt: skip
    for _ in run:
        loss = loss_of(*batch(args.length, 50, g))
        norm = descend(loss, optimizer, schedule)
        run.log(loss=loss.item(), norm=norm)
    return run.history["loss"]


def draw(losses: list[float], path: Path) -> None:
    """The training curve beside what a constant answer reaches."""
    with picture(path, figsize=(8, 4)) as ax:
        if ax is None:
            return
        ax.plot(losses, lw=0.8, color="tab:blue", label="oscillators")
        ax.axhline(ALWAYS_ONE, color="black", ls="--", lw=1, label="always saying 1")
        ax.set(yscale="log", xlabel="update", ylabel="mean squared error")
        ax.set_title("The adding problem")
        ax.legend(frameon=False)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Check, train, report."""
    p = options(__doc__, "custom_cell")
    p.add_argument("--length", type=int, default=30, help="steps in a series")
    p.add_argument("--updates", type=int, default=1500)
    p.add_argument("--hidden", type=int, default=32)
    args = p.parse_args(argv)
    if args.quick:
        args.updates = min(args.updates, 5)
    writable(args.out)
    tg.manual_seed(args.seed)
    check()
    print("gradients of the loop and of the shared weight agree with finite differences")
    losses = train(args)
    final = float(np.mean(losses[-20:]))
    print(f"mean squared error {final:.4f}; always saying 1 has {ALWAYS_ONE:.4f}")
    result = {"losses": losses, "final": final, "always_one": ALWAYS_ONE, "length": args.length}
    draw(losses, args.out / "custom_cell.png")
    return written(args.out / "custom_cell.json", result)


if __name__ == "__main__":
    go(main)
