"""What may change between calls of a jitted function."""

import cProfile
import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from programs import kernels, series

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import api
from tinygrad_rnn.graph import count
from tinygrad_rnn.testing import check_jit

T, B, I, H = 7, 3, 2, 4


def test_a_product_of_parameters_follows_them() -> None:
    w, mask = nn.Parameter(np.array([2.0])), tg.tensor(np.array([3.0]))
    fast = tg.jit(lambda x: x * (w * mask))
    x = tg.tensor(np.array([1.0]))
    assert fast(x).item() == 6
    w.assign_(np.array([5.0]))
    assert fast(x).item() == 15
    mask.assign_(np.array([1.0]))
    assert fast(x).item() == 5


@pytest.mark.parametrize("before", [True, False])
def test_what_moves_hides_no_parameter_frozen_or_thawed(before: bool) -> None:
    """An equal array in the place of one, and in the same call a parameter's other flag."""
    w, x = nn.Parameter(np.array([2.0]), requires_grad=before), tg.tensor(np.array([3.0]))
    box = SimpleNamespace(scale=np.array([5.0]))
    fast = tg.jit(lambda x: (x * w * box.scale).sum())
    x.requires_grad = True
    fast(x).backward()
    w.grad, w.requires_grad, box.scale = None, not before, box.scale.copy()
    fast(x).backward()
    assert (w.grad is None) == before


def test_dropout_on_a_constant_draws_afresh_and_as_eager_does() -> None:
    ones = tg.ones(64)

    def noisy(x: Any) -> Any:
        return x * tg.dropout(ones, 0.5) + tg.rand(64)

    fast = tg.jit(noisy)
    tg.manual_seed(3)
    compiled = [fast(ones).numpy() for _ in range(3)]
    tg.manual_seed(3)
    eager = [noisy(ones).numpy() for _ in range(3)]
    assert not np.array_equal(compiled[0], compiled[1])
    for a, b in zip(compiled, eager, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_random_numbers_in_a_loop_are_those_of_eager_code_to_the_bit(dtype: str, way: str) -> None:
    own = tg.Generator(9)

    def noisy(x: Any) -> Any:
        noise, h = [], x[0] * 0
        for x_t in reversed(x) if way == "backward" else x:
            a, b = tg.rand(B, H, dtype=dtype), tg.randn(2, B, H, dtype=dtype, generator=own)
            noise.append(tg.concat([a, b[0], b[1]]) + tg.randn(dtype=dtype))
            h = tg.where(tg.rand(B, 1) < 0.3, h, tg.dropout(x_t, 0.5) + a)
        return tg.stack(noise), h

    fast, x, found = tg.jit(noisy, audit=0), tg.ones(T, B, H, dtype=dtype), []
    for fn in (fast, noisy):
        tg.manual_seed(3)
        own.manual_seed(9)
        found.append([y.numpy() for _ in range(2) for y in fn(x)])
        found[-1].append(tg.rand(3).numpy())  # as many draws were made
    assert kernels(fast) == 1
    assert not np.array_equal(found[0][0], found[0][2])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_noise_on_a_state_lets_the_gradient_of_a_shared_weight_through() -> None:
    W = series(H, H)

    def run(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.tanh(h @ W * tg.rand(B, H, dtype="float64") + x_t)
            h = tg.where(tg.rand(B, H, dtype="float64") < 0.2, x_t, h)
        return h

    fast = tg.jit(run)
    assert check_jit(fast, series(T, B, H), parameters=[W])
    assert kernels(fast) == 1


def test_dropout_inside_the_loop_draws_as_eager_does() -> None:
    W = series(H, H)

    def run(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.tanh(tg.dropout(h, 0.3) @ W + tg.dropout(x_t, 0.2))
        return h

    fast = tg.jit(run)
    assert check_jit(fast, series(T, B, H), parameters=[W])
    assert kernels(fast) == 1


def test_parameters_flags_and_numbers_are_honoured() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.w, self.flag, self.drop = nn.Parameter(np.array([2.0])), True, nn.Dropout(0.5)

        def forward(self, x: Any) -> Any:
            return self.drop(x * self.w) if self.flag else x + self.w

    net, scale = Net(), 3.0

    def run(x: Any) -> Any:
        return net(x) * scale

    fast, x = tg.jit(run), tg.tensor(np.ones(50))

    def same() -> None:
        state = tg.manual_seed(1).state
        compiled = fast(x).numpy()
        tg.ops.random.default_generator.state = state
        np.testing.assert_array_equal(compiled, run(x).numpy())

    same()
    net.eval()
    same()
    net.train()
    same()
    net.w = nn.Parameter(np.array([7.0]))
    same()
    net.flag = False
    same()
    scale = 4.0
    same()
    net.w.requires_grad = False
    assert not fast(x).requires_grad


def test_one_program_for_many_calls_and_one_source_for_many_sizes() -> None:
    cell = nn.RNNCell(I, H)

    def run(x: Any) -> Any:
        h = tg.zeros(x.shape[1], H)
        for x_t in x:
            h = cell(x_t, h)
        return h.sum()

    fast = tg.jit(run)
    fast(series(T, B, I, dtype="float32"))
    first = fast._last
    source = fast.source
    fast(series(T, B, I, dtype="float32"))
    assert fast._last is first
    fast(series(31, 8, I, dtype="float32"))
    assert fast._last is not first
    assert fast.source == source


def test_one_cell_in_two_dtypes() -> None:
    """Their kernels differ in nothing else: each must be compiled for its own types."""
    for dtype in ("float64", "float32"):
        cell = nn.RNNCell(I, H).astype(dtype)

        def run(x: Any, h: Any, cell: Any = cell) -> Any:
            for x_t in x:
                h = cell(x_t, h)
            return h.sum()

        x, h = series(T, B, I, dtype=dtype), series(B, H, dtype=dtype)
        assert check_jit(run, x, h, parameters=cell.parameters())


def test_static_arguments_and_containers() -> None:
    def run(state: dict[str, Any], steps: int, pair: Any = (1.0, 2.0), *, name: str = "a") -> Any:
        h, c = state["h"], state["c"][0]
        for _ in range(steps):
            h = tg.tanh(h * pair[0] + c)
        return {"h": h, "rest": [c * pair[1], (h.sum(), None)], name: h}

    fast = tg.jit(run)
    state = {"h": series(H), "c": [series(H)]}
    for arguments, named in (((state, 6), {}), ((state, 9, (0.5, 1.0)), {"name": "b"})):
        compiled, eager = fast(*arguments, **named), run(*arguments, **named)
        assert list(compiled) == list(eager)
        assert compiled["rest"][1][1] is None
        assert check_jit(fast, *arguments, **named)


@pytest.mark.filterwarnings("ignore::tinygrad_rnn.CaptureWarning")
def test_programs_are_bounded_and_the_least_recently_used_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api, "MOST", 20)
    runs = bytearray(1)  # which guards do not look at

    def run(x: Any, n: int) -> Any:
        runs[0] += 1
        return x * n

    fast, x = tg.jit(run, audit=0), tg.ones(1)
    for n in range(30):
        assert fast(x, n).item() == n
        assert fast(x, 0).item() == 0
    assert sum(map(len, fast._entries.values())) == 20
    assert runs[0] == 30  # the one in use was never dropped


def test_a_profiler_of_c_sees_the_recording_and_survives_it() -> None:
    W, watch = series(H, H), cProfile.Profile()

    @tg.jit
    def run(x: Any) -> Any:
        h = x[0]
        for x_t in x:
            h = tg.tanh(h @ W + x_t)
        return h.sum()

    with watch:  # cProfile.Profile cannot be called from Python, as other profilers can
        run(series(T, B, H)).backward()
        watched = sys.getprofile()
    assert watched is watch
    assert kernels(run) == 1
    assert W.grad is not None


@pytest.mark.filterwarnings("ignore::tinygrad_rnn.CaptureWarning")
def test_threads_may_keep_and_drop_programs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(fn: Any, leaves: Any, shape: Any, varying: Any) -> Any:
        never = SimpleNamespace(
            hold=lambda: None, changed=lambda: None, lifted=[], share=lambda other: None
        )
        floats = SimpleNamespace(arrays=lambda leaves: ())
        return SimpleNamespace(
            plain=False,
            guards=never,
            moments=[],
            used=count(),
            floats=floats,
            run=lambda tensors, lifted, floats: 1,
        )

    monkeypatch.setattr(api, "Entry", entry)
    fast = tg.jit(lambda n: n, audit=0)
    between = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(lambda: {fast(k % 40) for k in range(5000)}) for _ in range(4)]
            assert [f.result() for f in found] == [{1}] * 4
    finally:
        sys.setswitchinterval(between)
    assert sum(map(len, fast._entries.values())) <= api.MOST


@pytest.mark.parametrize("on", [True, False])
def test_pythons_collector_rests_during_a_recording_and_is_left_as_it_was(on: bool) -> None:
    seen = []

    def run(x: Any, n: int) -> Any:
        seen.append(gc.isenabled())
        return x * n if n else bool(x)

    before, fast = gc.isenabled(), tg.jit(run, audit=0)
    (gc.enable if on else gc.disable)()
    try:
        fast(tg.ones(2), 2)
        with pytest.raises(tg.CaptureError):
            fast(tg.ones(2), 0)
        after = gc.isenabled()
    finally:
        (gc.enable if before else gc.disable)()
    assert after is on
    assert seen == [False, False]
