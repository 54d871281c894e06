"""Optimisers against PyTorch's: grids of options, 50 steps, gradients that come and go."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import optim

SHAPES = [(3, 2), (), (5,), (2, 2)]
# in which steps a parameter has a gradient: always, from the tenth on, now and then, but twice
USED = [lambda t: True, lambda t: t >= 10, lambda t: t % 3 != 1, lambda t: t in (20, 49)]
RELATIVE = {"float32": 1e-6, "float64": 1e-12}
YES_NO = (False, True)


def grid(**choices):
    return [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]


SHARED = grid(weight_decay=[0.0, 0.1], maximize=YES_NO)
DECOUPLED = grid(weight_decay=[0.1], decoupled_weight_decay=[True], maximize=YES_NO)
TABLE = {
    "SGD": grid(momentum=[0.0, 0.9], dampening=[0.0, 0.3], lr=[0.05])
    + grid(momentum=[0.8], nesterov=[True], lr=[0.01]),
    "RMSprop": grid(alpha=[0.99, 0.8], centered=YES_NO, momentum=[0.0, 0.5]) + grid(eps=[1e-3]),
    "Adagrad": grid(lr=[0.05], lr_decay=[0.0, 0.1], initial_accumulator_value=[0.0, 0.5], eps=[1e-10, 1e-3]),
    "Adadelta": grid(lr=[1.0, 0.1], rho=[0.9, 0.5]) + grid(eps=[1e-3]),
    "Adam": grid(betas=[(0.9, 0.999), (0.5, 0.8), (0.0, 0.9)], amsgrad=YES_NO, lr=[0.01]) + grid(eps=[1e-3], amsgrad=YES_NO),
    "AdamW": grid(amsgrad=YES_NO, lr=[0.01]),
    "NAdam": grid(betas=[(0.9, 0.999), (0.5, 0.8)], momentum_decay=[4e-3, 0.1]),
    "RAdam": grid(betas=[(0.9, 0.999), (0.5, 0.8)], lr=[0.01]),
    "Adamax": grid(betas=[(0.9, 0.999), (0.5, 0.8)]) + grid(eps=[1e-3]),
}  # fmt: skip
ROWS = [(n, {**a, **b}) for n, options in TABLE.items() for a in options for b in SHARED]
ROWS += [(n, {**a, **b}) for n in ("Adam", "NAdam", "RAdam") for a in TABLE[n] for b in DECOUPLED]


def often(row):
    """Weight decay and maximize both or neither; one of them alone with --long."""
    both = bool(row[1]["weight_decay"]) == row[1]["maximize"]
    return pytest.param(*row, marks=[] if both else pytest.mark.long)


class Pair:
    """The same parameters here and there, and gradients that depend on them."""

    def __init__(self, dtype="float64"):
        rng = np.random.default_rng(0)
        self.start = start = [np.asarray(rng.standard_normal(s), dtype) for s in SHAPES]
        self.noise = [rng.standard_normal((60, *s)) for s in SHAPES]
        self.ours = [tg.tensor(a, requires_grad=True) for a in start]
        self.theirs = [torch.tensor(a, requires_grad=True) for a in start]

    def gradients(self, t):
        for k, (p, q) in enumerate(zip(self.ours, self.theirs, strict=True)):
            p.grad = q.grad = None
            if USED[k](t):
                g = (np.sin(q.detach().numpy()) + 0.3 * self.noise[k][t]).astype(p.dtype)
                p.grad, q.grad = tg.tensor(g), torch.tensor(g)

    def compare(self, relative):
        """Relative to the number, or to the largest that the parameter began with."""
        for p, q, start in zip(self.ours, self.theirs, self.start, strict=True):
            np.testing.assert_allclose(
                p.numpy(), q.detach().numpy(), rtol=relative, atol=relative * np.abs(start).max()
            )


def make(name, pair, **options):
    return (
        getattr(optim, name)(pair.ours, **options),
        getattr(torch.optim, name)(pair.theirs, **options, foreach=False),
    )


@pytest.fixture(autouse=True)
def double():
    """PyTorch's NAdam keeps its product of decays in the default dtype: 1e-10 off in float32."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("dtype", RELATIVE)
@pytest.mark.parametrize(("name", "options"), [often(row) for row in ROWS])
def test_fifty_steps(name, options, dtype):
    pair = Pair(dtype)
    a, b = make(name, pair, **options)
    for t in range(50):
        pair.gradients(t)
        a.step()
        b.step()
    pair.compare(RELATIVE[dtype])


GROUPS = [
    ("SGD", {"lr": 0.05, "momentum": 0.9}, {"lr": 0.01, "momentum": 0.0, "maximize": True}),
    ("Adam", {"lr": 0.05}, {"lr": 0.01, "amsgrad": True, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.5}, {"centered": True, "alpha": 0.7}),
]


@pytest.mark.parametrize(("name", "first", "second"), GROUPS)
def test_groups_options_set_on_the_way_and_groups_that_come_later(name, first, second):
    pair = Pair()
    made = []
    for where, leaves in ((optim, pair.ours), (torch.optim, pair.theirs)):
        groups = [{"params": leaves[:1]}, {"params": leaves[1], **second}]
        made.append(getattr(where, name)(groups, **first))
    for t in range(50):
        if t == 15:
            for optimizer, leaves in zip(made, (pair.ours, pair.theirs), strict=True):
                optimizer.add_param_group({"params": leaves[2:], "lr": 0.002})
        if t == 30:
            for optimizer in made:
                optimizer.param_groups[0]["lr"] = 0.02
                optimizer.param_groups[2]["weight_decay"] = 0.3
        pair.gradients(t)
        for optimizer in made:
            optimizer.step()
    pair.compare(1e-12)


SEARCH = {"line_search_fn": "strong_wolfe"}
CLOSURES = [{"max_iter": 9}, {"lr": 0.3, "max_iter": 5}] + [
    {**SEARCH, **more}
    for more in ({"max_iter": 9}, {"history_size": 3, "max_iter": 7}, {"lr": 20.0, "max_iter": 4}, {"lr": 0.01, "max_eval": 12}, {"lr": 0.01, "max_iter": 3})
]  # fmt: skip


@pytest.mark.parametrize("options", CLOSURES)
def test_lbfgs(options):
    """Two calls, 20 evaluations: on the way rounding grows, after 40 a parameter is 1e-10 off."""
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((30, 4)), rng.standard_normal((30, 1))
    y = np.sin(x.sum(1, keepdims=True)) + 0.1 * noise
    start = [rng.standard_normal(s) / 2 for s in ((4, 5), (5,), (5, 1))]
    evaluations, losses, ends = [], [], []
    for where, tanh, tensor in (
        (optim, tg.tanh, tg.tensor),
        (torch.optim, torch.tanh, torch.tensor),
    ):
        W, b, V = (tensor(a, requires_grad=True) for a in start)
        X, Y = tensor(x), tensor(y)
        optimizer = where.LBFGS([W, b, V], **options)

        def closure(W=W, b=b, V=V, X=X, Y=Y, optimizer=optimizer, tanh=tanh):
            optimizer.zero_grad()
            error = tanh(X @ W + b) @ V - Y
            loss = (error**2).mean() + 0.01 * ((W**2).sum() + (V**2).sum())
            loss.backward()
            return loss

        losses.append([optimizer.step(closure).item() for _ in range(2)])
        state = optimizer.state_dict()["state"][0]
        evaluations.append((state["n_iter"], state["func_evals"]))
        ends.append([p.detach().numpy() for p in (W, b, V)])
    assert evaluations[0] == evaluations[1]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-12)
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


STATES = [(name, TABLE[name][-1]) for name in TABLE] + [
    ("SGD", {"momentum": 0.9, "dampening": 0.3}),
    ("Adam", {"amsgrad": True}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
]


@pytest.mark.parametrize(("name", "options"), STATES)
@pytest.mark.parametrize("way", ["from PyTorch", "to PyTorch"])
def test_a_state_goes_over(name, options, way):
    """Both ways, options with it: the taker was made with others."""
    pair = Pair()
    a, b = make(name, pair, **options)
    for t in range(25):
        pair.gradients(t)
        a.step()
        b.step()
    c, d = make(name, pair, lr=7.0)
    if way == "from PyTorch":
        c.load_state_dict(b.state_dict())
        a = c
    else:
        state = a.state_dict()
        for entry in state["state"].values():
            entry.update({k: torch.as_tensor(v, dtype=torch.float64) for k, v in entry.items()})
        for group in state["param_groups"]:
            group |= {"foreach": False, "capturable": False, "differentiable": False, "fused": None}
        d.load_state_dict(state)
        b = d
    for t in range(25, 50):
        pair.gradients(t)
        a.step()
        b.step()
    pair.compare(1e-12)


@pytest.mark.parametrize("dtype", RELATIVE)
@pytest.mark.parametrize("decay", [0.9, 0.999, None])
def test_averages(decay, dtype):
    swa = torch.optim.swa_utils
    pair = Pair(dtype)
    a, b = make("Adam", pair, lr=0.05)
    model = torch.nn.ParameterList(pair.theirs)
    kind = {} if decay is None else {"multi_avg_fn": swa.get_ema_multi_avg_fn(decay)}
    ours, theirs = optim.AveragedWeights(pair.ours, decay), swa.AveragedModel(model, **kind)
    for t in range(50):
        pair.gradients(t)
        a.step()
        b.step()
        if t % 3 == 0:
            ours.update()
            theirs.update_parameters(model)
    pair.theirs = list(theirs.module)
    with ours.applied():
        pair.compare(RELATIVE[dtype])


LIVES = {
    "SGD": {"lr": [0.0, 0.05], "momentum": [0.0, 0.5, 0.9], "dampening": [0.0, 0.3], "weight_decay": [0.0, 0.1], "maximize": YES_NO},
    "Adam": {"lr": [0.0, 0.02], "betas": [(0.9, 0.999), (0.5, 0.8)], "eps": [1e-8, 1e-3], "weight_decay": [0.0, 0.1], "maximize": YES_NO},
    "NAdam": {"lr": [0.02], "betas": [(0.9, 0.999), (0.5, 0.8)], "momentum_decay": [4e-3, 0.1], "decoupled_weight_decay": YES_NO},
    "RMSprop": {"lr": [0.02], "alpha": [0.99, 0.8], "eps": [1e-8, 1e-3], "weight_decay": [0.0, 0.1]},
    "Adagrad": {"lr": [0.02, 0.1], "lr_decay": [0.0, 0.2], "eps": [1e-10, 1e-3]},
}  # fmt: skip


@pytest.mark.parametrize("name", LIVES)
@given(data=st.data())
@settings(max_examples=12)
def test_the_life_of_an_optimiser(name, data):
    """Options set on the way, groups that come, states that go through copies and PyTorch."""
    pair, choices = Pair(), LIVES[name]

    def options():
        keys = data.draw(st.lists(st.sampled_from(sorted(choices)), unique=True))
        return {key: data.draw(st.sampled_from(choices[key])) for key in keys}

    first = options()
    a = getattr(optim, name)(pair.ours[:1], **first)
    b = getattr(torch.optim, name)(pair.theirs[:1], **first, foreach=False)
    for t in range(data.draw(st.integers(5, 25))):
        event = data.draw(st.sampled_from(["step"] * 6 + ["set", "grow", "copy", "load", "theirs"]))
        if event == "set":
            group = data.draw(st.integers(0, len(a.param_groups) - 1))
            for key, value in options().items():
                a.param_groups[group][key] = b.param_groups[group][key] = value
        elif event == "grow" and len(a.params) < len(SHAPES):
            own, k = options(), len(a.params)
            a.add_param_group({"params": pair.ours[k], **own})
            b.add_param_group({"params": pair.theirs[k], **own})
        elif event == "copy":
            a, pair.ours[: len(a.params)] = (lambda twin: (twin, twin.params))(copy.deepcopy(a))
        elif event in ("load", "theirs"):
            sizes = [{"params": list(group["params"])} for group in a.param_groups]
            state = a.state_dict() if event == "load" else b.state_dict()
            if event == "theirs" and not state["state"]:
                continue
            a = getattr(optim, name)(sizes, **first)
            a.load_state_dict(state)
        pair.gradients(t)
        a.step()
        b.step()
    pair.compare(1e-11)
