"""The repeated step found in sequences of calls: what moves how, and what stays outside."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from tinygrad_rnn.compiler.passes.roll import SHORTEST as COMPILED
from tinygrad_rnn.rolling import (
    Along,
    Back,
    Call,
    Here,
    Listed,
    Moving,
    Number,
    Numbers,
    Outside,
    Place,
    Ref,
    Same,
    Sliding,
    Span,
    find,
    search,
)  # fmt: skip
from tinygrad_rnn.viz.graph.steps import SHORTEST as DRAWN


def rnn(T: int, start: int = 0, weight: Any = "W", first: Any = None) -> list[Call]:
    """x[t], a product with h, an addition: three calls a step from call number `start` on."""
    calls = []
    for t in range(T):
        i = start + 3 * t
        h = Ref(i - 1) if t else first or Outside("h0")
        calls.append(Call("index", (Outside("x"), Place(t))))
        calls.append(Call("matmul", (h, Outside(weight))))
        calls.append(Call("add", (Ref(i), Ref(i + 1))))
    return calls


def test_a_plain_loop() -> None:
    [loop] = find(rnn(10))
    assert (loop.start, loop.period, loop.count) == (0, 3, 10)
    assert loop.operands == [
        [Same(Outside("x")), Moving(0, 1)],
        [Back(2, 1, (Outside("h0"),)), Same(Outside("W"))],
        [Here(0), Here(1)],
    ]


@pytest.mark.parametrize("T", [0, 1, 2, 3])
def test_a_few_steps_are_no_loop(T: int) -> None:
    assert find(rnn(T)) == []


@pytest.mark.parametrize("T", [2, 3])
def test_few_steps_of_shared_weights_are_a_loop_for_drawings_alone(T: int) -> None:
    """Where they are half of all calls, and without inputs; the compiler asks for three steps."""
    calls = []
    for t in range(T):
        calls.append(Call("matmul", (Ref(2 * t - 1) if t else Outside("h0"), Outside("W"))))
        calls.append(Call("tanh", (Ref(2 * t),)))
    assert [loop.count for loop in find(calls, DRAWN)] == [T]
    others = [Call(f"op{k}", (Outside("x"),)) for k in range(2 * T + 1)]
    assert find(calls + others, DRAWN) == find(calls, COMPILED) == []


MOVES: dict[str, tuple[Any, list[Any]]] = {
    "a window": (lambda t: (Span(t),), [Sliding(0, 1)]),
    "backwards": (lambda t: (Span(20 - 2 * t),), [Sliding(20, -2)]),
    "a diagonal": (lambda t: (Place(t), Place(9 - t)), [Moving(0, 1), Moving(9, -1)]),
    "one that stays": (lambda t: (Place(t), Span(3)), [Moving(0, 1), Same(Span(3))]),
}


@pytest.mark.parametrize(("places", "kinds"), MOVES.values(), ids=MOVES)
def test_indices_that_move(places: Any, kinds: list[Any]) -> None:
    calls = []
    for t in range(9):
        calls.append(Call("index", (Outside("x"), *places(t))))
        calls.append(Call("add", (Ref(2 * t - 1) if t else Outside("h"), Ref(2 * t))))
    [loop] = find(calls)
    assert loop.operands[0] == [Same(Outside("x")), *kinds]


def test_layers_are_two_loops_and_the_second_runs_along_the_first() -> None:
    calls = rnn(8)
    for t in range(8):
        i = 24 + 2 * t
        calls.append(Call("matmul", (Ref(3 * t + 2), Outside("V"))))
        calls.append(Call("tanh", (Ref(i),)))
    first, second = find(calls)
    assert (first.count, second.start, second.count) == (8, 24, 8)
    assert second.operands[0] == [Along(0, 2, 0, 1), Same(Outside("V"))]


def test_the_other_direction_runs_backwards() -> None:
    calls = [Call("f", (Outside("x"), Place(9 - t))) for t in range(10)]
    calls += [Call("g", (Ref(9 - t),)) for t in range(10)]
    first, second = find(calls)
    assert first.operands == [[Same(Outside("x")), Moving(9, -1)]]
    assert second.operands == [[Along(0, 0, 9, -1)]]


def test_a_prologue_and_an_epilogue_stay_outside() -> None:
    before = [Call("normal", ()), Call("mul", (Ref(0), Outside("s")))]
    calls = before + rnn(6, 2, first=Ref(1))
    calls += [Call("sum", (Ref(19),))]
    [loop] = find(calls)
    assert (loop.start, loop.end) == (2, 20)
    assert loop.operands[1][0] == Back(2, 1, (Ref(1),))


def test_states_of_several_steps_ago() -> None:
    past = [Outside("a"), Outside("b"), Outside("c")]
    calls = []
    for t in range(9):
        three_ago = Ref(t - 3) if t >= 3 else past[t]
        calls.append(Call("step", (Ref(t - 1) if t else Outside("c"), three_ago)))
    [loop] = find(calls)
    assert loop.operands == [[Back(0, 1, (Outside("c"),)), Back(0, 3, tuple(past))]]


def test_numbers_and_a_scalar_that_begins_as_one() -> None:
    calls = [Call("add", (Ref(t - 1) if t else Number(0.0), Number(t + 1.0))) for t in range(5)]
    [loop] = find(calls)
    assert loop.operands == [
        [Back(0, 1, (Number(0.0),)), Numbers((1.0, 2.0, 3.0, 4.0, 5.0))],
    ]


def test_first_and_last_steps_that_differ() -> None:
    calls = rnn(9)
    calls[1] = Call("matmul", (Outside("h0"), Outside("other")))
    calls[25] = Call("matmul", (Ref(23), Outside("another")))
    [loop] = find(calls)
    assert (loop.start, loop.count) == (3, 7)
    assert loop.operands[1][0] == Back(2, 1, (Ref(2),))


def test_a_block_may_span_two_steps() -> None:
    calls = [
        Call("even" if t % 2 == 0 else "odd", (Ref(t - 1) if t else Outside("h"),))
        for t in range(12)
    ]
    [loop] = find(calls)
    assert (loop.period, loop.count) == (2, 6)


@pytest.mark.parametrize(
    "operands",
    [
        [(Outside(f"w{t}"),) for t in range(7)],  # gates: a list alone is no time
        [(Outside("x"), Place(t * t)) for t in range(8)],  # no constant stride
        [(Outside("x"), Place(t), Span(t)) for t in range(8)],  # x[t, t:t+k]
        [(Outside("x"), Span(4 * t)) for t in range(4)],  # the pieces of a chunk
    ],
    ids=["gates", "squares", "band", "pieces"],
)
def test_what_does_not_repeat(operands: list[Any]) -> None:
    assert find([Call("f", o) for o in operands]) == []


@pytest.mark.parametrize("broken", [3, 63, 64, 70, 200])
def test_a_loop_ends_where_an_operand_breaks_the_pattern(broken: int) -> None:
    """On either side of where the search looks further: 8, 64 and 512 steps."""
    calls = [Call("f", (Ref(t - 1) if t else Outside("h"), Outside("w"))) for t in range(300)]
    calls[broken] = Call("f", (Ref(broken - 1), Outside("other")))
    loops = find(calls)
    ends = [(loop.start, loop.end) for loop in loops]
    assert ends == [(0, broken)] * (broken > 3) + [(broken + 1, 300)]


def test_a_state_from_further_back_than_the_search_looks_first() -> None:
    past = [Outside(("start", t)) for t in range(40)]
    calls = [Call("f", (Ref(t - 40) if t >= 40 else past[t],)) for t in range(200)]
    [loop] = find(calls)
    assert loop.operands == [[Back(0, 40, tuple(past))]]


def test_equal_ops_on_anything_are_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """600 products of anything and their sum: operands looked at, in place of a time."""
    rng = np.random.default_rng(0)
    calls = [Call("leaf", (Outside("x"), Place(k * k))) for k in range(600)]
    for k in range(600):
        a, b = (Ref(int(i)) for i in rng.integers(0, 600, 2))
        total = Ref(len(calls) - 1) if k else Outside("zero")
        calls += [Call("mul", (a, b)), Call("add", (total, Ref(len(calls))))]
    looked, plain = [0], search.kind_of

    def counting(column: list[Any], *rest: Any) -> Any:
        looked[0] += len(column)
        return plain(column, *rest)

    monkeypatch.setattr(search, "kind_of", counting)
    [loop] = find(calls)  # the products of a list and their sum; but not the x[k * k]
    assert (loop.start, loop.end) == (600, 1800)
    assert looked[0] < 700 * len(calls)  # 540 times; to the end each time 4,000


def textbook(T: int, x: Any = lambda t: Outside(f"X{t}")) -> list[Call]:
    """S = tanh(x Wx + S Ws) and the sum of S: five calls a step."""
    calls = []
    for t in range(T):
        i = 5 * t
        state = Ref(i - 2) if t else Outside("S")
        total = Ref(i - 1) if t else Number(0.0)
        calls += [Call("matmul", (x(t), Outside("Wx"))), Call("matmul", (state, Outside("Ws")))]
        calls += [Call("add", (Ref(i), Ref(i + 1))), Call("tanh", (Ref(i + 2),))]
        calls += [Call("add_up", (total, Ref(i + 3)))]
    return calls


@pytest.mark.parametrize("T", [2, 3, 4, 50])
def test_a_list_of_inputs(T: int) -> None:
    [loop] = find(textbook(T), shortest=2)
    items = tuple(Outside(f"X{t}") for t in range(T))
    assert (loop.start, loop.count, loop.period) == (0, T, 5)
    assert loop.operands[:2] == [
        [Listed(items), Same(Outside("Wx"))],
        [Back(3, 1, (Outside("S"),)), Same(Outside("Ws"))],
    ]
    assert find(textbook(T), shortest=T + 1) == []


LISTS: dict[str, tuple[str, int]] = {  # items, and the steps that roll
    "an item twice": ("abacadae", 8),
    "an item twice running": ("aabcdefg", 8),
    "a run begins": ("abcdffff", 4),
    "a run ends": ("aaaabcde", 4),  # first the run, then the rest
}


@pytest.mark.parametrize(("items", "count"), LISTS.values(), ids=LISTS)
def test_items_of_a_list(items: str, count: int) -> None:
    found = find(textbook(len(items), lambda t: Outside(items[t])))
    assert found[0].count == count
    kind = found[0].operands[0][0]
    assert kind == (Same(Outside("a")) if items[3] == "a" else Listed(found_items(items[:count])))


def found_items(items: str) -> tuple[Outside, ...]:
    return tuple(Outside(item) for item in items)


def test_states_in_a_list_whose_first_is_from_outside() -> None:
    """[h0, h1, h2, ...]: along the loop that makes them, but for the first, which is peeled."""
    calls = rnn(9)
    states = [Outside("h0"), *(Ref(3 * t + 2) for t in range(8))]
    calls += [Call("tanh", (h,)) for h in states]
    _, second = find(calls)
    assert (second.start, second.count) == (28, 8)
    assert second.operands == [[Along(0, 2, 0, 1)]]


@pytest.mark.parametrize(("layers", "T"), [(3, 9), (5, 8)])
def test_layers_of_a_deep_network_are_no_steps(layers: int, T: int) -> None:
    """Weights of the layers are a list too; but each layer is a loop over time."""
    calls: list[Call] = []
    below: list[Any] = [Outside(f"x{t}") for t in range(T)]
    for k in range(layers):
        states = []
        for t in range(T):
            h = states[-1] if t else Outside("h0")
            calls.append(Call("matmul", (h, Outside(f"W{k}"))))
            calls.append(Call("add", (below[t], Ref(len(calls) - 1))))
            states.append(Ref(len(calls) - 1))
        below = list(states)
    assert [(loop.period, loop.count) for loop in find(calls)] == [(2, T)] * layers


def test_gates_in_a_comprehension_belong_to_their_step() -> None:
    """z = [h @ U[k] for k in range(4)] in each step: the loop is over time, not over gates."""
    calls: list[Call] = []
    h: Any = Outside("h0")
    for t in range(9):
        gates = [Call("matmul", (h, Outside(f"U{k}"))) for k in range(4)]
        calls += [*gates, Call("mix", tuple(Ref(5 * t + k) for k in range(4)))]
        h = Ref(5 * t + 4)
    [loop] = find(calls)
    assert (loop.period, loop.count) == (5, 9)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), steps=st.integers(4, 12), noise=st.integers(0, 3))
def test_unrolling_gives_the_calls_back(seed: int, steps: int, noise: int) -> None:
    """Whatever is found, its operands written out again are the recorded ones."""
    rng = np.random.default_rng(seed)
    period = int(rng.integers(1, 5))
    names = rng.integers(0, 3, period)
    wires = [[int(rng.integers(1, 2 * period + 1)) for _ in range(2)] for _ in range(period)]
    calls = [Call(("noise", k), ()) for k in range(noise)]
    for t in range(steps):
        for j in range(period):
            i = noise + t * period + j
            refs = [Ref(i - w) if i - w >= noise else Outside((j, w, t)) for w in wires[j]]
            calls.append(Call(int(names[j]), tuple(refs)))
    for loop in find(calls):
        assert loop.count >= 4
        for k in range(loop.count):
            for j, kinds in enumerate(loop.operands):
                call = calls[loop.start + k * loop.period + j]
                for kind, operand in zip(kinds, call.operands, strict=True):
                    if isinstance(kind, Same):
                        assert operand == kind.operand
                    elif isinstance(kind, Listed):
                        assert operand == kind.operands[k]
                    elif isinstance(kind, Here):
                        assert operand == Ref(loop.start + k * loop.period + kind.place)
                    elif k < kind.delay:
                        assert operand == kind.first[k]
                    else:
                        step = k - kind.delay
                        assert operand == Ref(loop.start + step * loop.period + kind.place)
