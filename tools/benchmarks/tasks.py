"""Training steps a second on the examples' tasks, beside the same model in PyTorch.

A row a task: the model, the batches and the whole training step of `examples/NAME.py`
(forward, backward, gradient norm clipped at 1, Adam), with the same weights and batches
on both sides, one thread, each library in a process of its own, taking turns. PyTorch
has its fused layers and its fused Adam. The losses must agree.

A task NAME is a module `task_NAME.py` with three functions: `batches()` yields tuples of
arrays without end; `ours()` and `theirs()` return a module and `loss(*batch)`, which is
given tensors.
"""

import argparse
import importlib
import statistics
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from .timing import Worker

TASKS = ("char_lm", "forecast", "heartbeat", "sentiment", "speech", "translate")
LR, NORM = 1e-3, 1.0
_state: dict[str, Any] = {}


def start(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """The same weights on both sides."""
    rng = np.random.default_rng(1)
    return {n: rng.uniform(-0.1, 0.1, shapes[n]).astype("f") for n in sorted(shapes)}


def build(side: str, task: str) -> Any:
    """In the worker: a step of `task` on arrays, as `side` takes it; returns the loss."""
    module = importlib.import_module(f".task_{task}", __package__)
    _state["batches"] = module.batches()
    _state["step"] = _ours(*module.ours()) if side == "ours" else _theirs(*module.theirs())
    return list


def _ours(model: Any, loss: Any) -> Any:
    import tinygrad_rnn as tg
    from tinygrad_rnn import optim

    tg.set_num_threads(1)
    model.load_state_dict(start({n: p.shape for n, p in model.named_parameters()}))
    optimizer = optim.Adam(model.parameters(), lr=LR)

    def step(batch: Any) -> Any:
        optimizer.zero_grad()
        y = loss(*[tg.tensor(a) for a in batch])
        y.backward()
        optim.clip_grad_norm_(optimizer.params, NORM)
        optimizer.step()
        return y

    return step


def _theirs(model: Any, loss: Any) -> Any:
    import torch

    torch.set_num_threads(1)
    weights = start({n: tuple(p.shape) for n, p in model.named_parameters()})
    model.load_state_dict({n: torch.tensor(w) for n, w in weights.items()})
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LR, fused=True)

    def step(batch: Any) -> Any:
        optimizer.zero_grad()
        y = loss(*[torch.tensor(a) for a in batch])
        y.backward()
        torch.nn.utils.clip_grad_norm_(parameters, NORM)
        optimizer.step()
        return y

    return step


def work(order: str, *arguments: Any) -> Any:
    """In the worker: build a side's task; then train on so many batches as asked for."""
    return build(*arguments) if order == "build" else lambda: train(*arguments)


def train(steps: int) -> tuple[float, list[float]]:
    """Seconds, and the losses."""
    data = [next(_state["batches"]) for _ in range(steps)]
    before = time.perf_counter()
    losses = [_state["step"](batch) for batch in data]
    seconds = time.perf_counter() - before
    return seconds, [y.item() for y in losses]


def measure(task: str, rounds: int, steps: int) -> dict[str, Any]:
    """A row: steps a second of each side, and the median ratio within a round."""
    workers = {side: Worker(work) for side in ("ours", "torch")}
    for side, worker in workers.items():
        worker.make("build", side, task)
    first = {side: worker.make("train", 3)[1] for side, worker in workers.items()}
    np.testing.assert_allclose(first["ours"], first["torch"], rtol=1e-3, err_msg=task)
    seconds: dict[str, list[float]] = {side: [] for side in workers}
    for _ in tqdm(range(rounds), desc=task, disable=None):
        for side, worker in workers.items():
            seconds[side].append(worker.make("train", steps)[0])
    for worker in workers.values():
        worker.stop()
    ratio = statistics.median(b / a for a, b in zip(seconds["ours"], seconds["torch"], strict=True))
    rates = {side: steps / statistics.median(found) for side, found in seconds.items()}
    return {"task": task, "ratio": ratio, "seconds": seconds, "steps": steps, "rates": rates}


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All tasks asked for."""
    return [measure(task, args.rounds, args.steps) for task in args.tasks]


def table(rows: list[dict[str, Any]]) -> str:
    """Steps a second, and how many times as many."""
    lines = ["| task | ours, steps/s | torch | ours / torch |", "|---|---|---|---|"]
    for r in rows:
        ours, torch = r["rates"]["ours"], r["rates"]["torch"]
        lines.append(f"| {r['task']} | {ours:.1f} | {torch:.1f} | {r['ratio']:.2f} |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench tasks`."""
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="of training in a round")
