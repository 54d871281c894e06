"""Python in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def python(*command: str, timeout: float = 1800, **env: str) -> str:
    """What a process prints that sees the package and these tests; it must end well, and in time."""
    done = subprocess.run(
        [sys.executable, *command], cwd=HERE.parent, timeout=timeout, text=True,
        env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}", **env}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
