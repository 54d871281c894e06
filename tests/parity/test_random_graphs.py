"""Random graphs of 5 to 60 nodes, with fan-out, reuse and broadcasting, against PyTorch."""

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg

ONE = [
    ("tanh", tg.tanh, torch.tanh),
    ("sigmoid", tg.sigmoid, torch.sigmoid),
    ("sin", tg.sin, torch.sin),
    # PyTorch's own softplus drops log1p(e^-x), 2e-9, above x = 20
    ("softplus", tg.softplus, lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    ("gelu", tg.gelu, torch.nn.functional.gelu),
    ("relu", tg.relu, torch.relu),
    ("square", lambda x: tg.square(x) * 0.3, lambda x: torch.square(x) * 0.3),
    ("exp", lambda x: tg.exp(-tg.abs(x)), lambda x: torch.exp(-torch.abs(x))),
    ("log", lambda x: tg.log(x * x + 1), lambda x: torch.log(x * x + 1)),
    ("softmax", tg.softmax, lambda x: torch.softmax(x, -1)),
    ("cumsum", lambda x: tg.cumsum(x, axis=0) / 2, lambda x: torch.cumsum(x, 0) / 2),
    ("flip", lambda x: tg.flip(x, axis=1), lambda x: torch.flip(x, [1])),
    ("mean", lambda x: tg.mean(x, axis=1, keepdims=True), lambda x: x.mean(1, keepdim=True)),
    ("max", lambda x: tg.max(x, axis=0, keepdims=True), lambda x: x.amax(0, keepdim=True)),
    ("norm", lambda x: x / (1 + tg.norm(x)), lambda x: x / (1 + torch.linalg.vector_norm(x))),
    ("row", lambda x: x[1], lambda x: x[1]),
    ("column", lambda x: x[:, ::2], lambda x: x[:, ::2]),
    ("gather", lambda x: x[[0, 2, 2]], lambda x: x[[0, 2, 2]]),
    ("clip", lambda x: tg.clip(x, -0.7, 0.9), lambda x: torch.clip(x, -0.7, 0.9)),
    ("chunk", lambda x: _swap(tg, x.chunk(2, 1)), lambda x: _swap(torch, x.chunk(2, 1))),
]
TWO = [
    ("add", lambda a, b: a + b, lambda a, b: a + b),
    ("sub", lambda a, b: a - b, lambda a, b: a - b),
    ("mul", lambda a, b: a * b, lambda a, b: a * b),
    ("div", lambda a, b: a / (1.5 + b * b), lambda a, b: a / (1.5 + b * b)),
    ("maximum", tg.maximum, torch.maximum),
    ("where", lambda a, b: tg.where(a > b, a, 2 * b), lambda a, b: torch.where(a > b, a, 2 * b)),
    ("matmul", lambda a, b: tg.tanh(a @ b.mT) @ b, lambda a, b: torch.tanh(a @ b.mT) @ b),
    ("linear", lambda a, b: tg.linear(a, b, 0) @ b, lambda a, b: (a @ b.mT) @ b),
    ("logaddexp", lambda a, b: tg.logsumexp(tg.stack([a, b]), axis=0), torch.logaddexp),
]


def _swap(lib, parts):
    join = lib.concat if lib is tg else lib.cat
    return join([parts[1], parts[0]], 1)


def fit(lib, x, shape=(3, 4)):
    """Bring any result back to the shape that all nodes share."""
    if lib is tg:
        return tg.broadcast_to(x, shape=shape) if x.shape != (3, 2) else tg.concat([x, x], axis=1)
    return x.expand(shape) if tuple(x.shape) != (3, 2) else torch.cat([x, x], 1)


def build(lib, column, leaves, plan):
    """Run a plan of (table, op, operands) and add what no later node used."""
    nodes = list(leaves)
    used = set()
    for table, k, *operands in plan:
        args = [nodes[i] for i in operands]
        used.update(operands)
        nodes.append(fit(lib, table[k][column](*(fit(lib, a) for a in args))))
    return sum((n.sum() for i, n in enumerate(nodes) if i not in used), 0.0 * nodes[0].sum())


def check(seed, allowance=False):
    rng = np.random.default_rng(seed)
    arrays = [
        rng.standard_normal(s) for s in ((3, 4), (1, 4), (4,), (3, 1), ())[: rng.integers(2, 6)]
    ]
    plan, count = [], len(arrays)
    for _ in range(rng.integers(5, 61)):
        if rng.uniform() < 0.5:
            plan.append((ONE, int(rng.integers(len(ONE))), int(rng.integers(count))))
        else:
            a, b = rng.integers(max(0, count - 6), count), rng.integers(count)
            plan.append((TWO, int(rng.integers(len(TWO))), int(a), int(b)))
        count += 1
    ours = [tg.tensor(a, requires_grad=True) for a in arrays]
    y = build(tg, 1, ours, plan)
    y.backward()
    found = [np.zeros(p.shape) if p.grad is None else p.grad.numpy() for p in ours]
    z, wanted = in_torch(arrays, plan)
    names = [table[k][0] for table, k, *_ in plan]
    for what, a, b in [("loss", float(y), z), *zip(range(9), found, wanted, strict=False)]:
        scale = max(float(np.linalg.norm(b)), 1e-5)  # gradients that cancel to rounding
        error = float(np.linalg.norm(a - b))
        if error <= 1e-9 * scale:
            continue
        assert allowance, (seed, what, names)
        # a loss beyond 1e9 is made of sums of that size, which lose as many digits
        if error > 1e-9 * scale * max(1.0, abs(z) / 1e9):
            # only where rounding itself is blown up as far
            assert error <= 100 * sensitivity(arrays, plan, what, z, wanted), (seed, what, names)


def in_torch(arrays, plan):
    """Loss and gradients by PyTorch."""
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    z = build(torch, 2, leaves, plan)
    z.backward()
    return z.item(), [np.zeros(q.shape) if q.grad is None else q.grad.numpy() for q in leaves]


def sensitivity(arrays, plan, what, z, wanted):
    """How far PyTorch's own result moves when the inputs move in their last two bits."""
    rng = np.random.default_rng(0)
    moves = []
    for _ in range(5):
        moved = [a * (1 + 4e-16 * rng.choice([-1.0, 0.0, 1.0], a.shape)) for a in arrays]
        loss, grads = in_torch(moved, plan)
        moves.append(
            abs(loss - z) if what == "loss" else np.linalg.norm(grads[what] - wanted[what])
        )
    return max(moves)


@pytest.mark.parametrize("block", range(10))
def test_five_hundred_random_graphs(block):
    for seed in range(50 * block, 50 * block + 50):
        check(seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(40))
def test_twenty_thousand_random_graphs(block):
    for seed in range(1000 + 500 * block, 1000 + 500 * block + 500):
        check(seed, allowance=True)
