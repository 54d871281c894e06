"""Vanishing gradients: how far back nets carry a gradient, and how far back they learn to look.

"A plain recurrent net looks back 8 to 10 steps" is a rule of thumb; here it is put to the test,
twice. First new nets: the norm of dL/d(state) k steps before a loss at the last step of 100,
relative to its norm there, on random inputs (geometric mean of five seeds); the table gives the
half-life and the k from which on less than 1 % arrives. Then what follows: the nets learn to repeat
at the end the sign of their first input, k steps back, the steps between being noise, all with the
same few updates; the table gives the share of signs that are right (half by chance).

    rnn         tanh, all weights uniform in +-1/sqrt(H): the default of PyTorch and of this library
    irnn        rectified linear, no bias, the identity as its matrix (Le et al., arXiv:1504.00941)
    orthogonal  tanh, an orthogonal recurrent matrix (Saxe et al., arXiv:1312.6120)
    lstm, gru   gated; the LSTM with a forget bias of 1 (Jozefowicz et al., ICML 2015)

    python examples/vanishing_gradients.py [--lags K ...] [--resume] [--out FOLDER]
"""

from typing import Any

import numpy as np
from _common import at_least, go, options, picture, table, writable, written

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train

T, N = 100, 32
NETS = {"rnn": "-", "irnn": "--", "orthogonal": "-.", "lstm": ":", "gru": (0, (5, 1))}  # lines


class Net(nn.Module):
    """One of the nets, and a read-out of its last state."""

    def __init__(self, kind: str, hidden: int, g: tg.Generator):
        relu = {"nonlinearity": "relu", "bias": False} if kind == "irnn" else {}
        bias = {"forget_bias": 1.0} if kind == "lstm" else {}
        make = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}.get(kind, nn.RNNCell)
        self.cell = make(1, hidden, generator=g, **relu, **bias)
        self.head = nn.Linear(hidden, 1, generator=g)
        if kind == "irnn":
            nn.init.identity_(self.cell.weight_hh)
        if kind == "orthogonal":
            nn.init.orthogonal_(self.cell.weight_hh, 1.0, g)

    def states(self, x: Any) -> list[Any]:
        """The state after each step, of an LSTM (h, c)."""
        h = tg.zeros(x.shape[1], self.cell.hidden_size)
        state, found = (h, h) if isinstance(self.cell, nn.LSTMCell) else h, []
        for x_t in x:
            state = self.cell(x_t, state)
            found.append(state)
        return found

    def forward(self, x: Any) -> Any:
        last = self.states(x)[-1]
        return self.head(last[0] if isinstance(last, tuple) else last)[:, 0]


def carried(kind: str, hidden: int, seed: int) -> Any:
    """|dL/d(state)| by lag from the last step back, 1 there; of a new net."""
    g = tg.Generator(seed)
    net, x = Net(kind, hidden, g), tg.tensor(g.normal((T, N, 1)))
    parts = [s if isinstance(s, tuple) else (s,) for s in net.states(x)]  # h and c: one state
    loss = (parts[-1][0] * tg.tensor(g.normal((N, hidden)))).sum()
    flat = [p for state in parts[:-1] for p in state] + [parts[-1][0]]
    grads = [float((d.numpy() ** 2).sum()) for d in tg.grad(loss, flat)]
    k = len(parts[0])
    norms = [sum(grads[k * t : k * t + k]) ** 0.5 for t in range(T - 1)] + [grads[-1] ** 0.5]
    return np.array(norms[::-1]) / norms[-1]


def learned(args: Any, kind: str, lag: int) -> float:
    """The share of signs repeated rightly after the training, `lag` steps after they were seen."""
    g = tg.Generator(args.seed)
    net = Net(kind, args.hidden, g)

    def batch(n: int) -> Any:
        x = g.normal((lag + 1, n, 1)) * np.float32(0.3)
        x[0] = np.where(g.uniform((n, 1)) < 0.5, -1, 1)
        return tg.tensor(x), tg.tensor(x[0, :, 0])

    model, optimizer = net if args.eager else tg.jit(net), optim.Adam(net.parameters(), lr=args.lr)
    for _ in range(args.updates):
        optimizer.zero_grad()
        x, y = batch(N)
        nn.mse_loss(model(x), y).backward()
        optim.clip_grad_norm_(optimizer.params, 1.0)
        optimizer.step()
    with tg.no_grad():
        x, y = batch(1000)
        return float((net(x).numpy() * y.numpy() > 0).mean())


def reach(norms: Any, share: float) -> str:
    """The first lag at which no more than `share` of the gradient is left, from there on."""
    below = np.flatnonzero(norms[::-1] > share)[0]
    return f"{len(norms) - below}" if below else f"> {len(norms) - 1}"


def draw(args: Any, curves: dict[str, Any], scores: dict[str, Any]) -> None:
    """Norms and scores by lag."""
    with picture(args.out / "vanishing_gradients.png", ncols=2, figsize=(11, 4.5)) as axes:
        if axes is None:
            return
        left, right = axes
        for kind in args.nets:
            left.plot(curves[kind], ls=NETS[kind], lw=1.6, label=kind)
            right.plot(args.lags, scores[kind], ls=NETS[kind], lw=1.6, marker="o", ms=4)
        left.axvspan(8, 10, color="gray", alpha=0.3, lw=0, label="8 to 10 steps")
        left.set(yscale="log", ylim=(1e-8, 1e2), xlabel="steps back", ylabel="|dL/d state|, new")
        right.set(xlabel="steps from input to answer", ylabel="share right, trained")
        left.legend(frameon=False, fontsize=8, ncols=3, loc="upper right")


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Measure, train, print the table, draw."""
    p = options(__doc__, "vanishing_gradients")
    p.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    p.add_argument("--lags", type=int, nargs="+", default=[5, 10, 20, 40, 80])
    p.add_argument("--hidden", type=int, default=64, help="units H")
    p.add_argument("--updates", type=int, default=500, help="of 32 series each")
    p.add_argument("--lr", type=float, default=2e-3)
    args = p.parse_args(argv)
    at_least(p, args, 1, "lags")
    if args.quick:
        args.updates, args.lags = min(args.updates, 5), args.lags[:2]
    writable(args.out)
    each = {k: [carried(k, args.hidden, args.seed + s) for s in range(5)] for k in args.nets}
    curves = {k: np.exp(np.mean(np.log(np.maximum(v, 1e-30)), axis=0)) for k, v in each.items()}
    jobs = [(k, lag) for k in args.nets for lag in args.lags]
    names = ("nets", "lags", "hidden", "updates", "lr", "seed")
    run = train.Run(
        args.out / "vanishing_gradients.safetensors", len(jobs), resume=args.resume, every=1,
        settings={n: getattr(args, n) for n in names}, label="nets",
    )  # fmt: skip
    for n in run:
        run.log(right=learned(args, *jobs[n]))
    right = run.history["right"]
    scores = {k: [r for j, r in zip(jobs, right, strict=True) if j[0] == k] for k in args.nets}
    heads = ["net", "half-life", "1 % left", *(f"right at {lag}" for lag in args.lags)]
    rows = [
        (k, reach(curves[k], 0.5), reach(curves[k], 0.01), *(f"{100 * r:.0f} %" for r in scores[k]))
        for k in args.nets
    ]
    print(table(heads, rows))
    draw(args, curves, scores)
    figures = {"norms": {k: v.tolist() for k, v in curves.items()}, "right": scores}
    return written(args.out / "vanishing_gradients.json", {"options": vars(args), **figures})


if __name__ == "__main__":
    go(main)
