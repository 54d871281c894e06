"""The public names: meant, documented, and no others."""

import inspect
import types

import numpy as np
import pytest

import tinygrad_rnn as tg

MODULES = {"nn", "op", "ops", "optim", "testing", "viz"}


def test_the_namespace_holds_what_is_meant_and_nothing_else():
    assert set(dir(tg)) == {*tg.__all__, "__doc__", "__version__"}
    assert len(set(tg.__all__)) == len(tg.__all__)
    found = {n for n in tg.__all__ if isinstance(getattr(tg, n), types.ModuleType)}
    assert found == MODULES
    errors = {n for n, v in vars(tg.errors).items() if isinstance(v, type)}
    assert errors <= set(tg.__all__)
    for name in ("shape", "random", "rows", "reduce", "pointwise", "linalg", "indexing", "logic"):
        assert not hasattr(tg, name), name


def test_every_array_function_is_exported_or_kept_back_on_purpose():
    own = {n for n, v in vars(tg.ops).items() if not isinstance(v, types.ModuleType)}
    own = {n for n in own if not n.startswith("_")}
    assert own - set(tg.ops.__all__) == {"gather", "index", "sum_of_products"}
    assert set(tg.ops.__all__) <= own


CONSTANTS = {n for n in tg.__all__ if not callable(getattr(tg, n))} - MODULES


def test_constants_are_the_dtypes_and_the_numbers_of_the_standard():
    dtypes = {n for n in CONSTANTS if isinstance(getattr(tg, n), np.dtype)}
    assert {str(getattr(tg, n)) for n in dtypes} == dtypes
    assert CONSTANTS - dtypes == {"__array_api_version__", "e", "inf", "nan", "newaxis", "pi"}


@pytest.mark.parametrize("name", sorted(set(tg.__all__) - MODULES - CONSTANTS))
def test_every_name_is_documented(name):
    text = inspect.getdoc(getattr(tg, name))
    assert text, f"{name} needs a docstring"
    first = text.split("\n\n")[0]
    assert first[0].isupper() or first.startswith(("log", "e^", "`", "y ="))
    assert first.rstrip().endswith((".", ":")), f"the first sentence of {name} has no end"


def test_every_method_is_a_function_too():
    own = {"astype", "permute_dims", "reshape", "where"}  # these take their arguments otherwise
    methods = {n for n in vars(tg.Tensor) if n in tg.ops.__all__} - own
    assert len(methods) > 60
    for name in methods:
        assert getattr(tg.Tensor, name).__doc__ == getattr(tg.ops, name).__doc__
