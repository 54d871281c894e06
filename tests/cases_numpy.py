"""Rows of the table of cases for NumPy's names beyond the array API; the form is `cases`'."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from cases import LAYOUTS, PAIRS, Case, case, with_options

from tinygrad_rnn import ops


def elementwise_cases() -> Iterator[Case]:
    """Of one array, of two, and of choices."""
    for name in ("deg2rad", "degrees", "exp2", "rad2deg", "radians", "sinc"):
        for tag, shape in {"scalar": (), "empty": (2, 0), "matrix": (2, 3)}.items():
            yield case(name, getattr(ops, name), getattr(np, name), [shape], "real", tag)
        for layout in LAYOUTS[1:]:
            yield case(
                name, getattr(ops, name), getattr(np, name), [(3, 2)], "real", "matrix", layout
            )
    near = np.array([-2.0, -0.31, -0.29, -1e-4, 0.0, 1e-9, 0.05, 0.3, 0.5, 1.0])
    yield Case("sinc-near", "sinc", ops.sinc, np.sinc, [near])
    for name in ("fmax", "fmin", "logaddexp2"):
        for tag, shapes in PAIRS.items():
            yield case(name, getattr(ops, name), getattr(np, name), shapes, "real", tag)
    odd = [
        np.array([np.nan, 1.0, np.nan, np.inf, -np.inf]),
        np.array([2.0, np.nan, np.nan, 3.0, 3.0]),
    ]
    for name in ("fmax", "fmin"):
        yield Case(f"{name}-nan", name, getattr(ops, name), getattr(np, name), odd, False)
    for tag, shapes in {"same": [(2, 3)] * 4, "wide": [(3,), (2, 1), (2, 3), ()]}.items():
        yield case("select", lambda c, d, a, b: ops.select([c, d], [a, b], 0.5),
                   lambda c, d, a, b: np.select([c, d], [a, b], 0.5), shapes,
                   ["bool", "bool", "real", "real"], tag)  # fmt: skip


PRODUCTS = {
    "vectors": [(3,), (3,)],
    "matrices": [(2, 3), (3, 3)],
    "matrix-vector": [(2, 3), (3,)],
    "vector-cube": [(3,), (2, 3, 3)],
    "cubes": [(2, 1, 3), (2, 3, 3)],
    "scalar-left": [(), (2, 3)],
    "scalar-right": [(2, 3), ()],
}


def product_cases() -> Iterator[Case]:
    """Products that neither broadcast nor name their axes."""
    for name in ("dot", "inner", "kron"):
        for tag, shapes in PRODUCTS.items():
            yield case(name, getattr(ops, name), getattr(np, name), shapes, "real", tag)
    yield case("kron", ops.kron, np.kron, [(2, 0), (3, 2)], "real", "empty")
    for tag, shapes, axis in (
        ("vectors", [(3,), (3,)], -1),
        ("rows", [(2, 3), (3,)], -1),
        ("columns", [(3, 2), (3, 1)], 0),
        ("middle", [(2, 3, 4), (2, 3, 4)], 1),
    ):
        yield case("cross", with_options(ops.cross, axis=axis), with_options(np.cross, axis=axis),
                   shapes, "real", tag)  # fmt: skip
    for tag, shapes, axes in (
        ("product", [(2, 3), (3, 4)], ([0, 1], [1, 2], [0, 2])),
        ("alphabet", [(2, 3), (3, 4)], ([26, 1], [1, 25])),
        ("rest", [(2, 1, 3), (2, 3, 4)], ([..., 0, 1], [..., 1, 2], [..., 0, 2])),
    ):
        yield case("einsum", lambda a, b, n=axes: ops.einsum(a, n[0], b, n[1], *n[2:]),
                   lambda a, b, n=axes: np.einsum(a, n[0], b, n[1], *n[2:]), shapes, "real",
                   f"numbers-{tag}")  # fmt: skip
    yield case("tensordot", with_options(ops.tensordot, (0, 1)), with_options(np.tensordot, (0, 1)),
               [(3, 2), (2, 3)], "real", "one-each")  # fmt: skip


JOINED = {
    "hstack": {"vectors": [(2,), (3,)], "matrices": [(2, 3), (2, 1)], "scalars": [(), ()]},
    "vstack": {"vectors": [(3,), (3,)], "mixed": [(2, 3), (3,)], "scalars": [(), ()]},
    "dstack": {"vectors": [(3,), (3,)], "matrices": [(2, 3), (2, 3)], "cubes": [(2, 3, 1), (2, 3)]},
    "column_stack": {"vectors": [(3,), (3,)], "mixed": [(2, 3), (2,)]},
}
CUT = {"whole": 2, "places": [1, 3], "beyond": [2, 9], "back": [3, 1], "ends": [-1]}


def shape_cases() -> Iterator[Case]:
    """Joining, cutting and turning."""
    for name, rows in JOINED.items():
        for tag, shapes in rows.items():
            yield case(name, lambda *x, n=name: getattr(ops, n)(list(x)),
                       lambda *x, n=name: getattr(np, n)(x), shapes, "real", tag)  # fmt: skip
        yield case(name, getattr(ops, name), getattr(np, name), [(2, 3, 2)], "real", "array")
    for n in (1, 2, 3):
        name = f"atleast_{n}d"
        for shape in ((), (3,), (2, 3), (2, 1, 2)):
            yield case(
                name, getattr(ops, name), getattr(np, name), [shape], "real", str(len(shape))
            )
    for name, shape in (("array_split", (4, 2)), ("hsplit", (4,)), ("hsplit", (3, 4)),
                        ("vsplit", (4, 3)), ("dsplit", (1, 2, 4))):  # fmt: skip
        for tag, parts in CUT.items():
            yield case(name, _in_order(getattr(ops, name), parts),
                       _in_order(getattr(np, name), parts), [shape], "real",
                       f"{tag}-{len(shape)}")  # fmt: skip
    for tag, parts in {"uneven": 3, "many": 6, "none": []}.items():
        yield case("array_split", _in_order(ops.array_split, parts, 1),
                   _in_order(np.array_split, parts, 1), [(2, 5)], "real", tag)  # fmt: skip
    for axis in (None, 0):
        yield case("append", with_options(ops.append, axis=axis), with_options(np.append, axis=axis),
                   [(2, 3), (1, 3)], "real", str(axis))  # fmt: skip
    for name in ("fliplr", "flipud", "ravel", "rot90"):
        yield case(name, getattr(ops, name), getattr(np, name), [(2, 3, 2)], "real", "cube")
    for k in (0, 1, 2, 3, -1):
        yield case("rot90", with_options(ops.rot90, k, axes=(2, 0)), with_options(np.rot90, k,
                   axes=(2, 0)), [(2, 3, 4)], "real", str(k))  # fmt: skip
    for name in ("cumprod", "cumsum"):
        yield case(name, getattr(ops, name), getattr(np, name), [(2, 3)], "real", "flattened")


def _in_order(function: Callable[..., Any], *how: Any) -> Callable[..., Any]:
    """The parts of a split in one vector, its places and lengths among the values."""

    def call(x: Any) -> Any:
        parts = function(x, *how)
        return ops.concat(
            [ops.reshape(k * y + len(y), shape=(-1,)) for k, y in enumerate(parts, 1)]
        )

    return call


NUMPY = [*elementwise_cases(), *product_cases(), *shape_cases()]
