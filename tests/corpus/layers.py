"""Modules of the library, and cells in the manner of papers."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

from . import B, Example, H, I, T, example, module, series, weights, zeros


@example
def two_layers_both_ways() -> Example:
    net = module(lambda: nn.GRU(I, H, num_layers=2, bidirectional=True))
    return (lambda x: net(x)[0]), [series(T, B, I)], list(net.parameters())


@example
def lengths_as_a_tensor() -> Example:
    net = module(lambda: nn.LSTM(I, H))

    def run(x, lengths):
        out, (h, _) = net(x, lengths=lengths)
        return out.sum(axis=0) + h[0]

    return run, [series(T, B, I), tg.tensor(np.array([6, 2, 4]))], list(net.parameters())


@example
def lengths_as_a_list() -> Example:
    net = module(lambda: nn.GRU(I, H))
    return (lambda x, n: net(x, lengths=n)[1]), [series(T, B, I), [6, 2, 4]], list(net.parameters())


@example
def sentence_classifier() -> Example:
    class Classifier(nn.Module):
        def __init__(self):
            self.words = nn.Embedding(9, I)
            self.read = nn.LSTM(I, H, bidirectional=True)
            self.score = nn.Linear(2 * H, 3)

        def forward(self, words, lengths):
            _, (h, _) = self.read(self.words(words), lengths=lengths)
            return self.score(tg.concat([h[0], h[1]], axis=1))

    net = module(Classifier)
    words = tg.tensor(np.random.default_rng(0).integers(0, 9, (T, B)))
    labels = tg.tensor(np.array([0, 2, 1]))

    def run(words, lengths, labels):
        return nn.cross_entropy(net(words, lengths), labels)

    return run, [words, tg.tensor(np.array([6, 2, 4])), labels], list(net.parameters())


@example
def encoder_and_decoder() -> Example:
    encode, decode, out = (module(m) for m in (lambda: nn.GRUCell(I, H), lambda: nn.GRUCell(I, H), lambda: nn.Linear(H, I)))  # fmt: skip

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            h = encode(x_t, h)
        y, ys = x[-1], []
        for _ in range(4):
            h = decode(y, h)
            y = out(h)
            ys.append(y)
        return tg.stack(ys)

    return run, [series(T, B, I)], [p for m in (encode, decode, out) for p in m.parameters()]


@example
def language_model() -> Example:
    E, U = weights((9, H), (H, H))
    tokens = tg.tensor(np.random.default_rng(0).integers(0, 9, (T + 1, B)))

    def run(tokens):
        h, loss = zeros(B, H), 0.0
        for now, after in zip(tokens[:-1], tokens[1:], strict=True):  # noqa: RUF007
            h = tg.tanh(tg.embedding(now, E) + h @ U)
            loss = loss + nn.cross_entropy(h @ E.T, after)
        return loss / (len(tokens) - 1)

    return run, [tokens], [E, U]


@example
def one_hot_characters() -> Example:
    W, U = weights((5, H), (H, H))
    tokens = tg.tensor(np.random.default_rng(0).integers(0, 5, (T, B)))

    def run(tokens):
        h = zeros(B, H)
        for t in range(len(tokens)):
            h = tg.tanh(tg.one_hot(tokens[t], num_classes=5, dtype="float64") @ W + h @ U)
        return h

    return run, [tokens], [W, U]


@example
def layer_norm_lstm() -> Example:
    W, U, b = weights((I, 4 * H), (H, 4 * H), (4 * H,))

    def run(x):
        h = c = zeros(B, H)
        for x_t in x:
            i, f, g, o = tg.chunk(tg.normalize(x_t @ W) + tg.normalize(h @ U) + b, 4, axis=1)
            c = tg.sigmoid(f) * c + tg.sigmoid(i) * tg.tanh(g)
            h = tg.sigmoid(o) * tg.tanh(tg.normalize(c))
        return h

    return run, [series(T, B, I)], [W, U, b]


@example
def batch_norm_in_time() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            a = x_t @ W + h @ U
            centred = a - a.mean(axis=0, keepdims=True)
            h = tg.tanh(centred / tg.sqrt((centred**2).mean(axis=0, keepdims=True) + 0.1))
        return h

    return run, [series(T, B, I)], [W, U]


@example
def variational_dropout() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        mask = tg.dropout(tg.ones(B, H, dtype="float64"), 0.4)
        h = zeros(B, H)
        for x_t in x:
            h = tg.tanh(x_t @ W + (h * mask) @ U)
        return h

    return run, [series(T, B, I)], [W, U]


@example
def zoneout() -> Example:
    W, U = weights((I, H), (H, H))

    def run(x):
        h = zeros(B, H)
        for x_t in x:
            new = tg.tanh(x_t @ W + h @ U)
            h = tg.where(tg.rand(B, H) < 0.2, h, new)
        return h

    return run, [series(T, B, I)], [W, U]


@example
def highway_of_depth_three() -> Example:
    W, *deep = weights((I, 2 * H), (H, 2 * H), (H, 2 * H), (H, 2 * H))

    def run(x):
        s = zeros(B, H)
        for x_t in x:
            for depth, R in enumerate(deep):
                z = s @ R + (x_t @ W if depth == 0 else 0.0)
                h, gate = tg.tanh(z[:, :H]), tg.sigmoid(z[:, H:])
                s = h * gate + s * (1 - gate)
        return s

    return run, [series(T, B, I)], [W, *deep]


@example
def tied_weights_and_a_residual() -> Example:
    (W,) = weights((H, H))

    def run(x):
        h = x[0]
        for x_t in x:
            h = h + tg.tanh(x_t @ W + h @ W.T)
        return h @ W

    return run, [series(T, B, H)], [W]


@example
def stateful_module() -> Example:
    class Stateful(nn.Module):
        def __init__(self):
            self.cell = nn.RNNCell(I, H)
            self.h = None

        def forward(self, x):
            h = zeros(B, H) if self.h is None else self.h
            for x_t in x:
                h = self.cell(x_t, h)
            self.h = h.detach()
            return h

    net = module(Stateful)
    return net, [series(T, B, I)], list(net.parameters())
