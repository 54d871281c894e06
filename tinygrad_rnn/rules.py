"""Gradient rules: how one is declared, what it reads, and which run when inputs need a gradient.

A rule is called `<op>_vjp`, or `<op>_vjp_<input>` for one of several inputs. Its parameters name
what it reads: `g` the cotangent, `y` the output, any input, `<input>_shape`, `<input>_dtype`, and
after `*` attributes of the op. Nothing else is kept for the backward pass.
"""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple


class Deferred:
    """A contribution to a gradient, put together with its like in one op.

    `x[t]` in a loop gives T slices of one gradient, a shared weight T products:
    the sweep collects them and calls `op(*pieces)` once (`keys=` the keys and
    `shape=` the whole, if pieces have keys), so a slice costs O(slice) and T
    products become one.
    """

    __slots__ = ("key", "op", "piece")

    def __init__(self, op: Any, piece: tuple[Any, ...], key: Any = None):
        self.op, self.piece, self.key = op, piece, key


class Rule(NamedTuple):
    """One gradient rule: for which input, what it reads, how it runs on arrays."""

    fn: Callable[..., Any]  # written in ops: differentiable
    kernel: Callable[..., Any]  # the same on plain arrays
    reads: tuple[str, ...]  # positional parameters after g
    attrs: tuple[str, ...]  # keyword-only parameters: attributes of the op


class Step(NamedTuple):
    """One rule of a plan, its reads resolved."""

    input: int
    kernel: Callable[..., Any]
    attrs: tuple[str, ...]
    places: tuple[int, ...] | None  # what it reads, where those are saved values
    sources: tuple[tuple[str, int], ...]  # the same in general: ("saved"|"shape"|"dtype", i)
    fn: Callable[..., Any]  # the kernel in ops


class Plan(NamedTuple):
    """What the sweep does for one pattern of inputs that need a gradient."""

    steps: tuple[Step, ...]
    keep: tuple[int, ...]  # which of inputs + [y] are saved, -1 for y


def declared(
    fn: Callable[..., Any],
    kernel: Callable[..., Any] | None,
    op: str,
    inputs: Sequence[str],
    attrs: Collection[str],
) -> tuple[str, Rule]:
    """The input that a rule is for, and the rule; ValueError for one that cannot be."""
    head = f"{op}_vjp"
    name = fn.__name__.removeprefix(head).removeprefix("_") or inputs[0]
    if not fn.__name__.startswith(head) or name not in inputs:
        raise ValueError(f"name the rule {head} or {head}_<input>, not {fn.__name__}")
    parameters = list(inspect.signature(fn).parameters.values())[1:]
    by_place = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
    by_name = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    known = {"y", *(i + end for i in inputs for end in ("", "_shape", "_dtype"))}
    unknown = [*(set(by_place) - known), *(set(by_name) - {*attrs, "wanted"})]
    if unknown:
        raise ValueError(
            f"{fn.__name__}: cannot read {', '.join(sorted(unknown))}; after the cotangent a "
            f"rule reads y, inputs ({', '.join(inputs)}), <input>_shape, <input>_dtype, "
            "and after * attributes of the op"
        )
    return name, Rule(fn, kernel or fn, by_place, by_name)


def planned(rules: Mapping[str, Rule], inputs: Sequence[str], variadic: bool, mask: int) -> Plan:
    """Which rules run, and what they read, when the inputs in `mask` need a gradient."""
    steps: list[Step] = []
    keep: list[int] = []
    for k, name in enumerate(inputs):
        if not mask >> k & 1 or name not in rules:
            continue
        sources = []
        for read in rules[name].reads:
            base = read.removesuffix("_shape").removesuffix("_dtype")
            if read in inputs or read == "y":
                i = -1 if read == "y" else inputs.index(read)
                if i not in keep:
                    keep.append(i)
                sources.append(("saved", keep.index(i)))
            else:
                sources.append((read[len(base) + 1 :], inputs.index(base)))
        simple = not variadic and all(kind == "saved" for kind, _ in sources)
        places = tuple([i for _, i in sources]) if simple else None
        rule = rules[name]
        steps.append(Step(k, rule.kernel, rule.attrs, places, tuple(sources), rule.fn))
    return Plan(tuple(steps), tuple(keep))
