"""Rolled diagrams: one cell, a loop for each state, words that name the step they read."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from diagrams import (
    MODELS,
    NAMED,
    boxes,
    check_geometry,
    curve,
    gallery,
    rolled,
    truncated,
    unrolled,
)

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.layout.picture import HEADING, text_width


@pytest.mark.parametrize("T", [2, 3, 4, 8])
def test_a_loop_over_rows_is_rolled_from_two_steps_on(T):
    cell, h, x = nn.GRUCell(3, 4, generator=gallery.generator()), tg.zeros(2, 4), gallery.series(T)
    for t in range(T):
        h = cell(x[t], h)
    diagram = rolled(h.sum())
    assert f"× {T} steps" in [t.text for t in diagram.picture.texts]
    assert [lines[0] for _, kind, lines, _ in boxes(diagram) if kind == "start"] == ["zeros"]


@pytest.mark.parametrize("T", [2, 3, 6])
def test_a_stack_of_all_steps_is_entered_once(T):
    y, _ = nn.RNN(3, 4, generator=gallery.generator())(gallery.series(T))
    picture = rolled((y**2).mean(), level="gate").picture
    (stack,) = [b.name for b in picture.boxes if "stack" in b.lines]
    assert [line.target for line in picture.lines].count(stack) == 1


def test_rolled_has_one_cell():
    diagram = rolled(gallery.lstm())
    texts = [t.text for t in diagram.picture.texts]
    assert "× 6 steps" in texts
    assert sorted(line.label for line in diagram.picture.lines if line.label) == [
        "cₜ₋₁",
        "hₜ₋₁",
    ]
    assert "hₜ = ×" in [line for *_, lines, _ in boxes(diagram) for line in lines]
    skipping = {line.label for line in rolled(gallery.custom_cell()).picture.lines}
    assert skipping == {"", "fastₜ₋₁", "slowₜ₋₁", "slowₜ₋₂"}


@pytest.mark.parametrize(
    ("name", "formula"),
    [("rnn", "hₜ₋₁ · Wh"), ("lstm", "fₜ × cₜ₋₁"), ("custom_cell", "0.5 × slowₜ₋₁")],
)
def test_a_rolled_formula_names_the_step_it_reads(name, formula):
    assert formula in [line for *_, lines, _ in boxes(rolled(MODELS[name]())) for line in lines]


def test_a_rolled_cell_has_a_loop_for_each_state():
    picture = rolled(MODELS["two_layers"](), level="cell").picture
    states = [(line.source, line.target, line.label) for line in picture.lines if line.label]
    assert all(source == target for source, target, _ in states)
    assert sorted(label for *_, label in states) == ["cₜ₋₁"] * 2 + ["hₜ₋₁"] * 2


def test_curves_count_steps_as_the_names_do():
    texts = [t.text for t in viz.gradient_flow(gallery.textbook()).picture.texts]
    assert {"1", "2", "3"} <= set(texts)
    assert "0" not in texts


def test_no_two_states_enter_on_one_line():
    """What is read one step later and two steps later, `slow`, keeps to two ways."""
    picture = unrolled(gallery.custom_cell()).picture
    level = []  # the stretches of states that run on the level, with their operands
    for line in picture.lines:
        for (x0, y0), (x1, y1) in pairwise(line.points[::3]):
            if line.kind == "state" and abs(y1 - y0) < 1 and x1 - x0 > 20 and line.target:
                level.append((y0, x0, x1, line.source, line.target))
    for (y, x0, x1, *ends), (y2, a, b, *others) in combinations(level, 2):
        shared = min(x1, b) - max(x0, a)
        assert ends[0] == others[0] or abs(y - y2) > 3 or shared < 10


def test_a_weight_acts_along_a_loop():
    picture = viz.rolled(gallery.textbook(), params="edges").picture
    assert {"Wx", "Wy", "Ws, Sₜ₋₁"} <= {line.label for line in picture.lines}


def headings(picture):
    """The headings of cells, several lines put together."""
    frames = [b for b in picture.boxes if b.kind == "column"]
    texts = [[t for t in picture.texts if t.size == HEADING and inside(t, b)] for b in frames]
    return [", ".join(t.text for t in lines) for lines in texts]


def inside(text, box):
    return abs(text.x - box.x) < box.w / 2 and abs(text.y - box.y) < box.h / 2


@NAMED
@pytest.mark.parametrize("level", ["op", "gate", "cell"])
def test_no_edge_strikes_a_heading(name, level):
    """Where it is wider than any gap between the edges there, the cell is made wider."""
    picture = viz.rolled(MODELS[name](), level=level).picture
    frames = [b for b in picture.boxes if b.kind == "column"]
    assert headings(picture) == [b.title for b in frames]
    points = [curve(line, 60) for line in picture.lines]
    x, y = np.concatenate([*points, np.zeros((0, 2))]).T
    for text in (t for t in picture.texts if t.size == HEADING):
        end = text.x + text_width(text.text, text.size)
        (frame,) = [b for b in frames if inside(text, b)]
        assert end < frame.x + frame.w / 2
        assert not ((text.x < x) & (x < end) & (abs(y - text.y + 5) < 8)).any()


def test_two_cells_of_one_heading():
    """An encoder and a decoder of as many steps each have a frame."""
    encoder, decoder = nn.RNN(3, 4), nn.RNN(3, 4)
    _, h = encoder(tg.ones(5, 2, 3))
    picture = rolled(decoder(tg.ones(5, 2, 3), h)[0].sum()).picture
    assert headings(picture) == ["× 5 steps"] * 2


@pytest.mark.parametrize("draw", [viz.rolled, viz.unrolled])
def test_frames_are_as_wide_as_their_names(draw):
    picture = draw(gallery.bidirectional(), level="gate").picture
    frames = {b.title: b for b in picture.boxes if b.kind == "frame"}
    assert {"RNN.l0", "RNN.l0_reverse"} <= set(frames)
    for t in picture.texts:
        if t.text in frames:
            assert text_width(t.text, t.size) < frames[t.text].w


@pytest.mark.parametrize(("name", "loops"), [("gru", 1), ("lstm", 2), ("two_layers", 4)])
def test_a_state_has_one_loop(name, loops):
    """However many ops read it a step later: it fans out at a point near them."""
    picture = rolled(MODELS[name](), level="gate").picture
    states = [line for line in picture.lines if line.edges[0].delay]
    assert len(states) == loops
    assert all(line.label for line in states)
    joints = {b.name for b in picture.boxes if b.kind == "junction"}
    for line in states:
        fans = [e for e in picture.lines if e.source == line.target]
        assert line.target not in joints or len(fans) > 1
    check_geometry(picture)


def test_rolled_keeps_the_cut_and_says_what_differs():
    """The cut with its steps, once if several read it; a step of another kind by its number."""
    found = [lines for _, kind, lines, _ in boxes(rolled(truncated())) if kind == "cut"]
    assert found == [["✂ h at t = 3", "(2, 4)"]]
    assert headings(rolled(truncated()).picture) == ["× 3 steps, cut off (✂) at t = 3"]
    cell, h, loss = nn.GRUCell(3, 4, generator=gallery.generator()), tg.zeros(2, 4), 0.0
    for t, x_t in enumerate(gallery.series(9)):
        h = cell(x_t, h.detach() if t % 3 == 0 and t else h)
        loss = loss + h.sum()
    picture = rolled(loss, level="gate").picture
    cuts = [b for b in picture.boxes if b.kind == "cut"]
    assert [b.lines for b in cuts] == [["✂ h at t = 3, 6"]]
    assert len([e for e in picture.lines if e.source == cuts[0].name]) == 2
    assert headings(picture)[0].startswith("× 9 steps, cut off (✂) at t = 3, 6")
    skipping = headings(rolled(gallery.custom_cell()).picture)
    assert skipping == ["× 6 steps, not as shown: t = 0"]


def test_rolled_leaves_nothing_astray_and_says_which_way():
    """What states begin with stands before the cell, no other constant; against time it is t+1."""
    for name, starts in (("custom_cell", 1), ("lstm", 2), ("rnn", 1)):
        drawn = boxes(rolled(MODELS[name]()))
        assert [kind for _, kind, _, _ in drawn].count("start") == starts, name
    labels = [line.label for line in rolled(gallery.bidirectional()).picture.lines]
    assert labels.count("hₜ₋₁") == labels.count("hₜ₊₁") == 1
