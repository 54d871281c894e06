"""What is written in and about a vertex: mathematics, `1 − z`, `h₃ = tanh`."""

import math
from collections.abc import Callable, Collection
from typing import Any

from ...errors import GraphError
from ..graph.graph import Graph, Vertex
from .picture import Shape, shorten

SHOWN = ("shape", "dtype", "saved", "value", "grad")
SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "matmul": "·"}
SYMBOLS = {"sigmoid": "σ"}
_LONGEST, WEIGHTS = 28, 11  # characters of a line in a box, of the weights in a gate
_LOW = str.maketrans("0123456789-+t", "₀₁₂₃₄₅₆₇₈₉₋₊ₜ")
_HIGH = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

Words = Callable[[Vertex, str], list[str]]  # what is written in a box at a step


def check_show(who: str, show: Any, graph: Graph) -> tuple[str, ...]:
    """The things to be shown, or GraphError naming those that exist; shapes of ops by default."""
    if isinstance(show, str) and show == "auto":
        shapes = graph.level == "op" and any(v.shape for v in graph.vertices)
        return ("shape",) if shapes else ()
    single = isinstance(show, str) or not isinstance(show, Collection)
    given: tuple[str, ...] = (show,) if single else tuple(show)
    for word in given:
        if word not in SHOWN:
            raise GraphError(
                f"{who}: show takes {', '.join(map(repr, SHOWN))}, got {shorten(repr(word), 40)}"
            )
    return given


def low(text: str) -> str:
    """A step as a subscript.

    >>> low("12"), low("t-1")
    ('₁₂', 'ₜ₋₁')
    """
    return text.translate(_LOW)


def name_of(graph: Graph, v: Vertex, step: str) -> str:
    """Its name with its step: `h₃`, or `hₜ` in a rolled graph; `W.bias` where others are `bias`."""
    if v.kind == "parameter" and not v.start:
        return ".".join(v.path.split(".")[-2:]) if v.name in graph.ambiguous else v.name
    if v.kind == "input" and set(v.note) - set("[:, t]"):
        return v.name + v.note
    number = step if step == "t" else v.mark or ("" if v.kind == "constant" or v.start else step)
    return v.name + (low(number) if number.isdigit() or number == "t" else "")


def kind_of(graph: Graph, v: Vertex) -> str:
    """How a vertex is drawn; one key of `picture.KINDS`."""
    if v.start:
        return "start"
    if v.kind != "op":
        return v.kind
    if v.number in graph.outputs:
        return "output"
    if graph.level == "cell":
        return "cell" if len(v.parts) > 1 else "op"
    if not v.name:
        return "gate" if len(v.parts) > 1 else "op"
    if (v.name, v.scope) in graph.carried:
        return "state"
    sums = {graph.vertices[e.target].op for e in graph.outof[v.number]}
    alone = math.prod(v.shape) == 1 and sums <= {"add", "sum", "mean", "stack", "div"}
    if graph.level == "gate" and len(v.parts) > 1:
        return "gate"
    return "output" if alone else "value"


def shape_of(graph: Graph, v: Vertex) -> Shape:
    """Its outline and least size: circles for what has a letter or a sign, as in textbooks."""
    box: Shape = ("box", 0.4, 0.3)
    if graph.level == "op":
        return box
    if v.kind != "op":
        return ("circle", 0.42, 0.42) if len(v.name) < 4 else box
    if graph.level == "cell":
        return ("box", 0.53, 0.72) if len(v.parts) > 1 else box
    if v.name:
        letter = graph.level == "edges" and len(v.name) < 4
        return ("circle", 0.5, 0.5) if letter else ("box", 0.45, 0.4)
    sign = v.op in SIGNS and len(v.parts) == 1 and len(expression(graph, v, "")) < 3
    return ("circle", 0.3, 0.3) if sign else box


def lines_of(graph: Graph, v: Vertex, show: Collection[str], step: str) -> list[str]:
    """The lines of text in its box; `step` is the number of its step, "t" or nothing."""
    if v.kind != "op":
        lines = [f"✂ {v.name}" if v.kind == "cut" else name_of(graph, v, step)]
    elif graph.level == "cell" and len(v.parts) > 1:
        lines = _cell_lines(graph, v)
        lines += [f"t = {step}" if step != "t" else "t"] if step else []
    else:
        call = expression(graph, v, step)
        if graph.level == "op":
            lines = [f"{name_of(graph, v, step)} = {call}" if v.name else call]
        elif graph.level == "edges":
            lines = [name_of(graph, v, step) if v.name else call]
        else:
            lines = [name_of(graph, v, step), call] if v.name else [call]
            if not v.name and v.op != "index" and 0 < len(v.note) <= WEIGHTS:
                lines.append(v.note)  # which gate it is, its weights tell
    lines = [shorten(line, _LONGEST) for line in lines]
    if "shape" in show and not (v.kind == "constant" and not v.shape):
        lines.append(str(v.shape))
    if "dtype" in show:
        lines.append(v.dtype)
    if "saved" in show and v.kind == "op":
        lines.append("freed" if v.saved is None else f"keeps {bytes_text(v.saved)}")
    return lines


def _cell_lines(graph: Graph, v: Vertex) -> list[str]:
    """The module a cell belongs to, and what it makes where that is no state of the module's."""
    module, backward, _ = ".".join(v.scope.split(".")[-2:]).partition("_reverse")
    total = v.number in graph.outputs or (not v.name and math.prod(v.shape) == 1)
    made = "loss" if total else v.name or v.op
    if (v.name, v.scope) in graph.carried and module:
        made = ""
    return [word for word in (module, made, backward and "backward") if word]


def expression(graph: Graph, v: Vertex, step: str) -> str:
    """An op as it is written, with its operands' names where they have any: `1 − z`, `Wx X₂`.

    An operand without a name that must be told from the other is a dot: `1 − ·`, `·²`.
    """
    if len(v.parts) > 1:  # a unit: its activation, or the sum alone
        return "linear" if v.op in SIGNS or v.op == "index" else SYMBOLS.get(v.op, v.op)
    if v.op == "index":
        return v.note.replace("t]", f"{step or 't'}]")
    names = dict(v.numbers)
    for e in graph.into[v.number]:
        source = graph.vertices[e.source]
        if source.name and (source.kind != "constant" or source.mark or source.start):
            other = "" if source.step is None else str(source.step)
            names[e.place] = shorten(name_of(graph, source, step if step == "t" else other), 10)
    if step == "t":  # what a cell reads of other steps is not of its own
        names.update({place: shorten(said, 10) for place, said in v.earlier.items()})
    if v.op not in SIGNS and v.op != "pow":
        return " ".join([v.op, *v.numbers.values()])
    plain = graph.level != "op" and v.op in ("add", "mul") and not v.numbers
    if plain or not names or (v.op != "pow" and len(names) < 2 and not v.numbers):
        return v.op if v.op == "matmul" else SIGNS.get(v.op, v.op)  # a dot alone is overlooked
    a, b = names.get(0, "·"), names.get(1, "·")
    if v.op == "pow":
        return a + (b.translate(_HIGH) if b.lstrip("-").isdigit() else f"^{b}")
    return f"{a} {SIGNS[v.op]} {b}"


def facts_of(v: Vertex) -> list[str]:
    """All that is known about a vertex."""
    words = {
        "op": f"op {v.op} {v.note or ' '.join(v.numbers.values())}".rstrip(),
        "parameter": "parameter",
        "input": f"input {v.note}".rstrip(),
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
        freed, kept = v.saved is None, bytes_text(v.saved or 0)
        facts.append("what it kept is freed" if freed else f"keeps {kept} for backward")
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
