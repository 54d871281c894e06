"""The order of the passes, each from a well-formed program to one that computes the same.

A pass rewrites the program in place and returns nothing, or what it did, in words for
`explain()`. The verifier runs after each.
"""

from collections.abc import Callable, Iterable

from ..ir import Program
from ..needs import propagate_needs
from .canonical import plain_products, row_sums, single_products
from .carries import separate_carries
from .cse import cse
from .dce import dce
from .draws import draw_before
from .expand import expand, expand_early
from .fuse import fuse, last_rows
from .licm import hoist_transposed, licm
from .merge_products import merge_products, split_concats
from .simplify import simplify
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


def _run(program: Program, passes: Iterable[Pass]) -> list[str]:
    verifier, notes = Verifier(), list[str]()
    verifier.check(program)
    for rewrite in passes:
        notes += rewrite(program) or []
        verifier.check(program, rewrite.__name__)
    return notes
