"""Judging over rolling origins: metrics by naive loops, baselines, the command line."""

import math

import numpy as np
import pandas as pd
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import forecast, train
from tinygrad_rnn.train import RecurrentForecaster, baselines, judge_rolling, metrics

QUICK = {"season": 4, "lookback": 8, "hidden": 4, "updates": 3, "members": 1, "eager": True}


def wave(n=80):
    k = np.arange(n)
    y = 20 + k / 5 + 3 * np.sin(k * np.pi / 2) + np.random.default_rng(n).normal(size=n) / 5
    return pd.Series(y, pd.date_range("2000-01", periods=n, freq="QS"), name="y")


def naive_diebold_mariano(a, b, h):
    d, n = [x - y for x, y in zip(a, b, strict=True)], len(a)
    mean = sum(d) / n
    total = 0.0
    for k in range(-(h - 1), h):
        for t in range(n):
            if 0 <= t - k < n:
                total += (d[t] - mean) * (d[t - k] - mean) / n
    statistic = mean / math.sqrt(total / n)
    statistic *= math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    # Student's t with n - 1 degrees of freedom, both tails, by its density
    t = np.linspace(-abs(statistic), abs(statistic), 20001)
    density = (1 + t**2 / (n - 1)) ** (-n / 2)
    density *= math.gamma(n / 2) / (math.sqrt((n - 1) * math.pi) * math.gamma((n - 1) / 2))
    return 1 - np.trapezoid(density, t)


@pytest.mark.parametrize(("n", "h"), [(12, 1), (12, 2), (24, 4), (30, 12)])
def test_diebold_mariano_is_a_naive_loop(n, h):
    rng = np.random.default_rng(n * h)
    a, b = rng.gamma(2, size=n), rng.gamma(2, size=n) + 0.3 * rng.normal()
    found = metrics.diebold_mariano(a, b, h)
    assert found == metrics.diebold_mariano(b, a, h)
    assert found == pytest.approx(naive_diebold_mariano(a, b, h), abs=1e-6)


def test_diebold_mariano_says_nothing_where_nothing_can_be_said():
    rng = np.random.default_rng(0)
    assert math.isnan(metrics.diebold_mariano(rng.random(12), rng.random(12), 12))
    assert math.isnan(metrics.diebold_mariano(np.ones(12), np.ones(12), 1))
    worse = [metrics.diebold_mariano(rng.random(20), rng.random(20)) < 0.1 for _ in range(400)]
    assert 0.06 < np.mean(worse) < 0.14  # its level, where there is no difference


def test_quantile_loss_and_coverage_by_loops():
    rng = np.random.default_rng(0)
    y, q, levels = rng.normal(size=(3, 4)), rng.normal(size=(3, 4, 2)), [0.1, 0.8]
    total = 0.0
    for i in range(3):
        for j in range(4):
            for k, p in enumerate(levels):
                d = y[i, j] - q[i, j, k]
                total += 2 * (p * d if d > 0 else (p - 1) * d)
    assert metrics.weighted_quantile_loss(q, y, levels) == pytest.approx(
        total / 2 / np.abs(y).sum()
    )
    inside = sum(q[i, j, 0] <= y[i, j] <= q[i, j, 1] for i in range(3) for j in range(4))
    assert metrics.coverage(q[..., 0], q[..., 1], y) == pytest.approx(inside / 12)


def test_every_origin_forecasts_from_what_lies_before_it():
    y = wave()
    judged = judge_rolling(RecurrentForecaster(3, **QUICK), y, origins=4, step=2)
    model = RecurrentForecaster(3, **QUICK).fit(y[:71])
    assert judged.truth.shape == (1, 4, 3)
    for i, n in enumerate((71, 73, 75, 77)):
        history = y.to_numpy()[:n]
        np.testing.assert_array_equal(judged.truth[0, i], y[n : n + 3])
        np.testing.assert_array_equal(judged.forecasts["LSTM"][0, i], model.predict(y[:n]))
        np.testing.assert_array_equal(
            judged.quantiles["LSTM"][0, i], model.predict_quantiles(y[:n])
        )
        for name in ("naive", "drift"):
            expected = getattr(baselines, name)(history, 3)
            np.testing.assert_array_equal(judged.forecasts[name][0, i], expected)
        expected = baselines.seasonal_naive(history, 3, 4)
        np.testing.assert_array_equal(judged.forecasts["seasonal naive"][0, i], expected)
    rows, errors = judged.rows(), np.abs(judged.forecasts["ETS"] - judged.truth)[0]
    assert rows["ETS"]["MAE"] == pytest.approx(errors.mean())
    assert rows["ETS"]["spread"] == pytest.approx(errors.mean(1).std())
    scale = np.abs(y.to_numpy()[4:71] - y.to_numpy()[:67]).mean()
    assert rows["ETS"]["MASE"] == pytest.approx(errors.mean() / scale)
    assert next(iter(rows)) == "LSTM"
    assert judged.overlap == 2
    assert rows["ETS"]["MAE"] < rows["naive"]["MAE"] / 3  # a line and a season are what it is for
    assert rows["Theta"]["MAE"] < rows["naive"]["MAE"] / 2
    later = y.copy()
    later[77:] += 100
    again = judge_rolling(RecurrentForecaster(3, **QUICK), later, origins=4, step=2, classic=False)
    np.testing.assert_array_equal(again.forecasts["LSTM"][0, :4], judged.forecasts["LSTM"][0])


def test_refit_learns_anew_at_every_origin_and_several_series_are_cases():
    y = {"a": wave(), "b": 2 * wave(70)}
    model = RecurrentForecaster(3, **QUICK)
    judged = judge_rolling(model, y, origins=2, refit=True, classic=False)
    assert judged.truth.shape == (2, 2, 3)
    last = RecurrentForecaster(3, **QUICK).fit({"a": y["a"][:77], "b": y["b"][:67]})
    np.testing.assert_array_equal(judged.forecasts["LSTM"][1, 1], last.predict()["b"])
    for options, message in (
        ({"origins": 0}, "origins must be a whole number from 1, got 0"),
        ({"origins": 90}, "'a' has 80 values; 90 origins 1 apart"),
        ({"origins": 60}, "has 8 values; .* need 14"),
    ):
        with pytest.raises(tg.DataError, match=message):
            judge_rolling(RecurrentForecaster(3, **QUICK), y, classic=False, **options)


def test_a_season_repeated_exactly_is_measured_by_its_steps():
    y = np.stack([np.tile([1.0, 2, 4, 8], 20), np.arange(80.0) ** 1.5], axis=1)
    judged = judge_rolling(RecurrentForecaster(3, **QUICK), y, origins=2, classic=False)
    assert judged.scales[0] == pytest.approx(np.abs(np.diff(y[:76, 0])).mean())
    assert judged.rows()["seasonal naive"]["MASE"] > 0
    assert np.isfinite([row["MASE"] for row in judged.rows().values()]).all()


OPTIONS = ["--horizon", "3", "--lookback", "8", "--hidden", "4", "--updates", "3", "--members", "1"]


def fit(tmp_path, *arguments):
    model = ["--model", str(tmp_path / "m.safetensors"), "-o", str(tmp_path / "f.csv")]
    forecast.main(["fit", str(tmp_path / "d.csv"), *OPTIONS, "--eager", *model, *arguments])
    return pd.read_csv(tmp_path / "f.csv")


def test_a_file_is_fitted_judged_saved_and_forecast_again(tmp_path, capsys):
    (wave() - 25).to_csv(tmp_path / "d.csv", index_label="day")
    found = fit(tmp_path, "--origins", "2")
    text = capsys.readouterr().out
    assert "seasonal naive x growth" in text
    assert "2 origins, 3 steps each" in text
    assert found.columns.tolist() == [
        "date",
        "column",
        "mean",
        "q0.05",
        "q0.25",
        "q0.5",
        "q0.75",
        "q0.95",
    ]
    assert found["date"].tolist() == ["2020-01", "2020-04", "2020-07"]
    assert (tmp_path / "f.png").stat().st_size > 10_000
    model = ["--model", str(tmp_path / "m.safetensors")]
    for more in ([], ["--data", str(tmp_path / "d.csv")]):
        forecast.main(["predict", *model, *more, "-o", str(tmp_path / "g.csv")])
        assert (tmp_path / "g.csv").read_bytes() == (tmp_path / "f.csv").read_bytes()
    assert fit(tmp_path, "--origins", "2", "--resume").equals(found)


def test_columns_ids_and_a_future_that_is_known(tmp_path, capsys):
    rows = [
        pd.DataFrame({"d": one.index, "shop": shop, "sales": one, "guests": one / 2, "price": 1.0 + np.arange(80) % 3})
        for shop, one in (("x", wave()), ("y", 3 * wave()))
    ]  # fmt: skip
    for part in rows:
        part.iloc[77:, 2:4] = np.nan
    pd.concat(rows).to_csv(tmp_path / "d.csv", index=False)
    more = ["--column", "sales", "--past", "guests", "--future", "price", "--id-column", "shop"]
    found = fit(tmp_path, *more, "--calendar", "--origins", "0")
    assert found["id"].tolist() == ["x"] * 3 + ["y"] * 3
    assert found["date"].tolist()[:3] == ["2019-04", "2019-07", "2019-10"]
    pd.concat([part.iloc[:77] for part in rows]).to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "f.csv").write_text("a\n")
    fit(tmp_path, *more, "--origins", "0")
    assert "no forecast yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--column", "z"], "no column 'z'"),
        (["--past", "y"], "name the target"),
        (["--quantiles", "a"], "--quantiles: numbers"),
        (["--origins", "78"], "78 origins"),
        (["--season", "0"], "season must be a whole number"),
    ],
)
def test_what_a_person_can_put_right_is_one_line(arguments, message, tmp_path):
    wave().to_csv(tmp_path / "d.csv", index_label="day")
    with pytest.raises(SystemExit, match=f"forecast fit: .*{message}"):
        fit(tmp_path, *arguments)


def test_predict_refuses_a_model_of_another_hand(tmp_path):
    model = RecurrentForecaster(3, **QUICK).fit(wave())
    path = model.save(tmp_path / "m.safetensors")
    with pytest.raises(SystemExit, match=r"was not written by tinygrad_rnn\.forecast fit"):
        forecast.main(["predict", "--model", str(path), "-o", str(tmp_path / "f.csv")])
    assert train.RecurrentForecaster.load(path).settings == {}
