"""Weights to and from Keras, which runs on PyTorch: the same outputs in inference."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from test_examples import run_blocks

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.interop import from_keras, to_keras

os.environ["KERAS_BACKEND"] = "torch"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras

# Keras's variables have the __array__ of NumPy 1
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
L = keras.layers
X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("f")  # batch, steps, features


def rnn(kind, **options):
    return getattr(L, kind)(6, return_sequences=True, return_state=True, **options)


def random_weights(layer):
    """Biases start at 0 in Keras, which would hide where they go."""
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape).astype("f") * 0.5 for w in layer.get_weights()])
    return layer


RECURRENT = [
    ("SimpleRNN", {}),
    ("SimpleRNN", {"activation": "relu", "use_bias": False}),
    ("LSTM", {}),
    ("LSTM", {"use_bias": False, "dropout": 0.5}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
    ("GRU", {"use_bias": False}),
]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("kind", "options"), RECURRENT)
def test_recurrent_layers_in_and_out(kind, options, both):
    theirs = L.Bidirectional(rnn(kind, **options)) if both else rnn(kind, **options)
    theirs(X)
    random_weights(theirs)
    ours = from_keras(theirs)

    def same(layer):
        expected, *states = [np.asarray(a.detach()) for a in layer(X)]
        found, last = ours(tg.tensor(X))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)
        last = last if isinstance(last, tuple) else (last,)
        mine = [s.numpy()[d] for d in range(1 + both) for s in last]
        for a, b in zip(mine, states, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    same(theirs)
    if options.get("use_bias", True):  # two biases of ours go into one of theirs
        for name, p in ours.named_parameters():
            if "bias" in name:
                p.assign_(tg.randn(*p.shape))
    for p in ours.parameters():
        p.assign_(p.numpy() * 0.9)
    weights = to_keras(ours)
    assert [w.shape for w in weights] == [w.shape for w in theirs.get_weights()]
    theirs.set_weights(weights)
    same(theirs)


OTHERS = [
    (lambda: L.Dense(5), X),
    (lambda: L.Dense(5, use_bias=False, activation="gelu"), X),
    (lambda: L.Dense(5, activation="softmax"), X),
    (lambda: L.LayerNormalization(), X),
    (lambda: L.Embedding(9, 4), np.arange(12).reshape(3, 4) % 9),
]


@pytest.mark.parametrize(("make", "x"), OTHERS)
def test_other_layers_in_and_out(make, x):
    theirs = make()
    theirs(x)
    random_weights(theirs)
    ours = from_keras(theirs)
    expected = np.asarray(theirs(x).detach())
    np.testing.assert_allclose(ours(tg.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-5)
    plain = ours[0] if isinstance(ours, nn.Sequential) else ours
    for a, b in zip(to_keras(plain), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def custom_back():
    return L.Bidirectional(L.LSTM(6), backward_layer=L.GRU(6, go_backwards=True))


REFUSED = [
    (lambda: L.LSTM(6, go_backwards=True, name="deep"), r"'deep' \(LSTM\) has go_backwards=True"),
    (lambda: L.LSTM(6, activation="relu"), r"\(LSTM\) has activation='relu'.*known is 'tanh'"),
    (lambda: L.GRU(6, recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
    (lambda: L.SimpleRNN(6, activation="sigmoid"), "known is 'tanh' or 'relu'"),
    (lambda: L.Bidirectional(L.LSTM(6), merge_mode="sum"), "merge_mode='sum'"),
    (custom_back, "backward_layer unlike"),
    (lambda: L.Dense(6, activation="hard_sigmoid"), r"\(Dense\) has activation='hard_sigmoid'"),
    (lambda: L.LayerNormalization(axis=1), r"axis=(1|\[1\]); only the last"),
    (lambda: L.LayerNormalization(scale=False), "scale=False"),
    (lambda: L.Conv1D(3, 2, name="conv"), "'conv' is a Conv1D"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_cannot_come_in_is_named(make, message):
    layer = make()
    layer.build(X.shape)
    with pytest.raises(tg.InterchangeError, match=message):
        from_keras(layer)


def test_a_layer_without_weights_cannot_come_in():
    with pytest.raises(tg.InterchangeError, match=r"\(GRU\) has no weights yet"):
        from_keras(L.GRU(3))


def test_masks_of_embeddings_cannot_come_in():
    layer = L.Embedding(9, 4, mask_zero=True)
    layer(np.ones((2, 2), int))
    with pytest.raises(tg.InterchangeError, match="mask_zero=True"):
        from_keras(layer)


OUT = [
    (lambda: nn.LSTM(3, 4, num_layers=2), r"\(LSTM\) has num_layers, which cannot be carried"),
    (lambda: nn.LSTM(3, 4, peepholes=True), "has peepholes"),
    (lambda: nn.LSTM(3, 4, proj_size=2), "has proj_size"),
    (lambda: nn.GRU(3, 4, layer_norm=True), "has layer_norm"),
    (lambda: nn.GRU(3, 4, zoneout=0.5), "has zoneout"),
    (lambda: nn.LSTMCell(3, 4), "a LSTMCell cannot be carried"),
]


@pytest.mark.parametrize(("make", "message"), OUT)
def test_what_cannot_go_out_is_named(make, message):
    with pytest.raises(tg.InterchangeError, match=message):
        to_keras(make())


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_blocks(Path(__file__).parents[2] / "docs/interchange.md", 4)
    assert {p.name for p in tmp_path.iterdir()} == {"tagger.onnx", "lstm.safetensors"}
