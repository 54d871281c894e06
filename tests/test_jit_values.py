"""Arguments of every kind, by value: another object with the same in it needs no new recording."""

import collections
import dataclasses
import enum
import functools
import gc
import types
import weakref
from typing import Any

import numpy as np
import pytest
from traps import world

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.api import TWINS


@dataclasses.dataclass
class Open:
    a: Any
    t: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: Any
    t: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    a: Any
    t: Any = None


class Plain:
    def __init__(self, **attributes: Any):
        self.__dict__.update(attributes)


class Colour(enum.Enum):
    RED, BLUE = 2.0, 3.0


class Derived(Plain):
    @property
    def twice(self) -> Any:
        return self.a * 2


x = tg.tensor([1.0, 2.0, 3.0])
SPACE: dict[str, Any] = {
    "tg": tg,
    "nn": nn,
    "np": np,
    "x": x,
    **vars(dataclasses),
    **vars(collections),
    **vars(types),
}
SPACE |= {c.__name__: c for c in (Open, Frozen, Slotted, Plain, Colour, Derived)}
SPACE["partial"] = functools.partial

# name: f(x, a), an argument, others that are as good, others that mean another program
KINDS: dict[str, tuple[str, str, list[str], list[str]]] = {
    "none": ("x if a is None else x * a", "None", ["None"], ["2.0", "3"]),
    "string": ("getattr(tg, a)(x)", "'sin'", ["'s' + 'in'"], ["'cos'"]),
    "bytes": ("x * a[0]", "b'a'", ["bytes([97])"], ["b'b'"]),
    "byte-array": ("x * a[0]", "bytearray(b'a')", ["bytearray(b'a')"], ["bytearray(b'b')"]),
    "complex": ("x * a.imag", "2j", ["complex(0, 2)"], ["3j", "complex(-0.0, 2)"]),
    "boolean-for-number": ("x * 2 if a is True else x * a", "1", ["1"], ["True", "1.0"]),
    "range": ("sum(x * k for k in a) + x", "range(3)", ["range(3)"], ["range(1, 3)", "range(0)", "range(5, 5)"]),
    "slice": ("x[a].sum()", "slice(0, 2)", ["slice(0, 2)"], ["slice(0, 1)", "slice(0, 2, 1)"]),
    "slices": ("x[a['k'][0]].sum()", "{'k': (slice(0, 2),)}", ["{'k': (slice(0, 2),)}"], ["{'k': (slice(1, 2),)}"]),
    "set": ("x * sum(a)", "{1, 2}", ["{2, 1}"], ["{1, 3}", "frozenset({1, 2})"]),
    "frozen-set": ("x * (7 in a)", "frozenset({7})", ["frozenset({7})"], ["frozenset({8})"]),
    "numpy-float64": ("x * a", "np.float64(2)", ["np.float64(2)"], []),
    "numpy-float32": ("x * float(a)", "np.float32(.1)", ["np.float32(.1)"], ["np.float64(.1)"]),
    "numpy-integer": ("sum(x for _ in range(a))", "np.int64(2)", ["np.int64(2)"], ["np.int32(3)"]),
    "numpy-index": ("x[a] * 2", "np.int64(2)", ["np.int64(2)"], ["np.int64(1)"]),
    "numpy-boolean": ("x if a else -x", "np.bool_(True)", ["np.bool_(1)"], ["np.bool_(False)"]),
    "dtype": ("x.astype(a)", "np.dtype('f4')", ["np.dtype('f4')"], ["np.dtype('f8')"]),
    "class": ("x.astype(a)", "np.float32", ["np.float32"], ["np.float64"]),
    "enumeration": ("x * a.value", "Colour.RED", ["Colour(2.0)"], ["Colour.BLUE"]),
    "list": ("x * a[0]", "[2]", ["[2]"], ["[3]", "[2, 2]", "(2,)"]),
    "ordered-dict": ("x * sum(a.values()) * len(list(a)[0])", "OrderedDict(k=2)", ["OrderedDict(k=2)"],
                     ["OrderedDict(k=3)", "OrderedDict(kk=2)", "dict(k=2)"]),
    "ordered-dict-of-tensors": ("x * a['k']", "OrderedDict(k=x)", ["OrderedDict(k=x * 2)", "OrderedDict(k=x + 1)"],
                                ["OrderedDict(k=x[:1])", "OrderedDict(j=1, k=x)"]),
    "default-dict": ("x * a['k']", "defaultdict(int, k=2.0)", ["defaultdict(int, k=2.0)"],
                     ["defaultdict(int, k=3.0)", "defaultdict(lambda: 4.0, k=2.0)"]),
    "deque-of-tensors": ("x * a[0] + a[-1]", "deque([x, x * 2])", ["deque([x * 3, x])"], ["deque([x])", "deque([x, x, x])"]),
    "dataclass": ("x * a.a", "Open(2)", ["Open(2)", "Open(2, 'not read')"], ["Open(3)", "Frozen(2)"]),
    "dataclass-frozen": ("x * a.a", "Frozen(2)", ["Frozen(2)"], ["Frozen(3)"]),
    "dataclass-slots": ("x * a.a", "Slotted(2)", ["Slotted(2)"], ["Slotted(3)"]),
    "dataclass-of-tensors": ("x * a.t + a.a", "Open(x, x)", ["Open(t, t)"], ["Open(x, x * 2)"]),
    "dataclass-of-a-tensor": ("x * a.t", "Frozen(2, x)", ["Frozen(2, x * 2)", "Frozen(7, x * 3)"], ["Frozen(2, x[:1])"]),
    "dataclass-replaced": ("replace(a, t=a.t * 2).t * x", "Frozen(2, x)", ["Frozen(2, x * 2)"], ["Frozen(2, x[:1])"]),
    "slots-of-a-tensor": ("x * a.t", "Slotted(2, x)", ["Slotted(2, x * 2)"], ["Slotted(2, x[:1])"]),
    "object": ("x * a.a", "Plain(a=2)", ["Plain(a=2)", "Plain(a=2, unread=5)"], ["Plain(a=3)", "Derived(a=2)"]),
    "object-of-tensors": ("x * a.t[0] + a.d['k']", "Plain(t=[x], d={'k': x})",
                          ["Plain(t=[u], d={'k': u})"], ["Plain(t=[x], d={'k': x * 2})", "Plain(t=[x, x], d={'k': x})"]),
    "object-nested": ("x * a.p.a + a.p.q[0].t", "Plain(p=Plain(a=2, q=(Plain(t=x),)))",
                      ["Plain(p=Plain(a=2, q=(Plain(t=x * 2),)))"],
                      ["Plain(p=Plain(a=3, q=(Plain(t=x),)))", "Plain(p=Plain(a=2, q=(Open(2, x),)))"]),
    "object-of-an-array": ("x * a.t", "Plain(t=np.ones(3, 'f'))", ["Plain(t=np.ones(3, 'f'))"], ["Plain(t=np.full(3, 2, 'f'))"]),
    "object-of-a-large-array": ("x * a.t[0]", "Plain(t=tg.tensor(np.ones((2000, 3), 'f')))",
                                ["Plain(t=tg.tensor(np.full((2000, 3), 2, 'f')))"], []),
    "object-of-a-module": ("a.m(x)", "Plain(m=m)", ["Plain(m=m)"], ["Plain(m=nn.Linear(3, 3))"]),
    "object-that-lacks": ("x * getattr(a, 'a', 5)", "Plain()", ["Plain()"], ["Plain(a=2)"]),
    "object-in-itself": ("x * a.me.me.a", "ring(2)", ["ring(2)"], ["ring(3)"]),
    "object-in-a-list": ("x * a[0].a", "[Plain(a=2)]", ["[Plain(a=2)]"], ["[Plain(a=3)]"]),
    "two-that-are-one": ("x * a[0].t + a[1].t", "[o := Plain(t=x), o]", ["[o := Plain(t=x * 2), o]"],
                         ["[Plain(t=x), Plain(t=x * 2)]"]),
    "property": ("x * a.twice", "Derived(a=2)", ["Derived(a=2)"], ["Derived(a=3)"]),
    "namespace": ("x * a.t", "SimpleNamespace(t=x)", ["SimpleNamespace(t=x * 2)"], ["SimpleNamespace(t=x[:1])"]),
    "lambda": ("a(x)", "twice(2)", ["twice(2)"], ["twice(3)", "lambda y: y * 4"]),
    "lambda-of-a-tensor": ("a(x)", "twice(x)", ["twice(x * 2)"], ["twice(x[:1])"]),
    "bound-method": ("a(x)", "Decoder(2).run", ["Decoder(2).run"], ["Decoder(3).run"]),
    "partial": ("a(x)", "partial(tg.clip, min=0.0, max=2.5)", ["partial(tg.clip, min=0.0, max=2.5)"],
                ["partial(tg.clip, min=0.0, max=1.5)"]),
    "named-tuple": ("x * a.a + a.t", "P(2, x)", ["P(2, x * 2)"], ["P(3, x)"]),
}  # fmt: skip
MORE = """
t = u = x * 5
m = nn.Linear(3, 3)
P = namedtuple("P", "a t")
class Decoder:
    def __init__(self, k): self.k = k
    def run(self, x): return x * self.k
def twice(k): return lambda y: y * k
def ring(a):
    o = Plain(a=a)
    o.me = o
    return o
"""


@pytest.mark.filterwarnings("ignore::tinygrad_rnn.CaptureWarning")
@pytest.mark.parametrize("name", KINDS)
def test_an_argument_by_value(name: str) -> None:
    body, first, alike, unlike = KINDS[name]
    space = world(f"{MORE}\ndef f(x, a): return {body}", **SPACE)
    space["x"] = x
    recorded = space["fast"]._recordings

    def same(text: str) -> None:
        a = eval(text, space)
        for _ in range(2):
            expected, found = space["f"](x, a), space["fast"](x, a)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found.numpy(), expected.numpy())

    same(first)
    for text in alike:
        same(text)
        assert recorded.count == 1, f"{text} was recorded anew"
    for k, text in enumerate(unlike):
        same(text)
        assert recorded.count == 2 + k, f"{text} was not recorded"
        same(first)
        same(text)


CHANGES = {
    "dataclass": ("Open(2, x)", "x * a.t * a.a", ["a.a = 3", "a.t = x * 2", "a.t = x * 3"]),
    "object": ("Plain(a=[2], t=x)", "x * a.t * a.a[0]", ["a.a[0] = 3", "a.t = x * 2", "a.a = [4]"]),
    "ordered-dict": (
        "OrderedDict(k=2)",
        "x * sum(a.values())",
        ["a['k'] = 3", "a['j'] = 4", "del a['k']"],
    ),
    "set": ("{1, 2}", "x * sum(a)", ["a.add(5)", "a.remove(1)"]),
    "byte-array": ("bytearray(b'a')", "x * a[0]", ["a[0] = 5"]),
    "slots": ("Slotted(2, x)", "x * a.t * a.a", ["a.a = 3", "a.t = x * 2"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_an_argument_is_noticed(name: str) -> None:
    """Of the one that was recorded with, and of one that took its place."""
    first, body, changes = CHANGES[name]
    space = world(f"{MORE}\ndef f(x, a): return {body}", **SPACE)
    space["x"] = x
    for text in ("a = first = " + first, "a = second = " + first, "a = " + first):
        exec(text, space)
        for change in ["", *changes]:
            exec(change, space)
            for name in ("a", "first"):
                found = space["fast"](x, space[name])
                np.testing.assert_array_equal(found.numpy(), space["f"](x, space[name]).numpy())


# functions for which two objects with the same in them are not the same
TOLD_APART = {
    "is": "o = Plain(a=2)\ndef f(x, a): return x if a is o else -x",
    "is-not": "o = Plain(a=2)\ndef f(x, a): return x if a is not o else -x",
    "id": "o = Plain(a=2)\ndef f(x, a): return x if id(a) == id(o) else -x",
    "in-a-list": "o = Plain(a=2)\nos = [o]\ndef f(x, a): return x if a in os else -x",
    "in-a-dict": "o = Plain(a=2)\nd = {o: 2.0}\ndef f(x, a): return x * d.get(a, 5.0)",
    "in-an-attribute": "o = Plain(a=2)\np = Plain(o=o)\ndef f(x, a):\n    p.o.a\n    return x if p.o == a else -x",
    "in-a-tuple": "o = Plain(a=2)\nos = (o,)\ndef f(x, a): return x * os.count(a)",
    "global-of-the-same": "o = Plain(a=2, t=x)\ndef f(x, a): return a.t - o.t",
}


@pytest.mark.parametrize("name", TOLD_APART)
def test_objects_that_code_tells_apart(name: str) -> None:
    space = world(TOLD_APART[name], **SPACE)
    for text in ("o", "Plain(a=2, t=x * 2)", "o", "Plain(a=2, t=x * 3)"):
        a = eval(text, space)
        np.testing.assert_array_equal(space["fast"](x, a).numpy(), space["f"](x, a).numpy())


def test_gradients_reach_the_tensors_in_objects() -> None:
    fast = tg.jit(lambda batch, w: (batch.t * w * batch.a).sum())
    w = nn.Parameter([1.0, 1.0, 1.0])
    for k in range(1, 4):
        batch = Open(2, tg.tensor([1.0, 2.0, 3.0 * k], requires_grad=True))
        w.grad = None
        fast(batch, w).backward()
        assert batch.t.grad.tolist() == [2, 2, 2]
        assert w.grad.tolist() == [2, 4, 6 * k]
    assert fast._recordings.count == 1


def test_fresh_objects_are_not_kept() -> None:
    fast, alive = tg.jit(lambda x, batch: x * batch.t), []
    for k in range(20):
        batch = Plain(t=x * k)
        alive.append(weakref.ref(batch))
        assert fast(x, batch).tolist() == (x * x * k).tolist()
    del batch
    gc.collect()
    assert fast._recordings.count == 1
    assert sum(made() is not None for made in alive) <= TWINS + 1


def test_a_few_objects_take_turns_without_a_look_at_the_others() -> None:
    fast, batches = tg.jit(lambda x, batch: x * batch.t), [Plain(t=x * k) for k in range(3)]
    for batch in batches * 2:
        fast(x, batch)
    entries = [fast._entries[key] for key in fast._entries]
    for k, batch in enumerate(batches * 2):
        assert fast(x, batch).tolist() == (x * x * (k % 3)).tolist()
    assert [fast._entries[key] for key in fast._entries] == entries
