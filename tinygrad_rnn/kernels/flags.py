"""The one place where Numba is switched on: every flag the kernels use.

`nogil`, so that threads may run kernels side by side; never `parallel` (fork
after an OpenMP region kills the child) and never `fastmath=True` (it makes
`isnan` false). `contract` lets LLVM fuse a*b+c; `reassoc` is granted to row
sums only, where it vectorises them (norm of 310,000 floats: 54 us, 376 without).
Nothing compiles before the first call.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event

DISABLED = bool(numba.config.DISABLE_JIT)
CHECKED = bool(numba.config.BOUNDSCHECK)
_log = logging.getLogger(__name__)
_told = False


def jit(
    fn: Any = None,
    *,
    twin: Callable[..., Any] | None = None,
    reassoc: bool = False,
    cache: bool = True,
) -> Any:
    """Compile a kernel at its first call; under NUMBA_DISABLE_JIT use `twin` or `fn`."""
    if fn is None:
        return lambda f: jit(f, twin=twin, reassoc=reassoc, cache=cache)
    if DISABLED:
        return twin or fn
    flags = {"contract", "reassoc"} if reassoc else {"contract"}
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": flags}
    try:
        return numba.njit(cache=cache, **options)(fn)
    except RuntimeError as error:  # no place to write: raised at decoration
        global _told
        if not _told:
            _log.warning("compiled kernels are not kept on disk: %s", error)
            _told = True
        return numba.njit(**options)(fn)


class _Notice(event.Listener):
    """Says on a terminal, once, why the first run on a machine starts slowly."""

    shown = False

    def on_start(self, event: Any) -> None:
        name = event.data["dispatcher"].py_func.__module__
        if name.startswith("tinygrad_rnn.") and not self.shown and sys.stderr.isatty():
            self.shown = True
            print("tinygrad_rnn: compiling kernels, once on this machine ...", file=sys.stderr)

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Notice())
