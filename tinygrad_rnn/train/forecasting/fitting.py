"""The steps of fitting a forecaster: scaled windows, one net's training, its validation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ... import optim
from ...compiler import jit
from ...errors import DataError
from ...op import Array
from ...ops.random import Generator
from ...recording import constant
from ...switches import no_grad
from ...tensors import Tensor
from ..reader import CELLS
from ..run import Run
from .outlook import BASES, Outlook, outlook_loss
from .panel import One, named
from .scaling import Scaling

MOST_VALIDATED = 512  # windows: more cost time and tell no more
Scalings = dict[str, list[Scaling]]


class Sizes(NamedTuple):
    """Steps in a season and in what the net reads and forecasts, and its channels."""

    season: int
    lookback: int
    horizon: int
    channels: tuple[int, int, int]  # targets, past and future covariates

    @property
    def length(self) -> int:
        """Steps of a whole window."""
        return self.lookback + self.horizon


class Way(NamedTuple):
    """Logarithms or not, and what the forecast comes on top of."""

    log: bool
    base: str

    def __str__(self) -> str:
        return f"{'log ' * self.log}{self.base}"


def ways_of(given: Mapping[str, One], sizes: Sizes, wanted: Sequence[str] | None) -> list[Way]:
    """What validation chooses among: all that the series allow, or those that are wanted."""
    positive = all((one.y > 0).all() for one in given.values())
    repeats = sizes.season > 1 and sizes.lookback >= 2 * sizes.season
    logs, bases = ([True, False] if positive else [False]), (BASES if repeats else BASES[:1])
    ways = {str(way): way for way in (Way(log, base) for log in logs for base in bases)}
    for name in wanted or ():
        if name not in ways:
            raise DataError(
                f"transforms: {name!r} is none of {', '.join(ways)}, which the series allow "
                "(logarithms need positive values, seasons a lookback of two)"
            )
    return [ways[name] for name in wanted or ways]


class Rows(NamedTuple):
    """All series scaled and one after another, where windows start, and whose they are."""

    values: Array  # (rows, channels) float32
    starts: Array
    of: list[str]

    def windows(self, which: Array, sizes: Sizes) -> tuple[Tensor, Tensor]:
        """Windows (N, length, channels), and the targets of their last steps."""
        x = self.values[self.starts[which][:, None] + np.arange(sizes.length)]
        y = x[:, sizes.lookback :, : sizes.channels[0]]
        return constant(x), constant(np.ascontiguousarray(y))


def scalings_of(given: Mapping[str, One], log: bool, cut: Mapping[str, int]) -> Scalings:
    """The scaling of every column, fitted to its values before the cut."""
    found = {}
    for key, one in given.items():
        n = cut[key]
        try:
            found[key] = [Scaling.fit(column[:n], log) for column in one.y.T]
        except DataError as error:
            raise DataError(f"{named(key)}, its first {n} rows: {error}") from None
        for column in [*one.past.T, *one.future.T]:
            std = float(np.std(column[:n]))
            found[key].append(Scaling(float(np.mean(column[:n])), std if std > 0 else 1.0, False))
    return found


def scaled(one: One, scalings: Sequence[Scaling]) -> Array:
    """The series' channels side by side (T, channels) float32."""
    columns = [*one.y.T, *one.past.T, *one.future[: len(one.y)].T]
    pairs = zip(scalings, columns, strict=True)
    return np.stack([s.apply(column) for s, column in pairs], 1).astype(np.float32)


def rows_of(
    given: Mapping[str, One], scalings: Scalings, sizes: Sizes, cut: Mapping[str, int], after: bool
) -> Rows:
    """Windows that end before the cut, or those `after`: their targets begin at it or later."""
    parts, starts, of, offset = [], [], list[str](), 0
    for key, one in given.items():
        parts.append(scaled(one, scalings[key]))
        first = np.arange(cut[key] - sizes.length + 1)
        if after:
            first = np.arange(cut[key] - sizes.lookback, len(one.y) - sizes.length + 1)
        starts.append(offset + first)
        of += [key] * len(first)
        offset += len(one.y)
    return Rows(np.concatenate(parts), np.concatenate(starts), of)


def check_options(o: Mapping[str, Any]) -> None:
    """Raise DataError for options that no forecaster can have."""
    for name in ("horizon", "season", "lookback", "hidden", "layers", "members", "updates",
                 "batch_size", "refit", "seed"):  # fmt: skip
        value, least = o[name], 0 if name in ("refit", "seed") else 1
        if value is None and name in ("season", "lookback", "updates"):
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise DataError(f"{name} must be a whole number from {least}, got {value!r}")
    for name in ("lr", "clip_norm"):
        if not 0 < o[name] < np.inf:
            raise DataError(f"{name} must be positive, got {o[name]!r}")
    qs = o["quantiles"]
    if not qs or any(not 0 < q < 1 for q in qs) or sorted(set(qs)) != qs:
        raise DataError(f"quantiles must ascend between 0 and 1, got {qs}")
    if o["cell"] not in CELLS:
        raise DataError(f"cell must be one of {', '.join(CELLS)}, got {o['cell']!r}")


def net_of(sizes: Sizes, o: Mapping[str, Any], base: str, generator: Generator) -> Outlook:
    """A new net of the options' cell and size."""
    return Outlook(
        o["cell"], sizes.channels, sizes.season, sizes.lookback, sizes.horizon,
        o["hidden"], o["layers"], len(o["quantiles"]), base, generator,
    )  # fmt: skip


def trained(
    rows: Rows, sizes: Sizes, base: str, options: Mapping[str, Any], *, seed: int, updates: int,
    label: str, path: Path | None, resume: bool, progress: bool,
) -> Outlook:  # fmt: skip
    """One net, trained on batches of windows drawn at random: AdamW, cosine schedule.

    Without early stopping: on the airline series, origins of 1957 and 1958, the mean absolute
    error was 18.3 with it, 17.0 with the whole of a short schedule.
    """
    generator = Generator(seed)
    model = net_of(sizes, options, base, generator)

    def pass_(x: Tensor, y: Tensor) -> Tensor:
        return outlook_loss(model(x), y, options["quantiles"])

    run = pass_ if options["eager"] else jit(pass_)
    optimizer = optim.AdamW(model.parameters(), lr=options["lr"], weight_decay=0.0)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, updates, eta_min=options["lr"] / 100)
    loop = Run(
        path, updates, resume=resume, every=100, label=label, progress=progress,
        settings={**options, "base": base, "seed": seed, "updates": updates, "rows": rows.values},
        model=model, optimizer=optimizer, schedule=schedule, generator=generator,
    )  # fmt: skip
    n, size = len(rows.starts), min(options["batch_size"], len(rows.starts))
    for _ in loop:
        which = (generator.uniform((size,), np.float64) * n).astype(np.int64)
        optimizer.zero_grad()
        loss = run(*rows.windows(which, sizes))
        loss.backward()
        norm = optim.clip_grad_norm_(optimizer.params, options["clip_norm"])
        optimizer.step()
        schedule.step()
        loop.log(loss=float(loss), grad_norm=norm)
    model.eval()
    return model


def mean_forecast(models: Sequence[Outlook], x: Tensor) -> Array:
    """The mean of the nets' forecasts (N, horizon, targets, 1 + quantiles), in float64."""
    with no_grad():
        return np.mean([model(x).numpy().astype(np.float64) for model in models], axis=0)


def validated(
    models: Sequence[Outlook],
    given: Mapping[str, One],
    scalings: Scalings,
    sizes: Sizes,
    cut: Mapping[str, int],
) -> tuple[float, Array, Array]:
    """After the cut: mean absolute error over the series' spread, scaled forecasts and truth."""
    rows = rows_of(given, scalings, sizes, cut, after=True)
    n = len(rows.starts)
    which = np.unique(np.linspace(0, n - 1, min(n, MOST_VALIDATED)).astype(int))
    x, y = rows.windows(which, sizes)
    z, truth = mean_forecast(models, x), y.numpy().astype(np.float64)
    of, errors = np.array(rows.of)[which], []
    for key, one in given.items():
        mine = of == key
        for c in range(one.y.shape[1] if mine.any() else 0):
            undo = scalings[key][c].undo
            error = undo(z[mine, :, c, 0]) - undo(truth[mine, :, c])
            errors.append(np.abs(error).mean() / np.std(one.y[:, c]))
    return float(np.mean(errors)), z, truth
