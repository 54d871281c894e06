"""A loop program as data, and as the Python text that it stands for.

The text is what runs: it defines `program`, its arguments `args` and the tensors
`parameters` that it closes over, so that a failing program is shown exactly as it failed.
"""

import linecache
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

# sizes that may change when a program is shrunk are written as expressions of T, B and H
Size = int | str

HELPERS = {
    "floats": """\
def floats(seed, *shape, grad=True, scale=1.0):
    values = np.random.default_rng(seed).uniform(-scale, scale, shape)
    return tg.tensor(values, requires_grad=grad)
""",
    "ints": """\
def ints(seed, *shape, below=3):
    return tg.tensor(np.random.default_rng(seed).integers(0, below, shape))
""",
    "bools": """\
def bools(seed, *shape):
    return tg.tensor(np.random.default_rng(seed).random(shape) < 0.6)
""",
}


@dataclass(frozen=True)
class Leaf:
    """A tensor from outside, or a list of `many` of one shape; by value of its number alone."""

    name: str
    shape: tuple[Size, ...]
    kind: str = "floats"
    grad: bool = True
    many: Size = 0
    argument: bool = False
    scale: float = 1.0
    below: Size = 3  # whole numbers are drawn from 0 to here

    @property
    def number(self) -> int:
        """The seed of its values."""
        return int(re.sub(r"\D", "", self.name))

    def text(self) -> str:
        """The expression that makes it."""
        sizes = "".join(f", {n}" for n in self.shape)
        seed = f"({self.number}, k)" if self.many else str(self.number)
        more = ""
        if self.kind == "floats":
            more = ("" if self.grad else ", grad=False") + (
                f", scale={self.scale}" if self.scale != 1 else ""
            )
        elif self.kind == "ints":
            more = f", below={self.below}" if self.below != 3 else ""
        call = f"{self.kind}({seed}{sizes}{more})"
        return f"[{call} for k in range({self.many})]" if self.many else call


@dataclass(frozen=True)
class Let:
    """`name = text`, with the operands `args` in the holes {0}, {1}, ... of the text."""

    name: str
    text: str
    args: tuple[str, ...] = ()
    quiet: str = ""  # the condition under which it runs in no_grad

    def expression(self) -> str:
        """The right-hand side."""
        return fill(self.text, self.args)


@dataclass(frozen=True)
class State:
    """Carried from step to step, read as `name1` (one step back), `name2`, ...

    `starts` holds what stands for each of them before the first step, an expression or a name.
    """

    name: str
    starts: tuple[Let, ...]
    value: str

    def reads(self) -> list[str]:
        """Names of its values 1, 2, ... steps back."""
        return [f"{self.name}{k + 1}" for k in range(len(self.starts))]


@dataclass(frozen=True)
class Loop:
    """`for index in order: body`, then the states move on and the kept values are appended."""

    index: str
    order: str
    states: tuple[State, ...]
    body: tuple["Let | Loop", ...]
    keeps: tuple[tuple[str, str], ...] = ()  # (list, value of each step)
    quiet: str = ""


Item = Let | Loop


@dataclass(frozen=True)
class Program:
    """Leaves, statements and loops, and what is returned."""

    T: int
    B: int
    H: int
    leaves: tuple[Leaf, ...]
    items: tuple[Item, ...]
    returns: tuple[Let, ...]

    def text(self) -> str:
        """The Python source: `program`, `args`, `parameters`."""
        kinds = {leaf.kind for leaf in self.leaves}
        lines = ["import contextlib", "", "import numpy as np", "", "import tinygrad_rnn as tg", ""]
        lines += [f"T, B, H = {self.T}, {self.B}, {self.H}", ""]
        lines += [h for k, h in HELPERS.items() if k in kinds]
        lines += [f"{leaf.name} = {leaf.text()}" for leaf in self.leaves]
        arguments = ", ".join(leaf.name for leaf in self.leaves if leaf.argument)
        around = ", ".join(leaf.name for leaf in self.leaves if not leaf.argument)
        lines += ["", f"def program({arguments}):"]
        for item in self.items:
            lines += ["    " + line for line in _lines(item)]
        values = [r.expression() for r in self.returns]
        lines.append("    return " + (values[0] if len(values) == 1 else ", ".join(values)))
        lines += ["", f"args = [{arguments}]", f"parameters = [{around}]", ""]
        text = "\n".join(lines)
        return text if "contextlib." in text else text.replace("import contextlib\n\n", "")


def fill(text: str, args: tuple[str, ...]) -> str:
    """Put operands into the holes of a text."""
    return re.sub(r"\{(\d)\}", lambda hole: args[int(hole[1])], text)


def _lines(item: Item) -> list[str]:
    if isinstance(item, Let):
        line = f"{item.name} = {item.expression()}"
        return _quietly(item.quiet, [line])
    lines = [f"{name} = []" for name, _ in item.keeps]
    for state in item.states:
        lines += [
            f"{read} = {start.expression()}"
            for read, start in zip(state.reads(), state.starts, strict=True)
        ]
    lines.append(f"for {item.index} in {item.order}:")
    body = [line for part in item.body for line in _lines(part)]
    body = _quietly(item.quiet, body)
    body += [f"{name}.append({value})" for name, value in item.keeps]
    reads = [s.reads() for s in item.states]
    targets = [name for names in reads for name in names]
    values = [
        v for names, s in zip(reads, item.states, strict=True) for v in [s.value, *names[:-1]]
    ]
    if targets:
        body.append(f"{', '.join(targets)} = {', '.join(values)}")
    return lines + ["    " + line for line in body or ["pass"]]


def _quietly(when: str, lines: list[str]) -> list[str]:
    if not when or not lines:
        return lines
    head = f"with tg.no_grad() if {when} else contextlib.nullcontext():"
    return [head, *["    " + line for line in lines]]


def load(text: str, name: str = "<fuzz>") -> dict[str, Any]:
    """Run the text; tracebacks and error messages show its lines."""
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    space: dict[str, Any] = {"__name__": "fuzzed"}
    exec(compile(text, name, "exec"), space)
    return space


def rewrite(item: Any, change: Callable[[Any], Any]) -> Any:
    """The same tree of items with `change` applied to each part, innermost first."""
    if isinstance(item, tuple):
        return tuple(n for part in item if (n := rewrite(part, change)) is not None)
    if isinstance(item, Loop):
        item = replace(
            item,
            states=rewrite(item.states, change),
            body=rewrite(item.body, change),
        )
    elif isinstance(item, State):
        item = replace(item, starts=rewrite(item.starts, change))
    return change(item)


def walk(items: tuple[Item, ...]) -> Iterator[Let | Loop]:
    """All statements and loops, outer ones first."""
    for item in items:
        yield item
        if isinstance(item, Loop):
            yield from walk(item.body)


def renamed(program: Program, old: str, new: str) -> Program:
    """Every use of the value `old` reads `new` in its place."""

    def change(part: Any) -> Any:
        if isinstance(part, Let) and old in part.args:
            return replace(part, args=tuple(new if a == old else a for a in part.args))
        if isinstance(part, State) and part.value == old:
            return replace(part, value=new)
        if isinstance(part, Loop) and any(v == old for _, v in part.keeps):
            return replace(part, keeps=tuple((n, new if v == old else v) for n, v in part.keeps))
        return part

    return replace(
        program, items=rewrite(program.items, change), returns=rewrite(program.returns, change)
    )


def used(program: Program) -> set[str]:
    """Names that something reads."""
    names: set[str] = set()

    def note(part: Any) -> Any:
        if isinstance(part, Let):
            names.update(part.args)
        elif isinstance(part, State):
            names.add(part.value)
        elif isinstance(part, Loop):
            names.update(v for _, v in part.keeps)
        return part

    rewrite(program.items, note)
    rewrite(program.returns, note)
    return names


def tidy(program: Program) -> Program:
    """The program without what nothing reads."""
    while True:
        names = used(program)

        def change(part: Any) -> Any:
            if isinstance(part, Let) and part.name not in names and part.name:  # noqa: B023
                return None
            if isinstance(part, Loop):
                states = tuple(_shorter(s, names) for s in part.states)  # noqa: B023
                keeps = tuple(k for k in part.keeps if k[0] in names)  # noqa: B023
                part = replace(part, states=tuple(s for s in states if s), keeps=keeps)
                return part if part.states or part.keeps or part.body else None
            return part

        leaves = tuple(leaf for leaf in program.leaves if leaf.name in names)
        new = replace(program, items=rewrite(program.items, change), leaves=leaves)
        if new == program:
            return program
        program = new


def _shorter(state: State, names: set[str]) -> State | None:
    """A state with the delays that are read."""
    reads = [k for k, read in enumerate(state.reads()) if read in names]
    return replace(state, starts=state.starts[: reads[-1] + 1]) if reads else None


def size(program: Program) -> int:
    """How much there is to read; what shrinking makes smaller."""
    text = program.text()
    parts = sum(1 for _ in walk(program.items)) + len(program.leaves) + len(program.returns)
    return 1000 * parts + len(text) + 10 * (program.T + program.B + program.H)
