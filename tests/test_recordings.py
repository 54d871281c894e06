"""A function that is recorded again and again says so: once, with the reason and a way out."""

import warnings
from typing import Any

import pytest
from traps import world

import tinygrad_rnn as tg
from tinygrad_rnn.compiler.reasons import OFTEN

# name: setup, what is done before call k, the arguments of call k, words of the warning
AGAIN: dict[str, tuple[str, str, str, list[str]]] = {
    "int": ("def f(x, n): return x * n", "", "x, k",
            ["7 times since the argument n was another number (1, 2, 3, ...)", "tg.tensor(n)"]),
    "int-by-name": ("def f(x, *, n): return x * n", "", "x, n=k", ["the argument n was another number"]),
    "lengths": ("def f(x, lengths): return x * sum(lengths)", "", "x, [3, k]",
                ["the argument lengths[1] was another number", "pass lengths as one tensor"]),
    "in-a-dict": ("def f(x, state): return x * state['n']", "", "x, {'n': k}",
                  ["the argument state['n'] was another number"]),
    "named-tuple": ("from collections import namedtuple\nP = namedtuple('P', 'n')\n"
                    "def f(x, p): return x * p.n", "", "x, P(k)", ["the argument p.n was another number"]),
    "by-place": ("def f(*xs): return xs[0] * xs[1]", "", "x, k", ["the argument xs[1] was another number"]),
    "string": ("def f(x, name): return x * len(name)", "", "x, 'a' * k",
               ["the argument name was another value ('a', 'aa', 'aaa', ...)"]),
    "shape": ("def f(x): return x.sum()", "", "tg.ones(k + 1)",
              ["the argument x had another shape (float32[2], float32[3], float32[4], ...)", "pad it"]),
    "shape-in-a-method": ("class M(nn.Module):\n    def forward(self, x): return x.sum()\nf = M()", "",
                          "tg.ones(k + 1)", ["the argument x had another shape"]),
    "list-grows": ("def f(xs): return sum(xs)", "", "[x] * (k + 1)", ["the argument xs had another length"]),
    "keys": ("def f(xs): return sum(xs.values())", "", "{k: x}",
             ["the argument xs had other keys ([1], [2], [3], ...)"]),
    "function": ("def f(x, g): return g(x)", "", "x, lambda y: y * 2",
                 ["the argument g was another object (a function, ...)"]),
    "global": ("a = 0\ndef f(x): return x * a", "a = k", "x,",
               ["a, read at <string>:3, had changed (1, 2, 3, ...)", "pass it as an argument"]),
    "global-in-helper": ("a = 0\ndef g(x):\n    return x * a\ndef f(x): return g(x)", "a = k", "x,",
                         ["a, read at <string>:4, had changed"]),
    "attribute": ("o = Plain(k=0)\ndef f(x): return x * o.k", "o.k = k", "x,",
                  ["o.k, read at <string>:3, had changed (1, 2, 3, ...)"]),
    "attribute-that-appears": (
        "o = Plain()\ndef f(x): return x * len(vars(o))", "setattr(o, f'a{k}', 1.0)", "x,",
        ["o, read at <string>:3, had changed"]),
    "list": ("a = [1.0]\ndef f(x): return x * sum(a)", "a.append(1.0)", "x,", ["a, read at <string>:3, had changed"]),
    "list-item": ("a = [[1.0]]\ndef f(x): return x * a[0][0]", "a[0][0] = 1.0 * k", "x,",
                  ["a[0], read at <string>:3, had changed"]),
    "dict": ("a = {'k': 0}\ndef f(x): return x * a['k']", "a['k'] = k", "x,", ["a, read at <string>:3, had"]),
    "array": ("a = np.ones(1)\ndef f(x): return x * float(a[0])", "a[0] = k + 1", "x,",
              ["a, read at <string>:3, had changed"]),
    "closure": ("def make():\n    a = 0\n    def f(x): return x * a\n    def change(k):\n        nonlocal a\n"
                "        a = k\n    return f, change\nf, change = make()", "change(k)", "x,",
                ["a, read at <string>:4, had changed (1, 2, 3, ...)"]),
    "tensor-read": ("a = tg.tensor(0.0, name='a')\ndef f(x): return x * a.item()", "a.assign_(k)", "x,",
                    ["the value of a had changed"]),
    "tensor-shape": ("a = tg.ones(1)\ndef f(x): return x * a.sum()", "a = tg.ones(k + 1)", "x,",
                     ["a, read at <string>:3, had changed"]),
    "counter": ("o = Plain(k=0)\ndef f(x):\n    o.k += 1\n    return x * o.k", "", "x,",
                ["o.k, read at <string>:4, had changed"]),
}  # fmt: skip


def warnings_of(space: dict[str, Any], change: str, arguments: str) -> list[str]:
    """What calls of the world's function warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(2 * OFTEN):
            space["k"] = k
            exec(change, space)
            exec(f"fast({arguments})", space)
    assert all(w.category is tg.CaptureWarning for w in caught)
    assert all(w.filename == "<string>" for w in caught)  # the user's line
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("name", AGAIN)
def test_what_is_recorded_again_and_again_is_said_once(name: str) -> None:
    setup, change, arguments, words = AGAIN[name]
    said = warnings_of(world(setup), change, arguments)
    assert len(said) == 1
    assert f"was recorded {OFTEN} times" in said[0]
    for some in words:
        assert some in said[0]
