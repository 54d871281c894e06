"""What cannot be captured, and how that is said."""

import gc
import sys
from typing import Any

import numpy as np
import pytest
from programs import series

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CaptureError

FORBIDDEN: list[tuple[str, Any, str]] = [
    ("branch", lambda x: x if x.sum() > 0 else -x, "value of a traced tensor"),
    ("item", lambda x: x * x.sum().item(), "value of a traced tensor"),
    ("float", lambda x: x * float(x.sum()), "value of a traced tensor"),
    ("int", lambda x: x * int(x.sum()), "value of a traced tensor"),
    ("numpy", lambda x: tg.tensor(np.tanh(x.numpy())), "value of a traced tensor"),
    ("ufunc", lambda x: tg.tensor(np.tanh(x)), "NumPy function got"),
    ("numpy-function", lambda x: tg.tensor(np.asarray(x)), "value of a traced tensor"),
    ("tolist", lambda x: tg.tensor(x.tolist()), "value of a traced tensor"),
    ("range", lambda x: [x for _ in range(tg.astype(x.sum(), dtype="int64"))], "traced tensor"),
    ("mask", lambda x: x[x > 0], "how much a mask picks"),
    ("number-result", lambda x: 3.0, "returns a float"),
    ("array-result", lambda x: (x, np.ones(2)), "returns a ndarray"),
    ("backward", lambda x: x.sum().backward(), "inside a jitted function"),
    ("grad", lambda x: tg.grad(x.sum(), x), "inside a jitted function"),
    ("hook", lambda x: (x * 2).register_hook(print), "hook"),
    ("requires-grad", lambda x: setattr(x, "requires_grad", False), "requires_grad"),
    ("assign", lambda x: (x * 2).assign_(np.ones(2)), "assign_"),
]


@pytest.mark.parametrize(
    ("fn", "message"), [f[1:] for f in FORBIDDEN], ids=[f[0] for f in FORBIDDEN]
)
def test_what_cannot_be_captured(fn: Any, message: str) -> None:
    fast = tg.jit(fn)
    x = series(2)
    with pytest.raises(CaptureError, match=message) as caught:
        fast(x)
    if "returns" not in message:
        assert "test_jit_refused.py:" in str(caught.value)  # the user's file and line
    with tg.disable_jit():
        if message == "value of a traced tensor":
            fast(series(2, grad=False))  # the way out that the message names


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(CaptureError, match="expected a function"):
        tg.jit(3)  # type: ignore[arg-type]
    with pytest.raises(CaptureError, match="call it once"):
        tg.jit(lambda x: x).explain()


def test_a_loop_that_an_error_cuts_short_ends_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its iterator lives as long as the traceback, longer than the recording."""
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    with pytest.raises(CaptureError, match="the value of a traced tensor") as caught:
        tg.jit(lambda x: [float(x_t) for x_t in x])(tg.ones(3))
    del caught
    gc.collect()
    assert not complaints


@pytest.mark.parametrize("name", ["shape", "dtype", "ndim", "size"])
def test_what_a_tensor_is_cannot_be_set(name: str) -> None:
    """Neither in eager code nor in a recording; its name can."""

    def fn(x: Any) -> Any:
        y = x * 2
        y.name = "twice"
        assert y.name == "twice"
        setattr(y, name, getattr(y, name))
        return y

    for f in (fn, tg.jit(fn)):
        with pytest.raises(AttributeError):
            f(series(2))
