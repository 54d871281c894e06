"""Gradients in diagrams: measured as they are, told apart, and left alone."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from diagrams import gallery, gradient_flow, unrolled
from hypothesis import given, settings, strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.kernels.measure import (
    Measured,
    measure_all,
    measure_products,
    measure_sums,
)


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
