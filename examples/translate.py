"""Translate numbers in words, English to German and French: encoder, attention, decoder.

    two hundred and eighty-one  ->  zweihunderteinundachtzig,  deux cent quatre-vingt-un

German says the units before the tens, so what is read must be looked at out of order. An LSTM
reads the English in both directions; another puts out the translation, and looks at every step
for what it needs and is fed what it saw (Luong et al., EMNLP 2015), by scores "dot", theirs, or
"additive", of Bahdanau et al., ICLR 2015; "none" sees only the last states, as in Cho et al.,
EMNLP 2014. One net learns both languages: the first symbol says which (Johnson et al. 2017).
Numbers come from num2words, up to nine digits; those of at most 12 English words are trained
on, those of 13 to 17 never. What is read and put out are words, in German morphemes
(`_number_words.py`): what is learnt is to choose and to order, not to spell.

    python examples/translate.py [--nets additive] [--draw] [--resume] [--out FOLDER]
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _common import (
    at_least,
    descend,
    diagrams,
    go,
    options,
    picture,
    smoothed,
    table,
    writable,
    written,
)
from _number_words import LANGUAGES, LONGEST, corpus, in_words

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train, viz

SIZES = {"train": 9000, "dev": 500, "unseen": 1000, "longer": 500}
NETS = {
    "additive": "additive, Bahdanau et al. 2015",
    "dot": "dot, Luong et al. 2015",
    "none": "none, as Cho et al. 2014",
}
LIMIT = 40  # pieces of a translation; 20 is the most that these numbers need
BATCH = 64


class Translator(nn.Module):
    """Reads words (T, N), puts out pieces: logits (S, N, pieces)."""

    def __init__(self, words: int, pieces: int, hidden: int, score: str, g: tg.Generator):
        self.words = nn.Embedding(words, 32, generator=g)
        self.encoder = nn.LSTM(32, hidden // 2, bidirectional=True, generator=g)
        self.pieces = nn.Embedding(pieces, 32, generator=g)
        self.decoder = nn.LSTMCell(32 + hidden, hidden, generator=g)
        self.attention = (
            None if score == "none" else nn.Attention(hidden, hidden, score, generator=g)
        )
        self.join = nn.Linear(2 * hidden, hidden, generator=g)
        self.out = nn.Linear(hidden, pieces, generator=g)

    def read(self, source: Any, lengths: Any) -> tuple[Any, Any]:
        """What the decoder looks at, and its first state: (h, c, what it saw last)."""
        states, last = self.encoder(self.words(source), lengths=lengths)
        h, c = (tg.concat([s[0], s[1]], axis=1) for s in last)
        memory = (h,) if self.attention is None else self.attention.prepare(states, lengths)
        return memory, (h, c, tg.zeros_like(h))

    def step(self, x: Any, state: Any, memory: Any) -> tuple[Any, Any, Any]:
        """Logits of the next piece, the new state, where it looked; x is the piece before."""
        h, c, seen = state
        h, c = self.decoder(tg.concat([x, seen], axis=1), (h, c))
        context, weights = (
            (memory[0], None) if self.attention is None else self.attention(h, memory)
        )
        seen = tg.tanh(self.join(tg.concat([context, h], axis=1)))
        return self.out(seen), (h, c, seen), weights

    def forward(self, source: Any, lengths: Any, target: Any, shown: Any) -> Any:
        """Where `shown` (S, N, 1) the decoder is fed the true piece, elsewhere its own choice."""
        memory, state = self.read(source, lengths)
        truth, found = self.pieces(target), []
        x = truth[0]
        for true, true_is_shown in zip(truth, shown, strict=True):
            x = tg.where(true_is_shown, true, x)
            logits, state, _ = self.step(x, state, memory)
            found.append(logits)
            # the row of the largest logit, as a product: so the loop stays one kernel
            best = tg.where(logits >= logits.max(axis=1, keepdims=True), 1.0, 0.0)
            x = best @ self.pieces.weight
        return tg.stack(found)


class Task:
    """The numbers as arrays, and the vocabularies: of all words and pieces there are."""

    def __init__(self, parts: dict[str, list[dict[str, list[str]]]]):
        self.parts = parts
        known = [in_words(n) for n in [*range(102), 10**3, 10**6]]
        self.words = train.Vocabulary.build([p["en"] for p in known], pad="<pad>")
        tags = [[f"<{lang}>"] for lang in LANGUAGES]
        inside = [p[lang] for part in parts.values() for p in part for lang in LANGUAGES]
        self.pieces = train.Vocabulary.build([*tags, *inside], pad="<pad>", eos="<end>")
        self.most = 1 + max(len(p[lang]) for p in parts["train"] for lang in LANGUAGES)

    def encode(self, numbers: Sequence[dict[str, list[str]]], languages: Sequence[str]) -> Any:
        """Words (T, N) and their lengths; the pieces fed (S, N), and those to come out."""
        source = train.padded([self.words.encode(p["en"]) for p in numbers])
        pairs = list(zip(numbers, languages, strict=True))
        fed = [self.pieces.encode([f"<{lang}>", *p[lang]]) for p, lang in pairs]
        wanted = [self.pieces.encode([*p[lang], "<end>"]) for p, lang in pairs]
        return *source, train.padded(fed)[0], train.padded(wanted)[0]

    def batch(self, rate: float, g: tg.Generator) -> list[tg.Tensor]:
        """Numbers at random, half in each language; each true piece is shown at a rate."""
        rows = (g.uniform((BATCH,)) * len(self.parts["train"])).astype(int)
        numbers = [self.parts["train"][k] for k in rows]
        source, lengths, fed, wanted = self.encode(numbers, list(LANGUAGES) * (BATCH // 2))
        # of one size, so that one recording serves all batches
        source = np.pad(source, [(0, LONGEST - len(source)), (0, 0)])
        fed, wanted = (np.pad(a, [(0, self.most - len(a)), (0, 0)]) for a in (fed, wanted))
        shown = g.uniform((*fed.shape, 1)) < rate
        shown[0] = True
        return [tg.tensor(a) for a in (source, lengths, fed, shown, wanted)]

    def search(self, model: Translator, numbers: Any, lang: str, width: int) -> list[str]:
        """Translations, the likeliest that a beam of this width finds."""
        found = []
        for at in range(0, len(numbers), 250):
            part = numbers[at : at + 250]
            source, lengths, fed, _ = self.encode(part, [lang] * len(part))
            rows = np.repeat(np.arange(len(part)), width)  # each hypothesis has its source
            with tg.no_grad():
                memory, state = model.read(tg.tensor(source[:, rows]), tg.tensor(lengths[rows]))

            def step(symbols: Any, state: Any, memory: Any = memory) -> Any:
                logits, state, _ = model.step(model.pieces(symbols), state, memory)
                return tg.log_softmax(logits), state

            end, penalty = self.pieces.eos, 0.6 if width > 1 else 0.0
            beams = nn.beam_search(
                step, state, fed[0], end, width=width, max_length=LIMIT, length_penalty=penalty
            )
            found += ["".join(self.pieces.decode(beam[0].tokens)) for beam in beams]
        return found

    def exact(self, model: Translator, part: str, width: int = 1) -> dict[str, float]:
        """Share of numbers whose translation is right to the letter."""
        numbers = self.parts[part]
        shares = {}
        for lang in LANGUAGES:
            found = self.search(model, numbers, lang, width)
            right = [a == "".join(p[lang]) for a, p in zip(found, numbers, strict=True)]
            shares[lang] = float(np.mean(right))
        return shares

    def look(self, model: Translator, number: dict[str, list[str]], lang: str) -> tuple[Any, Any]:
        """The greedy translation of one number in pieces, and where each looked (S, T)."""
        source, lengths, fed, _ = self.encode([number], [lang])
        found, weights, pieces = fed[0, 0], [], list[str]()
        with tg.no_grad():
            memory, state = model.read(tg.tensor(source), tg.tensor(lengths))
            while found != self.pieces.eos and len(pieces) < LIMIT:
                x = model.pieces(tg.tensor([int(found)]))
                logits, state, seen = model.step(x, state, memory)
                found = int(logits.numpy()[0].argmax())
                pieces.append(self.pieces.tokens[found])
                weights.append(seen.numpy()[:, 0])
        return pieces, np.array(weights)


def train_one(args: Any, task: Task, score: str, seed: int) -> dict[str, Any]:
    """Train one net, with its exact translations of numbers it has not seen."""
    g, start = tg.Generator(seed), time.perf_counter()
    model = Translator(len(task.words), len(task.pieces), args.hidden, score, g)
    data = tg.Generator(seed + 1000)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.updates)
    pad = task.pieces.pad

    def loss_of(source: Any, lengths: Any, fed: Any, shown: Any, wanted: Any) -> Any:
        return nn.cross_entropy(model(source, lengths, fed, shown), wanted, ignore_index=pad)

    fast = loss_of if args.eager else tg.jit(loss_of)
    run = train.Run(
        args.out / f"{score}{seed}.safetensors", args.updates, resume=args.resume,
        settings={n: getattr(args, n) for n in ("hidden", "updates", "lr", "half", "sizes")},
        label=f"{score} {seed}",
        model=model, optimizer=optimizer, schedule=schedule, data=data,
    )  # fmt: skip
    for update in run:
        rate = train.forcing_rate(update, args.half, least=0.5)
        loss = fast(*task.batch(rate, data))
        run.log(loss=loss.item(), norm=descend(loss, optimizer, schedule))
        if (update + 1) % 250 == 0:
            run.log(dev=np.mean(list(task.exact(model, "dev").values())))
    seconds = time.perf_counter() - start
    exact = {
        f"{part}, {name}": task.exact(model, part, width)
        for part in ("unseen", "longer")
        for name, width in (("greedy", 1), ("beam", args.beam))
    }
    return {"model": model, "exact": exact, "seconds": seconds, **run.history}


def draw(out: Path, task: Task, results: dict[str, Any]) -> None:
    """Losses and progress of all nets; where the nets with attention look."""
    with picture(out / "translate.png", nrows=2, sharex=True, figsize=(9, 6)) as axes:
        if axes is not None:
            for (name, runs), style in zip(results.items(), ["-", "--", "-."], strict=False):
                axes[0].plot(*smoothed(runs[0]["loss"]), ls=style, label=name)
                dev = runs[0].get("dev", [])
                axes[1].plot(250 * np.arange(1, len(dev) + 1), dev, "o", ls=style, label=name)
            axes[0].set(yscale="log", ylabel="loss", title="Numbers in words, the first seed")
            axes[1].set(ylabel="exact, of 500 others", xlabel="update", ylim=(-0.02, 1.02))
            for ax in axes:
                ax.legend(frameon=False)
    shown = max(task.parts["unseen"], key=lambda p: len(p["en"]))
    for name, runs in results.items():
        if name == "none":
            continue
        options = {"ncols": 2, "figsize": (13, 6.5)}
        with picture(out / f"attention_{name}.png", **options) as axes:
            if axes is None:
                return
            for ax, (lang, language) in zip(axes, LANGUAGES.items(), strict=True):
                pieces, weights = task.look(runs[0]["model"], shown, lang)
                seen = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
                ax.set_xticks(range(len(shown["en"])), shown["en"], rotation=60, ha="right")
                ax.set_yticks(range(len(pieces)), pieces)
                ax.set(title=language, xlabel="read")
            axes[0].set_ylabel("put out, downwards")
            axes[1].figure.colorbar(seen, ax=axes, label="weight")


def draw_graph(out: Path, task: Task, model: Translator) -> None:
    """Encoder and decoder unrolled, and the gradient's way back, for a short number."""
    source, lengths, fed, wanted = task.encode([in_words(21)], ["de"])
    logits = model(*map(tg.tensor, (source, lengths, fed, np.ones((*fed.shape, 1), bool))))
    loss = nn.cross_entropy(logits, tg.tensor(wanted))
    cells = viz.unrolled(loss, level="cell", steps="all").save(out / "cells.svg")
    print("written:", cells, *diagrams(out, loss, level="gate", steps="all"))


def report(args: Any, results: dict[str, Any]) -> str:
    """Exact translations in per cent: mean over the seeds and spread."""
    rows = []
    for name, runs in results.items():
        for search in ("greedy", "beam"):
            cells = []
            for part in ("unseen", "longer"):
                for lang in LANGUAGES:
                    shares = [100 * r["exact"][f"{part}, {search}"][lang] for r in runs]
                    cells.append(f"{np.mean(shares):.2f} +- {np.std(shares):.2f}")
            seconds = np.mean([r["seconds"] for r in runs])
            how = search if search == "greedy" else f"beam of {args.beam}"
            rows.append((f"{NETS[name]}: {how}", *cells, f"{seconds:.0f}"))
    heads = [f"{part}, {lang}" for part in ("unseen", "longer") for lang in LANGUAGES]
    return table(["attention: search", *heads, "s"], rows)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train all nets, print the table, draw."""
    p = options(__doc__, "translate")
    p.add_argument("--seeds", type=int, default=3, help="how many models of each net")
    p.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS), help="attention")
    p.add_argument("--hidden", type=int, default=96)
    p.add_argument("--updates", type=int, default=1200, help=f"of {BATCH} numbers each")
    p.add_argument("--lr", type=float, default=5e-3, help="at first; it falls to 0 as a cosine")
    p.add_argument("--half", type=int, default=600, help="updates till half is its own")
    p.add_argument("--beam", type=int, default=4, help="width")
    p.add_argument("--draw", action="store_true", help="draw the graph and its gradients")
    args = p.parse_args(argv)
    at_least(p, args, 1, "seeds", "updates", "beam", "half")
    if args.hidden % 2:
        p.error(f"--hidden must be even, got {args.hidden}")
    if args.quick:
        args.updates, args.seeds, args.hidden = min(args.updates, 20), 1, 16
        args.nets = args.nets[:1]
    args.sizes = {n: max(20, k // 50) if args.quick else k for n, k in SIZES.items()}
    writable(args.out)
    file = args.out / f"numbers_{args.sizes['train']}.json"
    if not file.exists():
        print(f"putting {sum(args.sizes.values()):,} numbers into words ...")
        file.with_suffix(".part").write_text(json.dumps(corpus(args.sizes)))
        file.with_suffix(".part").replace(file)  # whole or not at all
    task = Task(json.loads(file.read_text()))
    results = {
        name: [train_one(args, task, name, args.seed + k) for k in range(args.seeds)]
        for name in args.nets
    }
    print(f"exact translations, per cent, mean +- spread over {args.seeds} seeds")
    print(report(args, results))
    draw(args.out, task, results)
    if args.draw:
        draw_graph(args.out, task, results[args.nets[0]][0]["model"])
    kept = {
        n: [{k: v for k, v in r.items() if k != "model"} for r in runs]
        for n, runs in results.items()
    }
    return written(args.out / "translate.json", {"options": vars(args), "nets": kept})


if __name__ == "__main__":
    go(main)
