"""The training loop: batches, clipping, early stopping, a progress bar, Ctrl-C."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import nn, optim
from ..compiler import jit
from ..errors import DataError
from ..op import Array
from ..ops.random import Generator
from ..recording import constant
from ..switches import no_grad
from ..tensors import Tensor
from .best import Best
from .run import Run

Pass = Callable[[Tensor, Tensor], Tensor]


class Epoch(NamedTuple):
    """What one epoch did: mean losses, and the mean gradient norm before clipping."""

    train_loss: float
    val_loss: float
    grad_norm: float


class Fit(NamedTuple):
    """How training went; the model holds the parameters of the best epoch."""

    history: list[Epoch]
    best_epoch: int
    interrupted: bool
    skipped: int = 0  # updates left out, their gradients not being finite


def batches(n: int, size: int, generator: Generator) -> Iterator[Array]:
    """Row numbers of shuffled batches, the last one maybe smaller."""
    order = generator.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def _check(name: str, x: Array, y: Array) -> None:
    if len(x) != len(y) or not len(x):
        raise DataError(
            f"fit: {name} has {len(x)} inputs and {len(y)} targets; needs as many, not 0"
        )
    for what, a in (("inputs", x), ("targets", y)):
        if not np.isfinite(a).all():
            raise DataError(f"fit: the {what} of {name} hold NaN or infinite values")


def fit(
    model: nn.Module, train: tuple[Array, Array], val: tuple[Array, Array],
    loss: Pass = nn.mse_loss, epochs: int = 200, batch_size: int = 32, lr: float = 1e-2,
    clip_norm: float = 1.0, weight_decay: float = 0.0, patience: int = 30, seed: int = 0,
    progress: bool = True, label: str = "training", eager: bool = False,
    checkpoint: Path | None = None, resume: bool = False, skip: int = 0,
    callbacks: Sequence[Callable[[int, Epoch], Any]] = (),
) -> Fit:  # fmt: skip
    """Train with AdamW under a cosine schedule; stop when validation no longer improves.

    `train` and `val` are pairs of inputs and targets, rows first. The parameters
    of the epoch with the lowest validation loss stay in the model, also when
    Ctrl-C ends the training. The forward and backward passes are compiled (`tg.jit`)
    unless `eager`. The same seed gives the same bits. Every tenth epoch goes to the file
    `checkpoint`, and with `resume` training goes on from it. After each epoch every one of
    `callbacks` is called with its number and figures; one that returns True ends the training.
    `train.Run` makes a loop of your own as short. Raises DataError
    for empty or non-finite data, AnomalyError when gradients stop being finite: in the first
    update, or after more than `skip` in a row, which are left out and counted.

    >>> from tinygrad_rnn import train
    >>> x = np.linspace(-1, 1, 20, dtype=np.float32).reshape(20, 1)
    >>> model = tg.nn.Linear(1, 1)
    >>> pairs = x, 3 * x
    >>> found = train.fit(model, pairs, pairs, epochs=20, lr=0.3, progress=False, eager=True)
    >>> found.history[-1].val_loss < found.history[0].val_loss
    True
    """
    _check("train", *train)
    _check("val", *val)
    generator = Generator(seed)

    def pass_(x: Tensor, y: Tensor) -> Tensor:
        return loss(model(x), y)

    run: Pass = pass_ if eager else jit(pass_)
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=lr / 100)
    careful = optim.SkipNonFinite(optimizer, skip)
    best, interrupted = Best(model), False
    loop = Run(
        checkpoint, epochs, resume=resume, every=10, label=label, progress=progress,
        settings={
            "epochs": epochs, "batch_size": batch_size, "lr": lr, "clip_norm": clip_norm,
            "weight_decay": weight_decay, "patience": patience, "seed": seed,
        },
        model=model, optimizer=optimizer, schedule=schedule, generator=generator, best=best,
        careful=careful,
    )  # fmt: skip
    try:
        for epoch in loop:
            order = batches(len(train[0]), batch_size, generator)
            train_loss, norm = _one_epoch(model, train, order, run, careful, clip_norm)
            schedule.step()
            did = Epoch(train_loss, _validate(model, val, run), norm)
            loop.log(**did._asdict())
            waited = epoch - best.keep(did.val_loss, epoch)
            said = [call(epoch, did) for call in callbacks]
            if waited >= patience or True in said:
                loop.finish()
    except KeyboardInterrupt:
        interrupted = True
    best.restore()
    model.eval()
    columns = [loop.history.get(name, []) for name in Epoch._fields]
    history = [Epoch(*e) for e in zip(*columns, strict=True)]
    return Fit(history, best.epoch, interrupted, careful.skipped)


def _one_epoch(
    model: nn.Module,
    data: tuple[Array, Array],
    order: Iterator[Array],
    pass_: Pass,
    careful: optim.SkipNonFinite,
    clip_norm: float,
) -> tuple[float, float]:
    """Mean loss and mean gradient norm of one pass over the data, of what was not skipped."""
    model.train()
    optimizer = careful.optimizer
    total, n, norms = 0.0, 0, list[float]()
    for rows in order:
        optimizer.zero_grad()
        value = pass_(constant(data[0][rows]), constant(data[1][rows]))
        value.backward()
        norm = optim.clip_grad_norm_(optimizer.params, clip_norm, error_if_nonfinite=False)
        if careful.step():
            norms.append(norm)
            total, n = total + float(value) * len(rows), n + len(rows)
    if not n:
        return math.nan, math.nan
    return total / n, float(np.mean(norms))


def evaluate(model: nn.Module, data: tuple[Array, Array], loss: Pass = nn.mse_loss) -> float:
    """Loss over all rows, in evaluation mode and without recording.

    >>> from tinygrad_rnn import train
    >>> model = tg.nn.Linear(2, 1)
    >>> x = np.ones((5, 2), np.float32)
    >>> train.evaluate(model, (x, model(tg.tensor(x)).numpy()))
    0.0
    """
    return _validate(model, data, lambda x, y: loss(model(x), y))


def _validate(model: nn.Module, data: tuple[Array, Array], pass_: Pass) -> float:
    model.eval()
    with no_grad():
        return float(pass_(constant(data[0]), constant(data[1])))
