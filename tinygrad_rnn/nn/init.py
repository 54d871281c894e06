"""Initialisers: overwrite a parameter in place, from a Generator of your own or the default.

For a weight (n, k) fan_in is k and fan_out n.
"""

import math
from typing import Any, TypeVar

import numpy as np

from ..errors import ShapeError
from ..op import Array
from ..ops.random import Generator, default_generator
from ..tensors import Tensor

T = TypeVar("T", bound=Tensor)
GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def _draw(p: Tensor, kind: str, generator: Generator | None, shape: Any = None) -> Array:
    source = generator or default_generator
    draw = source.uniform if kind == "uniform" else source.normal
    return draw(p.shape if shape is None else shape, np.float64)


def uniform_(p: T, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> T:
    """Fill with uniform numbers from [a, b).

    >>> W = tg.nn.init.uniform_(tg.empty(50, 50), -1.0, 1.0)
    >>> bool(-1 <= W.min() and W.max() < 1)
    True
    """
    p.assign_(a + (b - a) * _draw(p, "uniform", generator))
    return p


def normal_(p: T, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> T:
    """Fill with normal numbers.

    >>> W = tg.nn.init.normal_(tg.empty(50, 50), std=0.1)
    >>> bool(0.09 < W.std() < 0.11)
    True
    """
    p.assign_(mean + std * _draw(p, "normal", generator))
    return p


def constant_(p: T, value: float) -> T:
    """Fill with one value.

    >>> b = tg.nn.Parameter(tg.zeros(2))
    >>> _ = tg.nn.init.constant_(b, 1.0)
    >>> b.tolist()
    [1.0, 1.0]
    """
    p.assign_(np.full(p.shape, value))
    return p


def zeros_(p: T) -> T:
    """Fill with zeros.

    >>> tg.nn.init.zeros_(tg.empty(2))
    tensor([0., 0.], float32)
    """
    return constant_(p, 0.0)


def _fans(name: str, p: Tensor) -> tuple[int, int]:
    if p.ndim != 2:
        raise ShapeError(f"{name}: needs a matrix (fan_out, fan_in), got shape {p.shape}")
    return p.shape[1], p.shape[0]


def xavier_uniform_(p: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    """Uniform within gain sqrt(6 / (fan_in + fan_out)): Glorot and Bengio, AISTATS 2010.

    >>> W = tg.nn.init.xavier_uniform_(tg.empty(20, 4))
    >>> bool(abs(W).max() <= 0.5)
    True
    """
    fan_in, fan_out = _fans("xavier_uniform_", p)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(p, -bound, bound, generator)


def xavier_normal_(p: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    """Normal with std gain sqrt(2 / (fan_in + fan_out)): Glorot and Bengio, AISTATS 2010.

    >>> W = tg.nn.init.xavier_normal_(tg.empty(40, 40))
    >>> bool(0.14 < W.std() < 0.18)
    True
    """
    fan_in, fan_out = _fans("xavier_normal_", p)
    return normal_(p, 0.0, gain * math.sqrt(2 / (fan_in + fan_out)), generator)


def kaiming_uniform_(p: T, gain: float = math.sqrt(2), generator: Generator | None = None) -> T:
    """Uniform within gain sqrt(3 / fan_in): He et al., ICCV 2015; gain sqrt 2 for relu.

    >>> W = tg.nn.init.kaiming_uniform_(tg.empty(20, 6))
    >>> bool(abs(W).max() <= 1.0)
    True
    """
    fan_in, _ = _fans("kaiming_uniform_", p)
    bound = gain * math.sqrt(3 / fan_in)
    return uniform_(p, -bound, bound, generator)


def kaiming_normal_(p: T, gain: float = math.sqrt(2), generator: Generator | None = None) -> T:
    """Normal with std gain / sqrt(fan_in): He et al., ICCV 2015; gain sqrt 2 for relu.

    >>> W = tg.nn.init.kaiming_normal_(tg.empty(40, 50))
    >>> bool(0.18 < W.std() < 0.22)
    True
    """
    fan_in, _ = _fans("kaiming_normal_", p)
    return normal_(p, 0.0, gain / math.sqrt(fan_in), generator)


def _square_blocks(name: str, p: Tensor) -> tuple[int, int]:
    """A gate-stacked weight (G H, H) as G blocks of H columns."""
    if p.ndim != 2 or p.shape[1] == 0 or p.shape[0] % p.shape[1]:
        raise ShapeError(f"{name}: needs square blocks (H, H) or (G H, H), got {p.shape}")
    return p.shape[0] // p.shape[1], p.shape[1]


def orthogonal_(p: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    """Fill with an orthogonal matrix times gain: Saxe et al., ICLR 2014.

    Rows or columns, whichever are fewer, are orthonormal. Of a gate-stacked
    recurrent weight use `recurrent_orthogonal_`, which fills gate by gate.

    >>> W = tg.nn.Parameter(tg.zeros(3, 3))
    >>> _ = tg.nn.init.orthogonal_(W)
    >>> bool(abs(W.numpy() @ W.numpy().T - tg.eye(3).numpy()).max() < 1e-6)
    True
    """
    fan_in, fan_out = _fans("orthogonal_", p)
    p.assign_(gain * _orthogonal(p, fan_out, fan_in, generator))
    return p


def _orthogonal(p: Tensor, n: int, k: int, generator: Generator | None) -> Array:
    a = _draw(p, "normal", generator, (max(n, k), min(n, k)))
    q, r = np.linalg.qr(a)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # uniform over the orthogonal group
    return q if n >= k else q.T


def recurrent_orthogonal_(p: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    """Fill each (H, H) gate block of a recurrent weight (G H, H) with an orthogonal matrix.

    >>> W = tg.nn.init.recurrent_orthogonal_(tg.empty(8, 4))[4:]
    >>> bool(abs(W @ W.T - tg.eye(4)).max() < 1e-6)
    True
    """
    gates, H = _square_blocks("recurrent_orthogonal_", p)
    p.assign_(gain * np.concatenate([_orthogonal(p, H, H, generator) for _ in range(gates)]))
    return p


def identity_(p: T, gain: float = 1.0) -> T:
    """Fill each square block with gain times the identity: Le, Jaitly and Hinton 2015 (IRNN).

    >>> W = tg.nn.Parameter(tg.zeros(2, 2))
    >>> _ = tg.nn.init.identity_(W)
    >>> W.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    gates, H = _square_blocks("identity_", p)
    p.assign_(gain * np.tile(np.eye(H), (gates, 1)))
    return p


def ones_(p: T) -> T:
    """Fill with ones.

    >>> tg.nn.init.ones_(tg.empty(2))
    tensor([1., 1.], float32)
    """
    return constant_(p, 1.0)


def eye_(p: T) -> T:
    """Fill a matrix, square or not, with ones on the diagonal and zeros elsewhere.

    >>> eye_(tg.empty(2, 3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    fan_in, fan_out = _fans("eye_", p)
    p.assign_(np.eye(fan_out, fan_in))
    return p


def trunc_normal_(
    p: T,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> T:
    """Fill with normal numbers that lie from a to b, by the inverse of their distribution.

    >>> 0 <= trunc_normal_(tg.empty(50), std=0.5, a=0.0, b=1.0).min().item() <= 1
    True
    """
    if not (std > 0 and a < b):
        raise ValueError(f"trunc_normal_: needs std > 0 and a < b, got std={std}, a={a}, b={b}")
    from scipy.special import log_ndtr, ndtri_exp  # 0.1 s to import: only who needs it pays

    low, high = (a - mean) / std, (b - mean) / std
    side = -1.0 if low > 0 else 1.0  # the lower tail has digits where the upper one is 1
    low, high = (-high, -low) if side < 0 else (low, high)
    least, most = log_ndtr(low), log_ndtr(high)
    u = _draw(p, "uniform", generator)
    with np.errstate(divide="ignore"):  # the logarithm of a u that is 0
        z = ndtri_exp(most + np.log(u + (1 - u) * np.exp(least - most)))
    p.assign_(np.clip(mean + std * side * z, a, b))
    return p


def sparse_(p: T, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> T:
    """Normal, with a share `sparsity` of each column 0: Martens, ICML 2010.

    >>> (sparse_(tg.empty(4, 2), 0.5) == 0).sum(axis=0).tolist()
    [2, 2]
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity must be from 0 to 1, got {sparsity}")
    _, rows = _fans("sparse_", p)
    values, order = _draw(p, "normal", generator), _draw(p, "uniform", generator)
    rank = np.argsort(np.argsort(order, axis=0), axis=0)
    p.assign_(np.where(rank < math.ceil(sparsity * rows), 0.0, std * values))
    return p


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The gain that keeps the variance through a nonlinearity, PyTorch's values.

    `param` is leaky_relu's slope, 0.01 if not given.

    >>> calculate_gain("relu") ** 2
    2.0000000000000004
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        known = ", ".join(sorted([*GAINS, "leaky_relu"]))
        raise ValueError(f"calculate_gain: no gain for {nonlinearity!r}; there are {known}")
    return GAINS[nonlinearity]
