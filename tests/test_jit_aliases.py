"""What a jitted function returns shares memory with what eager code's result does, or is seen not to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CASES
from traps import world

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.compiler.lowering.table import lowering
from tinygrad_rnn.errors import CaptureError, GraphError
from tinygrad_rnn.op import OPS


def test_ops_that_give_views_are_known() -> None:
    found = set()
    for case in CASES:
        if case.attrs is not None:
            y = OPS[case.op].kernel(*case.inputs, **case.attrs)
            found |= {(case.op, k) for k, x in enumerate(case.inputs) if np.shares_memory(y, x)}
    assert found == {(name, 0) for name, op in OPS.items() if lowering(op).is_view}


def test_an_argument_returned_as_it_is() -> None:
    fast = tg.jit(lambda x, state, w: (x * 2, {"s": (state[1], x)}, w, w.detach()))
    x, s, w = tg.ones(3), tg.zeros(2), tg.tensor([1.0], requires_grad=True)
    for _ in range(2):
        y, more, same, cut = fast(x, [x, s], w)
        assert more["s"][0] is s
        assert more["s"][1] is x
        assert same is w
        assert cut is not w
        assert not cut.requires_grad
        assert y.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "inside", ["tg.ones(3)", "tg.tensor([1.0, 1.0, 1.0])", "tg.ones(3).detach()"]
)
def test_a_returned_constant_is_a_new_one_in_each_call(inside: str) -> None:
    space = world(f"def f(x): return x * 2, {inside}")
    first = space["fast"](space["x"])[1]
    first._array[...] = 7
    second = space["fast"](space["x"])[1]
    assert second is not first
    assert second.tolist() == [1, 1, 1]


@pytest.mark.parametrize("audit", [0, 1])
@pytest.mark.parametrize(
    "made",
    [
        "tg.tensor([1.0, 2.0, 3.0], requires_grad=True)",
        "nn.Parameter([1.0, 2.0, 3.0], name='w')",
        "required(tg.tensor([1.0, 2.0, 3.0]))",
        "hooked(tg.tensor([1.0, 2.0, 3.0], requires_grad=True))",
        "in_a_cycle(tg.tensor([1.0, 2.0, 3.0], requires_grad=True))",
    ],
)
def test_a_leaf_made_inside_is_a_new_one_in_each_call(made: str, audit: int) -> None:
    def required(w: Any) -> Any:
        w.requires_grad = True
        return w

    def hooked(w: Any) -> Any:
        w.register_hook(lambda g: g * 10)
        return w

    def in_a_cycle(w: Any) -> Any:
        def after(n: int) -> Any:  # it holds itself, and w
            return after(n - 1) if n else w

        return after(2)

    helpers = {"required": required, "hooked": hooked, "in_a_cycle": in_a_cycle}
    names = {"tg": tg, "nn": nn, **helpers}
    f = eval(f"lambda x, v: (w := {made}, w, (x * w * v).sum())", names)
    fast = tg.jit(f, audit=audit)
    x, v = tg.tensor([2.0, 3.0, 4.0]), tg.tensor([1.0, 1.0, 1.0], requires_grad=True)
    u = tg.tensor([1.0, 1.0, 1.0], requires_grad=True)
    plain, compiled = [f(x, u) for _ in range(3)], [fast(x, v) for _ in range(3)]
    for (w, _, loss), (y, same, loss_y) in zip(plain, compiled, strict=True):
        loss.backward()
        loss_y.backward()
        assert (type(y), y.name, y is same) == (type(w), w.name, True)
        assert y.grad.tolist() == w.grad.tolist()
        y.assign_(y * 0)  # seen by no other call
    assert v.grad.tolist() == u.grad.tolist()
    assert len({id(y) for y, _, _ in compiled}) == 3
    assert fast(x, v)[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("put", ["attribute", "item", "closure"])
def test_a_leaf_made_at_the_first_call_and_kept_stays_the_same(put: str) -> None:
    def attribute(x: Any) -> Any:
        if not hasattr(module, "w"):
            module.w = nn.Parameter([1.0, 2.0])
        return module.w, (x * module.w).sum()

    def item(x: Any) -> Any:
        if "w" not in known:
            known["w"] = nn.Parameter([1.0, 2.0])
        return known["w"], (x * known["w"]).sum()

    def closure(x: Any) -> Any:
        nonlocal held
        if held is None:
            held = nn.Parameter([1.0, 2.0])
        return held, (x * held).sum()

    module, known, held = nn.Module(), dict[str, Any](), None
    fast = tg.jit({"attribute": attribute, "item": item, "closure": closure}[put])
    for n in (1, 2, 3):
        w, loss = fast(tg.ones(2))
        loss.backward()
        assert w.grad.tolist() == [n, n]
        assert (
            w
            is {"attribute": lambda: module.w, "item": lambda: known["w"]}.get(put, lambda: held)()
        )


# results of a function of a leaf w of shape (4,)
LOOKS: dict[str, Callable[[Any], Any]] = {
    "as-it-is": lambda w: w,
    "reshape": lambda w: w.reshape(2, 2),
    "slice": lambda w: w[1:3],
    "item": lambda w: w[1],
    "transposed": lambda w: w.reshape(2, 2).T,
    "broadcast": lambda w: tg.broadcast_to(w, (3, 4)),
    "flip": lambda w: tg.flip(w, axis=0),
    "detach": lambda w: w.detach(),
    "slice-of-slice": lambda w: w[1:][1:],
    "second-result": lambda w: (w * 2, w[:2])[1],
    "no-view": lambda w: w * 2,
    "clone": lambda w: w.clone(),
    "astype": lambda w: w.astype("float32"),
    "gathered": lambda w: w[tg.tensor([0, 2])],
    "of-a-product": lambda w: (w * 2)[1:3],
    "last-step": lambda w: [x_t.reshape(1) for x_t in w][-1],
}


def overwritten(f: Any, how: str) -> Any:
    """What comes of f(w) in later code if w is written to between."""
    w, v = nn.Parameter([1.0, 2.0, 3.0, 4.0]), nn.Parameter(3.0)
    y = f(w)
    z = (y * y * v).sum()
    if how == "assign":
        w.assign_([5.0, 5.0, 5.0, 5.0])
    elif how == "step":
        w.grad = tg.ones(4)
        optim.SGD([w], lr=1.0).step()
        w.grad = None
    try:
        z.backward()
    except GraphError as error:
        return str(error)
    return None if w.grad is None else w.grad.tolist(), v.grad.tolist()


@pytest.mark.parametrize("how", ["not", "assign", "step"])
@pytest.mark.parametrize("name", LOOKS)
def test_a_result_that_is_a_view_of_what_is_overwritten(name: str, how: str) -> None:
    f = LOOKS[name]
    assert overwritten(tg.jit(f), how) == overwritten(f, how)


@pytest.mark.parametrize("how", ["assign", "step"])
@pytest.mark.parametrize(
    "name",
    [n for n in LOOKS if n not in ("no-view", "clone", "astype", "gathered", "of-a-product")],
)
def test_a_view_kept_for_the_backward_pass_is_watched(name: str, how: str) -> None:
    fast = tg.jit(lambda w: (LOOKS[name](w) ** 3).sum())
    found, right = overwritten(fast, how), overwritten(fast, "not")
    assert found == right or "changed in place" in found
    assert found != right or name in ("last-step", "detach")  # which need nothing of w


def test_results_cannot_be_overwritten_where_that_would_change_an_input() -> None:
    x = tg.tensor([1.0, 2.0])
    for f in (lambda x: x.detach(), lambda x: x[:], lambda x: x.reshape(2)):
        with pytest.raises(GraphError, match="shares another's"):
            tg.jit(f)(x).assign_([5.0, 5.0])
    assert x.tolist() == [1, 2]
    tg.jit(lambda x: x + 0)(x).assign_([5.0, 5.0])
    assert x.tolist() == [1, 2]


def test_two_results_in_one_memory() -> None:
    def run(x: Any) -> Any:
        y = x * 2
        return y, y.reshape(2, 1)

    for f in (run, tg.jit(run)):
        w = tg.tensor([3.0], requires_grad=True)
        y, again = f(tg.tensor([1.0, 2.0]))
        z = (again * w).sum()
        y.assign_([5.0, 5.0])
        assert again.tolist() == [[5.0], [5.0]]
        with pytest.raises(GraphError, match="changed in place"):
            z.backward()


def test_an_array_of_numpy_is_not_looked_at_by_results() -> None:
    a = np.array([[1.0, 2.0]], "f")
    fast = tg.jit(lambda x: (x * a, tg.reshape(tg.tensor(a), (2,))))
    y = fast(tg.ones(2))[1]
    a[0, 0] = 7
    assert y.tolist() == [1, 2]
    assert fast(tg.ones(2))[1].tolist() == [7, 2]


# name: f(x, a), the argument, where it is written to
WRITTEN: dict[str, tuple[str, str, str]] = {
    "append": ("def f(x, a):\n    a.append(x * 2)\n    return x", "[x]", "a is written to at <string>:3,"),
    "append-a-number": ("def f(x, a):\n    a.append(1.0)\n    return x * len(a)", "[1.0]", "a is written"),
    "item": ("def f(x, a):\n    y = x\n    a[0] = x * 2\n    return y", "[x]", "a is written to at <string>:4,"),
    "item-of-a-dict": ("def f(x, a):\n    a['h'] = x * 2\n    return x", "{'h': x}", "<string>:3"),
    "new-key": ("def f(x, a):\n    a['c'] = 1\n    return x", "{'h': x}", "<string>:3"),
    "pop": ("def f(x, a):\n    y = a.pop('h')\n    return x * y", "{'h': x}", "<string>:3"),
    "nested": ("def f(x, a):\n    for b in a['hs']:\n        b[0] = 2.0\n    return x", "{'hs': [(1, 2), [1.0]][1:]}",
               "a['hs'][0] is written to at <string>:4,"),
    "in-a-helper": ("def g(b, v):\n    b += [v]\n    return v\ndef f(x, a):\n    return g(a, x)", "[x]", "<string>:3"),
    "order": ("def f(x, a):\n    a.reverse()\n    return x * a[0]", "[1.0, 2.0]", "<string>:3"),
    "at-the-end": ("def f(x, a):\n    try:\n        return x\n    finally:\n        a.clear()", "[x]", "<string>:6"),
    "set": ("def f(x, a):\n    a.add(2)\n    return x * len(a)", "{1}", "<string>:3"),
    "bytes": ("def f(x, a):\n    a[0] = 2\n    return x * a[0]", "bytearray(b'1')", "<string>:3"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_an_argument_written_to_is_refused_with_the_line(name: str) -> None:
    setup, argument, words = WRITTEN[name]
    space = world(setup)
    space["a"], space["before"] = eval(argument, space), eval(argument, space)
    with pytest.raises(CaptureError, match="later calls would not repeat") as caught:
        space["fast"](space["x"], space["a"])
    assert words in str(caught.value)
    assert repr(space["a"]) == repr(space["before"])


def test_an_argument_written_to_and_put_back_is_no_matter() -> None:
    def run(x: Any, a: list[Any]) -> Any:
        a.append(x)
        return sum(a) + a.pop()

    assert tg.jit(run)(tg.ones(1), [tg.ones(1)]).item() == 3
