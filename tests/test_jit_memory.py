"""The memory of a jitted function, and what `explain()` says of it."""

import gc
import re
import tracemalloc
from typing import Any

import pytest
from programs import series

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.runtime import memory, runner, threads
from tinygrad_rnn.kernels.flags import DISABLED

T, B, I, H = 7, 3, 2, 4


def idle(own: Any) -> int:
    """How many chunks of memory that a layout has used wait for use again."""
    return sum(own in chunk.cuts for home in memory._free.values() for chunk in home)


def test_memory_goes_back_when_the_graph_goes() -> None:
    net = nn.LSTM(I, H)
    fast = tg.jit(lambda x: net(x)[0].sum())
    x = series(T, B, I, dtype="float32")
    gc.disable()
    try:
        for _ in range(3):
            fast(x).backward()
        own = fast._last.compiled.forward.runners[0].layout  # type: ignore[union-attr]
        assert idle(own) == 1
        loss = fast(x)
        assert idle(own) == 0
        del loss
        assert idle(own) == 1
    finally:
        gc.enable()


def test_lengths_share_the_memory_of_what_they_keep() -> None:
    net = nn.LSTM(I, H)
    fast = tg.jit(lambda x: net(x)[0].sum())
    memory._free.clear()
    for length in (30, 17, 29, 30, 23, 18):
        fast(series(length, B, I, dtype="float32")).backward()
    sizes = [chunk.raw.size for home in memory._free.values() for chunk in home if chunk.raw.size]
    one = fast._last.compiled.forward.runners[0].layout.kept_bytes  # type: ignore[union-attr]
    assert len(sizes) <= 2
    assert sum(sizes) <= 4 * one  # 18 steps keep `one`, 30 fall into the next power of two


def test_a_recording_of_more_steps_keeps_no_more_objects() -> None:
    cell, kept = nn.GRUCell(I, H), []

    @tg.jit
    def run(x: Any) -> Any:
        h = tg.zeros(B, H)
        for x_t in x:
            h = cell(x_t, h)
        return h.sum()

    for length in (9, 10, 40):  # what comes with the first is common to all
        x = series(length, B, I, dtype="float32")
        gc.collect()
        before = len(gc.get_objects())
        run(x).backward()
        gc.collect()
        kept.append(len(gc.get_objects()) - before)
    assert kept[2] < kept[1] + 150, kept  # of 300 calls more; what rules say of x[t] is kept once


def test_recordings_hold_their_guards_in_common_as_long_as_they_say_the_same() -> None:
    net, scale, seen = nn.RNN(I, H), [1.0], {"by": 2.0}
    by: float = 1.0

    @tg.jit
    def run(x: Any) -> Any:
        return net(x)[0].sum() * scale[0] * seen["by"] * by

    def check() -> Any:
        for length in (4, 5, 4):
            x = series(length, B, I, dtype="float32")
            with tg.disable_jit():
                eager = run(x).item()
            assert run(x).item() == pytest.approx(eager, rel=1e-5)
        return run._last.guards.groups

    first = check()
    assert len(run._entries) == 2
    assert all(e.guards.groups is first for (e,) in run._entries.values())
    groups = [first]
    scale[0], seen["more"] = 3.0, 1.0
    groups.append(check())
    by = 0.5
    groups.append(check())
    assert len(set(map(id, groups))) == 3


@pytest.mark.skipif(DISABLED, reason="the compiled kernels' memory")
def test_memory_of_a_step_is_what_explain_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peak within 1.2 of what the backward must keep, inputs, outputs and parameters."""
    monkeypatch.setitem(threads._settings, "threads", 1)
    length, batch, inputs, hidden = 100, 32, 64, 128
    net = nn.LSTM(inputs, hidden)
    x = series(length, batch, inputs, dtype="float32", grad=False)
    fast = tg.jit(lambda x: (net(x)[0] ** 2).mean())
    fast(x).backward()
    compiled = fast._last.compiled  # type: ignore[union-attr]
    memory._free.clear()  # memory that waits for use again would hide what a step takes
    runner._arenas.clear()
    net.zero_grad()
    gc.collect()
    tracemalloc.start()
    fast(x).backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # gates i, f, g, o, and c, tanh c, h, which are the LSTM's own states with one row more
    keep = 4 * batch * hidden * (5 * length + 2 * (length + 1))
    around = sum(v.nbytes for v in compiled.program.inputs)
    gradients = sum(p.numpy().nbytes for p in net.parameters())
    assert (peak + around) / (keep + around + gradients) < 1.2
    said = re.search(r"peak ([\d,]+)", fast.explain())
    assert said is not None
    assert int(said[1].replace(",", "")) == pytest.approx(peak, rel=0.05)
    assert f"kept for the backward {keep:,}" in fast.explain()


def test_explain_says_what_was_done() -> None:
    net = nn.LSTM(I, H)
    fast = tg.jit(lambda x: (net(x)[0] ** 2).mean())
    fast(series(T, B, I, dtype="float32")).backward()
    text = fast.explain()
    for words in (
        f"loop of {T} steps", "1 input product done before the steps",
        "2 weight gradients as products over blocks", "kept for the backward",
        "moved into the loop", "one thread",
    ):  # fmt: skip
        assert words in text, text
    assert "def kernel(" in fast.source
