"""What became of a gradient, told apart; and how fast it fades, whatever losses there are."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.kernels.measure import Measured, measure_all, measure_products
from tinygrad_rnn.viz.flow import fates, rates, sweep
from tinygrad_rnn.viz.graph import building

T, N, I, H = 24, 3, 2, 6


def series(steps=T, dtype="float32"):
    return tg.tensor(np.random.default_rng(0).standard_normal((steps, N, I)).astype(dtype))


def fading(factor, dtype="float32", steps=40):
    """States stay 0, so each step back multiplies the gradient by `factor` exactly."""
    W = nn.Parameter(np.full((1, 1), factor, dtype), name="W")
    h = tg.zeros(1, 1, dtype=dtype)
    for t in range(steps):
        with tg.step(t):
            h = tg.tanh(h @ W)
            h.name = "h"
    return (h + 1).sum()


def dead(steps=8):
    """A relu that stops everything at step 4."""
    w, h = nn.Parameter(np.ones(2, np.float32), name="w"), tg.ones(2)
    for t in range(steps):
        with tg.step(t):
            h = tg.relu(h * w + (-100 if t == 4 else 1))
            h.name = "h"
    return (h + 1).sum()


def cut(steps=10):
    """A state detached before step 6, with a loss at every step."""
    cell, h, loss = nn.RNNCell(I, H, generator=tg.Generator(0)), tg.zeros(N, H), 0.0
    for t, x_t in enumerate(series(steps)):
        h = cell(x_t, h.detach() if t == 6 else h)
        loss = loss + (h**2).mean()
    return loss


def not_a_number():
    w, h = nn.Parameter(np.ones(1, np.float32), name="w"), tg.ones(1)
    for t in range(5):
        with tg.step(t):
            h = h * w * (math.inf if t == 2 else 1)
            h.name = "h"
    return h.sum()


F, V, Z, E, B, A = "flows", "vanished", "zero", "exploding", "not finite", "absent"


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        # 0.012 ** 24 is below the smallest float32 number, 1.4e-45; float64 still has it
        (lambda: fading(0.012), [Z] * 16 + [V] * 20 + [F] * 4),
        (lambda: fading(0.012, "float64"), [V] * 36 + [F] * 4),
        (lambda: fading(1e-9, "float64"), [Z] * 4 + [V] * 35 + [F]),
        (lambda: fading(10.0, "float64", 6), [E] * 2 + [F] * 4),
        (dead, [Z] * 4 + [F] * 4),
        (not_a_number, [B] * 2 + [F] * 3),
    ],
)  # fmt: skip
def test_fates_of_a_state(loss, wanted):
    diagram = viz.gradient_flow(loss())
    found = diagram.table().states["h"]["fate"].tolist()
    assert found == wanted
    for fate in set(wanted) - {F}:
        n = wanted.count(fate)
        what = "exactly 0" if fate == Z else fate
        assert f"h: {what} at {n} of {len(wanted)} steps" in diagram.summary()


@pytest.mark.parametrize("recorded", [False, True])
def test_absent_is_not_zero(recorded):
    """After the loss, and before the cut, no path leads; an edge that carries 0 is another thing."""
    loss = cut()
    diagram = viz.gradient_flow(loss, from_step=8)
    states = diagram.table().states["RNNCell.h"]
    assert states["fate"].tolist() == [A] * 6 + [F] * 3 + [A]
    assert not states["norm"][:6].any()
    assert "absent at 7 of 10 steps (t = 0 … 5, 9)" in diagram.summary()
    words = {line.look: line.title for line in diagram.picture.lines if line.title}
    assert words[A] == "gradient: absent, no path from the loss"
    other = dead()
    if recorded:
        with viz.record() as flow:
            other.backward()
    else:
        flow = None
    zero = viz.gradient_flow(other, flow=flow)
    assert "gradient: exactly 0" in {line.title for line in zero.picture.lines}
    edges = zero.table().edges
    assert set(edges["fate"]) == {F, Z}
    assert ((edges["largest"] == 0) == (edges["fate"] == Z)).all()
    assert zero.table().fates == {"w": F}


@pytest.mark.parametrize("size", [5e-324, 1e-200, 1e-150, 1.0, 1e150, 1e300])
def test_a_norm_whose_squares_leave_float64_is_measured(size):
    """A gradient of 1e-200 is small, not zero."""
    x = np.array([[3 * size, -4 * size]])
    (alone,), (product,) = measure_all([x]), measure_products([np.ones((1, 1))], [x])[1]
    for norm, largest, zeros, bad in (alone, product):
        assert (norm, largest, zeros, bad) == pytest.approx((5 * size, 4 * size, 0, 0), rel=1e-15)


def test_every_fate_has_a_look_of_its_own_and_a_line_in_the_legend():
    scale = fates.Scale(1.0, [0.34, 1.5])
    samples = {
        F: Measured(1, 1, 0, 0), V: Measured(1e-9, 1, 0, 0), Z: Measured(0, 0, 1, 0),
        E: Measured(1e9, 1, 0, 0), B: Measured(math.nan, math.nan, 0, 1), A: None,
    }  # fmt: skip
    assert {scale.fate(m): fate for fate, m in samples.items()} == {f: f for f in fates.FATES}
    looks = [scale.look(m) for m in samples.values()]
    assert len({(look.dash, look.head, look.pen > 4) for look in looks}) == len(fates.FATES)
    assert {look.fate for look, _ in scale.legend()} == set(fates.FATES)


@pytest.mark.parametrize(
    ("norms", "ends", "colours"),
    [
        ([0.34, 0.5, 0.7, 1.0, 1.5], (0.34, 1.5), 5),
        ([1.0, 1e-5, 1e-3], (1e-5, 1.0), 3),
        ([1.0, 1.01], (0.711, 1.421), 1),
        ([1e-9, 1.0, 1e7], (0.707, 1.414), 1),
        ([], (0.707, 1.414), 0),
    ],
)
def test_the_ramp_spans_what_occurs_and_its_scale_is_printed(norms, ends, colours):
    scale = fates.Scale(1.0, norms)
    assert (scale.low, scale.high) == pytest.approx(ends, rel=1e-3)
    looks = [scale.look(Measured(n, n, 0, 0)) for n in norms]
    assert len({look.colour for look in looks if look.fate == F}) == colours
    words = [words for look, words in scale.legend() if look.fate == F]
    assert [float(w) for w in (words[0], words[-1])] == pytest.approx(ends, rel=0.05)


# rates ----------------------------------------------------------------------------

LOSSES = {
    "last": lambda y: (y[-1] ** 2).mean(),
    "mean": lambda y: (y**2).mean(),
    "each": lambda y: sum(((y_t**2).mean() for y_t in y), tg.tensor(0.0)),
}


def net_of(kind, bias=0.0):
    net = getattr(nn, kind)(I, H, generator=tg.Generator(1))
    if kind == "LSTM":
        b = net.bias_ih_l0.numpy().copy()
        b[H : 2 * H] += bias
        net.bias_ih_l0.assign_(b)
    else:
        net.weight_hh_l0.assign_(net.weight_hh_l0.numpy() * np.float32(1 + bias))
    return net


@pytest.mark.parametrize(
    ("kind", "bias"), [("LSTM", 0.0), ("LSTM", 3.0), ("GRU", 0.0), ("RNN", 0.5)]
)
def test_losses_at_more_steps_do_not_change_the_rate(kind, bias):
    """|dL_T/dh_t| is the same whatever other losses there are; recorded or swept again."""
    net, x = net_of(kind, bias), series()
    found = {}
    for name, loss in LOSSES.items():
        value = loss(net(x)[0])
        table = viz.gradient_flow(value).table()
        found[name] = table.rates[f"{kind}.l0.h"]
        with viz.record() as flow:
            value.backward()
        assert viz.gradient_flow(value, flow=flow).table().rates == table.rates
    last = found.pop("last")
    names = tuple(f"{kind}.l0.{s}" for s in ("ch" if kind == "LSTM" else "h"))
    assert last[2:] == (names, T - 1, 0, "")
    for rate in found.values():
        assert rate.factor == pytest.approx(last.factor, rel=1e-5)
        assert rate[2:] == last[2:]


@pytest.mark.parametrize(
    ("kind", "bias"), [("LSTM", 0.0), ("LSTM", 1.0), ("LSTM", 3.0), ("GRU", 0.0), ("RNN", 0.5)]
)
def test_the_rate_is_that_by_lag_over_all_losses(kind, bias):
    """Against one sweep for each loss: the mean of log |dL_s/dh_t| by lag, its first steps left out."""
    loss = LOSSES["mean"](net_of(kind, bias)(series(40))[0])
    found = building.collect(loss)
    curves = []
    for s in range(20, 40):
        flow = sweep.sweep(loss, found, s)
        norms = [
            [flow.total_of(v).norm for t, v in members if t <= s]
            for members in found.states.values()
        ]
        joint = np.hypot.reduce(norms, axis=0)[::-1]
        curves.append(np.log(joint[:21] / joint[0]))
    slope = np.polyfit(np.arange(5, 21), np.mean(curves, axis=0)[5:], 1)[0]
    rate = sweep.sweep(loss, found, None).rates()[f"{kind}.l0.h"]
    assert rate.factor == pytest.approx(math.exp(slope), rel=0.03)


def two_ways():
    y, _ = nn.RNN(I, H, bidirectional=True, generator=tg.Generator(0))(series())
    return (y**2).mean()


def layers():
    y, _ = nn.LSTM(I, H, num_layers=2, generator=tg.Generator(0))(series())
    return (y**2).mean()


def two_states():
    """Written out, without a module: both states are named, and feed each other."""
    W = nn.Parameter(np.eye(H, dtype=np.float32) / 2, name="W")
    a, b = tg.zeros(N, H), tg.zeros(N, H)
    for t in range(8):
        with tg.step(t):
            a, b = tg.tanh(b @ W + 0.1), a * 0.9 + b
            a.name, b.name = "a", "b"
    return ((a + b) ** 2).mean()


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        (two_ways, {("RNN.l0.h",): T - 1, ("RNN.l0_reverse.h",): 0}),
        (layers, {(f"LSTM.l{k}.c", f"LSTM.l{k}.h"): T - 1 for k in (0, 1)}),
        (two_states, {("a", "b"): 7}),
        (cut, {("RNNCell.h",): 9}),
    ],
)
def test_which_states_are_one_and_whose_loss_is_followed(loss, wanted):
    found = viz.gradient_flow(loss()).table().rates.values()
    assert {rate.states: rate.loss_step for rate in found} == wanted


def test_the_summary_says_what_was_fitted():
    for loss, words in (
        (cut, "(the loss of t = 9 alone, back to t = 6, where the graph is cut)"),
        (lambda: fading(0.01), "(the loss of t = 39 alone, back to t = 21; below the dtype's normal numbers before)"),
        (layers, "LSTM.l1.(c, h): ×"),
        (layers, f"(the loss of t = {T - 1} alone as one state, back to t = 0)"),
        (dead, "back to t = 4; exactly 0 before)"),
    ):  # fmt: skip
        assert words in viz.gradient_flow(loss()).summary()


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.7])
def test_the_median_slope_leaves_out_a_first_step_out_of_line(factor):
    logs = np.arange(400) * math.log(factor)
    logs[0] += 7
    assert math.exp(rates.median_slope(logs)) == pytest.approx(factor, rel=1e-9)


def test_scalar_states_and_their_losses_are_told_apart():
    """The textbook's S, X, Y with single numbers: the loss of one step alone."""
    w = nn.Parameter(np.array(0.5), name="w")
    S, loss = tg.tensor(np.array(1.0)), 0.0
    for t in range(5):
        with tg.step(t):
            S = S * w
            S.name = "S"
            loss = loss + (S - 1) ** 2
    table = viz.gradient_flow(loss, from_step=3).table()
    assert table.states["S"]["fate"].tolist() == [F] * 4 + [A]
    wanted = [2 * abs(0.5**4 - 1) * 0.5 ** (3 - t) for t in range(4)]
    np.testing.assert_allclose(table.states["S"]["norm"][:4], wanted, rtol=1e-12)
