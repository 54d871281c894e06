"""Copies of jitted functions, and of modules that hold them: deep ones, and through pickle."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from processes import python

import tinygrad_rnn as tg
from tinygrad_rnn import nn

SCALE = 3.0


@tg.jit
def tripled(x: Any) -> Any:
    return x * SCALE


def plain(x: Any) -> Any:
    return x * SCALE


class Held(nn.Module):
    """A module that holds what it jitted of itself."""

    def __init__(self) -> None:
        self.w = nn.Parameter([1.0, 2.0])
        self.step = tg.jit(self.loss)

    def loss(self, x: Any) -> Any:
        return (x * self.w).sum()

    def forward(self, x: Any) -> Any:
        return self.step(x)


class Decorated(nn.Module):
    """A module whose method is jitted for all of its class."""

    def __init__(self) -> None:
        self.w = nn.Parameter([1.0, 2.0])

    @tg.jit
    def forward(self, x: Any) -> Any:
        return (x * self.w).sum()


class Replaced(nn.Module):
    """A module whose own forward is jitted."""

    def __init__(self) -> None:
        self.inner = Held()
        self.w = self.inner.w
        self.forward = tg.jit(self.forward)

    def forward(self, x: Any) -> Any:
        return self.inner(x) + 0 * self.w.sum()


class Layer(nn.Module):
    """A module that holds a jitted module and a jitted function."""

    def __init__(self) -> None:
        self.inner = Decorated()
        self.w = self.inner.w
        self.fast = tg.jit(self.inner)
        self.triple = tg.jit(plain)

    def forward(self, x: Any) -> Any:
        return self.triple(self.fast(x)) / 3


def through_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle])
@pytest.mark.parametrize("kind", [Held, Decorated, Replaced, Layer])
def test_a_copied_module_is_one_of_its_own(kind: Any, copied: Any) -> None:
    net, x = kind(), tg.tensor([1.0, 10.0])
    assert net(x).item() == 21
    twin = copied(net)
    twin.w.assign_([5.0, 5.0])
    for _ in range(2):
        assert (twin(x).item(), net(x).item()) == (55, 21)
    twin(x).backward()
    assert net.w.grad is None
    assert twin.w.grad.tolist() == [1, 10]
    owner = twin.inner if hasattr(twin, "inner") else twin
    twin.w = owner.w = nn.Parameter([0.0, 1.0])
    assert (twin(x).item(), net(x).item()) == (10, 21)


def test_a_jitted_method_copied_by_itself() -> None:
    net, x = Held(), tg.tensor([1.0, 10.0])
    for copied in (copy.deepcopy, through_pickle):
        step = copied(net.step)
        owner = step.fn.__self__
        owner.w.assign_([2.0, 2.0])
        assert (step(x).item(), owner.step(x).item(), net.step(x).item()) == (22, 22, 21)
    assert copy.copy(net.step)(x).item() == 21


def test_functions_are_themselves() -> None:
    fast = tg.jit(plain)
    assert copy.deepcopy(tripled) is tripled
    assert through_pickle(tripled) is tripled
    assert through_pickle(Decorated.forward) is Decorated.forward
    assert through_pickle(fast)(tg.tensor([2.0])).item() == 6
    assert through_pickle(tg.jit(plain, audit=3)).audit == 3


def test_what_pickle_cannot_find_is_refused_with_the_way_out() -> None:
    for fn in (lambda x: x * 2, through_pickle.__class__(plain.__code__, {}, "plain")):
        with pytest.raises(pickle.PicklingError, match="define it at the top of a module"):
            pickle.dumps(tg.jit(fn))


def test_a_pickle_is_read_in_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "held.py").write_text(
        "import tinygrad_rnn as tg\nfrom tinygrad_rnn import nn\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        self.w = nn.Parameter([1.0, 2.0])\n"
        "        self.step = tg.jit(self.loss)\n    def loss(self, x): return (x * self.w).sum()\n"
        "@tg.jit\ndef twice(x): return x * 2\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import held  # type: ignore[import-not-found]

    net, x = held.Net(), tg.tensor([1.0, 10.0])
    assert net.step(x).item() == held.twice(x)[1].item() + 1
    (tmp_path / "net.pickle").write_bytes(pickle.dumps((net, held.twice, x)))
    printed = python(
        "-c",
        f"import pickle, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        f"net, twice, x = pickle.load(open({str(tmp_path / 'net.pickle')!r}, 'rb'))\n"
        "print(net.step(twice(x)).item())",
    )
    assert printed == "42.0\n"
