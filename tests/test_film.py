"""A film of training: its numbers are those of hooks on the states, and it leaves training alone."""

import functools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, viz
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.viz.graph.building import collect
from tinygrad_rnn.viz.page import filming

T, N, I, H = 6, 2, 3, 4


def series(steps=T):
    return tg.tensor(np.random.default_rng(0).standard_normal((steps, N, I)).astype(np.float32))


class Net(nn.Module):
    """Two layers, the second written out; it can be asked for its states."""

    def __init__(self, named=True):
        g = tg.Generator(3)
        self.lstm = nn.LSTM(I, H, generator=g)
        self.W, self.U = (nn.Parameter(g.normal((H, H)) / 2, name=n) for n in "WU")
        self.named, self.kept, self.watched = named, [], False

    def forward(self, x):
        y, _ = self.lstm(x)
        kept, k = [], tg.zeros(N, H)
        for y_t in y:
            k = tg.tanh(y_t @ self.U + k @ self.W)
            if self.named:
                k.name = "k"
            kept.append(k)
        if self.watched:
            self.kept[:] = kept
        return (k**2).mean()


def keep(norms, t, g):
    norms[t] = np.linalg.norm(g.numpy())


def trained(updates, film=None, net=None, wrap=lambda f: f, watch=False):
    """Parameters after some updates, and what hooks on the states saw."""
    net, x, seen = net or Net(), series(), []
    net.watched, step = watch, wrap(lambda x: net(x))
    optimiser = optim.SGD(net.parameters(), lr=0.5)
    for _ in range(updates):
        loss = step(x)
        if watch:
            norms = np.full(T, np.nan)
            for t, k in enumerate(net.kept):
                k.register_hook(functools.partial(keep, norms, t))
            seen.append(norms)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return [p.numpy().copy() for p in net.parameters()], np.array(seen)


@pytest.mark.parametrize("every", [1, 2, 5])
def test_frames_are_what_hooks_see_and_training_goes_on_as_it_would(every):
    plain, seen = trained(7, watch=True)
    with viz.film(every=every, share=None) as film:
        filmed, _ = trained(7)
    for a, b in zip(plain, filmed, strict=True):
        np.testing.assert_array_equal(a, b)
    found = film.arrays
    assert set(found) == {"Net.k", "Net.lstm.l0.h", "Net.lstm.l0.c"}
    assert found["Net.k"]["update"].tolist() == list(range(0, 7, every))
    assert found["Net.k"]["step"].tolist() == list(range(T))
    np.testing.assert_allclose(found["Net.k"]["norm"], seen[::every], rtol=1e-6)


def test_a_gradient_heals():
    """From a matrix that halves it at every step to one that keeps it: seen from the first step on."""
    W = nn.Parameter(np.eye(H, dtype=np.float32) / 2, name="W")
    with viz.film(every=1, share=None) as film:
        for update in range(6):
            W.assign_(np.eye(H, dtype=np.float32) * (0.5 + 0.1 * update))
            h = tg.zeros(1, H)
            for t in range(5):
                with tg.step(t):
                    h = tg.tanh(h @ W)
                    h.name = "h"
            (h.sum() - 1).backward()
    factors = (0.5 + 0.1 * np.arange(6))[:, None] ** np.arange(4, -1, -1)
    np.testing.assert_allclose(film.arrays["h"]["norm"], 2 * factors, rtol=1e-5)


def test_states_without_a_name_or_a_stamp_are_found_too():
    with viz.film(every=3, share=None) as film:
        _, seen = trained(4, net=Net(named=False), watch=True)
    assert "Net.lstm.l0.h" in film.arrays  # named ones beside it
    np.testing.assert_allclose(film.arrays["Net.tanh 1, unnamed"]["norm"], seen[::3], rtol=1e-6)
    W, h = nn.Parameter(np.eye(H, dtype=np.float32), name="W"), tg.zeros(1, H)
    with viz.film() as film:
        for _ in range(T):
            h = tg.tanh(h @ W + 0.1)
        h.sum().backward()
    (found,) = film.arrays.values()
    assert found["norm"].shape == (1, T)
    assert (found["norm"] > 0).all()


def gru():
    y, _ = nn.GRU(I, H, generator=tg.Generator(0))(series(), lengths=[T, T - 2])
    return (y**2).mean()


def two_ways():
    y, _ = nn.LSTM(I, H, num_layers=2, bidirectional=True, generator=tg.Generator(0))(series())
    return (y**2).mean()


@pytest.mark.parametrize(
    "loss", [gru, two_ways, lambda: Net()(series())], ids=["gru", "two ways", "net"]
)
def test_the_short_way_finds_the_states_of_the_graph(loss):
    """Without making a graph: the same names, steps and nodes."""
    loss = loss()
    wanted = {n: sorted((t, v.key) for t, v in m) for n, m in collect(loss).states.items()}
    assert {n: sorted(m) for n, m in filming.states_below(loss).items()} == wanted


def test_under_jit_a_frame_runs_eagerly_and_all_else_compiled(monkeypatch):
    """The jitted function finds the jit switched off at the three frames alone."""
    eager = Net()
    with viz.film(every=4, share=None) as wanted:
        plain, _ = trained(9, net=eager)
    asked = []
    monkeypatch.setattr(filming._Off, "__bool__", lambda self: bool(asked.append(self)))
    with viz.film(every=4, share=None) as film:
        filmed, _ = trained(9, wrap=tg.jit)
    assert len({id(off) for off in asked}) == 3
    for a, b in zip(plain, filmed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert film.arrays["Net.k"]["update"].tolist() == [0, 4, 8]
    np.testing.assert_allclose(
        film.arrays["Net.k"]["norm"], wanted.arrays["Net.k"]["norm"], rtol=1e-4
    )


class Clock:
    """Seconds that pass as a script says: one an update, and `more` at a frame."""

    def __init__(self, more, jitted):
        self.now, self.more, self.jitted = 0.0, more, jitted

    def process_time(self):
        return self.now

    def update(self, camera):
        self.now += 1
        if self.jitted and not filming.local.now.jit:  # as a jitted function asks
            self.now += self.more
        shot = camera.start(tg.tensor(1.0))
        if shot is not None:
            shot.spent += 0 if self.jitted else self.more
            self.now += 0 if self.jitted else self.more
            shot.end([])


@pytest.mark.parametrize(
    ("more", "jitted", "share", "frames"),
    [
        (0.1, False, 0.05, 200),  # eager: a tenth of an update for a frame
        (0.1, True, 0.05, 200),
        (36.0, True, 0.05, 2),  # compiled, 37 times as long when eager: the first and update 1410
        (36.0, True, 0.5, 55),
        (36.0, False, 0.5, 55),
        (36.0, True, None, 200),
    ],
)
def test_frames_are_left_out_while_they_cost_too_much(more, jitted, share, frames, monkeypatch):
    clock = Clock(more, jitted)
    monkeypatch.setattr(filming, "time", clock)
    film = viz.Film()
    try:
        camera = filming._Camera(film, 10, share)
        for _ in range(2000):
            clock.update(camera)
    finally:
        filming.local.now.jit = True
    updates = [frame.update for frame in film.frames]
    assert len(updates) == pytest.approx(frames, abs=1)
    assert all(k % 10 == 0 for k in updates)
    if share:
        assert more * len(updates) <= share * clock.now


def test_what_is_shown(tmp_path):
    with viz.film(every=2, share=None) as film:
        trained(5)
    shown = film.heatmap()
    assert [p.title for p in shown.panels] == list(film.arrays)
    axes = [ax for ax in shown.figure.axes if ax.get_label() != "<colorbar>"]
    assert {ax.get_ylabel() for ax in axes} == {"update"}
    shown.figure.canvas.draw()
    labels = [t.get_text() for t in axes[0].get_yticklabels() if t.get_text()]
    assert set(labels) <= {"0", "2", "4"}
    assert film.save(tmp_path / "a.png").stat().st_size > 5000
    assert "image/svg+xml" in film._repr_mimebundle_()
    assert "3 frames of updates 0 to 4" in repr(shown)


def test_series_of_unequal_lengths_and_updates_without_states():
    """What a frame lacks is nothing, not zero."""
    net, w = nn.GRU(I, H, generator=tg.Generator(0)), nn.Parameter(np.ones(2, np.float32))
    with viz.film(every=1, share=None) as film:
        for steps in (3, 5):
            (net(series(steps))[0] ** 2).mean().backward()
        (w * w).sum().backward()
    found = film.arrays["GRU.l0.h"]
    assert len(film.frames) == 3
    assert found["update"].tolist() == [0, 1]
    assert np.isnan(found["norm"]).tolist() == [[False] * 3 + [True] * 2, [False] * 5]


def test_bad_input_and_what_is_left_behind():
    for every in (0, 1.5, "all"):
        with pytest.raises(GraphError, match="whole number above 0"):
            with viz.film(every=every):
                pass
    with viz.film() as film:
        assert not tg.op.local.now.jit  # the first update is a frame
    assert tg.op.local.now.jit
    assert tg.op.local.now.watch is None
    with pytest.raises(GraphError, match="nothing was recorded"):
        film.save("a.png")
    assert film._repr_mimebundle_() == {"text/plain": "<Film: 0 frames>"}
