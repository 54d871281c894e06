"""Draw a loop program: every statement is tried on values of one step, and drawn again if it fails."""

import contextlib
import math
import random
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

import tinygrad_rnn as tg

from . import ops
from .program import HELPERS, Item, Leaf, Let, Loop, Program, Size, State

LARGEST = 72  # values in a tensor
BOUND = 12.0  # size of a value in a step


class Draw:
    """One program; `env` holds the values that names have in the step that is tried."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        pick = self.random.choices
        self.T = pick(range(1, 13), [3, 4, 5, 5, 4, 3, 2, 1, 1, 1, 1, 1])[0]
        self.B = pick([1, 2, 3], [2, 4, 3])[0]
        self.H = pick([1, 2, 3, 4], [1, 4, 4, 1])[0]
        self.leaves: list[Leaf] = []
        self.body: list[Item] = []
        self.count = 0
        self.in_loop = False
        space: dict[str, Any] = {"np": np, "tg": tg, "T": self.T, "B": self.B, "H": self.H}
        for text in HELPERS.values():
            exec(text, space)
        self.space = space | {"t": min(1, self.T - 1), "k": 0, "contextlib": contextlib}
        self.env: dict[str, Any] = {}
        self.fresh: list[str] = []  # values that nothing reads yet

    # small choices ---------------------------------------------------------------------------

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def one(self, options: Any) -> Any:
        return self.random.choice(list(options))

    def name(self, letter: str = "v") -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def size(self, n: int) -> Size:
        """A size as an expression, so that it may shrink."""
        return "H" if n == self.H and n > 1 else "B" if n == self.B and n > 1 else n

    def number(self, kind: str) -> str:
        moving = self.in_loop and self.chance(0.35)
        if kind == "pos":
            text = self.one(
                ["(t+1)/4", "1.2-0.1*t/T", "[0.3,0.2,0.7][t%3]", "1/(t+1)"]
                if moving
                else ["0.5", "2", "1.5", "3"]
            )
        elif kind == "small":
            text = self.one(["0.05*t", "-0.1*(t%2)"] if moving else ["0.3", "-0.2"])
        elif kind == "int":
            text = self.one(["t", "t%2", "t+1"] if moving else ["0", "1", "2"])
        elif kind == "step":
            text = "t" if self.in_loop else "1"
        elif kind == "bool":
            text = "(t%2==0)" if moving else self.one(["True", "False"])
        elif kind == "moving":
            text = f"({self.one(ops.MOVING)})" if self.in_loop else "2"
        elif kind in ("column", "row"):
            text = self.one(["t%2", "-1-t%2"] if moving else ["0", "-1", "1"])
        elif kind == "axis":
            text = self.one(
                ["0", "1", "-1", "-1", "1"] + (["t%2"] if moving and self.chance(0.15) else [])
            )
        else:
            text = self.one(ops.MOVING if moving else ops.CONSTANTS)
        return (
            text
            if re.fullmatch(r"[\w.]+", text) or kind in ("column", "row", "axis")
            else f"({text})"
        )

    # values ----------------------------------------------------------------------------------

    def value(self, text: str, args: tuple[str, ...], **more: Any) -> Any:
        """What an expression gives here, or None if it fails or grows too large."""
        let = Let("", text, args)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                y = eval(let.expression(), self.space, {**self.env, **more})
        except Exception:
            return None
        return y

    def fits(self, y: Any) -> bool:
        if not isinstance(y, tg.Tensor) or y.size > LARGEST or y.ndim > 3 or not y.size:
            return False
        return y.dtype.kind != "f" or bool(np.abs(y.detach().numpy()).max() < BOUND)

    def let(self, text: str, args: tuple[str, ...] = (), quiet: str = "", letter: str = "v") -> str:
        """Add a statement that was tried, and give its name."""
        name = self.name(letter)
        self.env[name] = self.value(text, args)
        self.body.append(Let(name, text, args, quiet))
        self.fresh = [f for f in self.fresh if f not in args] + [name]
        return name

    def leaf(self, *shape: Size, reuse: float = 0.5, letter: str = "W", **options: Any) -> str:
        """A tensor from outside, maybe one that is there already."""
        new = Leaf(self.name(letter), shape, **options)
        same = [x for x in self.leaves if replace(x, name=new.name) == new]
        if same and self.chance(reuse):
            return self.one(same).name
        self.leaves.append(new)
        self.env[new.name] = eval(new.text(), self.space)
        return new.name

    def kind(self, kind: str, fresh: float = 0.55) -> str | None:
        """The name of a tensor of one kind in the step, rather one that nothing reads yet."""
        wanted = {"f": "f", "b": "b", "i": "iu", "n": "fbiu"}[kind]
        known = [
            n for n, v in self.env.items()
            if isinstance(v, tg.Tensor) and v.dtype.kind in wanted and not self.is_series(n)
        ]  # fmt: skip
        recent = [n for n in self.fresh if n in known]
        if recent and self.chance(fresh):
            return self.one(recent)
        return self.one(known) if known else None

    def is_series(self, name: str) -> bool:
        return any(x.name == name and "T" in str(x.shape) for x in self.leaves) or name[0] == "Y"

    # statements ------------------------------------------------------------------------------

    def template(self) -> tuple[str, str] | None:
        """(text, kinds of its operands) by chance."""
        table = self.random.choices(
            [ops.POINTWISE, ops.ROWS, ops.SHAPES, ops.TWO, ops.THREE, ops.MASKED, ops.BOOLS, ops.INTS],
            [6, 2.5, 2.5, 6, 1.5, 2.5, 0.7, 0.5],
        )[0]  # fmt: skip
        if isinstance(table, dict):
            kinds = self.one(table)
            return self.one(table[kinds].split()), kinds
        number = (
            1 if table in (ops.POINTWISE, ops.ROWS, ops.SHAPES) else 2 if table is ops.TWO else 3
        )
        return self.one(table.split()), "f" * number

    def statement(self) -> str | None:
        """One more statement of the step, of any sort."""
        way = self.random.random()
        if way < 0.2:
            return self.product()
        if way < 0.25 and self.body and isinstance(self.body[-1], Let):  # the same expression twice
            old = self.one([i for i in self.body if isinstance(i, Let)])
            if old.name in self.env and self.fits(self.env[old.name]):
                return self.let(old.text, old.args, old.quiet)
        drawn = self.template()
        assert drawn
        text, kinds = drawn
        args = [self.kind(k) for k in kinds]
        if None in args:
            return None
        operands = tuple(a for a in args if a)
        text = re.sub(r"<(\w+)>", lambda hole: self.hole(hole[1]), text)
        y = self.value(text, operands)
        if not self.fits(y):
            return None
        if self.in_loop and self.chance(0.1):
            other = self.differing(text, operands, y)
            if other:
                text, operands = other
        quiet = (
            self.one(["t<2", "t>=T-2", "t%2", "True", "t==0"])
            if self.in_loop and self.chance(0.025)
            else ""
        )
        return self.let(text, operands, quiet)

    def hole(self, kind: str) -> str:
        return (
            "[0,1,0]"
            if kind == "index" and self.chance(0.5)
            else (
                self.leaf(3, kind="ints", grad=False, below=2, letter="i")
                if kind == "index"
                else self.number(kind)
            )
        )

    def differing(
        self, text: str, args: tuple[str, ...], y: Any
    ) -> tuple[str, tuple[str, ...]] | None:
        """A step that differs: `a if t == 0 else b`, where b has a's shape."""
        same = [
            n for n, v in self.env.items()
            if isinstance(v, tg.Tensor) and v.shape == y.shape and v.dtype == y.dtype
        ]  # fmt: skip
        if not same or len(args) > 2:
            return None
        hole = f"{{{len(args)}}}"
        other = self.one(
            [hole, f"tg.tanh({hole})", f"{hole}*0.5", f"{hole}.detach()", f"{hole}+{hole}"]
        )
        if y.dtype.kind != "f":
            other = hole
        condition = self.one(ops.CONDITIONS)
        a, b = (text, other) if self.chance(0.5) else (other, text)
        return f"({a}) if {condition} else ({b})", (*args, self.one(same))

    def product(self) -> str | None:
        """With a weight that fits: on either side, linear, of pieces joined, one a step; scaled."""
        u = self.kind("f")
        if u is None or not self.env[u].ndim:
            return None
        shape = self.env[u].shape
        k, n = self.size(shape[-1]), self.one(["H", "H", "H", self.size(shape[-1]), 1, 2])
        way = self.one(
            ["right"] * 4
            + ["left", "linear", "bias", "scale", "add", "joined", "vector", "steps", "rows"]
        )
        scale = round(1.2 / math.sqrt(shape[-1]), 2)
        text, args = "", (u,)
        if way == "right":
            text, args = "{0}@{1}", (u, self.leaf(k, n, scale=scale))
        elif way == "left" and len(shape) > 1:
            rows = self.size(shape[-2])
            text, args = "{1}@{0}", (u, self.leaf(self.one([rows, n]), rows, scale=scale))
        elif way == "vector":
            text, args = self.one(["{1}@{0}", "{0}@{1}"]), (u, self.leaf(k, scale=scale))
        elif way == "linear":
            text, args = "tg.linear({0},{1},0)", (u, self.leaf(n, k, scale=scale))
        elif way == "bias":
            text, args = "tg.linear({0},{1},{2})", (u, self.leaf(n, k, scale=scale), self.leaf(n))
        elif way in ("scale", "add"):
            size = self.one([(k,), (k,), (1,), (), tuple(self.size(m) for m in shape)])
            text, args = ("{0}*{1}" if way == "scale" else "{0}+{1}"), (u, self.leaf(*size))
        elif way == "steps" and self.in_loop:
            text, args = (
                f"{{0}}@{{1}}[{self.one(['t', 't', 't', 't+1', 'T-1-t'])}]",
                (u, self.leaf(k, n, scale=scale, many="T+3")),
            )
        elif way == "rows":
            text, args = "tg.take({1},{0},axis=0)", ()
            i = self.kind("i")
            args = (i, self.leaf(4, n)) if i else ()
        elif way == "joined":
            w = self.kind("f")
            y = self.value("tg.concat([{0},{1}],axis=-1)", (u, w or u))
            if y is not None:
                text = "tg.concat([{0},{1}],axis=-1)@{2}"
                args = (u, w or u, self.leaf(self.size(y.shape[-1]), n, scale=scale))
        if not text or not args or not self.fits(self.value(text, args)):
            return None
        return self.let(text, args)

    def statements(self, n: int) -> None:
        for _ in range(4 * n):
            if n and self.statement():
                n -= 1

    def shaped(self, shape: tuple[int, ...], kind: str = "f") -> str:
        """A value of one shape: one that is there, or made of one."""
        known = [
            n for n in self.env
            if self.fits(self.env[n]) and self.env[n].dtype.kind == kind and not self.is_series(n)
        ]  # fmt: skip
        ready = [n for n in known if self.env[n].shape == shape and n in self.fresh]
        if ready and self.chance(0.8):
            return self.one(ready)
        sizes = tuple(self.size(m) for m in shape)
        for _ in range(30):
            u = self.one(self.fresh if self.fresh and self.chance(0.7) else known)
            if u not in known:
                continue
            ways = ["{0}", "{0}.T", "tg.mean({0},axis=0,keepdims=True)", "tg.sum({0},axis=1)", "tg.mean({0})",
                    "tg.mean({0},axis=0)", "tg.sum({0},axis=-1,keepdims=True)", "{0}[:1]", "{0}[0]", "{0}[...,:1]"]  # fmt: skip
            text, args = self.one(ways), (u,)
            y = self.value(text, args)
            if y is not None and y.shape != shape and kind == "f":
                text = self.one(["{1}*({})", "{1}+{}", "({})+{1}"]).replace("{}", text)
                args = (u, self.leaf(*sizes))
                y = self.value(text, args)
            elif y is not None and y.shape != shape and kind == "b":
                text = f"({text})&tg.ones(({''.join(f'{n},' for n in sizes)}), dtype=bool)"
                y = self.value(text, args)
            if self.fits(y) and y.shape == shape and y.dtype.kind == kind:
                return u if text == "{0}" else self.let(text, args)
        if kind != "f":
            made = "bool" if kind == "b" else "int"
            return self.let(f"tg.ones(({''.join(f'{n},' for n in sizes)}), dtype={made})")
        return self.let(
            "tg.mean({0})*{1}",
            (self.one([n for n in known if self.env[n].dtype.kind == "f"]), self.leaf(*sizes)),
        )


def trial(seed: int, attempt: int = 0) -> Program:
    """A program that may turn out to fail as eager code, or to have no gradient."""
    from .loops import program

    return program(Draw(1000 * seed + attempt))
