"""PyTorch's functions by ours, for its own samples of them: which is which, how options map.

A function here takes what PyTorch's takes, as our tensors, and calls ours; an option that ours
does not have raises NotOffered with the reason.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn

Ours = Callable[..., Any]


class NotOffered(Exception):
    """What PyTorch's function can and ours is not meant to."""


def refuse(reason: str, unless: bool = False) -> None:
    """Raise NotOffered, unless it does not matter here."""
    if not unless:
        raise NotOffered(reason)


def plain(function: Ours, **names: str) -> Ours:
    """The same arguments; keywords under other names."""

    def call(*args: Any, **options: Any) -> Any:
        refuse("dtype= in one call with another op", options.pop("dtype", None) is None)
        refuse("out=, where= or memory formats", not {"out", "memory_format"} & options.keys())
        return function(*args, **{names.get(k, k): v for k, v in options.items()})

    return call


def axes(dim: Any) -> Any:
    """dim as axis; PyTorch's empty list means all axes."""
    if isinstance(dim, list | tuple | torch.Size):
        return tuple(dim) or None
    return dim


def reduction(function: Ours) -> Ours:
    """dim, keepdim and what else there is."""

    def call(x: Any, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        dtype = options.pop("dtype", None)
        x = x if dtype is None else x.astype(DTYPES[dtype])
        return function(x, axis=axes(dim), keepdims=keepdim, **options)

    return call


def pair_of(values: Ours, places: Ours) -> Ours:
    """A reduction that gives values and places: one axis, and all of it without."""

    def call(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        refuse("an empty tensor has no largest value", x.size > 0)
        if dim is None:
            return values(x)
        refuse("a single value has no axes", x.ndim > 0)
        # of equal values PyTorch's value and gradient are one place's, ours are shared
        i = places(x, axis=dim, keepdims=True)
        y = tg.take_along_axis(x, i, axis=dim)
        return (y, i) if keepdim else (tg.squeeze(y, axis=dim), tg.squeeze(i, axis=dim))

    return call


def scaled(function: Ours) -> Ours:
    """a + alpha * b."""
    return lambda a, b, alpha=1: function(a, b if alpha == 1 else b * alpha)


def variance(function: Ours) -> Ours:
    """PyTorch's default correction is 1, ours is 0."""

    def call(x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False,
             correction: Any = None) -> Any:  # fmt: skip
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        n = 1.0 * unbiased if correction is None else float(correction)
        return function(x, axis=axes(dim), keepdims=keepdim, correction=n)

    return call


def div(a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    """With a rounding of the quotient, too."""
    if rounding_mode == "floor":
        return tg.floor_divide(a, b)
    return tg.trunc(tg.divide(a, b)) if rounding_mode else tg.divide(a, b)


def round_to(x: Any, decimals: int = 0) -> Any:
    """To so many decimals."""
    refuse("round to decimals", decimals == 0)
    return tg.round(x)


def sorted_by(x: Any, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Values and places."""
    refuse("a single value has no axes", x.ndim > 0)
    return tg.sort(x, dim, descending), tg.argsort(x, dim, descending)


def topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """Values and places."""
    refuse("a single value has no axes", x.ndim > 0)
    return tg.topk(x, k, axis=dim, largest=largest)


def split(x: Any, sizes: Any, dim: int = 0) -> Any:
    """Into pieces of a size or of sizes."""
    return tg.split(x, list(sizes) if isinstance(sizes, list | tuple) else sizes, axis=dim)


def where(x: Any, condition: Any, other: Any) -> Any:
    """OpInfo's first input is x."""
    return tg.where(condition, x, other)


def take_along(x: Any, indices: Any, dim: int | None = None) -> Any:
    """Of the flattened array without an axis."""
    if dim is None:
        return tg.take_along_axis(x.flatten(), indices.flatten(), axis=0)
    refuse("indices that broadcast", indices.ndim == x.ndim and all(
        n == m for k, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True))
        if k != dim % x.ndim))  # fmt: skip
    return tg.take_along_axis(x, indices, axis=dim)


def diff(x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The order of the options."""
    refuse("a single value has no axes", x.ndim > 0)
    return tg.diff(x, axis=dim, n=n, prepend=prepend, append=append)


def repeat_interleave(x: Any, repeats: Any, dim: int | None = None, output_size: Any = None) -> Any:
    """Each value so many times."""
    repeats = repeats.numpy() if isinstance(repeats, tg.Tensor) else repeats
    refuse("a single value has no axes", x.ndim > 0 or dim is None)
    return tg.repeat(x, repeats, axis=dim)


def loss(function: Ours, **defaults: Any) -> Ours:
    """A loss with its reduction; options that ours does not have are refused."""

    def call(x: Any, target: Any, *rest: Any, reduction: str = "mean", **options: Any) -> Any:
        refuse("weights by place in the argument list", not rest)
        left = {k: v for k, v in options.items() if k not in ("size_average", "reduce")}
        return function(x, target, reduction=reduction, **left)

    return call


def searchsorted(x: Any, values: Any, right: bool = False, side: str = "", sorter: Any = None,
                 out_int32: bool = False) -> Any:  # fmt: skip
    """Numbers in order along one axis."""
    refuse("several series in order at once", x.ndim == 1)
    values = values if isinstance(values, tg.Tensor) else tg.asarray(values, dtype=x.dtype)
    places = tg.searchsorted(x, values, side or ("right" if right else "left"), sorter)
    return places.astype("int32") if out_int32 else places


def layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Over the last axis alone."""
    refuse("layer norm over several axes", len(shape) == 1)
    y = tg.normalize(x, eps=eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def pad(x: Any, widths: Any, *mode: Any, value: float | None = None, **_: Any) -> Any:
    """PyTorch's pairs are from the last axis on."""
    value = next((m for m in mode if not isinstance(m, str)), value)
    refuse("negative padding", min(widths) >= 0)
    pairs = [tuple(widths[k : k + 2]) for k in range(0, len(widths), 2)]
    pairs += [(0, 0)] * (x.ndim - len(pairs))
    return tg.pad(x, pairs[::-1], value or 0.0)


def softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    """beta scales; beyond the threshold PyTorch gives x."""
    return tg.where(beta * x > threshold, x, tg.softplus(beta * x) / beta)


def poisson_nll_loss(x: Any, target: Any, full: bool = False, eps: float = 1e-8,
                     **options: Any) -> Any:  # fmt: skip
    """Without the constant terms."""
    refuse("constant terms of a likelihood", not full)
    refuse("an eps of one's own", eps == 1e-8)
    return nn.poisson_nll_loss(x, target, **options)


def gelu(x: Any, approximate: str = "none") -> Any:
    """By the error function."""
    refuse("gelu by tanh", approximate == "none")
    return tg.gelu(x)


def with_dtype(function: Ours) -> Ours:
    """Softmax and its like: an axis, and a dtype to convert to before."""

    def call(x: Any, dim: int, dtype: Any = None) -> Any:
        refuse("a single value has no axes", x.ndim > 0)
        return function(x if dtype is None else x.astype(DTYPES[dtype]), axis=dim)

    return call


def over_axis(function: Ours) -> Ours:
    """An op along one axis, which a single value does not have."""

    def call(x: Any, dim: Any, **options: Any) -> Any:
        refuse("a single value has no axes", x.ndim > 0)
        dtype = options.pop("dtype", None)
        x = x if dtype is None else x.astype(DTYPES[dtype])
        return function(x, axis=dim, **options)

    return call


def flip(x: Any, dims: Any) -> Any:
    """Along several axes; none named is none."""
    return tg.flip(x, tuple(dims))


def moved(x: Any, source: Any, destination: Any) -> Any:
    """Axes as numbers or tuples."""
    refuse("a single value has no axes", x.ndim > 0)
    return tg.moveaxis(x, source, destination)


def transposed(x: Any, a: int, b: int) -> Any:
    """Two axes exchanged."""
    refuse("a single value has no axes", x.ndim > 0)
    return tg.swapaxes(x, a, b)


def squeeze(x: Any, dim: Any = None) -> Any:
    """PyTorch leaves named axes of another size than 1 alone."""
    if dim is None:
        return tg.squeeze(x)
    named = tuple(dim) if isinstance(dim, list | tuple) else (dim,)
    refuse(
        "squeeze of an axis that is not of size 1", all(x.ndim and x.shape[d] == 1 for d in named)
    )
    return tg.squeeze(x, axis=named)


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """Bounds as numbers or tensors, one of which may be missing."""
    return tg.clip(x, min, max)


def unique(x: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
           dim: Any = None) -> Any:  # fmt: skip
    """Values, then what else is asked for."""
    refuse("unique slices along an axis", dim is None)
    found = tg.unique_all(x)
    rest = ([found.inverse_indices] if return_inverse else []) + [found.counts] * return_counts
    return [found.values, *rest] if rest else found.values


def embedding(W: Any, ids: Any, **options: Any) -> Any:
    """OpInfo's first input is the table."""
    options.pop("padding_idx", None)
    refuse("norms and sparse gradients of embeddings", not any(
        v not in (None, False, 2.0) for v in options.values()))  # fmt: skip
    return tg.embedding(ids, W)


def cross_entropy(x: Any, target: Any, **options: Any) -> Any:
    """PyTorch's classes are on axis 1 of a batch."""
    axis = 1 if x.ndim > 1 else -1
    return nn.cross_entropy(x, target, axis=axis, **options)


DTYPES = {
    torch.float32: np.dtype("f4"),
    torch.float64: np.dtype("f8"),
    torch.int64: np.dtype("i8"),
    torch.int32: np.dtype("i4"),
    torch.bool: np.dtype("?"),
}
UNARY = """abs acos acosh asin asinh atan atanh ceil cos cosh erf exp expm1 floor isfinite isinf isnan
    log log10 log1p log2 neg positive reciprocal sigmoid sign signbit sin sinh sqrt square tan tanh
    trunc clone isreal"""
BINARY = """atan2 copysign eq floor_divide ge gt hypot le logaddexp logical_and logical_or logical_xor
    lt maximum minimum mul ne nextafter pow remainder"""
TABLE: dict[str, Ours] = {
    **{name: plain(getattr(tg, name)) for name in UNARY.split() if hasattr(tg, name)},
    **{name: plain(getattr(tg, name)) for name in BINARY.split()},
    "add": scaled(tg.add),
    "sub": scaled(tg.subtract),
    "rsub": lambda a, b, alpha=1: b - (a if alpha == 1 else a * alpha),
    "div/no_rounding_mode": div,
    "div/floor_rounding": div,
    "div/trunc_rounding": div,
    "true_divide": tg.divide,
    "max/binary": tg.maximum,
    "min/binary": tg.minimum,
    "logical_not": tg.logical_not,
    "nan_to_num": plain(tg.nan_to_num),
    "round": round_to,
    "round/decimals_0": round_to,
    "clamp": clamp,
    "clamp_min": lambda x, low: tg.clip(x, low, None),
    "clamp_max": lambda x, high: tg.clip(x, None, high),
    "where": where,
    "nn.functional.relu": plain(tg.relu),
    "nn.functional.silu": plain(tg.silu),
    "nn.functional.gelu": gelu,
    "nn.functional.softplus": softplus,
    "softmax": with_dtype(tg.softmax),
    "softmax/with_dtype": with_dtype(tg.softmax),
    "log_softmax": with_dtype(tg.log_softmax),
    "log_softmax/with_dtype": with_dtype(tg.log_softmax),
    "sum": reduction(tg.sum),
    "mean": reduction(tg.mean),
    "amax": reduction(tg.max),
    "amin": reduction(tg.min),
    "max/reduction_no_dim": tg.max,
    "min/reduction_no_dim": tg.min,
    "max/reduction_with_dim": pair_of(tg.max, tg.argmax),
    "min/reduction_with_dim": pair_of(tg.min, tg.argmin),
    "argmax": reduction(tg.argmax),
    "argmin": reduction(tg.argmin),
    "any": reduction(tg.any),
    "all": reduction(tg.all),
    "count_nonzero": reduction(tg.count_nonzero),
    "prod": reduction(tg.prod),
    "logsumexp": reduction(tg.logsumexp),
    "var": variance(tg.var),
    "var/unbiased": variance(tg.var),
    "std": variance(tg.std),
    "std/unbiased": variance(tg.std),
    "cumsum": over_axis(tg.cumsum),
    "cumprod": over_axis(tg.cumprod),
    "diff": diff,
    "sort": sorted_by,
    "msort": lambda x: sorted_by(x, 0)[0],
    "argsort": lambda *a, **k: sorted_by(*a, **k)[1],
    "topk": topk,
    "searchsorted": searchsorted,
    "isin": lambda x, values, assume_unique=False, invert=False: tg.isin(x, values, invert=invert),
    "unique": unique,
    "nonzero": lambda x, as_tuple=False: tg.nonzero(x) if as_tuple else tg.stack(tg.nonzero(x), 1),
    "reshape": lambda x, shape: tg.reshape(x, tuple(shape)),
    "view": lambda x, *shape: x.reshape(*shape),
    "flatten": lambda x, start_dim=0, end_dim=-1: refuse(
        "flatten of some axes", start_dim == 0 and end_dim in (-1, x.ndim - 1)) or x.flatten(),
    "ravel": lambda x: x.flatten(),
    "permute": lambda x, dims: tg.permute_dims(x, tuple(dims)),
    "transpose": transposed,
    "mT": lambda x: x.mT,
    "T": lambda x: x.T,
    "t": lambda x: x.T,
    "movedim": moved,
    "squeeze": squeeze,
    "squeeze/multiple": squeeze,
    "unsqueeze": lambda x, dim: tg.expand_dims(x, dim),
    "broadcast_to": lambda x, shape: tg.broadcast_to(x, tuple(shape)),
    "broadcast_tensors": lambda *xs: tg.broadcast_arrays(*xs),
    "cat": lambda xs, dim=0: tg.concat(list(xs), axis=dim),
    "stack": lambda xs, dim=0: tg.stack(list(xs), axis=dim),
    "hstack": lambda xs: tg.concat([x.reshape(1) if not x.ndim else x for x in xs],
                                   axis=0 if xs[0].ndim < 2 else 1),
    "chunk": lambda x, chunks, dim=0: tg.chunk(x, chunks, axis=dim),
    "split": split,
    "split/list_args": split,
    "split_with_sizes": split,
    "unbind": lambda x, dim=0: tg.unstack(x, axis=dim),
    "flip": flip,
    "fliplr": lambda x: tg.flip(x, 1),
    "flipud": lambda x: tg.flip(x, 0),
    "roll": lambda x, shifts, dims=None: tg.roll(x, shifts, dims if dims != () else None),
    "repeat_interleave": repeat_interleave,
    "tile": lambda x, dims: tg.tile(x, tuple(dims)),
    "tril": plain(tg.tril, diagonal="k"),
    "triu": plain(tg.triu, diagonal="k"),
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: tg.diagonal(x, offset, dim1, dim2),
    "trace": tg.trace,
    "meshgrid/variadic_tensors": lambda *xs, indexing="ij": tg.meshgrid(*xs, indexing=indexing),
    "meshgrid/list_of_tensors": lambda xs, indexing="ij": tg.meshgrid(*xs, indexing=indexing),
    "index_select": lambda x, dim, index: tg.take(x, index, axis=dim),
    "take_along_dim": take_along,
    "__getitem__": lambda x, key: x[key],
    "nn.functional.embedding": embedding,
    "matmul": tg.matmul,
    "__rmatmul__": lambda a, b: tg.matmul(b, a),
    "mm": tg.matmul,
    "bmm": tg.matmul,
    "mv": tg.matmul,
    "dot": tg.vecdot,
    "inner": lambda a, b: tg.vecdot(a, b) if a.ndim == b.ndim == 1 else refuse("inner of matrices"),
    "outer": tg.outer,
    "linalg.vecdot": lambda a, b, dim=-1: tg.vecdot(*tg.broadcast_arrays(a, b), axis=dim),
    "tensordot": lambda a, b, dims=2: tg.tensordot(a, b, dims),
    "einsum": lambda xs, text: tg.einsum(text, *xs),
    "nn.functional.linear": lambda x, W, b=0: tg.linear(x, W, b),
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.pad/constant": pad,
    "constant_pad_nd": pad,
    "nn.functional.mse_loss": loss(nn.mse_loss),
    "nn.functional.l1_loss": loss(nn.l1_loss),
    "nn.functional.huber_loss": loss(nn.huber_loss),
    "nn.functional.cross_entropy": loss(cross_entropy),
    "nn.functional.smooth_l1_loss": loss(nn.smooth_l1_loss),
    "nn.functional.kl_div": loss(nn.kl_div),
    "nn.functional.poisson_nll_loss": loss(poisson_nll_loss),
    "nn.functional.cosine_similarity": plain(nn.cosine_similarity, dim="axis"),
    "nn.functional.binary_cross_entropy": loss(nn.binary_cross_entropy),
    "nn.functional.binary_cross_entropy_with_logits": loss(nn.binary_cross_entropy_with_logits),
    **{f"__r{n}__": f for n, f in {
        "add": lambda a, b: b + a, "sub": lambda a, b: b - a, "mul": lambda a, b: b * a,
        "div": lambda a, b: b / a, "pow": lambda a, b: b**a, "mod": lambda a, b: b % a}.items()},
}  # fmt: skip
