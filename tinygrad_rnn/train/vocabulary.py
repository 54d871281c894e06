"""Tokens and their numbers."""

from collections import Counter
from collections.abc import Hashable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np

from ..errors import DataError, kind
from ..op import Array
from ..optim.options import checked, count
from ..tensors import Tensor

SPECIALS = ("pad", "unk", "bos", "eos")


class Vocabulary:
    """Map tokens (words, characters, anything hashable) to integers, the rows of an embedding.

    In `Vocabulary(tokens, pad=, unk=, bos=, eos=)` the special tokens that are given come first,
    in this order: padding, unknown token, beginning and end of a sequence.
    `vocabulary.pad` and so on are their numbers, None for those that are not there;
    `vocabulary.tokens` is all of it in order. `Vocabulary.build(sequences)` counts tokens.

    `encode(tokens)` returns integers (int64), `decode(numbers)` tokens; `len`, `in` and `==` work.
    Raises DataError for a token that comes twice or equals a special one, and in `encode`
    for one that is not known where there is no `unk`.

    >>> words = Vocabulary.build(["to be or not to be".split()], pad="<pad>", unk="<unk>")
    >>> words.tokens
    ['<pad>', '<unk>', 'be', 'to', 'not', 'or']
    >>> words.encode("to be is".split()), words.pad, words.bos
    (array([3, 2, 1]), 0, None)
    >>> words.decode([3, 2, 0])
    ['to', 'be']
    """

    def __init__(
        self,
        tokens: Iterable[Hashable],
        *,
        pad: Hashable = None,
        unk: Hashable = None,
        bos: Hashable = None,
        eos: Hashable = None,
    ):
        given = dict(zip(SPECIALS, (pad, unk, bos, eos), strict=True))
        self.specials = {name: token for name, token in given.items() if token is not None}
        try:
            self.tokens: list[Any] = [*self.specials.values(), *tokens]
            self._number = {token: k for k, token in enumerate(self.tokens)}
        except TypeError as error:
            raise TypeError(f"Vocabulary: expected hashable tokens ({error})") from None
        if len(self._number) < len(self.tokens):
            twice = next(t for t, n in Counter(self.tokens).items() if n > 1)
            names = [name for name, token in self.specials.items() if token == twice]
            what = f", once as {names[0]}=; spell that otherwise" if names else ""
            raise DataError(f"Vocabulary: the token {twice!r} comes twice{what}")
        number = {name: self._number[token] for name, token in self.specials.items()}
        self.pad, self.unk, self.bos, self.eos = (number.get(name) for name in SPECIALS)

    @classmethod
    def build(
        cls,
        sequences: Iterable[Iterable[Hashable]],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        **specials: Any,
    ) -> "Vocabulary":
        """Build one from the tokens of `sequences`: the most frequent first, ties as they appear.

        Tokens seen less than `min_count` times are left out, and those after the first
        `max_size`, specials not counted. A text is a sequence of its characters:
        `Vocabulary.build([text])`. Build it on what you train on, and nothing else.
        Raises DataError where no token is left, TypeError for one text that is not in a list.
        """
        if isinstance(sequences, str | bytes):
            raise TypeError("Vocabulary.build: expected sequences of tokens; a text goes in a list")
        checked("Vocabulary.build", {"min_count": count}, min_count=min_count)
        if max_size is not None:
            checked("Vocabulary.build", {"max_size": count}, max_size=max_size)
        try:
            found = Counter(token for tokens in sequences for token in tokens)
        except TypeError as error:
            raise TypeError(
                f"Vocabulary.build: expected sequences of hashable tokens ({error})"
            ) from None
        kept = [t for t, n in found.items() if n >= min_count]
        if not kept:
            raise DataError(
                f"Vocabulary.build: of {len(found)} different tokens none comes {min_count} times"
            )
        with suppress(TypeError):  # of several types: in the order they were met
            kept = sorted(kept)  # type: ignore[type-var]
        kept.sort(key=lambda t: -found[t])
        return cls(kept[:max_size], **specials)

    def encode(self, tokens: Iterable[Hashable]) -> Array:
        """Numbers (T,) of tokens, int64; those not known are `unk`."""
        if not np.iterable(tokens):
            raise TypeError(f"Vocabulary.encode: expected a sequence of tokens, got {kind(tokens)}")
        tokens = list(tokens)
        try:
            numbers = [self._number.get(token, self.unk) for token in tokens]
        except TypeError:
            raise TypeError(
                f"Vocabulary.encode: expected hashable tokens, got {kind(tokens[0])} first; "
                "one sequence is encoded at a time"
            ) from None
        if None in numbers:
            raise DataError(
                f"Vocabulary.encode: the token {tokens[numbers.index(None)]!r} is not known; "
                "make the vocabulary with unk= for such"
            )
        return np.array(numbers, dtype=np.int64)

    def decode(self, numbers: Any) -> list[Any]:
        """Tokens of numbers, to the first `eos`; `pad` and `bos` are left out."""
        if isinstance(numbers, Tensor):
            a = numbers.numpy()
        else:
            a = np.asarray(list(numbers) if np.iterable(numbers) else numbers)
        whole = a.ndim == 1 and a.dtype.kind in "iu" and ((a >= 0) & (a < len(self))).all()
        if a.shape != (0,) and not whole:
            raise DataError(
                f"Vocabulary.decode: expected whole numbers (T,) from 0 to {len(self) - 1}, "
                f"got {numbers!r:.100}"
            )
        found = []
        for n in a.tolist():
            if n == self.eos:
                break
            if n not in (self.pad, self.bos):
                found.append(self.tokens[n])
        return found

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: Any) -> bool:
        return token in self._number

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.tokens, self.specials) == (other.tokens, other.specials)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        specials = "".join(f", {name}={token!r}" for name, token in self.specials.items())
        return f"Vocabulary({len(self.tokens):,} tokens{specials})"
