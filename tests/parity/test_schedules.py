"""Schedules against PyTorch's: rates and momenta of two groups over fifty steps."""

import itertools
import warnings

import numpy as np
import pytest
import torch

import tinygrad_rnn as tg
from tinygrad_rnn import optim

OURS, THEIRS = optim.lr_scheduler, torch.optim.lr_scheduler
METRICS = np.random.default_rng(0).standard_normal(60) + np.linspace(3, 0, 60)


def grid(**choices):
    return [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]


CYCLE = {"base_lr": 0.01, "max_lr": [0.1, 0.5]}
TABLE = {
    "StepLR": grid(step_size=[1, 7], gamma=[0.1, 1.3]),
    "MultiStepLR": grid(milestones=[[3, 3, 20], [49], [0, 5]], gamma=[0.5]),
    "ExponentialLR": grid(gamma=[0.9, 1.1]),
    "ConstantLR": grid(factor=[0.25, 1.0], total_iters=[1, 8]),
    "LinearLR": grid(start_factor=[0.1, 1.0], end_factor=[1.0, 0.3, 0.0], total_iters=[1, 12]),
    "LambdaLR": [{"lr_lambda": lambda t: 1 / (1 + t)}, {"lr_lambda": [lambda t: 0.9**t, lambda t: t % 3]}],
    "CosineAnnealingLR": grid(T_max=[1, 5, 11, 60], eta_min=[0.0, 0.03, 0.7]),
    "CosineAnnealingWarmRestarts": grid(T_0=[1, 6], T_mult=[1, 2], eta_min=[0.0, 0.03]),
    "OneCycleLR": grid(
        max_lr=[[0.3, 2.0]], total_steps=[50], pct_start=[0.3, 0.0, 0.45], anneal_strategy=["cos", "linear"], three_phase=[False, True], cycle_momentum=[True, False]
    ),
    "CyclicLR": [{**CYCLE, **o} for o in grid(step_size_up=[1, 8], step_size_down=[None, 3], mode=["triangular", "triangular2", "exp_range"], gamma=[0.97])]
    + [{**CYCLE, "step_size_up": 4, "scale_fn": lambda x: 1 / x**0.5},
       {**CYCLE, "step_size_up": 4, "scale_fn": lambda x: 0.9**x, "scale_mode": "iterations", "cycle_momentum": False}],
    "ReduceLROnPlateau": grid(
        mode=["min", "max"], factor=[0.5], patience=[0, 2], threshold=[1e-4, 0.3], threshold_mode=["rel", "abs"], cooldown=[0, 4], min_lr=[0.0, [0.1, 0.01]]
    ),
}  # fmt: skip
TABLE["OneCycleLR"].append({
    "max_lr": 0.3, "epochs": 10, "steps_per_epoch": 5, "div_factor": 4.0, "final_div_factor": 10.0, "base_momentum": [0.5, 0.6], "max_momentum": 0.7
})  # fmt: skip
TABLE["ReduceLROnPlateau"].append({"patience": 0, "eps": 0.02})
ROWS = [(name, options) for name, rows in TABLE.items() for options in rows]
OPTIMISERS = {
    "SGD": {"momentum": 0.9},
    "Adam": {},
}


def groups(where, tensor, optimizer):
    leaves = [tensor([1.0], requires_grad=True) for _ in range(3)]
    parts = [{"params": leaves[:2]}, {"params": leaves[2:], "lr": 0.4}]
    return getattr(where, optimizer)(parts, lr=0.8, **OPTIMISERS[optimizer])


def now(optimizer):
    """Rates and momenta."""
    return [
        (g["lr"], g["momentum"] if "momentum" in g else g["betas"][0])
        for g in optimizer.param_groups
    ]


def compare(make, optimizer="SGD", steps=50, resume=None):
    """The rates over the steps, and what `get_last_lr` says."""
    a, b = groups(optim, tg.tensor, optimizer), groups(torch.optim, torch.tensor, optimizer)
    ours, theirs = make(OURS, a), make(THEIRS, b)
    for t in range(steps):
        if t == resume:
            c = groups(optim, tg.tensor, optimizer)
            again = make(OURS, c)
            again.load_state_dict(ours.state_dict())
            c.load_state_dict(a.state_dict())
            a, ours = c, again
        np.testing.assert_allclose(now(a), now(b), rtol=1e-12, atol=1e-14, err_msg=f"step {t}")
        np.testing.assert_allclose(
            ours.get_last_lr(), [g["lr"] for g in b.param_groups], rtol=1e-12, atol=1e-14
        )
        b.step()
        if t == steps - 1:
            break
        metric = [METRICS[t]] if type(ours).__name__ == "ReduceLROnPlateau" else []
        ours.step(*metric)
        with warnings.catch_warnings():  # a step to a place, which SequentialLR makes itself
            warnings.simplefilter("ignore")
            theirs.step(*metric)


MOMENTA = [("Adam", *row) for row in ROWS if row[0] in ("OneCycleLR", "CyclicLR")]


@pytest.mark.parametrize(
    ("optimizer", "name", "options"), [("SGD", *row) for row in ROWS] + MOMENTA
)
def test_fifty_steps(name, options, optimizer):
    compare(lambda where, o: getattr(where, name)(o, **options), optimizer, resume=23)


SINGLE = [(name, TABLE[name][-1]) for name in TABLE if name != "ReduceLROnPlateau"]
# made after another schedule, PyTorch's first rate is the base rate of that one, not `base_lr`
ALONG = [row for row in SINGLE if row[0] != "CyclicLR"]


@pytest.mark.parametrize(("name", "options"), SINGLE)
def test_one_after_the_other(name, options):
    """Any after a warmup, and before a decay, over both milestones."""

    def make(where, o):
        parts = [
            where.LinearLR(o, 0.1, total_iters=6),
            getattr(where, name)(o, **options),
            where.ExponentialLR(o, 0.9),
        ]
        return where.SequentialLR(o, parts, milestones=[6, 30])

    compare(make, resume=17)


@pytest.mark.parametrize(("name", "options"), ALONG)
def test_along_one_another(name, options):
    def make(where, o):
        parts = [
            where.ConstantLR(o, 0.1, total_iters=6),
            getattr(where, name)(o, **options),
            where.StepLR(o, 9, 0.5),
        ]
        return where.ChainedScheduler(parts)

    compare(make, resume=17)


def test_restarts_at_fractions_of_an_epoch():
    for mult in (1, 2):
        a, b = groups(optim, tg.tensor, "SGD"), groups(torch.optim, torch.tensor, "SGD")
        ours = OURS.CosineAnnealingWarmRestarts(a, 3, mult)
        theirs = THEIRS.CosineAnnealingWarmRestarts(b, 3, mult)
        for epoch in np.arange(0, 40, 0.25):
            ours.step(float(epoch))
            theirs.step(float(epoch))
            np.testing.assert_allclose(now(a), now(b), rtol=1e-12)
        for _ in range(9):
            ours.step()
            theirs.step()
            np.testing.assert_allclose(now(a), now(b), rtol=1e-12)
