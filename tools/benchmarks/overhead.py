"""Python's share of a compiled training step: guards, node, backward, clip, update; 12 parameters.

The textbook LSTM with eight matrices and four biases on a series so small that its
kernels take next to nothing; their time, taken inside the step, is subtracted.
"""

import argparse
import statistics
import time
from typing import Any

import numpy as np


def textbook() -> tuple[Any, Any]:
    """A jitted loss and its twelve parameters."""
    import tinygrad_rnn as tg

    I, H, B = 2, 4, 2
    rng = np.random.default_rng(0)
    shapes = [(I, H)] * 4 + [(H, H)] * 4 + [(H,)] * 4
    P = [tg.nn.Parameter((rng.standard_normal(s) / 2).astype("f")) for s in shapes]

    def loss(x: Any) -> Any:
        h = c = tg.zeros(B, H)
        out = []
        for x_t in x:
            i, f, g, o = (x_t @ P[k] + h @ P[4 + k] + P[8 + k] for k in range(4))
            c = tg.sigmoid(f) * c + tg.sigmoid(i) * tg.tanh(g)
            h = tg.sigmoid(o) * tg.tanh(c)
            out.append(h)
        return (tg.stack(out) ** 2).mean()

    return tg.jit(loss), P


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Median microseconds of Python and of kernels in a step."""
    import tinygrad_rnn as tg
    from tinygrad_rnn import optim

    tg.set_num_threads(1)
    fast, P = textbook()
    x, optimizer = tg.randn(5, 2, 2), optim.Adam(P, lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        fast(x).backward()
        optim.clip_grad_norm_(P, 1.0)
        optimizer.step()

    step()
    compiled, inside = fast._last.compiled, [0.0]
    backward = next(iter(compiled._backwards.values()))
    for runner in compiled.forward.runners + backward.part.runners:

        def timed(*a: Any, call: Any = runner.call) -> Any:
            before = time.perf_counter()
            done = call(*a)
            inside[0] += time.perf_counter() - before
            return done

        runner.call = timed
    python, kernels = [], []
    for _ in range(args.rounds):
        inside[0], before = 0.0, time.perf_counter()
        step()
        python.append(1e6 * (time.perf_counter() - before - inside[0]))
        kernels.append(1e6 * inside[0])
    return [{
        "parameters": len(P),
        "python us": statistics.median(python),
        "least us": min(python),
        "kernels us": statistics.median(kernels),
    }]  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """One line."""
    r = rows[0]
    return (
        f"{r['parameters']} parameters: Python {r['python us']:.0f} us a step (least "
        f"{r['least us']:.0f}), kernels {r['kernels us']:.0f} us"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench overhead`."""
    parser.add_argument("--rounds", type=int, default=1000)
