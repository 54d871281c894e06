"""Layers with dropout, layer norm, sums and projections between them: rows of one picture.

The oracle is the same net with everything written step by step: its graph has each figure
on an edge of its own.
"""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.diagrams import check_geometry, gallery
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.flow.contributions import contributions
from tinygrad_rnn.viz.graph.building import collect

T, N, H = 4, 2, 3


def x():
    return tg.tensor(np.random.default_rng(1).normal(size=(T, N, H)).astype("f"), name="x")


class Net(nn.Module):
    """Two layers, what is between them over the whole series or step by step, a skip around."""

    def __init__(self, between, stepwise):
        g = gallery.generator()
        self.a, self.b = nn.RNN(H, H, generator=g), nn.RNN(H, H, generator=g)
        self.norm, self.between, self.stepwise = nn.LayerNorm(H), between, stepwise
        self.W = nn.Parameter(g.normal((H, H)), name="W")

    def forward(self, x):
        y, _ = self.a(x)
        if self.stepwise:
            rows = []
            for t in range(T):
                with tg.step(t):
                    rows.append(self.between(self, y[t], x[t]))
            z = tg.stack(rows)
        else:
            z = self.between(self, y, x)
        out, _ = self.b(z)
        return ((out + z) ** 2).mean()


BETWEEN = {
    "norm": lambda net, y, x: net.norm(y),
    "residual": lambda net, y, x: tg.tanh(y) + y,
    "input": lambda net, y, x: y * 0.5 + x,
    "projection": lambda net, y, x: tg.tanh(y @ net.W),
    "joined": lambda net, y, x: tg.concat([y[..., :1], tg.exp(y)[..., 1:]], axis=-1) * 2.0,
    "softmax": lambda net, y, x: 1 - tg.softmax(y, axis=-1),
}
NETS = pytest.mark.parametrize("name", BETWEEN)


def both(name):
    return [Net(BETWEEN[name], stepwise)(x()) for stepwise in (False, True)]


@NETS
def test_layers_are_rows(name):
    diagram = viz.unrolled(Net(BETWEEN[name], False)(x()), level="cell")
    boxes = {(b.lines[0], b.step): b for b in diagram.picture.boxes if b.kind == "cell"}
    for t in range(T):
        first, second = boxes["a.l0", t], boxes["b.l0", t]
        assert abs(first.x - second.x) < 15
        assert second.y < first.y - 60
    check_geometry(diagram.picture)


def figures(loss, **how):
    """Norm by source, target and step of every edge between steps' ops."""
    edges = viz.gradient_flow(loss, **how).table().edges
    of_steps = (edges["step"] >= 0) & ~np.isin(edges["source"], ["W", "weight", "bias"])
    chosen = {k: edges[k][of_steps].tolist() for k in ("source", "op", "place", "step", "norm")}
    return sorted(zip(*chosen.values(), strict=True))


@NETS
@pytest.mark.parametrize("how", [{}, {"from_step": 2}], ids=str)
def test_figures_are_those_of_the_net_written_step_by_step(name, how):
    whole, stepwise = (figures(loss, **how) for loss in both(name))
    assert [row[:-1] for row in whole] == [row[:-1] for row in stepwise]
    np.testing.assert_allclose([r[-1] for r in whole], [r[-1] for r in stepwise], 2e-5, 1e-9)


@NETS
def test_totals_rates_and_the_triangle_agree(name):
    (a, b), (c, d) = ([viz.gradient_flow(loss).table(), viz.heatmap(loss, "lag").arrays]
                      for loss in both(name))  # fmt: skip
    assert a.states.keys() == c.states.keys()
    assert b.keys() == d.keys()
    for state in a.states:
        for k in ("norm", "carried", "alone"):
            np.testing.assert_allclose(a.states[state][k], c.states[state][k], 2e-5, 1e-9)
        np.testing.assert_allclose(b[state]["norm"], d[state]["norm"], 2e-5, 1e-9)
    for path, total in a.totals.items():
        np.testing.assert_allclose(total, c.totals[path], 2e-5, err_msg=path)


def test_where_layers_are_cut_no_path_leads_back():
    """A loss takes all rows at once: those of other steps are no way around the cut."""
    g = gallery.generator()
    W, U = (nn.Parameter(g.normal((H, H)) / 2, name=name) for name in "WU")
    h = k = tg.zeros(N, H)
    hs = []
    for t, x_t in enumerate(x()):
        h = tg.tanh(x_t + (h.detach() if t == 2 else h) @ W)
        h.name = "h"
        hs.append(h)
    z = tg.stack(hs) * 2
    for t, z_t in enumerate(z):
        k = tg.tanh(z_t + (k.detach() if t == 2 else k) @ U)
        k.name = "k"
    rate = viz.gradient_flow(z.sum() + k.sum()).table().rates["h"]
    assert (rate.loss_step, rate.first_step, rate.stop) == (3, 2, "absent")


@NETS
def test_what_the_film_tells_adds_up_to_the_same(name):
    def told(loss):
        graph = collect(loss)
        found = {}
        for c in contributions(loss.node, graph):
            v = graph.vertices[c.source]
            if v.kind == "op" and v.step is not None:
                found[v.scope, v.op, v.name, v.step, c.nth] = c
        last = {}
        for (*who, _), c in sorted(found.items(), key=str):
            last[tuple(who)] = float(np.linalg.norm(c.total))
        return last

    whole, stepwise = map(told, both(name))
    for who in whole.keys() & stepwise.keys():
        np.testing.assert_allclose(whole[who], stepwise[who], 2e-5, 1e-9, err_msg=str(who))
    assert len(whole.keys() & stepwise.keys()) > 5 * T


def test_values_and_gradients_in_the_boxes_of_rows():
    h, W = tg.zeros(1), nn.Parameter(np.array([[0.5]], "f"), name="W")
    hs = []
    for t in range(3):
        with tg.step(t):
            h = tg.tanh(h @ W + 1.0)
            hs.append(h)
    z = tg.exp(tg.stack(hs))
    g = tg.zeros(1)
    for t in range(3):
        with tg.step(t):
            g = tg.tanh(g @ W + z[t])
    z_of = z.numpy().ravel()
    picture = viz.unrolled(g.sum(), level="op", show=("value", "grad")).picture
    boxes = {b.step: b.lines for b in picture.boxes if b.lines[:1] == ["exp"]}
    [grads] = tg.grad(g.sum(), [z])
    for t in range(3):
        written = {line.split()[0]: float(line.split()[1]) for line in boxes[t][1:]}
        np.testing.assert_allclose(written["value"], z_of[t], 1e-3)
        np.testing.assert_allclose(written["grad"], grads.numpy().ravel()[t], 1e-3)


def test_a_series_that_steps_are_mixed_in_stays_whole():
    cell = nn.RNNCell(H, H, generator=gallery.generator())

    def net(between):
        hs, h = [], tg.zeros(N, H)
        for x_t in x():
            h = cell(x_t, h)
            hs.append(h)
        z, h = between(tg.stack(hs)), tg.zeros(N, H)
        for t in range(T):
            with tg.step(t):
                h = cell(z[t], h)
        return {v.op: v.step for v in collect(h.sum()).vertices if v.kind == "op"}

    assert net(lambda y: tg.cumsum(y, axis=0))["cumsum"] is None
    assert net(lambda y: tg.softmax(y, axis=0))["softmax"] is None
    assert net(lambda y: y - y.mean(axis=0))["sum"] is None
    assert net(lambda y: y - y.mean(axis=-1, keepdims=True))["sub"] is not None


def test_batch_first_layers_are_rows_as_well():
    a, b = (nn.RNN(H, H, batch_first=True, generator=gallery.generator()) for _ in range(2))
    y, _ = a(x().permute_dims((1, 0, 2)))
    out, _ = b(nn.Dropout(0.5)(y))
    steps = [v.step for v in collect((out**2).mean()).vertices if v.op == "drop"]
    assert steps == [0, 1, 2, 3]


def test_a_long_chain_over_a_series_needs_no_recursion():
    hs, h, W = [], tg.ones(1, 2), nn.Parameter(np.eye(2, dtype="f"), name="W")
    for t in range(2):
        with tg.step(t):
            h = h @ W
            hs.append(h)
    z = tg.stack(hs)
    for _ in range(1500):
        z = z * 0.99
    for t in range(2):
        with tg.step(t):
            h = tg.tanh(h @ W + z[t])
    assert len(collect(h.sum()).vertices) > 3000


def test_layers_of_one_name_are_boxes_of_their_own():
    """Three modules called GRU, each fed by the one before and around it."""
    z, drop = tg.ones(T, N, H), nn.Dropout(0.5)
    for _ in range(3):
        y, _ = nn.GRU(H, H, generator=gallery.generator())(z)
        z = z + drop(y)
    picture = viz.unrolled((z**2).mean(), level="cell").picture
    cells = [b.lines[0] for b in picture.boxes if b.step == 2]
    assert cells.count("GRU.l0") == 3
    check_geometry(picture)


@pytest.mark.parametrize("on", ["stack", "norm"])
def test_a_series_that_a_hook_watches_stays_whole(on):
    net = Net(BETWEEN["norm"], False)
    y, _ = net.a(x())
    z = net.norm(y)
    (y if on == "stack" else z).register_hook(lambda g: g * 2)
    out, _ = net.b(z)
    graph = collect((out**2).mean())
    assert [v.step for v in graph.vertices if v.op == "normalize"] == [None]
