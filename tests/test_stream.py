"""Lanes of a stream against slices of it written out; positions that are saved; with tbptt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.errors import DataError


@pytest.mark.parametrize(("samples", "lanes", "steps"), [(11, 2, 3), (12, 4, 3), (7, 7, 1), (9, 1, 20), (100, 3, 7)])  # fmt: skip
def test_lanes_are_consecutive_pieces(samples: int, lanes: int, steps: int) -> None:
    x = np.arange(2.0 * samples).reshape(samples, 2)
    stream = train.StreamBatches({"x": x, "y": (x[:, 0].astype("int64"),)}, lanes, steps)
    L = samples // lanes
    assert stream.dropped == samples - lanes * L
    for again in range(2):
        chunks = list(stream)
        assert (len(chunks), stream.position, stream.passes) == (len(stream), 0, again + 1)
        for k, chunk in enumerate(chunks):
            for n in range(lanes):
                piece = x[n * L : (n + 1) * L][k * steps : (k + 1) * steps]
                np.testing.assert_array_equal(chunk["x"].numpy()[:, n], piece)
                np.testing.assert_array_equal(chunk["y"][0].numpy()[:, n], piece[:, 0])
    assert f"the last {stream.dropped} samples dropped" in repr(stream)


def test_states_carried_are_those_of_whole_lanes() -> None:
    tg.manual_seed(0)
    cell = nn.GRUCell(1, 4).astype("float64")
    signal = np.sin(np.arange(50.0))[:, None]
    stream, state = train.StreamBatches(signal, 3, 5), tg.zeros(3, 4, dtype="float64")
    with tg.no_grad():
        for chunk in stream:
            _, state = nn.unroll(cell, chunk, state)
        for n in range(3):
            h = tg.zeros(1, 4, dtype="float64")
            _, h = nn.unroll(cell, tg.tensor(signal[16 * n : 16 * n + 16, None]), h)
            np.testing.assert_allclose(state.numpy()[n], h.numpy()[0], rtol=1e-12)


def test_a_position_is_saved_and_gone_on_from(tmp_path: Path) -> None:
    x = np.arange(40)
    stream = train.StreamBatches(x, 2, 3)
    whole = [stream.take().tolist() for _ in range(20)]
    first, second = train.StreamBatches(x, 2, 3), train.StreamBatches(tg.tensor(x), 2, 3)
    for k in range(9):
        assert first.take().tolist() == whole[k]
    train.save(tmp_path / "a.safetensors", stream=first)
    train.load(tmp_path / "a.safetensors", stream=second)
    assert second.passes == 1
    assert [second.take().tolist() for _ in range(11)] == whole[9:]
    assert len(list(first)) == 14 - 9  # the rest of the pass


def test_none_in_the_data_stays_none() -> None:
    stream = train.StreamBatches({"x": np.arange(9), "y": (None, np.arange(9))}, 2, 2)
    assert stream.data["y"][0] is None
    for chunk in stream:
        assert chunk["y"][0] is None
        np.testing.assert_array_equal(chunk["x"].numpy(), chunk["y"][1].numpy())
    with pytest.raises(TypeError, match="got NoneType"):
        train.StreamBatches((None, None), 2, 2)


def test_tbptt_goes_through_its_lanes() -> None:
    cell = nn.RNNCell(1, 3)
    signal = np.sin(np.arange(41, dtype=np.float32))[:, None]
    stream = train.StreamBatches((signal[:-1], signal[1:]), 4, 5)

    def run(part: Any, h: Any) -> Any:
        loss = 0.0
        for x, y in zip(*part, strict=True):
            h = cell(x, h)
            loss = loss + nn.mse_loss(h[:, :1], y)
        return loss, h

    h, losses = tg.zeros(4, 3), []
    for chunk in stream:
        loss, h = run(chunk, train.detach(h))
        losses.append(loss.item())
    windows = train.tbptt(run, stream.data, tg.zeros(4, 3), 5)
    assert [w.loss.item() for w in windows] == losses


def small() -> train.StreamBatches:
    return train.StreamBatches(np.arange(20), 2, 3)


BAD = [
    ("no-lanes", lambda: train.StreamBatches(np.ones(3), 0, 1), ValueError, "lanes must be"),
    ("steps", lambda: train.StreamBatches(np.ones(3), 1, 1.0), ValueError, "steps must be"),
    ("short", lambda: train.StreamBatches(np.ones(3), 4, 1), DataError, "3 samples cannot fill 4"),
    ("uneven", lambda: train.StreamBatches((np.ones(3), np.ones(4)), 1, 1), ValueError, "3, 4"),
    ("list", lambda: train.StreamBatches([1, 2], 1, 1), TypeError, "must be an array or tensor"),
    ("other", lambda: small().load_state_dict({**small().state_dict(), "lanes": 3}), ValueError, "lanes is 2 here, 3"),
    ("between", lambda: small().load_state_dict({**small().state_dict(), "position": 4}), ValueError, "no chunk begins"),
    ("behind", lambda: small().load_state_dict({**small().state_dict(), "position": 12}), ValueError, "no chunk begins"),
    ("keys", lambda: small().load_state_dict({"position": 4}), ValueError, "expected counts"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_streams_are_named(call: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


# updates left out ---------------------------------------------------------------------------


def test_updates_that_are_not_finite_are_left_out_and_counted() -> None:
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    w.name = "w"
    careful = optim.SkipNonFinite(optim.Adam([w], lr=0.1), most=2)
    plain = tg.tensor([1.0, 2.0], requires_grad=True)
    reference = optim.Adam([plain], lr=0.1)
    for factor in (1.0, np.nan, -np.inf, 2.0, np.inf, 3.0):
        w.grad = tg.tensor(np.array([factor, 1.0], np.float32))
        stepped = careful.step()
        assert stepped == np.isfinite(factor)
        if stepped:
            plain.grad = tg.tensor(np.array([factor, 1.0], np.float32))
            reference.step()
        assert w.tolist() == plain.tolist()  # moments, too, are as if it had not been
    assert (careful.skipped, careful.in_a_row) == (3, 0)
    other = optim.SkipNonFinite(optim.SGD([w], lr=0.1), most=0)
    other.load_state_dict(careful.state_dict())
    for bad in ({"skipped": -1, "in_a_row": 0}, {"skipped": 3, "in_a_row": 0.5}, {"skipped": 3}):
        with pytest.raises(ValueError, match=r"SkipNonFinite: (skipped|in_a_row|needs)"):
            other.load_state_dict(bad)
    assert other.state_dict() == careful.state_dict()
    w.grad = tg.tensor([np.nan, 0.0])
    with pytest.raises(tg.AnomalyError, match=r"1 times in a row, 4 in all; now those of 'w'"):
        other.step()
    w.grad = None
    assert careful.step()
    with pytest.raises(ValueError, match="most must be a whole number"):
        optim.SkipNonFinite(reference, most=-1)


def test_gradients_whose_norm_alone_is_infinite_are_finite() -> None:
    w = tg.tensor(np.array([1.0]), requires_grad=True)
    w.grad = tg.tensor(np.array([1e200]))
    with np.errstate(over="ignore"):
        assert optim.SkipNonFinite(optim.SGD([w], lr=1e-200)).step()
    assert w.tolist() == [0.0]


def test_fit_leaves_out_what_is_not_finite() -> None:
    x, y = np.ones((8, 1), np.float32), np.ones((8, 1), np.float32)
    x[3] = 1e30  # finite, and its square is not

    def fit(**how: Any) -> Any:
        tg.manual_seed(0)
        net = nn.Linear(1, 1)
        return train.fit(net, (x, y), (y, y), epochs=3, batch_size=2, progress=False, eager=True, **how)  # fmt: skip

    with np.errstate(all="ignore"):
        done = fit(skip=5)
        assert done.skipped == 3
        assert np.isfinite([e.train_loss for e in done.history]).all()
        with pytest.raises(tg.AnomalyError, match="1 times in a row, 1 in all"):
            fit()
