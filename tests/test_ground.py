"""What the kernels lean on is tried first; without it the slower way is taken, with right numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.runtime import cache
from tinygrad_rnn.kernels import gemm, ground
from tinygrad_rnn.kernels.flags import DISABLED
from tinygrad_rnn.testing import check_jit

pytestmark = pytest.mark.skipif(DISABLED, reason="nothing is leaned on without Numba")


def ends_the_process() -> bool:
    os._exit(139)


def is_wrong() -> bool:
    return False


def raises() -> bool:
    raise ValueError("a probe that breaks")


def test_all_holds_here_and_bad_probes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each probe passes; of planted ones those after a crash still run."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    planted = {n: f"test_ground:{n}" for n in ("ends_the_process", "is_wrong", "raises")}
    probes = {**planted, **{n: g.probe for n, g in ground.GROUNDS.items()}}
    assert ground.attempt(probes) == {n: n in ground.GROUNDS for n in probes}


@pytest.fixture(autouse=True)
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of a user's, where nothing holds untried."""
    monkeypatch.delenv(ground.TRYING)


FIRST_USE = """
import tinygrad_rnn as tg
cell = tg.nn.RNNCell(2, 3)
run = tg.jit(lambda x: tg.nn.unroll(cell, x, tg.zeros(1, 3))[0].sum())
run(tg.ones(5, 1, 2)).backward()
assert run._last.compiled.forward.runners[0].call is not None
"""


def test_the_first_use_on_a_machine_tries_it(tmp_path: Path) -> None:
    env = {**os.environ, "TINYGRAD_RNN_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", FIRST_USE], env=env, check=True, timeout=300)
    verdict = json.loads(next(tmp_path.glob("ground_*.json")).read_text())
    assert verdict == dict.fromkeys(ground.GROUNDS, True)


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Plants a verdict; kernels are compiled under it."""
    monkeypatch.setenv("TINYGRAD_RNN_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_loaded", {})

    def plant(name: str) -> None:
        found = {n: n != name for n in ground.GROUNDS}
        monkeypatch.setattr(ground, "_verdicts", lambda: found)

    return plant


def mean_square(net: Any) -> Any:
    return lambda x: (net(x)[0] ** 2).mean()


@pytest.mark.parametrize("name", ground.GROUNDS)
def test_without_it_the_numbers_are_the_same(name: str, verdicts: Any) -> None:
    verdicts(name)
    net = nn.RNN(3, 4)
    fast = tg.jit(mean_square(net))
    x = tg.randn(6, 2, 3)
    assert check_jit(fast, x, parameters=net.parameters())
    runner = fast._last.compiled.forward.runners[0]  # type: ignore[union-attr]
    assert (runner.call is None) == (name != "promises")
    assert (name in runner.failed) == (name != "promises")
    if name == "promises":
        kernel: Any = runner.call
        texts = kernel.inspect_llvm().values()
        assert not any("prefer-vector-width" in text for text in texts)


def test_eager_products_without_tiles(verdicts: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 128)).astype(np.float32)
    W = rng.standard_normal((128, 128)).astype(np.float32)
    verdicts("tiles")
    without = [gemm.linear(x, W, 0) for _ in range(3)]
    verdicts("")
    panels = gemm._panels(x, W, True)
    assert panels is not None
    np.testing.assert_allclose(without[2], gemm.linear(x, W, 0), rtol=1e-4, atol=1e-4)


def test_the_verdict_is_kept_and_a_damaged_one_found_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TINYGRAD_RNN_CACHE", str(tmp_path))
    tried = []

    def attempt(probes: Any) -> dict[str, bool]:
        tried.append(probes)
        return dict.fromkeys(probes, True)

    monkeypatch.setattr(ground, "attempt", attempt)
    ask = ground._verdicts.__wrapped__
    for damage in (None, "", "{", "[1]", '{"records": 1}', json.dumps({"records": True})):
        before = len(tried)
        if damage is not None:
            next(tmp_path.glob("ground_*.json")).write_text(damage)
        assert all(ask().values())
        assert all(ask().values())
        assert len(tried) == before + 1


def test_what_cannot_be_tried_is_not_built_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: Any
) -> None:
    """No interpreter to start, or one without this package: op by op, and asked again next time."""
    monkeypatch.setenv("TINYGRAD_RNN_CACHE", str(tmp_path))
    for executable in (str(tmp_path / "missing"), "/bin/true" if os.name == "posix" else ""):
        monkeypatch.setattr(sys, "executable", executable)
        assert not any(ground._verdicts.__wrapped__().values())
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (_ for _ in ()).throw(
        subprocess.TimeoutExpired("python", 1)
    ))  # fmt: skip
    assert not any(ground._verdicts.__wrapped__().values())
    assert caplog.text.count("could not be tried") == 3
    assert not list(tmp_path.iterdir())
