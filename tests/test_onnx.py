"""ONNX out: 20 models, run by onnxruntime; in: nodes of every kind, ours against onnxruntime."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import interop, nn
from tinygrad_rnn.interop import from_onnx, to_onnx


class Tagger(nn.Module):
    """Words to a class at every step: two layers, both directions, layer norm."""

    def __init__(self):
        self.table, self.lstm = nn.Embedding(11, 3), nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        self.norm, self.out = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, words):
        y, _ = self.lstm(self.table(words))
        return tg.log_softmax(self.out(self.norm(y)))


class Classifier(nn.Module):
    """Ragged batches: the last states of both directions."""

    def __init__(self, layer=nn.GRU):
        self.table, self.net = nn.Embedding(11, 3), layer(3, 4, bidirectional=True)
        self.out = nn.Linear(8, 2)

    def forward(self, words, lengths):
        _, h = self.net(self.table(words), lengths=lengths)
        h = h[0] if isinstance(h, tuple) else h
        return self.out(tg.concat([h[0], h[1]], axis=1))


class WithState(nn.Module):
    def __init__(self):
        self.lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True)

    def forward(self, x, h0, c0):
        return self.lstm(x, (h0, c0))


class LastStep(nn.Module):
    """What stands between layers: the last step, a mean over time, the least and the greatest."""

    def __init__(self):
        self.net, self.out = nn.RNN(3, 4, nonlinearity="relu"), nn.Linear(16, 2)

    def forward(self, x):
        y, _ = self.net(x)
        parts = [y[-1], y.mean(axis=0), y.max(axis=0), y.min(axis=0) * 2 - 1]
        return self.out(tg.concat(parts, axis=1)) / 3


class TwoInputs(nn.Module):
    def __init__(self):
        self.left, self.right = nn.GRU(3, 4, batch_first=True), nn.LSTM(2, 4, batch_first=True)

    def forward(self, x, z):
        (_, h), (_, (k, _)) = self.left(x), self.right(z)
        return tg.tanh(h[0] * k[0]), tg.silu(tg.stack([h[0], k[0]]))


class Shapes(nn.Module):
    def __init__(self):
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x):  # (T, N, 4)
        y = tg.expand_dims(self.first(x.swapaxes(0, 1)), 1)[:, 0, ::-1]
        y = tg.squeeze(y[:, 1:-1, None], 2)[..., 5::-1]
        return self.last(y).sum(axis=1, keepdims=True).reshape(-1, 2) - 1, tg.softmax(y).mean()


def activations():
    stages = [nn.Tanh(), nn.Sigmoid(), nn.ReLU(), nn.GELU(), nn.SiLU(), nn.LogSigmoid(), nn.ELU(0.7),
              nn.Softsign(), nn.Mish(), nn.Softplus(2.0), nn.SELU(), nn.LeakyReLU(0.2), nn.PReLU(),
              nn.PReLU(4), nn.Softmax(), nn.LogSoftmax(axis=0), nn.Identity(), nn.Dropout(0.5)]  # fmt: skip
    return nn.Sequential(nn.Linear(3, 4), *stages)


def ints(*shape):
    return tg.tensor(np.arange(np.prod(shape)).reshape(shape) % 11)


X = (7, 3, 3)
MODELS = {
    "linear": (nn.Linear(3, 4), []),
    "no bias": (nn.Sequential(nn.Linear(3, 4, bias=False), nn.LayerNorm(4)), []),
    "activations": (activations(), []),
    "embedding": (nn.Sequential(nn.Embedding(11, 3, padding_idx=0), nn.Linear(3, 2), tg.tanh), []),
    "rnn": (nn.RNN(3, 4), []),
    "relu, 3 layers": (nn.RNN(3, 4, num_layers=3, nonlinearity="relu"), []),
    "lstm": (nn.LSTM(3, 4), []),
    "lstm, no bias, both ways": (nn.LSTM(3, 4, bias=False, bidirectional=True), []),
    "lstm, batch first, dropout": (
        nn.LSTM(3, 4, num_layers=2, batch_first=True, dropout=0.5), []),
    "lstm, peepholes": (nn.LSTM(3, 4, peepholes=True, bidirectional=True), []),
    "gru": (nn.GRU(3, 4, num_layers=2), []),
    "gru, both ways": (nn.GRU(3, 4, num_layers=2, bidirectional=True), []),
    "gru, reset before": (nn.GRU(3, 4, reset_after=False, bidirectional=True), []),
    "gru, no bias": (nn.GRU(3, 4, bias=False, reset_after=False), []),
    "tagger": (Tagger(), []),
    "ragged gru": (Classifier(), [ints(5, 4), tg.tensor([5, 1, 3, 2])]),
    "ragged lstm": (Classifier(nn.LSTM), [ints(5, 4), tg.tensor([5, 1, 3, 2])]),
    "first states": (WithState(), [tg.ones(*X), tg.ones(4, 3, 4), tg.ones(4, 3, 4)]),
    "pooled": (LastStep(), []),
    "two inputs": (TwoInputs(), [tg.ones(3, 7, 3), tg.ones(3, 5, 2)]),
    "weight norm": (nn.weight_norm(nn.Linear(3, 4)), []),
    "shapes": (Shapes(), [tg.ones(5, 3, 4)]),
}  # fmt: skip


def flat(y):
    return [y] if isinstance(y, tg.Tensor) else [t for part in y for t in flat(part)]


@pytest.mark.parametrize("name", MODELS)
def test_models_run_elsewhere_to_1e_5(name, tmp_path):
    model, examples = MODELS[name]
    path = tmp_path / "model.onnx"
    model.train()
    to_onnx(model, path, *examples)
    assert model.training
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert [o.version for o in proto.opset_import] == [22]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    grown = {5: 8, 3: 6, 4: 2, 7: 9}  # of the examples' free axes
    inputs = {}
    for value, example in zip(proto.graph.input, examples or [None], strict=True):
        dims = value.type.tensor_type.shape.dim
        if example is None:
            shape = [d.dim_value or (9, 6)[n] for n, d in enumerate(dims)]
        else:
            shape = [d.dim_value or grown[n] for d, n in zip(dims, example.shape, strict=True)]
        kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        if value.name.endswith("0"):
            shape[0] = 4  # layers and directions are no free axis
        if value.name == "lengths":
            inputs[value.name] = np.array([8, 1])
        elif kind == np.int64:
            inputs[value.name] = rng.integers(0, 11, shape)
        else:
            inputs[value.name] = rng.normal(size=shape).astype(kind)
    model.eval()
    expected = [y.numpy() for y in flat(model(*map(tg.tensor, inputs.values())))]
    found = session.run(None, inputs)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    model.train()


def test_under_no_grad_and_twice_the_same_layer(tmp_path):
    class Twice(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return tg.tanh(self.layer(tg.tanh(self.layer(x)))), x

    with tg.no_grad():
        to_onnx(Twice(), tmp_path / "m.onnx", tg.ones(5, 3))
    proto = onnx.load(tmp_path / "m.onnx")
    assert len(proto.graph.initializer) == 2  # weights once
    assert [y.name for y in proto.graph.output] == ["output", "output_1"]


def test_at_least_20_models():
    assert len(MODELS) >= 20


class Unsteady(nn.Module):
    """A forward that a recording does not hold, in several ways."""

    def __init__(self, what):
        self.what, self.net, self.cell = what, nn.LSTM(3, 4), nn.Linear(4, 4)

    def forward(self, x):
        y, _ = self.net(x)
        if self.what == "branch":
            return y if y[0, 0, 0].item() > 9 or len(x) == 7 else -y
        if self.what == "sign":
            return y if x.sum().item() > 0 else -y
        if self.what == "shape":
            return y * len(x)
        if self.what == "value":
            return y[-1] + float(x.numpy().sum())
        if self.what == "loop":
            h = tg.zeros_like(y[0])
            for y_t in y:
                h = tg.tanh(self.cell(h) + y_t)
            return h
        if self.what == "axis":
            return y.reshape(7, 3, 2, 2).sum(axis=3)
        if self.what == "where":
            return tg.where(y > 0, y, 0.0)
        return tg.randn(*y.shape) + y


REFUSED = [
    (lambda: nn.LSTM(3, 4, layer_norm=True), r"the model \(LSTM\) has layer_norm, which cannot"),
    (lambda: nn.Sequential(nn.Linear(3, 3), nn.GRU(3, 4, zoneout=0.1)), r"1 \(GRU\) has zoneout"),
    (lambda: nn.LSTM(3, 4, proj_size=2), r"\(LSTM\) has proj_size"),
    (lambda: nn.ModuleDict({"left": nn.LSTMCell(3, 4)}), "left is a LSTMCell, a loop that ONNX has no"),
    (lambda: nn.LSTM(3, 4).astype("float64"), "weight_ih_l0 is float64; onnxruntime"),
    (lambda: nn.Sequential(nn.Tanh()), "give an example of what the model takes"),
    (lambda: Unsteady("branch"), "output 0 on inputs of other sizes and numbers is not the model's"),
    (lambda: Unsteady("sign"), "is not the model's"),
    (lambda: Unsteady("shape"), "keeps a number made of a shape"),
    (lambda: Unsteady("value"), "is not the model's, up to"),
    (lambda: Unsteady("loop"), "of other sizes"),
    (lambda: Unsteady("axis"), "of other sizes"),
    (lambda: Unsteady("where"), "the op where .* has no form here"),
    (lambda: Unsteady("random"), "of other sizes"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_cannot_be_carried_is_named_and_nothing_is_written(make, message, tmp_path):
    model = make()
    inputs = [tg.ones(7, 3, 3)] if isinstance(model, Unsteady) else []
    with pytest.raises(tg.InterchangeError, match=message):
        to_onnx(model, tmp_path / "model.onnx", *inputs)
    assert not list(tmp_path.iterdir())
    assert not any("forward" in vars(m) for m in model.modules())


def node(kind, D=1, H=4, I=3, P=False, bias=True, **attributes):
    """A graph of one recurrent node with lengths and first states, and its weights at random."""
    rng = np.random.default_rng(H + D)
    G = {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
    weights = {"W": (D, G * H, I), "R": (D, G * H, H), "B": (D, 2 * G * H), "P": (D, 3 * H)}
    weights = {n: rng.normal(size=s).astype("f") for n, s in weights.items()}
    names = ["x", "W", "R", "B" if bias else "", "lengths", "h0"]
    names += ["c0", "P" if P else ""] if kind == "LSTM" else []
    names = names[:-1] if not names[-1] else names
    info, f = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    inputs = [info("x", f, ["T", "N", I]), info("lengths", onnx.TensorProto.INT32, ["N"])]
    inputs += [info(n, f, [D, "N", H]) for n in ("h0", "c0")[: 1 + (kind == "LSTM")]]
    outputs = ["y", "h", "c"][: 2 + (kind == "LSTM")]
    made = onnx.helper.make_node(kind, names, outputs, name="cell", hidden_size=H, **attributes)
    graph = onnx.helper.make_graph(
        [made], "g", inputs, [info(n, f, None) for n in outputs],
        [onnx.numpy_helper.from_array(a, n) for n, a in weights.items() if n in names],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 14)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


NODES = {
    "rnn": ("RNN", {}),
    "relu": ("RNN", {"D": 2, "activations": ["Relu", "Relu"], "direction": "bidirectional"}),
    "lstm": ("LSTM", {}),
    "lstm, no bias": ("LSTM", {"bias": False}),
    "lstm, both ways": ("LSTM", {"D": 2, "direction": "bidirectional"}),
    "lstm, named": ("LSTM", {"activations": ["Sigmoid", "Tanh", "tanh"]}),
    "lstm, peepholes": ("LSTM", {"P": True}),
    "gru": ("GRU", {}),
    "gru, after": ("GRU", {"linear_before_reset": 1}),
    "gru, both ways": ("GRU", {"D": 2, "direction": "bidirectional", "linear_before_reset": 1}),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes_become_layers(name, tmp_path):
    kind, options = NODES[name]
    proto = node(kind, **options)
    onnx.save(proto, tmp_path / "node.onnx")
    [(key, layer)] = from_onnx(tmp_path / "node.onnx").items()
    assert key == "cell"
    rng, D = np.random.default_rng(0), options.get("D", 1)
    x, lengths = rng.normal(size=(6, 3, 3)).astype("f"), np.array([6, 2, 4], np.int32)
    starts = {n: rng.normal(size=(D, 3, 4)).astype("f") for n in ("h0", "c0")}
    if kind != "LSTM":
        del starts["c0"]
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    y, *last = session.run(None, {"x": x, "lengths": lengths, **starts})
    state = tuple(map(tg.tensor, starts.values()))
    found, end = layer(tg.tensor(x), state if kind == "LSTM" else state[0], lengths)
    expected = y.transpose(0, 2, 1, 3).reshape(6, 3, -1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(end if kind == "LSTM" else [end], last, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-5, atol=1e-5)


def constant_state(proto):
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((1, 2, 4), "f"), "h0"))
    return proto


def free_weight(proto):
    del proto.graph.initializer[0]
    return proto


UNKNOWN = [
    (lambda: node("LSTM", clip=3.0), r"the LSTM 'cell' has clip=3.0, which cannot be carried"),
    (lambda: node("LSTM", input_forget=1), "input_forget=1"),
    (lambda: node("GRU", activations=["HardSigmoid", "Tanh"]), r"activations=\['HardSigmoid', 'Tanh'\]"),
    (lambda: node("RNN", activations=["Affine"], activation_alpha=[1.0]), "activation_alpha"),
    (lambda: node("RNN", direction="reverse"), "direction='reverse'"),
    (lambda: constant_state(node("RNN")), "initial_h in the file"),
    (lambda: free_weight(node("RNN")), "no constant W, but 'W'"),
    (lambda: "nowhere.onnx", "nowhere.onnx cannot be read"),
    (lambda: onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [])), "no RNN, LSTM or GRU"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), UNKNOWN)
def test_nodes_that_cannot_be_carried_are_named(make, message):
    with pytest.raises(tg.InterchangeError, match=message):
        from_onnx(make())


def test_there_and_back_again(tmp_path):
    model = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    to_onnx(model, tmp_path / "m.onnx")
    first, second = from_onnx(tmp_path / "m.onnx").values()
    x = tg.randn(5, 2, 3)
    expected, found = model(x)[0], second(first(x)[0])[0]
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_its_extra(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        tg.InterchangeError, match=rf"{package}.*pip install 'tinygrad_rnn\[onnx\]'"
    ):
        to_onnx(nn.Linear(2, 2), tmp_path / "m.onnx")


def test_layout_1_is_batch_first():
    x = tg.randn(5, 2, 3)
    [plain], [rows] = (from_onnx(node("GRU", layout=k)).values() for k in (0, 1))
    np.testing.assert_array_equal(
        rows(x.swapaxes(0, 1))[0].swapaxes(0, 1).numpy(), plain(x)[0].numpy()
    )


def test_what_is_no_model_is_refused(tmp_path):
    for call, message in (
        (lambda: to_onnx(abs, tmp_path / "m"), "to_onnx: expected a model .* got builtin_function"),
        (lambda: interop.to_pytorch(3, tmp_path / "m"), "to_pytorch: expected a model .* got int"),
        (lambda: interop.from_keras(None), "from_keras: expected a layer of Keras"),
        (lambda: from_onnx(None), "from_onnx: expected a path or an onnx.ModelProto, got None"),
    ):
        with pytest.raises(tg.InterchangeError, match=message):
            call()
