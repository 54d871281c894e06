"""One row an op: what it is compared with, where it is defined, which shapes it meets.

A row becomes one case for each way its family of ops meets an array: 0-d, empty,
size-1 broadcast on either side, rank broadcast, negative axes, keepdims, strided,
reversed and transposed inputs. No two cases differ only in a number.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from tinygrad_rnn import ops
from tinygrad_rnn.op import OPS
from tinygrad_rnn.ops.pick import position
from tinygrad_rnn.ops.random import Generator

LAYOUTS = ("plain", "strided", "reversed", "transposed")


class Case(NamedTuple):
    """A call of one op on given inputs, and NumPy's answer."""

    id: str
    op: str  # name in OPS, or of a function made of ops
    call: Callable[..., Any]  # on arrays or Tensors alike
    reference: Callable[..., Any]
    inputs: list[np.ndarray]
    differentiable: bool = True
    attrs: dict[str, Any] | None = None  # given where `op` is in OPS and takes `inputs` as they are


def rng_of(text: str) -> np.random.Generator:
    """Random numbers that depend on the case's name only."""
    return np.random.default_rng(zlib.crc32(text.encode()))


def draw(rng: np.random.Generator, shape: tuple[int, ...], domain: str) -> np.ndarray:
    """Values in an op's domain, away from kinks and poles."""
    x = rng.uniform(0.2, 1.8, shape)
    sign = rng.choice([-1.0, 1.0], shape)
    if domain == "real":
        return np.asarray(x * sign)
    if domain == "positive":
        return np.asarray(x)
    if domain == "unit":
        return np.asarray(x * sign / 2)
    if domain == "share":
        return np.asarray(x / 2)
    if domain == "above 1":
        return np.asarray(x + 1)
    if domain == "bool":
        return np.asarray(sign > 0)
    if domain == "whole":
        return np.asarray(rng.integers(-2, 3, shape))
    raise ValueError(domain)


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """The same values at other places in memory."""
    if layout == "strided" and x.ndim:
        wide = np.repeat(x, 2, axis=-1)
        return wide[..., ::2]
    if layout == "reversed" and x.ndim:
        return x[::-1].copy()[::-1]
    if layout == "transposed":
        return np.asfortranarray(x)
    return x


def case(name, call, reference, shapes, domains, tag, layout="plain", **extra) -> Case:
    """Make a case; one domain may serve all inputs."""
    domains = [domains] * len(shapes) if isinstance(domains, str) else domains
    identity = f"{name}-{tag}" + ("" if layout == "plain" else f"-{layout}")
    rng = rng_of(identity)
    pairs = zip(shapes, domains, strict=True)
    inputs = [laid_out(draw(rng, s, d), layout) for s, d in pairs]
    return Case(identity, name, call, reference, inputs, **extra)


UNARY = {
    "neg": (np.negative, "real"),
    "clone": (np.copy, "real"),
    "abs": (np.abs, "real"),
    "exp": (np.exp, "real"),
    "log": (np.log, "positive"),
    "log1p": (np.log1p, "positive"),
    "expm1": (np.expm1, "real"),
    "sqrt": (np.sqrt, "positive"),
    "square": (np.square, "real"),
    "sin": (np.sin, "real"),
    "cos": (np.cos, "real"),
    "tan": (np.tan, "unit"),
    "asin": (np.arcsin, "unit"),
    "acos": (np.arccos, "unit"),
    "atan": (np.arctan, "real"),
    "sinh": (np.sinh, "real"),
    "cosh": (np.cosh, "real"),
    "asinh": (np.arcsinh, "real"),
    "acosh": (np.arccosh, "above 1"),
    "atanh": (np.arctanh, "unit"),
    "log2": (np.log2, "positive"),
    "log10": (np.log10, "positive"),
    "floor": (np.floor, "real"),
    "ceil": (np.ceil, "real"),
    "trunc": (np.trunc, "real"),
    "round": (np.round, "real"),
    "sign": (np.sign, "real"),
    "tanh": (np.tanh, "real"),
    "sigmoid": (scipy.special.expit, "real"),
    "relu": (lambda x: np.where(x > 0, x, 0), "real"),
    "softplus": (lambda x: np.logaddexp(x, 0), "real"),
    "silu": (lambda x: x * scipy.special.expit(x), "real"),
    "erf": (scipy.special.erf, "real"),
    "gelu": (lambda x: x * scipy.special.ndtr(x), "real"),
}
BINARY = {
    "add": (np.add, "real"),
    "sub": (np.subtract, "real"),
    "mul": (np.multiply, "real"),
    "div": (np.divide, "real"),
    "pow": (np.power, "positive"),
    "maximum": (np.maximum, "real"),
    "minimum": (np.minimum, "real"),
    "atan2": (np.arctan2, "real"),
    "hypot": (np.hypot, "real"),
    "logaddexp": (np.logaddexp, "real"),
    "floor_divide": (np.floor_divide, "real"),
    "remainder": (np.remainder, "real"),
    "copysign": (np.copysign, "real"),
}
COMPARISONS = {
    "eq": (np.equal, "real"),
    "ne": (np.not_equal, "real"),
    "lt": (np.less, "real"),
    "le": (np.less_equal, "real"),
    "gt": (np.greater, "real"),
    "ge": (np.greater_equal, "real"),
    "logical_and": (np.logical_and, "whole"),
    "logical_or": (np.logical_or, "whole"),
    "logical_xor": (np.logical_xor, "whole"),
    "bitwise_and": (np.bitwise_and, "whole"),
    "bitwise_or": (np.bitwise_or, "bool"),
    "bitwise_xor": (np.bitwise_xor, "whole"),
}
PAIRS = {
    "scalars": ((), ()),
    "same": ((2, 3), (2, 3)),
    "ones-on-both": ((1, 3), (2, 1)),
    "rank-right": ((2, 3), (3,)),
    "rank-left": ((3,), (2, 3)),
    "scalar-left": ((), (2, 3)),
    "empty": ((0, 3), (1, 3)),
}


def pointwise_cases() -> Iterator[Case]:
    """Elementwise ops."""
    for name, (reference, domain) in UNARY.items():
        op = OPS[name]
        for tag, shape in {"scalar": (), "empty": (2, 0), "matrix": (2, 3)}.items():
            yield case(name, op, reference, [shape], domain, tag, attrs={})
        for layout in LAYOUTS[1:]:
            yield case(name, op, reference, [(3, 2)], domain, "matrix", layout, attrs={})
    for table, differentiable in ((BINARY, True), (COMPARISONS, False)):
        for name, (reference, domain) in table.items():
            rest = {"differentiable": differentiable, "attrs": {}}
            for tag, shapes in PAIRS.items():
                yield case(name, OPS[name], reference, shapes, domain, tag, **rest)
            for layout in LAYOUTS[1:]:
                shapes = ((3, 2), (3, 2))
                yield case(name, OPS[name], reference, shapes, domain, "same", layout, **rest)
    for tag, shapes in PAIRS.items():
        yield case("bernoulli_nll", OPS["bernoulli_nll"],
                   lambda x, t: -t * np.log(x) - (1 - t) * np.log1p(-x), shapes, "share", tag,
                   attrs={})  # fmt: skip
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -1.5])
    for name in ("isnan", "isinf", "isfinite"):
        yield Case(f"{name}-special", name, OPS[name], getattr(np, name), [special], False, {})
    for tag, options in {"plain": {}, "given": {"nan": 1.0, "posinf": 2.0, "neginf": -3.0}}.items():
        yield Case(f"nan_to_num-special-{tag}", "nan_to_num", with_options(ops.nan_to_num, **options),
                   with_options(np.nan_to_num, **options), [special], False)  # fmt: skip
        yield case(
            "nan_to_num", with_options(ops.nan_to_num, **options), np.copy, [(2, 3)], "real", tag
        )
    kinds = ["bool", "real", "real"]
    for tag, shapes in {
        "same": ((2, 3),) * 3,
        "broadcast": ((3,), (2, 1), ()),
        "empty": ((0,), (0,), (1,)),
    }.items():
        yield case("where", ops.where, np.where, shapes, kinds, tag, attrs={})
    for tag, shape in {"matrix": (3, 4), "scalar": (), "empty": (0,)}.items():
        call, reference = (
            with_options(ops.clip, min=-0.9, max=0.8),
            with_options(np.clip, a_min=-0.9, a_max=0.8),
        )
        yield case("clip", call, reference, [shape], "real", tag)
    for name in ("clip_gradient_value", "clip_gradient_norm"):  # what they clip: test_clipping.py
        for tag, shape in {"matrix": (3, 4), "cube": (2, 3, 4), "empty": (0, 3)}.items():
            yield case(name, lambda x, op=OPS[name]: op(x, 1e9), np.copy, [shape], "real", tag)
    for name, reference, domain in (
        ("logical_not", np.logical_not, "whole"),
        ("invert_bits", np.invert, "whole"),
        ("bitwise_invert", np.invert, "bool"),
    ):
        rest = {"differentiable": False, "attrs": {} if name in OPS else None}
        call = OPS.get(name) or getattr(ops, name)
        yield case(name, call, reference, [(2, 3)], domain, "matrix", **rest)
    yield case("detach", OPS["detach"], lambda x: x, [(2, 3)], "real", "same",
               differentiable=False, attrs={})  # fmt: skip
    yield case("astype", with_options(ops.astype, dtype=np.dtype("float64")), lambda x: x, [(2, 3)],
               "real", "same", attrs={"dtype": np.dtype("float64")})  # fmt: skip


def with_options(function: Callable[..., Any], *before: Any, **attrs: Any) -> Callable[..., Any]:
    def call(*inputs: Any) -> Any:
        return function(*inputs, *before, **attrs)

    return call


REDUCTIONS = {
    "sum": (ops.sum, np.sum),
    "max": (ops.max, np.max),
    "min": (ops.min, np.min),
    "logsumexp": (ops.logsumexp, scipy.special.logsumexp),
    "norm": (ops.norm, lambda x, axis=None, keepdims=False: np.sqrt(
        np.sum(x * x, axis=axis, keepdims=keepdims))),
    "prod": (ops.prod, np.prod),
    "mean": (ops.mean, np.mean),
    "var": (ops.var, np.var),
    "std": (ops.std, np.std),
}  # fmt: skip
OVER = {
    "all": ((2, 3), {"axis": None, "keepdims": False}),
    "first": ((2, 3), {"axis": 0, "keepdims": False}),
    "negative": ((2, 3, 2), {"axis": -2, "keepdims": False}),
    "tuple-kept": ((2, 3, 2), {"axis": (0, -1), "keepdims": True}),
    "size-one": ((1, 3), {"axis": 0, "keepdims": True}),
    "empty-kept": ((0, 3), {"axis": 1, "keepdims": False}),
    "scalar": ((), {"axis": None, "keepdims": False}),
}


def reduce_cases() -> Iterator[Case]:
    """Reductions and their like."""
    for name, (op, reference) in REDUCTIONS.items():
        for tag, (shape, attrs) in OVER.items():
            if name in ("std",) and tag in ("size-one", "scalar"):
                continue  # the deviation of one value is 0, where the root has no derivative
            known = attrs if name in OPS else None
            yield case(name, with_options(op, **attrs), with_options(reference, **attrs), [shape], "real", tag,
                       attrs=known)  # fmt: skip
        for layout in LAYOUTS[1:]:
            attrs = {"axis": 1, "keepdims": False}
            known = attrs if name in OPS else None
            yield case(name, with_options(op, **attrs), with_options(reference, **attrs), [(3, 4)], "real",
                       "last", layout, attrs=known)  # fmt: skip
    for axis, shape, tag in ((0, (3, 2), "first"), (-1, (2, 3), "last"), (1, (2, 0, 3), "empty")):
        yield case("cumsum", with_options(ops.cumsum, axis=axis), with_options(np.cumsum, axis=axis), [shape],
                   "real", tag, attrs={"axis": axis})  # fmt: skip
        yield case("cumprod", with_options(ops.cumprod, axis=axis), with_options(np.cumprod, axis=axis), [shape],
                   "real", tag)  # fmt: skip
        for name in ("softmax", "log_softmax"):
            reference = getattr(scipy.special, name)
            if 0 in shape:
                reference = np.copy
            yield case(name, with_options(OPS[name], axis=axis), reference if 0 in shape else
                       with_options(reference, axis=axis), [shape], "real", tag,
                       attrs={"axis": axis})  # fmt: skip
    for layout in LAYOUTS:
        yield case("normalize", with_options(ops.normalize, eps=1e-3), _normalized, [(3, 4)], "real",
                   "rows", layout, attrs={"eps": 1e-3})  # fmt: skip
    yield case("normalize", with_options(ops.normalize, eps=1e-3), _normalized, [(2, 0, 4)], "real",
               "empty", attrs={"eps": 1e-3})  # fmt: skip
    for tag, shape in {"rows": (3, 4), "batched": (2, 3, 4), "empty": (0, 4)}.items():
        target = rng_of(tag).integers(0, 4, shape[:-1])
        yield case("softmax_cross_entropy", with_options(ops.softmax_cross_entropy, target),
                   with_options(_cross_entropy, target), [shape], "real", tag)  # fmt: skip


def ctc_cases() -> Iterator[Case]:
    """A label 1 in two steps of two classes: three paths. Gradients: tests/test_ctc.py."""
    rest = [np.array([[1]]), np.array([2]), np.array([1])]
    for name, reference in {"ctc_nll": _one_label, "ctc_occupancy": _one_label_shares}.items():
        attrs = {"blank": 0, "zero_infinity": False}
        x = draw(rng_of(name), (2, 1, 2), "real")
        yield Case(f"{name}-one", name, with_options(OPS[name], **attrs), reference, [x, *rest],
                   False, attrs)  # fmt: skip


def _paths(x: np.ndarray) -> list[float]:
    return [np.exp(x[0, 0, a] + x[1, 0, b]) for a, b in ((1, 0), (1, 1), (0, 1))]


def _one_label(x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    return np.array([-np.log(sum(_paths(x)))])


def _one_label_shares(x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    p = np.array(_paths(x)) / sum(_paths(x))
    return np.array([[[p[2], p[0] + p[1]]], [[p[0], p[1] + p[2]]]])


def search_cases() -> Iterator[Case]:
    """Places, order and truth along an axis."""
    for name in ("any", "all", "argmax", "argmin"):
        for tag, (shape, attrs) in OVER.items():
            if tag == "tuple-kept" and name.startswith("arg"):
                continue
            if name.startswith("arg") and "empty" in tag:
                continue
            yield case(name, with_options(OPS[name], **attrs), with_options(getattr(np, name), **attrs), [shape],
                       "whole", tag, differentiable=False, attrs=attrs)  # fmt: skip
    for descending in (False, True):
        for tag, shape, axis in (("last", (3, 4), -1), ("first", (4, 2), 0), ("empty", (0, 2), 0)):
            how = {"axis": axis, "descending": descending}
            tag = f"{tag}-{'down' if descending else 'up'}"
            yield case("argsort", with_options(ops.argsort, **how), with_options(_argsort, **how), [shape],
                       "whole", tag, differentiable=False, attrs=how)  # fmt: skip
            yield case(
                "sort",
                with_options(ops.sort, **how),
                with_options(_sort, **how),
                [shape],
                "real",
                tag,
            )
            if 0 not in shape:
                yield case("topk", _top(2, axis, descending), _top_by_sorting(2, axis, descending),
                           [shape], "real", tag)  # fmt: skip


def _argsort(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    return np.argsort(-x if descending else x, axis=axis, kind="stable")


def _sort(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    y = np.sort(x, axis=axis)
    return np.flip(y, axis) if descending else y


def _top(k: int, axis: int, largest: bool) -> Callable[..., Any]:
    return lambda x: ops.topk(x, k, axis=axis, largest=largest)[0]


def _top_by_sorting(k: int, axis: int, largest: bool) -> Callable[..., Any]:
    return lambda x: np.take(_sort(x, axis, largest), range(k), axis=axis)


def _normalized(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)


def _cross_entropy(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    picked = np.take_along_axis(scipy.special.log_softmax(x, -1), target[..., None], -1)
    return -picked[..., 0]


def shape_cases() -> Iterator[Case]:
    """Ops on the shape."""
    rows = [
        ("reshape", "flat", ops.reshape, np.reshape, (2, 3), {"shape": (-1,)}),
        ("reshape", "split", ops.reshape, np.reshape, (4, 3), {"shape": (2, 2, -1)}),
        ("reshape", "scalar", ops.reshape, np.reshape, (), {"shape": (1, 1)}),
        ("reshape", "empty", ops.reshape, np.reshape, (0, 3), {"shape": (3, 0)}),
        ("permute_dims", "cycle", ops.permute_dims, np.transpose, (2, 3, 4), {"axes": (2, 0, 1)}),
        ("permute_dims", "negative", ops.permute_dims, np.transpose, (2, 3), {"axes": (-1, 0)}),
        ("broadcast_to", "new-axis", ops.broadcast_to, np.broadcast_to, (3,), {"shape": (2, 3)}),
        ("broadcast_to", "size-one", ops.broadcast_to, np.broadcast_to, (2, 1), {"shape": (2, 3)}),
        ("broadcast_to", "scalar", ops.broadcast_to, np.broadcast_to, (), {"shape": (2, 0)}),
        ("flip", "first", ops.flip, np.flip, (3, 2), {"axis": 0}),
        ("flip", "negative", ops.flip, np.flip, (3, 2), {"axis": -1}),
    ]
    for name, tag, op, reference, shape, attrs in rows:
        for layout in LAYOUTS[: 2 if tag == "flat" else 1]:
            values = list(attrs.values())
            yield case(name, with_options(op, **attrs), with_options(reference, *values), [shape], "real", tag,
                       layout, attrs=attrs)  # fmt: skip
    for tag, shape, target in (
        ("lead", (2, 3, 4), (4,)),
        ("ones", (2, 3), (1, 3)),
        ("both", (2, 3, 4), (3, 1)),
        ("scalar", (2, 3), ()),
    ):
        yield case("sum_to", with_options(ops.sum_to, shape=target), with_options(_summed_to, target), [shape],
                   "real", tag, attrs={"shape": target})  # fmt: skip
    for tag, shapes, axis in (
        ("first", [(2, 3), (1, 3)], 0),
        ("negative", [(2, 1), (2, 3), (2, 2)], -1),
        ("empty", [(0, 3), (2, 3)], 0),
        ("one", [(2, 3)], 1),
    ):
        yield case("concat", lambda *x, a=axis: ops.concat(x, axis=a),
                   lambda *x, a=axis: np.concatenate(x, a), shapes, "real", tag,
                   attrs={"axis": axis})  # fmt: skip
    for tag, shape, axis in (("first", (2, 3), 0), ("negative", (2, 3), -1), ("scalars", (), 0)):
        yield case("stack", lambda *x, a=axis: ops.stack(x, axis=a),
                   lambda *x, a=axis: np.stack(x, a), [shape, shape, shape], "real", tag,
                   attrs={"axis": axis})  # fmt: skip
    yield case("swapaxes", with_options(ops.swapaxes, 0, -1), with_options(np.swapaxes, 0, -1), [(2, 3, 4)],
               "real", "ends")  # fmt: skip
    yield case("squeeze", with_options(ops.squeeze), np.squeeze, [(1, 3, 1)], "real", "all")
    yield case(
        "squeeze",
        with_options(ops.squeeze, -1),
        with_options(np.squeeze, -1),
        [(1, 3, 1)],
        "real",
        "one",
    )
    for axis in (0, -1):
        yield case("expand_dims", with_options(ops.expand_dims, axis), with_options(np.expand_dims, axis),
                   [(2, 3)], "real", str(axis))  # fmt: skip
    yield case("split", _joined(ops.split, [1, 0, 2], 1), np.square, [(2, 3)], "real", "sizes")
    yield case("split", _joined(ops.split, 2, -1), np.square, [(2, 5)], "real", "even")
    yield case("chunk", _joined(ops.chunk, 3, 1), np.square, [(2, 6)], "real", "even")
    yield case("chunk", _joined(ops.chunk, 2, -1), np.square, [(2, 5)], "real", "ragged")
    yield case("unstack", lambda x: ops.stack([a * a for a in ops.unstack(x, 1)], axis=1),
               np.square, [(2, 3)], "real", "middle")  # fmt: skip


def _joined(cut: Callable[..., Any], how: Any, axis: int) -> Callable[..., Any]:
    return lambda x: ops.concat([piece * piece for piece in cut(x, how, axis)], axis=axis)


def _summed_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    lead = x.ndim - len(shape)
    y = x.sum(tuple(range(lead)))
    return y.sum(tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True) if shape else y


def arrange_cases() -> Iterator[Case]:
    """Rearrangements, made of other ops."""
    rows: list[tuple[Any, ...]] = [
        ("moveaxis", np.moveaxis, (2, 3, 4), {"source": 0, "destination": -1}),
        ("moveaxis", np.moveaxis, (2, 3, 4), {"source": (0, 2), "destination": (1, 0)}),
        ("repeat", np.repeat, (2, 3), {"repeats": 2, "axis": 1}),
        ("repeat", np.repeat, (2, 3), {"repeats": 2, "axis": None}),
        ("repeat", np.repeat, (2, 3), {"repeats": [0, 2], "axis": 0}),
        ("roll", np.roll, (2, 3), {"shift": 2, "axis": -1}),
        ("roll", np.roll, (2, 3), {"shift": -4, "axis": None}),
        ("roll", np.roll, (2, 3), {"shift": (1, 1), "axis": (0, 1)}),
        ("roll", np.roll, (0, 3), {"shift": 1, "axis": 0}),
        ("tril", np.tril, (3, 4), {"k": 1}),
        ("tril", np.tril, (2, 3, 2), {"k": 0}),
        ("triu", np.triu, (3, 4), {"k": -1}),
        ("triu", np.triu, (4, 3), {"k": 5}),
        ("diagonal", np.diagonal, (3, 4), {"offset": 0}),
        ("diagonal", np.diagonal, (4, 3), {"offset": -2}),
        ("diagonal", np.diagonal, (3, 4), {"offset": 5}),
        ("diagonal", np.diagonal, (2, 3, 2), {"offset": 1, "axis1": 2, "axis2": 0}),
        ("trace", np.trace, (3, 3, 2), {"offset": -1}),
    ]
    for k, (name, reference, shape, how) in enumerate(rows):
        function = getattr(ops, name)
        yield case(
            name,
            with_options(function, **how),
            with_options(reference, **how),
            [shape],
            "real",
            str(k),
        )
    for k, (shape, times) in enumerate((((2, 3), (2, 1)), ((3,), (2, 2)), ((2, 3), 2), ((), 3))):
        yield case(
            "tile",
            with_options(ops.tile, times),
            with_options(np.tile, times),
            [shape],
            "real",
            str(k),
        )
    for k, width in enumerate((1, (0, 2), ((1, 0), (2, 1)))):
        for value in (0.0, 1.5):
            yield case("pad", with_options(ops.pad, width, value), with_options(np.pad, width, "constant",
                       constant_values=value), [(2, 3)], "real", f"{k}-{value}")  # fmt: skip
    for text, shapes in {
        "ij,jk->ik": ((2, 3), (3, 4)),
        "ij,jk": ((2, 3), (3, 4)),
        "bij,bjk->bki": ((2, 2, 3), (2, 3, 2)),
        "ij->ji": ((2, 3),),
        "ij->": ((2, 3),),
        "ii->i": ((3, 3),),
        "ii": ((3, 3),),
        "i,j,ij->": ((2,), (3,), (2, 3)),
        "ij,kj,jl->ikl": ((2, 3), (2, 3), (3, 2)),
        "...ij,jk->...ik": ((2, 2, 3), (3, 2)),
        "i...,i...->...": ((2, 3), (2, 3)),
        "ba, b": ((2, 3), (2,)),
        "ij,ij->ij": ((2, 3), (2, 3)),
        ",i->i": ((), (3,)),
        "ij,k->j": ((2, 3), (2,)),
    }.items():
        yield case("einsum", lambda *x, t=text: ops.einsum(t, *x),
                   lambda *x, t=text: np.einsum(t, *x), shapes, "real", text)  # fmt: skip
    for k, (a, b, axes) in enumerate(
        (
            ((2, 3), (3, 4), 1),
            ((2, 3, 4), (4, 3), ((1, 2), (1, 0))),
            ((2,), (3,), 0),
            ((2, 3), (2, 3), 2),
        )
    ):
        yield case("tensordot", with_options(ops.tensordot, axes), with_options(np.tensordot, axes), [a, b],
                   "real", str(k))  # fmt: skip
    yield case("vecdot", ops.vecdot, lambda a, b: (a * b).sum(-1), [(2, 3), (3,)], "real", "rows")
    yield case("vecdot", with_options(ops.vecdot, axis=0), lambda a, b: (a * b).sum(0), [(2, 3), (2, 3)],
               "real", "columns")  # fmt: skip
    yield case("matrix_transpose", ops.matrix_transpose, lambda x: np.swapaxes(x, -1, -2),
               [(2, 3, 4)], "real", "batch")  # fmt: skip
    yield case("cumulative_sum", ops.cumulative_sum, np.cumsum, [(4,)], "real", "vector")
    yield case("cumulative_prod", ops.cumulative_prod, np.cumprod, [(4,)], "real", "vector")


def linalg_cases() -> Iterator[Case]:
    """Matrix products."""
    for tag, shapes in {
        "vectors": ((3,), (3,)),
        "vector-matrix": ((3,), (3, 2)),
        "matrix-vector": ((2, 3), (3,)),
        "matrices": ((2, 3), (3, 4)),
        "batched": ((2, 2, 3), (2, 3, 2)),
        "batch-broadcast": ((2, 1, 2, 3), (3, 3, 2)),
        "shared-right": ((2, 2, 3), (3, 2)),
        "shared-left": ((2, 3), (2, 3, 2)),
        "vector-batched": ((3,), (2, 3, 2)),
        "batched-vector": ((2, 2, 3), (3,)),
        "empty-inner": ((2, 0), (0, 3)),
        "no-rows": ((0, 3), (3, 2)),
        "empty-series": ((2, 0, 3), (3, 2)),
        "empty-inner-series": ((2, 3, 0), (0, 2)),
    }.items():
        yield case("matmul", ops.matmul, np.matmul, shapes, "real", tag, attrs={})
    for layout in LAYOUTS[1:]:
        shapes = ((3, 2), (2, 4))
        yield case("matmul", ops.matmul, np.matmul, shapes, "real", "matrices", layout, attrs={})
    for tag, shape in {
        "rows": (2, 3),
        "series": (2, 2, 3),
        "vector": (3,),
        "empty": (0, 3),
        "empty-series": (2, 0, 3),
    }.items():
        yield case("linear", ops.linear, lambda x, W, b: x @ W.T + b, [shape, (4, 3), (4,)], "real",
                   tag, attrs={})  # fmt: skip
    yield case("linear", lambda x, W: ops.linear(x, W, 0), lambda x, W: x @ W.T, [(2, 3), (4, 3)],
               "real", "no-bias")  # fmt: skip
    yield case("sum_of_products", ops.sum_of_products, lambda a, b, c, d: a.T @ b + c.T @ d,
               [(2, 3), (2, 4), (1, 3), (1, 4)], "real", "two", attrs={})  # fmt: skip
    yield case("sum_of_products", ops.sum_of_products, lambda a, b: a.T @ b, [(2, 3), (2, 4)],
               "real", "one", attrs={})  # fmt: skip
    yield case("sum_of_rows", ops.linalg.sum_of_rows, lambda a, b: a.sum(0) + b.sum(0),
               [(2, 3), (1, 3)], "real", "two", attrs={})  # fmt: skip
    yield case("outer", ops.outer, np.outer, [(3,), (2,)], "real", "vectors")


def index_cases() -> Iterator[Case]:
    """Indexing, basic and advanced, and look-ups."""
    basic = {
        "number": (1,),
        "negative": (-1,),
        "slice": (slice(0, 2),),
        "stride": (slice(None), slice(None, None, 2)),
        "reversed": (slice(None, None, -1), slice(3, 0, -2)),
        "new-axis": (None, Ellipsis, 0),
        "empty": (slice(2, 2),),
        "scalar": (1, 2),
        "nothing": (),
    }
    for tag, key in basic.items():
        yield case("index", lambda x, k=key: x[k], lambda x, k=key: x[k], [(3, 4)], "real", tag)
        yield case("index", with_options(ops.index, key=key), lambda x, k=key: np.asarray(x[k]), [(3, 4)],
                   "real", f"op-{tag}", attrs={"key": key})  # fmt: skip
    advanced = {
        "rows": (np.array([0, 2, 2]),),
        "negative": (np.array([-1, 0]),),
        "mask": (np.array([True, False, True]),),
        "pairs": (np.array([0, 1, 0]), np.array([2, 3, 2])),
        "mixed": (slice(None), np.array([[0, 1], [1, 1]])),
        "mask-2d": (np.eye(3, 4, dtype=bool),),
        "nobody": (np.array([], int),),
    }
    for tag, key in advanced.items():
        yield case("gather", with_options(ops.gather, key=key), lambda x, k=key: x[k], [(3, 4)], "real",
                   tag, attrs={"key": key})  # fmt: skip
        shape = np.zeros((3, 4))[key].shape
        yield case("put_gathered", with_options(OPS["put_gathered"], key=key, shape=(3, 4)),
                   with_options(_put, key), [shape], "real", tag,
                   attrs={"key": key, "shape": (3, 4)})  # fmt: skip
    keys = ((0,), (slice(None), slice(1, 3)))
    yield case("put_slices", with_options(OPS["put_slices"], keys=keys, shape=(3, 4)),
               lambda a, b: _put(a, keys[0]) + _put(b, keys[1]), [(4,), (3, 2)], "real", "two",
               attrs={"keys": keys, "shape": (3, 4)})  # fmt: skip
    for tag, indices, axis in (
        ("repeated", np.array([[0, 2], [2, 2]]), 0),
        ("negative", np.array([-1, 1]), -1),
        ("middle", np.array([1, 0, 1]), 1),
        ("one", np.array(1), 0),
        ("nobody", np.zeros((0,), int), 0),
    ):
        x = np.zeros((3, 2, 3))
        attrs = {"axis": axis, "shape": x.shape}
        yield case("take", with_options(ops.take, indices, axis=axis),
                   lambda x, i=indices, a=axis: np.take(x, i, axis=a), [x.shape], "real",
                   tag)  # fmt: skip
        key = (slice(None),) * (axis % 3) + (indices,)
        yield case("put_taken", with_options(OPS["put_taken"], indices, **attrs),
                   lambda x, k=key: _put(x, k, (3, 2, 3)), [np.take(x, indices, axis=axis).shape],
                   "real", tag)  # fmt: skip
    pairs = [np.array([[0], [-1]]), np.array([2, 0, -4])]
    yield Case("position-pairs", "position", with_options(position, sizes=(3, 4)),
               lambda i, j: np.ravel_multi_index((i % 3, j % 4), (3, 4)), pairs, False,
               {"sizes": (3, 4)})  # fmt: skip
    for tag, indices, axis in (
        ("last", np.array([[0, 3], [1, 1], [2, 0]]), -1),
        ("first", np.array([[0, 1, 2, 2]]), 0),
    ):
        attrs = {"axis": axis, "shape": (3, 4)}
        yield case("take_along_axis", with_options(ops.take_along_axis, indices, axis=axis),
                   lambda x, i=indices, a=axis: np.take_along_axis(x, i, a), [(3, 4)], "real",
                   tag)  # fmt: skip
        yield case("put_along_axis", with_options(OPS["put_along_axis"], indices, **attrs),
                   lambda x, i=indices, a=axis: _put_along(x, i, a), [indices.shape], "real",
                   tag)  # fmt: skip
    ids = np.array([[0, 2], [2, 1]])
    yield case("embedding", lambda W: ops.embedding(ids, W), lambda W: W[ids], [(3, 4)], "real",
               "repeated")  # fmt: skip
    yield Case("one_hot-matrix", "one_hot", with_options(ops.one_hot, num_classes=3, dtype=np.float64),
               lambda x: np.eye(3)[x], [ids], False,
               {"num_classes": 3, "dtype": np.float64})  # fmt: skip


def _put(x: np.ndarray, key: Any, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
    y = np.zeros(shape)
    np.add.at(y, key, x)
    return y


def _put_along(x: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    y = np.zeros((3, 4))
    for place in np.ndindex(indices.shape):
        target = list(place)
        target[axis] = indices[place]
        y[tuple(target)] += x[place]
    return y


def random_cases() -> Iterator[Case]:
    """Random ops: given the draw's number they are plain functions."""
    key = np.array([7, 3], np.uint64)
    keep = Generator(7)
    keep.counter = 3
    kept = keep.uniform((3, 4)) >= 0.4
    yield case("drop", with_options(ops.random.drop, key, p=0.4), lambda x: np.where(kept, x / 0.6, 0),
               [(3, 4)], "real", "matrix")  # fmt: skip
    yield case("drop", with_options(ops.random.drop, key, p=0.4), np.copy, [(0,)], "real", "empty")
    for name in ("uniform", "normal"):
        attrs = {"shape": (2, 3), "dtype": np.float64}
        state = Generator(7)
        state.counter = 3
        wanted = getattr(state, name)((2, 3), np.float64)
        yield Case(f"{name}-matrix", name, with_options(OPS[name], **attrs), lambda k, w=wanted: w,
                   [key], False, attrs)  # fmt: skip
    lengths = {"name": "LSTM", "steps": 5}
    yield Case("lengths_within-vector", "lengths_within", with_options(OPS["lengths_within"], **lengths),
               np.copy, [np.array([5, 1, 3])], False, lengths)  # fmt: skip
    weights, attrs = np.array([[0.0, 1, 0], [0, 0, 2]]), {"num_samples": 2, "replacement": True}
    yield Case("sample-certain", "sample", lambda p: OPS["sample"](p, key, **attrs),
               lambda p: [[1, 1], [2, 2]], [weights], False)  # fmt: skip
    yield Case("draw-next", "draw", lambda: OPS["draw"](generator=Generator(5)),
               lambda: np.array([5, 0]), [], False, {"generator": Generator(5)})  # fmt: skip


CASES = [
    *pointwise_cases(),
    *reduce_cases(),
    *ctc_cases(),
    *search_cases(),
    *arrange_cases(),
    *shape_cases(),
    *linalg_cases(),
    *index_cases(),
    *random_cases(),
]
