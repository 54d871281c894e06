"""Dead code elimination: drop what no output depends on.

%4 = mul(%1, 2.0)            loop of 8 steps:
loop of 8 steps:         =>      %7 = tanh(%6)
    %7 = tanh(%6)                -> %8 = stack of %7
    -> %8 = stack of %7      outputs: %8
    -> %9 = final of %7
outputs: %8
"""

from ..ir import Item, Loop, Program, reads
from ..lowering.table import lowering


def dce(program: Program) -> None:
    """Drop every instruction, parameter and result that no output depends on.

    A draw takes its number also if nobody uses it, as in eager code.
    """
    live = {id(v) for v in program.outputs}
    kept: list[Item] = []
    for item in reversed(program.items):
        if isinstance(item, Loop):
            item.results = [r for r in item.results if id(r.out) in live]
            if not item.results:
                continue
            _within(item)
        elif id(item.out) not in live and not lowering(item.op).numbers_draws:
            continue
        kept.append(item)
        live |= {id(v) for v in reads(item)}
    program.items[:] = kept[::-1]


def _within(loop: Loop) -> None:
    """Drop from a loop what leads, over any number of steps, to no result."""
    makers, carries = loop.makers(), {id(p.out): p for p in loop.carries}
    live: set[int] = set()
    stack = [v for r in loop.results for v in r.values]
    while stack:
        v = stack.pop()
        if id(v) in live:
            continue
        live.add(id(v))
        if id(v) in makers:
            stack += makers[id(v)].arrays()
        if id(v) in carries:
            stack.append(carries[id(v)].of)
    loop.body = [i for i in loop.body if id(i.out) in live]
    loop.params = [p for p in loop.params if id(p.out) in live]
