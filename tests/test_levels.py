"""Levels of detail, weights on edges, labels as mathematics, numbers in boxes, tuples of outputs."""

import numpy as np
import pytest
from diagrams import gallery

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.errors import GraphError


def textbook(T=3, scalar=True, names=True):
    """S_t = tanh(Wx X_t + Ws S_{t-1}), Y_t = Wy S_t, an error at every step; lists, no stamps."""
    shape = () if scalar else (2, 2)
    g = np.random.default_rng(0)

    def tensor(name, **how):
        name = name if names or how else None
        return tg.tensor(np.asarray(g.normal(size=shape), np.float32), name=name, **how)

    Wx, Ws, Wy = (tensor(n, requires_grad=True) for n in ("Wx", "Ws", "Wy"))
    X, D = ([tensor(f"{n}_{t + 1}") for t in range(T)] for n in "XD")
    times = (lambda w, x: w * x) if scalar else (lambda w, x: w @ x)
    S, errors, readouts = tensor("S_0"), [], []
    for t in range(T):
        S = tg.tanh(times(Wx, X[t]) + times(Ws, S))
        Y = times(Wy, S)
        E = ((Y - D[t]) ** 2).sum()
        if names:
            S.name, Y.name, E.name = f"S_{t + 1}", f"Y_{t + 1}", f"E_{t + 1}"
        errors.append(E)
        readouts.append(Y)
    return sum(errors[1:], errors[0]), readouts


def drawn(diagram):
    return {b.name: b for b in diagram.picture.boxes if b.vertex >= 0}


def links(diagram):
    """(source's first line, target's first line, label) of every line drawn."""
    found = drawn(diagram)
    return {
        (found[e.source].lines[0], found[e.target].lines[0], e.label)
        for e in diagram.picture.lines
        if e.source in found and e.target in found
    }


# as the textbook draws it ---------------------------------------------------------


@pytest.mark.parametrize("scalar", [True, False])
@pytest.mark.parametrize("T", [2, 3])
def test_the_textbook_s_picture(T, scalar):
    """X below S below Y below E, S from left to right at one height, weights on the edges."""
    diagram = viz.unrolled(textbook(T, scalar)[0], params="edges")
    subs = "₀₁₂₃"
    wanted = {(f"X{subs[t]}", f"S{subs[t]}", "Wx") for t in range(1, T + 1)}
    wanted |= {(f"S{subs[t - 1]}", f"S{subs[t]}", "Ws") for t in range(1, T + 1)}
    wanted |= {(f"S{subs[t]}", f"Y{subs[t]}", "Wy") for t in range(1, T + 1)}
    assert wanted <= links(diagram)
    assert {label for *_, label in links(diagram)} == {"Wx", "Ws", "Wy", ""}
    at = {b.lines[0]: b for b in drawn(diagram).values()}
    assert len({round(at[f"S{subs[t]}"].y) for t in range(T + 1)}) == 1
    xs = [at[f"S{subs[t]}"].x for t in range(T + 1)]
    assert xs == sorted(xs)
    for t in range(1, T + 1):
        ys = [at[f"{n}{subs[t]}"].y for n in "XSYE"]
        assert ys == sorted(ys, reverse=True)
    kinds = {n: at[f"{n}{subs[1]}"].kind for n in "XSYE"}
    assert kinds == {"X": "input", "S": "state", "Y": "value", "E": "output"}
    assert at["S₀"].kind == "start"
    assert not any(b.kind == "parameter" for b in at.values())
    assert diagram.picture.width / 72 * 96 < 1280


def test_the_gradient_beside_the_weight():
    """The figure on an edge is that of the contribution that runs along it."""
    loss, _ = textbook()
    diagram = viz.gradient_flow(loss, params="edges")
    edges = diagram.table().edges
    rails = [e for e in diagram.picture.lines if e.label.startswith("Ws\n")]
    assert len(rails) == 2  # nothing flows to S_0
    for line in rails:
        (e,) = line.edges
        found = {b.name: b.vertex for b in drawn(diagram).values()}
        assert found[line.target] == e.source
    norms = sorted(f"{n:.2g}" for n, s, o in zip(edges["norm"], edges["source"], edges["op"], strict=True)
                   if s == "S" and o == "mul")  # fmt: skip
    assert {e.label.split("|g| ")[1] for e in rails} <= set(norms)


def test_names_do_not_break_the_roll():
    for names in (True, False):
        diagram = viz.rolled(textbook(3, names=names)[0], level="op")
        headings = [t.text for t in diagram.picture.texts]
        assert "× 3 steps" in headings
        lines = [line for b in drawn(diagram).values() for line in b.lines]
        assert not any("_" in line for line in lines)  # no S_0_0
    assert any(e.label == "Sₜ₋₁" for e in viz.rolled(textbook()[0]).picture.lines)
    heads = [t.text for t in viz.unrolled(textbook()[0], level="op").picture.texts]
    assert [h for h in heads if h.startswith("t =")] == ["t = 1", "t = 2", "t = 3"]


# levels ---------------------------------------------------------------------------


def test_gates_of_an_lstm():
    """Every gate a box named as in the papers, c's and h's paths as everyone draws them."""
    diagram = viz.unrolled(gallery.lstm(), level="gate", steps=[0, 1, 2])
    found = links(diagram)
    for gate in ("i₁", "f₁", "g₁", "o₁"):
        assert ("linear", gate, "") in found
    assert {
        ("x₁", "linear", ""),
        ("h₀", "linear", ""),
        ("o₁", "h₁", ""),
        ("c₁", "tanh", ""),
    } <= found
    gates = [b for b in drawn(diagram).values() if b.kind == "gate" and b.step == 1]
    assert sorted(b.lines[-1] for b in gates) == ["linear", "tanh", "σ", "σ", "σ"]
    assert diagram.picture.width / 72 * 96 < 1280


@pytest.mark.parametrize("how", [{"level": "gate"}, {"params": "edges"}])
def test_a_weight_that_a_number_scales_acts_in_no_product_of_its_own(how):
    W, U = (nn.Parameter(np.eye(2, dtype=np.float32), name=name) for name in "WU")
    h = tg.zeros(1, 2)
    for x_t in tg.ones(3, 1, 2):
        h = tg.tanh(h @ (0.5 * W) + x_t @ U)
        h.name = "h"
    diagram = viz.unrolled(h.sum(), **how)
    labels = {label for *_, label in links(diagram)}
    assert ("U" in labels) == ("params" in how)
    assert sum(b.lines == ["0.5 × W"] for b in drawn(diagram).values()) == 3


def test_eight_matrices_are_four_gates():
    diagram = viz.unrolled(gallery.eight_matrices())
    boxes = [b for b in drawn(diagram).values() if b.step == 1]
    assert sum(b.kind == "gate" for b in boxes) == 4
    assert not any(b.kind == "parameter" for b in boxes)
    labels = {e.label for e in viz.unrolled(gallery.eight_matrices(), params="edges").picture.lines}
    assert {f"{n}{k}" for n in "WU" for k in "ifgo"} <= labels


@pytest.mark.parametrize(
    ("model", "rows", "rails"),
    [("lstm", 1, {"c", "h"}), ("two_layers", 2, {"c", "h"}), ("bidirectional", 2, {"h"})],
)
def test_cells(model, rows, rails):
    """One box a step and layer, layers as rows, states as level rails between boxes."""
    diagram = viz.unrolled(getattr(gallery, model)(), level="cell")
    cells = [b for b in drawn(diagram).values() if b.step is not None and b.kind == "cell"]
    assert len(cells) == 6 * rows
    assert len({round(b.y) for b in cells}) == rows
    states = [e for e in diagram.picture.lines if e.kind == "state"]
    assert len(states) == 5 * rows * len(rails)
    for line in states:
        assert abs(line.points[0][1] - line.points[-1][1]) < 1
        a, b = (drawn(diagram)[n] for n in (line.source, line.target))
        for x, _ in line.points:  # between the two, through neither
            assert (
                min(a.x + a.w / 2, b.x + b.w / 2) - 1 <= x <= max(a.x - a.w / 2, b.x - b.w / 2) + 1
            )
    assert {e.label for e in states} - {""} == rails


def test_the_forward_picture_has_no_norms_and_keeps_what_looks_like_one():
    w, h = nn.Parameter([3.0], name="w"), tg.ones(1)
    for x_t in tg.ones(3, 1):
        h = w * h + x_t
    diagram = viz.gradient_flow(h.sum(), level="gate")  # whose norm is 1, as the first state is
    gradient, forward = (
        {b.name: b.lines for b in picture.boxes if b.vertex >= 0}
        for picture in (diagram.picture, diagram._page().views[1].picture)
    )
    assert ["1"] in forward.values()
    assert ["sum", "1"] in gradient.values()
    assert ["sum"] in forward.values()


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("steps", [10, 100])
def test_cells_are_compact(steps, last):
    """Two layers and ten steps within 900 pixels, and what is elided too; gaps hold an arrow."""
    y, _ = nn.LSTM(3, 4, num_layers=2, generator=tg.Generator(0))(gallery.series(steps))
    loss = ((y[-1] if last else y) ** 2).mean()
    for draw in (viz.unrolled, viz.gradient_flow):
        picture = draw(loss, level="cell").picture
        assert picture.width / 72 * 96 < 900
        states = [e for e in picture.lines if e.kind == "state" and e.source and e.target]
        assert min(abs(e.points[-1][0] - e.points[0][0]) for e in states) > 19
    norms = [b.lines[-1] for b in picture.boxes if b.kind == "cell"]
    assert min(map(float, norms)) > 0
    forward = viz.gradient_flow(loss, level="cell")._page().views[1].picture
    assert not any(b.lines[-1] in norms for b in forward.boxes if b.kind == "cell")


def test_a_rail_s_gradient_is_the_state_s():
    """What returns on a cell's rail is what all readers of the next step send back together."""
    loss = gallery.eight_matrices(4)
    diagram = viz.gradient_flow(loss, level="cell")
    carried = diagram.table().states["h"]["carried"]
    words = [e.title for e in diagram.picture.lines if e.kind == "state" and len(e.edges) == 4]
    norms = sorted(float(w.split("norm ")[1].split(",")[0]) for w in words)
    np.testing.assert_allclose(norms, sorted(carried[:-1]), rtol=1e-3)


def test_the_default_is_the_finest_that_can_be_read():
    for model, level in (("rnn", "op"), ("lstm", "gate"), ("two_layers", "cell")):
        diagram = viz.unrolled(getattr(gallery, model)())
        assert ("drawn as" in diagram.summary()) == (level != "op")
        assert level == "op" or f"drawn as {level}s" in diagram.summary()


def layer(module, **how):
    y, _ = module(3, 4, generator=gallery.generator(), **how)(gallery.series(4))
    return (y**2).mean()


FOUR_STEPS = {
    "by hand": lambda: gallery.eight_matrices(4),
    "own": lambda: gallery.Skipping()(gallery.series(4)),
    "lstm": lambda: layer(nn.LSTM),
    "gru": lambda: layer(nn.GRU),
    "two layers": lambda: layer(nn.LSTM, num_layers=2),
    "both directions": lambda: layer(nn.LSTM, bidirectional=True),
    "translator": gallery.translator,
}


@pytest.mark.parametrize("name", FOUR_STEPS)
def test_four_steps_fit_a_screen(name):
    diagram = viz.unrolled(FOUR_STEPS[name]())
    assert diagram.picture.width / 72 * 96 <= 1280
    level = "cell" if name in ("two layers", "both directions", "translator") else "gate"
    assert f"drawn as {level}s" in diagram.summary()


@pytest.mark.parametrize("level", ["op", "gate", "cell"])
@pytest.mark.parametrize("model", [m.__name__ for m in gallery.MODELS])
def test_every_level_draws_every_model(model, level):
    loss = getattr(gallery, model)()
    for draw in (viz.unrolled, viz.rolled, viz.gradient_flow):
        diagram = draw(loss, level=level)
        assert diagram.svg.count("<g") > 5
        parts = [b.vertex for b in drawn(diagram).values()]
        assert len(parts) == len(drawn(diagram))


# mathematics ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda w: 1 - w, "1 − w"), (lambda w: w - 1, "w − 1"), (lambda w: 10 / w, "10 ÷ w"),
        (lambda w: w / 10, "w ÷ 10"), (lambda w: 2.0**w, "2^w"), (lambda w: w**2, "w²"),
        (lambda w: w**-1, "w⁻¹"), (lambda w: w**0.5, "w^0.5"), (lambda w: 1 - w * w, "1 − ·"),
        (lambda w: 0.5 * w, "0.5 × w"), (lambda w: w @ w, "w · w"), (lambda w: tg.tanh(w) + tg.exp(w), "+"),
    ],
)  # fmt: skip
def test_labels_are_mathematics(make, label):
    w = nn.Parameter(np.full((2, 2), 0.5, np.float32), name="w")
    lines = [b.lines[0] for b in drawn(viz.unrolled(make(w).sum())).values()]
    assert label in lines


def test_the_gru_says_one_minus_z():
    lines = [b.lines[0] for b in drawn(viz.unrolled(gallery.gru(), level="op")).values()]
    assert {f"1 − z{t}" for t in "₀₁₂₃₄₅"} <= set(lines)


# numbers --------------------------------------------------------------------------


def test_micrograd_s_expression():
    """Each value and gradient as computed by hand; parameters once, time nowhere."""
    a, b = (nn.Parameter(np.float32(v), name=n) for v, n in ((2.0, "a"), (-0.5, "b")))
    L = tg.tanh(a * b + a**2) + b
    L.name = "L"
    boxes = {
        b.lines[0]: b.lines[1:] for b in drawn(viz.unrolled(L, show=("value", "grad"))).values()
    }
    slope = 1 - np.tanh(3.0) ** 2
    wanted = {
        "a": (2, slope * 3.5), "b": (-0.5, slope * 2 + 1), "a²": (4, slope), "a × b": (-1, slope),
        "+": (3, slope), "tanh": (np.tanh(3.0), 1), "L = +": (np.tanh(3.0) - 0.5, 1),
    }  # fmt: skip
    assert set(boxes) == set(wanted)
    for name, (value, grad) in wanted.items():
        words = [line.split() for line in boxes[name]]
        assert [w[0] for w in words] == ["value", "grad"]
        np.testing.assert_allclose([float(w[1]) for w in words], [value, grad], rtol=2e-3)
    assert a.grad is None


def test_numbers_of_small_tensors_alone():
    w = nn.Parameter(np.array([1.0, 2.0], np.float32), name="w")
    big = nn.Parameter(np.ones((5, 2), np.float32), name="big")
    boxes = {
        b.lines[0]: b.lines for b in drawn(viz.unrolled((big * w).sum(), show="value")).values()
    }
    assert boxes["w"] == ["w", "value 1, 2"]
    assert boxes["big"] == ["big"]
    with pytest.raises(GraphError, match="single value"):
        viz.unrolled(big * w, show="grad")
    loss = (big * w).sum()
    loss.backward()
    with pytest.raises(GraphError, match="freed this graph"):
        viz.unrolled(loss, show="value")


def numbers_in(diagram, word):
    """The number after a word in each box that has it, by the box's first line."""
    return {
        b.lines[0]: float(line.split()[1])
        for b in drawn(diagram).values()
        for line in b.lines
        if line.startswith(word) and not line.endswith("none")
    }


def test_numbers_stand_in_a_gradient_flow_too():
    """Those of the plain drawing; with from_step the gradients of that loss alone."""
    how = {"show": ("value", "grad"), "level": "op"}
    loss, _ = textbook()
    plain, flow = viz.unrolled(loss, **how), viz.gradient_flow(loss, **how)
    assert len(numbers_in(plain, "value ")) > 10
    for word in ("value ", "grad "):
        assert numbers_in(flow, word) == numbers_in(plain, word)
    one = viz.gradient_flow(loss, from_step=1, **how)
    for name, norm in one.table().totals.items():
        assert abs(numbers_in(one, "grad ")[name]) == pytest.approx(norm, rel=1e-3)
        assert abs(numbers_in(flow, "grad ")[name]) != pytest.approx(norm, rel=1e-3)
    with viz.record() as recorded:
        loss.backward()
    with pytest.raises(GraphError, match="freed this graph"):
        viz.gradient_flow(loss, flow=recorded, show="value")
    with pytest.raises(GraphError, match="stands for many steps"):
        viz.rolled(textbook()[0], show="value")


# what may be asked ----------------------------------------------------------------


def test_several_outputs_in_one_picture():
    _, readouts = textbook(2)
    found = [
        b for b in drawn(viz.unrolled(readouts, params="edges")).values() if b.kind == "output"
    ]
    assert [b.lines[0] for b in found] == ["Y₁", "Y₂"]


@pytest.mark.parametrize("T", [2, 3, 6])
@pytest.mark.parametrize("takes", ["array", "second axis", "dict", "nothing"])
def test_steps_of_a_loop_without_stamps(takes, T):
    """Few steps, too, with inputs from wherever they come, or none."""
    g = gallery.generator()
    Wx, Wh = (nn.Parameter(g.normal((4, 4)), name=name) for name in ("Wx", "Wh"))
    x = tg.tensor(g.normal((2, T, 4) if takes == "second axis" else (T, 2, 4)), name="x")
    h = {-1: tg.zeros(2, 4)}
    for t in range(T):
        x_t = x[:, t] if takes == "second axis" else x[t]
        h[t] = tg.tanh(h[t - 1] @ Wh + (x_t @ Wx if takes != "nothing" else 1))
        h[t].name = "h"
    diagram = viz.unrolled(sum(h[t].sum() for t in range(T)) if takes == "dict" else h[T - 1].sum())
    assert f", {T} steps" in diagram.summary()
    inputs = {b.lines[0] for b in drawn(diagram).values() if b.kind == "input"}
    expected = {f"x{'₀₁₂₃₄₅'[t]}" for t in range(T)} if takes != "nothing" else set()
    assert inputs == expected


def test_steps_of_a_loop_after_a_layer():
    """Where the layer's steps are stamped, those of a decoder by hand are found all the same."""
    g = gallery.generator()
    encoder, decoder = nn.GRU(3, 4, generator=g), nn.GRUCell(3, 4, generator=g)
    _, h = encoder(gallery.series(4))
    h, loss, y = h[0], 0.0, gallery.series(5)
    for t in range(3):
        h = decoder(y[t], h)
        loss = loss + ((h[:, :3] - y[t + 1]) ** 2).sum()
    picture = viz.unrolled(loss, level="gate").picture
    assert [t.text for t in picture.texts if "t = " in t.text] == [
        f"t = {t}" for t in (0, 1, 2, 3, 0, 1, 2)
    ]


def test_unnamed_tensors_are_called_by_what_they_may_hold():
    table = nn.Embedding(5, 3, generator=gallery.generator())
    loss = nn.cross_entropy(table(np.array([1, 2])), np.array([0, -100]))
    names = {b.lines[0] for b in drawn(viz.unrolled(loss)).values() if b.kind == "input"}
    assert names == {"ids", "mask"}


def test_where_no_steps_are_found():
    w = nn.Parameter(np.ones(2, np.float32), name="w")
    x = w
    for k in range(16):
        x = (tg.tanh, tg.exp, tg.sigmoid)[k**3 % 23 % 3](x * w) - k * k % 5
    assert "tg.step(t)" in viz.unrolled(x.sum()).summary()
    assert "tg.step(t)" not in viz.unrolled((w * w).sum()).summary()
    assert ", 0 steps" in viz.unrolled(w * w * w * w).summary()
    with pytest.raises(GraphError, match="'auto', 'all'"):
        viz.unrolled((w * w).sum(), steps="foo")


def test_options_that_do_not_go_together():
    for level in ("op", "cell"):
        with pytest.raises(GraphError, match="draws gates"):
            viz.unrolled(gallery.rnn(), params="edges", level=level)
    with pytest.raises(GraphError, match="level must be one of auto, op, gate, cell"):
        viz.rolled(gallery.rnn(), level="layer")


def test_dpi_and_show(tmp_path, monkeypatch):
    import struct
    import webbrowser

    diagram = viz.unrolled(gallery.lstm())
    sizes = []
    for dpi in (72, 144):
        data = diagram.save(tmp_path / "a.png", dpi=dpi).read_bytes()
        sizes.append(struct.unpack(">II", data[16:24])[0])
    assert sizes[1] == pytest.approx(2 * sizes[0], rel=0.02)
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    path = diagram.show()
    assert opened == [path.as_uri()]
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_gradients_in_boxes_are_those_of_when_they_were_asked_for():
    """One sweep, at the call: backward() may free the graph before the diagram is painted."""
    loss = textbook()[0]
    diagram, expected = (viz.unrolled(loss, show="grad") for _ in range(2))
    lines = [b.lines for b in expected.picture.boxes]
    loss.backward()
    assert [b.lines for b in diagram.picture.boxes] == lines
    assert any(line.startswith("grad ") for those in lines for line in those)
