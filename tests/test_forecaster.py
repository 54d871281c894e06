"""RecurrentForecaster: what it is given, what it hands back, what it must not see."""

import math
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import train
from tinygrad_rnn.train import RecurrentForecaster
from tinygrad_rnn.train.forecasting.conformal import conformal_margins
from tinygrad_rnn.train.forecasting.fitting import Sizes, rows_of, scalings_of
from tinygrad_rnn.train.forecasting.outlook import BASES, Outlook, outlook_loss
from tinygrad_rnn.train.forecasting.panel import calendar_features, panel
from tinygrad_rnn.train.run import Run

QUICK = {"season": 4, "lookback": 8, "hidden": 4, "updates": 3, "members": 2, "eager": True}


def wave(n=60, dates=True, name="y"):
    k = np.arange(n)
    y = 20 + k / 5 + 3 * np.sin(k * np.pi / 2) + np.random.default_rng(n).normal(size=n) / 5
    return pd.Series(y, pd.date_range("2000-01", periods=n, freq="QS"), name=name) if dates else y


@pytest.fixture(scope="module")
def fitted():
    return RecurrentForecaster(3, **QUICK).fit(wave())


@pytest.mark.parametrize("base", BASES)
def test_a_net_that_has_learnt_nothing_forecasts_its_base(base):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 8 + 6, 2)).astype(np.float32)
    y = Outlook("gru", (1, 1, 0), 4, 8, 6, base=base)(tg.tensor(x)).numpy()
    for n in range(3):
        level, before = x[n, 4:8, 0].mean(), x[n, :4, 0].mean()
        for k in range(6):
            expected = {
                "level": level,
                "season": x[n, 4 + k % 4, 0],
                "growth": x[n, 4 + k % 4, 0] + level - before,
            }[base]
            np.testing.assert_allclose(y[n, k, 0], expected, atol=1e-6)


def test_gradients_of_the_shared_weights_by_differences():
    rng = np.random.default_rng(0)
    model = Outlook("lstm", (2, 1, 1), 2, 5, 3, hidden=3, generator=tg.Generator(0)).astype(
        np.float64
    )
    for p in model.parameters():
        p.assign_(rng.normal(size=p.shape) / 2)
    x, y = tg.tensor(rng.normal(size=(4, 8, 4))), tg.tensor(rng.normal(size=(4, 3, 2)))
    qs = [0.1, 0.5, 0.8]
    outlook_loss(model(x), y, qs).backward()
    for p in (model.net.weight_hh_l0, model.net.weight_ih_l0, model.local.weight):
        w, way = p.numpy().copy(), rng.normal(size=p.shape)
        sides = []
        for eps in (1e-6, -1e-6):
            p.assign_(w + eps * way)
            sides.append(outlook_loss(model(x), y, qs).item())
        p.assign_(w)
        assert (p.grad.numpy() * way).sum() == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("after", [False, True])
def test_windows_of_training_end_before_those_of_validation_begin(after):
    s = Sizes(2, 4, 3, (1, 0, 0))
    given = panel({"a": np.arange(30.0), "b": 100 + np.arange(20.0)})
    cut = {"a": 22, "b": 15}
    scalings = scalings_of(given, False, cut)
    rows = rows_of(given, scalings, s, cut, after)
    found = []
    for start, key in zip(rows.starts, rows.of, strict=True):
        z = rows.values[start : start + s.length, 0]
        found.append((key, *np.round(scalings[key][0].undo(z)).astype(int) % 100))
    expected = []
    for key, n in (("a", 30), ("b", 20)):
        for t in range(n - 7 + 1):
            targets = range(t + 4, t + 7)
            if (min(targets) >= cut[key]) if after else (max(targets) < cut[key]):
                expected.append((key, *range(t, t + 7)))
    assert found == expected
    assert scalings["a"][0].mean == np.arange(22).mean()  # of what lies before the cut alone


def test_margins_are_those_of_a_naive_loop_and_bands_cover_their_share():
    rng = np.random.default_rng(0)
    forecast, truth = np.sort(rng.normal(size=(19, 2, 4))), rng.normal(size=(19, 2))
    found = conformal_margins(forecast, truth, [0.1, 0.5, 0.7, 0.9])
    for h in range(2):
        rows = [(truth[i, h], forecast[i, h]) for i in range(19)]
        wide = sorted(max(q[0] - y, y - q[3]) for y, q in rows)[15]  # place 16 of 20 x 0.8
        alone = sorted(y - q[2] for y, q in rows)[13]  # place 14 of 20 x 0.7
        assert found[h].tolist() == [-wide, 0, alone, wide]
    inside = np.zeros(2)
    for _ in range(3000):
        y = rng.exponential(size=(20, 1))
        margins = conformal_margins(np.full((19, 1, 3), 0.5), y[:19], [0.1, 0.7, 0.9])[0]
        low, middle, high = (0.5 + margins) - y[19, 0]
        inside += (low <= 0 <= high, middle >= 0)
    np.testing.assert_allclose(inside / 3000, [0.8, 0.7], atol=0.025)
    with pytest.raises(tg.DataError, match="conformal_margins: forecasts must be"):
        conformal_margins(forecast, truth, [0.5])


def test_every_form_gives_the_same_forecast_in_its_own_form(fitted):
    y = wave()
    series, quantiles = fitted.predict(), fitted.predict_quantiles()
    assert series.name == "y"
    assert series.index.equals(pd.date_range("2015-01", periods=3, freq="QS"))
    assert list(quantiles.columns) == fitted.options["quantiles"]
    assert (quantiles.to_numpy()[:, 1:] >= quantiles.to_numpy()[:, :-1]).all()
    array = RecurrentForecaster(3, **QUICK).fit(y.to_numpy())
    np.testing.assert_array_equal(array.predict(), series.to_numpy())
    np.testing.assert_array_equal(array.predict_quantiles(), quantiles.to_numpy())
    frame = RecurrentForecaster(3, **QUICK).fit(y.to_frame())
    assert frame.predict().columns.tolist() == ["y"]
    assert frame.predict_quantiles().columns.tolist()[1] == ("y", 0.25)
    assert array.predict(y.to_numpy()[:, None]).shape == (3, 1)
    many = RecurrentForecaster(3, **QUICK).fit({"a": y})
    np.testing.assert_array_equal(many.predict()["a"], series)
    np.testing.assert_array_equal(many.predict(y), series)  # a series it has not met


def test_by_jit_it_learns_the_same(fitted):
    by_jit = RecurrentForecaster(3, **(QUICK | {"eager": False})).fit(wave())
    assert by_jit.scores == pytest.approx(fitted.scores, rel=1e-5)
    np.testing.assert_allclose(by_jit.predict_quantiles(), fitted.predict_quantiles(), 1e-5)


def test_the_future_is_forecast_as_the_test_period_was(fitted):
    longer = wave(80)
    longer[:] = np.concatenate([wave(), longer[60:]])
    np.testing.assert_array_equal(fitted.predict(longer[:60]), fitted.predict())
    np.testing.assert_array_equal(fitted.predict_quantiles(longer[:60]), fitted.predict_quantiles())


def test_nothing_that_comes_after_a_step_is_read_but_its_future_covariates():
    y, rng = wave(), np.random.default_rng(1)
    past, future = rng.normal(size=(60, 1)), rng.normal(size=(63, 2))
    model = RecurrentForecaster(3, **QUICK).fit(y, past, future)
    expected = model.predict(future=future[60:])
    np.testing.assert_array_equal(model.predict(y, past, future), expected)
    assert not np.array_equal(model.predict(future=future[60:] + 1), expected)
    changed = past.copy()
    changed[-1] += 1
    assert not np.array_equal(model.predict(y, changed, future), expected)


def test_future_covariates_are_learnt():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=330)
    y = 3 * x[:320] + rng.normal(size=320) / 10
    o = {"season": 1, "lookback": 4, "hidden": 8, "updates": 60, "members": 1, "lr": 0.05}
    model = RecurrentForecaster(5, refit=0, **o).fit(y[:300], future=x[:300])
    found = model.predict(future=x[300:305])
    assert np.abs(found - y[300:305]).mean() < 0.3 * np.abs(y[300:305]).mean()


def test_a_series_in_other_units_has_its_forecast_in_those_units(fitted):
    assert RecurrentForecaster(3, **QUICK).fit(wave() * 1000).predict().to_numpy() == pytest.approx(
        fitted.predict().to_numpy() * 1000, rel=1e-5
    )
    centred = wave() - wave().mean()
    model = RecurrentForecaster(3, **QUICK).fit(centred)
    assert not any("log" in way for way in model.scores)  # zeros and negatives have none
    assert np.isfinite(model.predict_quantiles().to_numpy()).all()


def test_transforms_named_are_those_tried():
    two = RecurrentForecaster(3, transforms=["season", "log growth"], **QUICK).fit(wave())
    assert list(two.scores) == ["season", "log growth"]
    assert f"{'log ' * two.log}{two.base}" == min(two.scores, key=two.scores.get)
    one = RecurrentForecaster(3, transforms=["log growth"], **QUICK).fit(wave())
    assert (one.scores, one.log, one.base) == ({}, True, "growth")


def test_calendar_of_months_days_hours():
    for freq, n in (("MS", 1), ("W", 1), ("D", 2), ("h", 3), ("15min", 3)):
        index = pd.date_range("2000-01-03", periods=400, freq=freq)
        expected = []
        for date in index.to_pydatetime():
            day = (date - datetime(date.year, 1, 1)).days
            turns = (day / 365.2425, date.weekday() / 7, (date.hour + date.minute / 60) / 24)[:n]
            angles = [2 * math.pi * turn for turn in turns]
            expected.append([*map(math.sin, angles), *map(math.cos, angles)])
        np.testing.assert_allclose(calendar_features(index), expected, atol=1e-12)
    model = RecurrentForecaster(3, calendar=True, **QUICK).fit(wave())
    assert model.sizes.channels == (1, 0, 2)
    np.testing.assert_array_equal(model.predict(wave()), model.predict())


def test_what_is_saved_forecasts_the_same_bits(tmp_path, fitted):
    two = pd.DataFrame({"a": wave().to_numpy(), "b": -wave().to_numpy()},
                       pd.date_range("2016-03-20", periods=60, freq="h", tz="Europe/Berlin"))  # fmt: skip
    many = RecurrentForecaster(3, calendar=True, **QUICK).fit({"x": two, "y": two * 2})
    for model in (fitted, many):
        again = RecurrentForecaster.load(model.save(tmp_path / "m.safetensors"))
        for one, other in (
            (model.predict(), again.predict()),
            (model.predict_quantiles(), again.predict_quantiles()),
        ):
            for key in one if isinstance(one, dict) else [None]:
                a, b = (one, other) if key is None else (one[key], other[key])
                (pd.testing.assert_series_equal if a.ndim == 1 else pd.testing.assert_frame_equal)(
                    a, b
                )
    other = tg.nn.Linear(1, 1)
    with pytest.raises(tg.CheckpointError, match=r"was not written by RecurrentForecaster\.save"):
        RecurrentForecaster.load(tg.train.save(tmp_path / "o.safetensors", model=other))


def test_a_fit_that_was_killed_goes_on_to_the_same_bits(tmp_path, monkeypatch, fitted):
    done = []

    def stopped(run, **numbers):
        done.append(1)
        if len(done) == 20:
            raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", stopped)
        with pytest.raises(MemoryError):
            RecurrentForecaster(3, **QUICK).fit(wave(), folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 6  # nets of three updates; the seventh was under way
    again = RecurrentForecaster(3, **QUICK).fit(wave(), folder=tmp_path, resume=True)
    pd.testing.assert_series_equal(again.predict(), fitted.predict())
    with pytest.raises(tg.CheckpointError, match="is of another run"):
        RecurrentForecaster(3, **QUICK).fit(wave() + 1, folder=tmp_path, resume=True)


def test_a_fit_whose_choice_was_shorter_goes_on_too(tmp_path):
    models = [RecurrentForecaster(3, refit=0, **QUICK) for _ in range(2)]
    for model, resume in zip(models, (False, True), strict=True):
        model.fit(wave(), folder=tmp_path, resume=resume)
    assert models[0].scores == models[1].scores
    pd.testing.assert_series_equal(models[0].predict(), models[1].predict())


BAD = {
    "horizon": (lambda: RecurrentForecaster(0), "horizon must be a whole number from 1"),
    "lr": (lambda: RecurrentForecaster(1, lr=0), "lr must be positive"),
    "cell": (lambda: RecurrentForecaster(1, cell="xyz"), "cell must be one of rnn, lstm, gru"),
    "quantiles": (lambda: RecurrentForecaster(1, quantiles=[0.5, 0.1]), "quantiles must ascend"),
    "short": (lambda: fit(wave(12)), "the series has 12 values; .* need 14"),
    "short of many": (lambda: fit({"a": wave(), "b": wave(12)}), "series 'b' has 12 values"),
    "NaN": (lambda: fit(wave().where(wave() != wave().iloc[7])), "NaN or infinite at 2001-10-01"),
    "text": (lambda: fit(["a"] * 60), "holds what is no number"),
    "3-D": (lambda: fit(np.ones((60, 2, 2))), r"must be \(T,\) or \(T, columns\)"),
    "constant": (lambda: fit({"a": wave(), "b": np.full(60, 3.0)}), "series 'b', its first .* all equal"),
    "complex": (lambda: fit(np.full(60, 1j)), "holds complex numbers"),
    "backwards": (lambda: fit(pd.Series(np.arange(60.0), pd.date_range("2000", periods=60, freq="-1D"))), "not in even steps"),
    "judging what": (lambda: train.judge_rolling(3, wave()), "model must be a RecurrentForecaster, got int"),
    "origins": (lambda: train.judge_rolling(RecurrentForecaster(3), wave(), origins=2.5), "origins must be a whole"),
    "no path": (lambda: train.read_table(wave()), "path must name a CSV file, got pandas.Series"),
    "one quantile": (lambda: RecurrentForecaster(1, quantiles=0.5), "quantiles must be a list"),
    "seed": (lambda: RecurrentForecaster(1, seed=-1), "seed must be a whole number from 0"),
    "uneven": (lambda: fit(wave().drop(wave().index[7])), "not in even steps"),
    "no ids": (lambda: fit({}), "a dict by ids"),
    "past for one": (lambda: fit({"a": wave(), "b": wave()}, past={"a": wave()}), "series 'b' has no past"),
    "past, no dict": (lambda: fit({"a": wave()}, past=wave()), "past must be a dict"),
    "past short": (lambda: fit(wave(), past=np.ones(59)), "past covariates: 59 rows, needs 60"),
    "past dates": (lambda: fit(wave(), past=wave(59)), "1 dates are missing, the first is 2014-10-01"),
    "no dates": (lambda: RecurrentForecaster(3, calendar=True, **QUICK).fit(wave(dates=False)), "has no dates"),
    "transform": (lambda: RecurrentForecaster(3, transforms=["log season"], **QUICK).fit(wave() - 30), "'log season' is none of level, season, growth"),
    "not fitted": (lambda: RecurrentForecaster(3).predict(), "is not fitted"),
    "save": (lambda: RecurrentForecaster(3).save("x"), "is not fitted"),
    "lookback": (lambda: RecurrentForecaster(3, season=9, lookback=8).fit(wave()), "does not reach back"),
}  # fmt: skip


def fit(y, **options):
    return RecurrentForecaster(3, **QUICK).fit(y, **options)


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_forecast_is_refused(name):
    call, message = BAD[name]
    with pytest.raises(tg.DataError, match=message):
        call()


def test_predict_refuses_what_does_not_fit(fitted):
    with pytest.raises(tg.DataError, match=r"was fitted to \(1, 0, 0\) columns"):
        fitted.predict(np.ones((20, 2)))
    with pytest.raises(tg.DataError, match="reads 8 values to forecast, got 7"):
        fitted.predict(wave(7))
    log = RecurrentForecaster(3, transforms=["log level"], **QUICK).fit(wave())
    with pytest.raises(tg.DataError, match="was fitted to logarithms"):
        log.predict(wave() - 30)
    x = np.random.default_rng(0).normal(size=(63, 1))
    model = fit(wave(), future=x)
    with pytest.raises(tg.DataError, match="future covariates: fit was given 1 columns"):
        model.predict()
    with pytest.raises(tg.DataError, match="62 rows, needs 63"):
        model.predict(wave(), future=x[:62])


def test_predict_refuses_other_steps_and_columns_in_another_order():
    two = pd.DataFrame({"a": wave(), "b": -wave()})
    known = pd.DataFrame({"t": wave(63), "u": -wave(63)})
    model = fit(two, future=known)
    with pytest.raises(tg.DataError, match=r"columns \['a', 'b'\], got \['b', 'a'\]"):
        model.predict(two[["b", "a"]], future=known)
    for y, beyond in ((two, known), (None, known[-3:])):
        with pytest.raises(tg.DataError, match=r"covariates \['t', 'u'\], got \['u', 't'\]"):
            model.predict(y, future=beyond[["u", "t"]])
    calendar = RecurrentForecaster(3, calendar=True, **QUICK).fit(wave().tz_localize("UTC"))
    with pytest.raises(tg.DataError, match=r"time zone UTC, got dates of None; convert"):
        calendar.predict(wave())
    days = pd.date_range("2000", periods=63)
    with pytest.raises(tg.DataError, match="to steps of QS-JAN, got D; resample"):
        model.predict(two.set_axis(days[:60]), future=known.set_axis(days))
