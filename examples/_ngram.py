"""What a character model must beat: Kneser-Ney n-grams, and lzma."""

import lzma
import math
from collections import Counter


class KneserNey:
    """Interpolated n-grams of characters, of all orders to `order`, with modified discounts.

    Chen and Goodman, Computer Speech and Language 13 (1999), equations 21 to 26:
    p(w | c) = (n(c w) - D(n(c w)) + D(c) p(w | c')) / n(c), c' being c without its first
    character and D(c) all that was taken off; D is 0 for a count of 0, one number each for
    counts of 1, of 2 and more, estimated from how many such there are. The highest order has
    counts n(c w), those below the number of different characters seen before c w; below
    them all characters of the alphabet are equal.
    """

    def __init__(self, text: str, order: int, alphabet: int):
        self.order, self.alphabet = order, alphabet
        grams = [
            Counter(text[k : k + n] for k in range(len(text) - n + 1)) for n in range(1, order + 2)
        ]
        self.seen = [Level(counts) for counts in grams[:-1]]
        self.preceded = [Level(Counter(gram[1:] for gram in longer)) for longer in grams[1:]]

    def probabilities(self, context: str, w: str) -> list[float]:
        """p(w | context) of the models of order 1, 2, ..., as far as the context reaches."""
        below, found = 1 / self.alphabet, []
        for n in range(min(self.order, len(context) + 1)):
            c = context[len(context) - n :]
            found.append(self.seen[n].interpolated(c, w, below))
            below = self.preceded[n].interpolated(c, w, below)
        return found

    def learn(self, context: str, w: str) -> None:
        """Count one more character; the discounts stay."""
        for n in range(min(self.order, len(context) + 1)):
            gram = context[len(context) - n :] + w
            if n and not self.seen[n].counts[gram]:
                self.preceded[n - 1].add(gram[1:])
            self.seen[n].add(gram)

    def bits(self, text: str, before: str, learning: bool = False) -> list[float]:
        """Bits per character of `text`, which follows on `before`, for each order.

        `learning`: each character is counted once it has been coded, for what follows.
        """
        total, whole = [0.0] * self.order, before[-self.order :] + text
        for k in range(len(whole) - len(text), len(whole)):
            context = whole[max(0, k - self.order + 1) : k]
            p = self.probabilities(context, whole[k])
            for n in range(self.order):
                total[n] -= math.log2(p[min(n, len(p) - 1)])
            if learning:
                self.learn(context, whole[k])
        return [bits / len(text) for bits in total]


class Level:
    """Counts of one length; of each context its own count, and what is taken off for the others."""

    def __init__(self, counts: Counter[str]):
        self.counts = counts
        n = Counter(min(count, 5) for count in counts.values())
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
        # what is too rare to estimate takes half; a tenth at least, or what is new had none
        off = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else k / 2 for k in (1, 2, 3)]
        self.discounts = [0.0, *(min(max(d, 0.1), k) for k, d in enumerate(off, 1))]
        self.contexts: dict[str, list[float]] = {}
        for gram, count in counts.items():
            context = self.contexts.setdefault(gram[:-1], [0, 0.0])
            context[0] += count
            context[1] += self.discounts[min(count, 3)]

    def interpolated(self, c: str, w: str, below: float) -> float:
        """p(w | c), where the shorter context has `below`."""
        if c not in self.contexts:
            return below
        (total, off), count = self.contexts[c], self.counts[c + w]
        return (count - self.discounts[min(count, 3)] + off * below) / total

    def add(self, gram: str) -> None:
        """Count one more."""
        count = self.counts[gram]
        self.counts[gram] = count + 1
        context = self.contexts.setdefault(gram[:-1], [0, 0.0])
        context[0] += 1
        context[1] += self.discounts[min(count + 1, 3)] - self.discounts[min(count, 3)]


def lzma_bits(text: str, before: str) -> float:
    """Bits per character that `text` adds to `before` compressed, by the best preset."""

    def size(what: str) -> int:
        return len(lzma.compress(what.encode(), preset=9 | lzma.PRESET_EXTREME))

    return 8 * (size(before + text) - size(before)) / len(text)
