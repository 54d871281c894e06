"""Programs that once differed under `tg.jit`: eager and compiled must give the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from same_programs import PROGRAMS, check

from tinygrad_rnn.kernels._jit import DISABLED

pytestmark = pytest.mark.usefixtures("own_cache")
HERE = Path(__file__).parent


@pytest.mark.skipif(DISABLED, reason="the next test runs the same programs in this mode")
def test_programs_without_the_compiler() -> None:
    """All, their generated source run by Python."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "same_programs.py")],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"{len(PROGRAMS)} programs agree" in done.stdout


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
