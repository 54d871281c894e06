"""Threads that share one jitted function, each with tensors and random numbers of its own."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from processes import python
from threadpoolctl import threadpool_info, threadpool_limits

import tinygrad_rnn as tg
from tinygrad_rnn.compiler.runtime.threads import num_threads
from tinygrad_rnn.op import primitive

blas_threads: list[int] = []


@primitive(shape=lambda x: x.shape)  # type: ignore[untyped-decorator]
def counting_blas_threads(x: Any) -> Any:
    blas_threads.extend(a["num_threads"] for a in threadpool_info() if a["user_api"] == "blas")
    return x.copy()


@pytest.fixture(autouse=True)
def switching_often() -> Any:
    between = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(between)


def together(job: Any, threads: int = 4) -> list[Any]:
    """What `job(k)` gives in threads that begin at once."""
    start = threading.Barrier(threads)

    def run(k: int) -> Any:
        start.wait()
        return job(k)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_each_thread_finds_its_own_tensors() -> None:
    """A tensor that lies where another thread sees another one is an input of its own calls only."""
    own = threading.local()
    own.w = tg.tensor(1.0)
    fast = tg.jit(lambda x: x * own.w + own.w)
    x = tg.tensor(2.0)
    fast(x)

    def job(k: int) -> bool:
        own.w = tg.tensor(float(k))
        return all(fast(x).item() == 3.0 * k for _ in range(500))

    assert together(job) == [True] * 4


def test_a_function_that_seeds_draws_the_same_in_every_thread() -> None:
    generator = tg.Generator(0)

    def run(x: Any) -> Any:
        generator.manual_seed(7)
        for _ in range(4):
            x = x * tg.rand(3, generator=generator)
        return x

    fast, x = tg.jit(run, audit=0), tg.ones(3)
    expected = run(x).tolist()
    assert fast(x).tolist() == expected
    assert together(lambda k: all(fast(x).tolist() == expected for _ in range(200))) == [True] * 4


FORK = """
import os, signal, threading
import numba

stop, busy = threading.Event(), threading.Event()

def compiles():
    while not stop.is_set():
        busy.set()
        numba.njit(lambda a: a + 1)(1)

import tinygrad_rnn as tg
tg.jit
thread = threading.Thread(target=compiles)
thread.start()
busy.wait()
for k in range(4):
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        os._exit(0 if numba.njit(lambda a: a + 2)(1) == 3 else 1)
    assert os.waitpid(pid, 0)[1] == 0, "a forked child waits for a lock that nobody holds"
stop.set()
thread.join()
print("forked")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_waits_for_what_is_being_compiled() -> None:
    assert python("-W", "ignore", "-c", FORK, timeout=200) == "forked\n"


def test_index_arrays_of_equal_numbers_are_two_if_they_lie_around() -> None:
    i, j = np.arange(2000) % 3, np.arange(2000) % 3  # too large to be looked at in every call
    fast = tg.jit(lambda x: x[i] - 2 * x[j])
    x = tg.tensor([1.0, 10.0, 100.0])
    assert fast(x).tolist()[:3] == [-1, -10, -100]
    j[0] = 2
    assert fast(x).tolist()[:3] == [1 - 200, -10, -100]


@pytest.mark.parametrize(
    ("shape", "columns", "threads", "found"),
    [
        ((20, 1, 64), 8, 2, 2),  # OpenBLAS itself keeps it on one: not worth a call
        ((20, 1, 128), 128, 2, 1),  # too little for two
        ((20, 128), 128, 2, 1),  # a vector at the end
        ((40, 1, 512), 1024, 2, 2),
        ((40, 1, 512), 1024, 1, 1),
    ],
)
def test_blas_has_one_thread_where_it_would_wait_for_more(
    shape: tuple[int, ...], columns: int, threads: int, found: int
) -> None:
    @tg.jit(audit=0)  # eager code asks BLAS for what it likes
    def fast(x: Any, W: Any) -> Any:
        h, states = tg.zeros(*shape[1:]), []
        for x_t in x:
            h = tg.tanh(x_t + h)
            states.append(h)
        return counting_blas_threads(tg.stack(states) @ W if len(shape) == 3 else h @ W)

    x, W = tg.ones(*shape), tg.ones(shape[-1], columns)
    before = num_threads()
    tg.set_num_threads(threads)
    try:
        fast(x, W)  # loads the other BLAS
        blas_threads.clear()
        with threadpool_limits(2, "blas"):
            fast(x, W)
            assert {found} == set(blas_threads)
            after = {a["num_threads"] for a in threadpool_info() if a["user_api"] == "blas"}
            assert after == {2}
    finally:
        tg.set_num_threads(before)
