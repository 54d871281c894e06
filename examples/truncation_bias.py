"""Truncated backpropagation has a bias: a gradient of the wrong sign, and training that runs away.

Influence balancing (Tallec and Ollivier, arXiv:1702.05043): x <- A x + theta s with n = 23 units, A
half of (1 + upper shift), s = +1 ten times and -1 thirteen times, and a loss (x_0 - 1)^2 / 2 at
every step. What theta does to x_0 comes first through the +1s and late through the -1s: in truth
the derivative of x_0 is -6, but whoever looks back 40 steps or fewer sees a positive one. The sign
is right from 41 on, the value from about 80, and training with `train.tbptt(k1=1, k2=K)` goes away
from the optimum theta = -1/6 or comes to it accordingly.

    python examples/truncation_bias.py [--steps N] [--lr LR] [--resume] [--out FOLDER]
"""

from typing import Any

import numpy as np
from _common import at_least, go, options, picture, table, writable, written

import tinygrad_rnn as tg
from tinygrad_rnn import optim, train

N, PLUS, EXACT = 23, 10, -6.0
A = 0.5 * (np.eye(N) + np.eye(N, k=1))
S = np.where(np.arange(N) < PLUS, 1.0, -1.0)
THETA = 0.5  # at first
LOST = 1e3  # a theta this large does not come back


def truncated(K: int) -> float:
    """d x_0 / d theta through the last K steps: the sum of (A^j s)_0 for j < K."""
    total, v = 0.0, S
    for _ in range(K):
        total, v = total + v[0], A @ v
    return float(total)


def recurrence(theta: tg.Tensor, loss_of: Any) -> Any:
    """`run` for `train.tbptt`: the steps of a part, the sum of their losses, and the state."""
    matrix, signs = tg.tensor(A), tg.tensor(S)

    def run(part: Any, x: Any) -> Any:
        loss = 0.0
        for _ in range(part.shape[0]):
            x = matrix @ x + theta * signs
            loss = loss + loss_of(x[0])
        return loss, x

    return run


def by_tape(K: int, eager: bool) -> float:
    """The same derivative as `train.tbptt` gives it, after 2 K steps."""
    theta = tg.tensor(np.array(THETA), requires_grad=True)
    run = recurrence(theta, lambda x_0: x_0)
    run = run if eager else tg.jit(run)
    for window in train.tbptt(run, np.zeros((2 * K, 1)), tg.tensor(np.zeros(N)), 1, K):
        last = window.loss
    last.backward()
    return theta.grad.item()


def learn(K: int, args: Any, log: Any) -> float:
    """Train theta on a stream, one update a step; its last value."""
    theta = tg.tensor(np.array(THETA), requires_grad=True)
    optimizer = optim.SGD([theta], lr=args.lr)
    run = recurrence(theta, lambda x_0: (x_0 - 1) ** 2 / 2)
    run = run if args.eager else tg.jit(run)
    start = tg.tensor(np.linalg.solve(np.eye(N) - A, THETA * S))  # at rest: no transient
    for window in train.tbptt(run, np.zeros((args.steps, 1)), start, 1, K):
        optimizer.zero_grad()
        window.loss.backward()
        optimizer.step()
        log(**{f"loss {K}": window.loss.item(), f"theta {K}": theta.item()})
        if not abs(theta.item()) < LOST:
            break
    return theta.item()


def draw(args: Any, history: dict[str, Any], longest: int) -> None:
    """The derivative by K, and the losses over the updates."""
    with picture(args.out / "truncation_bias.png", ncols=2, figsize=(11, 4.5)) as axes:
        if axes is None:
            return
        reach = np.arange(1, longest + 1)
        left, right = axes
        left.plot(reach, [truncated(int(k)) for k in reach], lw=1.6)
        left.axhline(EXACT, color="black", lw=1, ls=(0, (5, 3)), label="in truth: -6")
        left.axhline(0, color="gray", lw=0.8)
        left.axvline(40.5, color="C3", lw=1, ls=":", label="the sign changes at 41")
        left.set(xlabel="steps back, K", ylabel="d x_0 / d theta, truncated")
        for k, style in zip(args.truncations, ["-", "--", "-.", ":"] * 9, strict=False):
            right.plot(history[f"loss {k}"], ls=style, lw=1.4, label=f"K = {k}")
        right.set(yscale="log", ylim=(1e-8, 1e6), xlabel="update", ylabel="loss")
        left.set_title("Looking back K steps")
        right.set_title("Training on the gradient of K steps")
        for ax in axes:
            ax.legend(frameon=False, fontsize=8)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Derivatives and trainings for every K: the table, the picture."""
    p = options(__doc__, "truncation_bias")
    p.add_argument("--truncations", type=int, nargs="+", default=[1, 10, 20, 40, 41, 45, 60, 80])
    p.add_argument("--steps", type=int, default=4000, help="of the stream, an update each")
    p.add_argument("--lr", type=float, default=1e-4)
    args = p.parse_args(argv)
    at_least(p, args, 1, "truncations", "steps")
    if args.quick:
        args.steps = min(args.steps, 60)
    writable(args.out)
    names = ("truncations", "steps", "lr")
    run = train.Run(
        args.out / "truncation_bias.safetensors", len(args.truncations), resume=args.resume,
        every=1, settings={n: getattr(args, n) for n in names}, label="truncations",
    )  # fmt: skip
    for k in run:
        K = args.truncations[k]
        theta = learn(K, args, run.log)
        run.log(theta=theta, derivative=by_tape(K, args.eager))
    rows = []
    for k, K in enumerate(args.truncations):
        theta, slope = run.history["theta"][k], run.history["derivative"][k]
        loss = run.history[f"loss {K}"][-1]
        away = not abs(theta - 1 / EXACT) < abs(THETA - 1 / EXACT)
        how = "diverges" if away else "converges"
        if len(run.history[f"loss {K}"]) < 5 * K and abs(theta) < LOST:
            how = "too short"  # the first windows do not reach back K steps
        sign = "right" if slope * EXACT > 0 else "wrong"
        rows.append(
            (K, f"{truncated(K):.6f}", f"{slope:.6f}", sign, f"{theta:.4g}", f"{loss:.2g}", how)
        )
    rows.append(("all", f"{EXACT:.6f}", "", "", f"{1 / EXACT:.4g}", "0", ""))
    print(table(["K", "by formula", "by tbptt", "sign", "theta", "loss", "training"], rows))
    draw(args, run.history, max(100, *args.truncations))
    figures = {"options": vars(args), "exact": EXACT, **run.history}
    return written(args.out / "truncation_bias.json", figures)


if __name__ == "__main__":
    go(main)
