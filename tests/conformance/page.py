"""docs/array_api.md: the functions of the Python array API, and what there is of each here.

    python -m tests.conformance.page     writes the page anew; tests/test_standard.py compares

The names are those of the standard's version 2024.12, by its chapters.
"""

from collections import Counter
from pathlib import Path

import tinygrad_rnn as tg

PAGE = Path(__file__).resolve().parents[2] / "docs" / "array_api.md"
CHAPTERS = {
    "Creation": """arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid
        ones ones_like tril triu zeros zeros_like""",
    "Data types": "astype can_cast finfo iinfo isdtype result_type",
    "Elementwise": """abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_invert
        bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor ceil clip conj copysign cos
        cosh divide equal exp expm1 floor floor_divide greater greater_equal hypot imag isfinite
        isinf isnan less less_equal log log10 log1p log2 logaddexp logical_and logical_not
        logical_or logical_xor maximum minimum multiply negative nextafter not_equal positive pow
        real reciprocal remainder round sign signbit sin sinh sqrt square subtract tan tanh
        trunc""",
    "Indexing": "take take_along_axis",
    "Inspection": "__array_namespace_info__",
    "Linear algebra": "matmul matrix_transpose tensordot vecdot",
    "Manipulation": """broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims
        repeat reshape roll squeeze stack tile unstack""",
    "Searching": "argmax argmin count_nonzero nonzero searchsorted where",
    "Sets": "unique_all unique_counts unique_inverse unique_values",
    "Sorting": "argsort sort",
    "Statistics": "cumulative_prod cumulative_sum max mean min prod std sum var",
    "Utility": "all any diff",
}
ABSENT = dict.fromkeys(("conj", "imag", "real"), "there are no complex numbers")
_SIZES = "sizes one by one, too: `{0}(2, 3)` besides `{0}((2, 3))`"
_VALUES = "how large the result is depends on the values, so `tg.jit` refuses it"
_EAGER = "in a compiled loop it runs op by op"
NOTES = {
    **{name: _SIZES.format(name) for name in ("empty", "ones", "zeros")},
    **dict.fromkeys(("nonzero", "unique_all", "unique_counts", "unique_values"), _VALUES),
    **dict.fromkeys(("bitwise_left_shift", "bitwise_right_shift"),
                    f"{_EAGER}: shifts past the width of the type are the machine's affair"),
    **dict.fromkeys(("nextafter", "searchsorted", "argsort"), _EAGER),
    "asarray": "arrays of others are copied: `copy=False` raises for them",
    "concat": "arrays one by one, too",
    "divide": "integers give float32",
    "expand_dims": "`axis` is 0 if nothing is said",
    "floor_divide": "of infinities NumPy's: NaN",
    "from_dlpack": "shares memory, read-only",
    "max": "`where=` chooses among the values",
    "min": "`where=` chooses among the values",
    "reshape": "no `copy=`: what cannot be written to is the same copied or not",
    "result_type": "float64 for two floats, which ops bring together only after `astype`",
    "sort": f"`topk`, too; {_EAGER}",
    "stack": "arrays one by one, too",
    "unique_inverse": _VALUES,
}  # fmt: skip

BEYOND = """append array_split atleast_1d atleast_2d atleast_3d column_stack cross cumprod cumsum
    deg2rad degrees diag diagonal dot dsplit dstack einsum exp2 fliplr flipud fmax fmin hsplit hstack
    inner isin kron log1p logaddexp2 nan_to_num outer pad rad2deg radians ravel rot90 select sinc
    swapaxes trace vsplit vstack"""
RECIPES = """np.average(x, weights=y) | (x * y).sum() / y.sum()
np.gradient(x)[1:-1] | (x[2:] - x[:-2]) / 2
np.linalg.norm(x) | tg.norm(x)
np.partition(x, 1)[0] | tg.sort(x)[0]
np.ptp(A, axis=0) | A.max(axis=0) - A.min(axis=0)
np.split(A, 3)[1] | tg.array_split(A, 3)[1]
np.transpose(A) | A.T
np.array([x, y]) | tg.asarray([x, y])"""


def page() -> str:
    """The page's text."""
    names = {name: chapter for chapter, text in CHAPTERS.items() for name in text.split()}
    counts = Counter("absent" if name in ABSENT else "there" for name in names)
    lines = [
        "# The Python array API",
        "",
        f"Of the {len(names)} functions of the standard, version {tg.__array_api_version__}, "
        f"{counts['there']} are there and {counts['absent']} are not. "
        "`x.__array_namespace__()` is `tinygrad_rnn`, so that libraries written for the standard "
        "find them. Beyond it: float32 with float64 raises and names `astype`, tensors are not "
        "written in place (`x[i] = v` raises), nothing is complex, and the extensions `linalg` "
        "and `fft` are not offered.",
        "",
        "`tools/conformance array-api CHECKOUT` runs the standard's own tests, "
        "[array-api-tests](https://github.com/data-apis/array-api-tests), on a checkout of them; "
        "`tests/conformance/array_api.txt` names every test left out, and why.",
        "",
        "This page is made by `python -m tests.conformance.page`.",
    ]
    for chapter, text in CHAPTERS.items():
        lines += ["", f"## {chapter}", "", "| function | here | |", "|---|---|---|"]
        lines += [_row(name) for name in text.split()]
    lines += ["", "## NumPy's other names", ""]
    lines += ["These have NumPy's names and first arguments, too: " +
              ", ".join(f"`{name}`" for name in BEYOND.split()) + ". Others:"]  # fmt: skip
    lines += ["", "| NumPy | here |", "|---|---|"]
    lines += [f"| `{a}` | `{b}` |" for a, b in (row.split(" | ") for row in RECIPES.split("\n"))]
    lines += ["", "`tools/conformance autograd CHECKOUT` runs the tests of functions of "
              "[HIPS/autograd](https://github.com/HIPS/autograd): of 289, 261 pass on the names of "
              "this library or others of the same meaning "
              "(`tests/conformance/stand_in/autograd/numpy/names.py`), 12 on recipes of a few lines, "
              "which `NAMES_ALONE=1` leaves out, and 16 do not apply "
              "(`tests/conformance/autograd.txt`)."]  # fmt: skip
    return "\n".join(lines) + "\n"


def _row(name: str) -> str:
    if name in ABSENT:
        return f"| `{name}` | no | {ABSENT[name]} |"
    own = getattr(tg, name)
    short = getattr(own, "__name__", name)
    note = NOTES.get(name, "")
    if short != name:
        note = f"the same object as `{short}`" + (f"; {note}" if note else "")
    return f"| `{name}` | yes | {note} |"


if __name__ == "__main__":
    PAGE.write_text(page())
