"""Generated kernels on disk: damage, full disks, several processes."""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from programs import series

import tinygrad_rnn as tg
from tinygrad_rnn.compiler.runtime import cache
from tinygrad_rnn.testing import check_jit

TRAIN = """
import numpy as np, tinygrad_rnn as tg
w = tg.tensor(np.full((3, 3), 0.1), requires_grad=True)
def run(x):
    h = x[0]
    for x_t in x:
        h = tg.tanh(h @ w + x_t)
    return h.sum()
fast = tg.jit(run)
for _ in range(2):
    fast(tg.tensor(np.ones((6, 2, 3)))).backward()
print("trained", float(w.grad.sum()))
"""


def train(folder: Path | str) -> "subprocess.Popen[str]":
    env = {**os.environ, "TINYGRAD_RNN_CACHE": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN], env=env, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def trained(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-2000:]
    assert out.startswith("trained")
    return out


def test_a_damaged_cache_is_no_obstacle(tmp_path: Path) -> None:
    wanted = trained(train(tmp_path))
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert files
    for damage, suffix in product((b"", b"nonsense", None), ("", ".pyc")):
        for path in files:
            if not path.name.endswith(suffix):  # bytecode alone: its source has not changed since
                continue
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2] if damage is None else damage)
        assert trained(train(tmp_path)) == wanted


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert trained(train(blocked / "below"))


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    w = series(2, 2)

    def run(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.sin(h @ w) + tg.cos(x_t)
        return h.sum()

    cache._loaded.clear()
    assert check_jit(run, series(5, 1, 2), parameters=[w])


def test_two_processes_at_once(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Twice, or twenty times with --long."""
    for k in range(20 if request.config.getoption("--long") else 2):
        both = [train(tmp_path / str(k)) for _ in range(2)]
        assert len({trained(p) for p in both}) == 1


def test_clearing_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGRAD_RNN_CACHE", str(tmp_path / "mine"))
    w = series(2)

    def run(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.tanh(h * w) - x_t
        return h.sum()

    cache._loaded.clear()
    fast = tg.jit(run)
    fast(series(5, 2))
    assert list((tmp_path / "mine").glob("k_*.py"))
    tg.clear_jit_cache()
    assert not (tmp_path / "mine").exists()
    fast(series(5, 2)).backward()  # what is in use goes on working
