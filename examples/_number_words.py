"""Numbers in words, English, German and French, each in pieces; by the package num2words.

English is split at spaces and hyphens, without commas; French at both, which stay with what
follows; German into its morphemes, by the list below. German and French pieces joined are
the words again.
"""

import re

import tinygrad_rnn as tg
from tinygrad_rnn.errors import DataError

LANGUAGES = {"de": "German", "fr": "French"}
PIECES = {
    "en": "[a-z]+",
    "fr": "[ -]?[^ -]+",
    "de": " ?(?:Millionen|Million|tausend|hundert|zwanzig|dreißig|und|eins|eine|ein|zwei|drei|vier|"
    "fünf|sechs|sech|sieben|sieb|acht|neun|zehn|elf|zwölf|zig|null)",
}
LONGEST = 12  # English words of a number that is trained on


def in_words(number: int) -> dict[str, list[str]]:
    """A number in the three languages, each in pieces."""
    try:
        from num2words import num2words
    except ImportError:
        raise DataError("num2words is needed: pip install 'tinygrad_rnn[examples]'") from None
    words = {lang: num2words(number, lang=lang) for lang in PIECES}
    pieces = {lang: re.findall(PIECES[lang], text) for lang, text in words.items()}
    for lang in LANGUAGES:
        assert "".join(pieces[lang]) == words[lang], (words[lang], pieces[lang])
    return pieces


def corpus(sizes: dict[str, int]) -> dict[str, list[dict[str, list[str]]]]:
    """Different numbers for each part: 1 to 9 digits, three of ten of them made 0."""
    g, parts, seen = tg.Generator(0), {name: [] for name in sizes}, set()
    while any(len(parts[name]) < n for name, n in sizes.items()):
        digits = (g.uniform((1 + int(9 * float(g.uniform(()))),)) * 10).astype(int)
        digits[1:][g.uniform((len(digits) - 1,)) < 0.3] = 0
        number = int("".join(map(str, digits)))
        if number in seen:
            continue
        seen.add(number)
        pieces = in_words(number)
        long = len(pieces["en"]) > LONGEST
        for name, n in sizes.items():  # the first part that is not full
            if (name == "longer") == long and len(parts[name]) < n:
                parts[name].append(pieces)
                break
    return parts
