"""Programs that once differed under `tg.jit`: eager and compiled must give the same."""

import operator
from typing import Any

import pytest
from processes import HERE, python
from same_programs import PROGRAMS, check, given

import tinygrad_rnn as tg
from tinygrad_rnn import compiler
from tinygrad_rnn.compiler.ir import Loop
from tinygrad_rnn.kernels.flags import DISABLED
from tinygrad_rnn.testing import check_jit


@pytest.mark.skipif(DISABLED, reason="the next test runs the same programs in this mode")
def test_programs_without_the_compiler() -> None:
    """All, their generated source run by Python."""
    said = python("-W", "error", str(HERE / "same_programs.py"), NUMBA_DISABLE_JIT="1")
    assert f"{len(PROGRAMS)} programs agree" in said


@pytest.mark.parametrize(
    "name",
    [
        name if DISABLED or k % 5 == 0 else pytest.param(name, marks=pytest.mark.long)
        for k, name in enumerate(PROGRAMS)
    ],
)
def test_programs(name: str) -> None:
    """A fifth compiled, since that takes seconds each; all with --long or without Numba."""
    check(name)


@pytest.mark.parametrize(
    "part", ["runtime.part.codegen.generate", "compiled.optimize", "compiled.legalize"]
)
def test_a_defect_of_the_compiler_is_said_and_computes_right(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the compiler raises of its own is no lack of code: a warning, an error in tests."""
    g = given()

    def broken(what: Any) -> Any:
        if isinstance(what, Loop) or any(isinstance(item, Loop) for item in what.items):
            raise KeyError("planted")
        return original(what)

    original = operator.attrgetter(part)(compiler)
    monkeypatch.setattr(f"tinygrad_rnn.compiler.{part}", broken)
    fast = tg.jit(lambda: PROGRAMS["one_expression_twice"](g))
    with pytest.warns(tg.CompilerWarning, match="defect: KeyError at .*planted"):
        assert check_jit(fast, parameters=[g.x, g.h0, g.W])
    assert "its eager kernel" in fast.explain() or "generator failed" in fast.explain()
    assert not fast._last.compiled.forward.runners  # type: ignore[union-attr]


def test_explain_prints_the_program() -> None:
    g = given()
    fast = tg.jit(lambda: PROGRAMS["one_expression_twice"](g))
    fast()
    forward, backward = fast.explain(level="ir").split("\n\n")
    assert "loop of 8 steps:" in forward
    assert "loop of 8 steps, last step first:" in backward
    assert "matmul(" in forward
    with pytest.raises(ValueError, match="level must be 'words' or 'ir', got 'IR'"):
        fast.explain("IR")


def test_explain_speaks_of_every_program() -> None:
    g = given()
    fast = tg.jit(lambda: (g.x[0], g.x[1:, 0], tg.tanh(g.x)[0] + 1))
    fast()
    assert "2 slices" in fast.explain()
