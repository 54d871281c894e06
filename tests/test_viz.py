"""Diagrams: what they say, that they never change by themselves, and what bad input gets."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path

import graphviz
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.errors import GraphError, RenderError
from tinygrad_rnn.kernels.measure import (
    Measured,
    measure_all,
    measure_products,
    measure_sums,
)
from tinygrad_rnn.viz import building, columns, engine
from tinygrad_rnn.viz.__main__ import main as draw_main
from tinygrad_rnn.viz.picture import text_width

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
SVG = "{http://www.w3.org/2000/svg}"


def _gallery():
    spec = importlib.util.spec_from_file_location(
        "gallery", HERE.parent / "examples" / "gallery.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gallery = _gallery()


def range_loop():
    """A loop without stamps: the steps are found in the graph."""
    x, W = gallery.series(5), nn.Parameter(np.eye(4, dtype=np.float32), name="W")
    U, h = nn.Parameter(np.ones((3, 4), np.float32), name="U"), tg.zeros(2, 4)
    for t in range(5):
        h = tg.tanh(x[t] @ U + h @ W)
    return (h**2).sum()


def truncated(T=6):
    """A state detached half-way."""
    cell, h = nn.RNNCell(3, 4, generator=gallery.generator()), tg.zeros(2, 4)
    for t, x_t in enumerate(gallery.series(T)):
        h = cell(x_t, h.detach() if t == T // 2 else h)
    return h.sum()


def plain():
    """A graph in which nothing repeats."""
    w = nn.Parameter(np.ones((2, 2), np.float32), name="w")
    return (tg.exp(w) @ w + 1).mean()


MODELS = {m.__name__: m for m in (*gallery.MODELS, range_loop, truncated, plain)}
NAMED = pytest.mark.parametrize("name", MODELS)


def lasting(T=40):
    y, _ = nn.LSTM(3, 4, generator=gallery.generator())(gallery.series(T))
    return (y[-1] ** 2).mean()


def unrolled(loss, **how):
    """Op by op, whatever the size of a step."""
    return viz.unrolled(loss, **{"level": "op", **how})


def rolled(loss, **how):
    return viz.rolled(loss, **{"level": "op", **how})


def gradient_flow(loss, **how):
    return viz.gradient_flow(loss, **{"level": "op", **how})


def boxes(diagram):
    """(id, kind, lines, step) of every node of a diagram."""
    return [(b.name, b.kind, b.lines, b.step) for b in diagram.picture.boxes if b.vertex >= 0]


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
        "import sys; sys.path.insert(0, sys.argv[1]); import test_viz as t;"
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


def check_geometry(picture):
    """From outside: boxes against each other, sampled points of every edge against every box."""
    nodes = [b for b in picture.boxes if b.vertex >= 0]
    place = np.array([(b.x, b.y, b.w / 2, b.h / 2) for b in nodes])
    for k, b in enumerate(nodes):
        near = (np.abs(place[:, 0] - b.x) < place[:, 2] + b.w / 2) & (
            np.abs(place[:, 1] - b.y) < place[:, 3] + b.h / 2
        )
        assert near.sum() == 1, (
            f"{b.name} overlaps {[nodes[i].name for i in np.flatnonzero(near) if i != k]}"
        )
    for line in picture.lines:
        along = curve(line)
        inside = (np.abs(along[:, None, 0] - place[:, 0]) < place[:, 2] - 1) & (
            np.abs(along[:, None, 1] - place[:, 1]) < place[:, 3] - 1
        )
        through = {nodes[i].name for i in np.flatnonzero(inside.any(axis=0))} - {
            line.source,
            line.target,
        }
        assert not through, f"{line.source} -> {line.target} runs through {through}"


def curve(line, n=9):
    """Points of a line, n on each of its cubic curves."""
    s, p = np.linspace(0, 1, n)[:, None], np.array(line.points)
    a, b, c, d = (p[k : len(p) - 1 : 3, None] if k < 3 else p[3::3, None] for k in range(4))
    bends = (1 - s) ** 3 * a + 3 * s * (1 - s) ** 2 * b + 3 * s * s * (1 - s) * c + s**3 * d
    return bends.reshape(-1, 2)


@NAMED
def test_time_runs_to_the_right(name):
    picture = unrolled(MODELS[name](), steps="all").picture
    found = columns.arrange(building.collect(MODELS[name]()))
    headers = [b for b in picture.boxes if b.kind == "column"]
    assert [b.step for b in headers] == [c.step for c in found.columns if c.step is not None]
    right = [b.x + b.w / 2 for b in headers]
    left = [b.x - b.w / 2 for b in headers]
    assert all(a < b for a, b in zip(right, left[1:], strict=False))


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


def test_edges_into_hidden_steps_carry_their_gradient():
    loss, total = tg.tensor(0.0), nn.Parameter(np.float32(1.0))
    h = tg.zeros(2, 4)
    cell = nn.RNNCell(3, 4, generator=gallery.generator())
    for x_t in gallery.series(30):
        h = cell(x_t, h)
        loss = loss + (h * total).sum()  # a single number is carried along too
    lines = gradient_flow(loss).picture.lines
    into_gap = [line for line in lines if line.edges and not line.source]
    assert len(into_gap) == 2
    assert all(line.look == "flows" for line in into_gap)


def test_deep_graphs_need_no_stack():
    before = sys.getrecursionlimit()
    loss = lasting(3000)
    sys.setrecursionlimit(200)
    try:
        assert "2994 identical" in unrolled(loss).svg
        assert gradient_flow(loss).table().states["LSTM.l0.h"]["norm"].shape == (3000,)
    finally:
        sys.setrecursionlimit(before)


# gradients ------------------------------------------------------------------------


@given(st.lists(st.floats(width=32), max_size=40))
@settings(max_examples=60, deadline=None)
def test_measure(values):
    x = np.array(values, np.float32)
    m = Measured(*measure_all([x])[0].tolist())
    assert m.bad == (~np.isfinite(x)).sum()
    assert m.zeros == ((x == 0).mean() if len(x) else 0)
    if not m.bad:
        wide = x.astype(np.float64)
        np.testing.assert_allclose(m.norm, np.sqrt((wide**2).sum()), rtol=1e-12)
        assert m.largest == np.abs(wide).max(initial=0)
    else:
        assert not np.isfinite(m.norm)
        assert np.isnan(m.largest)


@given(st.lists(st.sampled_from("abctv"), min_size=1, max_size=12), st.sampled_from("fd"))
@settings(max_examples=40, deadline=None)
def test_many_arrays_are_measured_as_each_alone(kinds, dtype):
    """Repeated, transposed, strided, empty, of another dtype: each gets its own figures."""
    a = np.arange(-6, 6).reshape(3, 4).astype(dtype)
    other = np.array([1.0, np.nan, 0.0], "d" if dtype == "f" else "f")
    pool = {"a": a, "b": np.zeros((0, 2), dtype), "c": a[:, 1:], "t": a.T, "v": other}
    arrays = [pool[k] for k in kinds]
    rows = measure_all(arrays)
    for x, row in zip(arrays, rows, strict=True):
        np.testing.assert_allclose(row[0], np.linalg.norm(x), rtol=1e-6)
        assert row[2] == ((x == 0).mean() if x.size else 0)
        assert row[3] == (~np.isfinite(x)).sum()


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("depths", [(3,), (2, 2, 2), (2, 5, 1)])
@pytest.mark.parametrize("shape", [(4, 3), (300, 500)])
def test_terms_are_measured_and_summed(dtype, depths, shape):
    """A sum in tiles (150,000 numbers are three), of one term, of terms unlike in depth."""
    rng = np.random.default_rng(0)
    a, b = ([rng.standard_normal((n, size)).astype(dtype) for n in depths] for size in shape)
    b[-1][0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        products = measure_products(a, b), [x.T.astype("d") @ y for x, y in zip(a, b, strict=True)]
    for (total, rows), terms in [products, (measure_sums(a), [x.sum(0, dtype="d") for x in a])]:
        np.testing.assert_allclose(total, sum(terms), rtol=2e-4, atol=1e-4)
        for row, term in zip(rows, terms, strict=True):
            assert row[3] == (~np.isfinite(term)).sum()
            if row[3] == 0:
                np.testing.assert_allclose(row[0], np.linalg.norm(term), rtol=1e-5)
                np.testing.assert_allclose(row[1], np.abs(term).max(), rtol=1e-4)


@pytest.mark.parametrize(
    ("model", "factor"),
    [(gallery.vanishing, 0.5), (gallery.healthy, 1.0), (gallery.exploding, 1.5)],
)
def test_the_factor_is_the_spectral_radius(model, factor):
    """h stays 0, so tanh' is 1 and every step back multiplies by radius times an orthogonal matrix."""
    diagram = gradient_flow(model())
    (rate,) = diagram.table().rates.values()
    assert rate.factor == pytest.approx(factor, rel=1e-5)
    assert rate.half_life == (pytest.approx(1.0, rel=1e-4) if factor == 0.5 else np.inf)
    word = {0.5: "half-life 1 steps", 1.0: "does not decay", 1.5: "doubles every 1.71"}[factor]
    assert word in diagram.summary()


def test_a_direction_against_time_has_its_own_rate():
    """A series that reads the same both ways: the same rate in both directions."""
    half = gallery.series(6).numpy()
    net = nn.RNN(3, 4, bidirectional=True, generator=tg.Generator(5))
    for name, p in net.named_parameters():
        if name.endswith("_reverse"):
            p.assign_(getattr(net, name.removesuffix("_reverse")).numpy())
    y, _ = net(tg.tensor(np.concatenate([half, half[::-1]])))
    table = gradient_flow(y[-1, :, :4].sum() + y[0, :, 4:].sum()).table()
    forward, backward = table.rates["RNN.l0.h"], table.rates["RNN.l0_reverse.h"]
    assert forward[:2] == pytest.approx(backward[:2])
    assert (forward.loss_step, backward.loss_step) == (11, 0)
    assert 0.1 < forward.factor < 1
    assert list(table.states["RNN.l0_reverse.h"]["step"]) == list(range(12))[::-1]


def test_a_masked_state_is_one_state():
    table = gradient_flow(gallery.gru()).table()
    (found,) = table.states.values()
    assert list(found["step"]) == list(range(6))


def test_classes_differ_in_more_than_colour():
    looks = {}
    for model in (gallery.vanishing, gallery.exploding):
        for line in gradient_flow(model(), steps="all").picture.lines:
            if not line.source.startswith("j") and not line.target.startswith("j"):
                looks[line.look or "legend"] = (line.dash, line.head, line.pen > 4)
    assert {"vanished", "exploding", "flows", "absent"} <= set(looks)
    assert len({looks[k] for k in ("vanished", "exploding", "flows", "absent")}) == 4


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_figures_equal_finite_differences(cell):
    """A parameter's gradient by step: the loss as a function of that step's copy alone."""
    net = cell(2, 3, generator=tg.Generator(1)).astype("float64")
    x = tg.tensor(np.random.default_rng(0).standard_normal((4, 2, 2)))

    def loss(extra=None, step=None):
        h = None
        for t, x_t in enumerate(x):
            core = net._cells["l0"]
            core.weight_hh.assign_(base + (extra if t == step else 0))
            h = core(x_t, h)
        core.weight_hh.assign_(base)
        h = h[0] if isinstance(h, tuple) else h
        return (h**2).sum()

    base = net.weight_hh_l0.numpy().copy()
    y, _ = net(x)
    table = gradient_flow((y[-1] ** 2).sum()).table()
    found = table.parameters[f"{net.__class__.__name__}.l0.weight_hh_l0"]
    eps = 1e-6
    for step, norm in zip(found["step"], found["norm"], strict=True):
        gradient = np.zeros_like(base)
        for k in np.ndindex(base.shape):
            extra = np.zeros_like(base)
            extra[k] = eps
            with tg.no_grad():
                gradient[k] = (loss(extra, step).item() - loss(-extra, step).item()) / (2 * eps)
        np.testing.assert_allclose(norm, np.linalg.norm(gradient), rtol=1e-6, atol=1e-9)


def test_one_step_s_loss_alone():
    """With from_step only that loss sends gradients: the same as the graph of that loss."""

    def losses():
        cell, h, found = nn.RNNCell(3, 4, generator=tg.Generator(2)), tg.zeros(2, 4), []
        for x_t in gallery.series():
            h = cell(x_t, h)
            found.append((h**2).mean())
        return found

    every = losses()
    total = every[0]
    for k, one in enumerate(every[1:], 1):
        with tg.step(k):
            total = total + one
    name = "RNNCell.h"
    both = gradient_flow(total, from_step=3).table().states[name]["norm"]
    alone = gradient_flow(losses()[3]).table().states[name]["norm"]
    np.testing.assert_allclose(both[:4], alone[:4], rtol=1e-6)
    assert not both[4:].any()
    whole = gradient_flow(total).table().states[name]["norm"]
    assert (whole[:5] > both[:5]).all()
    with pytest.raises(GraphError, match="no loss enters step 9"):
        gradient_flow(total, from_step=9)


def test_gradients_are_left_alone():
    loss = gallery.rnn()
    diagram = gradient_flow(loss)
    loss.backward()  # the graph is still whole
    with pytest.raises(GraphError, match=r"viz\.record"):
        gradient_flow(loss)
    again = gallery.rnn()
    with viz.record() as flow:
        again.backward()
    recorded = gradient_flow(again, flow=flow)
    assert recorded.svg == diagram.svg
    table = recorded.table()
    assert set(table.totals) == {"Wx", "Wh", "Wy", "b"}
    assert unrolled(again, show=("saved",)).svg.count("freed") > 20


def test_totals_are_the_leaves_gradients():
    net = nn.LSTM(3, 4, generator=tg.Generator(0))
    y, _ = net(gallery.series())
    loss = (y**2).mean()
    totals = gradient_flow(loss).table().totals
    assert net.weight_hh_l0.grad is None
    loss.backward()
    for name, p in net.named_parameters():
        norm = float(np.linalg.norm(p.grad.numpy()))
        assert totals[f"LSTM.l0.{name}"] == pytest.approx(norm, rel=1e-5), name


def test_parameters_of_one_name_are_told_apart():
    """By the module that uses them; where that does not do either, by number."""
    table = gradient_flow(gallery.custom_cell()).table()
    assert set(table.parameters) == {f"Skipping.{m}.{p}" for m in "WU" for p in ("weight", "bias")}
    a, b = (nn.Parameter(np.full(2, k, np.float32), name="w") for k in (1, 2))
    table = gradient_flow((a * a + b).sum()).table()
    assert table.totals == {"w": pytest.approx(8**0.5), "w (2)": pytest.approx(2**0.5)}


def test_what_a_hook_makes_of_a_gradient_is_shown():
    """Behind the hook, on the edge out of a slice as well; before it, as it came."""
    w = nn.Parameter(np.ones((2, 3), np.float32), name="w")
    part = (w * 2)[0]
    part.register_hook(lambda g: g * 10)
    edges = gradient_flow((part * 3).sum()).table().edges
    norms = dict(zip(edges["source"], edges["norm"], strict=True))
    assert norms["index"] == pytest.approx(3 * 3**0.5)
    after = edges["norm"][edges["target"] == "index"].tolist()
    assert after == [pytest.approx(30 * 3**0.5)]


def test_nan_and_infinite_gradients_are_shown():
    w = nn.Parameter(np.array([0.0, 1.0], np.float32), name="w")
    with np.errstate(all="ignore"):
        diagram = gradient_flow((tg.sqrt(w) * 0.0).sum())
    assert any(line.look == "not finite" for line in diagram.picture.lines)
    assert diagram.table().edges["bad"].any()
    ET.fromstring(diagram.svg)


# files and engines ----------------------------------------------------------------


@pytest.mark.parametrize("form", ["svg", "gv", "html", "png", "pdf"])
def test_files(form, tmp_path):
    path = unrolled(gallery.rnn()).save(tmp_path / f"a.{form}")
    start = {
        "svg": b"<svg",
        "gv": b"digraph",
        "html": b"<!DOCTYPE",
        "png": b"\x89PNG",
        "pdf": b"%PDF",
    }
    assert path.read_bytes().startswith(start[form])
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{form}"]


def test_pip_packages_alone_are_enough(tmp_path, monkeypatch):
    """With an empty PATH the wheel paints."""
    monkeypatch.setenv("PATH", str(tmp_path))
    engine.layout.cache_clear()
    assert engine.command(True, "png")[0][0] == sys.executable
    for form in ("svg", "png", "pdf"):
        assert rolled(gallery.gru()).save(tmp_path / f"a.{form}").stat().st_size > 2000
        assert unrolled(gallery.two_layers()).save(tmp_path / f"b.{form}").stat().st_size > 2000


def test_without_any_engine(tmp_path, monkeypatch):
    """The DOT file is written, without places; words say how to get an engine, in notebooks too."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    engine.layout.cache_clear()
    for k, draw in enumerate((unrolled, rolled, gradient_flow)):
        diagram = draw(gallery.rnn())
        for form in ("png", "svg", "html"):
            words = rf"install Graphviz.*PATH.*pip install 'tinygrad_rnn\[render\]'.*a{k}\.gv"
            with pytest.raises(RenderError, match=words):
                diagram.save(tmp_path / f"a{k}.{form}")
        assert (tmp_path / f"a{k}.gv").read_text() == diagram.source
        assert "h₀ = tanh" in diagram.source or "hₜ = tanh" in diagram.source
        assert "install Graphviz" in diagram._repr_mimebundle_()["text/plain"]


def test_an_engine_that_hangs_is_stopped(monkeypatch):
    endless = [sys.executable, "-c", "while True: pass"]
    monkeypatch.setattr(engine, "command", lambda *_: (endless, ""))
    with pytest.raises(RenderError, match=r"longer than 0\.3 s.*viz\.rolled"):
        engine.paint("digraph {}", "png", seconds=0.3)
    monkeypatch.setattr(
        engine, "command", lambda *_: ([sys.executable, "-c", "raise SystemExit(3)"], "")
    )
    with pytest.raises(RenderError, match="exit status 3"):
        engine.paint("digraph {}", "png")


def test_any_tool_that_opens_the_file_paints_it(tmp_path):
    """`dot` itself leaves the places as they are; the field's own object is handed out."""
    diagram = unrolled(gallery.lstm(), steps=[0, -1])
    assert isinstance(diagram.dot, graphviz.Digraph)
    assert diagram.dot.source == diagram.source == diagram.save(tmp_path / "a.dot").read_text()
    for tool in (["dot"], ["dot", "-Kneato", "-n2"]):
        done = subprocess.run(
            [*tool, "-Tjson", tmp_path / "a.dot"], capture_output=True, check=True
        )
        placed = {o["name"]: o for o in json.loads(done.stdout)["objects"]}
        xs = [b.x for b in diagram.picture.boxes if b.vertex >= 0]
        found = [
            float(placed[b.name]["pos"].split(",")[0])
            for b in diagram.picture.boxes
            if b.vertex >= 0
        ]
        np.testing.assert_allclose(np.diff(found), np.diff(xs), atol=0.3)


def test_a_png_too_wide_is_refused(tmp_path):
    diagram = unrolled(lasting(120), steps="all")
    with pytest.raises(RenderError, match="32,767"):
        diagram.save(tmp_path / "a.png")
    assert diagram.save(tmp_path / "a.svg").exists()


def test_a_layout_that_takes_too_long_is_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "SECONDS", 1e-6)
    engine.layout.cache_clear()
    with pytest.raises(RenderError, match=r"for a plain layout.*tg\.step\(t\).*a\.gv"):
        unrolled(plain()).save(tmp_path / "a.svg")


def test_paths_that_cannot_be_written(tmp_path):
    diagram = unrolled(plain())
    for bad, words in (
        ("a.jpg", r"\.svg, \.png"),
        ("none/a.svg", "cannot write into"),
        ("a", "suffix"),
    ):
        with pytest.raises(RenderError, match=words):
            diagram.save(tmp_path / bad)
    (tmp_path / "b.svg").mkdir()
    with pytest.raises(RenderError, match="cannot write"):
        diagram.save(tmp_path / "b.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.svg"]


# bad input ------------------------------------------------------------------------

HOSTILE = [
    '"', "\\", "\\N\\G", "<b>bold</b>", "<not html", "a\nb", "a\r\tb", "emoji 🙂 漢字", "&amp;&lt;", "]]>", "{x|y}",
    "</script><script>alert(1)</script>", "\x00\x1f\x7f", "\ud800", "x" * 10_000, "", " ", "%s {0}", "'; --",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_labels(name):
    check_label(name)


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_fuzzed_labels(name):
    check_label(name)


def check_label(name):
    w = nn.Parameter(np.ones(2, np.float32), name=name)
    h = w * 2
    h.name = name
    with tg.scope(name.replace(".", "")):
        loss = (h * w).sum()
    diagram = viz.gradient_flow(loss)
    clean = [line for *_, lines, _ in boxes(diagram) for line in lines]
    assert all(len(line) <= 40 for line in clean)
    import pygraphviz

    source = diagram.source.encode("utf-8", "strict").decode()
    assert len(pygraphviz.AGraph(source).nodes()) >= 4
    html = diagram.html.encode()
    assert html.count(b"<script>") == 1
    assert html.count(b"<b>") == 0


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
        (lambda: viz.unrolled(loss, steps=[99]), "numbers from -6 to 5"),
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


# the command ----------------------------------------------------------------------


def test_draw(tmp_path, capsys):
    what = f"{HERE.parent / 'examples' / 'gallery.py'}:lstm"
    for extra in ([], ["--view", "rolled"], ["--view", "gradient", "--steps", "0,2:4,-1"]):
        assert draw_main([what, *extra, "-o", str(tmp_path / "a.svg")]) == 0
    shown = set(re.findall(r'class="node column step(\d)"', (tmp_path / "a.svg").read_text()))
    assert shown == {"0", "2", "3", "5"}
    assert draw_main([what, "-o", str(tmp_path / "a.svg")]) == 0  # as the library draws it
    assert (tmp_path / "a.svg").read_text() == viz.unrolled(gallery.lstm()).svg
    options = ["--level", "cell", "--direction", "right"]
    assert draw_main([what, *options, "-o", str(tmp_path / "a.svg")]) == 0
    cells = viz.unrolled(gallery.lstm(), level="cell", direction="right")
    assert (tmp_path / "a.svg").read_text() == cells.svg
    several = tmp_path / "several.py"
    several.write_text(
        "import tinygrad_rnn as tg\n"
        "def out():\n    return tg.nn.LSTM(3, 4)(tg.ones(4, 2, 3))\n"
        "def none():\n    return ()\n"
        "def wrong():\n    return tg.nn.RNN(3, 4)(tg.ones(4, 2, 3))[0], 3\n"
    )
    assert draw_main([f"{several}:out", "-o", str(tmp_path / "a.svg")]) == 0
    assert (tmp_path / "a.svg").read_text().count("node output") == 3  # y, h and c
    for bad, words in (
        ([f"{several}:none"], "or several, got ()"), ([f"{several}:wrong"], "or several, got int"),
        (["nothing.py:f"], "no file"), ([what + "x"], "no function 'lstmx'"), ([what, "--steps", "a"], "--steps"),
        ([str(HERE / "test_viz.py")], "FILE.py:FUNCTION"),
    ):  # fmt: skip
        assert draw_main([*bad, "-o", str(tmp_path / "b.svg")]) == 1
        assert words in capsys.readouterr().err
    assert not (tmp_path / "b.svg").exists()


def test_the_page_asks_nothing_of_the_network():
    html = viz.gradient_flow(gallery.lstm()).html
    links = set(re.findall(r'(?:src|href)="([^"#]*)', html)) | set(
        re.findall(r"url\(([^#)][^)]*)", html)
    )
    assert links == {"data:,"}
    assert "default-src 'none'" in html
    assert len(re.findall(r"https?://", html)) == len(
        re.findall(r"http://www\.w3\.org/(?:2000/svg|1999/xlink)", html)
    )
    assert html.count("<section") == 4  # gates and ops, with the gradient and without
