"""A pytest plugin: array-api-tests with inputs that a library of real numbers takes.

The suite draws float32 together with float64 and cannot be imported without a complex dtype.
Here two floats of different width do not mix (an error names astype) and nothing is complex,
so neither is drawn; everything else is the suite's own. Loaded before the suite's files.
"""

import builtins
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

os.environ["ARRAY_API_TESTS_MODULE"] = "tinygrad_rnn"
os.environ["ARRAY_API_TESTS_SKIP_DTYPES"] = "complex64,complex128"


def _load(name: str, **known: Any) -> ModuleType:
    """Import a module in which some names have a value before its first line runs."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(known)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    parent, _, short = name.rpartition(".")
    setattr(sys.modules[parent], short, module)
    return module


def _largest(pairs: Any, *, key: Any) -> Any:
    """`max`, which finds a real dtype where the suite looks for the widest complex one."""
    return builtins.max(pairs or [(xp.float64, 64)], key=key)


import array_api_tests  # noqa: E402

xp: Any = array_api_tests.xp
dtypes = _load("array_api_tests.dtype_helpers", max=_largest)
FLOATS = {xp.float32, xp.float64}
dtypes.promotion_table = dtypes.EqualityMapping(
    [(pair, y) for pair, y in dtypes.promotion_table.items() if set(pair) != FLOATS]
)

from array_api_tests import hypothesis_helpers  # noqa: E402

_drawn = hypothesis_helpers.mutually_promotable_dtypes


def _one_width(*args: Any, **options: Any) -> Any:
    return _drawn(*args, **options).filter(lambda drawn: not set(drawn) >= FLOATS)


hypothesis_helpers.mutually_promotable_dtypes = _one_width
