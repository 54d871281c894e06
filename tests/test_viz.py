"""Diagrams: what they say, that they never change by themselves, and what bad input gets."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from diagrams import (
    GOLDEN,
    HERE,
    MODELS,
    NAMED,
    boxes,
    check_geometry,
    gallery,
    gradient_flow,
    lasting,
    rolled,
    truncated,
    unrolled,
)

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.viz.graph import building, columns

# the same picture every time ------------------------------------------------------


@NAMED
def test_golden_topology(name, request):
    """Nodes, edges, names and styles, whatever places the engine finds for them.

    `--golden` writes the files anew, to be looked at before a commit.
    """
    source = unrolled(MODELS[name](), max_steps=4).source
    plain = re.sub(r' (pos|width|height)=("[^"]*"|[^ \]]+)', "", source)
    file = GOLDEN / f"{name}.gv"
    if request.config.getoption("--golden"):
        file.write_text(plain)
    assert file.read_text() == plain
    assert "layout=nop2" in plain


@pytest.mark.parametrize(
    ("file", "draw"),
    [
        ("unrolled.svg", lambda: viz.unrolled(gallery.lstm(), steps=[0, 1, -1])),
        ("rolled.svg", lambda: viz.rolled(gallery.lstm())),
        ("gradient.svg", lambda: viz.gradient_flow(gallery.vanishing(), level="gate")),
        ("textbook.svg", lambda: viz.gradient_flow(gallery.textbook(), params="edges")),
    ],
)
def test_the_readme_shows_what_is_drawn_today(file, draw, request):
    """The pictures' texts; a gradient's last digits depend on the machine, places on the engine."""
    path = HERE.parent / "docs" / file
    if request.config.getoption("--golden"):
        path.write_text(draw().svg)
    shown, drawn = (
        [re.sub(r"[|]g[|].*", "", t) for t in re.findall(r"<text[^>]*>([^<]*)", svg)]
        for svg in (path.read_text(), draw().svg)
    )
    assert shown == drawn
    assert len(shown) > 20


def test_another_process_draws_the_same_bytes():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import diagrams as t;"
        "print(t.unrolled(t.MODELS['translator']()).source"
        " + t.gradient_flow(t.MODELS['lstm']()).svg)"
    )
    outs = [
        subprocess.run(
            [sys.executable, "-c", code, str(HERE)],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert outs[0] == outs[1]
    assert len(outs[0]) > 10_000


# what is drawn --------------------------------------------------------------------


@NAMED
def test_every_vertex_is_drawn_once(name):
    loss = MODELS[name]()
    found = building.collect(loss)
    drawn = boxes(unrolled(loss, steps="all"))
    ids = [i for i, *_ in drawn]
    assert len(set(ids)) == len(ids)
    ops = {f"n{v.number}" for v in found.vertices if v.kind == "op"}
    assert ops <= set(ids)
    hidden = boxes(unrolled(loss, steps="all", params="hide"))
    assert not any(kind == "parameter" for _, kind, *_ in hidden)
    once = [
        i
        for i, kind, *_ in boxes(unrolled(loss, steps="all", params="node"))
        if kind == "parameter"
    ]
    assert len(once) == sum(v.kind == "parameter" for v in found.vertices)


@NAMED
def test_boxes_do_not_overlap_and_no_edge_crosses_one(name):
    check_geometry(unrolled(MODELS[name](), steps="all").picture)
    check_geometry(rolled(MODELS[name]()).picture)
    check_geometry(unrolled(MODELS[name](), steps="all", direction="down").picture)


def test_two_states_of_one_name_run_straight():
    """What is joined between steps, where cells without an owner have one name and one scope."""
    g = gallery.generator()
    low, high = nn.RNNCell(4, 4, generator=g), nn.RNNCell(4, 4, generator=g)
    h1 = h2 = tg.zeros(2, 4)
    loss = 0.0
    for x_t in tg.tensor(g.normal((3, 2, 4)), name="x"):
        h1 = low(x_t, h1)
        h2 = high(h1 + x_t, h2)
        loss = loss + ((h2 + h1 - x_t) ** 2).mean()
    picture = viz.unrolled(loss, level="gate").picture
    check_geometry(picture)
    ways = [w.points for w in picture.lines if w.kind == "state"]
    assert len(ways) == 6
    assert all(np.ptp([y for _, y in points]) < 1 for points in ways)


def test_the_state_of_a_gru_fans_out_between_its_steps():
    """Straight to the product with z, and down to its weights; nothing winds inside a column."""
    y, _ = nn.GRU(3, 4, generator=gallery.generator())(gallery.series(3))
    picture = viz.unrolled((y[-1] ** 2).mean(), level="gate").picture
    ways = [w for w in picture.lines if w.kind == "state"]
    assert sum(np.ptp([y for _, y in w.points]) < 1 for w in ways) == 2 == len(ways) / 2
    for w in ways:
        corners = np.array(w.points[::3])
        assert (np.abs(np.diff(corners, axis=0)).min(axis=1) < 6.1).all()  # level, upright, rounded


def test_two_directions_of_an_embedding():
    """Sliced at each step, its two rows of gates are one template."""
    x = nn.Embedding(5, 3, generator=tg.Generator(0))(np.arange(2)[:, None])
    y, _ = nn.LSTM(3, 4, bidirectional=True, generator=tg.Generator(0))(x)
    check_geometry(viz.unrolled(y.sum(), level="gate").picture)


@pytest.mark.parametrize(
    ("direction", "axis", "sign"), [("up", 1, -1), ("down", 1, 1), ("right", 0, 1)]
)
def test_ops_run_in_the_direction_asked_for(direction, axis, sign):
    """Within a step from inputs on; nothing outside the picture."""
    picture = unrolled(gallery.rnn(), direction=direction).picture
    at = {b.name: (b.x, b.y) for b in picture.boxes if b.name}
    steps = {b.name: b.step for b in picture.boxes if b.vertex >= 0}
    for line in picture.lines:
        if line.kind == "edge" and steps.get(line.source, -1) == steps.get(line.target, -2):
            assert sign * (at[line.target][axis] - at[line.source][axis]) > 0
    for b in picture.boxes:
        assert 0 <= b.x - b.w / 2 <= b.x + b.w / 2 <= picture.width
        assert 0 <= b.y - b.h / 2 <= b.y + b.h / 2 <= picture.height
    assert all(0 <= t.y <= picture.height for t in picture.texts)


def test_the_geometry_check_sees_planted_errors():
    picture = unrolled(gallery.rnn()).picture
    a, b = (box for box in picture.boxes if "h₂ = tanh" in box.lines or "h₃ = tanh" in box.lines)
    x, y = a.x, a.y
    a.x, a.y = b.x + 5, b.y
    with pytest.raises(AssertionError, match="overlaps"):
        check_geometry(picture)
    a.x, a.y = x, y
    line = next(e for e in picture.lines if a.name not in (e.source, e.target))
    line.points[-1] = (x, y)
    with pytest.raises(AssertionError, match="runs through"):
        check_geometry(picture)


@NAMED
def test_time_runs_to_the_right(name):
    picture = unrolled(MODELS[name](), steps="all").picture
    found = columns.arrange(building.collect(MODELS[name]()))
    headers = [b for b in picture.boxes if b.kind == "column"]
    assert [b.step for b in headers] == [c.step for c in found.columns if c.step is not None]
    right = [b.x + b.w / 2 for b in headers]
    left = [b.x - b.w / 2 for b in headers]
    assert all(a < b for a, b in zip(right, left[1:], strict=False))


def test_words_tell_boxes_apart():
    """Gates by their weights, weights by their layer, cells of one module by what they make."""
    gates = viz.unrolled(gallery.eight_matrices()).picture.boxes
    assert {tuple(b.lines) for b in gates if b.kind == "gate"} == {
        ("σ", "Wi, Ui"), ("σ", "Wf, Uf"), ("σ", "Wo, Uo"), ("tanh", "Wg, Ug"),
    }  # fmt: skip
    own = unrolled(gallery.custom_cell()).picture.boxes
    assert {b.lines[0] for b in own if b.kind == "parameter"} == {
        "W.weight", "W.bias", "U.weight", "U.bias",
    }  # fmt: skip
    cells = viz.rolled(gallery.translator()).picture.boxes
    assert {tuple(b.lines) for b in cells if b.kind == "cell"} == {
        ("encoder.l0", "t"), ("Translator.decoder", "t"),
        ("Translator", "attention", "t"), ("Translator", "loss", "t"),
    }  # fmt: skip


def test_names_and_shapes():
    texts = [line for _, _, lines, _ in boxes(unrolled(gallery.lstm())) for line in lines]
    for wanted in (
        "h₀ = ×",
        "c₅ = +",
        "f₂ × c₁",
        "x₃",
        "weight_ih_l0",
        "(2, 4)",
        "zeros",
        "[:, 0:4]",
    ):
        assert wanted in texts
    saved = [
        line
        for *_, lines, _ in boxes(unrolled(gallery.lstm(), show=("saved", "dtype")))
        for line in lines
    ]
    assert "keeps 64 B" in saved
    assert "float32" in saved


def test_steps_are_those_said_or_those_found():
    for name, wanted in (
        ("range_loop", 5),
        ("rnn", 6),
        ("two_layers", 6),
        ("bidirectional", 6),
        ("plain", 0),
    ):
        found = columns.arrange(building.collect(MODELS[name]()))
        assert len([c for c in found.columns if c.step is not None]) == wanted, name
    found = columns.arrange(building.collect(gallery.translator()))
    assert [c.step for c in found.columns if c.step is not None] == [*range(6), *range(4)]


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        ("auto", [0, 1, 2, 37, 38, 39]), ("all", list(range(40))), (slice(0, 40, 13), [0, 13, 26, 39]),
        ([5, -1], [5, 39]), (slice(2, 4), [2, 3]),
    ],
)  # fmt: skip
def test_which_steps_are_shown(steps, shown):
    diagram = unrolled(lasting(), steps=steps)
    assert [b.step for b in diagram.picture.boxes if b.kind == "column"] == shown
    hidden = sum(int(m) for m in re.findall(r">(\d+)(?: identical)?</text>", diagram.svg))
    assert hidden == 40 - len(shown)


@pytest.mark.parametrize("T", [4, 6, 12])
def test_truncation_is_marked(T):
    """However many steps lie on either side: the second half is no loop with a start of its own."""
    drawn = boxes(unrolled(truncated(T)))
    cuts = [(lines[0], step) for _, kind, lines, step in drawn if kind == "cut"]
    assert cuts == [("✂ h", T // 2)]


def test_deep_graphs_need_no_stack():
    before = sys.getrecursionlimit()
    loss = lasting(3000)
    sys.setrecursionlimit(200)
    try:
        assert "2994 identical" in unrolled(loss).svg
        assert gradient_flow(loss).table().states["LSTM.l0.h"]["norm"].shape == (3000,)
    finally:
        sys.setrecursionlimit(before)


def recorded():
    with viz.record() as flow:
        gallery.gru().backward()
    return flow


def test_bad_input():
    loss = gallery.rnn()
    w = nn.Parameter(np.ones(3, np.float32))
    with tg.no_grad():
        unrecorded = (w * w).sum()
    for call, words in (
        (lambda: viz.unrolled(3.0), "expected a Tensor, got float"),
        (lambda: viz.gradient_flow((loss, loss)), "got tuple; of several losses take the sum"),
        (lambda: viz.unrolled(tg.ones(2)), "has no graph"),
        (lambda: viz.rolled(unrecorded), "no_grad"),
        (lambda: viz.gradient_flow(w * 2), r"single value, the shape is \(3,\)"),
        (lambda: viz.unrolled(loss, params="both"), "auto, stub, node, edges, hide"),
        (
            lambda: viz.rolled(loss, direction="left"),
            "direction must be one of auto, up, down, right",
        ),
        (
            lambda: viz.unrolled(loss, show=("colour",)),
            "'shape', 'dtype', 'saved', 'value', 'grad'",
        ),
        (lambda: viz.unrolled(loss, steps=[99]), "numbers from 0 to 5"),
        (lambda: viz.unrolled(loss, steps="some"), "'auto', 'all', a slice"),
        (lambda: viz.unrolled(loss, steps=[]), "a slice or a list"),
        (lambda: viz.unrolled(loss, show=None), "'grad', got None"),
        (lambda: viz.unrolled(loss, max_steps=0), "whole number above 0, got 0"),
        (lambda: viz.gradient_flow(loss, flow=viz.Flow()), "holds nothing"),
        (lambda: viz.gradient_flow(loss, flow=3), "must be what .* gave, got int"),
        (lambda: viz.gradient_flow(loss, flow=recorded()), "from another loss"),
    ):
        with pytest.raises(GraphError, match=words):
            call()


def test_a_jitted_call_says_how_to_see_inside():
    net = nn.GRU(3, 4)
    fast = tg.jit(lambda x: net(x)[0].sum())
    with pytest.raises(GraphError, match="disable_jit"):
        viz.unrolled(fast(gallery.series()))
