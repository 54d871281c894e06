"""Type-check a program: run after every pass, so that a wrong rewrite stops at once."""

from .asking import ask
from .ir import Instr, Loop, Program, Slice, Value, reads, writes


def verify(program: Program, known: list[Value] | None = None) -> None:
    """Raise AssertionError unless every value is made before it is read, with its op's shape."""
    live = {id(v) for v in program.inputs} | {id(v) for v in known or []}
    for item in program.items:
        for v in reads(item):
            assert id(v) in live, f"{item} reads a value that nobody made"
        if isinstance(item, Instr):
            _check_instr(item)
        else:
            _check_loop(item, live)
        live |= {id(v) for v in writes(item)}
    for v in program.outputs:
        assert id(v) in live, "an output that nobody made"


def _check_instr(instr: Instr) -> None:
    again = ask(instr.op, instr.inputs, instr.attrs)
    assert not again.casts, f"{instr.op.name} at {instr.line}: inputs of other dtypes"
    found = again.shape, again.dtype
    said = instr.out.shape, instr.out.dtype
    assert found == said, f"{instr.op.name} at {instr.line}: {said}, its rule says {found}"


def _check_loop(loop: Loop, live: set[int]) -> None:
    inside = set(live)
    for p in loop.params:
        if isinstance(p, Slice):
            ends = p.start, p.start + p.stride * (loop.count - 1)
            assert 0 <= min(ends) <= max(ends) < p.source.shape[0], "a slice out of range"
            assert p.out.shape == p.source.shape[1:]
            assert p.out.dtype == p.source.dtype
        else:
            assert len(p.first) == p.delay
            assert p.out.shape == p.of.shape
        inside.add(id(p.out))
    for instr in loop.body:
        for v in instr.inputs:
            assert not isinstance(v, Value) or id(v) in inside, f"{instr.op.name} reads too early"
        _check_instr(instr)
        inside.add(id(instr.out))
    for p in loop.params:
        assert isinstance(p, Slice) or id(p.of) in inside, "a state that no step makes"
    for r in loop.results:
        assert all(id(v) in inside for v in r.values), f"a {r.kind} of a value no step makes"
