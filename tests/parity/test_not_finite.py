"""NaN and infinities through every pointwise op and reduction: values and gradients of PyTorch.

A NaN must not hide: where it is swallowed, clipping and a look at the loss find nothing.
"""

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg

NAN, INF = float("nan"), float("inf")
VALUES = np.array([NAN, INF, -INF, 0.0, -0.0, 1.0, -1.5, 2.0, 30.0])
SEEDS = [1.0, 0.0, -2.0, NAN, INF]  # cotangents: what comes from above may be broken too
F = torch.nn.functional

ONE = {
    "neg": torch.neg,
    "abs": torch.abs,
    "exp": torch.exp,
    "log": torch.log,
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "log2": torch.log2,
    "log10": torch.log10,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "trunc": torch.trunc,
    "round": torch.round,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": F.softplus,
    "silu": F.silu,
    "erf": torch.erf,
    "gelu": F.gelu,
}
TWO = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "pow": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "atan2": torch.atan2,
    "hypot": torch.hypot,
    "logaddexp": torch.logaddexp,
    "remainder": torch.remainder,
}
ROWS = [
    [1.0, 2.0, 3.0],
    [2.0, 2.0, 1.0],
    [4.0, 4.0, 4.0],
    [0.0, 0.0, 0.0],
    [NAN, 1.0, 2.0],
    [NAN, NAN, 1.0],
    [NAN, INF, 1.0],
    [INF, 1.0, 2.0],
    [-INF, 1.0, 2.0],
    [INF, INF, 1.0],
    [-INF, -INF, -INF],
    [INF, -INF, 1.0],
]
OVER = {
    "sum": torch.sum,
    "mean": torch.mean,
    "max": torch.amax,
    "min": torch.amin,
    "logsumexp": torch.logsumexp,
    "norm": lambda x, axis: torch.linalg.vector_norm(x, dim=axis),
    "var": lambda x, axis: torch.var(x, axis, correction=0),
    "std": lambda x, axis: torch.std(x, axis, correction=0),
    "sort": lambda x, axis: torch.sort(x, dim=axis)[0],
    "cumsum": torch.cumsum,
    "softmax": torch.softmax,
    "log_softmax": torch.log_softmax,
}


def compare(ours, theirs, inputs, seed):
    """Value and gradients of one call, equal where PyTorch's are NaN too."""
    a = [tg.tensor(x, requires_grad=True) for x in inputs]
    b = [torch.tensor(x, requires_grad=True) for x in inputs]
    with np.errstate(all="ignore"):
        y, z = ours(*a), theirs(*b)
        g = seed * np.arange(1.0, 1 + y.size).reshape(y.shape)
        y.backward(g)
        z.backward(torch.tensor(g))
    pairs = [(y, z.detach()), *[(p.grad, q.grad) for p, q in zip(a, b, strict=True)]]
    for what, (found, wanted) in zip(["value", *inputs], pairs, strict=True):
        np.testing.assert_allclose(
            found.numpy(), wanted.numpy(), rtol=1e-9, atol=1e-15, err_msg=f"{what} of {inputs}"
        )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ONE)
def test_ops_of_one_input(name, seed):
    compare(getattr(tg, name), ONE[name], [VALUES], seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TWO)
def test_ops_of_two_inputs(name, seed):
    compare(getattr(tg, name), TWO[name], np.meshgrid(VALUES, VALUES), seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", OVER)
def test_reductions(name, seed):
    for row in ROWS:
        if name in ("var", "std") and np.isinf([seed, *row]).any():
            continue  # below
        compare(
            lambda x: getattr(tg, name)(x, axis=-1), lambda x: OVER[name](x, -1), [np.array(row)],
            seed,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["var", "std"])
def test_of_infinities_a_variance_and_all_its_gradients_are_nan(name):
    """PyTorch writes the gradient out, and finds infinities for some of them."""
    for row in ROWS:
        for seed in SEEDS:
            x = tg.tensor(row, requires_grad=True)
            with np.errstate(all="ignore"):
                y = getattr(tg, name)(x)
                y.backward(np.float32(seed))
            if np.isinf(row).any():
                assert np.isnan(y.numpy())
            if np.isinf(row).any() or (seed == INF and np.std(row) > 0):
                assert np.isnan(x.grad.numpy()).all()


@pytest.mark.parametrize("bounds", [(-1.5, 1.0), (-INF, INF), (0.0, 0.0), (1.0, -1.0)])
@pytest.mark.parametrize("seed", SEEDS)
def test_clip(bounds, seed):
    low, high = bounds
    compare(lambda x: tg.clip(x, low, high), lambda x: torch.clamp(x, low, high), [VALUES], seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_clip_with_bounds_that_train(seed):
    x, low, high = np.meshgrid(VALUES, VALUES, VALUES)
    compare(tg.clip, torch.clamp, [x, low, high], seed)
