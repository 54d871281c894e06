"""Norms by step as curves: every point where its norm is, every other fate where it belongs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from test_fates import cut, fading

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.flow import fates
from tinygrad_rnn.viz.flow.rates import Rate
from tinygrad_rnn.viz.flow.table import Table
from tinygrad_rnn.viz.layout.picture import Picture
from tinygrad_rnn.viz.paint import curve

NOTHING: dict = {}


def table_of(norms, fate=None, alone=None, rate=None, steps=None):
    norms = np.array(norms, float)
    steps = np.arange(len(norms)) if steps is None else np.array(steps)
    found = {
        "step": steps, "norm": norms, "alone": norms if alone is None else np.array(alone, float),
        "fate": np.array(fate or ["flows"] * len(norms)),
    }  # fmt: skip
    rates = {"h": rate or Rate(0.5, 1.0, ("h",), int(steps[-1]), int(steps[0]))}
    return Table(NOTHING, {"h": found}, NOTHING, rates, NOTHING, NOTHING)


def drawn(table):
    picture = Picture("", width=900.0)
    end = curve.add_curves(picture, table, 10.0)
    return picture, end


def lines_of(picture, colour):
    """The corners of each line of a colour."""
    return [np.array(e.points[::3]) for e in picture.lines if e.colour == colour]


def test_points_lie_where_their_norms_are():
    norms = np.array([1e-4, 1e-2, 1.0, 1e-3])
    picture, end = drawn(table_of(norms))
    (points,) = lines_of(picture, curve.INK)
    assert np.ptp(np.diff(points[:, 0])) < 1e-9  # even steps
    height = points[:, 1].max() - points[:, 1].min()
    assert height == pytest.approx(curve.HEIGHT - 8)
    np.testing.assert_allclose(
        (points[:, 1].max() - points[:, 1]) / height * 4, np.log10(norms) + 4, atol=1e-9
    )
    dots = [b for b in picture.boxes if b.fill == curve.INK]
    np.testing.assert_allclose([(b.x, b.y) for b in dots], points)
    assert [b.step for b in dots] == [0, 1, 2, 3]
    assert dots[1].title == "h, t = 1: 0.01 (flows)"
    assert end < 10 + curve.HEIGHT + 60
    assert all(0 <= x <= picture.width for e in picture.lines for x, _ in e.points)


def test_each_fate_has_its_place_and_absent_has_none():
    table = table_of(
        [0, 1e-9, 1.0, np.nan, 1.0, 0],
        ["zero", "vanished", "flows", "not finite", "flows", "absent"],
    )
    picture, _ = drawn(table)
    marks = {b.step: b for b in picture.boxes}
    assert set(marks) == {0, 1, 2, 3, 4}
    top, bottom = min(b.y for b in marks.values()), max(b.y for b in marks.values())
    assert bottom - top == curve.HEIGHT
    assert (marks[0].y, marks[0].fill) == (bottom, fates.RED)
    assert (marks[3].y, marks[3].fill) == (top, fates.BAD)
    assert "exactly 0" in marks[0].title
    runs = lines_of(picture, curve.INK)  # broken at what is not finite; alone, a point is no line
    assert [len(run) for run in runs] == [2]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("factor", [0.5, 1.3])
def test_the_dashed_line_is_the_rate_fitted(factor, backwards):
    """Through the losses' own curve where it is regular; in a direction against time as well."""
    steps = np.arange(12)[:: -1 if backwards else 1]
    alone = factor ** np.arange(11, -1, -1.0)
    alone[-1] *= 30  # the loss's own step is out of line
    rate = Rate(factor, math.nan, ("h",), int(steps[-1]), int(steps[0]))
    table = table_of(np.ones(12), alone=alone, rate=rate, steps=steps)
    ends = curve.fitted(rate, table.states["h"])
    assert [t for t, _ in ends] == [steps[-1], steps[0]]
    assert [norm for _, norm in ends] == pytest.approx([1.0, factor**11])
    picture, _ = drawn(table)
    (dashed,) = [e for e in picture.lines if e.dash == "dashed"]
    assert "a step" in dashed.title
    (grey,) = lines_of(picture, curve.GREY)
    assert len(grey) == 12
    texts = [t.text for t in picture.texts]
    assert any("grey" in text and "dashed" in text for text in texts)


def test_a_long_series_keeps_its_least_and_its_largest():
    rng = np.random.default_rng(0)
    norms = np.exp(rng.standard_normal(5000))
    norms[1234], norms[4321] = 1e-7, 1e5
    picture, _ = drawn(table_of(norms))
    pieces = lines_of(picture, curve.INK)
    assert max(map(len, pieces)) <= curve.PIECE + 1
    points = np.concatenate(pieces)
    assert len(points) <= 2 * curve.BINS + 2 + len(pieces)
    whole = np.array([1234, 4321]) / 4999
    x = (points[:, 0] - points[0, 0]) / (points[-1, 0] - points[0, 0])
    assert x[points[:, 1].argmax()] == pytest.approx(whole[0])
    assert x[points[:, 1].argmin()] == pytest.approx(whole[1])
    assert not picture.boxes


@given(st.floats(-44, 10), st.floats(0.3, 50))
@settings(max_examples=200, deadline=None)
def test_ticks_are_few_round_and_on_the_scale(low, span):
    found = curve.ticks(10**low, 10 ** (low + span))
    assert len(found) <= 3
    assert all(10**low * (1 - 1e-6) <= t <= 10 ** (low + span) * (1 + 1e-6) for t in found)
    assert all(f"{t:e}"[0] in "125" for t in found)
    if span >= 1:
        assert found


def mean_loss():
    y, _ = nn.LSTM(3, 4, num_layers=2, generator=tg.Generator(0))(tg.ones(8, 2, 3))
    return (y**2).mean()


@pytest.mark.parametrize("loss", [mean_loss, cut, lambda: fading(0.012)])
def test_a_diagram_has_a_chart_for_every_state_and_shared_parameter(loss):
    diagram = viz.gradient_flow(loss())
    table = diagram.table()
    words = [t.text for t in diagram.picture.texts]
    for name in (*table.states, *table.parameters):
        assert name in words
    titles = [b.title for b in diagram.picture.boxes if b.kind == "strip"]
    for name, found in table.states.items():
        wanted = [t for t, f in zip(found["step"], found["fate"], strict=True) if f != "absent"]
        assert len([t for t in titles if t.startswith(f"{name}, t = ")]) == len(wanted)
    w = nn.Parameter(np.ones(2, np.float32), name="w")
    plain = viz.gradient_flow((w * w).sum())
    assert "step t" not in [t.text for t in plain.picture.texts]


def test_of_many_parameters_the_matrices_have_curves():
    """The heading says how many more there are; the table has them all."""
    lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    diagram = viz.gradient_flow((lstm(tg.ones(4, 2, 3))[0] ** 2).mean())
    texts = [t.text for t in diagram.picture.texts]
    assert len(diagram.table().parameters) == 16
    assert [n for n in diagram.table().parameters if n in texts] == list(diagram.table().drawn)
    assert {n.split(".")[-1].split("_l")[0] for n in diagram.table().drawn} == {
        "weight_ih",
        "weight_hh",
    }
    assert any("; 8 more parameters in .table()" in t for t in texts)
