"""The public names: meant, documented, and no others."""

import doctest
import importlib
import inspect
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.op import OPS

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
import api

MODULES = {"interop", "nn", "op", "ops", "optim", "testing", "train", "viz"}


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


def test_what_the_design_promises_is_there():
    promised = (
        "tensor zeros ones full empty arange eye randn rand zeros_like grad no_grad detect_anomaly "
        "manual_seed Tensor add sub mul div neg pow abs exp log log1p expm1 sqrt square sin cos tanh "
        "sigmoid relu softplus silu gelu maximum minimum clip where matmul outer sum mean var max min "
        "logsumexp softmax log_softmax cumsum norm reshape permute_dims swapaxes squeeze expand_dims "
        "broadcast_to concat stack unstack split chunk flip take take_along_axis embedding one_hot "
        "dropout astype step scope"
    )
    assert not set(promised.split()) - set(tg.__all__)


def public_things():
    """Every public function and class, by its full name."""
    homes = [(part, importlib.import_module(f"tinygrad_rnn{part}")) for part in api.PARTS]
    return [
        pytest.param(getattr(home, name), id=f"tg{part}.{name}")
        for part, home in homes
        for name in api.public(home.__name__)
    ]


@pytest.mark.parametrize("thing", public_things())
def test_every_public_name_has_a_docstring_with_an_example(thing):
    text = inspect.getdoc(thing) if vars(thing).get("__doc__", thing.__doc__) else None
    assert text, "needs a docstring of its own"
    first = text.split("\n\n")[0]
    assert first.rstrip().endswith((".", ":")), "the first sentence has no end"
    if isinstance(thing, type) and issubclass(thing, BaseException | tuple):
        return  # what is raised, and what functions return, is shown by those
    assert "\n>>> " in text, "needs an example"


def test_examples_of_ops_are_run():
    found = {test.docstring for test in doctest.DocTestFinder().find(tg.ops) if test.examples}
    texts = [op.__doc__ or "" for op in OPS.values() if op.__module__.startswith("tinygrad_rnn.")]
    assert not [text for text in texts if ">>>" in text and text not in found]


def test_every_method_is_a_function_too():
    own = {"astype", "permute_dims", "reshape", "where"}  # these take their arguments otherwise
    methods = {n for n in vars(tg.Tensor) if n in tg.ops.__all__} - own
    assert len(methods) > 60
    for name in methods:
        assert getattr(tg.Tensor, name).__doc__ == getattr(tg.ops, name).__doc__


def test_an_op_of_ones_own_is_recorded_and_jitted(own_ops):
    bump, row_range = own_ops

    def loss(x, w):
        h = tg.zeros(2, 3, dtype="float64")
        total = tg.zeros((), dtype="float64")
        for t in range(len(x)):
            h = bump(x[t] + h @ w)
            total = total + tg.mean(row_range(h))
        return total + h.sum()

    rng = np.random.default_rng(0)
    w = tg.tensor(rng.normal(size=(3, 3)), requires_grad=True)
    x = tg.tensor(rng.normal(size=(5, 2, 3)))
    tg.testing.gradcheck(lambda w: loss(x, w), w)
    tg.testing.check_jit(loss, x, w)


@pytest.fixture
def own_ops():
    """One op on numbers and one on whole arrays, declared outside the package."""
    from tinygrad_rnn.op import OPS, pointwise, primitive, scalar

    @pointwise(floats=True)
    def bump(x):
        """x sigmoid(-x), elementwise."""
        return x * scalar.sigmoid(-x)

    @bump.vjp
    def bump_vjp(g, x):
        s = tg.sigmoid(-x)
        return g * s * (1 - x * (1 - s))

    @primitive(shape=lambda x: x.shape[:1])
    def row_range(x):
        """Largest minus smallest value of each row."""
        return x.max(1) - x.min(1)

    @row_range.vjp
    def row_range_vjp(g, x):
        largest = tg.eq(x, tg.max(x, axis=1, keepdims=True)).astype(g.dtype)
        smallest = tg.eq(x, tg.min(x, axis=1, keepdims=True)).astype(g.dtype)
        return tg.expand_dims(g, 1) * (largest - smallest)

    yield bump, row_range
    del OPS["bump"], OPS["row_range"]
