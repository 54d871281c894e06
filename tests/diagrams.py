"""Models to draw, what their diagrams hold, and whether edges keep clear of boxes."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
SVG = "{http://www.w3.org/2000/svg}"


def _gallery():
    spec = importlib.util.spec_from_file_location(
        "gallery", HERE.parent / "examples" / "gallery.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gallery = _gallery()


def range_loop():
    """A loop without stamps: the steps are found in the graph."""
    x, W = gallery.series(5), nn.Parameter(np.eye(4, dtype=np.float32), name="W")
    U, h = nn.Parameter(np.ones((3, 4), np.float32), name="U"), tg.zeros(2, 4)
    for t in range(5):
        h = tg.tanh(x[t] @ U + h @ W)
    return (h**2).sum()


def truncated(T=6):
    """A state detached half-way."""
    cell, h = nn.RNNCell(3, 4, generator=gallery.generator()), tg.zeros(2, 4)
    for t, x_t in enumerate(gallery.series(T)):
        h = cell(x_t, h.detach() if t == T // 2 else h)
    return h.sum()


def plain():
    """A graph in which nothing repeats."""
    w = nn.Parameter(np.ones((2, 2), np.float32), name="w")
    return (tg.exp(w) @ w + 1).mean()


MODELS = {m.__name__: m for m in (*gallery.MODELS, range_loop, truncated, plain)}
NAMED = pytest.mark.parametrize("name", MODELS)


def lasting(T=40):
    y, _ = nn.LSTM(3, 4, generator=gallery.generator())(gallery.series(T))
    return (y[-1] ** 2).mean()


def unrolled(loss, **how):
    """Op by op, whatever the size of a step."""
    return viz.unrolled(loss, **{"level": "op", **how})


def rolled(loss, **how):
    return viz.rolled(loss, **{"level": "op", **how})


def gradient_flow(loss, **how):
    return viz.gradient_flow(loss, **{"level": "op", **how})


def boxes(diagram):
    """(id, kind, lines, step) of every node of a diagram."""
    return [(b.name, b.kind, b.lines, b.step) for b in diagram.picture.boxes if b.vertex >= 0]


def check_geometry(picture):
    """From outside: boxes against each other, sampled points of every edge against every box."""
    nodes = [b for b in picture.boxes if b.vertex >= 0]
    place = np.array([(b.x, b.y, b.w / 2, b.h / 2) for b in nodes])
    for k, b in enumerate(nodes):
        near = (np.abs(place[:, 0] - b.x) < place[:, 2] + b.w / 2) & (
            np.abs(place[:, 1] - b.y) < place[:, 3] + b.h / 2
        )
        assert near.sum() == 1, (
            f"{b.name} overlaps {[nodes[i].name for i in np.flatnonzero(near) if i != k]}"
        )
    for line in picture.lines:
        along = curve(line)
        inside = (np.abs(along[:, None, 0] - place[:, 0]) < place[:, 2] - 1) & (
            np.abs(along[:, None, 1] - place[:, 1]) < place[:, 3] - 1
        )
        through = {nodes[i].name for i in np.flatnonzero(inside.any(axis=0))} - {
            line.source,
            line.target,
        }
        assert not through, f"{line.source} -> {line.target} runs through {through}"


def curve(line, n=9):
    """Points of a line, n on each of its cubic curves."""
    s, p = np.linspace(0, 1, n)[:, None], np.array(line.points)
    a, b, c, d = (p[k : len(p) - 1 : 3, None] if k < 3 else p[3::3, None] for k in range(4))
    bends = (1 - s) ** 3 * a + 3 * s * (1 - s) ** 2 * b + 3 * s * s * (1 - s) * c + s**3 * d
    return bends.reshape(-1, 2)
