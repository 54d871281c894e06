"""The audit: calls that also run eagerly, and raise where the two differ."""

import random
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from traps import world

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import AuditError

# name: setup, change: values that no guard can see
UNSEEN: dict[str, tuple[str, str]] = {
    "long-list": ("a = [2.0] * 999\ndef f(x): return x * a[7]", "a[7] = 3.0"),
    "long-dict": ("a = dict.fromkeys(range(999), 2.0)\ndef f(x): return x * a[7]", "a[7] = 3.0"),
    "large-array": ("a = np.full(9999, 2.0)\ndef f(x): return x * float(a[7])", "a[7] = 3.0"),
    "large-array-copied": ("a = np.full((999, 3), 2.0, 'f')\ndef f(x): return x * tg.tensor(a[:1])",
                           "a[0] = 3.0"),
    "array-of-another-library": (
        "import array\na = array.array('d', [2.0])\ndef f(x): return x * a[0]", "a[0] = 3.0"),
    "bytes-in-place": ("a = bytearray(b'2')\ndef f(x): return x * a[0]", "a[0] = 3"),
    "file": ("def f(x): return x * float(path.read_text())", "path.write_text('3.0')"),
    "environment": ("import os\nos.environ['TRAP'] = '2'\ndef f(x): return x * float(os.environ['TRAP'])",
                    "os.environ['TRAP'] = '3'"),
    "context-variable": ("import contextvars\na = contextvars.ContextVar('a')\na.set(2.0)\n"
                         "def f(x): return x * a.get()", "a.set(3.0)"),
    "weak-reference": ("import weakref\nkeep = [Plain(k=2.0), Plain(k=3.0)]\n"
                       "a = weakref.WeakValueDictionary(o=keep[0])\ndef f(x): return x * a['o'].k",
                       "a['o'] = keep[1]"),
    "library-object": ("from collections import UserDict\na = UserDict(k=2.0)\n"
                       "def f(x): return x * a['k']", "a['k'] = 3.0"),
    "python-random": ("import random\nrandom.seed(2)\ndef f(x): return x * random.random()",
                      "random.seed(3)"),
    "numpy-random": ("r = np.random.default_rng(2)\nstart = r.bit_generator.state\n"
                     "def f(x): return x * r.random()", ""),
    "clock": ("import time\ndef f(x): return x * (time.time_ns() % 1_000_003)", ""),
    "shape-of-a-large-array": ("a = np.ones(9999)\ndef f(x): return x * len(a)", "a.resize(2, refcheck=False)"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:tg.jit")
@pytest.mark.parametrize("name", UNSEEN)
def test_what_guards_cannot_see_the_audit_does(name: str, tmp_path: Path) -> None:
    setup, change = UNSEEN[name]
    (tmp_path / "value").write_text("2.0")
    space = world(setup, path=tmp_path / "value")
    x = tg.tensor([0.5, -1.0, 2.0])
    quiet, fast = tg.jit(space["f"], audit=0), tg.jit(space["f"], audit=2)
    first = quiet(x).numpy()
    fast(x)
    exec(textwrap.dedent(change), space)
    np.testing.assert_array_equal(quiet(x).numpy(), first)  # nothing else notices
    message = r"result is (\S+ compiled and \S+ eagerly at \(0,|float\S+ compiled, \S+ eager)"
    with pytest.raises(AuditError, match=message):
        fast(x)
    assert "frozen at capture" in quiet.explain()


def trained(audit: int) -> tuple[Any, Any, Any]:
    """A jitted loss, its layer and its input."""
    tg.manual_seed(0)
    net, x = nn.GRU(2, 3), tg.randn(5, 2, 2)
    return tg.jit(lambda x: (tg.dropout(net(x)[0], 0.3) ** 2).mean(), audit=audit), net, x


def test_a_wrong_gradient_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, _, x = trained(1)
    fast(x).backward()
    compiled = fast._last.compiled
    original = compiled.run_backward

    def wrong(*arguments: Any) -> Any:
        found = original(*arguments)
        found[1] = found[1] * 1.01
        return found

    monkeypatch.setattr(compiled, "run_backward", wrong)
    second = [x, *fast._last.guards.lifted][compiled.wanted[1]].name
    with pytest.raises(AuditError, match=rf"the gradient of {second} \[.*\] is .* eagerly at \(0"):
        fast(x).backward()


def test_the_audit_leaves_no_trace() -> None:
    """Gradients, hooks, random states and results are those of a call without it."""
    found = []
    for audit in (0, 1):
        fast, net, x = trained(audit)
        random.seed(0)
        w = net.weight_hh_l0
        seen: list[float] = []
        w.register_hook(lambda g, seen=seen: seen.append(float(g.sum())))
        h = tg.sin(x * w.sum())  # the input's own graph runs through a parameter of the function
        for _ in range(3):
            loss = fast(h)
            loss.backward(retain_graph=True)
        state = tg.ops.random.default_generator.state
        found.append((float(loss), w.grad.numpy(), seen, state, random.random()))
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][:1] + found[0][2:] == found[1][:1] + found[1][2:]


def test_every_nth_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    long = [0.0] * 999

    def run(x: Any) -> Any:
        long[0] += 1  # a long list is not looked at, so only recordings and audits call this
        return x * 2

    monkeypatch.setenv("TINYGRAD_RNN_AUDIT", "3")
    fast, never = tg.jit(run), tg.jit(run, audit=0)
    for _ in range(6):
        fast(tg.ones(2))
        calls.append(int(long[0]))
    assert calls == [1, 1, 2, 2, 2, 3]
    for _ in range(6):
        never(tg.ones(2))
    assert long[0] == 4


@pytest.mark.parametrize("bad", [-1, 1.5, True, "2"])
def test_audit_must_be_a_whole_number(bad: Any) -> None:
    with pytest.raises(ValueError, match="whole number from 0"):
        tg.jit(lambda x: x, audit=bad)
