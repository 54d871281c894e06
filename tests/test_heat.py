"""Heat maps: the numbers are the states' own, and the triangle equals a sweep for each loss."""

import builtins

import numpy as np
import pytest
from diagrams import gallery
from hypothesis import given, settings, strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, ops, viz
from tinygrad_rnn.errors import GraphError, RenderError
from tinygrad_rnn.viz.flow import lags, stacked
from tinygrad_rnn.viz.graph import values
from tinygrad_rnn.viz.graph.building import collect
from tinygrad_rnn.viz.graph.graph import nodes_below
from tinygrad_rnn.viz.page import heat, panels

T, N, I, H = 7, 2, 3, 4


def series(steps=T, dtype="float64"):
    return tg.tensor(np.random.default_rng(0).standard_normal((steps, N, I)).astype(dtype))


def weights(*shapes, dtype="float64"):
    rng = np.random.default_rng(1)
    made = [rng.standard_normal(s).astype(dtype) / np.sqrt(s[0]) for s in shapes]
    return [nn.Parameter(w, name=f"W{k}") for k, w in enumerate(made)]


# Each gives the loss of every step and the states of every step, by name.


def module(kind, dtype="float64"):
    def model():
        cell = getattr(nn, f"{kind}Cell")(I, H, generator=tg.Generator(0)).astype(dtype)
        state, losses, kept = None, [], []
        for x_t in series(dtype=dtype):
            state = cell(x_t, state)
            parts = state if isinstance(state, tuple) else (state,)
            kept.append({f"{kind}Cell.{s.name}": s for s in parts})
            losses.append((parts[0] ** 2).mean())
        return losses, kept

    return model


def written_out():
    """Two states named by hand, one a plain sum; a readout of several ops."""
    W, U, V = weights((H, H), (I, H), (H, 2))
    a, b = (tg.zeros(N, H, dtype="float64") for _ in range(2))
    losses, kept = [], []
    for x_t in series():
        a = tg.tanh(x_t @ U + b @ W + 0.1 * a)
        b = 0.9 * b + a
        a.name, b.name = "a", "b"
        kept.append({"a": a, "b": b})
        losses.append(-tg.log_softmax(b @ V, axis=1)[:, 0].sum())
    return losses, kept


def exotic():
    """Ops that no rule of stacked cotangents knows, vectors, and shapes that change."""
    W, U = weights((H, H), (I, H))
    h, losses, kept = tg.zeros(N, H, dtype="float64"), [], []
    for t, x_t in enumerate(series()):
        m = tg.concat([tg.cumsum(h, axis=1), h.max(axis=1, keepdims=True) * h], axis=0)
        top = m[:N] + 0.1 * m[N:].flip(axis=0)
        rows = tg.stack([row @ W for row in top.unstack()])
        h = nn.LayerNorm(H).astype("float64")(rows) + (x_t @ U).take(
            tg.tensor([3, 0, 1, 1]), axis=1
        )
        h = tg.where(h > 2, 2.0, tg.softmax(h, axis=1).swapaxes(0, 1).reshape(N, H) + 0.3 * h)
        h.name = "h"
        kept.append({"h": h})
        losses.append(tg.logsumexp(h.sum(axis=0) * (t + 1), axis=0))
    return losses, kept


def two_layers():
    """The second layer reads a stack of the first's states, and so does a head of all steps."""
    one, two = (nn.GRUCell(n, H, generator=tg.Generator(n)).astype("float64") for n in (I, H))
    hs, h = [], None
    for x_t in series():
        h = one(x_t, h)
        h.name = "low"
        hs.append(h)
    k, losses, kept = None, [], []
    for low, y_t in zip(hs, tg.stack(hs), strict=True):
        k = two(y_t, k)
        k.name = "high"
        kept.append({"GRUCell.low": low, "GRUCell.high": k})
        losses.append((k**2).mean())
    return losses, kept


def attending():
    """A decoder that reads all of an encoder's states at every step: no triangle, a square."""
    encoder, decoder = (
        nn.RNNCell(n, H, generator=tg.Generator(n)).astype("float64") for n in (I, H)
    )
    hs, h = [], None
    for t, x_t in enumerate(series()):
        with tg.step(t):
            h = encoder(x_t, h)
        h.name = "e"
        hs.append(h)
    keys, losses, kept = tg.stack(hs, axis=1), [], []
    for t in range(T):
        with tg.step(t):
            weight = tg.softmax((keys * h.reshape(N, 1, H)).sum(axis=2), axis=1)
            h = decoder((keys * weight.reshape(N, T, 1)).sum(axis=1), h)
            h.name = "d"
            kept.append({"RNNCell.e": hs[t], "RNNCell.d": h})
            losses.append((h**2).mean())
    return losses, kept


def with_a_hook():
    """A hook sees one gradient: no stack of them may pass through it."""
    losses, kept = module("RNN")()
    kept[3]["RNNCell.h"].register_hook(lambda g: g.clip(-0.01, 0.01))
    return losses, kept


def skipping():
    """A loss at every third step, a state that is cut once, and one that is dead for a while."""
    W, U = weights((H, H), (I, H))
    h, losses, kept = tg.zeros(N, H, dtype="float64"), [], []
    for t, x_t in enumerate(series(9)):
        h = h.detach() if t == 4 else h
        h = tg.relu(x_t @ U + h @ W - (99 if t == 7 else 0)) + 0 * x_t.sum()
        h.name = "h"
        kept.append({"h": h})
        if t % 3 == 2:
            losses.append((h**2 + h).mean())
    return losses, kept


MODELS = {
    "rnn": module("RNN"), "lstm": module("LSTM"), "gru": module("GRU"), "lstm, float32": module("LSTM", "float32"),
    "written out": written_out, "exotic": exotic, "two layers": two_layers, "attending": attending,
    "with a hook": with_a_hook, "skipping": skipping,
}  # fmt: skip
NAMED = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def total_of(losses):
    total = losses[0]
    for one in losses[1:]:
        total = total + one
    return total


# numbers --------------------------------------------------------------------------


@NAMED
@pytest.mark.parametrize("recorded", [False, True])
def test_values_are_those_of_the_states_and_gradients_those_a_hook_sees(model, recorded):
    losses, kept = model()
    names = list(kept[0])
    loss, seen = total_of(losses), {}
    if recorded:
        with viz.record() as flow:
            loss.backward(retain_graph=True)
    found = heat.heatmap(flow if recorded else loss, names).arrays
    for t, states in enumerate(kept):  # last, so that no hook is there when it is measured
        for name, state in states.items():  # those that lead to no loss are in no picture
            state.register_hook(lambda g, key=(name, t): seen.__setitem__(key, g.numpy().copy()))
    loss.backward()
    assert set(found) == set(names)
    for name, figures in found.items():
        steps = [t for t in range(len(kept)) if (name, t) in seen]
        assert figures["step"].tolist() == steps
        assert len(steps) >= len(kept) - 1
        wanted = np.stack([kept[t][name].numpy() for t in steps])
        np.testing.assert_array_equal(figures["value"], wanted, err_msg=name)
        assert figures["value"].dtype == wanted.dtype
        gradients = np.stack([seen[name, t] for t in steps])
        rtol = 1e-12 if gradients.dtype == np.float64 else 1e-5  # sums in another order
        np.testing.assert_allclose(figures["gradient"], gradients, rtol=rtol, err_msg=name)


@NAMED
@pytest.mark.parametrize("together", [lags.CACHED, 3 * N * H])
def test_the_triangle_equals_a_pass_for_each_loss(model, together, monkeypatch):
    """All seeds in one sweep, or three at a time, against `tg.grad(L_s, h_t)` pair by pair."""
    monkeypatch.setattr(lags, "CACHED", together)
    losses, kept = model()
    found = viz.heatmap(total_of(losses), "lag").arrays
    assert set(found) == set(kept[0])
    tolerance = 1e-9 if losses[0].dtype == np.float64 else 2e-6
    for name, figures in found.items():
        states = [kept[t][name] for t in figures["step"]]
        assert figures["norm"].shape == (len(losses), len(states))
        for row, loss in zip(figures["norm"], losses, strict=True):
            gradients = tg.grad(loss, states, retain_graph=True, allow_unused=True)
            wanted = [0.0 if g is None else np.linalg.norm(g.numpy()) for g in gradients]
            np.testing.assert_allclose(np.nan_to_num(row), wanted, rtol=tolerance, atol=0)


@pytest.mark.parametrize(
    ("model", "name", "pathless"),
    [
        ("lstm", "LSTMCell.c", lambda s, t: t > s),
        ("exotic", "h", lambda s, t: t > s),
        ("two layers", "GRUCell.low", lambda s, t: t > s),  # read through a stack: zeros are none
        ("attending", "RNNCell.e", lambda s, t: False),
        ("skipping", "h", lambda s, t: t > s or (t < 4 <= s)),
    ],
)
def test_no_path_is_told_from_a_gradient_of_zero(model, name, pathless):
    figures = viz.heatmap(total_of(MODELS[model]()[0]), "lag").arrays[name]
    wanted = [[pathless(s, t) for t in figures["step"]] for s in figures["loss_step"]]
    np.testing.assert_array_equal(np.isnan(figures["norm"]), wanted)
    if model == "skipping":  # dead at step 7: the last loss sends zeros to all before it
        assert figures["norm"][2].tolist()[3:6] == [0, 0, 0]


def test_both_directions_have_their_triangles():
    """Losses reach back in time to the forward states, and on to the others'."""
    y, _ = nn.RNN(I, H, bidirectional=True, generator=tg.Generator(0))(series(dtype="float32"))
    found = viz.heatmap((y**2).mean(), "lag").arrays
    back = np.isnan(found["RNN.l0.h"]["norm"])
    on = np.isnan(found["RNN.l0_reverse.h"]["norm"])
    assert (back == np.triu(np.ones((T, T), bool), 1)).all()
    assert (on == back.T).all()


OPS = {
    "matmul": (lambda g, w: g @ w, (5, 3), (3, 4)),
    "matmul, batched": (lambda g, w: w @ g, (3, 4), (2, 5, 3)),
    "matmul, batched twice": (lambda g, w: g @ w, (2, 5, 3), (2, 3, 4)),
    "matmul, vector": (lambda g, w: g @ w, (3,), (3, 4)),
    "sum_of_products": (lambda g, w: ops.linalg.sum_of_products(g, w, g, 2 * w), (5, 3), (5, 4)),
    "reshape": (lambda g, w: ops.reshape(g, shape=(3, -1)) + w, (2, 6), (3, 4)),
    "permute_dims": (lambda g, w: ops.permute_dims(g, axes=(-1, 0, 1)) * w, (2, 3, 4), (4, 2, 3)),
    "broadcast_to": (lambda g, w: ops.broadcast_to(g, shape=(2, 3, 4)) * w, (3, 1), (2, 3, 4)),
    "sum_to": (lambda g, w: ops.sum_to(g * w, shape=(3, 1)), (2, 3, 4), (4,)),
    "sum": (lambda g, w: ops.sum(g * w, axis=(0, -1), keepdims=True), (2, 3, 4), (3, 1)),
    "index": (lambda g, w: g[1, ..., None, :2] * w, (2, 3, 4), (3, 1, 2)),
    "pointwise": (lambda g, w: -(w - g / w) + ops.where(w > 0, g, 0), (4,), (3, 4)),
    "cumsum, seed by seed": (lambda g, w: ops.cumsum(g, axis=0) * w, (3, 4), (3, 4)),
    "stack, seed by seed": (lambda g, w: ops.stack([g, w, g], axis=1), (3, 4), (3, 4)),
}  # fmt: skip


@pytest.mark.parametrize("case", OPS.values(), ids=OPS)
def test_an_op_takes_all_seeds_as_it_takes_each(case):
    rule, shape, other = case
    rng = np.random.default_rng(0)
    rows, w = rng.standard_normal((5, *shape)), rng.standard_normal(other)
    got = rule(stacked.Stacked(rows, 3), w)
    wanted = np.stack([rule(row, w) for row in rows])
    assert (got.first, got.shape, got.dtype) == (3, wanted.shape[1:], wanted.dtype)
    np.testing.assert_allclose(got.array, wanted, rtol=1e-12, atol=1e-12)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=5
    ),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_seeds_are_added_up_whatever_their_ranges(parts, whole):
    """Rows of a series, as pieces or put together, equal the dense sum."""
    rng = np.random.default_rng(0)
    dense, pieces, keys = np.zeros((9, 3, 2)), [], []
    for first, n, row in parts:
        piece = rng.standard_normal((n, 2))
        dense[first : first + n, row] += piece
        pieces.append(stacked.Stacked(piece, first))
        keys.append((row,) if whole else row)
    y = ops.indexing.put_slices(*pieces, keys=tuple(keys), shape=(3, 2))
    assert y.shape == (3, 2)
    for row in range(3):
        got = y[row]
        if got is None:
            assert not dense[:, row].any()
            continue
        np.testing.assert_allclose(got.array, dense[got.first : got.end, row], rtol=1e-12)
    total = 2 * y  # anything but a row takes it whole
    np.testing.assert_allclose(total.array, 2 * dense[total.first : total.end], rtol=1e-12)


def test_every_node_has_the_value_it_had():
    """Of an LSTM's loss, and of one thousand sums in a chain that keep nothing."""
    w = nn.Parameter(np.ones(3, np.float32), name="w")
    chain = kept = w * 2
    for _ in range(1000):
        chain = chain + 0.1
    y, _ = nn.LSTM(I, H, generator=tg.Generator(0))(series(dtype="float32"))
    for out in (chain, y):
        np.testing.assert_array_equal(values.Values(out.node).of(out.node.seq), out.numpy())
    assert np.array_equal(values.Values(chain.node).of(kept.node.seq), kept.numpy())
    found = values.Values(y.node)
    assert all(found.of(n.seq).shape == n.shape for n in nodes_below(y.node))
    with tg.no_grad():
        w.assign_(np.zeros(3, np.float32))
    assert np.array_equal(found.of(y.node.seq), y.numpy())


# what is shown --------------------------------------------------------------------


def lstm_loss():
    y, _ = nn.LSTM(I, H, generator=tg.Generator(0))(series(dtype="float32"))
    return (y[-1] ** 2).mean()


def gated():
    """Gates that are named: pieces of a chunk before their sigmoid, and one after."""
    (W,) = weights((H, 2 * H))
    h = tg.zeros(N, H, dtype="float64") + 0.5
    for t in range(4):
        with tg.step(t):
            z, n = (h @ W).chunk(2, axis=1)
            z.name = "z"
            gate, new = tg.sigmoid(z), tg.tanh(n)
            new.name = "n"
            h = gate * h + (1 - gate) * new
            h.name = "h"
    return h.sum(), h, gate


def test_gates_are_shown_behind_their_sigmoid():
    loss, _, gate = gated()
    found = viz.heatmap(loss, "gates").arrays
    assert set(found) == {"z", "n"}
    np.testing.assert_array_equal(found["z"]["value"][-1], gate.numpy())
    assert found["z"]["gradient"].any()


@pytest.mark.parametrize(
    ("what", "titles"),
    [
        ("h", ["LSTM.l0.h: values", "LSTM.l0.h: gradient of the loss"]),
        (["LSTM.l0.c"], ["LSTM.l0.c: values", "LSTM.l0.c: gradient of the loss"]),
        ("grad", ["LSTM.l0.c: gradient of the loss", "LSTM.l0.h: gradient of the loss"]),
        ("states", [f"LSTM.l0.{s}: {k}" for s in "ch" for k in ("values", "gradient of the loss")]),
        ("lag", ["LSTM.l0.c", "LSTM.l0.h"]),
    ],
)  # fmt: skip
def test_what_is_shown(what, titles):
    shown = viz.heatmap(lstm_loss(), what)
    assert [p.title for p in shown.panels] == titles
    axes = [ax for ax in shown.figure.axes if ax.get_label() != "<colorbar>"]
    assert [ax.get_title(loc="left") for ax in axes] == titles
    shown.figure.canvas.draw()
    spans = {(round(ax.get_position().x0, 6), round(ax.get_position().x1, 6)) for ax in axes}
    assert len(spans) == 1  # one time axis
    assert {ax.get_xlim() for ax in axes} == {(-0.5, T - 0.5)}
    bars = [ax for ax in shown.figure.axes if ax.get_label() == "<colorbar>"]
    assert all(ax.get_ylabel().startswith("$") for ax in bars)
    assert [ax.get_yscale() for ax in bars] == [
        "linear" if "values" in t else "log" for t in titles
    ]


def test_an_output_of_several_values_has_no_gradients():
    y, _ = nn.LSTM(I, H, generator=tg.Generator(0))(series(dtype="float32"))
    shown = viz.heatmap(y, "h", sequence=1)
    assert set(shown.arrays["LSTM.l0.h"]) == {"step", "value"}
    np.testing.assert_array_equal(shown.panels[0].cells, y.numpy()[:, 1].T)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 2, 3)])
def test_states_of_any_rank_are_units_by_steps(shape):
    h = nn.Parameter(np.full(shape, 0.5), name="h0")
    for t in range(5):
        with tg.step(t):
            h = tg.tanh(h)
            h.name = "h"
    (value, gradient) = viz.heatmap(h.sum()).panels
    assert value.cells.shape == gradient.cells.shape == (shape[-1] if shape else 1, 5)


def test_what_has_no_colour_is_told_apart():
    """No path, exactly 0 and not finite: a colour and a word each, none of them on the scale."""
    cells = np.array([[1.0, 0.0, np.inf], [np.nan, 1e-3, 1.0]])
    panel = panels.Panel("h", "unit", "g", cells, np.arange(3), "log")
    fig = panels.figure([panel])
    words = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert words == ["no path", "exactly 0", "not finite"]
    below, image = fig.axes[0].get_images()
    assert image.get_array().mask.tolist() == [[False, True, True], [True, False, False]]
    assert below.get_array().tolist() == [[0, 1, 2], [0, 0, 0]]
    assert (image.norm.vmin, image.norm.vmax) == (1e-3, 1.0)
    plain = panels.figure([panel._replace(cells=np.ones((2, 3)))])
    assert plain.axes[0].get_legend() is None


def test_the_map_about_zero_is_even():
    """Lightness falls in a straight line from the middle, alike on both sides."""
    rgb = viz.heatmap(lstm_loss(), "h").figure.axes[0].images[0].cmap(np.linspace(0, 1, 256))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    lightness = 116 * np.cbrt(y) - 16  # CIE's, another one than the colours were found with
    falls = np.diff(lightness)
    assert (falls[:127] > 0).all()
    assert (falls[129:] < 0).all()
    np.testing.assert_allclose(lightness, lightness[::-1], atol=5)
    assert np.abs(falls).max() < 2.5 * np.abs(falls[falls != 0]).mean()


# files and bad input --------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_files(form, start, tmp_path):
    files = [viz.heatmap(lstm_loss(), "h").save(tmp_path / f"{k}.{form}") for k in "ab"]
    first, second = (path.read_bytes() for path in files)
    assert first.startswith(start)
    assert first == second
    assert len(list(tmp_path.iterdir())) == 2
    if form == "png":
        width = int.from_bytes(first[16:20], "big")
        assert 1270 <= width <= 1280


def test_a_notebook_shows_the_picture_and_says_what_it_is():
    shown = viz.heatmap(lstm_loss(), "h")
    assert "svg" in shown._repr_mimebundle_()["image/svg+xml"]
    assert "7 steps, sequence 0 of 2" in shown.summary()


def test_without_matplotlib_the_numbers_are_still_there(monkeypatch):
    real = builtins.__import__

    def none(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", none)
    shown = viz.heatmap(lstm_loss())
    assert shown.arrays["LSTM.l0.h"]["value"].shape == (T, N, H)
    with pytest.raises(RenderError, match=r"tinygrad_rnn\[examples\].*\.arrays"):
        shown.save("a.png")
    assert "tinygrad_rnn[examples]" in shown._repr_mimebundle_()["text/plain"]


def test_bad_input(tmp_path):
    loss, freed, empty = lstm_loss(), lstm_loss(), viz.Flow()
    with viz.record() as flow:
        freed.backward()
    (w,) = weights((3, 3))
    for call, words in (
        (lambda: viz.heatmap(3.0), "expected a Tensor, got float"),
        (lambda: viz.heatmap(loss, "q"), r"nothing called 'q' in the steps; named there: LSTM\.l0\.c, LSTM\.l0\.f"),
        (lambda: viz.heatmap((w @ w).sum()), "no state is carried from step to step; named there: none"),
        (lambda: viz.heatmap((w @ w).sum(), "lag"), "no loss of a step"),
        (lambda: viz.heatmap(loss, "h", sequence=2), "from -2 to 1, got 2"),
        (lambda: viz.heatmap(tg.nn.RNN(3, 4)(tg.ones(5, 2, 3))[0], "grad"), "a single value"),
        (lambda: viz.heatmap(freed), r"viz\.record"),
        (lambda: viz.heatmap(freed, "lag"), "freed"),
        (lambda: viz.heatmap(flow, "lag"), r"before loss\.backward"),
        (lambda: viz.heatmap(empty), "holds nothing"),
    ):  # fmt: skip
        with pytest.raises(GraphError, match=words):
            call()
    assert viz.heatmap(flow).arrays["LSTM.l0.h"]["gradient"].any()
    with pytest.raises(RenderError, match=r"\.svg, \.png, \.pdf"):
        viz.heatmap(loss, "h").save(tmp_path / "a.jpg")
    for p in (graph_leaf for graph_leaf in collect(loss).vertices):
        assert p.saved is not None  # nothing was freed by looking


def test_steps_count_as_names_do():
    """S_1 is the state of step 1: in the columns, the heat maps, the table and the options."""
    loss = gallery.textbook()
    assert viz.heatmap(loss, "S").arrays["S"]["step"].tolist() == [1, 2, 3]
    lag = viz.heatmap(loss, "lag").arrays["S"]
    assert lag["step"].tolist() == lag["loss_step"].tolist() == [1, 2, 3]
    flow = viz.gradient_flow(loss, from_step=3)
    assert flow.table().states["S"]["step"].tolist() == [1, 2, 3]
    assert "(the loss of t = 3 alone" in flow.summary()
    picture = viz.unrolled(loss, steps=[1, 3], level="op").picture
    steps = {b.lines[0][:2]: b.step for b in picture.boxes if b.lines and b.lines[0][0] == "S"}
    assert steps == {"S₀": None, "S₁": 1, "S₃": 3}
    headings = [t.text for t in picture.texts if t.text.startswith("t = ")]
    assert headings == ["t = 1", "t = 2", "t = 3"]  # that of the second over a gap


@pytest.mark.parametrize("name", ["$h_t$", "{{script}}", "a" * 300, "<i>h</i>", "a\\b", "$", "_"])
def test_any_name_is_written(name, tmp_path):
    """A name is text: no mathematics, no markup, and not wider than the picture."""
    h, W = tg.zeros(2, 3), nn.Parameter(np.eye(3, dtype=np.float32) / 2, name="W")
    for _ in range(4):
        h = tg.tanh(h @ W + 1)
        h.name = name
    assert viz.heatmap(h.sum()).save(tmp_path / "h.png").stat().st_size > 5_000
