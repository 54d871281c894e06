"""Seconds until the first gradient of a plain LSTM loop is there, against the number of steps.

Ours under `tg.jit`: on a machine where nothing of the package was ever compiled, with
an empty cache of loops, and with a warm one; JAX's jit on the unrolled loop;
`torch.compile` on the same loop. Each first pass in a fresh process.
Slow: the peers' time grows with the steps.
"""

import argparse
import os
import tempfile
import time
from typing import Any
from unittest import mock

from tqdm import tqdm

from .loops import data, states, weights
from .timing import Worker

SIZE = (8, 1, 32)


def _first(make: Any) -> Any:
    """A run that times itself once: building, compiling and the first pass."""

    def run() -> list[float]:
        before = time.perf_counter()
        make()()
        return [time.perf_counter() - before]

    return run


def ours(T: int) -> Any:
    """`tg.jit`; the import and the record of the series are not counted."""
    import tinygrad_rnn as tg
    from tinygrad_rnn.kernels import products  # noqa: F401

    from .contenders import jitted

    tg.set_num_threads(1)
    return _first(lambda: jitted(1, "LSTM", T, *SIZE))


def jax_unrolled(T: int) -> Any:
    """JAX's jit on the same Python loop."""
    from types import SimpleNamespace

    import jax
    import jax.numpy as jnp

    f = SimpleNamespace(
        tanh=jnp.tanh, sigmoid=jax.nn.sigmoid, linear=lambda x, W, b: x @ W.T + b,
        chunk=lambda x, n: jnp.split(x, n, 1),
    )  # fmt: skip
    B, I, H = SIZE
    w, zero = [jnp.array(a) for a in weights("LSTM", I, H)], jnp.zeros((B, H))
    x = jnp.array(data(T, B, I))
    slope = jax.jit(
        jax.grad(lambda w: (jnp.stack(states(f, "LSTM", x, w, zero, zero)) ** 2).mean())
    )
    return _first(lambda: lambda: jax.block_until_ready(slope(w)))


def torch_compiled(T: int) -> Any:
    """`torch.compile` on the same Python loop."""
    from types import SimpleNamespace

    import torch

    f = SimpleNamespace(
        tanh=torch.tanh, sigmoid=torch.sigmoid, linear=torch.nn.functional.linear,
        chunk=lambda x, n: x.chunk(n, 1),
    )  # fmt: skip
    B, I, H = SIZE
    w = [torch.tensor(a, requires_grad=True) for a in weights("LSTM", I, H)]
    x, zero = torch.tensor(data(T, B, I)), torch.zeros(B, H)
    fast = torch.compile(lambda x: (torch.stack(states(f, "LSTM", x, w, zero, zero)) ** 2).mean())
    return _first(lambda: lambda: fast(x).backward())


def seconds(make: Any, T: int) -> float:
    """Seconds in a fresh process; NaN if it cannot be run there."""
    worker = Worker(make)
    try:
        return float(worker.make(T)[0])
    except EOFError:
        return float("nan")
    finally:
        worker.process.terminate()


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One record a length and library."""
    rows = []
    for T in tqdm([int(t) for t in args.lengths.split(",")], disable=None):
        row: dict[str, Any] = {"steps": T}
        with tempfile.TemporaryDirectory() as folder:
            new = {"TINYGRAD_RNN_CACHE": f"{folder}/a", "NUMBA_CACHE_DIR": f"{folder}/numba"}
            with mock.patch.dict(os.environ, new):
                row["ours, new machine"] = seconds(ours, T)
            with mock.patch.dict(os.environ, {"TINYGRAD_RNN_CACHE": f"{folder}/b"}):
                row["ours, cold"] = seconds(ours, T)
                row["ours, warm"] = seconds(ours, T)
        if args.longest >= T:
            row["jax, unrolled"] = seconds(jax_unrolled, T)
            row["torch.compile"] = seconds(torch_compiled, T)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, seconds."""
    names = ["ours, new machine", "ours, cold", "ours, warm", "jax, unrolled", "torch.compile"]
    lines = ["| steps | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for r in rows:
        cells = [f"{r[n]:.2f}" if n in r else "not run" for n in names]
        lines.append(f"| {r['steps']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench compile`."""
    parser.add_argument("--lengths", default="10,20,100,1000")
    parser.add_argument("--longest", type=int, default=20, help="most steps for the peers")
