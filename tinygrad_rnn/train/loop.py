"""The training loop: batches, clipping, early stopping, a progress bar, Ctrl-C."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from .. import nn, optim
from .._tensor import Tensor, constant
from ..autodiff import no_grad
from ..compiler import jit
from ..errors import DataError
from ..op import Array
from ..ops.random import Generator

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
    model: nn.Module,
    train: tuple[Array, Array],
    val: tuple[Array, Array],
    loss: Pass = nn.mse_loss,
    epochs: int = 200,
    batch_size: int = 32,
    lr: float = 1e-2,
    clip_norm: float = 1.0,
    weight_decay: float = 0.0,
    patience: int = 30,
    seed: int = 0,
    progress: bool = True,
    label: str = "training",
    eager: bool = False,
) -> Fit:
    """Train with AdamW under a cosine schedule; stop when validation no longer improves.

    `train` and `val` are pairs of inputs and targets, rows first. The parameters
    of the epoch with the lowest validation loss stay in the model, also when
    Ctrl-C ends the training. The forward and backward passes are compiled (`tg.jit`)
    unless `eager`. The same seed gives the same bits. Raises DataError
    for empty or non-finite data, AnomalyError when gradients stop being finite.
    """
    _check("train", *train)
    _check("val", *val)
    generator = Generator(seed)

    def pass_(x: Tensor, y: Tensor) -> Tensor:
        return loss(model(x), y)

    run: Pass = pass_ if eager else jit(pass_)
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=lr / 100)
    history: list[Epoch] = []
    best, best_state, best_epoch, interrupted = math.inf, model.state_dict(), 0, False
    bar = tqdm(total=epochs, desc=label, disable=None if progress else True, leave=False)
    try:
        for epoch in range(epochs):
            model.train()
            losses, norms = _one_epoch(
                model, train, run, optimizer, clip_norm, batch_size, generator
            )
            schedule.step()
            val_loss = _validate(model, val, run)
            history.append(Epoch(losses, val_loss, norms))
            if val_loss < best:
                best, best_state, best_epoch = val_loss, model.state_dict(), epoch
            bar.set_postfix_str(f"loss {losses:.4f} val {val_loss:.4f} |g| {norms:.2f}", False)
            bar.update()
            if epoch - best_epoch >= patience:
                break
    except KeyboardInterrupt:
        interrupted = True
    finally:
        bar.close()
    model.load_state_dict(best_state)
    model.eval()
    return Fit(history, best_epoch, interrupted)


def _one_epoch(
    model: nn.Module,
    data: tuple[Array, Array],
    pass_: Pass,
    optimizer: optim.Optimizer,
    clip_norm: float,
    batch_size: int,
    generator: Generator,
) -> tuple[float, float]:
    """Mean loss and mean gradient norm of one pass over the data."""
    total, norms = 0.0, []
    for rows in batches(len(data[0]), batch_size, generator):
        optimizer.zero_grad()
        value = pass_(constant(data[0][rows]), constant(data[1][rows]))
        value.backward()
        norms.append(optim.clip_grad_norm_(optimizer.params, clip_norm))
        optimizer.step()
        total += float(value) * len(rows)
    return total / len(data[0]), float(np.mean(norms))


def evaluate(model: nn.Module, data: tuple[Array, Array], loss: Pass = nn.mse_loss) -> float:
    """Loss over all rows, in evaluation mode and without recording."""
    return _validate(model, data, lambda x, y: loss(model(x), y))


def _validate(model: nn.Module, data: tuple[Array, Array], pass_: Pass) -> float:
    model.eval()
    with no_grad():
        return float(pass_(constant(data[0]), constant(data[1])))
