"""What the examples share: options, the folder they write to, a task, an update, pictures."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import optim, viz
from tinygrad_rnn.errors import CheckpointError, DataError


def options(doc: str, out: str) -> argparse.ArgumentParser:
    """A parser with --seed --resume --eager --quick --out; `doc` opens with what it is for."""
    p = argparse.ArgumentParser(description=doc.split("\n")[0])
    p.add_argument("--seed", type=int, default=0, help="of the first model, and of the data")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoints in --out")
    p.add_argument("--eager", action="store_true", help="without tg.jit, to compare the time")
    p.add_argument("--quick", action="store_true", help="a few updates: a smoke test")
    p.add_argument("--out", type=Path, default=Path("out") / out, help="folder of all results")
    return p


def at_least(p: argparse.ArgumentParser, args: argparse.Namespace, least: int, *names: str) -> None:
    """Refuse options, or lists of them, that are below `least`."""
    for name in names:
        value = min(np.atleast_1d(getattr(args, name)))
        if value < least:
            p.error(f"--{name.replace('_', '-')} must be at least {least}, got {value}")


def shares(p: argparse.ArgumentParser, args: argparse.Namespace, *names: str) -> None:
    """Refuse options that are not in [0, 1)."""
    for name in names:
        if not 0 <= getattr(args, name) < 1:
            p.error(f"--{name.replace('_', '-')} must be in [0, 1), got {getattr(args, name)}")


def writable(out: Path) -> Path:
    """Make the output folder before hours of work depend on it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    return out


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as text in columns, the first to the left, numbers to the right.

    >>> print(table(["net", "error"], [["GRU", 0.25], ["LSTM", "none"]]))
    net    error
    GRU   0.2500
    LSTM    none
    """
    cells = [list(heads)]
    cells += [[f"{c:.4f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(heads))]
    lines = []
    for row in cells:
        columns = [row[0].ljust(widths[0])]
        columns += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(columns).rstrip())
    return "\n".join(lines)


@contextmanager
def picture(path: Path, **subplots: Any) -> Iterator[Any]:
    """The axes of a figure that is saved to `path` (`plt.subplots` options); None if no matplotlib.

    with picture(out / "loss.png") as ax:
        if ax is not None:
            ax.plot(losses)
    """
    try:
        import matplotlib
    except ImportError:
        print("no picture: it needs matplotlib, pip install 'tinygrad_rnn[examples]'")
        yield None
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(**{"figsize": (9, 4.5), "layout": "constrained", **subplots})
    try:
        yield axes
        figure.savefig(path, dpi=120)
        print(f"written: {path}")
    finally:
        plt.close(figure)


def diagrams(out: Path, loss: tg.Tensor, rolled: bool = False, **options: Any) -> list[Path]:
    """Draw a loss's graph, unrolled and maybe rolled up, and the gradient flowing through it.

    `options` are those of `viz.unrolled` and `viz.gradient_flow`; returns the files.
    """
    drawn = {"unrolled.svg": viz.unrolled(loss, **options)}
    if rolled:
        drawn["rolled.svg"] = viz.rolled(loss)
    drawn["gradient.html"] = viz.gradient_flow(loss, **options)
    return [diagram.save(out / name) for name, diagram in drawn.items()]


def smoothed(values: Sequence[float], points: int = 200) -> tuple[Any, Any]:
    """Means over stretches of equal length, about `points` of them, and where they end."""
    n = max(1, len(values) // points)
    whole = np.asarray(values)[: len(values) // n * n]
    return np.arange(n, len(whole) + 1, n), whole.reshape(-1, n).mean(1)


def adding(numbers: Any, places: Iterable[Any]) -> tuple[tg.Tensor, tg.Tensor]:
    """The adding problem: series (T, N, 2) of numbers and marks, and the sums (N,) of the marked.

    `numbers` is (T, N), a place the N steps of one mark a series.
    """
    marks = np.zeros_like(numbers)
    for place in places:
        marks[place, np.arange(marks.shape[1])] = 1
    return tg.tensor(np.stack([numbers, marks], 2)), tg.tensor((numbers * marks).sum(0))


def descend(loss: Any, optimizer: Any, schedule: Any) -> float:
    """One update with the gradient's norm clipped at 1, and the rate's next value; the norm."""
    optimizer.zero_grad()
    loss.backward()
    norm = optim.clip_grad_norm_(optimizer.params, 1.0)
    optimizer.step()
    schedule.step()
    return norm


def written(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Write every figure and setting as JSON; returns the result."""
    path.write_text(json.dumps(result, indent=1, default=str))
    print(f"written: {path}")
    return result


def go(main: Callable[[], Any]) -> None:
    """Run an example; what a person can put right is one line, Ctrl-C says how to go on."""
    name = Path(sys.argv[0]).stem
    try:
        main()
    except (DataError, CheckpointError) as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{name}: stopped; --resume goes on from the last checkpoint")
