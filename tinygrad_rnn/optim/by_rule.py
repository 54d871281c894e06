"""Optimisers that are one rule on one number: a compiled call a group updates everything."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import DTypeError, ShapeError
from ..kernels.update import Rule, Update
from ..op import Array
from ..tensors import Tensor
from .optimizer import Optimizer, as_array, not_recorded
from .options import Group, Option, at_least_0, flag

Count = tuple[float, ...]  # of a parameter's updates; a class may count more than that


class RuleOptimizer(Optimizer):
    """Base: a class names its options, its moments and its rule.

    The rule gives a parameter's new value and moments: `rule(p, g, *moments, h)`, on one
    number of each, h being what `numbers` returns. It is branch-free but for branches on
    h, its constants come in h (a literal would make float32 float64), and it uses
    NumPy's functions. Before it, the sign of g is changed if `maximize`, and `weight_decay` p is
    added to g, or taken off p, times lr, if decoupled.

    >>> class Sign(tg.optim.RuleOptimizer):
    ...     def __init__(self, params, lr=1e-3):
    ...         super().__init__(params, lr=lr, weight_decay=0.0, maximize=False)
    ...     @staticmethod
    ...     def rule(p, g, h):  # p = p - lr sign(g)
    ...         return (p - h[0] * np.sign(g),)
    ...     def numbers(self, group, count):
    ...         return [group["lr"]]
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> Sign([w], lr=0.25).step()
    >>> w.tolist()
    [0.75, 1.75]
    """

    moments: tuple[str, ...] = ()  # the names of all it may keep, PyTorch's
    counters: tuple[str, ...] = ("step",)
    rule: Rule
    weight_decay = Option(at_least_0)
    maximize = Option(flag)

    def plan(self, group: Group) -> tuple[Rule, tuple[str, ...]]:
        """The rule, and the moments it takes, for a group's options."""
        return self.rule, self.moments

    @abstractmethod
    def numbers(self, group: Group, count: Count) -> list[float]:
        """What the rule needs besides the arrays, in a parameter's update of this count."""

    def first(self, group: Group) -> Count:
        """The counters before any update."""
        return (0,)

    def advance(self, group: Group, count: Count) -> Count:
        """The counters after one more update."""
        return (count[0] + 1,)

    def initial(self, group: Group) -> float:
        """What moments begin with."""
        return 0.0

    # updates ------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place; the closure's loss, if given.

        Raises ShapeError or DTypeError, before anything is written, for a gradient
        that does not fit its parameter, ValueError for a parameter that is read-only.
        """
        not_recorded(self, "step")
        loss = None if closure is None else closure()
        jobs = [job for group in self.param_groups if (job := self._job(group)) is not None]
        for group, counts, used, row in jobs:
            row()
            group.counts = counts
            for p in used:
                p.bump_version()
        return loss

    def _job(self, group: Group) -> Any:
        """One group's update, checked and ready: new counts, parameters, what to call."""
        every = group.data["params"]
        used = [p for p in every if p.grad is not None]
        if not used:
            return None
        update, names = self._kernel(group)
        moments, counts = [group.moments[name] for name in names], group.counts
        if len(used) < len(every):
            moments = [_of_used(every, m) for m in moments]
            counts = _of_used(every, counts)
        if counts.count(counts[0]) == len(counts):
            counts = [self.advance(group, counts[0])] * len(counts)
            rows = [self._row(group, counts[0])]
        else:
            counts = [self.advance(group, n) for n in counts]
            rows = [self._row(group, n) for n in counts]
        if len(used) < len(every):
            new = iter(counts)
            pairs = zip(every, group.counts, strict=True)
            counts = [n if p.grad is None else next(new) for p, n in pairs]
        # one call that looks at the arrays itself: 12 parameters cost as much Python as a
        # short LSTM's whole forward
        arrays = [p._array for p in used]
        grads = [g._array for p in used if isinstance(g := p.grad, Tensor)]
        if len(grads) == len(used) and update.fits(arrays, grads, moments):
            return group, counts, used, lambda: update.run(arrays, grads, moments, rows)
        grads = [_fitting(self, p, [m[k] for m in moments]) for k, p in enumerate(used)]
        return group, counts, used, lambda: one_by_one(update, arrays, grads, moments, rows)

    def _kernel(self, group: Group) -> tuple[Update, tuple[str, ...]]:
        """The compiled rule for a group's options of now; moments it newly needs begin."""
        rule, names = self.plan(group)
        if group.kernel is None or group.kernel.rule is not rule:
            group.kernel = Update(rule)
            if not group.counts or (names and not group.moments):
                # what is counted is the updates that the moments have seen
                group.counts = [self.first(group)] * len(group["params"])
            for name in names:
                if name not in group.moments:
                    group.moments[name] = self._fresh(group)
        return group.kernel, names

    def _fresh(self, group: Group) -> list[Array]:
        return [np.full_like(p._array, self.initial(group)) for p in group["params"]]

    def _row(self, group: Group, count: Count) -> list[float]:
        """All numbers of an update: those that every rule has, and its own."""
        options = group.data
        sign = -1.0 if options["maximize"] else 1.0
        decay = options["weight_decay"]
        if options.get("decoupled_weight_decay"):
            return [sign, 0.0, 1 - options["lr"] * decay, *self.numbers(group, count)]
        return [sign, decay, 1.0, *self.numbers(group, count)]

    # the state ----------------------------------------------------------------------

    def _begin(self, group: Group) -> None:
        self._kernel(group)

    def _states(self, group: Group) -> list[dict[str, Any]]:
        self._kernel(group)  # an option may have been set since, and asks for more moments
        return [
            dict(zip(self.counters, count, strict=True))
            | {name: arrays[k].copy() for name, arrays in group.moments.items()}
            for k, count in enumerate(group.counts)
        ]

    def _read(self, group: Group, states: list[Mapping[str, Any]]) -> Any:
        self._begin(group)
        _, names = self.plan(group)
        counts, moments = list[Count](), group.moments
        for k, (p, state) in enumerate(zip(group["params"], states, strict=True)):
            given = {name: as_array(v) for name, v in state.items() if v is not None}
            wrong = sorted(set(given) - {*self.counters, *self.moments})
            lost = sorted({*self.counters, *names} - set(given)) if given else []
            if wrong or lost:
                raise ValueError(
                    f"state of parameter {k}: missing {', '.join(lost) or 'nothing'}; "
                    f"unexpected {', '.join(wrong) or 'nothing'}"
                )
            start = self.first(group)
            if given:
                start = tuple(given[c].item() for c in self.counters)
                if not (start[0] >= 0 and start[0] % 1 == 0):
                    raise ValueError(
                        f"step of parameter {k} must be a whole number, got {start[0]}"
                    )
            counts.append((int(start[0]), *start[1:]))
            for name in self.moments:
                if name in given:
                    if given[name].shape != p.shape:
                        raise ValueError(
                            f"{name} of parameter {k} must be {p.shape}, got {given[name].shape}"
                        )
                    if name not in moments:
                        moments[name] = self._fresh(group)
                    moments[name][k][...] = given[name]
        return counts, moments

    def _take(self, group: Group, found: Any) -> None:
        group.counts, group.moments = found
        group.kernel = None


def _of_used(params: tuple[Tensor, ...], kept: list[Any]) -> list[Any]:
    """What is kept for those parameters that have a gradient."""
    return [a for p, a in zip(params, kept, strict=True) if p.grad is not None]


def _fitting(optimizer: Optimizer, p: Tensor, moments: list[Array]) -> Array:
    """The gradient's array, if it and the moments fit the parameter and that can be written to."""
    name, label, g = type(optimizer).__name__, p.name or "a parameter", p.grad
    if not isinstance(g, Tensor) or g._array.shape != p._array.shape:
        came = g.shape if isinstance(g, Tensor) else type(g).__name__
        raise ShapeError(f"{name}: the gradient of {label} must be {p.shape}, got {came}")
    if not p._array.flags.writeable:
        raise ValueError(f"{name}: the array of {label} is read-only; make the tensor from a copy")
    if g.dtype != p.dtype:
        raise DTypeError(f"{name}: {label} is {p.dtype}, its gradient {g.dtype}")
    for m in moments:
        if m.dtype != p.dtype or m.shape != p.shape:
            raise DTypeError(
                f"{name}: {label} is {p.dtype} of {p.shape} now, its moments {m.dtype} of "
                f"{m.shape}; make the optimiser after converting the parameters"
            )
    array: Array = g._array
    return array


def one_by_one(
    update: Update,
    params: list[Array],
    grads: list[Array],
    moments: list[list[Array]],
    rows: list[list[float]],
) -> None:
    """Update arrays of any dtype and order, each by way of copies."""
    for k, (p, g) in enumerate(zip(params, grads, strict=True)):
        written = [p, *(m[k] for m in moments)]
        new = [np.array(a, order="C") for a in written]
        args = [new[0]], [np.array(g, order="C")], [[m] for m in new[1:]]
        fitting = update.fits(*args)
        assert fitting, "arrays made here fit"
        update.run(*args, [rows[min(k, len(rows) - 1)]])
        for a, b in zip(written, new, strict=True):
            a[...] = b
