"""A character language model, judged in bits beside n-grams and lzma; it writes, and it is read.

A net reads a text character by character and says what comes next. It is trained by truncated
backpropagation: the text in parallel lanes, a gradient through 64 characters, the state carried
on from chunk to chunk (Williams and Peng 1990; for characters Sutskever et al., ICML 2011). The
text is any of yours (UTF-8), by default the help that comes with Python, without what it
says twice. Its last tenth is the test, the tenth before chooses the n-gram.

    python examples/char_lm.py [--text FILE] [--cell lstm] [--resume] [--draw] [--out FOLDER]
"""

import argparse
import hashlib
import math
import time
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _common import (
    at_least,
    descend,
    diagrams,
    go,
    options,
    picture,
    shares,
    table,
    writable,
    written,
)
from _ngram import KneserNey, lzma_bits
from _texts import spread, units

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.errors import DataError

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
ORDERS, HELD_OUT = 14, ("validation", "test")
SHORTEST = 2000  # characters: below that there is nothing to learn and nothing to judge by


def help_text() -> str:
    """Python's help, topics in an arbitrary order, each paragraph once: 18 % of it comes twice.

    By the alphabet the test would be all of the topics on types, and of nothing else.
    """
    from pydoc_data.topics import topics

    kept: dict[str, str] = {}
    for name in sorted(topics, key=lambda name: zlib.crc32(name.encode())):
        for paragraph in topics[name].split("\n\n"):
            kept.setdefault(" ".join(paragraph.split()), paragraph)
    return "\n\n".join(kept.values())


def read(path: Path | None) -> str:
    """The text; raises DataError for what is none, or too short."""
    if path is None:
        return help_text()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--text {path}: cannot be read ({error})") from None
    if len(text) < SHORTEST:
        raise DataError(f"--text {path}: {len(text)} characters; needs at least {SHORTEST}")
    return text


class Trained(NamedTuple):
    """A model, the loss of a part of text, and what was noted of each pass over it."""

    model: Any
    forward: Any
    history: dict[str, list[float]]


class CharLM(nn.Module):
    """Embedding, one recurrent layer, a linear read-out; dropout before and after it."""

    def __init__(self, symbols: int, args: argparse.Namespace, generator: tg.Generator):
        self.table = nn.Embedding(symbols, args.embedding, generator=generator)
        self.net = CELLS[args.cell](args.embedding, args.hidden, generator=generator)
        self.out = nn.Linear(args.hidden, symbols, generator=generator)
        self.drop = nn.Dropout(args.dropout, generator)
        self.drop_symbols = nn.Dropout(args.symbol_dropout, generator)

    def forward(self, x: Any, state: Any) -> tuple[Any, Any]:
        states, state = self.net(self.drop_symbols(self.table(x)), state)
        return self.out(self.drop(states)), state


def bits(model: Any, forward: Any, ids: Any, lanes: int = 1, lr: float = 0.0) -> float:
    """Bits per character of the text after its first, the state carried all the way.

    With a rate the model learns on: each 20 characters, once they are coded, are a step of
    descent for those that follow (Mikolov et al., Interspeech 2010; Krause et al., ICML
    2018). What it learned is forgotten afterwards.
    """
    model.eval()
    start, optimizer = model.state_dict(), optim.SGD(model.parameters(), lr=lr)
    stream = train.StreamBatches((ids[:-1], ids[1:]), lanes, 20 if lr else 500)
    total = 0.0
    with nullcontext() if lr else tg.no_grad():
        for window in train.tbptt(forward, stream.data, None, stream.steps):
            total += window.loss.item() * (window.end - window.fresh)
            if lr:
                optimizer.zero_grad()
                window.loss.backward()
                optim.clip_grad_norm_(optimizer.params, 1.0)
                optimizer.step()
    model.load_state_dict(start)
    return total / stream.length / math.log(2)


def train_one(args: argparse.Namespace, ids: dict[str, Any], symbols: int, seed: int) -> Trained:
    """Train on streams in lanes, the state carried from chunk to chunk within a pass."""
    g = tg.Generator(seed)
    model = CharLM(symbols, args, g)
    optimizer = optim.AdamW(model.parameters(), lr=args.lr)
    stream = train.StreamBatches((ids["train"][:-1], ids["train"][1:]), args.lanes, args.steps)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.passes * len(stream))

    def loss_of(part: Any, state: Any) -> tuple[Any, Any]:
        logits, state = model(part[0], state)
        return nn.cross_entropy(logits, part[1]), state

    # several, as each goes through parts of its own lengths
    forward, judging = tg.jit(loss_of), tg.jit(loss_of)
    names = ("cell", "embedding", "hidden", "dropout", "symbol_dropout", "lanes", "steps")
    names += ("passes", "lr", "digest")
    run = train.Run(
        args.out / f"seed{seed}.safetensors", args.passes, resume=args.resume, every=1,
        settings={n: getattr(args, n) for n in names} | {"seed": seed}, label=f"seed {seed}",
        model=model, optimizer=optimizer, schedule=schedule, generator=g,
    )  # fmt: skip
    for _ in run:
        losses, norms = [], []
        model.train()
        for window in train.tbptt(forward, stream.data, None, args.steps):
            norms.append(descend(window.loss, optimizer, schedule))
            losses.append(window.loss.item())
        held_out = bits(model, judging, ids["validation"], lanes=16)
        run.log(train=np.mean(losses) / math.log(2), validation=held_out, norm=np.mean(norms))
    return Trained(model, tg.jit(loss_of), run.history)


def sample(model: Any, words: Any, length: int, temperature: float, seed: int) -> str:
    """A text that begins a line, each character drawn from softmax(logits / temperature)."""

    def next_of(x: Any, state: Any) -> tuple[Any, Any]:
        logits, state = model(x, state)
        return tg.softmax(logits[-1] / temperature), state

    step, generator = tg.jit(next_of), tg.Generator(seed)
    before = "\n" if "\n" in words else words.tokens[0]
    x, state, found = tg.tensor(words.encode(before)[:, None]), None, []
    with tg.no_grad():
        for _ in range(length):
            p, state = step(x, state)
            x = tg.multinomial(p, 1, generator=generator)
            found.append(x.item())
    return "".join(words.decode(found))


def draw(out: Path, models: list[Trained], rivals: dict[str, float]) -> None:
    """The bits over the passes, beside what n-grams and lzma need."""
    with picture(out / "char_lm.png") as ax:
        if ax is None:
            return
        for k, m in enumerate(models):
            for name, color in (("train", "tab:orange"), ("validation", "tab:blue")):
                label = {"train": "training, with dropout"}.get(name, name)
                passes = np.arange(1, len(m.history[name]) + 1)
                ax.plot(passes, m.history[name], color=color, label="" if k else label)
        for (name, value), style in zip(rivals.items(), ("--", ":"), strict=True):
            ax.axhline(value, color="black", lw=1, ls=style, label=f"{name}, validation")
        ax.set(xlabel="passes over the text", ylabel="bits per character", title="Character model")
        ax.legend(frameon=False)


def baselines(text: str, a: int, b: int, alphabet: int, most: int) -> tuple[Any, str]:
    """Bits of the best n-gram and of lzma for validation (a to b) and test; the n-gram's name.

    The order is chosen on validation. Like the net the n-gram is taken as trained, and learning
    on as it reads, which lzma does anyway.
    """
    found: dict[str, dict[str, float]] = {}
    parts = dict(zip(HELD_OUT, ((text[a:b], text[:a]), (text[b:], text[:b])), strict=True))
    for more, learning in (("", False), (", learning on", True)):
        by_order = {}
        for part, (what, before) in parts.items():
            by_order[part] = KneserNey(text[:a], most, alphabet).bits(what, before, learning)
        n = int(np.argmin(by_order["validation"]))
        found[f"{n + 1}-gram{more}"] = {part: by_order[part][n] for part in parts}
    found["lzma"] = {part: lzma_bits(*both) for part, both in parts.items()}
    return found, next(iter(found))


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = options(__doc__, "char_lm")
    p.add_argument("--text", type=Path, help="a text in UTF-8 (default: the help of Python)")
    p.add_argument("--cell", choices=list(CELLS), default="gru")
    p.add_argument("--hidden", type=int, default=320)
    p.add_argument("--embedding", type=int, default=64)
    p.add_argument("--dropout", type=float, default=0.35, help="of the states that are read out")
    p.add_argument("--symbol-dropout", type=float, default=0.1, help="of the embeddings")
    p.add_argument("--lanes", type=int, default=16, help="pieces of the text read side by side")
    p.add_argument("--steps", type=int, default=64, help="characters that a gradient goes back")
    p.add_argument("--passes", type=int, default=25, help="over the training text")
    p.add_argument("--lr", type=float, default=4e-3, help="at first; it falls to 0 as a cosine")
    p.add_argument("--learn", type=float, default=0.1, help="rate of learning on while it reads")
    p.add_argument("--seeds", type=int, default=1, help="how many models to train")
    p.add_argument("--temperature", type=float, nargs="+", default=[0.5, 1.0])
    p.add_argument("--length", type=int, default=400, help="characters of a sample")
    p.add_argument("--draw", action="store_true", help="draw the model's graph and gradients")
    args = p.parse_args(argv)
    at_least(p, args, 1, "hidden", "embedding", "lanes", "steps", "passes", "seeds", "length")
    if not min(args.temperature) > 0:
        p.error(f"--temperature must be above 0, got {min(args.temperature)}")
    shares(p, args, "dropout", "symbol_dropout")
    if not 0 <= args.learn < math.inf:
        p.error(f"--learn must be a finite number from 0, got {args.learn}")
    if args.quick:
        args.passes, args.lanes, args.hidden = min(args.passes, 2), 8, min(args.hidden, 32)
        args.seeds, args.length = 1, 80
    return args


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train, judge, sample, draw."""
    args = arguments(argv)
    with tg.disable_jit() if args.eager else nullcontext():
        return study(args)


def study(args: argparse.Namespace) -> dict[str, Any]:
    """All of it, and what is written to the JSON."""
    start = time.perf_counter()
    text = read(args.text)[: 8000 if args.quick else None]
    args.digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    writable(args.out)
    words = train.Vocabulary.build([text])  # the net and the n-grams know the alphabet
    a, b = int(0.8 * len(text)), int(0.9 * len(text))
    parts = {"train": (0, a), "validation": (a, b), "test": (b, len(text))}
    # a part begins with the last character before it, so that its own first one counts
    ids = {name: words.encode(text[max(0, p - 1) : q]) for name, (p, q) in parts.items()}
    print(f"{len(text):,} characters, {len(words)} different, the last {len(text) - b:,} a test")

    rivals, best = baselines(text, a, b, len(words), 4 if args.quick else ORDERS)
    seeds = range(args.seed, args.seed + args.seeds)
    models = [train_one(args, ids, len(words), seed) for seed in seeds]
    name = args.cell.upper()
    ours = {
        row: {p: [bits(m.model, m.forward, ids[p], lr=lr) for m in models] for p in HELD_OUT}
        for row, lr in ((name, 0.0), (f"{name}, learning on", args.learn))
    }
    rows = [("all characters alike", *[f"{math.log2(len(words)):.3f}"] * 2)]
    rows += [(row, *(f"{found[p]:.3f}" for p in HELD_OUT)) for row, found in rivals.items()]
    rows += [(row, *(spread(found[p]) for p in HELD_OUT)) for row, found in ours.items()]
    print(table(["bits per character", *HELD_OUT], rows))

    for t in args.temperature:
        print(f"--- temperature {t}\n{sample(models[0].model, words, args.length, t, args.seed)}")
    draw(args.out, models, {row: rivals[row]["validation"] for row in (best, "lzma")})
    found = units(models[0].model, words, text[a : min(b, a + 8000)], args.out)
    if args.draw:
        part = ids["validation"][:13, None]
        with tg.disable_jit():
            loss = models[0].forward((part[:-1], part[1:]), None)[0]
            print("written:", *diagrams(args.out, loss, rolled=True))
    print(f"{time.perf_counter() - start:.0f} s")
    figures = {"options": vars(args), "rivals": rivals, "ours": ours, "units": found}
    return written(args.out / "char_lm.json", figures | {"history": [m.history for m in models]})


if __name__ == "__main__":
    go(main)
