"""Loops that look things up by numbers out of data, given numbers that are out of range.

Run as a script it goes through those named, or all, and prints "ok <name>" for each: in a
process of its own, so that a kernel that leaves its arrays fails a test and ends nothing else.
"""

import sys
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import ShapeError

T, B, C = 8, 4, 5  # steps, rows, classes


def state(p: Any, x: Any, h: Any) -> Any:
    return tg.tanh(h @ p["W"] + x)


def class_targets(p: Any, x: Any, n: Any) -> Any:
    h, loss = p["h"], 0.0
    for t in range(T):
        h = state(p, x[t], h)
        loss = loss + nn.cross_entropy(h, n[t])
    return loss


def weighted_targets(p: Any, x: Any, n: Any) -> Any:
    h, loss = p["h"], 0.0
    for t in range(T - 1, -1, -1):
        h = state(p, x[t], h)
        loss = loss + nn.cross_entropy(h, n[t], weight=p["w"].detach(), ignore_index=1)
    return loss


def raw_targets(p: Any, x: Any, n: Any) -> Any:
    h, losses = p["h"], []
    for t in range(T):
        h = state(p, x[t], h)
        losses.append(tg.softmax_cross_entropy(h, n[t]))
    return tg.stack(losses).sum()


def coded_inputs(p: Any, x: Any, n: Any) -> Any:
    h = p["h"]
    for t in range(T):
        h = state(p, x[t] + tg.one_hot(n[t], num_classes=C, dtype="float64"), h)
    return (h * h).sum()


def coded_state(p: Any, x: Any, n: Any) -> Any:
    h, k = p["h"], n[0]
    for t in range(T):
        h = state(p, x[t] * tg.one_hot(k, num_classes=C, dtype="float64"), h)
        k = tg.where(tg.eq(n[t], 2), 0, n[t])  # used at the next step
    return (h * h).sum()


def embedded(p: Any, x: Any, n: Any) -> Any:
    h = p["h"]
    for t in range(T):
        h = state(p, x[t] + tg.take(p["E"], n[t], axis=0), h)
    return (h * h).sum()


def embedded_backwards(p: Any, x: Any, n: Any) -> Any:
    h = p["h"]
    for t in range(0, T, 2):  # rows 7, 5, 3 and 1
        h = state(p, x[t] + tg.take(p["E"], n[T - 1 - t], axis=0), h)
    return (h * h).sum()


def embedded_later(p: Any, x: Any, n: Any) -> Any:
    h = p["h"]
    for t in range(T):
        h = state(p, x[t] + tg.take(p["E"], tg.maximum(n[t], -(C + 1)), axis=0), h)
    return (h * h).sum()


def from_start(p: Any, x: Any, n: Any) -> Any:
    h, table = p["h"], p["E"].detach()
    for t in range(T):
        words = tg.where(tg.eq(n[t], 2), 0, n[t])
        h = state(p, x[t] + tg.take(table, words, axis=0, negative=False), h)
    return (h * h).sum()


def layer(p: Any, x: Any, n: Any) -> Any:
    h = p["h"]
    for t in range(T):
        h = state(p, x[t] + tg.embedding(n[t], p["E"]), h)
    return (h * h).sum()


def fixed_table(p: Any, x: Any, n: Any) -> Any:
    h, table = p["h"], p["E"].detach()
    for t in range(T):
        h = state(p, x[t] + tg.take(table, tg.where(tg.eq(n[t], 2), 0, n[t]), axis=0), h)
    return (h * h).sum()


def numbers(p: Any, x: Any, n: Any) -> Any:
    h, table = p["h"], p["w"].detach()
    for t in range(T):
        scale = tg.take(table, tg.where(tg.eq(n[t], 2), 0, n[t]), axis=0)
        h = state(p, x[t] * tg.expand_dims(scale, 1), h)
    return (h * h).sum()


def one_number(p: Any, x: Any, n: Any) -> Any:
    h, table = p["h"], p["w"].detach()
    for t in range(T):
        h = state(p, x[t] * tg.take(table, tg.where(tg.eq(n[t, 1], 2), 0, n[t, 1]), axis=0), h)
    return (h * h).sum()


def rows_of_state(p: Any, x: Any, n: Any) -> Any:
    h = p["h"]
    for t in range(T):
        h = state(p, x[t], tg.take(h, n[t], axis=0))
    return (h * h).sum()


def columns_of_state(p: Any, x: Any, n: Any) -> Any:
    h = p["h"]
    for t in range(T):
        h = state(p, x[t], h) + tg.take_along_axis(h, tg.expand_dims(n[t], 1), axis=1)
    return (h * h).sum()


def counted(p: Any, x: Any, n: Any) -> Any:
    h, k = p["h"], n[0]
    for t in range(T):
        h = state(p, x[t] + tg.take(p["E"], k, axis=0), h)
        k = tg.where(tg.eq(n[t], k), k, n[t])
    return (h * h).sum()


def cast(p: Any, x: Any, n: Any) -> Any:
    h, table = p["h"], p["E"].detach()
    f = tg.astype(n, dtype="float64")
    for t in range(T):
        h = state(p, x[t] + tg.take(table, tg.astype(f[t] * 1.0, dtype="int64"), axis=0), h)
    return (h * h).sum()


# name: function, whether -1 counts from the end
PROGRAMS: dict[str, tuple[Any, bool]] = {
    "class-targets": (class_targets, False),
    "weighted-targets": (weighted_targets, False),
    "raw-targets": (raw_targets, False),
    "one-hot": (coded_inputs, True),
    "one-hot-of-state": (coded_state, True),
    "embedding": (embedded, True),
    "embedding-backwards": (embedded_backwards, True),
    "embedding-in-step": (embedded_later, True),
    "layer": (layer, False),
    "from-start": (from_start, False),
    "fixed-table": (fixed_table, True),
    "table-of-numbers": (numbers, True),
    "one-number": (one_number, True),
    "rows-of-state": (rows_of_state, True),
    "columns-of-state": (columns_of_state, True),
    "carried-index": (counted, True),
    "cast-index": (cast, True),
}


def parameters() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {"W": (C, C), "E": (C, C), "w": (C,), "h": (B, C)}
    return {k: tg.tensor(rng.standard_normal(s), requires_grad=True) for k, s in shapes.items()}


def outcome(fn: Any, p: Any, x: Any, n: Any) -> Any:
    """Value and gradients, or the error; after an error no gradient may be there."""
    for v in p.values():
        v.grad = None
    try:
        loss = fn(p, x, tg.tensor(n))
    except (ShapeError, tg.DTypeError) as error:
        assert all(v.grad is None for v in p.values())
        return type(error), str(error)
    loss.backward()
    return [loss.numpy(), *(None if v.grad is None else v.grad.numpy() for v in p.values())]


def agree(a: Any, b: Any) -> bool:
    if not isinstance(a, list) or not isinstance(b, list):
        return not isinstance(a, list) and not isinstance(b, list) and a == b
    pairs = list(zip(a, b, strict=True))
    if any((u is None) != (v is None) for u, v in pairs):
        return False
    return all(u is None or np.allclose(u, v, rtol=1e-9, atol=1e-12) for u, v in pairs)


def check(name: str) -> None:
    """Eager and jitted agree on good numbers, on each bad one, and on good ones again after it."""
    fn, negative = PROGRAMS[name]
    p = parameters()
    rng = np.random.default_rng(1)
    rows = B if name == "rows-of-state" else C
    x, good = rng.standard_normal((T, B, C)), rng.integers(0, min(rows, C), (T, B))
    fast = tg.jit(fn)
    x = tg.tensor(x)
    wanted = outcome(fn, p, x, good)
    assert isinstance(wanted, list), wanted
    assert agree(outcome(fast, p, x, good), wanted), f"{name}: good numbers"
    for bad in (rows, -1, -rows, -rows - 1, 10**6, -(10**6), 2**62):
        n = good.copy()
        n[3, 1] = bad
        eager, jitted = outcome(fn, p, x, n), outcome(fast, p, x, n)
        legal = 0 <= bad < rows or (negative and -rows <= bad < 0)
        assert isinstance(eager, list) == legal, (name, bad, eager)
        assert agree(jitted, eager), f"{name}, {bad}: {jitted} in place of {eager}"
    assert agree(outcome(fast, p, x, good), wanted), f"{name}: good numbers after bad ones"
    unread = np.concatenate([good, [[10**6] * B]])  # a row that no step reads
    if name == "embedding-backwards":
        unread[::2] = 10**6
    assert agree(outcome(fast, p, x, unread), wanted), f"{name}: a bad number that no step reads"
    with tg.no_grad():
        n = good.copy()
        n[3, 1] = rows
        for f in (fn, fast):
            try:
                f(p, x, tg.tensor(n))
            except ShapeError:
                continue
            raise AssertionError(f"{name}: no error without gradients")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or PROGRAMS:
        check(chosen)
        print("ok", chosen, flush=True)
