"""Ops that users declare, under tg.jit: what their scalar rules may read, and when it changes."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
import numpy as xp
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import abs, exp, log1p, where
from tinygrad_rnn.compiler.lowering.table import lower
from tinygrad_rnn.errors import CompilerWarning
from tinygrad_rnn.op import OPS, pointwise, primitive, scalar, scalar as written
from tinygrad_rnn.testing import check_jit

SLOPE, LN2 = 0.1, 0.6931471805599453


@pytest.fixture(autouse=True)
def undeclared() -> Iterator[None]:
    """Names of ops are taken once: give them back."""
    before = set(OPS)
    yield
    for name in set(OPS) - before:
        del OPS[name]


def by_op(x: Any) -> Any:
    """Other ops, by their names."""
    return abs(x) + log1p(exp(-2 * abs(x))) - LN2


def by_module(x: Any) -> Any:
    """Other ops, by way of the package."""
    return tg.abs(x) + tg.log1p(tg.exp(-2 * tg.abs(x))) - LN2


def by_numpy(x: Any) -> Any:
    """NumPy, under another name, and a number of the file."""
    return xp.abs(x) + xp.log1p(xp.exp(-2 * xp.abs(x))) - LN2


def by_scalar(x: Any) -> Any:
    """The scalar functions, under another name."""
    return written.tanh(x) * SLOPE


def several(x: Any) -> Any:
    """More than one statement, of ops."""
    a = tg.abs(x)
    return where(a > 1, a - SLOPE, x * a)


def shrunk(x: Any) -> Any:
    return tg.tanh(x) * SLOPE


def by_helper(x: Any) -> Any:
    """A function of the user's."""
    return shrunk(x) + SLOPE


def with_rest(x: Any) -> Any:
    y = tg.sigmoid(x)
    tg.tanh(x)  # of no use
    return y


def by_early(x: Any) -> Any:
    """A function that computes more than it returns."""
    return with_rest(x)


def enclosed() -> Callable[[Any], Any]:
    factor = 0.3

    def by_closure(x: Any) -> Any:
        """A number of the function around."""
        return scalar.sigmoid(x) * factor + x

    return by_closure


def mixed(x: Any) -> Any:
    """NumPy and ops at once."""
    return numpy.sin(x) + tg.tanh(x)


def waiting() -> Any:
    """A function around that does not get as far as the name."""

    def early(x: Any) -> Any:
        return 0.5 * x if x is not None else later

    if not SLOPE:
        later = 1.0
    return early


def cast(x: Any) -> Any:
    return numpy.asarray(x).astype("float64") / 2


def typed() -> Any:
    """A rule whose source is in no file."""
    space: dict[str, Any] = {"scalar": scalar}
    exec("def typed(x):\n    return scalar.tanh(x)", space)
    return space["typed"]


def over_steps(f: Any) -> Any:
    """A jitted loop in which a state goes through the op."""

    def states(x: Any, W: Any) -> Any:
        h, found = tg.zeros(x.shape[1], W.shape[0], dtype=x.dtype), []
        for x_t in x:
            h = f(x_t + h @ W)
            found.append(h)
        return tg.stack(found)

    return tg.jit(states)


def given(dtype: str = "float64") -> list[Any]:
    return [0.5 * tg.randn(*shape, dtype=dtype) for shape in ((5, 2, 3), (3, 3))]


def learnable(dtype: str = "float64") -> list[Any]:
    return [tg.tensor(a.numpy(), requires_grad=True) for a in given(dtype)]


@pytest.mark.parametrize(
    "rule",
    [by_op, by_module, by_numpy, by_scalar, several, by_helper, by_early, enclosed(), waiting()],
)
def test_what_a_scalar_rule_may_read(rule: Any) -> None:
    fast = over_steps(pointwise(floats=True)(rule))
    for dtype in ("float32", "float64"):
        assert check_jit(fast, *given(dtype))
        assert fast(*given(dtype)).dtype == numpy.dtype(dtype)
        assert "op by op" not in fast.explain()


@pytest.mark.parametrize(
    ("rule", "why"),
    [(mixed, "whose scalar rule reads tg beside np or math"), (typed(), "source is in no file"),
     (cast, "has 'float64', which is no number")],
)  # fmt: skip
def test_a_rule_without_code_is_named(rule: Any, why: str) -> None:
    fast = over_steps(pointwise(floats=True)(rule))
    assert check_jit(fast, *given())
    assert why in fast.explain()


def halved(x: Any) -> Any:
    return 0.5 * x + SLOPE


def tripled(x: Any) -> Any:
    return 3 * x


@pytest.mark.parametrize("dtype", ["int64", "int32", "bool", "float32"])
@pytest.mark.parametrize("rule", [halved, tripled])
def test_numbers_of_a_rule_beside_whole_ones(rule: Any, dtype: str) -> None:
    op = pointwise(rule)
    fast = tg.jit(lambda xs: tg.stack([op(x) for x in xs]))
    x = tg.tensor(numpy.arange(16).reshape(8, 2).astype(dtype))
    wanted = rule(x.numpy())
    assert fast(x).dtype == wanted.dtype
    numpy.testing.assert_array_equal(fast(x).numpy(), wanted)


def test_a_rule_that_reads_another_number_is_recorded_again(monkeypatch: Any) -> None:
    op = pointwise(floats=True)(leaky)

    @op.vjp
    def leaky_vjp(g, x):
        return where(x > 0, g, SLOPE * g)

    fast = over_steps(op)
    for _ in range(2):
        assert check_jit(fast, *learnable())
        monkeypatch.setattr(f"{__name__}.SLOPE", 0.7)


def leaky(x: Any) -> Any:
    return where(x > 0, x, SLOPE * x)


@pytest.mark.parametrize("rule", [by_scalar, by_helper], ids=lambda f: f.__name__)
def test_numbers_in_code_and_behind_a_function_are_watched(rule: Any, monkeypatch: Any) -> None:
    fast = over_steps(pointwise(floats=True)(rule))
    for _ in range(2):
        assert check_jit(fast, *given())
        monkeypatch.setattr(f"{__name__}.SLOPE", 0.7)


class Scale:
    """What a rule may call a method of; the number is behind it."""

    by = SLOPE

    def __call__(self, x: Any) -> Any:
        return x * self.by

    times = __call__

    @classmethod
    def of_class(cls, x: Any) -> Any:
        return x * cls.by

    @staticmethod
    def of_file(x: Any) -> Any:
        return x * SLOPE


scale = Scale()
bound = scale.times
half = functools.partial(lambda by, x: x * by * SLOPE, 0.5)
several_ways = {"one": [shrunk]}
METHODS: dict[str, Callable[[Any], Any]] = {
    "object": lambda x: scale(x),
    "method": lambda x: scale.times(x),
    "bound": lambda x: bound(x),
    "class": lambda x: Scale.of_class(x),
    "static": lambda x: Scale.of_file(x),
    "partial": lambda x: half(x),
    "list": lambda x: several_ways["one"][0](x),
}


@pytest.mark.parametrize("name", METHODS)
def test_numbers_behind_a_method_are_watched(name: str, monkeypatch: Any) -> None:
    METHODS[name].__name__ = name
    fast = over_steps(pointwise(floats=True)(METHODS[name]))
    for _ in range(2):
        assert check_jit(fast, *given())
        monkeypatch.setattr(f"{__name__}.SLOPE", 0.7)
        monkeypatch.setattr(Scale, "by", 0.7)


def test_a_gradient_rule_that_reads_another_number(monkeypatch: Any) -> None:
    @primitive(shape=lambda x: x.shape)
    def scaled(x):
        """x, with a gradient that is scaled."""
        return x * 1

    @scaled.vjp
    def scaled_vjp(g):
        return g * SLOPE

    fast = over_steps(scaled)
    for _ in range(2):
        assert check_jit(fast, *learnable())
        monkeypatch.setattr(f"{__name__}.SLOPE", 0.7)


class Half(NamedTuple):
    by: float = 0.5
    of: Any = ()


@dataclass(frozen=True)
class Parts:
    """Can be hashed, as far as one sees."""

    of: list[int]


HOW = [
    {"by": 0.5, 1: 2},
    [[1], {2: 3}],
    Half(),
    Half(of=[1]),
    Parts([1]),
    numpy.arange(3),
    numpy.float32(0),
]


@pytest.mark.parametrize("how", HOW, ids=repr)
def test_any_object_may_be_an_attribute(how: Any) -> None:
    @primitive(shape=lambda x, *, how: x.shape)
    def halved_by(x, *, how):
        return x * 0.5

    assert check_jit(over_steps(lambda x: halved_by(x, how=how)), *given())


def with_gap(x: Any) -> Any:
    return x[:, :1] * 2


def counted(x: Any) -> Any:
    return numpy.rint(x).astype(int)


WRONG: list[tuple[Any, type[Exception], str]] = [
    (with_gap, tg.ShapeError, r"with_gap: its kernel gave shape \(2, 1\), its shape rule \(2, 3\)"),
    (counted, tg.DTypeError, "counted: its kernel gave int64, where float64 is declared"),
]


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize(("kernel", "error", "match"), WRONG)
def test_a_declaration_that_is_wrong_is_named(
    kernel: Any, error: type[Exception], match: str, outside: bool
) -> None:
    op = primitive(shape=lambda x: x.shape)(kernel)
    fast = over_steps(tg.tanh if outside else op)
    run = tg.jit(lambda x, W: op(fast(x, W)[0])) if outside else fast
    with pytest.raises(error, match=match):
        run(*given())


def test_a_row_whose_lines_are_no_python_runs_op_by_op() -> None:
    @primitive(shape=lambda x: x.shape)
    def twice(x):
        """2 x."""
        return x * 2

    lower(twice)(lambda code, instr: ["this is no Python"])
    fast = over_steps(twice)
    with pytest.warns(CompilerWarning, match="a loop runs op by op"):
        assert check_jit(fast, *given())


def scaled_by(k: float) -> Any:
    @pointwise(floats=True)
    def scaled(x):
        """k x."""
        return k * x

    @scaled.vjp
    def scaled_vjp(g):
        return k * g

    return scaled


def rounded_to(dtype: str) -> Any:
    @primitive(shape=lambda x: x.shape, dtype=dtype)
    def rounded(x):
        """Whole numbers."""
        return numpy.rint(x).astype(dtype)

    return rounded


@pytest.mark.parametrize(
    "ops",
    [map(scaled_by, (0.3, 0.2)), map(rounded_to, ("int64", "int32"))],
    ids=["scaled", "rounded"],
)
def test_an_op_may_be_declared_anew_as_in_a_notebook(ops: Any, monkeypatch: Any) -> None:
    fast = over_steps(lambda x: now(x) + x)  # noqa: F821
    for op in ops:
        monkeypatch.setattr(f"{__name__}.now", op, raising=False)
        assert check_jit(fast, *given())


def test_two_ops_of_one_name_are_two() -> None:
    one, other = scaled_by(0.3), scaled_by(0.2)
    assert check_jit(over_steps(lambda x: one(x) + other(x)), *learnable())
    alternating = tg.jit(lambda x: [(one if t % 3 else other)(x_t) for t, x_t in enumerate(x)][3])
    assert check_jit(alternating, *given()[:1])


def test_a_row_belongs_to_one_declaration() -> None:
    one = scaled_by(0.3)
    lower(one)(lambda code, instr: ["this is no Python"])
    assert check_jit(over_steps(scaled_by(0.2)), *given())


def test_the_name_of_another_s_op_is_taken() -> None:
    def exp(x):
        return x

    with pytest.raises(ValueError, match=r"'exp' exists already, in tinygrad_rnn.ops"):
        pointwise(exp)
