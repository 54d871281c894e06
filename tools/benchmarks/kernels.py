"""Each kernel beside the NumPy calls it replaces: the figures in the kernels' comments."""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .timing import interleave, medians, ratios


def contenders() -> dict[str, dict[str, Callable[[], Any]]]:
    """Rows of the table: a name, ours, NumPy's."""
    from tinygrad_rnn import optim
    from tinygrad_rnn.kernels import gemm, philox, pointwise, rows, scatter, update

    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype("float32")

    big, small = draw(64, 512), draw(1, 16)
    out, one = np.empty_like(big), np.empty(64, "float32")
    target = rng.integers(0, 512, 64)
    table, index, looked_up = draw(1000, 64), rng.integers(0, 1000, 512), draw(512, 64)
    y = pointwise.sigmoid(big)
    x, W, b = draw(32, 128), draw(512, 128), draw(512)
    W_T = np.ascontiguousarray(W.T)
    xs, gs = [draw(32, 128) for _ in range(100)], [draw(32, 512) for _ in range(100)]
    shapes = [(512, 128), (512, 64), (512,), (512,)] * 3
    adam = [(draw(*s), draw(*s), draw(*s), abs(draw(*s))) for s in shapes]
    p, g, *moments = (list(column) for column in zip(*adam, strict=True))
    step = update.Update(optim.Adam.rule)
    numbers = [[1.0, 0.0, 1.0, 1e-9, 0.9, 0.1, 0.999, 0.001, 1.0, 1e-8]]
    key = np.array([1, 2], np.uint64)
    generator = np.random.Generator(np.random.Philox(0))

    def softmax_numpy() -> Any:
        e = np.exp(big - big.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def log_sum_exp_numpy() -> Any:
        m = big.max(1, keepdims=True)
        return m[:, 0] + np.log(np.exp(big - m).sum(1))

    def cross_entropy_numpy() -> Any:
        p = softmax_numpy()
        p[np.arange(64), target] -= 1
        p *= one[:, None]
        return p

    def normalize_numpy() -> Any:
        wide = big - big.mean(1, keepdims=True)
        return wide / np.sqrt((wide * wide).mean(1, keepdims=True) + np.float32(1e-5))

    def normalize_vjp_numpy() -> Any:
        scale = 1 / np.sqrt(big.var(1, keepdims=True) + np.float32(1e-5))
        inner = big - big.mean(1, keepdims=True) - y * (big * y).mean(1, keepdims=True)
        return scale * inner

    def adam_numpy() -> None:
        for p, g, m, v in adam:
            m *= np.float32(0.9)
            m += np.float32(0.1) * g
            v *= np.float32(0.999)
            v += np.float32(0.001) * g * g
            p -= np.float32(1e-9) * m / (np.sqrt(v) + np.float32(1e-8))

    def adam_ours() -> None:
        assert step.fits(p, g, moments)
        step.run(p, g, moments, numbers)

    def products_numpy() -> Any:
        total = gs[0].T @ xs[0]
        for g, a in zip(gs[1:], xs[1:], strict=True):
            total += g.T @ a
        return total

    def add_at() -> None:
        np.add.at(table, index, looked_up)

    return {
        "sigmoid 64x512": {
            "ours": lambda: pointwise.sigmoid(big),
            "numpy": lambda: 1 / (1 + np.exp(-big)),
        },
        "sigmoid 1x16": {
            "ours": lambda: pointwise.sigmoid(small),
            "numpy": lambda: 1 / (1 + np.exp(-small)),
        },
        "sigmoid vjp 64x512": {
            "ours": lambda: pointwise.sigmoid_vjp(big, y),
            "numpy": lambda: big * (y * (1 - y)),
        },
        "softmax 64x512": {"ours": lambda: rows.softmax(big, out), "numpy": softmax_numpy},
        "logsumexp 64x512": {"ours": lambda: rows.logsumexp(big, one), "numpy": log_sum_exp_numpy},
        "cross entropy vjp 64x512": {
            "ours": lambda: rows.cross_entropy_vjp(one, big, target, out),
            "numpy": cross_entropy_numpy,
        },
        "layer norm 64x512": {
            "ours": lambda: rows.normalize(big, np.float32(1e-5), out),
            "numpy": normalize_numpy,
        },
        "layer norm vjp 64x512": {
            "ours": lambda: rows.normalize_vjp(big, y, big, np.float32(1e-5), out),
            "numpy": normalize_vjp_numpy,
        },
        "scatter 512 rows of 64": {
            "ours": lambda: scatter.add_rows(table, index, looked_up),
            "numpy": add_at,
        },
        "x @ W.T, 32x128x512": {
            "ours": lambda: gemm.linear(x, W, b),
            "numpy": lambda: x @ W.T + b,
        },
        "x @ W, 32x128x512": {"ours": lambda: gemm.dot(x, W_T), "numpy": lambda: x @ W_T},
        "sum of 100 products": {
            "ours": lambda: gemm.sum_of_products(tuple(gs), tuple(xs)),
            "numpy": products_numpy,
        },
        "Adam, 12 parameters": {"ours": adam_ours, "numpy": adam_numpy},
        "norm, 12 gradients": {
            "ours": lambda: update.norm([a[1] for a in adam]),
            "numpy": lambda: np.sqrt(sum(float(np.sum(a[1] * a[1])) for a in adam)),
        },
        "uniform 64x512": {
            "ours": lambda: philox.uniform(key, (64, 512), "float32"),
            "numpy": lambda: generator.random((64, 512), "float32"),
        },
    }


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time every row."""
    found = []
    start = time.perf_counter()
    for name, pair in contenders().items():
        repeated = {k: (lambda fn=fn: [fn() for _ in range(20)]) for k, fn in pair.items()}
        times = interleave(repeated, args.rounds, args.seconds)
        us = {k: 1e3 * v / 20 for k, v in medians(times).items()}
        found.append({"kernel": name, "us": us, "ratio": ratios(times, "ours")["numpy"]})
    print(f"{time.perf_counter() - start:.0f} s, compilation included")
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = ["| kernel | ours, us | NumPy, us | NumPy / ours |", "|---|---|---|---|"]
    for r in rows:
        us = r["us"]
        lines.append(f"| {r['kernel']} | {us['ours']:.1f} | {us['numpy']:.1f} | {r['ratio']:.1f} |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench kernels`."""
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=5, help="at most this long a row")
