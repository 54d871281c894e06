"""Backpropagation told step by step: numbers are the tape's, formulas those of the rules."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.viz.flow.contributions import RULES, contributions, numbers
from tinygrad_rnn.viz.graph.building import collect


def told(loss):
    graph = collect(loss)
    return contributions(loss.node, graph), graph


def textbook(steps=3):
    """S_t = tanh(X_t Wx + S_(t-1) Ws), Y_t = S_t Wy, E_t = (Y_t - 0.3)^2, in single numbers."""
    Wx, Ws, Wy = params = [
        nn.Parameter(np.array(v), name=n) for v, n in ((0.5, "Wx"), (0.9, "Ws"), (1.2, "Wy"))
    ]
    S, L = tg.tensor(np.array(0.1), name="S"), 0.0
    for t in range(steps):
        with tg.step(t):
            S = tg.tanh(tg.tensor(np.array(1.0 - t), name="X") * Wx + S * Ws)
            S.name = "S"
            Y = S * Wy
            Y.name = "Y"
            E = (Y - 0.3) ** 2
            E.name = "E"
            L = L + E
    return L, params


def test_the_textbook_network_is_told_as_the_textbook_tells_it():
    loss, params = textbook(2)
    found, _ = told(loss)
    formulas = [c.formula for c in found]
    wanted = [
        "∂L/∂E₁ = 1", "∂L/∂(Y₁ − 0.3) = ∂L/∂E₁ · 2 (Y₁ − 0.3)", "∂L/∂Y₁ = ∂L/∂(Y₁ − 0.3)",
        "∂L/∂S₁ = ∂L/∂Y₁ · Wy", "∂L/∂Wy = ∂L/∂Y₁ · S₁",
        "∂L/∂((X₁ Wx) + (S₀ Ws)) = ∂L/∂S₁ · (1 − S₁²)",
        "∂L/∂S₀ = ∂L/∂(S₀ Ws) · Ws", "∂L/∂Ws = ∂L/∂(S₀ Ws) · S₀", "∂L/∂Wx = ∂L/∂(X₁ Wx) · X₁",
        "∂L/∂S₀ += ∂L/∂Y₀ · Wy", "∂L/∂Wy += ∂L/∂Y₀ · S₀", "∂L/∂Wx += ∂L/∂(X₀ Wx) · X₀",
    ]  # fmt: skip
    places = [formulas.index(f) for f in wanted]
    assert places == sorted(places)
    loss.backward()
    for p in params:
        last = [c for c in found if f"∂L/∂{p.name} " in c.formula]
        assert [c.nth for c in last] == [1, 2]
        assert last[-1].total == pytest.approx(p.grad.item(), rel=1e-12)
        assert sum(float(c.value) for c in last) == pytest.approx(p.grad.item(), rel=1e-12)


def lstm():
    net = nn.LSTM(3, 4, num_layers=2, generator=tg.Generator(0)).astype("float64")
    y, _ = net(tg.tensor(np.random.default_rng(0).standard_normal((4, 2, 3))))
    return sum(((y_t**2).mean() for y_t in y), tg.tensor(np.array(0.0)))


def attention():
    keys = nn.Parameter(np.random.default_rng(0).standard_normal((2, 3, 4)), name="K")
    h, loss = keys[:, 0], tg.tensor(np.array(0.0))
    for t in range(3):
        with tg.step(t):
            w = tg.softmax((keys * h.reshape(2, 1, 4)).sum(axis=2), axis=1)
            h = tg.tanh((keys * w.reshape(2, 3, 1)).sum(axis=1))
            h.name = "h"
            loss = loss + tg.concat([h, h * h], axis=0).max(axis=1).sum()
    return loss


@pytest.mark.parametrize(
    "loss", [lstm, attention, lambda: textbook()[0]], ids=["lstm", "attention", "textbook"]
)
def test_the_sums_told_are_the_gradients(loss):
    """Against hooks on every node and the gradients of all leaves; edges in the tape's order."""
    loss = loss()
    found, graph = told(loss)
    last = {c.source: c for c in found}
    order = [graph.vertices[c.target].number for c in found]
    assert order == sorted(order, reverse=True)
    assert len({c.edge for c in found}) == len(found)
    for number, c in last.items():
        v = graph.vertices[number]
        into = [one for one in found if one.source == number]
        assert [one.nth for one in into] == list(range(1, len(into) + 1))
        if v.kind == "parameter":
            continue
        assert c.nth == len(graph.outof[number])
    from tinygrad_rnn.viz.flow.sweep import sweep

    flow = sweep(loss, graph, None)
    for number, c in last.items():
        v = graph.vertices[number]
        whole = flow.total_of(v).norm
        assert np.linalg.norm(c.total) == pytest.approx(whole, rel=1e-9, abs=1e-300), v


SCALAR = {
    "add": (lambda a, b: a + b, ("{g}", "{g}")), "sub": (lambda a, b: a - b, ("{g}", "−{g}")),
    "mul": (lambda a, b: a * b, ("{g} · b", "{g} · a")), "div": (lambda a, b: a / b, ("{g} / b", "−{g} · y / b")),
    "neg": (lambda a, b: -a, ("−{g}",)), "square": (lambda a, b: tg.square(a), ("{g} · 2 a",)),
    "pow": (lambda a, b: a**b, ("{g} · b · y / a", "{g} · y ln a")), "pow 2": (lambda a, b: a**2, ("{g} · 2 a",)),
    "pow 3": (lambda a, b: a**3, ("{g} · 3 · y / a",)), "sqrt": (lambda a, b: tg.sqrt(a), ("{g} / (2 y)",)),
    "exp": (lambda a, b: tg.exp(a), ("{g} · y",)), "log": (lambda a, b: tg.log(a), ("{g} / a",)),
    "sin": (lambda a, b: tg.sin(a), ("{g} · cos a",)), "cos": (lambda a, b: tg.cos(a), ("−{g} · sin a",)),
    "tanh": (lambda a, b: tg.tanh(a), ("{g} · (1 − y²)",)),
    "sigmoid": (lambda a, b: tg.sigmoid(a), ("{g} · y (1 − y)",)),
    "relu": (lambda a, b: tg.relu(a), ("{g} where y > 0",)), "abs": (lambda a, b: abs(a), ("{g} · sign a",)),
    "maximum": (lambda a, b: tg.maximum(a, b), ("{g} where a is larger", "{g} where b is larger")),
    "minimum": (lambda a, b: tg.minimum(a, b), ("{g} where a is less", "{g} where b is less")),
    "erf": (lambda a, b: tg.erf(a), ("(∂erf)ᵀ {g}",)),
}  # fmt: skip


@pytest.mark.parametrize("op", SCALAR)
def test_a_rule_s_formula_and_its_number(op):
    """The number against finite differences, and against the formula worked out by hand."""
    rule, wanted = SCALAR[op]
    x = {"a": 0.7, "b": 1.3}

    def run(values):
        a, b = (nn.Parameter(np.array(values[n]), name=n) for n in "ab")
        y = rule(a, b)
        y.name = "y"
        return y * 3.0, y

    loss, y = run(x)
    found, _ = told(loss)
    g = "∂L/∂y"
    got = {
        c.formula.split(" = ")[0][-1]: c for c in found if c.formula.startswith(("∂L/∂a", "∂L/∂b"))
    }
    for name, formula in zip(sorted(got), wanted, strict=True):
        c = got[name]
        assert c.formula == f"∂L/∂{name} = {formula.format(g=g)}"
        eps = 1e-6
        ahead, behind = (run({**x, name: x[name] + d})[0].item() for d in (eps, -eps))
        assert float(c.value) == pytest.approx((ahead - behind) / (2 * eps), rel=1e-6, abs=1e-9)
        worked = _worked_out(formula, 3.0, x["a"], x["b"], y.item())
        if worked is not None:
            assert float(c.value) == pytest.approx(worked, rel=1e-9)


def _worked_out(formula, g, a, b, y):
    """A formula as Python: numbers for letters; None where it is words."""
    if "where" in formula or "∂erf" in formula:
        return None
    text = formula.replace("{g}", "g").replace("·", "*").replace("−", "-").replace("y²", "y**2")
    for written, python in (("2 a", "2*a"), ("2 y", "2*y"), ("y (", "y*("), ("y ln a", "y*np.log(a)"),
                            ("cos a", "np.cos(a)"), ("sin a", "np.sin(a)"), ("sign a", "np.sign(a)")):  # fmt: skip
        text = text.replace(written, python)
    return eval(text, {"g": g, "a": a, "b": b, "y": y, "np": np})


def test_every_formula_names_an_op_that_exists():
    assert set(RULES) <= set(tg.op.OPS)


def test_numbers_are_written_out_while_they_are_few():
    assert numbers(np.array(0.12345), 1) == "0.123"
    assert numbers(np.array([[1.0, -2.0]]), 2) == "[1, -2]"
    assert numbers(np.array(12.0), 5) == "‖·‖ = 12"
