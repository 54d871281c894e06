"""A training loop that can be stopped at any time, and goes on where it was."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..errors import CheckpointError
from ..optim.options import checked, count, count_or_0
from ..tensors import Tensor
from .checkpoint import files, load, save


class Run:
    """Updates 0 to `updates` - 1 with a progress bar, a history and a checkpoint.

    `for update in run:` does one update a round; `run.log(loss=...)` notes numbers, which stand
    beside the bar and in `run.history`. Every `every` updates, at the end, and on Ctrl-C
    once the update is whole, `train.save` writes `parts`, `settings` and the history to
    `path` (None: nowhere). With `resume` the run goes on from there, bit for bit, or
    begins where there is no file; `run.done` is the number of updates done. Raises CheckpointError
    for settings that are not those of the file, naming them, ValueError for numbers that are no
    counts.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> w = tg.nn.Linear(1, 1)
    >>> for updates in (2, 5):
    ...     run = Run(path, updates, model=w, resume=True, progress=False)
    ...     for update in run:
    ...         run.log(loss=float(update))
    >>> run.history["loss"]
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        updates: int,
        *,
        resume: bool = False,
        every: int = 500,
        settings: Mapping[str, Any] | None = None,
        label: str = "training",
        progress: bool = True,
        **parts: Any,
    ):
        checks = {"updates": count_or_0, "every": count}
        self.updates, self.every = checked("train.Run", checks, updates=updates, every=every)
        self.path = None if path is None else Path(path)
        self.label, self.progress = label, progress
        self.parts, self.settings = parts, dict(settings or {})
        self.done, self.finished, self.history = 0, False, dict[str, list[float]]()
        self._saved = -1
        if resume and self.path is not None and files(self.path):
            self._resume()

    def _resume(self) -> None:
        assert self.path is not None
        # looked at first, so that another run's file changes nothing
        found = load(self.path, strict=False)
        theirs = found.get("settings", {})
        other = [
            f"{k}: {_short(self.settings.get(k))} here, {_short(theirs.get(k))} there"
            for k in sorted({*self.settings, *theirs})
            if not _same(self.settings.get(k), theirs.get(k))
        ]
        if other or "done" not in found:
            raise CheckpointError(
                f"train.Run {self.path}: is of another run ({'; '.join(other) or 'no train.Run'}); "
                "give the same settings, another path, or resume=False"
            )
        load(self.path, **self.parts)
        self.done = self._saved = int(found["done"])
        self.finished = bool(found["finished"])
        self.history = {k: v.tolist() for k, v in found["history"].items()}

    def log(self, **numbers: float) -> None:
        """Note numbers of this update in `history`; the bar shows them."""
        for name, number in numbers.items():
            self.history.setdefault(name, []).append(float(number))

    def finish(self) -> None:
        """Let this update be the last one, also of a run that is resumed."""
        self.finished = True

    def save(self) -> None:
        """Write the checkpoint now."""
        if self.path is not None and self._saved != self.done:
            history = {k: np.array(v) for k, v in self.history.items()}
            own = {"done": self.done, "finished": self.finished, "history": history}
            save(self.path, settings={"settings": self.settings, **own}, **self.parts)
            self._saved = self.done

    def __iter__(self) -> Iterator[int]:
        bar = tqdm(
            total=self.updates, initial=min(self.done, self.updates), desc=self.label,
            disable=None if self.progress else True, leave=False,
        )  # fmt: skip
        with bar, _Interrupt() as interrupt:
            while self.done < self.updates and not self.finished:
                yield self.done
                self.done += 1
                if not bar.disable:
                    last = {k: f"{v[-1]:.4g}" for k, v in self.history.items()}
                    bar.set_postfix(last, refresh=False)
                bar.update()
                if interrupt.asked or self.done % self.every == 0:
                    self.save()
                if interrupt.asked:
                    raise KeyboardInterrupt
            self.save()


def _short(value: object) -> str:
    """A setting for messages; of an array, which may be a whole series, its shape."""
    if isinstance(value, np.ndarray):
        return f"array {value.shape}"
    return f"{value!r:.80}"


def _same(a: Any, b: Any) -> bool:
    """Whether two settings are equal: arrays and tensors by their values, NaN to NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(_same, a, b))
    a, b = (x.numpy() if isinstance(x, Tensor) else x for x in (a, b))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    return bool(a == b or (a != a and b != b))


class _Interrupt:
    """Ctrl-C waits for the update to be whole; a second one does not."""

    def __init__(self) -> None:
        self.asked = False
        self.before: Any = None

    def _note(self, number: int, frame: Any) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self.before)

    def __enter__(self) -> "_Interrupt":
        if threading.current_thread() is threading.main_thread():  # others get no signals
            self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)
