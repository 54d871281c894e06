"""Rows of the table of cases for the array API's names and options; the form is `cases`'."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from cases import BINARY, LAYOUTS, PAIRS, Case, case, with_options

from tinygrad_rnn import ops
from tinygrad_rnn.op import OPS

NAMES = {
    "subtract": "sub", "multiply": "mul", "divide": "div", "negative": "neg", "equal": "eq",
    "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge",
}  # fmt: skip


def elementwise_cases() -> Iterator[Case]:
    """Signs, neighbours, shifts and sets of values."""
    none = {"differentiable": False, "attrs": {}}
    for tag, shapes in PAIRS.items():
        yield case("nextafter", ops.nextafter, np.nextafter, shapes, "real", tag, attrs={})
        for name, reference in (
            ("bitwise_left_shift", np.left_shift),
            ("bitwise_right_shift", np.right_shift),
        ):
            row = case(name, OPS[name], reference, shapes, "whole", tag, **none)
            yield row._replace(inputs=[row.inputs[0], abs(row.inputs[1])])
    wide = [np.array([1, -1, -5, 100], np.int8), np.array([7, 8, 70, 1], np.int8)]
    for name in ("left_shift", "right_shift"):
        yield Case(f"bitwise_{name}-far", f"bitwise_{name}", OPS[f"bitwise_{name}"],
                   getattr(np, name), wide, False, {})  # fmt: skip
    special = np.array([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf])
    yield Case("signbit-special", "signbit", ops.signbit, np.signbit, [special], False, {})
    yield Case("copysign-special", "copysign", ops.copysign, np.copysign,
               [special[::-1], special], False, {})  # fmt: skip
    for invert in (False, True):
        yield case("isin", with_options(ops.isin, invert=invert), with_options(np.isin,
                   invert=invert), [(2, 3), (4,)], "whole", str(invert), differentiable=False,
                   attrs={"invert": invert})  # fmt: skip
    yield case("positive", ops.positive, np.positive, [(2, 3)], "real", "matrix")
    yield case("reciprocal", ops.reciprocal, np.reciprocal, [(2, 3)], "real", "matrix")


def set_cases() -> Iterator[Case]:
    """Values, places and counts."""
    x = np.array([[3.0, -1.0, 3.5], [0.5, -1.5, 2.0]])
    whole = np.array([[0, 2, 2], [-1, 0, 2]])
    for part in (1, 3):
        yield Case(f"unique_part-{part}", "unique_part", with_options(OPS["unique_part"], part=part),
                   lambda x, k=part: _unique(x)[k], [whole], False)  # fmt: skip
    yield Case("unique_number-whole", "unique_number", OPS["unique_number"],
               lambda x: _unique(x)[2].reshape(x.shape), [whole], False, {})  # fmt: skip
    for name, parts in UNIQUE.items():
        for k, part in enumerate(parts):
            place = ("values", "indices", "inverse_indices", "counts").index(part)
            for tag, values in {"repeats": whole, "floats": x}.items():
                yield Case(f"{name}-{part}-{tag}", name, _part(getattr(ops, name), k),
                           _wanted(place), [values], part == "values" and tag == "floats")  # fmt: skip
    yield Case("places_of_nonzero-whole", "places_of_nonzero", OPS["places_of_nonzero"],
               np.flatnonzero, [whole], False)  # fmt: skip
    for axis in (0, 1):
        yield Case(f"nonzero-{axis}", "nonzero", lambda x, a=axis: ops.nonzero(x)[a],
                   lambda x, a=axis: np.nonzero(x)[a], [whole], False)  # fmt: skip
    for tag, how in {"all": {}, "axis": {"axis": 1}, "kept": {"axis": 0, "keepdims": True}}.items():
        yield Case(f"count_nonzero-{tag}", "count_nonzero", with_options(ops.count_nonzero, **how),
                   with_options(np.count_nonzero, **how), [whole], False)  # fmt: skip
    line, order = np.array([-1.0, 0.5, 0.5, 2.0]), np.array([2, 0, 3, 1])
    values = np.array([[0.5, -2.0], [2.0, 3.0]])
    for side in ("left", "right"):
        yield Case(f"places_in_order-{side}", "places_in_order", with_options(
                   OPS["places_in_order"], side=side), with_options(np.searchsorted, side),
                   [line, values], False, {"side": side})  # fmt: skip
        mixed = np.empty(4)
        mixed[order] = line
        yield Case(f"searchsorted-{side}", "searchsorted", with_options(ops.searchsorted, side,
                   order), with_options(np.searchsorted, side, order), [mixed, values],
                   False)  # fmt: skip


UNIQUE = {
    "unique_values": ("values",),
    "unique_counts": ("values", "counts"),
    "unique_inverse": ("values", "inverse_indices"),
    "unique_all": ("values", "indices", "inverse_indices", "counts"),
}


def _part(function: Any, k: int) -> Any:
    return lambda x: function(x)[k] if function is not ops.unique_values else function(x)


def _wanted(place: int) -> Any:
    return lambda x: _unique(x)[place].reshape(x.shape if place == 2 else -1)


def _unique(x: Any) -> Any:
    return np.unique(x, return_index=True, return_inverse=True, return_counts=True)


def option_cases() -> Iterator[Case]:
    """Options that the ops inside do not have, and what is made of other ops."""
    keep = np.array([[True, False, True], [False, True, True]])
    for name, fill in (("max", -np.inf), ("min", np.inf)):
        for tag, axis in (("all", None), ("rows", 1)):
            yield case(name, with_options(getattr(ops, name), axis=axis, where=keep),
                       with_options(getattr(np, name), axis=axis, where=keep, initial=fill),
                       [(2, 3)], "real", f"where-{tag}")  # fmt: skip
    single = {"dtype": np.float64, "axis": 0}
    for name in ("sum", "prod"):
        yield case(name, with_options(getattr(ops, name), **single), with_options(
                   getattr(np, name), **single), [(2, 3)], "real", "as-float64")  # fmt: skip
    for name in ("cumulative_sum", "cumulative_prod"):
        reference = getattr(np, name)
        for tag, how in {
            "initial": {"axis": 1, "include_initial": True},
            "float64": {"axis": -2, "dtype": np.float64},
        }.items():
            yield case(name, with_options(getattr(ops, name), **how), with_options(reference,
                       **how), [(2, 3)], "real", tag)  # fmt: skip
    for tag, low, high in (("below", None, 0.5), ("above", -0.5, None), ("free", None, None)):
        yield case("clip", with_options(ops.clip, low, high), with_options(np.clip, low, high),
                   [(2, 3)], "real", tag)  # fmt: skip
    yield case("concat", lambda *x: ops.concat(x, axis=None), lambda *x: np.concatenate(x, None),
               [(2, 3), (2,)], "real", "flattened")  # fmt: skip
    yield case("concat", lambda a, b: ops.concat([a, b], 1), lambda a, b: np.concatenate([a, b], 1),
               [(2, 3), (2, 1)], "real", "by-place")  # fmt: skip
    for tag, axis in (("all", None), ("two", (0, -1))):
        yield case("flip", with_options(ops.flip, axis), with_options(np.flip, axis), [(2, 3, 2)],
                   "real", tag)  # fmt: skip
    for tag, how in {"n": {"n": 2}, "first": {"axis": 0}, "none": {"n": 0}}.items():
        yield case("diff", with_options(ops.diff, **how), with_options(np.diff, **how), [(3, 4)],
                   "real", tag)  # fmt: skip
    yield case("diff", lambda x, a, b: ops.diff(x, prepend=a, append=b),
               lambda x, a, b: np.diff(x, prepend=a, append=b), [(2, 3), (2, 1), (2, 2)], "real",
               "joined")  # fmt: skip
    for tag, shape, k in (
        ("above", (3,), 1),
        ("below", (2,), -2),
        ("on", (3,), 0),
        ("of", (3, 4), 1),
    ):
        yield case(
            "diag", with_options(ops.diag, k), with_options(np.diag, k), [shape], "real", tag
        )
    for indexing in ("xy", "ij"):
        yield case("meshgrid", lambda *x, i=indexing: _weighed(ops.meshgrid(*x, indexing=i)),
                   lambda *x, i=indexing: _weighed(np.meshgrid(*x, indexing=i)),
                   [(2,), (3,), (4,)], "real", indexing)  # fmt: skip
    yield case("meshgrid", lambda a, b: _weighed(ops.meshgrid(a, b)),
               lambda a, b: _weighed(np.meshgrid(a, b)), [(), (3,)], "real", "scalar")  # fmt: skip
    yield case("broadcast_arrays", lambda *x: _weighed(ops.broadcast_arrays(*x)),
               lambda *x: _weighed(np.broadcast_arrays(*x)), [(2, 1), (3,)], "real",
               "both")  # fmt: skip
    yield case("vecdot", ops.vecdot, lambda a, b: (a * b).sum(-1), [(2, 3), (2, 3)], "real",
               "pairs", LAYOUTS[1])  # fmt: skip
    for name, short in NAMES.items():
        if short in BINARY:
            yield case(name, getattr(ops, name), BINARY[short][0], [(2, 3), (3,)], "real", "named")


def _weighed(results: Any) -> Any:
    """Several results in one, so that none may stand for another."""
    total = results[0]
    for k, y in enumerate(results[1:], 2):
        total = total + k * y
    return total


STANDARD = [*elementwise_cases(), *set_cases(), *option_cases()]
