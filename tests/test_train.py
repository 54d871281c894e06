"""Series, windows, baselines, metrics and the training loop."""

import functools
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, train
from tinygrad_rnn.train import baselines, fit, loop, metrics
from tinygrad_rnn.train.forecasting import experiment

DATA = Path(__file__).parent.parent / "examples" / "data"


@pytest.fixture(scope="module")
def airline():
    return train.read_table(DATA / "airline.csv").frame["passengers"]


def test_the_shipped_series(airline):
    assert (len(airline), airline.iloc[0], airline.iloc[-1]) == (144, 112, 432)
    assert (str(airline.index[0])[:7], airline.index.freqstr) == ("1949-01", "MS")
    spots = train.read_table(DATA / "sunspots.csv", date_column="year").frame["sunspots"]
    assert (len(spots), spots.index[-1].year, spots.iloc[0]) == (309, 2008, 5)


def test_published_figures_of_the_baselines(airline):
    """MAE of the last 12 months, computed elsewhere: 76.0, 47.8, 13.4 (MASE .44)."""
    history, truth = airline.to_numpy()[:-12], airline.to_numpy()[-12:]
    found = {k: metrics.mae(f, truth) for k, f in baselines.all_baselines(history, 12, 12).items()}
    assert found["naive"] == pytest.approx(76.0)
    assert found["seasonal naive"] == pytest.approx(47.83, abs=0.01)
    assert found["seasonal naive x growth"] == pytest.approx(13.43, abs=0.01)
    growth = baselines.seasonal_growth(history, 12, 12)
    assert metrics.mase(growth, truth, history, 12) == pytest.approx(0.44, abs=0.005)


def test_baselines_by_hand():
    h = np.array([1.0, 2.0, 3.0, 6.0])
    assert baselines.naive(h, 2).tolist() == [6, 6]
    assert baselines.drift(h, 2).tolist() == pytest.approx([6 + 5 / 3, 6 + 10 / 3])
    assert baselines.seasonal_naive(h, 5, 2).tolist() == [3, 6, 3, 6, 3]
    assert baselines.seasonal_growth(h, 3, 2).tolist() == [9, 18, 27]


def test_metrics_by_hand():
    f, y = np.array([1.0, 3.0]), np.array([2.0, 1.0])
    assert metrics.mae(f, y) == 1.5
    assert metrics.rmse(f, y) == pytest.approx(np.sqrt(2.5))
    assert metrics.mase(f, y, np.array([1.0, 2.0, 4.0]), 1) == 1.0
    assert metrics.smape(f, y) == pytest.approx(100 * (1 / 1.5 + 2 / 2) / 2)
    assert metrics.smape(np.zeros(2), np.zeros(2)) == 0
    assert metrics.skill(5.0, 10.0) == 0.5


def test_lag_test_tells_persistence_from_forecast():
    y = np.sin(np.arange(40) / 2) + 0.1 * np.random.default_rng(0).standard_normal(40)
    assert metrics.is_persistence(y[9:-1], y[10:], y[9:-1])
    assert not metrics.is_persistence(y[10:] + 0.05, y[10:], y[9:-1])


def test_scaling_is_fitted_on_training_values_and_undone():
    y = np.array([1.0, 2.0, 4.0, 100.0])
    for log in (False, True):
        s = train.Scaling.fit(y[:3], log)
        np.testing.assert_allclose(s.apply(y[:3]).mean(), 0, atol=1e-12)
        np.testing.assert_allclose(s.undo(s.apply(y)), y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train.windows(np.arange(5.0), 4, 2), "shorter than one window of 4 \\+ 2"),
        (lambda: train.windows(np.arange(5.0), 0, 2), "must be at least 1"),
        (lambda: train.split(np.arange(5.0), 3, 2), "cannot be cut"),
        (lambda: train.Scaling.fit(np.ones(4)), "all equal"),
        (lambda: train.Scaling.fit(np.array([1.0, 0.0]), log=True), "positive"),
        (lambda: baselines.seasonal_naive(np.ones(3), 2, 4), "needs at least 4 values"),
        (lambda: metrics.mase(np.ones(1), np.ones(1), np.ones(2), 2), "more than one season"),
    ],
)
def test_series_that_do_not_fit(call, message):
    with pytest.raises(tg.DataError, match=message):
        call()


SMALL = experiment.Setting(
    season=4, lookback=8, horizon=4, test=8, log=False, hidden=4, epochs=3, lr=0.01
)


def wave(n=60):
    return 10 + np.arange(n) / 10 + np.sin(np.arange(n) * np.pi / 2)


@pytest.mark.parametrize(
    ("change", "values", "message"),
    [
        ({"lookback": 3}, wave(), "does not reach back one season"),
        ({"epochs": 0}, wave(), "--epochs must be at least 1"),
        ({"lr": -1.0}, wave(), "--lr must be positive"),
        ({}, wave(20), "the series has 20 values; .* need 28"),
        ({}, np.where(np.arange(60) == 7, np.nan, wave()), "NaN or infinite"),
    ],
)
def test_settings_that_do_not_fit(change, values, message):
    with pytest.raises(tg.DataError, match=message):
        experiment.check(values, SMALL._replace(**change))


def test_nothing_of_the_test_period_reaches_the_model():
    values = wave()
    a = experiment.train_one(values, SMALL._replace(test=4), 0, progress=False)
    changed = values.copy()
    changed[-4:] += 1000
    b = experiment.train_one(changed, SMALL._replace(test=4), 0, progress=False)
    np.testing.assert_array_equal(a.forecast, b.forecast)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    one, two, other = (experiment.train_one(wave(), SMALL, s, progress=False) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.forecast, two.forecast)
    assert one.fit.history == two.fit.history
    assert not np.array_equal(one.forecast, other.forecast)


def test_judge_reports_every_row_against_the_best_baseline():
    models = [experiment.train_one(wave(), SMALL, s, progress=False) for s in (0, 1)]
    result = experiment.judge(wave(), SMALL, models)
    assert next(iter(result["rows"])) == "LSTM"
    assert len(result["rows"]) == 5
    best = result["best_baseline"]
    assert result["rows"][best]["skill"] == 0
    errors = [r["MAE"] for r in result["each_seed"].values()]
    assert result["rows"]["LSTM"]["MAE"] == pytest.approx(np.mean(errors))
    assert result["spread"]["MAE"] == pytest.approx(np.std(errors))
    json.dumps(result)


class Straight(nn.Module):
    def __init__(self):
        self.w = nn.Parameter(np.zeros((1, 1), np.float32))

    def forward(self, x):
        return x @ self.w


def line(n=16):
    x = np.linspace(-1, 1, n, dtype=np.float32)[:, None]
    return x, 2 * x


def test_fit_learns_and_keeps_the_best_epoch():
    model = Straight()
    done = fit(model, line(), line(4), epochs=60, batch_size=4, lr=0.1, progress=False)
    assert abs(float(model.w) - 2) < 0.05
    losses = [e.val_loss for e in done.history]
    assert done.best_epoch == int(np.argmin(losses))
    assert train.evaluate(model, line(4)) == pytest.approx(min(losses))
    assert not model.training
    assert all(e.grad_norm > 0 for e in done.history)


def test_fit_stops_early_and_restores():
    model = Straight()
    worse = (line(4)[0], -line(4)[1])  # the better the fit, the worse the validation
    done = fit(model, line(), worse, epochs=60, lr=0.1, patience=3, progress=False)
    assert len(done.history) == done.best_epoch + 4
    assert done.best_epoch == 0


def test_ctrl_c_keeps_the_best_model(monkeypatch):
    calls = []

    class Interrupted(tg.optim.AdamW):
        def step(self):
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            super().step()

    monkeypatch.setattr(loop.optim, "AdamW", Interrupted)
    model = Straight()
    done = fit(model, line(), line(4), epochs=60, batch_size=16, lr=0.1, progress=False)
    assert done.interrupted
    assert len(done.history) == 3
    assert train.evaluate(model, line(4)) == pytest.approx(min(e.val_loss for e in done.history))


def test_fit_shows_each_epoch_to_callbacks_and_one_may_end_it():
    x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    seen = []
    how = {"epochs": 9, "progress": False, "eager": True}
    found = train.fit(
        nn.Linear(1, 1),
        (x, x),
        (x, x),
        callbacks=[lambda *e: seen.append(e), lambda n, e: n == 3],
        **how,
    )
    assert [n for n, _ in seen] == [0, 1, 2, 3]
    assert [epoch for _, epoch in seen] == found.history
    # the last is shown, too, where patience ends the training
    still = {"lr": 1e-30, "patience": 2, "callbacks": [lambda n, e: seen.append((n, e))]}
    seen.clear()
    found = train.fit(nn.Linear(1, 1), (x, x), (x, x), **still, **how)
    assert [epoch for _, epoch in seen] == found.history
    assert len(seen) == 3


def test_fit_refuses_data_that_cannot_be_learnt():
    x, y = line()
    for bad, message in (
        ((x, np.where(y > 0, np.nan, y)), "targets of train hold NaN"),
        ((x, y[:3]), "16 inputs and 3 targets"),
        ((x[:0], y[:0]), "not 0"),
    ):
        with pytest.raises(tg.DataError, match=message):
            fit(Straight(), bad, line(4), progress=False)


def test_fit_resumes_to_the_same_bits(tmp_path, monkeypatch):
    def fitted(**options):
        model = Straight()
        done = fit(model, line(), line(4), epochs=25, batch_size=3, progress=False, **options)
        return done, model.w.numpy().tobytes()

    def killed(optimizer, step=tg.optim.AdamW.step):
        if optimizer.param_groups[0].counts == [(6 * 14,)]:
            raise MemoryError
        step(optimizer)

    file, expected = tmp_path / "a.st", fitted()
    with monkeypatch.context() as patch:
        patch.setattr(tg.optim.AdamW, "step", killed)
        with pytest.raises(MemoryError):
            fitted(checkpoint=file)
    monkeypatch.setattr(train.run.Run, "log", counted := Counted(train.run.Run.log))
    expected_now = fitted(checkpoint=file, resume=True)
    assert counted.calls == 15  # epochs 10 to 24
    assert expected_now == expected


class Counted:
    def __init__(self, method):
        self.method, self.calls = method, 0

    def __get__(self, run, owner):
        self.calls += 1
        return self.method.__get__(run, owner)


def test_the_progress_bar_names_loss_and_gradient_norm(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    bar = functools.partial(train.run.tqdm, file=shown, mininterval=0, ncols=200)
    monkeypatch.setattr(train.run, "tqdm", bar)
    fit(Straight(), line(), line(4), epochs=2, label="straight")
    assert re.search(r"straight: .* 1/2 .*train_loss=.*, val_loss=.*, grad_norm=", shown.getvalue())
