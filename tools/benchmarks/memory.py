"""Memory and time of one long LSTM loop: whole, recomputed in segments, and truncated.

Forward and backward of the sum of squares of all states, float32, one thread; PyTorch's loop
with and without `torch.utils.checkpoint` beside ours. Each in a process of its own. Memory is the
peak of its resident set in the first pass above what was there with the series made and all
warm (under `tg.jit` that includes recording the loop); seconds are the processor's, the least
of a few later passes.
"""

import argparse
import gc
import math
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from tqdm import tqdm

from .loops import data, weights
from .timing import Worker

Pass = Callable[[Any], Any]


def peak(reset: bool = False) -> float:
    """The largest resident set so far, in MB; `reset` begins anew (Linux)."""
    if reset:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    with open("/proc/self/status") as file:
        return int(file.read().split("VmHWM:")[1].split()[0]) / 1024


def measured(once: Pass, x: Any, repeats: int) -> list[np.ndarray]:
    """Peak MB of the first pass above what was there before, and seconds of the fastest later."""
    once(x[:100])
    gc.collect()
    before = peak(reset=True)
    once(x)
    most, seconds = peak() - before, []
    for _ in range(repeats):
        start = time.process_time()
        once(x)
        seconds.append(time.process_time() - start)
    return [np.array([most, min(seconds)])]


def lstm(f: SimpleNamespace, w: Any, x: Any, state: Any) -> tuple[Any, Any]:
    """The steps of x: the sum of squares of the states, and the last state."""
    W, U, b, d = w
    (h, c), loss = state, 0.0
    for x_t in x:
        i, u, g, o = f.chunk(f.linear(x_t, W, b) + f.linear(h, U, d), 4)
        c = f.sigmoid(u) * c + f.sigmoid(i) * f.tanh(g)
        h = f.sigmoid(o) * f.tanh(c)
        loss = loss + (h * h).sum()
    return loss, (h, c)


def ours(how: str, T: int, B: int, H: int, repeats: int) -> Any:
    """`how`: plain, recompute, recompute 250, tbptt, each with jit before it or without."""
    import tinygrad_rnn as tg
    from tinygrad_rnn import train

    tg.set_num_threads(1)
    f = SimpleNamespace(
        tanh=tg.tanh, sigmoid=tg.sigmoid, linear=tg.linear, chunk=lambda x, n: tg.chunk(x, n, 1)
    )
    w = [tg.tensor(a, requires_grad=True) for a in weights("LSTM", H, H)]
    start = tg.zeros(B, H), tg.zeros(B, H)

    def run(x: Any, state: Any) -> Any:
        return lstm(f, w, x, state)

    call = tg.jit(run) if "jit" in how else run

    def once(x: Any) -> None:
        if "tbptt" in how:
            for window in train.tbptt(call, x, start, 50):
                window.loss.backward()
        elif "recompute" in how:
            length = int(how.split()[-1]) if how[-1].isdigit() else None
            train.recompute(call, x, start, length)[0].backward()
        else:
            call(x, start)[0].backward()

    return lambda: measured(once, tg.tensor(data(T, B, H)), repeats)


def torchs(how: str, T: int, B: int, H: int, repeats: int) -> Any:
    """PyTorch: plain, or checkpoint with segments as ours, of either kind that it has."""
    import torch
    from torch.utils.checkpoint import checkpoint

    torch.set_num_threads(1)
    f = SimpleNamespace(
        tanh=torch.tanh, sigmoid=torch.sigmoid, linear=torch.nn.functional.linear,
        chunk=lambda x, n: x.chunk(n, 1),
    )  # fmt: skip
    w = [torch.tensor(a, requires_grad=True) for a in weights("LSTM", H, H)]
    # the reentrant kind gives no gradient at all unless an argument requires one
    start = torch.zeros(B, H, requires_grad="reentrant" in how), torch.zeros(B, H)

    def flat(x: Any, h: Any, c: Any) -> Any:
        loss, (h, c) = lstm(f, w, x, (h, c))
        return loss, h, c

    def once(x: Any) -> None:
        if how == "plain":
            flat(x, *start)[0].backward()
            return
        loss, state, n = torch.zeros(()), start, math.ceil(math.sqrt(len(x)))
        for a in range(0, len(x), n):
            part, *state = checkpoint(flat, x[a : a + n], *state, use_reentrant="reentrant" in how)
            loss = loss + part
        loss.backward()

    return lambda: measured(once, torch.tensor(data(T, B, H)), repeats)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One record a way."""
    T, kinds = args.steps, ("plain", "recompute", "recompute 250")
    ways: list[tuple[str, Any, str, int]] = [("ours, eager", ours, how, T) for how in kinds]
    ways += [("ours, tg.jit", ours, f"jit {how}", T) for how in (*kinds, "tbptt")]
    ways += [("ours, tg.jit", ours, "jit tbptt", args.stream)]
    ways += [("PyTorch", torchs, h, T) for h in ("plain", "checkpoint", "checkpoint, reentrant")]
    rows: list[dict[str, Any]] = []
    for name, make, how, steps in tqdm(ways, disable=None):
        worker = Worker(make)
        most, seconds = worker.make(how, steps, args.batch, args.hidden, args.repeats)[0].tolist()
        worker.stop()
        rows.append({"library": name, "how": how, "steps": steps, "MB": most, "seconds": seconds})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown; ratios to the whole loop of the same library."""
    head = "| | | steps | peak MB | s | memory | time |"
    lines = [head, "|" + "---|" * 7]
    whole = {r["library"]: r for r in rows if r["how"].endswith("plain")}
    for r in rows:
        base = whole[r["library"]]
        same = base is not r and base["steps"] == r["steps"]
        less = f"1/{base['MB'] / max(r['MB'], 0.1):.0f}" if same else ""
        longer = f"{r['seconds'] / base['seconds']:.2f}" if same else ""
        how = r["how"].removeprefix("jit ")
        lines.append(
            f"| {r['library']} | {how} | {r['steps']:,} | {r['MB']:.1f} | {r['seconds']:.2f} | "
            f"{less} | {longer} |"
        )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench memory`."""
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--stream", type=int, default=100_000, help="steps for tbptt, k1 = k2 = 50")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=4)
