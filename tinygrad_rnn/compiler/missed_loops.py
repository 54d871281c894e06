"""Which repeated ops of the user's code became no loop, and why: in words, with the line."""

from collections.abc import Iterable

from .ir import Instr, Loop
from .lowering.table import lowering

REPEATS = 4  # of an op at one line: fewer are taken for no loop
SAID = 5  # lines named at most


def repeated(items: Iterable[Instr | Loop]) -> list[str]:
    """A sentence for each line whose ops repeat outside of loops, the cause first.

    Indices are left out: the results of a loop that are wanted one by one have many.
    """
    groups: dict[tuple[str, str], list[Instr]] = {}
    for item in items:
        if isinstance(item, Instr) and item.line and not lowering(item.op).slices:
            groups.setdefault((item.line, item.op.name), []).append(item)
    said: dict[str, str] = {}
    for (line, name), found in groups.items():
        if len(found) < REPEATS or line in said:
            continue
        shapes = list(dict.fromkeys([i.out.shape for i in found]))
        if len(shapes) > 1:
            why = f"{name} gives another shape in each: {shapes[0]}, {shapes[1]}, ..."
        else:
            why = f"what {name} reads follows no pattern from one to the next"
        said[line] = f"{len(found)} repeats at {line} run op by op: {why}"
    return list(said.values())[:SAID]
