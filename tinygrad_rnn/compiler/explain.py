"""A compiled program in words."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .compiled import Compiled
from .ir import Instr, Loop
from .lowering.table import lowering
from .printer import Printer
from .runtime.part import Cuts, Interpreted, Part
from .runtime.runner import Runner
from .runtime.threads import num_threads, shards_of

REPEATS = 4  # of an op at one line: fewer are taken for no loop
SAID = 5  # lines named at most


def source(compiled: Compiled) -> str:
    """Code of all kernels, forward then backward."""
    parts = [compiled.forward, *_backward(compiled)]
    texts = list(dict.fromkeys(r.kernel.source for p in parts for r in p.runners))
    return "\n\n".join(texts)


def _backward(compiled: Compiled) -> list[Part]:
    if not compiled.wanted or not compiled.differentiable:
        return []
    full = compiled.backward(tuple(compiled.wanted), tuple(compiled.differentiable))
    return [full.part]


def explain(entry: Any, level: str) -> str:
    """What was found, moved, fused and kept, with bytes and seconds; or the program itself."""
    compiled: Compiled = entry.compiled
    if level == "ir":
        return _programs(compiled)
    if level != "words":
        raise ValueError(f"explain: level must be 'words' or 'ir', got {level!r}")
    lines = [
        f"recorded {compiled.recorded} ops in {1e3 * entry.captured:.0f} ms, "
        f"rolled and rewritten in {1e3 * entry.prepared:.0f} ms"
    ]
    lines += [f"  {note}" for note in compiled.notes + missed(compiled.program.items)]
    names = ["forward", "backward"]
    for name, part in zip(names, [compiled.forward, *_backward(compiled)], strict=False):
        lines.append(f"{name}:")
        lines += [f"  {text}" for step in part.steps for text in _step(step)]
    lines += ledger(compiled)
    frozen = entry.frozen + entry.moments
    if frozen:
        lines += ["frozen at capture, since it cannot be looked at in every call:"]
        lines += [f"  {what}" for what in frozen]
    return "\n".join(lines)


def _programs(compiled: Compiled) -> str:
    """The programs as code is made of them; values have the same numbers in both."""
    printer = Printer()
    parts = zip(["forward", "backward"], [compiled.forward, *_backward(compiled)], strict=False)
    return "\n\n".join([f"{name}:\n{printer.program(part.program)}" for name, part in parts])


def _step(step: Any) -> list[str]:
    if isinstance(step, Runner):
        return _runner(step)
    if isinstance(step, Interpreted):
        loop = step.loop
        return [
            f"loop of {loop.count} steps, {len(loop.body)} ops: runs op by op, since {step.why}"
        ]
    if isinstance(step, Cuts):
        return [f"{len(step.cuts)} slices"]
    return [f"{step.instr.op.name} {list(step.instr.out.shape)}: its eager kernel"]


def _runner(runner: Runner) -> list[str]:
    kernel = runner.kernel
    loop = kernel.loop
    way = ", last step first" if loop.reverse else ""
    lines = [f"loop of {loop.count} steps, {len(loop.body)} ops a step{way}"]
    lines += [f"  {note}" for note in kernel.notes]
    shards = shards_of(kernel, num_threads())
    if len(shards) > 1:
        sizes = ", ".join(str(b - a) for a, b in shards)
        lines.append(f"  batch of {kernel.batch} shared out over {len(shards)} threads: {sizes}")
    else:
        why = kernel.reason or "there is too little work to share, or one thread is set"
        lines.append(f"  one thread: {why}")
    stacks = [r for r in loop.results if r.kind == "stack"]
    size = sum(r.out.nbytes for r in stacks)
    lines.append(f"  hands out {len(loop.results)} results, {len(stacks)} a step ({size:,} bytes)")
    if runner.failed:
        lines.append(f"  runs op by op: {runner.failed}")
    else:
        lines.append(f"  compiled in {runner.seconds:.2f} s")
    return lines


def missed(items: Iterable[Instr | Loop]) -> list[str]:
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


def ledger(compiled: Compiled) -> list[str]:
    """Bytes of a training step: what is kept for the backward, inputs, outputs, work space."""
    program = compiled.program
    kept = kept_bytes(compiled)
    inputs = sum(v.nbytes for v in program.inputs)
    outputs = sum(v.nbytes for v in program.outputs)
    gradients = sum(program.inputs[k].nbytes for k in compiled.wanted)
    work = max([scratch_bytes(p) for p in [compiled.forward, *_backward(compiled)]])
    return [
        "memory of a step, in bytes:",
        f"  kept for the backward {kept:,}",
        f"  inputs and parameters {inputs:,}, outputs {outputs:,}, gradients {gradients:,}",
        f"  work space {work:,}",
        f"  peak {kept + outputs + gradients + work:,} beside inputs and parameters",
    ]


def kept_bytes(compiled: Compiled) -> int:
    """Bytes that the forward keeps: each memory once, however many results lie in it."""
    total, loops = 0, set()
    for runner in compiled.forward.runners:
        kernel = runner.kernel
        stacks = {id(r.values[0]) for r in kernel.loop.results if r.kind == "stack"}
        loops |= {id(r.out) for r in kernel.loop.results if r.kind == "stack"}
        for a in kernel.arguments:
            if a.kind == "storage" and a.steps == "stack" and id(a.value) in stacks:
                total += math.prod(a.shape) * np.dtype(a.dtype).itemsize
    return total + sum(v.nbytes for v in compiled.saved if id(v) not in loops)


def scratch_bytes(part: Part) -> int:
    """Bytes of work space of the largest loop."""
    return max([r.layout.work_bytes for r in part.runners], default=0)
