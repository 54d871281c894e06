"""`nn.summary`: every number against the arrays themselves, and nothing left changed."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class Model(nn.Module):
    def __init__(self) -> None:
        self.words = nn.Embedding(7, 3)
        self.lstm = nn.LSTM(3, 4, num_layers=2, dropout=0.5, zoneout=0.1)
        self.head = nn.Linear(4, 7)
        self.cell = nn.GRUCell(4, 4)
        self.unused = nn.Linear(2, 2)
        self.tied = nn.Linear(3, 7, bias=False)
        self.tied.weight = self.words.weight
        self.register_buffer("count", np.array(0))
        self.own = nn.Dropout(0.5, generator=tg.Generator(3))
        self.calls, self.h = 0, (tg.zeros(2, 4),)

    def forward(self, words: Any, scale: float = 1.0) -> Any:
        self.calls += 1
        self.count = self.count + 1
        y, (h, c) = self.lstm(self.words(words))
        state = self.h[0]
        for y_t in y:
            state = self.cell(self.own(y_t), state)
        self.h = (state,)
        return {"logits": self.head(state) * scale, "states": [h, c]}


def test_every_number_and_nothing_changed() -> None:
    model = Model()
    words = np.zeros((5, 2), int)
    model(tg.tensor(words))  # its state is part of a graph now
    model.head.requires_grad_(False)
    calls: list[Any] = []
    model.head.register_forward_hook(lambda *_: calls.append(1))
    state, h = model.state_dict(), model.h[0]
    before = tg.ops.random.default_generator.state, model.own.generator.state
    table = nn.summary(model, words, scale=2.0)
    assert (tg.ops.random.default_generator.state, model.own.generator.state) == before
    assert (model.calls, model.h[0], calls, model.count.item()) == (1, h, [], 1)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    rows = {row.name: row for row in table.rows}
    assert list(rows) == [path for path, _ in model.named_modules()]
    states = [(2, 2, 4), (2, 2, 4)]
    assert rows[""].outputs == [{"logits": (2, 7), "states": tuple(states)}]
    assert rows["lstm"].outputs == [((5, 2, 4), tuple(states))]
    assert rows["cell"].outputs == [(2, 4)] * 5
    assert rows["unused"].outputs == []
    assert rows["lstm"].parameters == 4 * 4 * 3 + 3 * 4 * 4 * 4 + 4 * 16
    assert rows["tied"].parameters == 0  # counted with the words
    assert (rows["head"].parameters, rows["head"].trained) == (35, 0)
    assert rows[""].bytes == 8
    assert table.parameters == sum(p.size for p in model.parameters())
    assert table.trained == table.parameters - 35
    assert table.bytes == 4 * table.parameters + 8
    text = str(table)
    assert "5 x (2, 4)" in text
    assert text.endswith("of the parameters are trained")
    assert [line.split()[:2] for line in text.splitlines() if "unused" in line] == [
        ["unused", "Linear"]
    ]


def test_without_inputs_and_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 4))
    assert nn.summary(model).rows[1].outputs == []
    with pytest.raises(tg.GraphError, match="summary: expected a module, got function"):
        nn.summary(test_without_inputs_and_refused)  # type: ignore[arg-type]
    net = nn.Sequential(nn.Dropout(), nn.Linear(3, 4))
    before = tg.ops.random.default_generator.state
    with pytest.raises(tg.ShapeError):
        nn.summary(net, tg.ones(2, 5))
    assert tg.ops.random.default_generator.state == before


class Twice(nn.Module):
    def __init__(self) -> None:
        self.layer = nn.Linear(3, 4)

    def forward(self, x: Any) -> Any:
        return self.layer(x) + self.layer(x[0])


def test_outputs_of_several_shapes() -> None:
    table = nn.summary(Twice(), tg.ones(2, 3))
    assert table.rows[1].outputs == [(2, 4), (4,)]
    assert "2 x (2, 4) and others" in str(table)
