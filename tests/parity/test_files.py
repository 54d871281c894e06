"""Files of states go to PyTorch and come from it, also where NumPy lacks the dtype."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.interop import from_pytorch, to_pytorch

DTYPES = "bfloat16 float16 float32 float64 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool"


@pytest.mark.parametrize("name", DTYPES.split())
def test_a_file_of_pytorch(name, tmp_path):
    dtype, path = getattr(torch, name), str(tmp_path / "theirs")
    values = torch.arange(12).reshape(3, 4) - (
        0 if name in ("bool", "uint8", "uint16", "uint32", "uint64") else 5
    )
    theirs = {
        "w": (values * (1.1 if dtype.is_floating_point else 1)).to(dtype),
        "scalar": torch.tensor(1, dtype=dtype),
        "empty": torch.zeros(0, 3, dtype=dtype),
    }
    if dtype.is_floating_point:
        theirs["special"] = torch.tensor([float("nan"), float("inf"), -0.0, 1e-5], dtype=dtype)
    save_file(theirs, path)
    found = tg.load(path)
    assert set(found) == set(theirs)
    for key, a in found.items():
        wanted = (theirs[key].float() if name == "bfloat16" else theirs[key]).numpy()
        assert (a.dtype, a.shape) == (wanted.dtype, wanted.shape)
        assert a.tobytes() == wanted.tobytes()


def test_a_dtype_that_numpy_lacks(tmp_path):
    save_file({"w": torch.ones(2).to(torch.float8_e4m3fn)}, str(tmp_path / "w"))
    with pytest.raises(tg.CheckpointError, match="w holds F8_E4M3 values"):
        tg.load(tmp_path / "w")


@pytest.mark.parametrize("half", [False, True])
def test_a_model_goes_over_both_ways(half, tmp_path):
    theirs, ours, path = torch.nn.LSTM(3, 4, 2), nn.LSTM(3, 4, 2), str(tmp_path / "m.safetensors")
    state = {k: v.bfloat16() if half else v for k, v in theirs.state_dict().items()}
    save_file(state, path)
    ours.load_state_dict(tg.load(path))
    for name, value in state.items():
        np.testing.assert_array_equal(ours.state_dict()[name], value.float().numpy())
    tg.save(path, ours.state_dict())
    assert load_file(path).keys() == state.keys()
    theirs.load_state_dict(load_file(path))
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name], value.numpy())
    tg.save(path, state)  # PyTorch's tensors as they are
    for name, value in tg.load(path).items():
        np.testing.assert_array_equal(value, state[name].float().numpy())


def test_a_model_goes_to_pytorch_and_computes_the_same(tmp_path):
    ours = nn.ModuleDict({"net": nn.GRU(3, 4, 2, bidirectional=True), "out": nn.Linear(8, 2)})
    theirs = torch.nn.ModuleDict(
        {"net": torch.nn.GRU(3, 4, 2, bidirectional=True), "out": torch.nn.Linear(8, 2)}
    )
    x, path = tg.randn(5, 2, 3), tmp_path / "m.safetensors"
    to_pytorch(ours, path)
    theirs.load_state_dict(load_file(path))
    expected = theirs["out"](theirs["net"](torch.tensor(x.numpy()))[0]).detach().numpy()
    np.testing.assert_allclose(ours["out"](ours["net"](x)[0]).numpy(), expected, atol=1e-6)
    again = nn.ModuleDict({"net": nn.GRU(3, 4, 2, bidirectional=True), "out": nn.Linear(8, 2)})
    from_pytorch(again, path)
    np.testing.assert_allclose(again["out"](again["net"](x)[0]).numpy(), expected, atol=1e-6)


UNLIKE = [
    (nn.GRU(3, 4, reset_after=False), r"\(GRU\) has reset_after=False, which cannot be carried"),
    (nn.LSTM(3, 4, peepholes=True), "has peepholes"),
    (nn.ModuleDict({"net": nn.RNN(3, 4, layer_norm=True)}), r"net \(RNN\) has layer_norm"),
    (nn.LSTM(3, 4, zoneout=0.1), "has zoneout"),
    (nn.ModuleList([nn.GRUCell(3, 4, reset_after=False)]), r"0 \(GRUCell\) has reset_after=False"),
]


@pytest.mark.parametrize(("model", "message"), UNLIKE)
def test_what_pytorch_computes_otherwise_is_refused(model, message, tmp_path):
    with pytest.raises(tg.InterchangeError, match=message):
        to_pytorch(model, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())
    with pytest.raises(tg.InterchangeError, match=message):
        from_pytorch(model, tmp_path / "m.safetensors")
