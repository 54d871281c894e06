"""The fuzzer: what it found stays mended, it finds planted errors, and 330 programs do not differ."""

import re
from typing import Any

import pytest
from fuzz.compare import judge
from fuzz.found import PROGRAMS
from fuzz.loops import trial
from fuzz.shrink import shrink
from processes import python

import tinygrad_rnn as tg
from tinygrad_rnn.compiler import compiled
from tinygrad_rnn.kernels.flags import DISABLED

without_numba = pytest.mark.skipif(not DISABLED, reason="all_of_these_without_numba runs them")


@pytest.mark.skipif(DISABLED, reason="they run here")
def test_all_of_these_without_numba() -> None:
    said = python(
        "-m", "pytest", "-q", "tests/test_fuzz.py", "-k", "not compiled", NUMBA_DISABLE_JIT="1"
    )
    assert re.search(r"\d+ passed", said)


@without_numba
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shards", [False, True])
def test_found(name: str, shards: bool) -> None:
    verdict = judge(PROGRAMS[name], shards=shards)
    assert verdict.kind == "same", verdict.said


@without_numba
def test_programs_do_not_differ() -> None:
    said = python("-m", "tests.fuzz", "0", "300")
    assert "0 of 300 differ" in said


@pytest.mark.skipif(DISABLED, reason="nothing is compiled without Numba")
def test_compiled_programs_do_not_differ() -> None:
    said = python("-m", "tests.fuzz", "300", "330", "--compiled", "--jobs", "2")
    assert "0 of 30 differ" in said


def other(change: Any) -> Any:
    """A way to jit that compiles a function whose results are changed."""

    def jit(fn: Any) -> Any:
        return tg.jit(lambda *args: change(fn(*args)))

    return jit


PLANTED = {  # what is done to the result, and what the checker must call it
    "value": (lambda y: y * (1 + 1e-7), "value"),
    "gradient": (lambda y: y + 1e-6 * (y - y.detach()), "gradient"),
    "no gradient": (lambda y: y.detach(), "requires_grad"),
    "random numbers": (lambda y: y + 0 * tg.rand(*y.shape, dtype="float64"), "draws"),
    "dtype": (lambda y: y.astype("float32"), "value"),
    "shape": (lambda y: y[None], "value"),
    "more results": (lambda y: (y, y), "results"),
    "an error": (lambda y: y + tg.ones(7, 7, 7, dtype="float64"), "raises ShapeError"),
}


@without_numba
@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_are_found(name: str) -> None:
    change, kind = PLANTED[name]
    text = PROGRAMS["a mean over the batch"]
    assert judge(text).kind == "same"
    assert judge(text, other(change)).kind == kind


@without_numba
def test_a_planted_error_is_found_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of tanh in loops off by a little: found within 40 programs, a few lines long."""
    original = compiled.differentiate

    def off(*args: Any) -> Any:
        items, gradients = original(*args)
        for i in [i for item in items for i in getattr(item, "body", [])]:
            if i.op.name == "tanh_vjp":
                i.inputs = (i.inputs[0], 0.999)
            if i.op.name == "sub" and i.inputs[0].__class__ is int:
                i.inputs = (0.999, i.inputs[1])
        return items, gradients

    monkeypatch.setattr(compiled, "differentiate", off)
    found = next(p for p in map(trial, range(40)) if judge(p.text()).kind == "gradient")
    small = shrink(found, lambda p: judge(p.text()).kind == "gradient")
    lines = small.text().split("def program")[1].split("\nargs")[0].strip().splitlines()
    assert len(lines) <= 12
    assert any(re.search("tanh|1-|sigmoid|softplus|erf|gelu|silu", line) for line in lines)
