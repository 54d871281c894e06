"""Diagrams: seconds to draw an LSTM, and a sweep that measures beside a plain one.

Drawing is from the finished loss to the SVG; of a gradient diagram it includes the
sweep. The sweeps' times are taken in turns; the ratio is the median over the rounds.
"""

import argparse
import time
from typing import Any

import numpy as np

from .timing import medians, ratios, rounds_of

DRAWN = ((10, "auto"), (1_000, "auto"), (1_000, "all"), (5_000, "all"))
SWEPT = ((100, 4, 3, 8), (100, 16, 32, 64), (100, 32, 64, 128), (30, 64, 256, 512))


def loss_of(T: int, B: int, I: int, H: int) -> Any:
    """The mean square of an LSTM's states: a fresh graph."""
    import tinygrad_rnn as tg

    y, _ = tg.nn.LSTM(I, H, generator=tg.Generator(0))(tg.randn(T, B, I))
    return (y**2).mean()


def draw(T: int, steps: str) -> dict[str, Any]:
    """Seconds to the SVG of each view."""
    from tinygrad_rnn import viz

    views: dict[str, Any] = {"unrolled": viz.unrolled, "gradient": viz.gradient_flow}
    row: dict[str, Any] = {"T": T, "steps": steps}
    for name, view in views.items():
        loss = loss_of(T, 4, 64, 128)
        start = time.perf_counter()
        diagram = view(loss, steps=steps)
        row[f"{name}, layout"] = time.perf_counter() - start
        row["megabytes"] = len(diagram.svg) / 1e6
        row[f"{name}, SVG"] = time.perf_counter() - start
    return row


def swept(size: tuple[int, ...], measured: bool) -> float:
    """Seconds of one sweep, the recording of the graph and what comes before not counted."""
    import tinygrad_rnn as tg
    from tinygrad_rnn.recording import constant
    from tinygrad_rnn.sweep import Sweep
    from tinygrad_rnn.viz.flow.flow import Flow
    from tinygrad_rnn.viz.graph.building import collect

    loss, flow = loss_of(*size), Flow() if measured else None
    if flow is not None:
        flow.begin(collect(loss))
    seeds = [(loss.node, np.ones((), np.float32))]
    start = time.perf_counter()
    with tg.no_grad():
        sweep = Sweep(lambda a, _: constant(a), retain=False, create_graph=False, watch=flow)
        sweep.run(seeds)
        (flow.end if flow is not None else list)(sweep.leaves())
    return time.perf_counter() - start


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Drawings first, then sweeps."""
    draw(3, "all")
    rows = [draw(T, steps) for T, steps in DRAWN]
    for size in SWEPT:
        timed = {"plain": lambda s=size: swept(s, False), "measured": lambda s=size: swept(s, True)}
        rounds_of(timed, 2, args.seconds)
        times = rounds_of(timed, args.rounds, args.seconds)
        ms = {f"{name} sweep, ms": t for name, t in medians(times).items()}
        rows.append({"T, B, I, H": size, **ms, "ratio": ratios(times, "plain")["measured"]})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, a table for each kind of row."""
    lines = []
    head: list[str] = []
    for row in rows:
        if list(row) != head:
            head = list(row)
            lines += ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        cells = [f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines[1:])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench diagrams`."""
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=30.0, help="at most, each size")
