"""Merge matrix products of a loop that share their left operand, and split those of a concat.

%5 = matmul(%4, %1)              %3 = concat(%1, %2, axis=1)    before the loop
%6 = matmul(%4, %2)          =>  %7 = matmul(%4, %3)
                                 %5 = index(%7, key=(:, 0:3))
                                 %6 = index(%7, key=(:, 3:6))

%5 = concat(%3, %4, axis=1)      %7 = matmul(%3, W[:2])    of which one may leave the loop
%6 = matmul(%5, %1)          =>  %8 = matmul(%4, W[2:])
                                 %6 = add(%7, %8)
"""

from typing import Any

from ...op import OPS, Op
from ..inference import make
from ..ir import Instr, Loop, Operand, Program, Value
from ..lowering.table import lowering, weighing


def split_concats(program: Program) -> None:
    """Write concat([x, h], 1) @ W as x @ W[:k] + h @ W[k:]."""
    for loop in program.loops:
        makers, inside = loop.makers(), loop.inside()
        body: list[Instr] = []
        for instr in loop.body:
            single = weighing(instr.op) and instr.array(1).ndim < 3  # one weight, not a stack
            source = makers.get(id(instr.inputs[0])) if single else None
            if source is None or not _columns(source) or id(instr.inputs[1]) in inside:
                body.append(instr)
            else:
                body += _split_product(instr, source, instr.inputs[1])
        loop.body = body


def _columns(instr: Instr) -> bool:
    """Whether it lays matrices side by side."""
    joins = lowering(instr.op).joins and instr.out.ndim == 2 and instr.attrs["axis"] in (1, -1)
    return joins and all(x.shape[1] for x in instr.arrays())


def _split_product(instr: Instr, source: Instr, W: Any) -> list[Instr]:
    """The products of the parts of a concat, and their sum."""
    made: list[Instr] = []
    total, at = None, 0
    product = weighing(instr.op)
    assert product is not None
    for k, part in enumerate(source.inputs):
        assert isinstance(part, Value)
        piece = slice(at, at + part.shape[1])
        at += part.shape[1]
        key = (slice(None), piece) if product.right_transposed else (piece,)
        made.append(make("index", (W,), {"key": key}, instr.line))
        rows: tuple[Any, ...] = (part, made[-1].out)
        if product.biased:
            rows += (instr.inputs[2] if k == 0 else 0,)
        made.append(make(instr.op.name, rows, {}, instr.line))
        y = made[-1].out
        if total is not None:
            made.append(make("add", (total, y), {}, instr.line))
        total = made[-1].out
    assert total is not None
    made[-1].out = instr.out
    return made


def merge_products(program: Program) -> list[str]:
    """Compute products of one left operand with several weights as one, cut up after it."""
    return [note for loop in program.loops for note in _merge(program, loop)]


def _merge(program: Program, loop: Loop) -> list[str]:
    groups: dict[tuple[Op, int], list[Instr]] = {}
    inside = loop.inside()
    for instr in loop.body:
        if weighing(instr.op) is None or not inside.isdisjoint(map(id, instr.inputs[1:])):
            continue
        x, W = instr.array(0), instr.array(1)
        if id(x) in inside and x.ndim == W.ndim == 2:
            groups.setdefault((instr.op, id(x)), []).append(instr)
    notes = []
    for group in groups.values():
        if len(group) > 1:
            _merge_group(program, loop, group)
            notes.append(f"{len(group)} products of one left operand became one")
    return notes


def _merge_group(program: Program, loop: Loop, group: list[Instr]) -> None:
    op = group[0].op
    product = weighing(op)
    assert product is not None
    attrs = {"axis": product.output_axis}
    before = [make("concat", [i.inputs[1] for i in group], attrs)]
    inputs: tuple[Operand, ...] = (group[0].inputs[0], before[0].out)
    if product.biased:
        biases = [_bias(i, before) for i in group]
        before.append(make("concat", biases, {"axis": 0}))
        inputs += (before[-1].out,)
    whole = make(op.name, inputs, {}, group[0].line)
    program.insert(before, loop)
    pieces, start = [], 0
    for g in group:
        stop = start + g.out.shape[1]
        key = (slice(None), slice(start, stop))
        pieces.append(Instr(OPS["index"], (whole.out,), {"key": key}, g.out, g.line))
        start = stop
    at = loop.body.index(group[0])
    loop.body[at:at] = [whole, *pieces]
    loop.body = [i for i in loop.body if i not in group]


def _bias(instr: Instr, before: list[Instr]) -> Value:
    """A product's bias as an array."""
    W, b = instr.inputs[1:3]
    assert isinstance(W, Value)
    if not isinstance(b, Value):
        attrs = {"values": (b,) * W.shape[0], "dtype": W.dtype}
        before.append(make("literal", (), attrs))
        b = before[-1].out
    return b
