"""A jitted function never answers with a stale value: whatever Python value it read, however
that changes, its next answer is eager's."""

import os
import sys
import textwrap
import warnings
from collections import OrderedDict, deque
from typing import Any

import numpy as np
import pytest
from traps import TRAPS, world

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CaptureError


@pytest.fixture(autouse=True)
def trap_module(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's."""
    (tmp_path / "trap_module.py").write_text("k = 1.0\ndef scaled(x): return x * k\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("trap_module", None)


def both(space: dict[str, Any]) -> tuple[Any, Any]:
    """The answers of the jitted and of the eager function, random numbers alike."""
    state = tg.ops.random.default_generator.state
    compiled = space["fast"](space["x"]).numpy()
    if "g" in space and isinstance(space["g"], tg.Generator):
        space["g"].manual_seed(space["g"].seed)
    after = tg.ops.random.default_generator.state
    tg.ops.random.default_generator.state = state
    eager = space.get("f_eager", space["f"])(space["x"]).numpy()
    assert tg.ops.random.default_generator.state == after
    return compiled, eager


@pytest.mark.parametrize("name", TRAPS)
def test_no_answer_is_stale(name: str) -> None:
    setup, change = TRAPS[name]
    space = world(setup)
    first, eager = both(space)
    np.testing.assert_array_equal(first, eager)
    exec(textwrap.dedent(change), space)
    second, eager = both(space)
    np.testing.assert_array_equal(second, eager)
    if name != "seed-inside":  # which is there to change nothing
        assert not np.array_equal(first, eager), "the trap changes nothing"


# name: setup, what explain() says is frozen, whether it warns
FROZEN: dict[str, tuple[str, str, bool]] = {
    "python-random": ("import random\ndef f(x): return x * random.random()",
                      "a random number of Python's, read at <string>:3", True),
    "python-random-through-the-library": (
        "import random\ndef f(x):\n    return x * random.gauss(0, 1)",
        "a random number of Python's, read at <string>:4", True),
    "python-random-object": ("import random\nr = random.Random(0)\ndef f(x): return x * r.random()",
                             "a random number of Python's, read at <string>:4", True),
    "numpy-random": ("def f(x): return x * np.random.rand()",
                     "random numbers of numpy.random, read at <string>:2", True),
    "numpy-generator": ("r = np.random.default_rng(0)\ndef f(x): return x * r.random()",
                        "random numbers of r, read at <string>:3", True),
    "numpy-random-state": ("o = Plain(r=np.random.RandomState(0))\ndef f(x): return x * o.r.rand()",
                           "random numbers of o.r, read at <string>:3", True),
    "clock": ("import time\ndef f(x): return x * time.time()", "time.time, read at <string>:3", True),
    "date": ("from datetime import datetime\ndef f(x): return x * datetime.now().year",
             "datetime.now, read at <string>:3", True),
    "system-random": ("import os\ndef f(x): return x * os.urandom(1)[0]",
                      "urandom, read at <string>:3", True),
    "list": ("a = [1.0] * 999\ndef f(x): return x * a[7]",
             "a, a list of 999 items, read at <string>:3", False),
    "array": ("a = np.ones(999)\ndef f(x): return x * float(a[7])",
              "a, an array of 7992 bytes, read at <string>:3", False),
    "object-of-c": ("import re\na = re.compile('b')\ndef f(x): return x * len(a.pattern)",
                    "a, a Pattern, read at <string>:4", False),
}  # fmt: skip


@pytest.mark.parametrize("name", FROZEN)
def test_what_cannot_be_followed_is_said(name: str) -> None:
    setup, words, warns = FROZEN[name]
    space = world(setup)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            space["fast"](space["x"])
    assert words in space["fast"].explain()
    assert [words in str(w.message) for w in caught] == [True] * warns


ITERATORS = {
    "generator": "a = (k for k in (1.0, 2.0))\ndef f(x): return x * next(a)",
    "zip": "a = zip([1.0], [2.0])\ndef f(x): return x * next(a)[0]",
    "file": "a = csv.reader(['1', '2'])\ndef f(x): return x * float(next(a)[0])",
    "tensor": "a = iter(tg.tensor([1.0, 2.0]))\ndef f(x): return x * next(a)",
    "attribute": "o = Plain(a=iter([1.0, 2.0]))\ndef g(): return next(o.a)\ndef f(x): return x * g()",
    "argument": "a = 'the argument'\nargs = (iter([1.0, 2.0]),)\ndef f(x, a): return x * next(a)",
}


@pytest.mark.parametrize("name", ITERATORS)
def test_an_iterator_begun_outside_is_refused(name: str) -> None:
    space = world("import csv\n" + ITERATORS[name])
    with pytest.raises(CaptureError, match=r"a.* is an iterator .*call next\(\) outside"):
        space["fast"](space["x"], *space.get("args", ()))


# name: setup, what the message calls the place, an expression that must be as before
LEFT: dict[str, tuple[str, str, str]] = {
    "module": ("class M(nn.Module):\n    h = None\n    def forward(self, x):\n        self.h = tg.tanh(x)\n"
               "        return self.h\nf = M()", "M.h|f.h", "f.h is None and vars(f).get('h') is None"),
    "module-detached": (
        "class M(nn.Module):\n    def __init__(self): self.h = tg.zeros(3)\n"
        "    def forward(self, x):\n        y = x + self.h\n        self.h = y.detach()\n        return y\n"
        "f = M()\nbefore = f.h", r"\.h would keep", "f.h is before"),
    "attribute-anew": ("o = Plain()\ndef f(x):\n    o.h = x * 2\n    return x", "o.h", "vars(o) == {}"),
    "attribute-by-setattr": ("o = Plain()\ndef f(x):\n    setattr(o, 'h', x * 2)\n    return x", "o.h",
                             "vars(o) == {}"),
    "attribute-in-a-list": ("o = Plain(h=1)\ndef f(x):\n    o.h = [(x * 2,)]\n    return x", "o.h",
                            "o.h == 1"),
    "class": ("class C: h = 1\ndef f(x):\n    C.h = x * 2\n    return x", "C.h", "C.h == 1"),
    "slot": ("class S: __slots__ = 'h',\no = S()\ndef f(x):\n    o.h = x * 2\n    return x", "o.h",
             "not hasattr(o, 'h')"),
    "global": ("h = 1\ndef f(x):\n    global h\n    h = x * 2\n    return x", "h would", "h == 1"),
    "global-anew": ("def f(x):\n    global h\n    h = x * 2\n    return x", "h would",
                    "'h' not in globals()"),
    "global-in-helper": ("h = 1\ndef g(x):\n    global h\n    h = x * 2\ndef f(x):\n    g(x)\n    return x",
                         "h would", "h == 1"),
    "closure": ("def make():\n    h = 1\n    def f(x):\n        nonlocal h\n        h = x * 2\n        return x\n"
                "    return f, lambda: h\nf, get = make()", "h would", "get() == 1"),
    "list": ("hs = [1]\ndef f(x):\n    hs.append(x * 2)\n    return x", "hs would", "hs == [1]"),
    "list-item": ("hs = [1]\ndef f(x):\n    hs[0] = x * 2\n    return x", "hs would", "hs == [1]"),
    "list-large": ("hs = [1] * 999\ndef f(x):\n    hs.append(x * 2)\n    return x", "hs would",
                   "hs == [1] * 999"),
    "list-in-list": ("hs = [[1]]\ndef f(x):\n    hs[0].append(x * 2)\n    return x", "hs", "hs == [[1]]"),
    "dict": ("hs = {1: 1}\ndef f(x):\n    hs['h'] = x * 2\n    return x", "hs would", "hs == {1: 1}"),
    "set": ("hs = {1}\ndef f(x):\n    hs.add(x * 2)\n    return x", "hs would", "hs == {1}"),
    "deque": ("from collections import deque\nhs = deque([1])\ndef f(x):\n    hs.appendleft(x * 2)\n"
              "    return x", "hs would", "list(hs) == [1]"),
    "python-module": ("import trap_module\ndef f(x):\n    trap_module.k = x * 2\n    return x",
                      "trap_module.k", "trap_module.k == 1.0"),
    "default": ("def f(x, hs=[]):\n    hs.append(x * 2)\n    return x", "defaults of f",
                "f.__defaults__ == ([],)"),
    "function-attribute": ("def f(x):\n    f.h = x * 2\n    return x\nf.h = 1", "f.h", "f.h == 1"),
    "gradient": ("w = tg.ones(3)\ndef f(x):\n    w.grad = x * 2\n    return x * w", "somewhere|grad", "True"),
    "cached": ("import functools\n@functools.lru_cache\ndef g(x): return x * 2\ndef f(x): return g(x)",
               "somewhere", "True"),
    "before-an-error": ("o = Plain(h=1)\nhs = []\ndef f(x):\n    o.h = x * 2\n    hs.append(x)\n"
                        "    return x if x.sum() > 0 else -x", "value of a traced", "o.h == 1 and hs == []"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT)
def test_a_traced_tensor_left_behind_is_refused_and_taken_out(name: str) -> None:
    setup, words, unchanged = LEFT[name]
    space = world(setup)
    with pytest.raises(CaptureError, match=words) as caught:
        space["fast"](space["x"])
    if name != "before-an-error":
        assert "let the function return the state" in str(caught.value)
    assert eval(unchanged, space)


# states and weights in objects that end with the call, handed from function to function
GONE: dict[str, str] = {
    "cycles": "def f(x):\n    def again(y, n): return y if n == 0 else again(y * x, n - 1)\n"
              "    o = Plain(h=x)\n    o.me = o\n    return again(o.h, 3)",
    "partial": "from functools import partial\ndef g(w, h): return tg.tanh(h * w['cell']['W'])\n"
               "def scan(f, h): return f(f(h))\ndef f(x): return scan(partial(g, {'cell': {'W': x}}), x)",
    "ordered-dict": "from collections import OrderedDict\ndef g(s): return OrderedDict(s, h=tg.tanh(s['h']))\n"
                    "def f(x): return g(g(OrderedDict(h=x)))['h']",
    "user-dict": "from collections import UserDict\ndef g(s): return UserDict(h=tg.tanh(s['h']))\n"
                 "def f(x): return g(g(UserDict(h=x)))['h']",
    "chain-map": "from collections import ChainMap\ndef g(s): return s.new_child({'h': tg.tanh(s['h'])})\n"
                 "def f(x): return g(g(ChainMap({'h': x})))['h']",
    "argparse": "from argparse import Namespace\ndef g(s): return Namespace(h=tg.tanh(s.h))\n"
                "def f(x): return g(g(Namespace(h=x))).h",
}  # fmt: skip


@pytest.mark.parametrize("name", GONE)
def test_what_is_gone_with_the_recording_is_not_refused(name: str) -> None:
    space = world(GONE[name])
    first, eager = both(space)
    np.testing.assert_array_equal(first, eager)


class Shy:
    """Says so when anything but its type is looked at, as names kept for old callers do."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"somebody looked at {name}")


def test_what_modules_hold_is_nobodys_business() -> None:
    """Every module is reached from `os` through `sys.modules`; PyTorch has names that warn."""
    sys.shy = Shy()  # type: ignore[attr-defined]
    try:
        fast = tg.jit(lambda x: x * len(os.sep))
        assert fast(tg.tensor(2.0)).item() == 2
    finally:
        del sys.shy  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "kind", [list, deque, lambda a: dict(enumerate(a)), lambda a: OrderedDict(enumerate(a))]
)
def test_items_of_a_large_container_change_places_between_two_recordings(kind: Any) -> None:
    """The second reads another place, where the same tensor lies by now."""
    many = kind([tg.tensor(float(k)) for k in range(300)])
    fast = tg.jit(lambda x: x * many[x.shape[0]])
    fast(tg.ones(5))
    many[5], many[7] = many[7], many[5]
    for n, scale in ((7, 5.0), (5, 7.0), (7, 5.0)):
        np.testing.assert_array_equal(fast(tg.ones(n)).numpy(), np.full(n, scale))
