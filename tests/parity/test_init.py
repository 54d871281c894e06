"""Initialisers against PyTorch: gains to the bit, distributions by their moments and bounds."""

import numpy as np
import pytest
import scipy.stats
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import nn

init = nn.init


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"])
def test_gains(name: str) -> None:
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    if name == "leaky_relu":
        assert init.calculate_gain(name, 0.3) == torch.nn.init.calculate_gain(name, 0.3)


@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
@pytest.mark.parametrize(("mean", "std", "a", "b"), [
    (0.0, 1.0, -2.0, 2.0), (1.0, 0.5, 0.9, 4.0), (0.0, 1.0, 3.0, 8.0), (-1.0, 2.0, -9.0, -8.0), (0.0, 1.0, 9.0, 10.0),
    (0.0, 1.0, -41.0, -40.0), (3.0, 0.1, 7.0, np.inf)])  # fmt: skip
def test_truncated_normal_numbers(mean: float, std: float, a: float, b: float) -> None:
    p = init.trunc_normal_(tg.empty(200, 200, dtype="float64"), mean, std, a, b).numpy().ravel()
    known = scipy.stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)
    assert p.min() >= a
    assert p.max() <= b
    assert scipy.stats.kstest(p, known.cdf).pvalue > 1e-3
    if max(abs(a - mean), abs(b - mean)) / std < 5:  # else PyTorch gives up on the distribution
        torch.manual_seed(0)
        theirs = torch.nn.init.trunc_normal_(torch.empty(200, 200), mean, std, a, b).numpy()
        assert abs(p.mean() - theirs.mean()) < 5 * theirs.std() / 200


@pytest.mark.parametrize("sparsity", [0.0, 0.33, 1.0])
def test_sparse(sparsity: float) -> None:
    p = init.sparse_(tg.empty(10, 400), sparsity, 0.5).numpy()
    theirs = torch.nn.init.sparse_(torch.empty(10, 400), sparsity, 0.5).numpy()
    assert set((p == 0).sum(axis=0)) == set((theirs == 0).sum(axis=0))
    if sparsity < 1:
        assert abs(p[p != 0].std() - 0.5) < 0.03
        assert len({tuple(column) for column in (p == 0).T}) > (1 if sparsity else 0)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
def test_ones_and_eyes(shape: tuple[int, int]) -> None:
    for name in ("eye_", "ones_"):
        found = getattr(init, name)(tg.empty(*shape)).numpy()
        wanted = getattr(torch.nn.init, name)(torch.empty(*shape)).numpy()
        np.testing.assert_array_equal(found, wanted)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="no gain for 'gelu'; there are leaky_relu, linear"):
        init.calculate_gain("gelu")
    with pytest.raises(ValueError, match="needs std > 0 and a < b"):
        init.trunc_normal_(tg.empty(2), a=2.0, b=2.0)
    with pytest.raises(ValueError, match="sparsity must be from 0 to 1"):
        init.sparse_(tg.empty(2, 2), 1.5)
    for name in ("eye_", "sparse_"):
        with pytest.raises(tg.ShapeError, match=f"{name}: needs a matrix"):
            getattr(init, name)(tg.empty(2), *([0.5] if name == "sparse_" else []))
