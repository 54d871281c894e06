"""What the kernels lean on that no manual promises, and how each is tried before it is used.

A version of Numba or llvmlite in which one of these were otherwise could crash the process
or give wrong numbers. So each has a probe, which runs once on a machine and versions, in a
process of its own that may die; the verdict is kept in the cache folder. Where a probe
fails the documented way is taken, slower and never wrong.

The rest is documented: addresses of arrays by the buffer protocol (`tables.py`), SciPy's
BLAS by `get_cython_function_address` (`blas.py`), LLVM's text by `intrinsic`.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from .flags import CHECKED, DISABLED

_log = logging.getLogger(__name__)


class Ground(NamedTuple):
    """One thing leaned on: what it is, how that is tried, and what is done without it."""

    what: str
    probe: str  # module:function, which gives True
    otherwise: str


GROUNDS = {
    "records": Ground(
        "fields `data`, `shape` and `strides` of Numba's array records, by name, and that a "
        "record may be put together from them (views.py)",
        "tinygrad_rnn.kernels.probes:records",
        "compiled loops run op by op",
    ),
    "calls": Ground(
        "Numba's calling convention between functions compiled apart, the address and the "
        "symbol of a compiled function (linked.py)",
        "tinygrad_rnn.kernels.probes:calls",
        "compiled loops run op by op",
    ),
    "tiles": Ground(
        "that LLVM keeps vectors of 8 or 16 floats, masked loads and stores and 64-bit "
        "addresses as the host has them (tiles.py)",
        "tinygrad_rnn.kernels.probes:tiles",
        "compiled loops run op by op, eager products through np.dot",
    ),
    "promises": Ground(
        "names `arg.A0.4` of a kernel's arguments in LLVM's text, and attributes beyond those "
        "that llvmlite knows (tiles.py: free_hand)",
        "tinygrad_rnn.kernels.probes:promises",
        "kernels without these promises, up to a quarter slower",
    ),
}
_KINDS = dict.fromkeys(GROUNDS, bool)
TRYING = "TINYGRAD_RNN_TRYING"  # set in the process that tries: there all holds
_SECONDS = 300


def folder() -> Path:
    """Where what is compiled and found out lives: TINYGRAD_RNN_CACHE, or the user's cache."""
    named = os.environ.get("TINYGRAD_RNN_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "tinygrad_rnn"


@functools.cache
def machine() -> str:
    """What machine code depends on beside the source of a module, as a hash."""
    kernels = Path(__file__).parent
    parts = [p.read_text() for p in sorted(kernels.glob("*.py"))]
    parts += [numba.__version__, llvmlite.__version__, np.__version__, sys.version]
    parts += [platform.machine(), llvmlite.binding.get_host_cpu_name(), str(CHECKED)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write(path: Path, text: str) -> None:
    """Put a file in place whole: another process sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def holds(name: str) -> bool:
    """Whether one of GROUNDS can be built on; the first question on a machine tries all."""
    return DISABLED or TRYING in os.environ or _verdicts()[name]


def shaken() -> str:
    """Why compiled loops must run op by op, or ""."""
    missing = [name for name in ("records", "calls", "tiles") if not holds(name)]
    return f"the probe of {missing[0]} fails with these versions" if missing else ""


@functools.cache
def _verdicts() -> dict[str, bool]:
    path = folder() / f"ground_{machine()[:24]}.json"
    with contextlib.suppress(OSError, ValueError):  # nothing there, or damaged: tried again
        known = json.loads(path.read_text())
        if isinstance(known, dict) and {n: type(v) for n, v in known.items()} == _KINDS:
            return known
    try:
        found = attempt({name: ground.probe for name, ground in GROUNDS.items()})
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        _log.warning("the kernels could not be tried, so loops run op by op: %s", error)
        return dict.fromkeys(GROUNDS, False)
    for name, ground in GROUNDS.items():
        if not found[name]:
            _log.warning("not as expected here: %s; so: %s", ground.what, ground.otherwise)
    with contextlib.suppress(OSError):  # else every process tries for itself
        write(path, json.dumps(found))
    return found


def attempt(probes: dict[str, str]) -> dict[str, bool]:
    """Run probes in a child process, and those after one that ends it in another.

    Raises OSError if no child can be started that imports this package.
    """
    found: dict[str, bool] = {}
    paths = os.pathsep.join(p or os.getcwd() for p in sys.path)
    while len(found) < len(probes):
        left = [name for name in probes if name not in found]
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *(f"{n}={probes[n]}" for n in left)],
            env={**os.environ, TRYING: "1", "PYTHONPATH": paths}, timeout=_SECONDS,
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = done.stdout.split()
        if "began" not in said:
            raise OSError(done.stderr[-1000:])
        for name in left:
            found[name] = name in said
            if not found[name]:
                break  # it said no, or ended the process: the rest is tried in a new one
    return found


_CHILD = """
import importlib, sys
import tinygrad_rnn
print("began", flush=True)
for word in sys.argv[1:]:
    name, _, place = word.partition("=")
    module, _, function = place.partition(":")
    if not getattr(importlib.import_module(module), function)():
        sys.exit(1)
    print(name, flush=True)
"""
