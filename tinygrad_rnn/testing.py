"""Checks for the library's ops and for your own: gradients by finite differences, and
jitted functions against eager execution.

Full Jacobians in float64, central differences; or one random projection, which
costs two evaluations whatever the size (Griewank and Walther 2008, chapter 3).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .autodiff import grad
from .errors import DTypeError, GraphError
from .op import Array
from .ops.random import default_generator
from .recording import constant
from .switches import no_grad
from .tensors import Tensor


class GradcheckError(AssertionError):
    """A gradient that differs from its finite difference."""


def _prepare(inputs: Tensor | Sequence[Tensor]) -> list[Tensor]:
    tensors = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for k, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise GraphError(f"gradcheck: input {k} must be a Tensor, got {type(t).__name__}")
        leaf = "tg.tensor(x.numpy(), dtype='float64', requires_grad=True)"
        if t.requires_grad and t.dtype != np.float64:
            raise DTypeError(
                f"gradcheck: input {k} is {t.dtype}; finite differences need float64, give {leaf}"
            )
        if t.requires_grad and t.node is not None:
            raise GraphError(
                f"gradcheck: input {k} must be a leaf, not the result of an op; give {leaf}"
            )
    if not any(t.requires_grad for t in tensors):
        raise GraphError("gradcheck: no input requires a gradient")
    return tensors


def _outputs(fn: Callable[..., Any], tensors: list[Tensor]) -> list[Tensor]:
    y = fn(*tensors)
    outputs = [y] if isinstance(y, Tensor) else [t for t in y if isinstance(t, Tensor)]
    return [t for t in outputs if t.dtype.kind == "f"]


def _at(fn: Callable[..., Any], tensors: list[Tensor], k: int, value: Array) -> list[Array]:
    """Outputs with input k replaced, as plain arrays."""
    moved = list(tensors)
    moved[k] = Tensor(value, requires_grad=True)
    return [t.numpy().astype(np.float64) for t in _outputs(fn, moved)]


def _compare(name: str, found: Array, wanted: Array, atol: float, rtol: float) -> None:
    scale = atol + rtol * np.abs(wanted)
    bad = ~(np.abs(found - wanted) <= scale)  # NaN counts as different
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise GradcheckError(
            f"{name}: the gradient is {found[at]:.6g}, the finite difference {wanted[at]:.6g} "
            f"at {at}; {int(bad.sum())} of {bad.size} differ"
        )


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    fast: bool = False,
) -> bool:
    """Compare the gradients of `fn(*inputs)` with central differences; raise if they differ.

    Every float64 input that requires a gradient is checked against the whole
    Jacobian, or with `fast` against one random projection u^T J v. The backward
    pass runs twice and must give the same bits. `fn` may return one Tensor or
    several. Raises GradcheckError naming input, output and place.

    >>> x = tg.tensor(np.linspace(-1, 1, 5), requires_grad=True)
    >>> gradcheck(lambda x: tg.tanh(x) * x, x)
    True
    """
    tensors = _prepare(inputs)
    rng = np.random.default_rng(0)
    for o, y in enumerate(_outputs(fn, tensors)):
        for k, x in enumerate(tensors):
            if not x.requires_grad:
                continue
            where = f"gradcheck, output {o}, input {k}"
            check = _check_projection if fast else _check_jacobian
            check(where, fn, tensors, o, y, k, (eps, atol, rtol), rng)
    return True


def _vjp(y: Tensor, x: Tensor, seed: Array) -> Array:
    """u^T J, twice, and the same bits both times."""
    if not y.requires_grad:
        return np.zeros(x.shape)
    results = []
    for _ in range(2):
        g = grad(y, x, constant(seed), retain_graph=True, allow_unused=True)
        results.append(np.zeros(x.shape) if g is None else g.numpy())
    if not np.array_equal(results[0], results[1], equal_nan=True):
        raise GradcheckError("gradcheck: two backward passes give different bits")
    if results[0].dtype != x.dtype or results[0].shape != x.shape:
        raise GradcheckError(
            f"gradcheck: the gradient is {results[0].dtype}{results[0].shape}, "
            f"the input {x.dtype}{x.shape}"
        )
    return results[0]


def _check_jacobian(
    where: str, fn: Any, tensors: list[Tensor], o: int, y: Tensor, k: int, tol: Any, rng: Any
) -> None:
    eps, atol, rtol = tol
    x = tensors[k]
    found = np.zeros((y.size, x.size))
    for i in range(y.size):
        seed = np.zeros(y.size)
        seed[i] = 1
        found[i] = _vjp(y, x, seed.reshape(y.shape)).reshape(-1)
    wanted = np.zeros_like(found)
    for j in range(x.size):
        ends = []
        for sign in (1, -1):
            moved = x.numpy().copy()
            moved.reshape(-1)[j] += sign * eps
            ends.append(_at(fn, tensors, k, moved)[o].reshape(-1))
        wanted[:, j] = (ends[0] - ends[1]) / (2 * eps)
    _compare(where, found, wanted, atol, rtol)


def _check_projection(
    where: str, fn: Any, tensors: list[Tensor], o: int, y: Tensor, k: int, tol: Any, rng: Any
) -> None:
    eps, atol, rtol = tol
    x = tensors[k]
    u, v = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    ends = [_at(fn, tensors, k, x.numpy() + sign * eps * v)[o] for sign in (1, -1)]
    wanted = np.sum(u * (ends[0] - ends[1])) / (2 * eps)
    found = np.sum(_vjp(y, x, u) * v)
    _compare(where, np.atleast_1d(found), np.atleast_1d(wanted), atol, rtol)


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    fast: bool = False,
) -> bool:
    """Check second derivatives: gradcheck of (inputs, seeds) -> seeds^T J.

    >>> gradgradcheck(tg.sigmoid, tg.tensor(np.array([0.3, -2.0]), requires_grad=True))
    True
    """
    tensors = _prepare(inputs)
    rng = np.random.default_rng(1)
    outputs = _outputs(fn, tensors)
    seeds = [
        Tensor(rng.standard_normal(y.shape), requires_grad=True) for y in outputs if y.requires_grad
    ]

    def first(*arguments: Tensor) -> list[Tensor]:
        xs, gs = list(arguments[: len(tensors)]), arguments[len(tensors) :]
        ys = [y for y in _outputs(fn, xs) if y.requires_grad]
        wanted = [x for x, t in zip(xs, tensors, strict=True) if t.requires_grad]
        found = grad(ys, wanted, list(gs), create_graph=True, allow_unused=True)
        return [g for g in found if g is not None and g.requires_grad]

    if not seeds or not first(*tensors, *seeds):
        return True  # a linear function of nothing: its second derivative is zero
    return gradcheck(first, [*tensors, *seeds], eps, atol, rtol, fast)


def _leaves(value: object) -> list[Tensor]:
    """All Tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for v in value.values() for t in _leaves(v)]
    return [t for v in value for t in _leaves(v)] if isinstance(value, list | tuple) else []


def _distance(found: Array, wanted: Array) -> float:
    """|found - wanted| relative to |wanted|; NaN and infinities must agree."""
    if not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
        return float("inf")
    a, b = (np.where(np.isfinite(x), x, 0).astype(np.float64) for x in (found, wanted))
    return float(np.linalg.norm(a - b) / max(float(np.linalg.norm(b)), 1e-30))


def check_jit(
    fn: Callable[..., Any],
    *args: Any,
    parameters: Sequence[Tensor] = (),
    tol: float | None = None,
    **kwargs: Any,
) -> bool:
    """Compare `tg.jit(fn)(*args)` with `fn(*args)`: results, and gradients of random seeds.

    Gradients are taken with respect to the arguments that require one and to
    `parameters` (those that `fn` closes over). Distances are relative to each
    tensor's norm; `tol` is 1e-12 in float64 and 1e-5 in float32 if it is not given. A
    random op draws the same numbers in both. Raises GradcheckError naming the result or
    the input.

    >>> cell = tg.nn.RNNCell(2, 3).astype("float64")
    >>> def last(x):
    ...     h = tg.zeros(1, 3, dtype="float64")
    ...     for x_t in x:
    ...         h = cell(x_t, h)
    ...     return h
    >>> check_jit(last, tg.tensor(np.ones((6, 1, 2))), parameters=cell.parameters())
    True
    """
    from .compiler import jit  # whoever checks gradients only need not load it

    fast = fn if hasattr(fn, "explain") else jit(fn)
    plain = getattr(fn, "fn", fn)
    wanted = [t for t in [*_leaves(args), *_leaves(kwargs), *parameters] if t.requires_grad]
    state = default_generator.state
    results, grads = [], []
    for f in (plain, fast):
        default_generator.state = state
        ys = _leaves(f(*args, **kwargs))
        rng = np.random.default_rng(0)
        outs = [y for y in ys if y.requires_grad]
        seeds = [constant(rng.standard_normal(y.shape).astype(y.dtype)) for y in outs]
        gs = grad(outs, wanted, seeds, allow_unused=True) if outs and wanted else ()
        results.append([y.numpy() for y in ys])
        grads.append([None if g is None else g.numpy() for g in gs])
    with no_grad():
        default_generator.state = state
        results.append([y.numpy() for y in _leaves(fast(*args, **kwargs))])
    for run in results[1:]:
        _agree("result", run, results[0], tol)
    _agree("gradient of input", grads[1], grads[0], tol)
    return True


def _agree(what: str, found: list[Any], wanted: list[Any], tol: float | None) -> None:
    if len(found) != len(wanted):
        raise GradcheckError(f"check_jit: {len(found)} compiled {what}s, {len(wanted)} eager")
    for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
        if a is None or b is None:
            if a is not b:
                raise GradcheckError(f"check_jit: {what} {k} is None in one of the two only")
            continue
        if a.shape != b.shape or a.dtype != b.dtype:
            raise GradcheckError(
                f"check_jit: {what} {k} is {a.dtype}{a.shape} compiled, {b.dtype}{b.shape} eager"
            )
        limit = tol if tol is not None else 1e-12 if b.dtype == np.float64 else 1e-5
        distance = _distance(a, b)
        if not distance <= limit:
            raise GradcheckError(
                f"check_jit: {what} {k} differs by {distance:.1e} of its norm, the limit is "
                f"{limit:.0e}"
            )
