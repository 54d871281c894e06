"""Programs as text."""

from collections.abc import Iterable

from .ir import Carry, Instr, Loop, Operand, Program, Result, Slice, Value


class Printer:
    """Writes a program out, its values numbered in order of appearance."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def name(self, a: Operand | None) -> str:
        if a is None:
            return "zeros"
        if not isinstance(a, Value):
            return repr(a)
        return f"%{self.numbers.setdefault(id(a), len(self.numbers))}"

    def names(self, values: Iterable[Operand | None]) -> str:
        return ", ".join(map(self.name, values))

    def typed(self, v: Value) -> str:
        return f"{v.dtype}{list(v.shape)}"

    def line(self, out: Value, text: str, indent: str = "") -> str:
        return f"{f'{indent}{self.name(out)} = {text}':44s} {self.typed(out)}"

    def program(self, program: Program) -> str:
        inputs = ", ".join(f"{self.name(v)} {self.typed(v)}" for v in program.inputs)
        lines = [f"inputs: {inputs}"]
        for item in program.items:
            lines += self.loop(item) if isinstance(item, Loop) else [self.instr(item)]
        return "\n".join([*lines, f"outputs: {self.names(program.outputs)}"])

    def instr(self, i: Instr, indent: str = "") -> str:
        attrs = [f"{name}={value!r}" for name, value in i.attrs.items()]
        call = ", ".join([*map(self.name, i.inputs), *attrs])
        return self.line(i.out, f"{i.op.name}({call})", indent)

    def loop(self, loop: Loop) -> list[str]:
        way = ", last step first" if loop.reverse else ""
        lines = [f"loop of {loop.count} steps{way}:"]
        lines += [self.line(p.out, self.param(p), "    ") for p in loop.params]
        lines += [self.instr(i, "    ") for i in loop.body]
        return lines + [self.line(r.out, self.result(r), "    -> ") for r in loop.results]

    def param(self, p: Slice | Carry) -> str:
        if isinstance(p, Slice):
            t = "t" if p.stride == 1 else f"{p.stride} * t"
            return f"{self.name(p.source)}[{f'{p.start} + {t}' if p.start else t}]"
        ago = f", {p.delay} steps ago" if p.delay > 1 else ""
        return f"carry {self.name(p.of)}{ago}, from {self.names(p.first)}"

    def result(self, r: Result) -> str:
        lag = f", {r.lag} step{'s' * (r.lag > 1)} ago" if r.lag else ""
        first = f", from {self.names(r.first)}" if r.first else ""
        return f"{r.kind} of {self.names(r.values)}{lag}{first}"
