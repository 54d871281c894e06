"""Loops over Python lists of tensors, drawn as loops over one array are: a column a step."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.viz.graph.building import collect
from tinygrad_rnn.viz.graph.columns import arrange
from tinygrad_rnn.viz.paint.cells import roll_up


def squared(S: Any, Wy: Any, y: Any) -> Any:
    return tg.square(S @ Wy - y).sum()


def error_of_each(states: list[Any], Wy: Any, ys: list[Any]) -> Any:
    total: Any = 0.0
    for S, y in zip(states, ys, strict=True):
        total = total + squared(S, Wy, y)
    return total


def error_at_the_end(states: list[Any], Wy: Any, ys: list[Any]) -> Any:
    return squared(states[-1], Wy, ys[-1])


def network(T: int, error: Any, named: bool, learn: bool = False) -> Any:
    """S, X, Y of the textbook over lists, written as a person does."""

    def tensor(name: str, grad: bool = False) -> Any:
        return tg.tensor([[0.5]], requires_grad=grad, name=name if named or grad else None)

    xs = [tensor(f"X_{t + 1}") for t in range(T)]
    ys = [tensor(f"Y_{t + 1}") for t in range(T)]
    Wx, Ws, Wy = (tensor(name, grad=True) for name in ("Wx", "Ws", "Wy"))
    S, states = tensor("S_0", grad=learn), []
    for t, x in enumerate(xs):
        S = tg.tanh(x @ Wx + S @ Ws)
        if named:
            S.name = f"S_{t + 1}"
        states.append(S)
    return error(states, Wy, ys)


@pytest.mark.parametrize("T", [2, 3, 7])
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize("learn", [True, False], ids=["learned-start", "zero-start"])
@pytest.mark.parametrize("error", [error_of_each, error_at_the_end], ids=lambda f: f.__name__)
def test_the_textbook_network_has_a_column_a_step(
    error: Any, learn: bool, named: bool, T: int
) -> None:
    graph = collect(network(T, error, named, learn))
    found = arrange(graph)
    steps = [c for c in found.columns if c.step is not None]
    start = int(named)  # steps count as names do
    assert [c.step for c in steps] == list(range(start, start + T))
    assert len({c.signature for c in steps}) == 1
    for c in steps:  # each with its input, and its target if it has one
        inputs = [v for v in c.members if v.kind == "input"]
        assert len(inputs) == (2 if error is error_of_each else 1)
        assert not named or all(v.mark == str(c.step) for v in inputs)
    states = [v.number for c in steps for v in c.members if v.op == "tanh"]
    chain = [(found.where[e.source][0], found.where[e.target][0]) for e in found.across
             if e.source in states and graph.vertices[e.target].op == "matmul"
             and found.columns[found.where[e.target][0]].step is not None]  # fmt: skip
    first = found.columns.index(steps[0])
    assert chain == [(first + t, first + t + 1) for t in range(T - 1)]  # S_1 to S_2 to S_3
    [S_0] = [v for v in graph.vertices if v.start]
    assert found.where[S_0.number][0] < first  # it stands before them
    assert (S_0.name, S_0.mark) == (("S", "0") if named or learn else ("0.5", ""))


@pytest.mark.parametrize("T", [2, 3, 7])
@pytest.mark.parametrize("error", [error_of_each, error_at_the_end], ids=lambda f: f.__name__)
def test_the_textbook_network_rolls_into_one_cell(error: Any, T: int) -> None:
    found, headers = roll_up(arrange(collect(network(T, error, named=True))))
    assert list(headers.values()) == [f"× {T} steps"]
    assert sum(c.step is not None for c in found.columns) == 1
    loops = [e for e in found.across if e.delay]
    assert {e.delay for e in loops} == {1}
    assert "tanh" in {found.graph.vertices[e.source].op for e in loops}


def test_what_is_no_network_has_no_columns() -> None:
    """A tower of equal functions, layers of their own weights, gates of one step."""
    x = tg.tensor(np.ones((2, 3)), requires_grad=True)
    Ws = [tg.tensor(np.eye(3), requires_grad=True) for _ in range(4)]
    tower = tg.tanh(tg.tanh(tg.tanh(x)))
    gates = [tg.sigmoid(x @ W) for W in Ws]
    for y in (tower, gates[0] * gates[1] + gates[2] * gates[3]):
        assert all(c.step is None for c in arrange(collect(y)).columns)
