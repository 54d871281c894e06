"""Optimisers, schedules and clipping against their formulas written out."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import optim


def sgd(p, g, s, t):
    g = g + 0.1 * p
    s["m"] = 0.9 * s.get("m", 0) + g
    return p - 0.05 * (g + 0.9 * s["m"])


def rmsprop(p, g, s, t):
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g * g
    return p - 0.05 * g / (np.sqrt(s["v"]) + 1e-6)


def adagrad(p, g, s, t):
    s["v"] = s.get("v", 0) + g * g
    return p - 0.05 * g / (np.sqrt(s["v"]) + 1e-6)


def adam(p, g, s, t, decay=0.1, keep=1.0):
    g = g + decay * p
    s["m"] = 0.8 * s.get("m", 0) + 0.2 * g
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g * g
    m, v = s["m"] / (1 - 0.8**t), s["v"] / (1 - 0.9**t)
    return p * keep - 0.05 * m / (np.sqrt(v) + 1e-6)


def adamw(p, g, s, t):
    return adam(p, g, s, t, decay=0.0, keep=1 - 0.05 * 0.1)


TWO = {"lr": 0.05, "betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.1}
RULES = {
    "SGD": (sgd, {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "RMSprop": (rmsprop, {"lr": 0.05, "alpha": 0.9, "eps": 1e-6}),
    "Adagrad": (adagrad, {"lr": 0.05, "eps": 1e-6}),
    "Adam": (adam, TWO),
    "AdamW": (adamw, TWO),
}


def gradients(leaves):
    for p in leaves:
        p.grad = None
        ((p * p * p).sum() + (2 * p).sum()).backward()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtypes", ["f", "d", "fd"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rules(name, dtypes, order):
    """Also for parameters of two dtypes at once, and for arrays that lie column by column."""
    rule, options = RULES[name]
    rng = np.random.default_rng(0)
    kinds = (dtypes * 4)[:4]
    start = [
        np.array(rng.standard_normal(s), d, order=order)
        for s, d in zip(((3, 2), (), (5,), (0,)), kinds, strict=True)
    ]
    leaves = [tg.Tensor(a.copy("K"), requires_grad=True) for a in start]
    optimizer = getattr(optim, name)(leaves, **options)
    exact, states = [a.astype(np.float64) for a in start], [{} for _ in start]
    for t in range(1, 7):
        gradients(leaves)
        optimizer.step()
        exact = [rule(p, 3 * p * p + 2, s, t) for p, s in zip(exact, states, strict=True)]
    for p, d, wanted in zip(leaves, kinds, exact, strict=True):
        assert p.dtype.char == d
        np.testing.assert_allclose(p.numpy(), wanted, rtol=1e-4 if d == "f" else 1e-11)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("cut", [1, 4])
def test_resume_is_exact_to_the_bit(name, cut):
    _, options = RULES[name]

    def fresh(values):
        leaves = [tg.tensor(np.array(v), requires_grad=True) for v in values]
        optimizer = getattr(optim, name)(leaves, **options)
        return leaves, optimizer, optim.lr_scheduler.StepLR(optimizer, 2, 0.5)

    def train(parts, steps):
        for _ in range(steps):
            gradients(parts[0])
            parts[1].step()
            parts[2].step()

    whole = fresh([[1.0, -2.0], [0.5]])
    train(whole, 6)
    first = fresh([[1.0, -2.0], [0.5]])
    train(first, cut)
    second = fresh([p.numpy() for p in first[0]])
    second[1].load_state_dict(first[1].state_dict())
    second[2].load_state_dict(first[2].state_dict())
    train(second, 6 - cut)
    for a, b in zip(whole[0], second[0], strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_parameters_without_gradient_stay_and_others_move():
    a, b = tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)
    (a * 2).sum().backward()
    optim.Adam([a, b], lr=0.1).step()
    assert b.tolist() == [1.0, 1.0]
    assert a.numpy()[0] < 1


def test_a_misfitting_gradient_stops_the_step_before_anything_is_written():
    a, b = tg.ones(2, requires_grad=True), tg.ones(3, requires_grad=True)
    a.grad, b.grad = tg.ones(2), tg.ones(2)
    with pytest.raises(tg.ShapeError):
        optim.SGD([a, b], 0.1).step()
    assert a.tolist() == [1.0, 1.0]


def test_what_is_read_only_is_not_written():
    a, b = tg.ones(2, requires_grad=True), tg.Tensor(np.ones(2), requires_grad=True)
    b._array.flags.writeable = False
    a.grad, b.grad = tg.ones(2), tg.tensor(np.ones(2))
    with pytest.raises(ValueError, match="SGD: the array of a parameter is read-only"):
        optim.SGD([a, b], 0.1).step()
    assert a.tolist() == b.tolist() == [1.0, 1.0]
    fixed = np.full(2, 4.0, np.float32)
    fixed.flags.writeable = False
    a.grad = tg.Tensor(fixed)
    optim.SGD([a], 0.25).step()
    optim.clip_grad_norm_([a], 1.0)
    assert a.tolist() == [0.0, 0.0]
    assert fixed.tolist() == [4.0, 4.0]
    assert float(tg.norm(a.grad)) == pytest.approx(1)


def rate(optimizer, scheduler, steps, *metrics):
    rates = []
    for k in range(steps):
        rates.append(optimizer.lr)
        scheduler.step(*([metrics[0][k]] if metrics else []))
    return rates


def opt(lr=1.0):
    return optim.SGD([tg.ones(1, requires_grad=True)], lr=lr)


def test_schedules():
    s = optim.lr_scheduler
    o = opt()
    assert rate(o, s.StepLR(o, 2, 0.1), 5) == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    o = opt(2.0)
    wanted = [0.2 + 1.8 * (1 + math.cos(math.pi * k / 4)) / 2 for k in range(6)]
    assert rate(o, s.CosineAnnealingLR(o, 4, eta_min=0.2), 6) == pytest.approx(wanted)
    o = opt()
    assert rate(o, s.LinearWarmup(o, 4, 0.2), 6) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    o = opt()
    plateau = s.ReduceLROnPlateau(o, factor=0.5, patience=1, min_lr=0.3)
    metrics = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]
    assert rate(o, plateau, 8, metrics) == pytest.approx([1, 1, 1, 1, 0.5, 0.5, 0.3, 0.3])


def test_schedules_combine():
    o = opt()
    warm, step = optim.lr_scheduler.LinearWarmup(o, 2, 0.5), optim.lr_scheduler.StepLR(o, 1, 0.1)
    warm.step()
    step.step()
    assert o.lr == pytest.approx(0.75 * 0.1)


def grads(*values):
    leaves = []
    for v in values:
        w = tg.tensor(np.zeros(len(v), np.float64), requires_grad=True)
        w.grad = tg.tensor(np.array(v))
        leaves.append(w)
    return leaves


NO_OPTIMISER = {
    "StepLR": [3], "LambdaLR": [abs], "OneCycleLR": [1.0, 9], "CyclicLR": [0.1, 1.0],
    "ReduceLROnPlateau": [], "CosineAnnealingWarmRestarts": [3],
}  # fmt: skip


@pytest.mark.parametrize("name", NO_OPTIMISER)
def test_a_schedule_without_an_optimiser_says_so(name):
    with pytest.raises(tg.GraphError, match=f"{name}: needs an optimizer, got str"):
        getattr(optim.lr_scheduler, name)("x", *NO_OPTIMISER[name])


def test_a_combination_needs_schedules():
    s, o = optim.lr_scheduler, opt()
    with pytest.raises(tg.GraphError, match="ChainedScheduler: needs schedules, got str"):
        s.ChainedScheduler(["x"])
    with pytest.raises(tg.GraphError, match="SequentialLR: needs schedules, got int"):
        s.SequentialLR(o, [s.StepLR(o, 3), 7], [2])


@pytest.mark.parametrize(
    ("base", "lost"),
    [(optim.RuleOptimizer, "numbers"), (optim.lr_scheduler.LRScheduler, "get_lr")],
)
def test_a_class_that_lacks_what_it_must_say_cannot_be_made(base, lost):
    kind = type("Mine", (base,), {})
    with pytest.raises(TypeError, match=f"abstract class Mine .*{lost}"):
        kind([tg.tensor([1.0], requires_grad=True)])


def test_clipping_by_norm_and_value():
    leaves = grads([3.0, 0.0], [4.0])
    assert optim.clip_grad_norm_(leaves, 10.0) == 5.0
    assert leaves[0].grad.tolist() == [3.0, 0.0]
    assert optim.clip_grad_norm_(leaves, 1.0) == 5.0
    np.testing.assert_allclose(leaves[0].grad.numpy(), [0.6, 0.0])
    np.testing.assert_allclose(leaves[1].grad.numpy(), [0.8])
    leaves = grads([3.0, -0.5], [-4.0])
    assert optim.clip_grad_value_(leaves, 1.0) == pytest.approx(math.sqrt(25.25))
    assert [w.grad.tolist() for w in leaves] == [[1.0, -0.5], [-1.0]]
    assert optim.clip_grad_norm_([], 1.0) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_a_norm_that_is_not_finite_leaves_gradients_untouched(bad, p):
    leaves = grads([bad, 1.0])
    with pytest.raises(tg.AnomalyError, match="the gradients are as they were"):
        optim.clip_grad_norm_(leaves, 0.1, p)
    assert leaves[0].grad.tolist()[1] == 1.0
    norm = optim.clip_grad_norm_(leaves, 0.1, p, error_if_nonfinite=False)
    assert not math.isfinite(norm)
    assert leaves[0].grad.tolist()[1] == 1.0


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3.0, 40, math.inf])
@pytest.mark.parametrize("dtypes", ["f", "d", "fd"])
def test_clipping_by_other_norms(p, dtypes):
    """Over all gradients together; numbers whose powers are out of float32's reach included."""
    rng = np.random.default_rng(0)
    values = [
        (1e6 * rng.standard_normal(s)).astype(d)
        for s, d in zip(((3, 2), (), (0,), (4,)), dtypes * 4, strict=False)
    ]
    leaves = []
    for v in values:
        leaves.append(tg.tensor(np.zeros_like(v), requires_grad=True))
        leaves[-1].grad = tg.tensor(v)
    flat = np.concatenate([v.reshape(-1) for v in values]).astype(np.longdouble)
    norm = float(np.abs(flat).max() if p == math.inf else (np.abs(flat) ** p).sum() ** (1 / p))
    assert optim.clip_grad_norm_(leaves, norm * 2, p) == pytest.approx(norm, rel=1e-6)
    assert all(np.array_equal(w.grad.numpy(), v) for w, v in zip(leaves, values, strict=True))
    optim.clip_grad_norm_(leaves, norm / 4, p)
    for w, v in zip(leaves, values, strict=True):
        np.testing.assert_allclose(w.grad.numpy(), v / 4, rtol=1e-6)


@pytest.mark.parametrize("clip", [optim.clip_grad_norm_, optim.clip_grad_value_])
def test_a_graph_that_saved_a_gradient_does_not_run_on_the_clipped_one(clip):
    w, v = (tg.tensor([2.0, 3.0], requires_grad=True) for _ in range(2))
    (w * w).sum().backward()
    y = (w.grad * v).sum()
    clip([w], 0.1)
    with pytest.raises(tg.GraphError, match="changed in place"):
        y.backward()
    clip([w], 100.0)  # nothing to clip
