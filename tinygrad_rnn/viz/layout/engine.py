"""Graphviz, in a child process under a time limit: it lays out what has no places, and paints.

`dot` where it is installed, else the wheel `pygraphviz`, which brings the engine
without the program.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import RenderError

SECONDS = 20.0
PER_MEGABYTE = 10.0  # seconds more for painting a megabyte of DOT: an LSTM of 5,000 steps has 35
PIXELS = 32_767  # what cairo draws at most in one direction; beyond it scales down silently
NONE = (
    "no engine to draw with: install Graphviz (its program `dot` on PATH), or "
    "`pip install 'tinygrad_rnn[render]'`"
)

_CHILD = """
import sys, warnings
import pygraphviz
warnings.simplefilter("ignore")
for source in sys.stdin.buffer.read().decode().split("\\0"):
    sys.stdout.buffer.write(pygraphviz.AGraph(source).draw(prog=sys.argv[1], format=sys.argv[2]))
"""


def command(placed: bool, form: str) -> tuple[list[str], str]:
    """The engine at hand, and what separates graphs given to it; `placed` if places are given.

    Raises RenderError, naming both ways to get one, where there is none.
    """
    program = shutil.which("dot")
    if program:
        return [program, *(["-Kneato", "-n2"] if placed else ["-Kdot"]), f"-T{form}"], "\n"
    if importlib.util.find_spec("pygraphviz") is not None:
        return [sys.executable, "-c", _CHILD, "nop2" if placed else "dot", form], "\0"
    raise RenderError(NONE)


def paint(source: str, form: str, seconds: float = SECONDS) -> bytes:
    """DOT with every place given, painted as "svg", "png" or "pdf"; takes time in proportion.

    Raises RenderError where no engine is installed, one fails, or takes too long.
    """
    words = "fold the graph (viz.rolled, or fewer steps=)"
    limit = seconds + PER_MEGABYTE * len(source) / 1e6
    return _run([source], True, form, limit, f"to write {form}", words)


def paint_all(sources: Sequence[str], seconds: float = SECONDS) -> list[bytes]:
    """Several graphs with every place given as PNG, by one call of the engine.

    Raises RenderError as `paint` does.
    """
    limit = seconds + PER_MEGABYTE * sum(map(len, sources)) / 1e6 + 0.2 * len(sources)
    painted = _run(sources, True, "png", limit, "to write png", "show fewer steps")
    end = b"IEND\xaeB`\x82"  # the last chunk of every PNG
    return [png + end for png in painted.split(end)[:-1]]


@lru_cache(64)
def layout(sources: tuple[str, ...]) -> list[dict[str, Any]]:
    """What `dot` makes of each graph, in its JSON form.

    Raises RenderError as `paint` does: within `SECONDS` it lays out some thousand nodes.
    """
    words = (
        "nothing in it was found to repeat. Fold it: say which op belongs to which step (for x_t "
        "in x, or with tg.step(t)), or draw a part of it, from a tensor nearer to the inputs"
    )
    text = _run(sources, False, "json", SECONDS, "for a plain layout", words).decode()
    found, at = [], 0
    while at < len(text.rstrip()):
        graph, at = json.JSONDecoder().raw_decode(text, at)
        found.append(graph)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def _run(
    sources: Sequence[str], placed: bool, form: str, seconds: float, what: str, way_out: str
) -> bytes:
    line, separator = command(placed, form)
    try:
        done = subprocess.run(
            line,
            input=separator.join(sources).encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RenderError(
            f"Graphviz took longer than {seconds:.3g} s {what} and was stopped; {way_out}"
        ) from None
    if done.returncode or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise RenderError(
            f"Graphviz ({Path(line[0]).name}) failed {what}: "
            f"{words[-1] if words else f'exit status {done.returncode}'}"
        )
    return done.stdout
