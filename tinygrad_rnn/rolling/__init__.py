"""Find the repeated step in a recorded sequence of calls: from an unrolled graph to loops.

A step is a block of calls whose signatures recur at a fixed distance, and whose
operands do one of these from step to step:

- stay the same (`Same`);
- name the same place in this step (`Here`) or d steps before (`Back`);
- move along the results of an earlier loop (`Along`), or along numbers (`Numbers`);
- are one item of a list each, of outside values or earlier results (`Listed`);
- are whole numbers that rise or fall by a constant stride: the t of `x[t]` (`Moving`) or of
  `x[t:t+k]` (`Sliding`).

Steps that differ, at the start or the end, stay outside. Several loops in a row
(layers, directions) are all found; a block may span several steps of the user's
loop. The diagrams and the compiler both read the result.
"""

from .operands import (
    Along,
    Back,
    Call,
    Found,
    Here,
    Listed,
    Moving,
    Number,
    Numbers,
    Operand,
    Outside,
    Place,
    Ref,
    Row,
    Same,
    Sliding,
    Span,
)
from .search import find

__all__ = [
    "Along", "Back", "Call", "Found", "Here", "Listed", "Moving", "Number", "Numbers", "Operand",
    "Outside", "Place", "Ref", "Row", "Same", "Sliding", "Span", "find",
]  # fmt: skip
