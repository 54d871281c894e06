"""Painting DOT with Graphviz, in a child process under a time limit.

`dot` where it is installed, else the wheel `pygraphviz`, which brings the engine
without the program.
"""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from ..errors import RenderError

SECONDS = 20.0
PIXELS = 32_767  # what cairo draws at most in one direction; beyond it scales down silently

_CHILD = """
import sys, warnings
import pygraphviz
warnings.simplefilter("ignore")
graph = pygraphviz.AGraph(sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(prog=sys.argv[1], format=sys.argv[2]))
"""


def commands(placed: bool, form: str) -> list[list[str]]:
    """The engines at hand, best first; `placed` if the DOT gives every place."""
    found = []
    program = shutil.which("dot")
    if program:
        layout = ["-Kneato", "-n2"] if placed else ["-Kdot"]
        found.append([program, *layout, f"-T{form}"])
    if importlib.util.find_spec("pygraphviz") is not None:
        found.append([sys.executable, "-c", _CHILD, "nop2" if placed else "dot", form])
    return found


def paint(source: str, form: str, placed: bool = True, seconds: float = SECONDS) -> bytes:
    """DOT painted as "svg", "png" or "pdf".

    Raises RenderError where no engine is installed, one fails, or takes too long.
    """
    engines = commands(placed, form)
    if not engines:
        raise RenderError(
            f"no engine to write {form}: install Graphviz (its program `dot` on PATH), or "
            "`pip install 'tinygrad_rnn[render]'`; .svg, .html and .gv need none"
        )
    try:
        done = subprocess.run(
            engines[0], input=source.encode(), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise RenderError(
            f"Graphviz took longer than {seconds:g} s to write {form} and was stopped; fold the "
            "graph (viz.rolled, or fewer steps=), or write .svg, which needs no engine"
        ) from None
    if done.returncode or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise RenderError(
            f"Graphviz ({Path(engines[0][0]).name}) could not write {form}: "
            f"{words[-1] if words else f'exit status {done.returncode}'}"
        )
    return done.stdout
