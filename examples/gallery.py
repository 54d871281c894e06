"""A gallery: nine models in three views, three fates of a gradient, heat maps, a film of training.

    python examples/gallery.py [--out FOLDER]
    sh tools/draw examples/gallery.py:lstm --view gradient -o lstm.html

Every function without arguments here returns a loss, so `tools/draw` can draw it.
"""

import argparse
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, viz

T, N, I, H = 6, 2, 3, 4


def series(steps: int = T) -> Any:
    """Inputs (T, N, I), the same at every call."""
    values = np.random.default_rng(0).standard_normal((steps, N, I)).astype(np.float32)
    return tg.tensor(values, name="x")


def generator() -> tg.Generator:
    """Random numbers of the weights."""
    return tg.Generator(0)


def textbook() -> tg.Tensor:
    """S_t = tanh(Wx X_t + Ws S_{t-1}), Y_t = Wy S_t, an error at every step."""
    Wx, Ws, Wy = (
        tg.tensor(value, requires_grad=True, name=name)
        for name, value in (("Wx", 0.7), ("Ws", 0.9), ("Wy", 1.2))
    )
    X = [tg.tensor(value, name=f"X_{t}") for t, value in enumerate((0.5, -1.0, 0.8), 1)]
    S, E = tg.tensor(0.5, name="S_0"), 0.0
    for t, X_t in enumerate(X, 1):
        S = tg.tanh(Wx * X_t + Ws * S)
        Y = Wy * S
        S.name, Y.name = f"S_{t}", f"Y_{t}"
        E = E + (Y - 1) ** 2
    return E


def rnn() -> tg.Tensor:
    """An Elman network written out, with a loss at every step."""
    g = generator()
    Wx, Wh, Wy = (
        nn.Parameter(g.normal(shape) / 2, name=name)
        for name, shape in (("Wx", (I, H)), ("Wh", (H, H)), ("Wy", (H, 1)))
    )
    b = nn.Parameter(np.zeros(H, np.float32), name="b")
    h, loss = tg.zeros(N, H), 0.0
    for x_t in series():
        h = tg.tanh(x_t @ Wx + h @ Wh + b)
        h.name = "h"
        loss = loss + ((h @ Wy) ** 2).mean()
    return loss


def lstm() -> tg.Tensor:
    """An LSTM with a loss at the last step."""
    y, _ = nn.LSTM(I, H, generator=generator())(series())
    return (y[-1] ** 2).mean()


def gru() -> tg.Tensor:
    """A GRU over series of unequal lengths."""
    y, _ = nn.GRU(I, H, generator=generator())(series(), lengths=[T, T - 2])
    return (y**2).mean()


def eight_matrices(steps: int = 3) -> tg.Tensor:
    """An LSTM by hand, a matrix for each gate and operand."""
    g = generator()
    W, U = (
        {k: nn.Parameter(g.normal((n, H)), name=f"{name}{k}") for k in "ifgo"}
        for name, n in (("W", I), ("U", H))
    )
    h = c = tg.zeros(N, H)
    for x_t in series(steps):
        i, f, o = (tg.sigmoid(x_t @ W[k] + h @ U[k]) for k in "ifo")
        c = f * c + i * tg.tanh(x_t @ W["g"] + h @ U["g"])
        h = o * tg.tanh(c)
        h.name, c.name = "h", "c"
    return (h**2).sum()


def two_layers() -> tg.Tensor:
    """Two layers, one below the other."""
    y, _ = nn.LSTM(I, H, num_layers=2, generator=generator())(series())
    return (y**2).mean()


def bidirectional() -> tg.Tensor:
    """Both directions; the states of one run against time."""
    y, _ = nn.RNN(I, H, bidirectional=True, generator=generator())(series())
    return (y**2).mean()


class Translator(nn.Module):
    """Encoder and decoder with dot-product attention (Luong et al., EMNLP 2015)."""

    def __init__(self) -> None:
        g = generator()
        self.encoder, self.decoder = nn.GRU(I, H, generator=g), nn.GRUCell(H, H, generator=g)
        self.mix, self.head = nn.Linear(2 * H, H, generator=g), nn.Linear(H, I, generator=g)

    def forward(self, source: Any, target: Any) -> Any:
        memory, _ = self.encoder(source)
        keys = memory.swapaxes(0, 1)  # (N, T, H)
        keys.name = "keys"
        h, loss = memory[-1], 0.0
        word = tg.zeros(N, H)
        for y_t in target:
            h = self.decoder(word, h)
            weights = tg.softmax((keys * h.reshape(N, 1, H)).sum(axis=2), axis=1)
            context = (keys * weights.reshape(N, T, 1)).sum(axis=1)
            word = tg.tanh(self.mix(tg.concat([h, context], axis=1)))
            loss = loss + nn.mse_loss(self.head(word), y_t)
        return loss


def translator() -> tg.Tensor:
    """An encoder, and a decoder that attends to it."""
    target = tg.tensor(np.zeros((4, N, I), np.float32), name="y")
    return Translator()(series(), target)


class Skipping(nn.Module):
    """A cell of one's own: two states, one of them read again two steps later."""

    def __init__(self) -> None:
        self.W, self.U = (nn.Linear(n, H, generator=generator()) for n in (I, H))

    def forward(self, x: Any) -> Any:
        past = [tg.zeros(N, H), tg.zeros(N, H)]
        fast = tg.zeros(N, H)
        for x_t in x:
            fast = tg.sigmoid(self.W(x_t)) * fast + self.U(past[-2])
            slow = tg.tanh(fast) + 0.5 * past[-1]
            fast.name, slow.name = "fast", "slow"
            past.append(slow)
        return (past[-1] ** 2).mean()


def custom_cell() -> tg.Tensor:
    """A cell of one's own that reaches back two steps."""
    return Skipping()(series())


def _decay(radius: float, nonlinearity: str = "tanh", steps: int = 40) -> tg.Tensor:
    """A network whose states stay near zero, so that its gradient follows the radius."""
    net = nn.RNN(I, H, nonlinearity=nonlinearity, recurrent_init="orthogonal",
                 generator=generator())  # fmt: skip
    net.weight_hh_l0.assign_(net.weight_hh_l0.numpy() * radius)
    for bias in (net.bias_ih_l0, net.bias_hh_l0):
        bias.assign_(np.zeros(H, np.float32))
    small = np.float32(1e-5 / max(radius, 1.0) ** steps)
    y, _ = net(tg.tensor(series(steps).numpy() * small, name="x"))
    return ((y[-1] - 1) ** 2).sum()


def vanishing() -> tg.Tensor:
    """Spectral radius 0.5: the gradient halves at every step."""
    return _decay(0.5)


def healthy() -> tg.Tensor:
    """An orthogonal matrix: the gradient keeps its norm."""
    return _decay(1.0)


def exploding() -> tg.Tensor:
    """Spectral radius 1.5: the gradient grows by half at every step."""
    return _decay(1.5)


def waves(steps: int = 40) -> tg.Tensor:
    """An LSTM of 16 units that follows a sine, with a loss at every step: for heat maps."""
    net = nn.LSTM(1, 16, forget_bias=1.0, generator=generator())
    x = 2 * np.sin(np.arange(steps, dtype=np.float32) / 4).reshape(steps, 1, 1)
    y, _ = net(tg.tensor(x, name="x"))
    return (y**2).mean()


def healing(updates: int = 400) -> viz.Film:
    """A net that is to remember its first input: its gradient vanishes until it has learnt to."""
    g, rng = generator(), np.random.default_rng(0)
    net, head = (
        nn.RNN(1, 32, recurrent_init="orthogonal", generator=g),
        nn.Linear(32, 1, generator=g),
    )
    net.weight_hh_l0.assign_(net.weight_hh_l0.numpy() * np.float32(0.5))
    params = [*net.parameters(), *head.parameters()]
    optimiser = optim.Adam(params, lr=3e-3)
    with viz.film() as film:
        for _ in range(updates):
            x = np.zeros((20, 32, 1), np.float32)
            x[0] = rng.uniform(-1, 1, (32, 1))
            y, _ = net(tg.tensor(x))
            nn.mse_loss(head(y[-1]), tg.tensor(x[0])).backward()
            optim.clip_grad_norm_(params, 1.0)
            optimiser.step()
            optimiser.zero_grad()
    return film


MODELS = (
    textbook, rnn, lstm, eight_matrices, gru, two_layers, bidirectional, translator, custom_cell,
)  # fmt: skip
FATES = (vanishing, healthy, exploding)
VIEWS = {"unrolled": viz.unrolled, "rolled": viz.rolled, "gradient": viz.gradient_flow}


def write(folder: Path) -> Path:
    """All diagrams as SVG and pages, and an index."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for model in tqdm((*MODELS, *FATES), desc="drawing", disable=None, leave=False):
        views = VIEWS if model in MODELS else {"gradient": viz.gradient_flow}
        how = {"params": "edges"} if model is textbook else {}
        how |= {"level": "gate"} if model in FATES else {}
        links = []
        for view, draw in views.items():
            name = f"{model.__name__}-{view}"
            diagram = draw(model(), **how)
            diagram.save(folder / f"{name}.svg")
            diagram.save(folder / f"{name}.html")
            links.append(
                f'<figure><a href="{name}.html"><img src="{name}.svg" alt="{name}" loading="lazy">'
                f"</a><figcaption>{view}: {escape(diagram.summary())}</figcaption></figure>"
            )
        title = model.__name__.replace("_", " ")
        rows.append(f"<h2>{title}</h2><p>{escape(model.__doc__ or '')}</p>{''.join(links)}")
    rows.append("<h2>heat maps</h2>")
    for what in ("h", "lag"):
        name = viz.heatmap(waves(), what).save(folder / f"waves-{what}.png").name
        rows.append(f'<figure><img src="{name}" alt="{name}"></figure>')
    name = healing().save(folder / "healing.png").name
    rows.append(f'<figure><img src="{name}" alt="{name}"></figure>')
    index = folder / "index.html"
    index.write_text(
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>gallery</title>'
        "<style>body{font:15px system-ui,sans-serif;margin:2em;max-width:1400px}"
        "img{max-width:100%;border:1px solid #ddd}figure{margin:1em 0}"
        "figcaption{white-space:pre-wrap;font-size:13px}</style>"
        f"<h1>Recurrent networks, unrolled</h1>{''.join(rows)}</html>\n"
    )
    return index


def main() -> None:
    """Write the gallery."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/gallery"))
    print(f"written: {write(parser.parse_args().out)}")


if __name__ == "__main__":
    main()
