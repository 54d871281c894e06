"""Floats as arguments: ever other values are operands where that serves, and always eager's answer."""

import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from programs import kernels, series

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.reasons import OFTEN
from tinygrad_rnn.testing import check_jit

VALUES = [0.9, 0.8, 0.3, 1.0, 2.0, -0.5, 0.0, -0.0, math.inf, math.nan, 1e300, 0.8, 0.3]
quiet = pytest.mark.filterwarnings("ignore::tinygrad_rnn.CaptureWarning", "ignore:overflow")


class Kept(nn.Module):
    """Stores what it is given."""

    last = None

    def forward(self, x: Any, a: Any) -> Any:
        self.last = a
        return x * a


# f(x, a) in which a is an operand: two recordings, one more in another type of numbers
OPERANDS: dict[str, Callable[[Any, Any], Any]] = {
    "mul": lambda x, a: x * a,
    "div": lambda x, a: x / a,
    "div-of": lambda x, a: a / x,
    "power": lambda x, a: x**a,
    "power-of": lambda x, a: a**x,
    "negative": lambda x, a: x * -a + abs(a) - (+a),
    "of-numbers": lambda x, a: x * (1 - a) + (a**2 + a // 0.3 + a % 0.3) * x + 3 * x,
    "clip": lambda x, a: tg.clip(x, -a, a),
    "where": lambda x, a: tg.where(x > 0, a, 0.5 * a),
    "comparison": lambda x, a: tg.where(x >= a, x, (a == x) * -x),
    "maximum": lambda x, a: tg.maximum(a, x),
    "softmax": lambda x, a: tg.softmax(x / a, axis=0),
    "integers": lambda x, a: tg.arange(3) * a,
    "booleans": lambda x, a: (x > 0) * a,
    "float64": lambda x, a: tg.astype(x, "float64") * a,
    "isinstance": lambda x, a: x * a if isinstance(a, float | np.floating) else x,
    "nested": lambda x, a: (lambda d: x * d["a"][0])({"a": [a]}),
    "stack": lambda x, a: tg.stack([x, x * a]),
    "loop": lambda x, a: sum(x * a**t for t in range(5)),
    "complex-between": lambda x, a: x * abs((a - 0.7) ** 0.5),
    "division-by-zero": lambda x, a: x * (1 / a),
    "unused": lambda x, a: x * 2,
    "options-elsewhere": lambda x, a: (
        tg.dropout(nn.leaky_relu(x, 0.1) if hasattr(nn, "leaky_relu") else x, 0.4) * a
    ),
}
# f(x, a) in which its value is asked for
ASKED: dict[str, Callable[[Any, Any], Any]] = {
    "branch": lambda x, a: x if a > 0.5 else -x,
    "branch-and-operand": lambda x, a: x * a if a > 0.5 else x - a,
    "truth": lambda x, a: x if a else -x,
    "equal": lambda x, a: x if a == 0.8 else -x,
    "member": lambda x, a: x if a in (None, 0.8) else -x,
    "math": lambda x, a: x * math.copysign(2, a),
    "int": lambda x, a: x * (int(a) if math.isfinite(a) else 7),
    "round": lambda x, a: x * round(a, 0),
    "format": lambda x, a: x * len(f"{a:.3f}"),
    "string": lambda x, a: x * len(str(a)),
    "hash": lambda x, a: x * {0.8: 2.0}.get(a, 3.0),
    "max": lambda x, a: x * max(a, 0.5),
    "attribute": lambda x, a: x * a.is_integer(),
    "type": lambda x, a: x * a if type(a) is float else x,
    "json": lambda x, a: x * len(json.dumps(a)) if isinstance(a, float) else x,
    "numpy": lambda x, a: x * np.sqrt(a),
    "numpy-array": lambda x, a: x * (np.ones(3, "f") * a),
    "numpy-where": lambda x, a: x * np.where(np.ones(3, bool), a, np.float32(0)),
    "tensor": lambda x, a: x * tg.tensor(a),
    "list": lambda x, a: x * tg.tensor([a, 1.0, 2.0]),
    "operand-in-a-list": lambda x, a: x * [a, 1.0, 2.0],
    "full": lambda x, a: x * tg.full(3, a),
    "dropout": lambda x, a: tg.dropout(x, min(abs(a), 0.9) if a == a else 0.5),
    "option": lambda x, a: tg.leaky_relu(x, a),
    "huber": lambda x, a: nn.huber_loss(x, tg.zeros(3), abs(a) or 1.0),
    "op-of-numbers": lambda x, a: x * tg.exp(a),
    "stored": lambda x, a: Kept()(x, a) if a == a else x,
    "global-module": lambda x, a: KEPT(x, a),
    "stack-of-numbers": lambda x, a: tg.stack([x.sum(), a * x.sum()]) * a.real,
}  # fmt: skip
KEPT = Kept()


def answer(f: Any, x: Any, a: Any) -> Any:
    """dtype, values and gradient; of an error its kind."""
    tg.manual_seed(0)
    x.grad = None
    try:
        with np.errstate(all="ignore"):
            y = f(x, a)
            if y.requires_grad:
                y.sum().backward()
    except Exception as error:
        return type(error)
    return y.dtype, y.numpy().tolist(), None if x.grad is None else x.grad.tolist()


def recordings(f: Any, kind: Any) -> int:
    """How often f is recorded for all values, whose answers are eager's, errors not counted."""
    fast, errors = tg.jit(f), 0
    x = tg.tensor([0.5, -1.0, 2.0], requires_grad=True)
    for value in VALUES:
        with np.errstate(all="ignore"):
            a = kind(value)
        expected = answer(f, x, a)
        np.testing.assert_equal(answer(fast, x, a), expected)
        errors += isinstance(expected, type)
    return int(fast._recordings.count) - errors


@quiet
@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
@pytest.mark.parametrize("name", OPERANDS)
def test_ever_other_floats_are_operands(name: str, kind: Any) -> None:
    assert recordings(OPERANDS[name], kind) <= 3


@quiet
@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
@pytest.mark.parametrize("name", ASKED)
def test_a_float_whose_value_is_asked_for_is_looked_at_in_every_call(name: str, kind: Any) -> None:
    recordings(ASKED[name], kind)
    assert not hasattr(KEPT.last, "floats")


def test_who_asks_is_named() -> None:
    fast, x = tg.jit(ASKED["math"]), tg.ones(3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(OFTEN):
            fast(x, 0.5 + k)
    here = f"{__file__}:{ASKED['math'].__code__.co_firstlineno}"
    assert f"the argument a, read at {here}, was another number (1.5, 2.5" in str(caught[0].message)


def test_one_that_is_asked_for_beside_one_that_is_not() -> None:
    def run(x: Any, a: float, *, options: dict[str, float]) -> Any:
        return x * a * options["b"] if options["c"] > 0 else x * 2

    fast, x = tg.jit(run), tg.ones(3)
    for k in range(20):
        options = {"b": 1.0 - k, "c": 1.0 if k % 3 else -1.0}
        np.testing.assert_array_equal(
            fast(x, 0.1 * k, options=options).numpy(), run(x, 0.1 * k, options=options).numpy()
        )
    assert fast._recordings.count < 7


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_annealed_temperature_in_a_loop(dtype: str) -> None:
    """The loop is one kernel, with the temperature and numbers made of it and the step."""
    W = series(4, 4, dtype=dtype)

    def run(x: Any, a: float) -> Any:
        h = x[0]
        for t, x_t in enumerate(x):
            h = tg.sigmoid(x_t + (h @ W) / a + 0.1 * a * t) ** (a + 2)
        return (h * h).sum()

    fast, x = tg.jit(run), tg.tensor(abs(series(7, 3, 4, dtype=dtype).numpy()))
    for k in range(6):
        assert check_jit(fast, x, 1.0 - 0.1 * k, parameters=[W])
    assert fast._recordings.count == 4  # with gradients and without
    assert kernels(fast) == 1


def test_floats_and_shapes_that_change_at_once() -> None:
    fast = tg.jit(lambda x, a: (x * a).sum())
    for k in range(6):
        assert fast(tg.ones(2 + k % 3), 1.0 + k).item() == (2 + k % 3) * (1.0 + k)
    assert fast._recordings.count == 4  # of the shapes, and once more for the operand
