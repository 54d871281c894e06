"""L-BFGS: steps along directions that past gradients bend towards Newton's."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import AnomalyError, GraphError
from ..op import Array
from ..tensors import Tensor
from .optimizer import Optimizer, Params, as_array, not_recorded
from .options import Group, Option, at_least_0, count
from .wolfe import Point, Search


def _line_search(value: object) -> str | None:
    if value not in (None, "strong_wolfe"):
        raise ValueError("must be None or 'strong_wolfe'")
    name: str | None = value
    return name


class LBFGS(Optimizer):
    """p = p + t d, d = -H g, H made of the last history_size changes of p and g.

    Liu and Nocedal, Mathematical Programming 45 (1989). `step(closure)` makes up to
    max_iter such steps; the closure forgets the gradients, computes the loss of all data,
    runs backward and returns the loss. With line_search_fn="strong_wolfe" t satisfies the
    strong Wolfe conditions, else it is lr (at first min(1, 1 / |g|_1) lr).

    >>> w = tg.tensor([-1.0, 2.0], dtype="float64", requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe", max_iter=100)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> _ = optimizer.step(closure)
    >>> w.numpy().round(4).tolist()
    [1.0, 1.0]
    """

    max_iter, max_eval, history_size = Option(count), Option(count), Option(count)
    tolerance_grad, tolerance_change = Option(at_least_0), Option(at_least_0)
    line_search_fn = Option(_line_search)

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        if max_eval is None and isinstance(max_iter, int):
            max_eval = max(max_iter * 5 // 4, 1)
        super().__init__(
            params,
            lr=lr,
            max_iter=max_iter,
            max_eval=max_eval,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            history_size=history_size,
            line_search_fn=line_search_fn,
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to max_iter steps, each at the cost of one or more closures; returns the
        first one's loss. AnomalyError where it or its gradient is not finite, nothing changed."""
        not_recorded(self, "step")
        if closure is None:
            raise GraphError("LBFGS.step: needs a closure that computes loss and gradients")
        return _Minimise(self.param_groups[0], closure).run()

    # the state ----------------------------------------------------------------------

    def _begin(self, group: Group) -> None:
        if self.param_groups and group["params"] is not self.param_groups[0]["params"]:
            raise GraphError("LBFGS: takes one group of parameters, with one direction for all")
        group.moments = _fresh()

    def _states(self, group: Group) -> list[dict[str, Any]]:
        kept = {k: list(v) if isinstance(v, list) else v for k, v in group.moments.items()}
        return [kept, *({} for _ in group["params"][1:])]

    def _read(self, group: Group, states: list[Mapping[str, Any]]) -> Any:
        found, given = _fresh(), states[0] if states else {}
        size = sum(p.size for p in group["params"])
        if any(states[1:]) or (given and set(given) != set(found)):
            raise ValueError(f"the state of the first parameter alone must be {', '.join(found)}")
        for name, value in given.items():
            if value is None:
                continue
            if name in ("old_dirs", "old_stps"):
                found[name] = [np.array(as_array(v)) for v in value]
            elif name in ("d", "prev_flat_grad"):
                found[name] = np.array(as_array(value))
            elif name == "ro":
                found[name] = [float(v) for v in value]
            else:
                found[name] = int(value) if name in ("n_iter", "func_evals") else float(value)
        vectors = [found["d"], found["prev_flat_grad"], *found["old_dirs"], *found["old_stps"]]
        if any(v is not None and v.shape != (size,) for v in vectors):
            raise ValueError(f"vectors must have the {size} numbers of all parameters")
        if len({len(found[name]) for name in ("old_dirs", "old_stps", "ro")}) != 1:
            raise ValueError("old_dirs, old_stps and ro must be of one length")
        return found

    def _take(self, group: Group, found: Any) -> None:
        group.moments = found


def _fresh() -> dict[str, Any]:
    """What is kept from step to step, under PyTorch's names: changes of g are its old_dirs."""
    return {
        "n_iter": 0, "func_evals": 0, "d": None, "t": None, "old_dirs": [], "old_stps": [],
        "ro": [], "H_diag": 1.0, "prev_flat_grad": None, "prev_loss": None,
    }  # fmt: skip


def _join(arrays: list[Array]) -> Array:
    return np.concatenate([a.reshape(-1) for a in arrays])


class _Minimise:
    """One call of `step`."""

    def __init__(self, group: Group, closure: Callable[[], Any]):
        self.options, self.kept, self.closure = group, group.moments, closure
        self.params: tuple[Tensor, ...] = group["params"]

    def run(self) -> Any:
        o, kept = self.options, self.kept
        first = self.closure()
        loss, g = float(first), self._gradient()
        if not (math.isfinite(loss) and np.isfinite(g).all()):
            raise AnomalyError(
                f"LBFGS: the loss is {loss}, its gradient's largest number {np.abs(g).max()}; the "
                "parameters are as they were"
            )
        kept["func_evals"] += 1
        evaluated = 1
        for k in range(o["max_iter"]):
            if np.abs(g).max(initial=0.0) <= o["tolerance_grad"]:
                break
            d = self._direction(g)
            slope = float(g @ d)
            t = o["lr"] * (min(1.0, 1 / float(np.abs(g).sum())) if kept["n_iter"] == 1 else 1.0)
            kept.update(prev_flat_grad=g, prev_loss=loss, d=d, t=t)
            if slope > -o["tolerance_change"]:
                break
            before, evals = loss, kept["func_evals"]
            if o["line_search_fn"] is not None:
                start = Point(0.0, loss, g, slope)
                kept["t"], loss, g, _ = self._search(start, d, t, o["max_eval"] - evaluated)
            else:
                self._put([p._array.copy() for p in self.params], d, t)
                if k == o["max_iter"] - 1:  # nobody asks how good the last step was
                    break
                loss, g = self._ask()
            evaluated += kept["func_evals"] - evals
            moved = float(np.abs(d * d.dtype.type(kept["t"])).max())
            if (
                evaluated >= o["max_eval"]
                or moved <= o["tolerance_change"]
                or abs(loss - before) < o["tolerance_change"]
            ):
                break
        return first

    def _direction(self, g: Array) -> Array:
        """-H g by the two loops over the past (Nocedal and Wright, algorithm 7.4)."""
        kept = self.kept
        changes, moves, inverse = kept["old_dirs"], kept["old_stps"], kept["ro"]
        kept["n_iter"] += 1
        if kept["n_iter"] == 1:
            kept["H_diag"] = 1.0
            return -g
        y, s = g - kept["prev_flat_grad"], kept["d"] * g.dtype.type(kept["t"])
        curved = float(y @ s)
        if curved > 1e-10:  # else H would not stay positive
            for past, new in ((changes, y), (moves, s), (inverse, 1 / curved)):
                past.append(new)
                del past[: -self.options["history_size"]]
            kept["H_diag"] = curved / float(y @ y)
        number = g.dtype.type
        q, weights = -g, []
        for y, s, r in zip(reversed(changes), reversed(moves), reversed(inverse), strict=True):
            weights.append(float(s @ q) * r)
            q = q - number(weights[-1]) * y
        d = q * number(kept["H_diag"])
        for y, s, r, w in zip(changes, moves, inverse, reversed(weights), strict=True):
            d = d + number(w - float(y @ d) * r) * s
        return d

    def _search(self, start: Point, d: Array, t: float, most: int) -> Point:
        """Go to the point along d that the line search finds, in about `most` evaluations."""
        x = [p._array.copy() for p in self.params]

        def evaluate(t: float) -> Point:
            self._put(x, d, t)
            f, g = self._ask()
            return Point(t, f, g, float(g @ d))

        shortest = self.options["tolerance_change"] / float(np.abs(d).max())
        try:
            found = Search(evaluate, start, shortest, most).run(t)
        except BaseException:
            self._put(x, d, 0.0)
            raise
        self._put(x, d, found.t)
        return found

    def _ask(self) -> tuple[float, Array]:
        self.kept["func_evals"] += 1
        return float(self.closure()), self._gradient()

    def _gradient(self) -> Array:
        grads = [np.zeros_like(p._array) if p.grad is None else p.grad._array for p in self.params]
        for p, g in zip(self.params, grads, strict=True):
            if g.shape != p.shape:
                raise GraphError(
                    f"LBFGS: the gradient of {p.name} must be {p.shape}, got {g.shape}"
                )
        return _join(grads)

    def _put(self, x: list[Array], d: Array, t: float) -> None:
        """Set the parameters to x + t d."""
        step, done = d * d.dtype.type(t), 0
        for p, a in zip(self.params, x, strict=True):
            p._array[...] = a + step[done : done + a.size].reshape(a.shape)
            p.bump_version()
            done += a.size
