"""RNN, LSTM and GRU, layers and cells, against PyTorch: outputs, states, every gradient."""

import itertools

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn

I, H, N = 3, 5, 4
TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


def close(found, wanted, dtype, what):
    """Relative to the tensor's norm."""
    wanted = wanted.detach().numpy() if isinstance(wanted, torch.Tensor) else wanted
    found = found.numpy() if isinstance(found, tg.Tensor) else found
    assert found.dtype == np.dtype(dtype), what
    assert found.shape == wanted.shape, what
    scale = max(float(np.linalg.norm(wanted)), 1e-6)
    assert np.linalg.norm(found - wanted) <= TOLERANCE[dtype] * scale, what


def pair(kind, dtype, **options):
    """The same layer here and there, one state dict."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(I, H, **options).to(getattr(torch, dtype))
    ours = getattr(nn, kind)(I, H, **options).astype(dtype)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def states_of(kind, layers, dtype, rng, proj_size=0):
    sizes = (proj_size or H, H)
    found = [rng.standard_normal((layers, N, n)).astype(dtype) for n in sizes]
    ours = [tg.tensor(s, requires_grad=True) for s in found]
    theirs = [torch.tensor(s, requires_grad=True) for s in found]
    if kind == "LSTM":
        return ours, theirs, tuple(ours), tuple(theirs)
    return ours[:1], theirs[:1], ours[0], theirs[0]


FORMS = {  # of lengths; "traced" is an argument of a jitted function
    "list": list,
    "tuple": tuple,
    "array": lambda n: np.array(n, np.int32),
    "tensor": lambda n: tg.tensor(n, dtype=np.uint8),
    "traced": lambda n: tg.tensor(n),
    "traced array": lambda n: np.array(n, np.int16),
}


def compare(kind, T, dtype, lengths=None, form="list", **options):
    """Forward and backward through a loss on outputs and final states."""
    ours, theirs = pair(kind, dtype, **options)
    call = tg.jit(ours.forward) if form.startswith("traced") else ours
    rng = np.random.default_rng(T)
    shape = (N, T, I) if options.get("batch_first") else (T, N, I)
    data = rng.standard_normal(shape).astype(dtype)
    for n, length in enumerate(lengths or ()):  # what stands in the padding reaches nothing
        (data if options.get("batch_first") else data.swapaxes(0, 1))[n, length:] = np.nan
    x, z = tg.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    layers = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    h, k, start, begin = states_of(kind, layers, dtype, rng, options.get("proj_size", 0))
    y, last = call(x, start, lengths=lengths and FORMS[form](lengths))
    if lengths is None:
        w, end = theirs(z, begin)
    else:
        utils = torch.nn.utils.rnn
        packed = utils.pack_padded_sequence(
            z, torch.tensor(lengths), options.get("batch_first", False), enforce_sorted=False
        )
        out, end = theirs(packed, begin)
        w, _ = utils.pad_packed_sequence(out, options.get("batch_first", False), total_length=T)
    close(y, w, dtype, "output")
    last, end = (s if isinstance(s, tuple) else (s,) for s in (last, end))
    for a, b in zip(last, end, strict=True):
        close(a, b, dtype, "final state")
    weight = rng.standard_normal(y.shape).astype(dtype)
    (
        (y * weight).sum() + sum(((s * s).sum() for s in last), tg.tensor(np.zeros((), dtype)))
    ).backward()
    ((w * torch.tensor(weight)).sum() + sum((s * s).sum() for s in end)).backward()
    close(x.grad, z.grad, dtype, "input gradient")
    for a, b in zip(h, k, strict=True):
        close(a.grad, b.grad, dtype, "initial state's gradient")
    there = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        close(p.grad, there[name].grad, dtype, name)


KINDS = ("RNN", "LSTM", "GRU")
SHORT = list(itertools.product((1, 2, 3), (False, True), (True, False), (1, 2, 37)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("layers", "both", "bias", "T"), SHORT)
def test_layers(kind, layers, both, bias, T):
    compare(kind, T, "float64", num_layers=layers, bidirectional=both, bias=bias,
            batch_first=T == 2)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_thousand_steps(kind, dtype):
    compare(kind, 1000, dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 3])
def test_float32(kind, layers):
    compare(kind, 37, "float32", num_layers=layers, bidirectional=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("layers", "both"), [(1, False), (1, True), (2, True), (3, False)])
@pytest.mark.parametrize("batch_first", [False, True])
def test_ragged_batches(kind, layers, both, batch_first):
    compare(kind, 7, "float64", lengths=[3, 7, 1, 5], num_layers=layers, bidirectional=both,
            batch_first=batch_first)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_forms_of_lengths(kind, form):
    compare(kind, 6, "float64", lengths=[6, 1, 4, 4], form=form, num_layers=2, bidirectional=True,
            batch_first=True)  # fmt: skip


@pytest.mark.parametrize(("layers", "both", "lengths"), [
    (1, False, None), (3, False, [3, 7, 1, 5]), (2, True, None), (2, True, [7, 2, 2, 6])])  # fmt: skip
@pytest.mark.parametrize("bias", [False, True])
def test_projections(layers, both, lengths, bias):
    compare("LSTM", 7, "float64", lengths=lengths, num_layers=layers, bidirectional=both,
            proj_size=2, bias=bias)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_a_single_sequence(kind, batch_first, given):
    ours, theirs = pair(kind, "float64", num_layers=2, bidirectional=True, batch_first=batch_first)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, I))
    start = [rng.standard_normal((4, H)) for _ in range(2 if kind == "LSTM" else 1)]
    a, b = [tg.tensor(s) for s in start], [torch.tensor(s) for s in start]
    a, b = (tuple(a), tuple(b)) if kind == "LSTM" else (a[0], b[0])
    y, last = ours(tg.tensor(x), a if given else None)
    w, end = theirs(torch.tensor(x), b if given else None)
    close(y, w, "float64", "output")
    for s, r in zip(*(v if kind == "LSTM" else (v,) for v in (last, end)), strict=True):
        close(s, r, "float64", "final state")
    (y * y).sum().backward()
    (w * w).sum().backward()
    there = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        close(p.grad, there[name].grad, "float64", name)


def test_relu_networks():
    compare("RNN", 5, "float64", nonlinearity="relu", num_layers=2)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_cells(kind, batched):
    theirs = getattr(torch.nn, f"{kind}Cell")(I, H).double()
    ours = getattr(nn, f"{kind}Cell")(I, H).astype("float64")
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(0)
    series = rng.standard_normal((6, N, I) if batched else (6, I))
    state = begin = None
    total, wanted = tg.tensor(np.zeros(())), torch.zeros((), dtype=torch.float64)
    for x in series:
        state, begin = ours(tg.tensor(x), state), theirs(torch.tensor(x), begin)
        h = state[0] if kind == "LSTM" else state
        k = begin[0] if kind == "LSTM" else begin
        total, wanted = total + (h * h).sum(), wanted + (k * k).sum()
    total.backward()
    wanted.backward()
    close(total, wanted, "float64", "loss")
    there = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        close(p.grad, there[name].grad, "float64", name)
