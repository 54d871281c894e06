"""What drawing a program needs: choices, and values of one step on which statements are tried."""

import contextlib
import random
import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

import tinygrad_rnn as tg

from . import ops
from .program import HELPERS, Item, Leaf, Let, Size

LARGEST = 72  # values in a tensor
BOUND = 12.0  # size of a value in a step


class Draw:
    """One program; `env` holds the values that names have in the step that is tried."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        pick = self.random.choices
        self.T = pick(range(1, 13), [2, 2, 3, 6, 5, 4, 3, 2, 1, 1, 1, 1])[0]
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
        """A number, an axis or a place in a step; maybe one that varies by step."""
        moving = self.in_loop and self.chance(0.35)
        if kind == "moving":
            text = self.one(ops.MOVING) if self.in_loop else "2"
        elif kind == "index":
            text = "[0,1,0]"
            if self.chance(0.5):
                text = self.leaf(3, kind="ints", grad=False, below=2, letter="i")
        else:
            fixed, varying = ops.NUMBERS[kind]
            text = self.one((varying if moving else fixed).split())
        bare = re.fullmatch(r"[\w.]+", text) or kind in ("column", "axis", "index")
        return text if bare else f"({text})"

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
        if not isinstance(y, tg.Tensor) or y.size > LARGEST or y.ndim > 4 or not y.size:
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

    def known(self, kinds: str = "fbiu", shape: tuple[int, ...] | None = None) -> list[str]:
        """Names of tensors in the step."""
        return [
            n
            for n, v in self.env.items()
            if isinstance(v, tg.Tensor) and v.dtype.kind in kinds and not self.is_series(n)
            if shape is None or v.shape == shape
        ]

    def kind(self, kinds: str, fresh: float = 0.55) -> str | None:
        """The name of a tensor of some kind in the step, rather one that nothing reads yet."""
        known = self.known(kinds)
        recent = [n for n in self.fresh if n in known]
        if recent and self.chance(fresh):
            return self.one(recent)
        return self.one(known) if known else None

    def is_series(self, name: str) -> bool:
        return any(x.name == name and "T" in str(x.shape) for x in self.leaves) or name[0] == "Y"
