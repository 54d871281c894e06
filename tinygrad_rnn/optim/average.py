"""Running averages of the weights over training, to evaluate with."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import DTypeError, GraphError, ShapeError
from ..kernels.update import Update
from ..op import Array
from ..tensors import Tensor
from .by_rule import one_by_one
from .optimizer import as_array, leaves, not_recorded
from .options import below_1, checked, count_or_0


def _towards(a: Any, p: Any, h: Any) -> Any:
    """a + rate (p - a)."""
    return (a + h[0] * (p - a),)


def _decay(value: object) -> float | None:
    return None if value is None else below_1(value)


_CHECKS = {"decay": _decay, "count": count_or_0}


class AveragedWeights:
    """a = decay a + (1 - decay) p after every update of p: an exponential moving average.

    Polyak and Juditsky, SIAM J. Control Optim. 30 (1992). The first `update` takes the
    weights as they are. With decay=None all updates count alike, a = a + (p - a) / n, which is
    stochastic weight averaging (Izmailov et al., UAI 2018).

    >>> w = tg.tensor([0.0], requires_grad=True)
    >>> average = AveragedWeights([w], decay=0.5)
    >>> for value in (1.0, 2.0, 4.0):
    ...     _ = w.assign_([value])  # as an optimiser's step would
    ...     average.update()
    >>> with average.applied():
    ...     w.tolist()
    [2.75]
    >>> w.tolist()
    [4.0]
    """

    def __init__(self, params: Iterable[Tensor], decay: float | None = 0.999):
        self.params = leaves("AveragedWeights", params)
        self.decay, self.count = checked("AveragedWeights", _CHECKS, decay=decay, count=0)
        self.averages = [np.array(p._array, order="C") for p in self.params]
        self._kernel, self._inside = Update(_towards), False

    def update(self) -> None:
        """Take the present weights into the average; call it after `optimizer.step()`."""
        not_recorded(self, "update")
        self._fitting()
        if self._inside:
            raise GraphError("AveragedWeights.update: inside applied() the weights are averages")
        arrays = [p._array for p in self.params]
        if self.count == 0:
            for a, p in zip(self.averages, arrays, strict=True):
                a[...] = p
        else:
            rate = 1 - self.decay if self.decay is not None else 1 / (self.count + 1)
            rows = [[1.0, 0.0, 1.0, rate]]
            if self._kernel.fits(self.averages, arrays, []):
                self._kernel.run(self.averages, arrays, [], rows)
            else:
                one_by_one(self._kernel, self.averages, arrays, [], rows)
        self.count += 1

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Give the parameters the averages' values inside a `with`, to evaluate or save them.

        Raises GraphError at its end if the parameters were written to inside; they are then as
        they were before.
        """
        not_recorded(self, "applied")
        self._fitting()
        if self._inside:
            raise GraphError("AveragedWeights.applied: is in force already")
        before = [p._array.copy() for p in self.params]
        self._inside = True
        try:
            _put(self.params, self.averages)
            versions = [p._version and p._version[0] for p in self.params]
            yield
            changed = [p._version and p._version[0] for p in self.params] != versions
        finally:
            self._inside = False
            _put(self.params, before)
        if changed:
            raise GraphError(
                "AveragedWeights.applied: parameters were written to inside, which is lost: they "
                "are as they were before; train and load outside"
            )

    def _fitting(self) -> None:
        for a, p in zip(self.averages, self.params, strict=True):
            if a.shape != p.shape or a.dtype != p.dtype:
                raise DTypeError(
                    f"AveragedWeights: {p.name or 'a parameter'} is {p.dtype} of {p.shape}, its "
                    f"average {a.dtype} of {a.shape}; make it after converting the parameters"
                )
            if not p._array.flags.writeable:
                raise ValueError(f"AveragedWeights: {p.name or 'a parameter'} is read-only")

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on bit for bit."""
        arrays = {str(k): a.copy() for k, a in enumerate(self.averages)}
        return {"decay": self.decay, "count": self.count, "averages": arrays}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; ShapeError or ValueError, before anything is written, if it does not
        fit."""
        names = [str(k) for k in range(len(self.averages))]
        if set(state) != {*_CHECKS, "averages"} or set(state["averages"]) != set(names):
            raise ShapeError(
                "AveragedWeights.load_state_dict: needs decay, count, and averages of "
                f"{len(self.averages)} parameters"
            )
        numbers = checked("AveragedWeights", _CHECKS, decay=state["decay"], count=state["count"])
        given = [as_array(state["averages"][name]) for name in names]
        wrong = [f"{a.shape} for {b.shape}" for a, b in zip(given, self.averages, strict=True)
                 if a.shape != b.shape]  # fmt: skip
        if wrong:
            raise ShapeError(f"AveragedWeights.load_state_dict: averages of {', '.join(wrong)}")
        for a, b in zip(self.averages, given, strict=True):
            a[...] = b
        self.decay, self.count = numbers


def _put(params: tuple[Tensor, ...], values: list[Array]) -> None:
    """Write values into the parameters."""
    for p, a in zip(params, values, strict=True):
        p._array[...] = a
        p.bump_version()
