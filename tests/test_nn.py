"""Modules, cells, recurrent layers, initialisers and losses against slow oracles."""

import numpy as np
import oracles
import pytest
from hypothesis import given, strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import ShapeError
from tinygrad_rnn.testing import gradcheck

KINDS = {
    "rnn": (nn.RNN, oracles.rnn_step, {}),
    "relu": (nn.RNN, oracles.rnn_step, {"nonlinearity": "relu"}),
    "lstm": (nn.LSTM, oracles.lstm_step, {}),
    "gru": (nn.GRU, oracles.gru_step, {}),
    "gru-before": (nn.GRU, oracles.gru_step, {"reset_after": False}),
}
ORACLE_OPTIONS = {"relu": {"relu": True}, "gru-before": {"reset_after": False}}


def weights(model, key):
    return [dict(model.named_parameters())[f"{n}_{key}"].numpy()
            for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_layers_against_loops_with_ragged_rows_both_ways(kind):
    layer, step, options = KINDS[kind]
    model = layer(3, 4, bidirectional=True, **options).astype("float64")
    T, lengths = 6, [6, 1, 4]
    x = tg.randn(T, 3, 3, dtype=np.float64)
    y, last = model(x, lengths=lengths)
    h_n = (last[0] if kind == "lstm" else last).numpy()
    for n, length in enumerate(lengths):
        for d, (key, reverse) in enumerate((("l0", False), ("l0_reverse", True))):
            zero = np.zeros(4)
            start = (zero, zero) if kind == "lstm" else zero
            rows, end = oracles.run(
                step, x.numpy()[:length, n], start, weights(model, key), reverse,
                **ORACLE_OPTIONS.get(kind, {}),
            )  # fmt: skip
            half = slice(4 * d, 4 * d + 4)
            np.testing.assert_allclose(y.numpy()[:length, n, half], rows, rtol=1e-12, atol=1e-14)
            assert (y.numpy()[length:, n, half] == 0).all()
            np.testing.assert_allclose(
                h_n[d, n], end[0] if kind == "lstm" else end, rtol=1e-12, atol=1e-14
            )


@pytest.mark.parametrize("kind", KINDS)
def test_shared_weights_by_finite_differences(kind):
    layer, _, options = KINDS[kind]
    model = layer(2, 3, num_layers=2, **options).astype("float64")
    x = tg.tensor(tg.randn(4, 2, 2, dtype=np.float64).numpy(), requires_grad=True)
    loss_of(model, x).backward()
    rng = np.random.default_rng(0)
    for name, p in model.named_parameters():
        v = rng.standard_normal(p.shape)
        base, eps = p.numpy().copy(), 1e-6
        ends = []
        for sign in (1, -1):
            p.assign_(base + sign * eps * v)
            ends.append(float(loss_of(model, x)))
        p.assign_(base)
        wanted = (ends[0] - ends[1]) / (2 * eps)
        assert abs(float((p.grad.numpy() * v).sum()) - wanted) < 1e-6 * max(1, abs(wanted)), name


def loss_of(model, x):
    y, _ = model(x, lengths=[4, 2])
    return (y * y).sum()


def test_cells_and_layers_agree_and_hidden_states_carry_over():
    model = nn.LSTM(3, 4)
    cell = nn.LSTMCell(3, 4)
    cell.load_state_dict({n.removesuffix("_l0"): v for n, v in model.state_dict().items()})
    x = tg.randn(6, 2, 3)
    y, (h, c) = model(x)
    state, rows = None, []
    for x_t in x:
        state = cell(x_t, state)
        rows.append(state[0])
    np.testing.assert_array_equal(y.numpy(), tg.stack(rows).numpy())
    first, middle = model(x[:3])
    second, (h2, c2) = model(x[3:], middle)
    np.testing.assert_array_equal(tg.concat([first, second]).numpy(), y.numpy())
    np.testing.assert_array_equal(np.stack([h.numpy(), c.numpy()]), [h2.numpy(), c2.numpy()])


def test_batch_first_swaps_input_and_output_only():
    model = nn.GRU(3, 4, num_layers=2, bidirectional=True)
    x = tg.randn(5, 2, 3)
    h0 = tg.randn(4, 2, 4)
    y, h = model(x, h0)
    model.batch_first = True
    z, k = model(x.swapaxes(0, 1), h0)
    np.testing.assert_array_equal(z.swapaxes(0, 1).numpy(), y.numpy())
    np.testing.assert_array_equal(h.numpy(), k.numpy())


def test_dropout_acts_between_layers_in_training_only():
    model = nn.RNN(3, 8, num_layers=2, dropout=0.5)
    x = tg.randn(4, 2, 3)
    assert not np.array_equal(model(x)[0].numpy(), model(x)[0].numpy())
    model.eval()
    np.testing.assert_array_equal(model(x)[0].numpy(), model(x)[0].numpy())
    one = nn.RNN(3, 8, dropout=0.5)
    np.testing.assert_array_equal(one(x)[0].numpy(), one(x)[0].numpy())


def test_a_replaced_parameter_is_used_and_frozen_ones_get_no_gradient():
    model = nn.GRU(2, 3)
    model.weight_hh_l0 = nn.Parameter(np.zeros((9, 3), np.float32))
    assert dict(model.named_parameters())["weight_hh_l0"].numpy().sum() == 0
    model.bias_ih_l0.requires_grad = False
    model(tg.randn(3, 1, 2))[0].sum().backward()
    assert model.bias_ih_l0.grad is None
    assert model.weight_hh_l0.grad is not None


def test_forget_bias_and_recurrent_initialisation():
    model = nn.LSTM(2, 3, forget_bias=1.5, recurrent_init="orthogonal")
    bias = model.bias_ih_l0.numpy() + model.bias_hh_l0.numpy()
    np.testing.assert_allclose(bias[3:6], 1.5)
    for block in np.split(model.weight_hh_l0.numpy(), 4):
        np.testing.assert_allclose(block @ block.T, np.eye(3), atol=1e-6)
    eye = nn.RNN(2, 3, nonlinearity="relu", recurrent_init="identity").weight_hh_l0
    np.testing.assert_array_equal(eye.numpy(), np.eye(3))


class Tree(nn.Module):
    def __init__(self):
        self.cells = [nn.Linear(2, 2), {"a": nn.Linear(2, 1), "b": nn.Parameter([1.0])}]
        self.again = self.cells[0]
        self.plain = 3

    def forward(self, x):
        return self.cells[1]["a"](self.cells[0](x)) * self.cells[1]["b"]


def test_nested_modules_modes_and_state_dicts():
    model = Tree()
    names = [n for n, _ in model.named_parameters()]
    assert sorted(names) == [
        "cells.0.bias", "cells.0.weight", "cells.1.a.bias", "cells.1.a.weight", "cells.1.b",
    ]  # fmt: skip
    assert len(model.parameters()) == len({id(p) for p in model.parameters()}) == 5
    model.eval()
    assert not model.cells[1]["a"].training
    twin = Tree()
    twin.load_state_dict(model.state_dict())
    x = tg.randn(3, 2)
    np.testing.assert_array_equal(twin(x).numpy(), model(x).numpy())
    partly = {"cells.1.b": np.array([5.0]), "other": np.ones(1)}
    twin.load_state_dict(partly, strict=False)
    assert twin.cells[1]["b"].tolist() == [5.0]
    assert model.astype("float64")(x.astype("float64")).dtype == np.float64
    assert "parameters" in repr(model)
    assert model(x.astype("float64")).node.scope == "Tree"


MOMENTS = [
    ("uniform_", {"a": -1.0, "b": 3.0}, 1.0, 4 / np.sqrt(12)),
    ("normal_", {"mean": 2.0, "std": 0.5}, 2.0, 0.5),
    ("xavier_uniform_", {}, 0.0, np.sqrt(2 / 500)),
    ("xavier_normal_", {}, 0.0, np.sqrt(2 / 500)),
    ("kaiming_uniform_", {}, 0.0, np.sqrt(2 / 200)),
    ("kaiming_normal_", {}, 0.0, np.sqrt(2 / 200)),
    ("constant_", {"value": 4.0}, 4.0, 0.0),
    ("zeros_", {}, 0.0, 0.0),
]


def test_a_cell_of_ones_own_may_hand_options_on():
    class Cell(nn.GRUCell):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)

    class Layer(nn.GRU):
        cell = Cell

    x = tg.ones(2, 1, 3)
    layers = [c(3, 4, reset_after=False, generator=tg.Generator(0)) for c in (nn.GRU, Layer)]
    plain, own = (layer(x)[0].detach().numpy() for layer in layers)
    np.testing.assert_array_equal(plain, own)
    with pytest.raises(TypeError, match="layers"):
        Layer(3, 4, layers=2)


@pytest.mark.parametrize(("name", "options", "mean", "std"), MOMENTS)
def test_initialisers_have_their_moments(name, options, mean, std):
    p = tg.empty(300, 200)
    assert getattr(nn.init, name)(p, **options) is p
    assert abs(float(p.numpy().mean()) - mean) < 0.02
    assert abs(float(p.numpy().std()) - std) < 0.02 * max(std, 0.1)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3)])
def test_orthogonal(shape):
    w = nn.init.orthogonal_(tg.empty(*shape, dtype=np.float64), gain=2.0).numpy()
    small = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(small, 4 * np.eye(min(shape)), atol=1e-12)


def test_initialisers_follow_their_generator():
    a, b = (nn.LSTM(2, 3, generator=tg.Generator(s)).state_dict() for s in (1, 1))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    c = nn.LSTM(2, 3, generator=tg.Generator(2)).state_dict()
    assert not np.array_equal(a["weight_ih_l0"], c["weight_ih_l0"])


def huber(x, t, delta=0.7):
    d = np.abs(x - t)
    return np.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


LOSSES = [
    (nn.mse_loss, lambda x, t: (x - t) ** 2, {}),
    (nn.l1_loss, lambda x, t: np.abs(x - t), {}),
    (nn.huber_loss, huber, {"delta": 0.7}),
    (nn.quantile_loss, lambda x, t: np.maximum(0.9 * (t - x), -0.1 * (t - x)), {"quantiles": 0.9}),
    (
        nn.binary_cross_entropy_with_logits,
        lambda x, t: -(t * np.log(oracles.sigmoid(x)) + (1 - t) * np.log(1 - oracles.sigmoid(x))),
        {},
    ),
]


@pytest.mark.parametrize(
    ("loss", "wanted", "options"), LOSSES, ids=lambda v: getattr(v, "__name__", "")
)
def test_losses_reduce_mask_and_differentiate(loss, wanted, options):
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((4, 3)), rng.uniform(0, 1, (4, 3))
    mask = rng.uniform(size=(4, 1)) > 0.4
    X = tg.tensor(x, requires_grad=True)
    each = wanted(x, t)
    kept = np.where(mask, each, 0)
    for reduction, full, masked in (
        ("none", each, kept),
        ("sum", each.sum(), kept.sum()),
        ("mean", each.mean(), kept.sum() / np.broadcast_to(mask, each.shape).sum()),
    ):
        for m, value in ((None, full), (mask, masked)):
            found = loss(X, t, **options, reduction=reduction, mask=m)
            np.testing.assert_allclose(found.numpy(), value, rtol=1e-12)
    assert gradcheck(lambda x: loss(x, t, **options, mask=mask), X)
    assert np.isnan(float(loss(X, t, **options, mask=np.zeros((4, 3), bool))))


def test_a_missing_variance_reaches_no_gradient():
    mask, x = np.array([True, False, False]), np.array([1.0, 2.0, 3.0])
    var = tg.tensor(np.array([2.0, np.nan, -1.0]), requires_grad=True)
    loss = nn.gaussian_nll_loss(tg.tensor(x), tg.zeros(3, dtype="float64"), var, mask=mask)
    assert float(loss) == pytest.approx((np.log(2) + 1 / 2) / 2)
    loss.backward()
    assert var.grad.tolist() == [(1 / 2 - 1 / 4) / 2, 0, 0]


def test_cross_entropy_weights_and_ignored_targets():
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((2, 3, 5)), rng.integers(0, 5, (2, 3))
    t[0, 1] = -100
    weight = np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    log_p = x - np.log(np.exp(x).sum(-1, keepdims=True))
    total = scale = 0.0
    for i, j in np.ndindex(2, 3):
        if t[i, j] != -100:
            total -= weight[t[i, j]] * log_p[i, j, t[i, j]]
            scale += weight[t[i, j]]
    X = tg.tensor(x, requires_grad=True)
    np.testing.assert_allclose(
        float(nn.cross_entropy(X, tg.tensor(t), weight=weight)), total / scale, rtol=1e-12
    )
    assert gradcheck(lambda x: nn.cross_entropy(x, t, weight=weight), X)
    mask = np.array([[True, True, False], [True, False, True]])
    plain = nn.cross_entropy(X, t, reduction="none", mask=mask).numpy()
    assert plain[0, 1] == 0
    assert plain[0, 2] == 0
    assert plain[0, 0] == -log_p[0, 0, t[0, 0]]


def test_several_quantiles_at_once():
    x, t = np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([1.5, 3.0])
    found = nn.quantile_loss(tg.tensor(x), t, [0.1, 0.9], reduction="none").numpy()
    np.testing.assert_allclose(found, [[0.05, 0.05], [0.3, 0.1]], rtol=1e-12)


@given(st.integers(1, 4), st.integers(1, 3), st.data())
def test_padding_never_changes_a_row(N, T, data):
    """A row of a ragged batch gives what it gives alone, whatever stands in the padding."""
    lengths = data.draw(st.lists(st.integers(1, T), min_size=N, max_size=N))
    model = nn.GRU(2, 3, bidirectional=True, generator=tg.Generator(3)).astype("float64")
    x = tg.Generator(data.draw(st.integers(0, 9))).normal((T, N, 2), np.float64)
    y, h = model(tg.tensor(x), lengths=lengths)
    for n, length in enumerate(lengths):
        alone, k = model(tg.tensor(x[:length, n : n + 1]))
        np.testing.assert_allclose(y.numpy()[:length, n], alone.numpy()[:, 0], rtol=1e-12)
        np.testing.assert_allclose(h.numpy()[:, n], k.numpy()[:, 0], rtol=1e-12)


def counting(model):
    """A jitted function of a batch and its lengths, and a count of how often it ran as Python."""
    recordings = bytearray(1)  # which guards do not look at: a number would be read anew

    def run(x, lengths):
        recordings[0] += 1
        y, last = model(x, lengths=lengths)
        return y.sum() + (last[0] if isinstance(last, tuple) else last).sum()

    return tg.jit(run), recordings


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_one_recording_serves_every_batch_of_lengths(kind):
    layer, _, options = KINDS[kind]
    model = layer(2, 3, bidirectional=True, **options).astype("float64")
    run, recordings = counting(model)
    x = tg.randn(5, 3, 2, dtype=np.float64)
    for lengths in ([5, 1, 3], [2, 2, 2], [5, 5, 5], [1, 4, 1]):
        found, grads = {}, {}
        for name, call in (("jit", run), ("eager", run.fn)):
            model.zero_grad()
            y = call(x, tg.tensor(lengths))
            y.backward()
            found[name], grads[name] = float(y), [p.grad.numpy() for p in model.parameters()]
        assert found["jit"] == pytest.approx(found["eager"], rel=1e-12)
        for a, b in zip(grads["jit"], grads["eager"], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    assert recordings[0] == 1 + 4


def test_a_list_of_lengths_is_part_of_the_recording_and_still_right():
    model = nn.GRU(2, 3)
    run, recordings = counting(model)
    x = tg.randn(5, 3, 2)
    for lengths in ([5, 1, 3], [2, 2, 2], [5, 1, 3]):
        wanted = float(run.fn(x, lengths))
        assert float(run(x, lengths)) == pytest.approx(wanted, rel=1e-6)
    assert recordings[0] == 2 + 3


@pytest.mark.parametrize("lengths", [[0, 5, 2], [1, 6, 2], [-1, 5, 5]])
def test_lengths_beyond_the_batch_are_refused_in_every_call(lengths):
    model = nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    run, x = tg.jit(lambda x, n: model(x, lengths=n)), tg.randn(5, 3, 2)
    run(x, tg.tensor([1, 5, 2]))
    for f in (run, lambda x, n: model(x, lengths=n), tg.jit(lambda x, n: model(x, lengths=n))):
        with pytest.raises(
            ShapeError, match=r"LSTM: lengths must be from 1 to 5, the steps of x; got"
        ):
            f(x, tg.tensor(lengths))


def test_lengths_that_a_function_closes_over_are_read_at_every_call():
    model = nn.RNN(2, 3)
    x, lengths = tg.randn(4, 2, 2), tg.tensor([1, 3])
    run = tg.jit(lambda x: model(x, lengths=lengths)[0])
    for n in ([1, 3], [4, 2]):
        lengths.assign_(n)
        wanted = model(x, lengths=n)[0].numpy()
        np.testing.assert_allclose(run(x).numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_sequential_is_a_sequence():
    a, b = nn.Linear(2, 3), nn.Linear(3, 3)
    net = nn.Sequential(a, tg.tanh, b)
    assert len(net) == 3
    assert net[0] is a
    assert net[-1] is b
    assert list(net) == [a, tg.tanh, b]
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = tg.ones(4, 2)
    np.testing.assert_array_equal(net[1:](net[:1](x)).numpy(), net(x).numpy())
    with pytest.raises(IndexError):
        net[3]


@pytest.mark.parametrize("jit", [False, True])
def test_an_embedding_refuses_indices_outside_its_table(jit):
    table = nn.Embedding(4, 2)
    call = tg.jit(table.forward) if jit else table
    assert call(tg.tensor([0, 3])).shape == (2, 2)
    for bad in (-1, 4):
        with pytest.raises(tg.ShapeError, match=f"index {bad} is out of range"):
            call(tg.tensor([0, bad]))
    assert tg.take(table.weight, tg.tensor([-1])).shape == (1, 2)  # as everywhere in Python


def test_square_logits_are_not_taken_either_way_in_silence():
    x, t = tg.randn(4, 3, 3), tg.tensor(np.zeros((4, 3), int))
    with pytest.warns(UserWarning, match=r"fit with the classes on the last axis and.*axis=1"):
        taken = nn.cross_entropy(x, t)
    assert float(taken) == float(nn.cross_entropy(x, t, axis=-1))
    assert float(taken) != float(nn.cross_entropy(x, t, axis=1))
