"""Activations and layers without recurrence, side by side with PyTorch, at corners too."""

from typing import Any

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.testing import check_jit, gradcheck, gradgradcheck

T = torch.nn
PAIRS: dict[str, tuple[Any, Any]] = {
    **{n: (getattr(nn, n)(), getattr(T, n)()) for n in (
        "Identity", "Tanh", "Sigmoid", "ReLU", "GELU", "SiLU", "LogSigmoid", "Softsign", "Mish",
        "Softplus", "ELU", "SELU", "LeakyReLU")},
    "Softplus 2.5": (nn.Softplus(2.5), T.Softplus(2.5)),
    "ELU 0.4": (nn.ELU(0.4), T.ELU(0.4)),
    "LeakyReLU 0.3": (nn.LeakyReLU(0.3), T.LeakyReLU(0.3)),
    "PReLU": (nn.PReLU(), T.PReLU()),
    "PReLU 4": (nn.PReLU(4, 0.1), T.PReLU(4, 0.1)),
    "Softmax": (nn.Softmax(), T.Softmax(-1)),
    "Softmax 0": (nn.Softmax(0), T.Softmax(0)),
    "LogSoftmax 1": (nn.LogSoftmax(1), T.LogSoftmax(1)),
    "Flatten": (nn.Flatten(), T.Flatten()),
    "Flatten 0 1": (nn.Flatten(0, 1), T.Flatten(0, 1)),
}  # fmt: skip
# SiLU and Mish at -inf: -inf times 0 is NaN there and here; Softsign is inf / inf
ROWS = [0.0, -0.0, 1e-30, 0.5, -0.5, 3.0, -3.0, 30.0, -30.0, 800.0, -800.0, np.inf, -np.inf, np.nan]


def same(found: Any, wanted: Any, what: str) -> None:
    found, wanted = found.detach().numpy(), wanted.detach().numpy()
    atol = {"float64": 1e-13, "float32": 1e-7}[str(found.dtype)]
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=atol, err_msg=what)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # at infinity
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PAIRS)
def test_activations(name: str, dtype: str) -> None:
    ours, theirs = PAIRS[name]
    # PyTorch's own GELU in float32 is 5e-7 off at -3, and 0 at -inf where in float64 it is NaN
    oracle = "float64" if name == "GELU" else dtype
    ours.astype(dtype).zero_grad()
    theirs.to(getattr(torch, oracle)).zero_grad()
    x = np.random.default_rng(0).standard_normal((2, 4, 3)) * 2
    if "max" not in name:
        x = np.resize(ROWS, (5, 4, 3))
    X = tg.tensor(x.astype(dtype), requires_grad=True)
    Z = torch.tensor(x.astype(dtype).astype(oracle), requires_grad=True)
    y, z = ours(X), theirs(Z)
    assert y.dtype == dtype
    same(y, z, "value")
    weight = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
    y.backward(weight)
    z.backward(torch.tensor(weight.astype(oracle)))
    if name.startswith(("ELU", "SELU")):  # PyTorch's gradient of NaN is finite: ours is NaN
        assert np.isnan(X.grad.numpy()[np.isnan(x)]).all()
        X.grad = tg.where(tg.isnan(X), Z.grad.numpy(), X.grad)
    same(X.grad, Z.grad, "gradient")
    for (_, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        same(p.grad, q.grad, "weight's gradient")


@pytest.mark.parametrize("name", PAIRS)
def test_activations_compiled_and_twice(name: str) -> None:
    ours = PAIRS[name][0].astype("float64")
    x = tg.tensor(np.random.default_rng(0).uniform(0.2, 2, (2, 4, 3)), requires_grad=True)
    for f in (lambda x: ours(x), lambda x: ours(-x)):
        assert check_jit(tg.jit(f), x, parameters=ours.parameters())
        if name not in ("Identity", "Flatten", "Flatten 0 1"):
            assert gradgradcheck(f, x, fast=True)


@pytest.mark.parametrize("shape", [(5,), (), (2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_bilinear(shape: tuple[int, ...], bias: bool) -> None:
    theirs = T.Bilinear(3, 4, 2, bias=bias).double()
    ours = nn.Bilinear(3, 4, 2, bias=bias).astype("float64")
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((*shape, 3)), rng.standard_normal((*shape, 4))
    A, B = (tg.tensor(v, requires_grad=True) for v in (a, b))
    C, D = (torch.tensor(v, requires_grad=True) for v in (a, b))
    y, z = ours(A, B), theirs(C, D)
    same(y, z, "value")
    (y * y).sum().backward()
    (z * z).sum().backward()
    grads = [A.grad, B.grad, *[p.grad for p in ours.parameters()]]
    for g, w in zip(grads, [C.grad, D.grad, *[p.grad for p in theirs.parameters()]], strict=True):
        same(g, w, "gradient")
    assert check_jit(tg.jit(ours), A, B, parameters=ours.parameters())
    assert gradcheck(ours, [A, B])
    for x1, x2 in ((A, A), (B, B), (A[None], B)):
        with pytest.raises(tg.ShapeError, match=r"Bilinear: must be \(..., 3\) and \(..., 4\)"):
            ours(x1, x2)


@pytest.mark.parametrize("padding", [0, 2, -1])
@pytest.mark.parametrize("jit", [False, True])
def test_padding_of_embeddings(padding: int, jit: bool) -> None:
    theirs = T.Embedding(5, 3, padding_idx=padding).double()
    ours = nn.Embedding(5, 3, padding_idx=padding).astype("float64")
    assert not ours.weight.numpy()[padding].any()
    with torch.no_grad():
        theirs.weight[padding] = 7.0  # what stands there is looked up all the same
    ours.load_state_dict(theirs.state_dict())
    words = np.array([[0, 2, 4, 2], [1, 4, 0, 3]])
    call = tg.jit(lambda i: (ours(i) ** 2).sum()) if jit else (lambda i: (ours(i) ** 2).sum())
    y, z = call(tg.tensor(words)), (theirs(torch.tensor(words)) ** 2).sum()
    same(y, z, "value")
    y.backward()
    z.backward()
    same(ours.weight.grad, theirs.weight.grad, "gradient")
    assert not ours.weight.grad.numpy()[padding].any()
    for bad in (5, -6):
        with pytest.raises(tg.ShapeError, match=f"no row {bad} for padding_idx"):
            nn.Embedding(5, 3, padding_idx=bad)


def test_one_mask_along_an_axis() -> None:
    drop = nn.Dropout(0.5, axis=0)
    y = drop(tg.ones(6, 3, 4)).numpy()
    assert (y == y[0]).all()
    assert set(np.unique(y)) == {0, 2}
    with pytest.raises(tg.ShapeError, match="dropout: axis 3"):
        nn.Dropout(0.5, axis=3)(tg.ones(2, 3))
    with pytest.raises(tg.ShapeError, match="PReLU: the second axis must be 4"):
        nn.PReLU(4)(tg.ones(2, 3))
    with pytest.raises(tg.ShapeError, match="Flatten: no axes from 1 to 0"):
        nn.Flatten(1, 0)(tg.ones(2, 3))
