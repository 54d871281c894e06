"""Layers and directions in diagrams: rows above each other, and what joins them."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.flow.contributions import contributions
from tinygrad_rnn.viz.flow.sweep import sweep
from tinygrad_rnn.viz.graph.building import collect
from tinygrad_rnn.viz.layout import engine

spec = importlib.util.spec_from_file_location(
    "gallery", Path(__file__).parent.parent / "examples" / "gallery.py"
)
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)
T, N, H = 4, 2, 3


def both_ways(second=True):
    """Two directions over a series, joined, and two directions over that; what was joined, too."""
    g = np.random.default_rng(0)

    def weight(name, *shape):
        return nn.Parameter(g.normal(size=shape), name=name)

    def run(W, U, rows):
        h, found = tg.zeros(N, H, dtype="float64"), []
        for t, row in rows:
            with tg.step(t):
                h = tg.tanh(row() @ W + h @ U)
            h.name = "h"
            found.append(h)
        return found

    x = g.normal(size=(T, N, H))
    series = tg.tensor(x, name="x")
    below = [
        run(
            weight(f"W{k}", H, H),
            weight(f"U{k}", H, H),
            [(t, lambda t=t: series[t]) for t in order],
        )
        for k, order in enumerate((range(T), reversed(range(T))))
    ]
    below[1].reverse()
    joined = tg.concat([tg.stack(below[0]), tg.stack(below[1])], axis=2)
    above = [
        run(
            weight(f"W{k}", 2 * H, H),
            weight(f"U{k}", H, H),
            [(t, lambda t=t: joined[t]) for t in order],
        )
        for k, order in enumerate((range(T), reversed(range(T))), 2)
    ]
    loss = (above[0][-1] ** 2).sum() + (above[1][-1] ** 2).sum()
    return (loss if second else loss + joined.sum()), below, joined


def test_a_row_of_joined_series_is_its_own_step_s():
    loss, _, _ = both_ways()
    graph = collect(loss)
    rows = [v for v in graph.vertices if v.op == "concat"]
    assert [v.step for v in rows] == list(range(T))
    assert not any(v.op in ("stack", "index") for v in graph.vertices if v.kind == "op")
    for v in rows:
        sources = [graph.vertices[e.source] for e in graph.into[v.number]]
        assert [(s.name, s.step) for s in sources] == [("h", v.step)] * 2
        assert len(graph.outof[v.number]) == 2  # both directions read it


def test_one_that_is_read_whole_too_has_an_edge_from_every_row():
    loss, _, _ = both_ways(second=False)
    graph = collect(loss)
    ops = [v.op for v in graph.vertices if v.kind == "op"]
    assert ops.count("concat") == T
    assert not {"stack", "index"} & set(ops)
    readers = {e.target for v in graph.vertices if v.op == "concat"
               for e in graph.outof[v.number] if graph.vertices[e.target].step is None}  # fmt: skip
    [whole] = readers
    assert [graph.vertices[e.source].step for e in graph.into[whole]] == list(range(T))


@pytest.mark.parametrize("second", [True, False], ids=["by rows", "whole, too"])
def test_figures_of_a_row_equal_the_tape_s(second):
    """The gradient of each joined part by its own reader, and of a row by all that read it."""
    loss, _, joined = both_ways(second)
    graph = collect(loss)
    flow = sweep(loss, graph, None)
    whole = tg.grad(loss, joined, retain_graph=True).numpy()
    told = {}
    for c in contributions(loss.node, graph):
        told.setdefault(c.target, []).append(c)
    for v in graph.vertices:
        if v.op != "concat":
            continue
        found = flow.total_of(v)
        assert found.norm == pytest.approx(np.linalg.norm(whole[v.step]), rel=1e-12)
        assert found.largest == pytest.approx(np.abs(whole[v.step]).max(), rel=1e-12)
        for e, part in zip(graph.into[v.number], np.split(whole[v.step], 2, axis=1), strict=True):
            assert flow.of_edge(e).norm == pytest.approx(np.linalg.norm(part), rel=1e-12)
        norms = sorted(float(c.value) for c in told[v.number])
        wanted = sorted(np.linalg.norm(p) for p in np.split(whole[v.step], 2, axis=1))
        np.testing.assert_allclose(norms, wanted, rtol=1e-12)
        assert {c.formula.split("= ")[1].split(" of")[0] for c in told[v.number]} == {
            "part 0",
            "part 1",
        }


def test_small_rows_gradients_are_written_whole():
    """Each of two readers sends a part; the box has their sum."""
    a, b = ([nn.Parameter([k + 1.0], name=f"{n}{k}") for k in range(2)] for n in "ab")
    joined = tg.concat([tg.stack([p * 1.0 for p in a]), tg.stack([p * 1.0 for p in b])], axis=1)
    with_step = []
    for t in range(2):
        with tg.step(t):
            with_step.append((joined[t] * 2.0).sum() + (joined[t] * joined[t]).sum())
    boxes = viz.unrolled(sum(with_step), level="op", show=("value", "grad")).picture.boxes
    found = [b.lines for b in boxes if b.lines and b.lines[0] == "concat"]
    assert found == [["concat", "value 1, 1", "grad 4, 4"], ["concat", "value 2, 2", "grad 6, 6"]]


def lstm(layers, both=False):
    return lambda: (nn.LSTM(3, 4, layers, bidirectional=both)(tg.ones(T, N, 3))[0] ** 2).mean()


LSTMS = {
    "eight": lambda: gallery.eight_matrices(T),
    "one": lstm(1),
    "two": lstm(2),
    "both": lstm(2, both=True),
}


def ends_of(picture, name):
    """The lines of a state between steps, with the boxes at their ends."""
    boxes = {b.name: b for b in picture.boxes if b.vertex >= 0}
    found = [e for e in picture.lines if e.kind == "state"]
    for e in found:
        source, target = boxes.get(e.source), boxes.get(e.target)
        if source and source.lines[0].rstrip("₀₁₂₃₄₅ =+×") == name:
            yield e, source, target


@pytest.mark.parametrize("level", ["gate", "op"])
@pytest.mark.parametrize("name", LSTMS)
@pytest.mark.parametrize("engine_at_hand", ["dot", "pygraphviz"])
def test_an_lstm_as_everyone_draws_it(name, level, engine_at_hand, monkeypatch, tmp_path):
    """x below, the gates in a row, c on top and straight through, h low to where it entered."""
    if engine_at_hand == "pygraphviz":
        pytest.importorskip("pygraphviz")
        monkeypatch.setenv("PATH", str(tmp_path))
        engine.layout.cache_clear()
    picture = viz.unrolled(LSTMS[name](), level=level).picture
    highways = list(ends_of(picture, "c"))
    assert len(highways) == (T - 1) * {"eight": 1, "one": 1, "two": 2, "both": 4}[name]
    for e, c, times in highways:
        assert {round(y, 1) for _, y in e.points} == {round(c.y, 1)}
        assert round(times.y, 1) == round(c.y, 1)
        inputs = [b for b in picture.boxes if b.kind == "input" and b.step == c.step]
        assert all(b.y > c.y for b in inputs)
    frames = {round(c.y, 1): c for _, c, _ in highways}
    boxes = {b.name: b for b in picture.boxes if b.vertex >= 0}
    into = {}
    for e in picture.lines:
        into.setdefault(e.target, []).append(boxes.get(e.source))
    for c in frames.values():  # below c: i x g, and the gates side by side
        by_step = [b for b in boxes.values() if b.step == c.step]
        active = [b for b in by_step if b.y > c.y and {"σ", "sigmoid", "tanh"}
                  & {line.split(" ")[-1] for line in b.lines}]  # fmt: skip
        heights = [round(b.y, 1) for b in active]
        assert max(map(heights.count, heights)) >= 4
    for e, h, target in ends_of(picture, "h"):
        low = e.points[-1][1]
        assert low > h.y  # it leaves below where it is made
        assert target is None or abs(low - target.y) < 60
    assert sum(1 for _ in ends_of(picture, "h")) >= len(highways)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"num_layers": 2}])
def test_a_cell_that_is_one_gate_has_a_row_of_its_own(options):
    """An RNN's layers and directions above each other, each framed with its name."""
    y, _ = nn.RNN(3, 4, **options)(tg.ones(T, N, 3))
    picture = viz.unrolled((y**2).mean(), level="gate").picture
    states = [b for b in picture.boxes if b.kind == "state"]
    assert len({round(b.y) for b in states}) == 2
    assert len({round(b.x) for b in states}) == T
    assert sum(b.kind == "frame" and b.title != "RNN" for b in picture.boxes) == 2 * T


def test_both_directions_are_drawn_as_gates_by_default():
    """Eight ops and eight parameters a step are too many to be read."""
    assert "drawn as gates" in viz.unrolled(gallery.bidirectional()).summary()
    assert "drawn as" not in viz.unrolled(gallery.rnn()).summary()


def unnamed():
    """States without names, a readout with a loss at every step."""
    g = tg.Generator(0)
    W, U = ({k: nn.Parameter(g.normal((3, 3))) for k in "ifgo"} for _ in "WU")
    V = nn.Parameter(g.normal((3, 1)))
    (h, c), loss = (tg.zeros(2, 3), tg.zeros(2, 3)), tg.zeros(())
    for x_t in tg.ones(T, 2, 3):
        i, f, o = (tg.sigmoid(x_t @ W[k] + h @ U[k]) for k in "ifo")
        c = f * c + i * tg.tanh(x_t @ W["g"] + h @ U["g"])
        h = o * tg.tanh(c)
        loss = loss + ((h @ V) ** 2).mean()
    return loss


def test_states_need_no_names():
    """c straight through, what is read from h above it."""
    picture = viz.unrolled(unnamed(), level="gate").picture
    boxes = {b.name: b for b in picture.boxes if b.vertex >= 0}
    level = [e for e in picture.lines if e.kind == "state" and e.target in boxes
             and boxes[e.target].lines == ["×"]]  # fmt: skip
    assert len(level) == T - 1
    for e in level:
        assert {round(y, 1) for _, y in e.points} == {round(boxes[e.source].y, 1)}
        readouts = [b for b in boxes.values() if b.lines == ["·²"] and b.step == 1]
        assert all(b.y < boxes[e.source].y for b in readouts)


def test_columns_with_frames_do_not_touch():
    for level in ("op", "gate"):
        frames = [b for b in viz.unrolled(gru(), level=level).picture.boxes if b.kind == "column"]
        edges = sorted((b.x - b.w / 2, b.x + b.w / 2) for b in frames)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(edges))


def gru():
    return (nn.GRU(3, 4, generator=tg.Generator(0))(tg.ones(T, N, 3))[0] ** 2).mean()


@pytest.mark.parametrize("make", [*LSTMS.values(), gru])
def test_four_steps_fit_a_screen(make):
    """As drawn by default, without and with the gradient: 1,280 pixels."""
    for draw in (viz.unrolled, viz.gradient_flow):
        assert draw(make()).picture.width / 72 * 96 <= 1280


def test_pieces_of_a_sum_are_no_boxes_of_their_own():
    """What a GRU takes out of a fused product is read from its box, with its own gradient."""
    loss = gru()
    flow = viz.gradient_flow(loss, level="gate")
    boxes = {b.name: b for b in flow.picture.boxes if b.vertex >= 0}
    assert not any("8:12" in line for b in boxes.values() for line in b.lines)
    lines = [e for e in flow.picture.lines if e.target in boxes and e.source in boxes]
    pieces = [e for e in lines if boxes[e.target].lines[0] == "linear" and len(e.edges) == 1]
    graph = collect(loss)
    keys = {graph.vertices[e.source].note for p in pieces for e in p.edges}
    assert "[:, 8:12]" in keys  # the edge measured is the piece's


def test_a_gru_s_state_runs_straight_through():
    loss = (nn.GRU(3, 4)(tg.ones(T, N, 3), lengths=[T, T - 1])[0] ** 2).mean()
    picture = viz.unrolled(loss, level="gate").picture
    rails: dict[str, list[set[float]]] = {}  # of each state the heights that its lines run at
    for line in (e for e in picture.lines if e.kind == "state" and e.source[:1] == "n"):
        rails.setdefault(line.source, []).append({round(y, 1) for _, y in line.points})
    assert len(rails) == T - 1
    assert all(any(len(heights) == 1 for heights in lines) for lines in rails.values())


def test_two_layers_of_both_directions_are_four_rows():
    lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, generator=tg.Generator(0))
    y, _ = lstm(tg.ones(T, N, 3))
    loss = (y**2).mean()
    for draw in (viz.unrolled, viz.gradient_flow):
        diagram = draw(loss, level="cell")
        cells = [b for b in diagram.picture.boxes if b.kind == "cell"]
        assert len(cells) == 4 * T
        rows = {b.lines[0] + b.lines[1] * (b.lines[1] == "backward"): set() for b in cells}
        for b in cells:
            rows[b.lines[0] + b.lines[1] * (b.lines[1] == "backward")].add(round(b.y))
        assert all(len(ys) == 1 for ys in rows.values())
        assert len(set.union(*rows.values())) == 4
        assert diagram.picture.width / 72 * 96 < 900
    assert "× 4 steps" in " ".join(t.text for t in viz.rolled(loss, level="cell").picture.texts)


def test_a_loss_of_every_step_is_no_part_of_what_joins_cells():
    """What a step's loss adds comes after the cells, what joins directions between them."""
    lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, generator=tg.Generator(0))
    y, _ = lstm(tg.ones(T, N, 3))
    head, loss = nn.Linear(8, 1, generator=tg.Generator(0)), 0.0
    for y_t in y:
        loss = loss + (head(y_t) ** 2).mean()
    picture = viz.unrolled(loss, level="cell").picture
    assert sum(b.kind == "cell" and "LSTM" in b.lines[0] for b in picture.boxes) == 4 * T
    assert sum(b.lines[:1] == ["concat"] for b in picture.boxes) >= T
