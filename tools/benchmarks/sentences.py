"""Training on sentences of every length: a classifier, and a decoder with attention; memory too.

Every batch is padded to its own longest sentence, so lengths keep changing: what is
compiled for one must serve the others, or cost little, and nothing may pile up. The
classifier is an embedding, a bidirectional LSTM with `lengths=` a tensor, a linear
layer; the decoder reads an encoder's states by attention and is fed its last reading
(Luong et al., EMNLP 2015). PyTorch packs its sequences. The same weights and batches
on both sides, Adam, one thread, each library in a process of its own, taking turns.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .timing import Worker

WORDS, CLASSES, SIZE, BATCH = 2000, 5, 64, 32
LENGTHS = {"classifier": (5, 50), "decoder": (5, 20)}


def batches(task: str) -> Any:
    """Endless batches: (T, N) words and (N,) lengths; labels, or the words to come out."""
    rng = np.random.default_rng(0)
    low, high = LENGTHS[task]
    while True:
        longest = int(rng.integers(low, high + 1))
        lengths = np.append(rng.integers(low, longest + 1, BATCH - 1), longest)
        words = rng.integers(0, WORDS, (longest, BATCH))
        if task == "classifier":
            yield words, lengths, rng.integers(0, CLASSES, BATCH)
        else:
            yield words, lengths, rng.integers(0, WORDS, (int(rng.integers(low, high + 1)), BATCH))


def start(shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """The same weights on both sides."""
    rng = np.random.default_rng(1)
    return {n: rng.uniform(-0.1, 0.1, shapes[n]).astype("f") for n in sorted(shapes)}


def resident() -> float:
    """MB of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def _ours(task: str) -> Any:
    """The loss of a batch, jitted, the module and its optimiser."""
    import tinygrad_rnn as tg
    from tinygrad_rnn import nn, optim

    tg.set_num_threads(1)

    class Classifier(nn.Module):
        def __init__(self) -> None:
            self.table = nn.Embedding(WORDS, SIZE)
            self.lstm = nn.LSTM(SIZE, SIZE, bidirectional=True)
            self.out = nn.Linear(2 * SIZE, CLASSES)

        def forward(self, words: Any, lengths: Any, labels: Any) -> Any:
            _, (h, _) = self.lstm(self.table(words), lengths=lengths)
            return nn.cross_entropy(self.out(tg.concat([h[0], h[1]], axis=1)), labels)

    class Decoder(nn.Module):
        def __init__(self) -> None:
            self.table = nn.Embedding(WORDS, SIZE)
            self.lstm = nn.LSTM(SIZE, SIZE)
            self.cell = nn.LSTMCell(2 * SIZE, SIZE)
            self.read = nn.Linear(2 * SIZE, SIZE)
            self.out = nn.Linear(SIZE, WORDS)

        def forward(self, words: Any, lengths: Any, target: Any) -> Any:
            states, (h, c) = self.lstm(self.table(words), lengths=lengths)
            memory, h, c = states.swapaxes(0, 1), h[0], c[0]  # (N, T, H), (N, H)
            here = tg.arange(len(words)) < lengths.reshape(-1, 1)
            feed, readings = tg.zeros(BATCH, SIZE), []
            for x in self.table(target[:-1]):
                h, c = self.cell(tg.concat([x, feed], axis=1), (h, c))
                scores = (memory @ h.reshape(BATCH, SIZE, 1)).reshape(BATCH, -1)
                weights = tg.softmax(tg.where(here, scores, -1e9))
                context = (weights.reshape(BATCH, 1, -1) @ memory).reshape(BATCH, SIZE)
                feed = tg.tanh(self.read(tg.concat([context, h], axis=1)))
                readings.append(feed)
            return nn.cross_entropy(self.out(tg.stack(readings)), target[1:])

    model = Classifier() if task == "classifier" else Decoder()
    model.load_state_dict(start({n: p.shape for n, p in model.named_parameters()}))
    loss, optimizer = tg.jit(model.forward), optim.Adam(model.parameters(), lr=1e-3)
    return lambda *batch: loss(*[tg.tensor(a) for a in batch]), model, optimizer


def _theirs(task: str) -> Any:
    """The same in PyTorch."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    torch.set_num_threads(1)

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(WORDS, SIZE)
            self.lstm = nn.LSTM(SIZE, SIZE, bidirectional=True)
            self.out = nn.Linear(2 * SIZE, CLASSES)

        def forward(self, words: Any, lengths: Any, labels: Any) -> Any:
            packed = pack_padded_sequence(self.table(words), lengths, enforce_sorted=False)
            _, (h, _) = self.lstm(packed)
            return cross_entropy(self.out(torch.cat([h[0], h[1]], 1)), labels)

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(WORDS, SIZE)
            self.lstm = nn.LSTM(SIZE, SIZE)
            self.cell = nn.LSTMCell(2 * SIZE, SIZE)
            self.read = nn.Linear(2 * SIZE, SIZE)
            self.out = nn.Linear(SIZE, WORDS)

        def forward(self, words: Any, lengths: Any, target: Any) -> Any:
            packed = pack_padded_sequence(self.table(words), lengths, enforce_sorted=False)
            packed, (h, c) = self.lstm(packed)
            memory, h, c = pad_packed_sequence(packed)[0].transpose(0, 1), h[0], c[0]
            here = torch.arange(len(words)) < lengths[:, None]
            feed, readings = torch.zeros(BATCH, SIZE), []
            for x in self.table(target[:-1]):
                h, c = self.cell(torch.cat([x, feed], 1), (h, c))
                scores = (memory @ h[:, :, None])[:, :, 0]
                weights = torch.softmax(torch.where(here, scores, -1e9), 1)
                context = (weights[:, None] @ memory)[:, 0]
                feed = torch.tanh(self.read(torch.cat([context, h], 1)))
                readings.append(feed)
            logits = self.out(torch.stack(readings))
            return cross_entropy(logits.flatten(0, 1), target[1:].flatten())

    model = Classifier() if task == "classifier" else Decoder()
    weights = start({n: tuple(p.shape) for n, p in model.named_parameters()})
    model.load_state_dict({n: torch.tensor(w) for n, w in weights.items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    return lambda *batch: model(*[torch.tensor(a) for a in batch]), model, optimizer


_state: dict[str, Any] = {}


def library(order: str, *arguments: Any) -> Any:
    """In the worker: build a side's task; then train on so many batches as asked for."""
    if order == "build":
        side, task = arguments
        _state["run"] = (_ours if side == "ours" else _theirs)(task)
        _state["batches"] = batches(task)
        return list
    return lambda: train(*arguments)


def train(steps: int) -> tuple[float, float, float]:
    """Seconds, MB resident after them, and the last loss."""
    loss, _, optimizer = _state["run"]
    data = [next(_state["batches"]) for _ in range(steps)]
    before = time.perf_counter()
    for batch in data:
        optimizer.zero_grad()
        y = loss(*batch)
        y.backward()
        optimizer.step()
    return time.perf_counter() - before, resident(), y.item()


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Both tasks."""
    rows = []
    for task in LENGTHS:
        workers = {side: Worker(library) for side in ("ours", "torch")}
        for side, worker in workers.items():
            worker.make("build", side, task)
        rounds: dict[str, list[tuple[float, float, float]]] = {side: [] for side in workers}
        for _ in tqdm(range(args.batches // args.chunk), desc=task, disable=None):
            for side, worker in workers.items():
                rounds[side].append(worker.make("train", args.chunk))
        for worker in workers.values():
            worker.stop()
        a, b = rounds["ours"], rounds["torch"]
        assert abs(a[0][2] - b[0][2]) < 1e-3 * abs(b[0][2]), (task, a[0], b[0])
        row: dict[str, Any] = {"task": task, "batches": args.chunk * len(a)}
        for side, found in rounds.items():
            seconds = [s for s, _, _ in found]
            late = statistics.median(seconds[-len(a) // 2 :])
            row |= {
                f"{side} steps/s": len(found) * args.chunk / sum(seconds),
                f"{side} steps/s, last half": args.chunk / late,
                f"{side} MB": [mb for _, mb, _ in found],
            }  # fmt: skip
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Steps a second with everything in them, and in the second half; memory over the batches."""
    lines = [
        "| task | batches | ours, steps/s | torch | ours / torch | in the second half "
        "| ours, MB at a quarter, at the end | torch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        whole = r["ours steps/s"] / r["torch steps/s"]
        late = r["ours steps/s, last half"] / r["torch steps/s, last half"]
        memory = [f"{m[len(m) // 4]:.0f}, {m[-1]:.0f}" for m in (r["ours MB"], r["torch MB"])]
        lines.append(
            f"| {r['task']} | {r['batches']} | {r['ours steps/s']:.0f} | {r['torch steps/s']:.0f} "
            f"| {whole:.2f} | {late:.2f} | {memory[0]} | {memory[1]} |"
        )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `tools/bench sentences`."""
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--chunk", type=int, default=50)
