"""PyTorch's own samples of its ops (OpInfo) on ours: values, gradients and second gradients.

python tests/parity/opinfo.py [--long]     counts, and what is refused or differs
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from opinfo_table import TABLE, NotOffered
from torch.testing._internal.common_methods_invocations import op_db

import tinygrad_rnn as tg

REFUSED = {  # what ours says of it, and why it is meant
    "of a single value, which has no axes": "a single value has no axes",
    "nonzero: a single value has no axes": "a single value has no axes",
    "got an unexpected keyword argument 'weight'": "weights of a loss: multiply it, reduction none",
    "got an unexpected keyword argument 'full'": "constant terms of a likelihood",
    "beta must be positive": "smooth l1 with beta 0, which is l1",
    r"concat: axis 1 is out of range|concat: .*got \(0,\)": "PyTorch leaves (0,) out of a cat",
    r"'(NotImplementedType|(numpy\.)?(int|float)\d*)' object is not iterable": (
        "two Python numbers give a Python number"
    ),
    "inputs are float32 and float64": "two floats of different width do not mix",
    "dtype float16 is not supported": "half precision",
    "tensordot: axes": "PyTorch broadcasts the axes that a tensordot sums over",
}

CONVENTIONS = {  # by op: what the difference is, and why it is meant; all at values out of the way
    "__rpow__": ("second gradient: NaN", "0 to a power: PyTorch's is NaN, ours the power's own"),
    "pow": ("second gradient: NaN", "0 to a power: PyTorch's is NaN, ours the power's own"),
    "atan2": ("second gradient: NaN", "at the origin PyTorch's is NaN, ours 0, as the first is"),
    "clamp_min": (
        "gradient.*1 / ",
        "a lower bound of inf: the gradient goes to the upper, inf too",
    ),
    "copysign": ("gradient(: NaN| missing)", "PyTorch divides by a: NaN where a is not finite"),
    "div/trunc_rounding": ("gradient: NaN", "two ops here: the gradient of trunc, 0, by infinity"),
    "logaddexp": ("second gradient: NaN", "of infinite numbers"),
    "sign": ("value: NaN", "the sign of NaN is NaN, as in NumPy"),
}


def name_of(info: Any) -> str:
    """An OpInfo's name with its variant's."""
    return info.name + (f"/{info.variant_test_name}" if info.variant_test_name else "")


INFOS = {name_of(info): info for info in op_db if name_of(info) in TABLE}


def fresh(value: Any) -> Any:
    """Leaves in the place of PyTorch's: some samples are views to which no gradient goes."""
    if isinstance(value, torch.Tensor):
        return value.detach().requires_grad_(value.requires_grad)
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(fresh(v) for v in value)
    return value


def ours(value: Any, leaves: list[Any]) -> Any:
    """PyTorch's arguments as ours; float tensors that require a gradient are noted as leaves."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy(force=True).copy()
        x = tg.tensor(array, requires_grad=value.requires_grad)
        if value.requires_grad:
            leaves.append((x, value))
        return x
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, list | tuple):
        return type(value)(ours(v, leaves) for v in value)
    return value


def flat(result: Any) -> Iterator[Any]:
    """The tensors of a result, one after the other."""
    if isinstance(result, tg.Tensor | torch.Tensor):
        yield result
    else:
        for part in result:
            yield from flat(part)


def _weights(shape: Any, dtype: Any) -> np.ndarray:
    return np.cos(np.arange(int(np.prod(shape)))).reshape(shape).astype(dtype)


def same(mine: Any, wanted: Any, what: str, tol: float) -> None:
    """Raise AssertionError unless two arrays agree; it says NaN if all else agrees."""
    assert mine.shape == tuple(wanted.shape), (
        f"{what}: shape {mine.shape} for {tuple(wanted.shape)}"
    )
    mine, wanted = mine.astype(float), wanted.astype(float)
    alone = np.isnan(mine) != np.isnan(wanted)
    np.testing.assert_allclose(mine[~alone], wanted[~alone], rtol=tol, atol=tol, err_msg=what)
    assert not alone.any(), f"{what}: NaN in one of both alone"


def compare(name: str, info: Any, sample: Any, dtype: Any) -> None:
    """One sample: values, gradients by every input that requires one, and theirs in float64."""
    tol = 1e-11 if dtype == torch.float64 else 5e-5  # 1e-12 and 2.4e-5 are the largest seen
    leaves: list[Any] = []
    given = fresh((sample.input, *sample.args))
    named = {k: fresh(v) for k, v in sample.kwargs.items()}
    args = ours(given, leaves)
    options = {k: ours(v, leaves) for k, v in named.items()}
    wanted = list(flat(info.op(*given, **named)))
    mine = list(flat(TABLE[name](*args, **options)))
    assert len(mine) == len(wanted), f"{len(mine)} results for {len(wanted)}"
    pairs = list(zip(mine, wanted, strict=True))
    for y, z in pairs:
        same(y.detach().numpy(), z.detach().numpy(force=True), "value", tol)
    if not leaves or dtype not in info.backward_dtypes:
        return
    twice = dtype == torch.float64 and info.supports_gradgrad
    pairs = gradients(pairs, leaves, "gradient", tol, twice)
    if twice:
        gradients(pairs, leaves, "second gradient", 1e-8, False)  # 3e-10 seen


def gradients(pairs: Any, leaves: Any, what: str, tol: float, graph: bool) -> list[Any]:
    """Compare the gradients of weighed sums by the leaves, and give them."""
    total, other = [], []
    for y, z in pairs:
        if z.requires_grad:
            w = _weights(z.shape, z.detach().numpy(force=True).dtype)
            total.append((y * w).sum())
            other.append((z * torch.from_numpy(w)).sum())
    if not total:
        return []
    know = {"allow_unused": True, "create_graph": graph}
    try:
        theirs = torch.autograd.grad(sum(other), [z for _, z in leaves], **know)
    except RuntimeError:  # PyTorch has no such derivative, or its own code fails at it
        return []
    mine = sum(total)
    own = [None] * len(leaves)
    if mine.requires_grad:
        own = tg.grad(mine, [x for x, _ in leaves], **know)
    for a, b in zip(own, theirs, strict=True):
        if a is None or b is None:
            known = a.detach().numpy() if b is None and a is not None else 0
            known = b.detach().numpy(force=True) if b is not None else known
            assert np.allclose(known, 0, atol=tol), f"{what} {'missing' if a is None else 'more'}"
        else:
            same(a.detach().numpy(), b.detach().numpy(force=True), what, tol)
    return [(a, b) for a, b in zip(own, theirs, strict=True) if a is not None and b is not None]


def _as_far(samples: Any) -> Iterator[Any]:
    """Samples until PyTorch's own generator fails, as some do."""
    while True:
        try:
            yield next(samples)
        except (StopIteration, ValueError):
            return


def verdicts(name: str, dtype: Any, long: bool = False) -> Iterator[tuple[str, str]]:
    """("agrees" | "refused" | "differs", why) of each sample."""
    info = INFOS[name]
    if dtype not in info.dtypes:
        return
    grad = dtype in info.backward_dtypes and info.supports_autograd
    make = info.reference_inputs if long else info.sample_inputs
    for sample in _as_far(iter(make("cpu", dtype, requires_grad=grad))):
        try:
            compare(name, info, sample, dtype)
        except NotOffered as reason:
            yield "refused", str(reason)
        except (ValueError, TypeError) as error:
            known = next(
                (why for words, why in REFUSED.items() if re.search(words, str(error))), ""
            )
            yield ("refused", known) if known else ("raises", f"{type(error).__name__}: {error}")
        except AssertionError as error:
            why = " ".join(str(error).split())
            pattern, reason = CONVENTIONS.get(name, ("(?!)", ""))
            yield ("convention", reason) if re.search(pattern, why) else ("differs", why)
        else:
            yield "agrees", ""


def main() -> None:
    """Print the counts and what differs."""
    total: Counter[str] = Counter()
    for name in sorted(INFOS):
        for dtype in (torch.float64, torch.float32):
            found = list(verdicts(name, dtype, "--long" in sys.argv))
            counts = Counter(verdict for verdict, _ in found)
            total += counts
            for why, n in Counter(w for v, w in found if v != "agrees").most_common(4):
                print(f"{name} {dtype}: {n} times {' '.join(why.split())[:230]}", flush=True)
    print(dict(total), len(INFOS), "ops;", sorted(set(TABLE) - set(INFOS)))


if __name__ == "__main__":
    main()
