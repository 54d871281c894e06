"""Make a failing program small: drop and simplify whatever still fails in the same way."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .program import Let, Loop, Program, renamed, rewrite, size, tidy, walk

SIMPLER = [  # patterns of texts that may become simpler ones
    (r"\(?[^()\[\]]*\bt\b[^()\[\]]*\)? ?if .* else (.*)", r"\1"),
    (r"(.*) if [^=]*\bt\b.* else .*", r"\1"),
    (r".* if \{1\} is None else (.*)", r"\1"),
    (r"\{0\}\[.*t.*\].*", "{0}[t]"),
    (r"(.*)\(0\.1\*t\)(.*)", r"\g<1>0.5\2"),
    (r"(.*)\([^()]*\bt\b[^()]*\)(.*)", r"\g<1>t\2"),
    (r"(.*)\([^()]*\bt\b[^()]*\)(.*)", r"\g<1>0.5\2"),
    (r"(.*)\bt\b(.*)", r"\g<1>2\2"),
    (r"(.*)\(-?[\d.]+\)(.*)", r"\g<1>0.5\2"),
]


def shrink(program: Program, fails: Callable[[Program], bool], limit: int = 1500) -> Program:
    """The smallest program found that fails; at most `limit` are tried."""
    tries = 0
    seen: set[str] = set()
    progress = True
    while progress:
        progress = False
        for smaller in candidates(program):
            text = smaller.text()
            if text in seen or size(smaller) >= size(program):
                continue
            seen.add(text)
            tries += 1
            if tries > limit:
                return program
            if fails(smaller):
                program, progress = smaller, True
                break
    return program


def candidates(program: Program) -> Iterator[Program]:
    """Smaller programs, the boldest first; some do not even run."""
    yield tidy(program)
    for k in range(len(program.returns)):
        if len(program.returns) > 1:
            yield tidy(replace(program, returns=program.returns[:k] + program.returns[k + 1 :]))
    if len(program.returns) > 1:
        for kept in program.returns:
            yield tidy(replace(program, returns=(kept,)))
    for T in [*range(1, program.T)]:
        yield replace(program, T=T)
    yield from _without_parts(program)
    yield from _shortcuts(program)
    yield from _simpler_states(program)
    yield from _simpler_texts(program)
    for n in range(1, program.H):
        yield replace(program, H=n)
    for n in range(1, program.B):
        yield replace(program, B=n)
    yield from _simpler_leaves(program)


def _each(program: Program, wanted: Any, change: Callable[[Any], Any]) -> Program:
    """The program with one part changed, wherever it stands."""
    done = []

    def at(part: Any) -> Any:
        if part == wanted and not done:
            done.append(part)
            return change(part)
        return part

    items = rewrite(program.items, at)
    returns = program.returns if done else rewrite(program.returns, at)
    return replace(program, items=items, returns=returns)


def _without_parts(program: Program) -> Iterator[Program]:
    for part in walk(program.items):
        yield tidy(_each(program, part, lambda part: None))
        if isinstance(part, Loop):
            for s in part.states:
                fewer = tuple(x for x in part.states if x != s)
                yield tidy(_each(program, part, lambda p, fewer=fewer: replace(p, states=fewer)))
                if s.starts:  # read the start at every step
                    first = s.starts[0]
                    target = first.args[0] if first.text == "{0}" else None
                    if target:
                        less = program
                        for name in s.reads():
                            less = renamed(less, name, target)
                        yield tidy(less)
            for keep in part.keeps:
                fewer_keeps = tuple(x for x in part.keeps if x != keep)
                yield tidy(_each(program, part, lambda p, f=fewer_keeps: replace(p, keeps=f)))
            if part.quiet:
                yield _each(program, part, lambda p: replace(p, quiet=""))
            if part.order != "range(T)" and part.index == "t":
                yield _each(program, part, lambda p: replace(p, order="range(T)"))
        elif part.quiet:
            yield _each(program, part, lambda p: replace(p, quiet=""))


def _shortcuts(program: Program) -> Iterator[Program]:
    """Read an operand, or another value, in place of what a statement makes of it."""
    lets = [p for p in walk(program.items) if isinstance(p, Let)]
    states = [
        n for p in walk(program.items) if isinstance(p, Loop) for s in p.states for n in s.reads()
    ]
    for let in reversed(lets):
        for arg in dict.fromkeys(let.args):
            yield tidy(renamed(program, let.name, arg))
    for let in reversed(lets):
        for other in [*states, *(x.name for x in lets if x != let)]:
            if other not in let.args:
                yield tidy(renamed(program, let.name, other))
        for k, arg in enumerate(let.args):
            for other in [*states, *let.args]:
                if other != arg:
                    args = (*let.args[:k], other, *let.args[k + 1 :])
                    yield tidy(_each(program, let, lambda p, a=args: replace(p, args=a)))


def _simpler_states(program: Program) -> Iterator[Program]:
    for loop in [p for p in walk(program.items) if isinstance(p, Loop)]:
        for s in loop.states:
            for k in range(1, len(s.starts)):  # read a later value in place of an earlier one
                yield tidy(renamed(program, s.reads()[k], s.reads()[k - 1]))
            if len(set(s.starts)) > 1:
                same = replace(s, starts=s.starts[:1] * len(s.starts))
                yield tidy(_each(program, s, lambda p, same=same: same))
            for let in [p for p in loop.body if isinstance(p, Let)]:
                if let.name != s.value:
                    yield tidy(_each(program, s, lambda p, v=let.name: replace(p, value=v)))
            for other in loop.states:
                if other.name != s.name:
                    yield tidy(
                        _each(
                            program,
                            s,
                            lambda p, v=other.starts: replace(p, starts=v[:1] * len(p.starts)),
                        )
                    )


def _simpler_texts(program: Program) -> Iterator[Program]:
    parts = [p for p in walk(program.items) if isinstance(p, Let)] + list(program.returns)
    for let in parts:
        texts = [
            "{0}",
            "tg.sum({0})",
            "{0}[-1]",
            "tg.stack({0})",
            "{0}+{1}",
            "{0}*{1}",
            "tg.tanh({0})",
            "2*{0}",
            "{0}*{0}",
        ]
        texts += [re.sub(p, r, let.text) for p, r in SIMPLER]
        for text in dict.fromkeys(texts):
            holes = max([int(h) for h in re.findall(r"\{(\d)\}", text)], default=0)
            if text != let.text and holes < len(let.args) and (text != "{0}" or not let.name):
                args = let.args[: holes + 1]
                yield tidy(
                    _each(program, let, lambda p, t=text, a=args: replace(p, text=t, args=a))
                )
                if len(let.args) > holes + 1:
                    args = let.args[-holes - 1 :]
                    yield tidy(
                        _each(program, let, lambda p, t=text, a=args: replace(p, text=t, args=a))
                    )


def _simpler_leaves(program: Program) -> Iterator[Program]:
    for k, leaf in enumerate(program.leaves):
        simpler = [
            replace(leaf, grad=False),
            replace(leaf, argument=False),
            replace(leaf, scale=1.0),
        ]
        if leaf.shape:
            simpler += [replace(leaf, shape=leaf.shape[1:]), replace(leaf, shape=leaf.shape[:-1])]
        for n, m in enumerate(leaf.shape):
            if "T" in str(m) and m != "T":
                simpler.append(replace(leaf, shape=(*leaf.shape[:n], "T", *leaf.shape[n + 1 :])))
        if leaf.many and leaf.many != "T":
            simpler.append(replace(leaf, many="T"))
        for new in simpler:
            if new != leaf:
                yield replace(program, leaves=(*program.leaves[:k], new, *program.leaves[k + 1 :]))
