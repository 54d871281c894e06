"""The estimators as scikit-learn's own checks want them, and what sequences add."""

import pickle
import sys

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import tinygrad_rnn as tg
from tinygrad_rnn import train
from tinygrad_rnn.train.reader import Reader

SMALL = {"hidden": 8, "lr": 0.03, "batch_size": 16, "eager": True}


CHECKED = [("Classifier", "gru", 4, 0.1), ("Regressor", "rnn", 15, 0.05)]


@pytest.mark.parametrize(("name", "cell", "epochs", "lr"), CHECKED)
def test_scikit_learns_checks_pass(name, cell, epochs, lr):
    options = {**SMALL, "cell": cell, "epochs": epochs, "lr": lr, "batch_size": 64}
    estimator = getattr(train, f"Sequence{name}")(**options)
    results = check_estimator(estimator, on_skip=None)
    assert len(results) > 45
    assert {r["status"] for r in results} <= {"passed", "skipped"}
    # the one needs SCIPY_ARRAY_API set before import; before 1.9 it is not among the checks
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}


def ragged(n=60, features=2, seed=0):
    """Sequences that rise or fall in their last feature, and by how much."""
    rng = np.random.default_rng(seed)
    slopes, X = rng.choice([-1.0, 1.0], n) * rng.uniform(0.5, 1, n), []
    for slope in slopes:
        steps = np.arange(rng.integers(3, 9))
        x = 5 + 0.1 * rng.standard_normal((len(steps), features))
        x[:, -1] += slope * steps
        X.append(x)
    return X, slopes


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_ragged_sequences_are_learned_and_their_padding_is_not(pooling):
    X, slopes = ragged()
    names = np.where(slopes > 0, "up", "down")
    net = train.SequenceClassifier(
        bidirectional=True, pooling=pooling, epochs=12, random_state=0, **SMALL
    )
    assert net.fit(X, names).score(X, names) > 0.95
    assert net.n_features_in_ == 2
    assert net.loss_curve_[-1] < net.loss_curve_[0] / 2
    together = net.predict_proba(X[:5])
    alone = [net.predict_proba([x])[0] for x in X[:5]]
    np.testing.assert_allclose(together, alone, rtol=1e-10)
    equal = [x[:3] for x in X[:5]]  # a list of one length, and the same as one array
    np.testing.assert_array_equal(net.predict_proba(equal), net.predict_proba(np.array(equal)))
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict_proba(X[:5]), together)


def test_regression_of_ragged_series_of_one_feature():
    X, slopes = ragged(features=1)
    X = [x[:, 0] for x in X]
    net = train.SequenceRegressor(epochs=30, random_state=0, **SMALL).fit(X, slopes)
    assert net.score(X, slopes) > 0.8
    np.testing.assert_allclose(net.predict(np.stack([x[:3] for x in X])).shape, (60,))


def test_in_a_pipeline_and_a_grid_search():
    rng = np.random.default_rng(1)
    X, y = rng.uniform(size=(60, 6)), rng.integers(0, 2, 60)
    X[y == 1] = np.sort(X[y == 1], axis=1)
    net = train.SequenceClassifier(epochs=10, random_state=0, **SMALL)
    pipe = make_pipeline(StandardScaler(), net)
    grid = {"sequenceclassifier__pooling": ["last", "mean"], "sequenceclassifier__lr": [1e-9, 0.03]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["sequenceclassifier__lr"] == 0.03
    listed = GridSearchCV(net, {"hidden": [2]}, cv=2, error_score="raise")
    assert listed.fit(*ragged(20)[:1], np.arange(20) % 2).best_params_ == {"hidden": 2}


def test_same_seed_same_bits_also_resumed_and_jitted_the_same_numbers(tmp_path, monkeypatch):
    X, slopes = ragged(24)
    y, drawn = slopes > 0, []

    def noise():  # another function each time, as in another process
        def jitter(x, generator):
            drawn.append(x.dtype)
            return x + 0.1 * generator.normal(x.shape)

        return jitter

    def net(epochs=4, **options):
        options = {**SMALL, "hidden": 4, "augment": noise(), "random_state": 3, **options}
        return train.SequenceClassifier(epochs=epochs, dropout=0.2, **options)

    whole = net().fit(X, y).predict_proba(X)
    assert set(drawn) == {np.dtype(np.float32)}
    path, clip, calls = tmp_path / "run.safetensors", tg.optim.clip_grad_norm_, iter(range(9))

    def dying(*arguments, **options):
        if next(calls) == 5:
            raise MemoryError
        return clip(*arguments, **options)

    with monkeypatch.context() as patch:
        Run = train.estimators.Run
        patch.setattr(train.estimators, "Run", lambda *a, **k: Run(*a, **{**k, "every": 1}))
        patch.setattr(tg.optim, "clip_grad_norm_", dying)
        with pytest.raises(MemoryError):
            net().fit(X, y, checkpoint=path)
    resumed = net().fit(X, y, checkpoint=path, resume=True)
    np.testing.assert_array_equal(resumed.predict_proba(X), whole)
    with pytest.raises(tg.CheckpointError, match="epochs: '5' here, '4' there"):
        net(5).fit(X, y, checkpoint=path, resume=True)
    with pytest.raises(tg.CheckpointError, match=r"random_state: '\d+' here"):
        net(random_state=4).fit(X, y, checkpoint=path, resume=True)
    assert (net(random_state=4).fit(X, y).predict_proba(X) != whole).any()
    jitted = net(eager=False).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(jitted, whole, rtol=1e-4)


def fitted(X):
    return train.SequenceClassifier(epochs=1, **SMALL).fit(X, np.arange(len(X)) % 2)


CUBE = np.zeros((4, 5, 3))
BAD = [
    (lambda: fitted(CUBE).predict(np.zeros((2, 5, 2))), "X has 2 features at each step, .* 3"),
    (lambda: fitted(CUBE[:, :, 0]).predict(CUBE), "was fitted on a table of 5 columns"),
    (lambda: fitted(CUBE[:, :, 0]).predict(CUBE[:, :4, 0]), "X has 4 features, .* expecting 5"),
    (lambda: fitted([*ragged(4)[0][:3], np.full((2, 2), np.nan)]), "contains NaN"),
    (lambda: fitted([np.zeros((2, 2)), np.zeros((3, 1))]), "sequence 1 has steps of shape"),
    (lambda: train.SequenceRegressor(cell="lstn").fit(CUBE, range(4)), "cell must be one of rnn"),
    (lambda: train.SequenceRegressor(pooling="sum").fit(CUBE, range(4)), "pooling must be one of"),
    (
        lambda: train.SequenceRegressor(epochs=0.5).fit(CUBE, range(4)),
        "SequenceRegressor: epochs must be",
    ),
    (lambda: train.SequenceClassifier().fit(CUBE, [0.5, 0.2, 0.1, 0.7]), "Unknown label type"),
    (
        lambda: train.SequenceClassifier().fit(CUBE, ["a", None] * 2),
        "y: labels must be of one type",
    ),
    (lambda: train.SequenceClassifier().fit(CUBE, [0, 1]), "inconsistent numbers of samples"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_reader_ignores_what_stands_beyond_a_sequence():
    x = np.random.default_rng(2).standard_normal((6, 3, 2)).astype("f")
    lengths = tg.tensor([6, 2, 4])
    for pooling in ("last", "mean", "max"):
        net = Reader(
            "lstm", 2, 2, 3, pooling=pooling, bidirectional=True, generator=tg.Generator(0)
        )
        y = net(tg.tensor(x), lengths).numpy()
        for n, size in enumerate((6, 2, 4)):
            np.testing.assert_allclose(
                net(tg.tensor(x[:size, n : n + 1])).numpy()[0], y[n], rtol=1e-5
            )


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "tinygrad_rnn.train.estimators")
    monkeypatch.delattr(train, "estimators")
    with pytest.raises(ImportError, match=r"tinygrad_rnn\[forecast\]"):
        train.SequenceClassifier  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'Sequence'"):
        train.Sequence  # noqa: B018
