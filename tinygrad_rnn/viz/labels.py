"""What is written in and about a vertex."""

from collections.abc import Collection
from typing import Any

from ..errors import GraphError
from .graph import Vertex
from .picture import shorten

SHOWN = ("shape", "dtype", "saved")
_LONGEST = 28  # characters of a line in a box


def check_show(who: str, show: Any) -> tuple[str, ...]:
    """The things to be shown, or GraphError naming those that exist."""
    single = isinstance(show, str) or not isinstance(show, Collection)
    given: tuple[str, ...] = (show,) if single else tuple(show)
    for word in given:
        if word not in SHOWN:
            raise GraphError(
                f"{who}: show takes {', '.join(map(repr, SHOWN))}, got {shorten(repr(word), 40)}"
            )
    return given


def kind_of(v: Vertex, output: int) -> str:
    """How a vertex is drawn; one key of `picture.KINDS`."""
    if v.kind != "op":
        return v.kind
    return "output" if v.number == output else "state" if v.name else "op"


def lines_of(v: Vertex, show: Collection[str], step: str) -> list[str]:
    """The lines of text in its box; `step` is the number of its step, "t" or nothing."""
    time = f"_{step}" if step else ""
    if v.kind == "op":
        call = v.note if v.op == "index" else f"{v.op} {v.note}".rstrip()
        call = call.replace("[t]", f"[{step or 't'}]")
        lines = [f"{v.name}{time} = {call}" if v.name else call]
    elif v.kind == "input":
        lines = [v.name + (time if v.note == "[t]" else v.note)]
    elif v.kind == "cut":
        lines = [f"✂ {v.name}"]
    else:
        lines = [v.name]
    lines = [shorten(lines[0], _LONGEST)]
    if "shape" in show and not (v.kind == "constant" and not v.shape):
        lines.append(str(v.shape))
    if "dtype" in show:
        lines.append(v.dtype)
    if "saved" in show and v.kind == "op":
        lines.append("freed" if v.saved is None else f"keeps {bytes_text(v.saved)}")
    return lines


def facts_of(v: Vertex) -> list[str]:
    """All that is known about a vertex."""
    words = {
        "op": f"op {v.op} {v.note}".rstrip(),
        "parameter": "parameter",
        "input": f"input {v.note}",
        "constant": "constant",
        "cut": "detached: gradients stop here",
    }
    facts = [words[v.kind]]
    if v.name:
        facts.insert(0, shorten(v.path if v.kind == "parameter" else v.name, 300))
    if v.step is not None:
        facts.append(f"step {v.step}")
    if v.scope:
        facts.append(f"in {shorten(v.scope, 200)}")
    facts += [f"shape {v.shape}", v.dtype]
    if v.kind == "op":
        kept = "what it kept is freed" if v.saved is None else f"keeps {bytes_text(v.saved)}"
        facts.append(f"{kept} for backward" if v.saved is not None else kept)
    return facts


def bytes_text(n: int) -> str:
    """A number of bytes as people read it.

    >>> bytes_text(512), bytes_text(20480)
    ('512 B', '20 KiB')
    """
    size = float(n)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
