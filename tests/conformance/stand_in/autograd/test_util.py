"""autograd's checks of gradients, by reverse mode and finite differences; complex numbers left out.

autograd checks forward mode, too, which is not here; `order` derivatives at most two.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from autograd.operators import leaf, tensors

STEP = 1e-6


def check_grads(function: Callable[..., Any], argnum: Any = 0, modes: Any = None,
                order: int = 2) -> Callable[..., None]:  # fmt: skip
    """Check the derivatives by one argument, or by several."""
    numbers = (argnum,) if isinstance(argnum, int) else tuple(argnum)

    def check(*args: Any, **options: Any) -> None:
        at = [args[n] for n in numbers]
        _check(lambda *xs: function(*_put(args, numbers, xs), **options), at, min(order, 2))

    return check


def combo_check(
    function: Callable[..., Any], argnum: Any = (0,), **how: Any
) -> Callable[..., None]:
    """Check all combinations of arguments and options."""

    def check(*args: Any, **options: Any) -> None:
        for chosen in itertools.product(*args):
            for values in itertools.product(*options.values()):
                if not any(_complex(a) for a in chosen):
                    named = dict(zip(options, values, strict=True))
                    check_grads(function, argnum, **how)(*chosen, **named)

    return check


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two numbers agree to a millionth."""
    return bool(abs(a - b) < 1e-6 or abs(a - b) / abs(a + b) < 1e-6)


def _complex(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_complex(v) for v in value)
    return np.iscomplexobj(value)


def _put(args: Any, numbers: tuple[int, ...], xs: Any) -> list[Any]:
    out = list(args)
    for n, x in zip(numbers, xs, strict=True):
        out[n] = x
    return out


def _moved(value: Any, directions: Any, by: float) -> Any:
    """Plain values, each moved along its direction."""
    if isinstance(value, list | tuple):
        return type(value)([_moved(v, directions, by) for v in value])
    array = value.detach().numpy() if isinstance(value, tg.Tensor) else np.asarray(value)
    return array + by * next(directions) if array.dtype.kind == "f" else value


def _check(function: Callable[..., Any], at: list[Any], order: int) -> None:
    """Compare u . J v with differences, v and u random; then the same of the gradient."""
    rng = np.random.default_rng(0)
    xs = [leaf(a) for a in at]
    free = list(tensors(xs))
    v = [rng.standard_normal(x.shape) for x in free]
    u = [rng.standard_normal(np.shape(y)) for y in _results(function(*xs))]

    def total(*points: Any) -> Any:
        found = _results(function(*points))
        return sum(((y * w).sum() for y, w in zip(found, u, strict=True)), tg.tensor(np.zeros(())))

    y = total(*xs)
    grads = [None] * len(free)
    if y.requires_grad:
        grads = tg.grad(y, free, allow_unused=True, create_graph=True)
    pairs = [(g, w) for g, w in zip(grads, v, strict=True) if g is not None]
    mine = sum(float((g.detach().numpy() * w).sum()) for g, w in pairs)
    ends = []
    for by in (STEP / 2, -STEP / 2):
        walk = iter(v)
        ends.append(float(total(*[leaf(_moved(a, walk, by)) for a in at]).detach()))
    theirs = (ends[0] - ends[1]) / STEP
    assert abs(mine - theirs) < 1e-5 or abs(mine - theirs) / abs(mine + theirs) < 1e-5, (
        mine,
        theirs,
    )
    if order > 1:
        _check(lambda *points: _gradient(total, points), at, order - 1)


def _results(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [y for part in value for y in _results(part)]
    return [value] if isinstance(value, tg.Tensor) else [np.asarray(value)]


def _gradient(total: Callable[..., Any], points: Any) -> list[Any]:
    free = list(tensors(points))
    y = total(*points)
    grads = [None] * len(free)
    if y.requires_grad:
        grads = tg.grad(y, free, allow_unused=True, create_graph=True)
    return [x * 0.0 if g is None else g for x, g in zip(free, grads, strict=True)]
