"""Attention against PyTorch-free loops, beam search against all sequences there are."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, train
from tinygrad_rnn.testing import check_jit, gradcheck

T, N, H = 5, 3, 4
LENGTHS = [5, 1, 3]


def naive(attention, query, states, lengths):
    """One sequence at a time, in float64, with the states beyond its end cut off."""
    q, s = query.astype(np.float64), states.astype(np.float64)
    contexts, weights = [], np.zeros(states.shape[:2])
    for n, length in enumerate(lengths):
        seen = s[:length, n]
        if attention.score == "dot":
            scores = np.array([row @ q[n] for row in seen])
        else:
            W, b, U = (
                p.numpy() for p in (attention.W.weight, attention.W.bias, attention.U.weight)
            )
            scores = np.array(
                [np.tanh(W @ q[n] + b + U @ row) @ attention.v.numpy() for row in seen]
            )
        e = np.exp(scores - scores.max())
        weights[:length, n] = e / e.sum()
        contexts.append(weights[:length, n] @ seen)
    return np.array(contexts), weights


def attention_of(score):
    return nn.Attention(H, H, score, **({"size": 6} if score == "additive" else {}))


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("score", ["dot", "additive"])
def test_attention_is_that_of_the_papers(score, lengths):
    attention = attention_of(score)
    query, states = tg.randn(N, H), tg.randn(T, N, H)
    found = attention(query, attention.prepare(states, lengths))
    expected = naive(attention, query.numpy(), states.numpy(), lengths or [T] * N)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b, atol=1e-6)


@pytest.mark.parametrize("score", ["dot", "additive"])
def test_what_lies_beyond_the_end_changes_nothing_and_gets_no_gradient(score):
    attention = attention_of(score)
    query = tg.randn(N, H)
    grads = []
    for padding in (0.0, 1e6):
        values = np.random.default_rng(0).normal(size=(T, N, H)).astype("f")
        for n, length in enumerate(LENGTHS):
            values[length:, n] = padding
        states = tg.tensor(values, requires_grad=True)
        context, weights = attention(query, attention.prepare(states, LENGTHS))
        (context**2).sum().backward()
        grads.append((states.grad.numpy(), context.numpy()))
        for n, length in enumerate(LENGTHS):
            assert not weights.numpy()[length:, n].any()
            assert not grads[-1][0][length:, n].any()
            assert np.abs(grads[-1][0][:length, n]).sum() > 0
    for a, b in zip(*grads, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("score", ["dot", "additive"])
def test_gradients_of_attention(score):
    attention = attention_of(score).astype("float64")
    query, states = (
        tg.tensor(tg.randn(*shape, dtype="float64"), requires_grad=True)
        for shape in ((N, H), (T, N, H))
    )

    def context(query, states, *parameters):
        if parameters:
            attention.W.weight, attention.U.weight, attention.v = parameters
        return attention(query, attention.prepare(states, LENGTHS))[0]

    additive = score == "additive"
    parameters = [attention.W.weight, attention.U.weight, attention.v] if additive else []
    assert gradcheck(context, [query, states, *parameters])


class Decoder(nn.Module):
    def __init__(self, score):
        self.cell, self.attention = nn.RNNCell(2 * H, H), attention_of(score)

    def forward(self, x, states, lengths):
        memory, context = self.attention.prepare(states, lengths), tg.zeros(N, H)
        state, seen = self.cell.initial_state(N), []
        for x_t in x:
            state = self.cell(tg.concat([x_t, context], axis=1), state)
            context, _ = self.attention(state, memory)
            seen.append(context)
        return tg.stack(seen)


@pytest.mark.parametrize("score", [pytest.param("dot", marks=pytest.mark.long), "additive"])
def test_a_decoder_with_attention_is_one_loop_when_jitted(score):
    decoder = Decoder(score)
    arguments = tg.randn(6, N, H), tg.randn(T, N, H), tg.tensor(LENGTHS)
    fast = tg.jit(decoder.forward)
    assert check_jit(fast, *arguments)
    (fast(*arguments) ** 2).sum().backward()  # shared weights: every step's part in one gradient
    grads = {n: p.grad.numpy() for n, p in decoder.named_parameters()}
    assert "op by op" not in fast.explain()
    for p in decoder.parameters():
        p.grad = None
    (decoder(*arguments) ** 2).sum().backward()
    for name, p in decoder.named_parameters():
        np.testing.assert_allclose(grads[name], p.grad.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)
    with pytest.raises(tg.ShapeError, match="Attention: lengths must be from 1 to 5"):
        fast(*arguments[:2], tg.tensor([5, 0, 3]))


WRONG = [
    (lambda: nn.Attention(3, 4), "one size, got 3 and 4; use score='additive'"),
    (lambda: nn.Attention(4, 4, "cosine"), "'dot' or 'additive', got 'cosine'"),
    (lambda: nn.Attention(4, 4, size=3), "size is of additive scores"),
    (lambda: nn.Attention(0, 4, "additive"), "query_size must be a whole number from 1"),
    (lambda: attention_of("dot").prepare(tg.ones(T, N, 3)), r"states must be \(T, N, 4\), got"),
    (lambda: attention_of("dot").prepare(tg.ones(0, N, H)), "there must be states to look at"),
    (lambda: attention_of("dot").prepare(tg.ones(T, N, H), [1, 2]), r"lengths must be \(3,\)"),
    (
        lambda: attention_of("dot")(tg.ones(H), attention_of("dot").prepare(tg.ones(T, N, H))),
        r"the query must be \(3, 4\), got \(4,\)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_attention_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_attention_and_beam_search_refuse_what_is_none_of_theirs():
    attention, states = attention_of("dot"), tg.ones(T, N, H)
    with pytest.raises(tg.DTypeError, match=r"what prepare\(states\) returns, got .*Tensor and"):
        attention(tg.ones(N, H), states)
    with pytest.raises(tg.DTypeError, match=r"Attention: expected a query .*, got NoneType and"):
        attention(None, attention.prepare(states))
    with pytest.raises(tg.DTypeError, match=r"\(log probabilities, new state\), got .*Tensor"):
        nn.beam_search(lambda s, h: tg.zeros(2, 4), (), [1, 1], 0)


V, END = 4, 0


class Model:
    """Log probabilities that depend on every symbol so far: a random recurrent net."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.cell, self.start = rng.normal(size=(V, V, 6)), rng.normal(size=6)
        self.W, self.out = rng.normal(size=(6, 6)), rng.normal(size=(6, V)) * 2

    def next(self, symbol, h):
        h = np.tanh(self.cell[symbol % V, 0] + h @ self.W)
        y = h @ self.out
        return y - np.log(np.exp(y).sum()), h

    def step(self, symbols, state):
        both = [self.next(s, h) for s, h in zip(symbols.tolist(), state[0].numpy(), strict=True)]
        return np.stack([y for y, _ in both]), (tg.tensor(np.stack([h for _, h in both])),)

    def all(self, start, max_length, penalty):
        """Every sequence that ends within `max_length` symbols, best first."""
        found = []
        for length in range(1, max_length + 1):
            for tokens in itertools.product(range(1, V), repeat=length - 1):
                h, total, symbol = self.start, 0.0, start
                for token in (*tokens, END):
                    log_probs, h = self.next(symbol, h)
                    total, symbol = total + log_probs[token], token
                found.append((total / ((5 + length) / 6) ** penalty, list(tokens), total))
        return sorted(found, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_that_is_wide_enough_finds_what_all_sequences_hold(seed, penalty):
    model, L = Model(seed), 4
    width = 4 * 27  # all continuations of the 27 that are open at the last step
    state = (tg.tensor(np.tile(model.start, (2 * width, 1))),)
    found = nn.beam_search(
        model.step, state, [1, 2], END, width=width, max_length=L, length_penalty=penalty
    )
    for start, hypotheses in zip((1, 2), found, strict=True):
        expected, ended = model.all(start, L, penalty), [h for h in hypotheses if h.ended]
        assert [h.tokens for h in ended] == [tokens for _, tokens, _ in expected]
        assert [h.score for h in ended] == pytest.approx([s for s, _, _ in expected])
        assert [h.log_prob for h in ended] == pytest.approx([p for _, _, p in expected])
        assert hypotheses[: len(ended)] == ended  # those that are open come last
        assert {len(h.tokens) for h in hypotheses[len(ended) :]} == {L}


@pytest.mark.parametrize("seed", range(8))
def test_width_1_is_greedy_and_here_a_wider_beam_is_no_worse(seed):
    model, L = Model(seed), 6
    h, symbol, tokens, total = model.start, 3, [], 0.0
    while len(tokens) < L and symbol != END:
        log_probs, h = model.next(symbol, h)
        symbol = int(log_probs.argmax())
        total += log_probs[symbol]
        tokens.append(symbol)
    best = []
    for width in (1, 4, 40):
        state = (tg.tensor(np.tile(model.start, (width, 1))),)
        [found] = nn.beam_search(model.step, state, [3], END, width=width, max_length=L)
        best.append(found[0])
    assert best[0].ended == (symbol == END)
    assert best[0].tokens == [t for t in tokens if t != END]
    assert best[0].log_prob == pytest.approx(total)
    assert best[2].log_prob >= best[1].log_prob - 1e-12
    assert best[2].log_prob >= max(p for _, _, p in model.all(3, 4, 0.0)) - 1e-12


def test_sources_do_not_mix_and_an_open_end_is_said():
    """Source b likes b, and hardly ever ends."""

    def step(symbols, state):
        owner = state.numpy().astype(int)
        table = np.full((len(owner), 5), -50.0)
        table[:, 0] = -60
        table[np.arange(len(owner)), owner] = -0.1
        return table, state

    owner = tg.tensor(np.repeat([1, 2, 3], 2).astype("f"))
    found = nn.beam_search(step, owner, [4, 4, 4], 0, width=2, max_length=3)
    for b, (best, _) in enumerate(found, 1):
        assert (best.tokens, best.ended) == ([b] * 3, False)
        assert best.log_prob == pytest.approx(-0.3)


LIKELY = np.array([[-9.0, -0.1, -9.0, -9.0]])
REFUSED = [
    ({"width": 0}, "width must be a whole number from 1"),
    ({"start": [[1]]}, "start must be the first symbols"),
    ({"start": [1.5]}, "start must be the first symbols"),
    ({"end": 9}, "with V above the end symbol 9"),
    ({"end": [0]}, r"end must be the number of a symbol, got \[0\]"),
    ({"length_penalty": float("nan")}, "length_penalty must be 0 or more"),
    ({"length_penalty": -1.0}, "length_penalty must be 0 or more"),
    ({"step": lambda s, h: (tg.zeros(3, 4), h)}, r"log probabilities \(1, V\).* got \(3, 4\)"),
    ({"step": lambda s, h: (LIKELY, tg.zeros(5, 1))}, r"tensors of 1 rows.* got \(5, 1\)"),
    ({"step": lambda s, h: (LIKELY, (None,))}, "tensors of 1 rows.* got NoneType"),
    ({"step": lambda s, h: (tg.zeros(1, 4) / 0, h)}, "NaN among the log probabilities"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_beam_search_refuses(change, message):
    given = {"step": lambda s, h: (tg.zeros(1, 4), h), "start": [1], "end": 0, **change}
    with np.errstate(all="ignore"), pytest.raises(tg.ShapeError, match=message):
        nn.beam_search(given.pop("step"), (), given.pop("start"), given.pop("end"), **given)


@pytest.mark.parametrize("half", [1, 7, 1000])
@pytest.mark.parametrize("kind", ["linear", "exponential", "sigmoid"])
def test_forcing_rates_fall_from_near_1_through_a_half(kind, half):
    rates = [train.forcing_rate(i, half, kind, least=0.1) for i in range(5 * half + 5)]
    assert rates[0] == (pytest.approx(1, abs=0.5 / half**0.5) if kind == "sigmoid" else 1)
    assert rates[half] == pytest.approx(0.5)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0.1
    assert train.forcing_rate(10**9, half, kind) == pytest.approx(0)


@pytest.mark.parametrize("wrong", [{"kind": "cosine"}, {"least": 2}, {"update": -1}, {"half": 0}])
def test_forcing_rate_refuses(wrong):
    with pytest.raises(ValueError, match=r"forcing_rate: .*(got|from)"):
        train.forcing_rate(**{"update": 1, "half": 2, **wrong})
