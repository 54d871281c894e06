"""Kernels stay within their arrays, processes do not hang, copies work on their own arrays."""

import copy
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import lookups
import numpy as np
import pytest
from processes import HERE, python

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.compiler.runtime import cache, threads as sharing
from tinygrad_rnn.errors import ShapeError
from tinygrad_rnn.kernels import rows, scatter
from tinygrad_rnn.kernels.flags import DISABLED
from tinygrad_rnn.testing import check_jit

# numbers out of range -----------------------------------------------------------------------


def test_lookups_out_of_range_raise_what_eager_code_raises() -> None:
    """Every program of the table, without the compiler."""
    said = python(str(HERE / "lookups.py"), NUMBA_DISABLE_JIT="1")
    assert said.split() == [word for name in lookups.PROGRAMS for word in ("ok", name)]


@pytest.mark.skipif(DISABLED, reason="compiled kernels")
@pytest.mark.parametrize("part", range(4))
def test_compiled_lookups_out_of_range(part: int) -> None:
    """The same compiled, in a process of its own: one that leaves its arrays would end it."""
    names = list(lookups.PROGRAMS)[part::4]
    assert python(str(HERE / "lookups.py"), *names).split() == [w for n in names for w in ("ok", n)]


@pytest.mark.parametrize("name", ["raw-targets", "embedding-in-step", "one-hot-of-state"])
def test_lookups_out_of_range_on_two_threads(name: str, shared_out: None) -> None:
    lookups.check(name)


def test_kernels_refuse_numbers_out_of_range() -> None:
    x, out = np.zeros((2, 3), np.float32), np.zeros((4, 3), np.float32)
    for bad in (-5, 4, 2**62, -(2**62)):
        assert not scatter.add_rows(out, np.array([0, bad]), x)
        assert not rows.cross_entropy(x, np.array([0, bad]), np.zeros(2, np.float32))
    assert scatter.add_rows(out, np.array([-4, 3]), x + 1)
    assert out[:, 0].tolist() == [1, 0, 0, 1]
    largest = np.array([2**64 - 1], np.uint64)
    assert scatter.place(largest[0], 4) == -1
    with pytest.raises(ShapeError, match="out of range"):
        tg.ops.indexing.put_taken(x, np.array([0, 7]), axis=0, shape=(4, 3))


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_rows_of_nothing_are_not_read() -> None:
    nothing, two = np.zeros((2, 0), np.float32), np.zeros(2, np.float32)
    rows.softmax(nothing, nothing.copy())
    rows.log_softmax(nothing, nothing.copy())
    rows.logsumexp(nothing, two)
    assert not rows.cross_entropy(nothing, np.zeros(2, np.int64), two)


def test_a_value_of_another_shape_never_reaches_a_kernel() -> None:
    w = tg.tensor(np.ones((3, 3)), requires_grad=True)

    def loop(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.tanh(h @ w + x_t)
        return h.sum()

    fast = tg.jit(loop)
    fast(tg.ones(6, 2, 3, dtype="float64")).backward()
    compiled = fast._last.compiled  # type: ignore[union-attr]
    with pytest.raises(ShapeError, match=r"in place of"):
        compiled.run([np.ones((6, 1, 3)), np.ones((3, 3))])


# processes and threads ------------------------------------------------------------------------

FORK = """
import multiprocessing, os, signal, sys
import numpy as np, tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.runtime import threads

threads.LEAST_WORK = 0
tg.set_num_threads(2)
net = nn.GRU(3, 4).astype("float64")
x = tg.tensor(np.ones((6, 8, 3)))
fast = tg.jit(lambda x: (net(x)[0] ** 2).mean())

def call():
    net.zero_grad()
    loss = fast(x)
    loss.backward()
    return float(loss) + sum(float(p.grad.sum()) for p in net.parameters())

def child(queue):
    queue.put(call())

wanted = call()
pid = os.fork()
if pid == 0:
    signal.alarm(60)
    os._exit(0 if call() == wanted else 1)
assert os.waitpid(pid, 0)[1] == 0, "a forked child hangs or computes something else"
context = multiprocessing.get_context("fork")
queue = context.Queue()
workers = [context.Process(target=child, args=(queue,)) for _ in range(2)]
for w in workers:
    w.start()
assert [queue.get(timeout=60) for _ in workers] == [wanted] * 2
for w in workers:
    w.join(60)
assert call() == wanted
print("forked")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_runs_on_threads_of_its_own() -> None:
    assert python("-W", "ignore", "-c", FORK, timeout=200) == "forked\n"


def together(*jobs: Any) -> list[Any]:
    """What functions give that run in threads at the same time, started by one signal."""
    found: list[Any] = [None] * len(jobs)
    start = threading.Barrier(len(jobs))

    def work(k: int) -> None:
        start.wait()
        try:
            found[k] = jobs[k]()
        except BaseException as error:
            found[k] = error

    running = [threading.Thread(target=work, args=(k,)) for k in range(len(jobs))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(120)
    for result in found:
        if isinstance(result, BaseException):
            raise result
    return found


def test_threads_that_call_one_function(shared_out: None, caplog: Any) -> None:
    """Eight threads, each with inputs of its own, while another sets the number of threads."""
    net = nn.LSTM(3, 4).astype("float64")
    rng = np.random.default_rng(0)
    xs = [tg.tensor(rng.standard_normal((6, 8, 3)), requires_grad=True) for _ in range(8)]

    def loss(x: Any) -> Any:
        y, (h, _) = net(x)
        return (y * y).mean() + (h * x[0, 0, 0]).sum()

    def gradients(fn: Any, x: Any) -> list[Any]:
        value = fn(x)
        found = tg.grad(value, [x, *net.parameters()])
        return [value.numpy(), *(g.numpy() for g in found)]

    wanted = [gradients(loss, x) for x in xs]
    fast = tg.jit(loss)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for n in (1, 2, 3):
                tg.set_num_threads(n)

    def calls(k: int) -> Any:
        for _ in range(20):
            for a, b in zip(gradients(fast, xs[k]), wanted[k], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        together(*(lambda k=k: calls(k) for k in range(8)))
    finally:
        done.set()
        changing.join()
    assert caplog.text == ""


def test_threads_that_jit_one_loop(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Four threads compile the same source: once, and in silence."""
    made, make = [], cache._import
    monkeypatch.setattr(cache, "_loaded", {})
    monkeypatch.setattr(cache, "_import", lambda *what: (made.append(what), make(*what))[1])
    w = tg.tensor(np.eye(3) * 0.7, requires_grad=True)

    def loop(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.tanh(h @ w * 0.5 - x_t)
        return h.sum()

    x = tg.tensor(np.ones((6, 2, 3)))
    assert len({r.item() for r in together(*[lambda: tg.jit(loop)(x)] * 4)}) == 1
    assert len(made) == 1
    assert caplog.text == ""
    assert check_jit(tg.jit(loop), x, parameters=[w])


AT_EXIT = """
import atexit, threading
import numpy as np, tinygrad_rnn as tg
from tinygrad_rnn.compiler.runtime import threads

threads.LEAST_WORK = 0
tg.set_num_threads(3)
net = tg.nn.GRU(3, 4)
x = tg.tensor(np.ones((6, 9, 3), np.float32))
fast = tg.jit(lambda x: (net(x)[0] ** 2).mean())

def no_thread(self):
    raise RuntimeError("can't start new thread")

start, threading.Thread.start = threading.Thread.start, no_thread
first = fast(x).item()
threading.Thread.start = start
assert fast(x).item() == first
atexit.register(lambda: print("at exit", fast(x).item() == first))
"""


def test_where_no_thread_is_to_be_had() -> None:
    """At the system's limit, and at the end of the process, shards run one after the other."""
    assert python("-c", AT_EXIT) == "at exit True\n"


def test_a_call_waits_for_all_its_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in one leaves none running: they write to memory that the next call uses."""
    monkeypatch.setitem(sharing._settings, "threads", 3)
    began, left, too_soon = threading.Barrier(3), threading.Event(), []

    def call(k: int) -> bool:
        began.wait(10)
        if k == 0:
            raise KeyboardInterrupt
        too_soon.append(left.wait(0.1))  # the time that a caller has to leave by mistake
        return True

    with pytest.raises(KeyboardInterrupt):
        sharing.in_parallel(call, [[0], [1], [2]], blas=False)
    left.set()
    assert too_soon == [False, False]


# copies of optimisers -------------------------------------------------------------------------

OPTIMISERS: dict[str, Any] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1, amsgrad=True),
    "NAdam": lambda p: optim.NAdam(p, lr=0.1),
    "LBFGS": lambda p: optim.LBFGS(p, lr=0.1, max_iter=1),
    "groups": lambda p: optim.RMSprop(
        [
            {"params": p[:1], "momentum": 0.5},
            *([{"params": p[1:], "centered": True}] if p[1:] else []),
        ]
    ),
}
RESUME = """
import pickle, sys
optimizer = pickle.load(open(sys.argv[1], "rb"))
for _ in range(3):
    def closure():
        for p in optimizer.params:
            p.grad = p.detach() * 0.5 + 1
        return 1.0
    optimizer.step(closure)
pickle.dump([p.numpy() for p in optimizer.params], open(sys.argv[1], "wb"))
"""


def go_on(optimizer: Any, steps: int = 3) -> list[Any]:
    for _ in range(steps):

        def closure() -> float:
            for p in optimizer.params:
                p.grad = p.detach() * 0.5 + 1
            return 1.0

        optimizer.step(closure)
    return [p.numpy().copy() for p in optimizer.params]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_copied_optimiser_goes_on_with_arrays_of_its_own(name: str, tmp_path: Path) -> None:
    """Stepped, then copied, pickled here, or pickled for another process: the same bits."""
    shapes = [(3, 4), (4,), (), (0, 2)]
    first = OPTIMISERS[name]([tg.tensor(np.ones(s), requires_grad=True) for s in shapes])
    go_on(first)
    (tmp_path / "optimizer").write_bytes(pickle.dumps(first))
    copies = [copy.deepcopy(first), pickle.loads(pickle.dumps(first))]
    before = [p.numpy().copy() for p in first.params]
    results = [go_on(c) for c in copies]
    assert all(map(np.array_equal, before, [p.numpy() for p in first.params]))
    python("-c", RESUME, str(tmp_path / "optimizer"))
    results.append(pickle.loads((tmp_path / "optimizer").read_bytes()))
    wanted = go_on(first)
    assert not np.array_equal(wanted[0], before[0])
    for result in results:
        assert all(map(np.array_equal, result, wanted))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_replaced_arrays_are_the_ones_updated(name: str) -> None:
    p = tg.tensor(np.ones(3), requires_grad=True)
    optimizer, other = OPTIMISERS[name]([p]), OPTIMISERS[name]([tg.ones(3, dtype="float64")])
    go_on(optimizer, 2)
    old = p.numpy()
    kept = old.copy()
    p._array = kept.copy()
    go_on(optimizer, 2)
    assert np.array_equal(old, kept)
    optimizer.load_state_dict(other.state_dict())
    p.assign_(np.ones(3))
    assert np.array_equal(go_on(optimizer, 2)[0], go_on(other, 2)[0])
