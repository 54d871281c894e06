"""Texts on coloured grounds: what units follow, what words do."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from _common import picture

import tinygrad_rnn as tg

FEATURES = ("inside quotes", "inside brackets", "position in the line", "position in the word")
PASSAGE = 420  # characters drawn


def draw_characters(ax: Any, lines: list[str], values: list[Any], width: int, most: float) -> None:
    """Draw lines of at most `width` characters, each on the colour of its value, -most to most."""
    ground = np.full((len(lines), width), np.nan)
    for row, (line, numbers) in enumerate(zip(lines, values, strict=True)):
        ground[row, : len(line)] = numbers
        for column, char in enumerate(line):
            shown = char if char.isprintable() else " "
            # nothing to make room for: that would take a third of the drawing
            style = {"family": "monospace", "fontsize": 8, "in_layout": False}
            ax.text(column, row, shown, ha="center", va="center", **style)
    ax.imshow(ground, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto", alpha=0.6)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def features(text: str) -> dict[str, Any]:
    """Numbers (T,) that a unit may follow; a line ends quotes and brackets."""
    found, column, word, quoted, depth = [], 0, 0, False, 0
    for char in text:
        column, word = column + 1, word + 1 if char.isalnum() else 0
        quoted, depth = quoted ^ (char == '"'), depth + (char in "([{") - (char in ")]}")
        if char == "\n":
            column, quoted, depth = 0, False, 0
        found.append((quoted, depth > 0, column, word))
    return dict(zip(FEATURES, np.array(found, float).T, strict=True))


def states_of(model: Any, ids: Any) -> Any:
    """The states (T, H) of a character model over a text."""
    model.eval()
    with tg.no_grad():
        return tg.jit(lambda x: model.net(model.table(x))[0])(tg.tensor(ids[:, None])).numpy()[:, 0]


def _pieces(line: str) -> list[str]:
    """A line in pieces of at most 80 characters that are all of it."""
    keep = {"drop_whitespace": False, "replace_whitespace": False, "expand_tabs": False}
    return textwrap.wrap(line, 80, **keep)  # type: ignore[arg-type]


def units(model: Any, words: Any, text: str, out: Path) -> dict[str, tuple[int, float]]:
    """For each feature the unit whose state follows it best, and their correlation; drawn.

    Chosen over all of `text`, drawn over its passage with the most quotes and brackets.
    """
    states = states_of(model, words.encode(text))
    z = (states - states.mean(0)) / (states.std(0) + 1e-9)
    found = {}
    for name, x in features(text).items():
        r = ((x - x.mean()) / (x.std() + 1e-9)) @ z / len(x)
        found[name] = (int(np.abs(r).argmax()), float(r[np.abs(r).argmax()]))
    starts = [0, *(k + 1 for k, char in enumerate(text[:-PASSAGE]) if char == "\n")]
    a = max(starts, key=lambda k: sum(char in '"([{' for char in text[k : k + PASSAGE]))
    lines, places, k = [], [], a
    for line in text[a : a + PASSAGE].split("\n"):
        for piece in _pieces(line):
            lines.append(piece)
            places.append(np.arange(k, k + len(piece)))
            k += len(piece)
        k += 1
    height = 0.35 + 0.19 * len(lines)
    with picture(out / "units.png", nrows=len(found), figsize=(10, height * len(found))) as axes:
        if axes is not None:
            for ax, (name, (unit, r)) in zip(axes, found.items(), strict=True):
                values = [states[at, unit] * np.sign(r) for at in places]
                draw_characters(ax, lines, values, 80, 1.0)
                ax.set_title(f"{name}: unit {unit}, correlation {abs(r):.2f}", loc="left")
    return found


def draw_sentences(out: Path, judge: Any, rows: Any, tokens: Any, ratings: Any) -> None:
    """Sentences of all verdicts and the two worst mistakes, each word on what it did."""
    found = judge(rows)
    order, wrong = np.argsort(found), np.argsort(np.abs(found - ratings[rows]))[-2:]
    shown = [*order[np.linspace(0, len(order) - 1, 7).astype(int)], *wrong]
    weights = [judge.gradient(rows[k]) for k in shown]
    most = float(np.quantile(np.abs(np.concatenate(weights)), 0.98))
    lines, values, heads = [], [], []
    for k, weight in zip(shown, weights, strict=True):
        heads.append((len(lines), f"net {found[k]:+.1f}\npeople {ratings[rows[k]]:+.1f}"))
        text = " ".join(tokens[rows[k]])
        by_character = np.concatenate(
            [np.append(np.full(len(w), g), 0) for w, g in zip(tokens[rows[k]], weight, strict=True)]
        )
        at = 0
        for line in textwrap.wrap(text, 84, break_on_hyphens=False):
            at = text.index(line, at)
            lines.append(line)
            values.append(by_character[at : at + len(line)])
        lines += [""] * (1 + (len(lines) == heads[-1][0] + 1))  # two lines are the heads' height
        values += [[]] * (len(lines) - len(values))
    with picture(out / "sentences.png", figsize=(11, 0.4 + 0.2 * len(lines))) as ax:
        if ax is not None:
            draw_characters(ax, lines, values, 84, most)
            for row, head in heads:
                ax.text(-1.5, row - 0.5, head, ha="right", va="top", fontsize=8, clip_on=False)
            ax.set_title("What moved the verdict: red up, blue down (the last two: worst mistakes)")


def draw_training(out: Path, models: Any) -> None:
    """Squared errors over the epochs."""
    with picture(out / "sentiment.png") as ax:
        if ax is None:
            return
        for k, m in enumerate(models):
            for name, color in (("train", "tab:orange"), ("validation", "tab:blue")):
                epochs = np.arange(1, len(m.history[name]) + 1)
                ax.plot(epochs, m.history[name], color=color, label="" if k else name)
            ax.axvline(m.best + 1, color="tab:blue", lw=0.8, ls=":")
        ax.axhline(1, color="black", lw=1, ls="--", label="always the mean")
        ax.set(xlabel="epoch (dotted: the best, which is kept)", ylabel="squared error / variance")
        ax.legend(frameon=False)


def moved(judge: Any, rows: Any, unk: int) -> dict[str, float]:
    """Whether gradients tell the truth: ratings when one word is read as unknown.

    Mean change by the word that gradient times embedding is largest for, and by a middling one;
    the share of the former whose change has the sign that the gradient says.
    """
    kept = [row for row in rows if len(judge.ids[row]) > 2]
    changed: list[list[Any]] = [[], []]
    signs = []
    for row in kept:
        g = judge.gradient(row)
        order = np.argsort(np.abs(g))
        signs.append(np.sign(g[order[-1]]))
        for place, into in zip((order[-1], order[len(order) // 2]), changed, strict=True):
            into.append(np.where(np.arange(len(g)) == place, unk, judge.ids[row]))
    before = judge(kept)
    first, other = (before - judge.of(ids)(range(len(ids))) for ids in changed)
    return {
        "by the first": float(np.abs(first).mean()), "by another": float(np.abs(other).mean()),
        "as told": float((np.sign(first) == signs).mean()),
    }  # fmt: skip


def spread(values: list[float]) -> str:
    """A mean, and the standard deviation where there are several."""
    more = f" +- {np.std(values):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{more}"
