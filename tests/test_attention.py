"""Attention in diagrams: one box at the level of gates, with what is attended to and what asks."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.flow.table import brief
from tinygrad_rnn.viz.graph.attention import attentions
from tinygrad_rnn.viz.graph.building import collect

T, N, H = 4, 2, 3


def weight(*shape, name=None):
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return nn.Parameter(values.astype(np.float32), name=name)


def dot(past, h):
    """Luong et al. (2015): products and a sum."""
    return (past * tg.softmax((past * h).sum(axis=2), axis=0).reshape(len(past), N, 1)).sum(axis=0)


def matrix(past, h):
    """The same with matrix products, scaled."""
    keys = past.swapaxes(0, 1)
    scores = keys @ h.reshape(N, H, 1) / H**0.5
    return (tg.softmax(scores, axis=1).mT @ keys).reshape(N, H)


def additive(past, h):
    """Bahdanau et al. (2015): through tanh."""
    W, U, v = weight(H, H, name="W"), weight(H, H, name="U"), weight(H, 1, name="v")
    scores = tg.tanh(past @ W + h @ U) @ v
    return (tg.softmax(scores, axis=0) * past).sum(axis=0)


def network(attend, over):
    """A net whose every step looks back at an encoder's states, or at its own earlier ones."""
    W, U, V = weight(H, H, name="Wx"), weight(H, H, name="Wh"), weight(2 * H, H, name="V")
    memory, _ = nn.RNN(H, H, generator=tg.Generator(0))(tg.ones(T, N, H))
    h, own, loss = tg.zeros(N, H), [tg.zeros(N, H)], 0.0
    for x_t in tg.ones(T, N, H):
        h = tg.tanh(x_t @ W + h @ U)
        h.name = "h"
        context = attend(memory if over == "encoder" else tg.stack(own), h)
        h = tg.tanh(tg.concat([h, context], axis=1) @ V)
        h.name = "s"
        own.append(h)
        loss = loss + (h**2).mean()
    return loss


@pytest.mark.parametrize("over", ["encoder", "own"])
@pytest.mark.parametrize("attend", [dot, matrix, additive])
def test_attention_is_one_box_a_step(attend, over):
    loss = network(attend, over)
    picture = viz.unrolled(loss, level="gate", steps="all").picture
    boxes = {b.name: b for b in picture.boxes if b.vertex >= 0}
    found = [b for b in boxes.values() if b.lines == ["attention"]]
    # at first there is nothing but zeros to look back at
    assert [b.step for b in found] == list(range(over == "own", T))
    assert {b.kind for b in found} == {"gate"}
    words = {line for b in boxes.values() if b.step for line in b.lines}
    assert not words & {"softmax", "reshape"}
    asking = {
        (boxes[e.source].lines[0], boxes[e.target].step)
        for e in picture.lines
        if e.source in boxes and e.target in boxes and boxes[e.target] in found
    }
    assert {(f"h{'₀₁₂₃'[b.step]}", b.step) for b in found} <= asking


@pytest.mark.parametrize("attend", [dot, matrix, additive])
def test_its_gradient_is_that_of_what_it_hides(attend):
    """The box has the norm of the sum's gradient, which a hook sees."""
    seen = []

    def hooked(past, h):
        y = attend(past, h)
        y.register_hook(lambda g: seen.append(float(np.linalg.norm(g.numpy()))))
        return y

    loss = network(hooked, "encoder")
    picture = viz.gradient_flow(loss, level="gate", steps="all").picture
    norms = [b.lines[-1] for b in picture.boxes if b.lines[:1] == ["attention"]]
    seen.clear()
    loss.backward()
    assert sorted(norms) == sorted(brief(n) for n in seen)


def test_what_only_looks_like_it():
    """Weights read elsewhere too, a softmax that weighs nothing, a mixture of what is no state."""
    W = weight(H, H, name="W")
    x = tg.tensor(np.ones((N, H), np.float32), name="x")
    a = tg.softmax(x @ W, axis=1)
    for loss in ((a * a).sum() + a.sum(), (a**2).sum(), (a * weight(N, H)).sum(axis=1).sum()):
        assert attentions(collect(loss)) == {}


class Feeding(nn.Module):
    """A decoder fed with what it made of its cell's output, one table of words for both ends."""

    def __init__(self, feed, tied):
        self.feed, self.table, self.other = feed, nn.Embedding(4, H), nn.Embedding(4, H)
        self.encoder, self.join = nn.RNN(H, H), nn.Linear(H, H)
        self.decoder, self.tied = nn.GRUCell((1 + feed) * H, H), tied

    def forward(self, read, fed):
        _, h = self.encoder(self.table(read))
        h, seen, out = h[0], tg.zeros(1, H), []
        for x in (self.table if self.tied else self.other)(fed):
            h = self.decoder(tg.concat([x, seen], axis=1) if self.feed else x, h)
            seen = tg.tanh(self.join(h))
            out.append(seen)
        return tg.stack(out).sum()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("feed", [False, True])
def test_cells_of_a_decoder_that_feeds_itself_are_drawn(feed, tied):
    """What was grouped stood after what reads it, or read and was read by one cell."""
    words = [tg.tensor([[1], [2], [3]][:n]) for n in (3, 2)]
    drawn = viz.unrolled(Feeding(feed, tied)(*words), level="cell", steps="all").picture
    boxes = [b for b in drawn.boxes if b.vertex >= 0]
    assert [b.step for b in boxes if "decoder" in " ".join(b.lines)] == [0, 1]
    assert [b.step for b in boxes if "encoder.l0" in " ".join(b.lines)] == [0, 1, 2]
