"""Rolled diagrams: one cell, a loop for each state, words that name the step they read."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from diagrams import MODELS, boxes, check_geometry, curve, gallery, rolled, truncated, unrolled

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.layout.picture import text_width


@pytest.mark.parametrize("T", [2, 3, 4, 8])
def test_a_loop_over_rows_is_rolled_from_two_steps_on(T):
    cell, h, x = nn.GRUCell(3, 4, generator=gallery.generator()), tg.zeros(2, 4), gallery.series(T)
    for t in range(T):
        h = cell(x[t], h)
    diagram = rolled(h.sum())
    assert f"× {T} steps" in [t.text for t in diagram.picture.texts]
    assert [lines[0] for _, kind, lines, _ in boxes(diagram) if kind == "start"] == ["zeros"]


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


@pytest.mark.parametrize(
    ("name", "level"),
    [("lstm", "gate"), ("two_layers", "cell"), ("gru", "op"), ("range_loop", "op")],
)
def test_no_edge_strikes_a_heading_that_has_room(name, level):
    """On the left of each of these an edge would run through it."""
    picture = viz.rolled(MODELS[name](), level=level).picture
    (heading,) = [t for t in picture.texts if "steps" in t.text]
    (frame,) = [b for b in picture.boxes if b.title == heading.text]
    left, width = frame.x - frame.w / 2, text_width(heading.text, heading.size)

    def struck(start):
        x, y = np.concatenate([curve(line, 60) for line in picture.lines]).T
        return ((start < x) & (x < start + width) & (abs(y - heading.y + 5) < 8)).any()

    assert not struck(heading.x)
    assert struck(left + 10)


@pytest.mark.parametrize(("name", "loops"), [("gru", 1), ("lstm", 2), ("two_layers", 4)])
def test_a_state_has_one_loop(name, loops):
    """However many ops read it a step later: it fans out at a point near them."""
    picture = rolled(MODELS[name](), level="gate").picture
    states = [line for line in picture.lines if line.kind == "state"]
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
    headings = [t.text for t in rolled(truncated()).picture.texts]
    assert headings[0] == "× 3 steps, cut off (✂) at t = 3"
    cell, h, loss = nn.GRUCell(3, 4, generator=gallery.generator()), tg.zeros(2, 4), 0.0
    for t, x_t in enumerate(gallery.series(9)):
        h = cell(x_t, h.detach() if t % 3 == 0 and t else h)
        loss = loss + h.sum()
    picture = rolled(loss, level="gate").picture
    cuts = [b for b in picture.boxes if b.kind == "cut"]
    assert [b.lines for b in cuts] == [["✂ h at t = 3, 6"]]
    assert len([e for e in picture.lines if e.source == cuts[0].name]) == 2
    assert picture.texts[0].text.startswith("× 9 steps, cut off (✂) at t = 3, 6")
    skipping = rolled(gallery.custom_cell()).picture.texts[0].text
    assert skipping == "× 6 steps; not as shown: t = 0"


def test_rolled_leaves_nothing_astray_and_says_which_way():
    """What states begin with stands before the cell, no other constant; against time it is t+1."""
    for name, starts in (("custom_cell", 1), ("lstm", 2), ("rnn", 1)):
        drawn = boxes(rolled(MODELS[name]()))
        assert [kind for _, kind, _, _ in drawn].count("start") == starts, name
    labels = [line.label for line in rolled(gallery.bidirectional()).picture.lines]
    assert labels.count("hₜ₋₁") == labels.count("hₜ₊₁") == 1
