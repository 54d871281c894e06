"""The order of the passes, each from a well-formed program to one that computes the same.

A pass rewrites the program in place and returns nothing, or what it did, in words for
`explain()`. The verifier runs after each, for every structure of programs once: it checks
passes, and sentences of ever new lengths are rewritten alike (2.7 ms of a recording's 25).
"""

from collections.abc import Callable
from typing import Any

from ..ir import Program
from ..needs import propagate_needs
from .canonical import plain_products, row_sums, separate_carries, single_products
from .cse import cse
from .dce import dce
from .expand import expand, expand_early
from .fuse import fuse, last_rows
from .licm import draw_before, hoist_transposed, licm
from .merge_products import merge_products, split_concats
from .simplify import simplify
from .structure import structure
from .verify import Verifier

Pass = Callable[[Program], list[str] | None]

BEFORE_DIFFERENTIATION: tuple[Pass, ...] = (
    draw_before,
    expand_early,
    propagate_needs,
    simplify,
    split_concats,
    licm,
    cse,
    merge_products,
    licm,
    dce,
    last_rows,
    simplify,
    fuse,
    dce,
    propagate_needs,
)
BEFORE_CODE: tuple[Pass, ...] = (
    hoist_transposed,
    single_products,
    expand,
    row_sums,
    plain_products,
    cse,
    separate_carries,
    dce,
)


def optimize(program: Program) -> list[str]:
    """All passes before differentiation; what they did, in words."""
    return _run(program, BEFORE_DIFFERENTIATION)


def legalize(program: Program) -> None:
    """All passes after it: the forms that the code generator expects, and no dead code."""
    _run(program, BEFORE_CODE)


_checked: dict[Any, None] = {}  # passes with structures of programs: rewritten, and found good
MOST = 1000  # of these that are remembered


def _run(program: Program, passes: tuple[Pass, ...]) -> list[str]:
    key = passes, structure(program)
    verifier, notes = None if key in _checked else Verifier(), list[str]()
    if verifier:
        verifier.check(program)
    for rewrite in passes:
        notes += rewrite(program) or []
        if verifier:
            verifier.check(program, rewrite.__name__)
    _checked.pop(key, None)
    _checked[key] = None  # last: it was used last
    for old in list(_checked)[:-MOST]:
        _checked.pop(old, None)
    return notes
