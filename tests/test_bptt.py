"""Backpropagation through time as a film: each frame one arrow, its numbers those of the tape."""

import builtins
import copy
import itertools
import re

import numpy as np
import pytest
from diagrams import gallery
from PIL import Image
from test_contributions import lstm, textbook

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.errors import RenderError
from tinygrad_rnn.viz.flow.contributions import contributions
from tinygrad_rnn.viz.graph.building import collect
from tinygrad_rnn.viz.graph.columns import arrange
from tinygrad_rnn.viz.graph.elide import slots
from tinygrad_rnn.viz.layout import engine
from tinygrad_rnn.viz.layout.grid import Grid
from tinygrad_rnn.viz.layout.labels import lines_of
from tinygrad_rnn.viz.page import bptt
from tinygrad_rnn.viz.paint.unrolled import paint


def filmed(loss, steps="all"):
    graph = collect(loss)
    found = arrange(graph)
    grid = Grid(
        found, slots(found, steps, 10, "film"), lambda v, t: lines_of(graph, v, (), t), "up"
    )
    told = contributions(loss.node, graph)
    picture = paint(grid, "film")
    bare = copy.deepcopy(picture)
    for b in picture.boxes:
        b.lines = [*b.lines, "|g| 0"]
    return bptt.frames(picture, bare, told, graph), told, graph


def sums_in(frame, graph):
    """What stands in the boxes: the number after g, by name and step."""
    found = {}
    for b in frame.boxes:
        if b.vertex >= 0 and b.lines and b.lines[-1].startswith("g "):
            v = graph.vertices[b.vertex]
            found[v.name or v.op, b.step] = float(b.lines[-1][2:])
    return found


def test_arrows_light_up_in_the_tape_s_order_and_sums_fill_up():
    loss, (Wx, Ws, Wy) = textbook(3)
    made, told, graph = filmed(loss)
    assert len(made) == len(told) == 34
    orange = [[k for k, line in enumerate(f.lines) if line.colour == bptt.NOW] for f in made]
    assert all(len(now) == 1 for now in orange)
    assert len({now[0] for now in orange}) == len(orange)  # each arrow once
    pale = [sum(line.colour == bptt.WAITING for line in f.lines) for f in made]
    assert pale == sorted(pale, reverse=True)
    loss.backward()
    last = sums_in(made[-1], graph)
    for p in (Wx, Ws, Wy):
        by_step = [last[p.name, t] for t in range(3)]
        assert by_step[0] == pytest.approx(p.grad.item(), rel=5e-3)  # three digits
        seen = [sums_in(f, graph) for f in made]
        first = [next(k for k, sums in enumerate(seen) if (p.name, t) in sums) for t in range(3)]
        assert first[2] < first[1] < first[0]
    assert len({(f.width, f.height) for f in made}) == 1


def test_with_from_step_the_film_tells_of_that_loss_alone(tmp_path, monkeypatch):
    """The last sum of each weight is the figure beside the still picture's, not that of all losses."""
    seen = []
    monkeypatch.setattr(bptt, "animated", lambda made, *_: seen.extend(made) or b"")
    loss, _ = textbook(3)
    diagram = viz.gradient_flow(loss, from_step=1, level="op")
    diagram.save(tmp_path / "a.gif")
    last = sums_in(seen[-1], collect(loss))
    for name, total in diagram.table().totals.items():
        found = {t: value for (n, t), value in last.items() if n == name}
        assert set(found) <= {0, 1}
        assert abs(found[min(found)]) == pytest.approx(total, rel=5e-3)


def test_captions_say_where_what_and_how_much():
    made, _, _ = filmed(textbook(3)[0])
    captions = [[t.text for t in f.texts if t.y > f.height - 18 * (bptt.SHOWN + 2)] for f in made]
    assert captions[0] == ["1 of 34, t = 2", "∂L/∂((0 + E₀) + E₁) = 1"]
    assert [int(re.match(r"\d+", c[0])[0]) for c in captions] == list(range(1, 35))
    whole = [line for c in captions for line in c]
    (line,) = [one for one in whole if one.startswith("∂L/∂S₁ += ∂L/∂Y₁ · Wy")]
    assert "(the sum of 2 so far: " in line


def test_hidden_steps_are_left_out_and_larger_arrays_show_their_norms():
    made, told, _ = filmed(textbook(5)[0], steps=[0, -1])
    whole, _, _ = filmed(textbook(5)[0])
    assert len(made) < len(whole) == len(told)
    made, told, _ = filmed(lstm())
    texts = [t.text for f in made for t in f.texts]
    told_of = {f"{float(c.value):.3g}" for c in told if np.size(c.value) == 1}
    norms = [m for text in texts for m in re.findall(r"=  ‖·‖ = ([\d.e-]+)", text)]
    assert len(norms) > 10
    assert set(norms) <= told_of


def test_a_long_series_is_told_a_column_at_a_time():
    y, _ = nn.LSTM(3, 4, generator=tg.Generator(0))(tg.ones(9, 2, 3))
    made, told, _ = filmed((y**2).mean())
    assert len(told) > bptt.MOST >= len(made) >= 9
    assert any(text.text.endswith("more") for f in made for text in f.texts)
    y, _ = nn.RNN(1, 1, generator=tg.Generator(0))(tg.ones(bptt.MOST + 20, 1, 1))
    with pytest.raises(RenderError, match=r"frames, over 120; show fewer steps.*\.html"):
        viz.gradient_flow(y.sum(), steps="all").save("a.gif")


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_files(form, tmp_path):
    diagram = viz.gradient_flow(textbook(2)[0])
    path = diagram.save(tmp_path / f"a.{form}")
    with Image.open(path) as film:
        assert film.n_frames == 22
        assert film.info["loop"] == 0
        sizes, seen = set(), []
        for k in range(film.n_frames):
            film.seek(k)
            film.load()
            sizes.add(film.size)
            seen.append(np.asarray(film.convert("RGB")).astype(int))
            assert film.info["duration"] == (3000 if k == 21 else 900)
    assert len(sizes) == 1
    lit = [int(c) for c in bytes.fromhex(bptt.NOW[1:])]
    assert all((np.abs(frame - lit).max(axis=2) < 12).any() for frame in seen)
    assert all((a != b).any() for a, b in itertools.pairwise(seen))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_filmed(tmp_path, monkeypatch):
    loss = textbook(2)[0]
    with pytest.raises(RenderError, match=r"\.html$"):
        viz.unrolled(loss).save(tmp_path / "a.gif")
    with viz.record() as flow:
        loss.backward()
    with pytest.raises(RenderError, match=r"before loss\.backward"):
        viz.gradient_flow(loss, flow=flow).save(tmp_path / "a.gif")
    real = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__",
        lambda name, *a, **k: (_ for _ in ()).throw(ImportError) if name == "PIL" else real(name, *a, **k),
    )  # fmt: skip
    with pytest.raises(RenderError, match=r"tinygrad_rnn\[examples\]"):
        viz.gradient_flow(textbook(2)[0]).save(tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_many_graphs_are_painted_by_one_call():
    places = 'digraph { a [pos="0,0"] b [pos="50,%d"] a -> b [pos="0,0 20,0 30,0 50,0"] }'
    found = engine.paint_all([places % k for k in (0, 40, 80)])
    assert [png[:4] for png in found] == [b"\x89PNG"] * 3
    assert len({int.from_bytes(png[20:24], "big") for png in found}) == 3


def test_steps_go_by_their_names_in_formulas_too():
    """S_1 is the first step's in words, where the boxes call it so."""
    loss = gallery.textbook()
    told = contributions(loss.node, collect(loss))
    assert told[-1].formula.startswith("∂L/∂")
    words = " ".join(c.formula for c in told)
    assert "S₃" in words
    assert "S₁" in words
    assert "Y₀" not in words
    picture = viz.unrolled(loss, level="op").picture
    made = bptt.frames(picture, picture, told, collect(loss))
    captions = [t.text for f in made for t in f.texts if " of " in t.text]
    assert {c.split("t = ")[1] for c in captions if "t = " in c} == {"1", "2", "3"}
